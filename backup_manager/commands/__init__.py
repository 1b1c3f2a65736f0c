"""The commands: each a module that parses its part of the command line, and calls what does it."""
