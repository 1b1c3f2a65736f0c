"""What a backup is in the store: its formats, how it is published, checked and undone."""
