"""The S3-compatible store: access, the hot upload path, and the engine that feeds it."""
