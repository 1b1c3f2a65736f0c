"""The benchmarks: each is one command, README.md tells what it measures."""
