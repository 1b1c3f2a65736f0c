"""Full logical backups of a TiDB cluster to S3-compatible storage, with Dumpling."""

__version__ = "0.1.0"
