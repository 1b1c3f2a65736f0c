"""What a backup leaves behind, seen from outside."""

from pathlib import Path

from tests.restore import RECORD, Fetched, fetch_backup
from tests.servers import S3Server


def open_uploads(store: S3Server, bucket: str) -> list[str]:
    """The keys of the multipart uploads that are open in a bucket."""
    answer = store.client().list_multipart_uploads(Bucket=bucket)
    return [upload["Key"] for upload in answer.get("Uploads", [])]


def keys(store: S3Server, bucket: str) -> list[str]:
    pages = store.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def left_on(volume: Path) -> list[str]:
    return sorted(path.name for path in volume.iterdir())


def assert_only(store: S3Server, bucket: str, directory: str, tmp_path: Path) -> Fetched:
    """Only this one, whole backup is in the bucket, and no open upload."""
    fetched = fetch_backup(store.client(), bucket, directory, tmp_path / "fetched")
    assert [] == [key for key in keys(store, bucket) if not key.startswith(f"{directory}/")]
    assert [] == open_uploads(store, bucket)
    return fetched


def assert_nothing(store: S3Server, bucket: str) -> None:
    """Neither an object nor an open upload is in the bucket."""
    assert [] == keys(store, bucket)
    assert [] == open_uploads(store, bucket)


def records(store: S3Server, bucket: str) -> list[str]:
    return [key for key in keys(store, bucket) if key.endswith("/" + RECORD)]
