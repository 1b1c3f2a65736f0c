"""The volume: the dump's directory, the lock, the journal and the watcher of finished files."""
