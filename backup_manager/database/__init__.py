"""The database: connection and privileges, the snapshot, and the lease on the GC life time."""
