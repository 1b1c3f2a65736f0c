"""How Object Lock holds an object, in words for people; empty where it does not."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from backup_manager.store.client import Store
from backup_manager.store.faults import FAULTS
from backup_manager.store.headers import moment_of


def lock_of(headers: Mapping[str, Any]) -> str:
    """Tell of an object by the headers of what a GET or HEAD of it answered, in lower case.

    A key without s3:GetObjectRetention is not told.
    """
    said = []
    if mode := headers.get("x-amz-object-lock-mode"):
        until = str(headers.get("x-amz-object-lock-retain-until-date"))
        # It is told after its end too.
        if not _past(until, moment_of(headers, "date") or datetime.now(UTC)):
            said.append(f"{mode} until {until}")
    if headers.get("x-amz-object-lock-legal-hold") == "ON":
        said.append("legal hold")
    return " and ".join(said)


def lock_on(store: Store, key: str) -> str:
    """Ask for it, as far as the key may; what cannot be told is not locked."""
    bucket = store.settings.bucket
    try:
        head = store.attempt(lambda: store.client.head_object(Bucket=bucket, Key=key))
    except FAULTS:
        return ""
    return lock_of(head["ResponseMetadata"]["HTTPHeaders"])


def _past(until: str, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(until) <= now
    except (ValueError, TypeError):
        return False  # no such time: what cannot be told counts as locked
