"""`make torture`: `export` struck at every point of a backup, run again, and looked at.

A point is an event of the program under test: its n-th request to the store or its n-th packet to
the database, before it is forwarded or after it was carried out and before the answer goes back
(proxies count them, and strike), or the n-th change of a file on the volume (inotify). The shapes
of backups are in ``shapes``, what must hold afterwards is in ``checks``.

    python -m tests.torture                             all of it
    python -m tests.torture --share 20                  so many, spread over all kinds and phases
    python -m tests.torture --only parts/store-after:17          one shape, one point
    python -m tests.torture --only store-before:9+file-after:30  the rerun is killed too
    python -m tests.torture --only real/store-before:12=TERM     SIGTERM in place of SIGKILL
"""
