"""What is different from store to store, as data."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Provider:
    """How one kind of store wants to be spoken to.

    ``addressing``: where the bucket's name goes, the host or the path; "auto" is botocore's choice:
    the host, but the path for a name with dots and at an endpoint of one's own.
    ``default_scheme``: for an endpoint that was given without one. ``content_md5``: send
    Content-MD5 beside the signed SHA-256, because the store is known, or not known not, to ignore
    the latter. ``needs_endpoint``: the store has no endpoint that could be guessed.
    """

    addressing: Literal["auto", "virtual", "path"] = "path"
    default_scheme: Literal["http", "https"] = "https"
    content_md5: bool = False
    needs_endpoint: bool = True


# Addressing as rclone's provider quirks have it; Ceph's scheme as TiDB Operator's manager has it;
# SeaweedFS takes a body whose signed SHA-256 is wrong (seen on 4.48); "other" may be anything.
PROVIDERS = {
    "aws": Provider(addressing="auto", needs_endpoint=False),
    "ceph": Provider(default_scheme="http"),
    "minio": Provider(),
    "alibaba": Provider(addressing="virtual"),
    "cloudflare": Provider(),
    "backblaze": Provider(),
    "google": Provider(),
    "seaweedfs": Provider(content_md5=True),
    "other": Provider(content_md5=True),
}
