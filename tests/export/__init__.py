"""export as a user runs it: a real process, real servers."""
