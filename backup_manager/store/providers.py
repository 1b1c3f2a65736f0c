"""What is different from store to store, as data.

Sources: (r) rclone's provider quirks, backend/s3/provider, (o) TiDB Operator's manager, (d) the
store's own documentation, (s) seen on a real one. Whatever is not known is as on Amazon S3, but
for "other", of which nothing is known.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Provider:
    """How one kind of store wants to be spoken to.

    ``addressing``: where the bucket's name goes, the host or the path; "auto" is botocore's choice:
    the host, but the path for a name with dots and at an endpoint of one's own.
    ``endpoint``: its address where none is given; None for Amazon's own, which botocore knows.
    ``needs_endpoint``: there is no address that could be guessed. ``region``: where none is given.
    ``default_scheme``: for an endpoint that was given without one.
    ``etag``: of which objects an ETag is made of MD5s: all, or those of one PutObject only.
    ``content_md5``: send Content-MD5 beside the signed SHA-256, because the store is known, or not
    known not, to ignore the latter. ``acl``: whether it knows canned ACLs.
    ``conditional``: whether it knows ``If-None-Match: *``. ``bulk_delete``: DeleteObjects.
    """

    addressing: Literal["auto", "virtual", "path"] = "path"
    endpoint: str | None = None
    needs_endpoint: bool = True
    region: str = "us-east-1"
    default_scheme: Literal["http", "https"] = "https"
    etag: Literal["md5", "single"] = "md5"
    content_md5: bool = False
    acl: bool = True
    conditional: bool = True
    bulk_delete: bool = True


PROVIDERS = {
    "aws": Provider(addressing="auto", needs_endpoint=False),
    # http: (o). It takes a second record over the first one at CompleteMultipartUpload only (s).
    "ceph": Provider(default_scheme="http"),
    "minio": Provider(),
    # Path style is refused (d), ETags of multipart uploads differ from Amazon's (r).
    "alibaba": Provider(
        addressing="virtual",
        endpoint="https://s3.oss-{region}.aliyuncs.com",
        needs_endpoint=False,
        etag="single",
    ),
    # ETags of multipart uploads are random (r); no ACLs, and the region is auto (d).
    "cloudflare": Provider(region="auto", etag="single", acl=False),
    # The region stands in the address (d).
    "backblaze": Provider(endpoint="https://s3.{region}.backblazeb2.com", needs_endpoint=False),
    # DeleteObjects and conditions other than its own are missing in the XML interface (d).
    "google": Provider(
        endpoint="https://storage.googleapis.com",
        needs_endpoint=False,
        region="auto",
        conditional=False,
        bulk_delete=False,
    ),
    # Takes a body whose signed SHA-256 is wrong (s, 4.48); ETags of multipart uploads: (r).
    "seaweedfs": Provider(content_md5=True, etag="single"),
    # May be anything; ETags of multipart uploads: (r).
    "other": Provider(content_md5=True, etag="single"),
}
