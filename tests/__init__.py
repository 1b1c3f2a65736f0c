"""The tests; servers/ starts the real servers that they use."""
