"""Removing backups from the store: which ones go, and how one goes."""
