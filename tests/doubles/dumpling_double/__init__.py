"""A double of the Dumpling binary, for tests: it dumps for real and misbehaves when told to."""
