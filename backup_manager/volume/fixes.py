"""What to do about what a volume refuses, by the number of its error."""

import errno

_RIGHTS = (
    "give the Pod's user the right to write: by fsGroup in the Pod's securityContext, which is "
    "spec.podSecurityContext of a Backup object"
)
_DEVICE = "the volume's device is failing: look at the node's kernel log"
GONE = (
    "see why the volume went away (the PVC's events, the node's kernel log), mount it again, then "
    "run the same command again"
)
FIXES = {
    errno.EROFS: "mount the volume for writing; if it was, its file system has found an error and "
    "protects itself: look at the node's kernel log",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EIO: _DEVICE,
    errno.EUCLEAN: _DEVICE,  # ext4 and XFS: what they read makes no sense
    errno.ESHUTDOWN: _DEVICE,
    errno.ENXIO: _DEVICE,
    errno.ENODEV: _DEVICE,
    errno.ENOENT: GONE,
    errno.ESTALE: GONE,
    errno.ENOTCONN: GONE,  # a FUSE file system whose process has died
}
