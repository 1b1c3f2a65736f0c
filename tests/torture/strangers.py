"""What others have under the same prefix; it must be there in the end as it was."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client  # annotations: not installed where tests only run

# One beside the backups, one in a directory that looks like a backup's.
_OBJECTS = ("stranger.txt", "backup-2020-01-01T00:00:00Z-deadbeef/x.sql")
_UPLOADS = ("stranger.bin", "backup-2020-01-01T00:00:00Z-deadbeef/y.sql")
_TEXT = b"of somebody else\n"


def under(client: "S3Client", bucket: str, prefix: str) -> tuple[dict[str, int], dict[str, str]]:
    """All objects under a prefix with their sizes, and the open uploads: id and key."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    objects = {each["Key"]: each["Size"] for page in pages for each in page.get("Contents", [])}
    answer = client.list_multipart_uploads(Bucket=bucket, Prefix=f"{prefix}/")
    return objects, {each["UploadId"]: each["Key"] for each in answer.get("Uploads", [])}


@dataclass(frozen=True)
class Strangers:
    """Objects and open multipart uploads (id and key) that are not ours."""

    objects: set[str]
    uploads: dict[str, str]

    @classmethod
    def plant(cls, client: "S3Client", bucket: str, prefix: str) -> "Strangers":
        objects = {f"{prefix}/{name}" for name in _OBJECTS}
        for key in objects:
            client.put_object(Bucket=bucket, Key=key, Body=_TEXT)
        uploads = {}
        for key in (f"{prefix}/{name}" for name in _UPLOADS):
            upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
            client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=_TEXT)
            uploads[upload] = key
        return cls(objects, uploads)

    def missing(self, client: "S3Client", bucket: str) -> Iterator[str]:
        """What is no longer as it was."""
        for key in self.objects:
            try:
                body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
            except client.exceptions.NoSuchKey:
                yield f"a stranger's object is gone: {key}"
            else:
                if body != _TEXT:
                    yield f"a stranger's object was changed: {key}"
        for upload, key in self.uploads.items():
            try:
                parts = client.list_parts(Bucket=bucket, Key=key, UploadId=upload)["Parts"]
            except client.exceptions.ClientError as error:
                yield f"a stranger's multipart upload is gone: {key}: {error}"
            else:
                if [len(_TEXT)] != [part["Size"] for part in parts]:
                    yield f"a stranger's multipart upload was changed: {key}"
