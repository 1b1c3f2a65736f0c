"""Where backups go, and how the store is spoken to: all that the settings say of it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backup_manager.store.bandwidth import Timetable
from backup_manager.store.parts import MAX_PARTS, MULTIPART_FROM_BYTES, PART_BYTES

CONNECT_SECONDS = 10.0
TIMEOUT_SECONDS = 60.0
# Threads, and so requests at once, beyond 16 do not help (measured against Ceph on two cores).
REQUESTS_AT_ONCE = 16
# How often the multipart upload of one file is begun, where others abort it.
UPLOADS = 5
# Few at a time: their parts are sent in parallel anyway, and each costs an open upload.
BIG_FILES_AT_ONCE = 4


@dataclass(frozen=True)
class StoreSettings:
    """Where the backups go. ``prefix`` has no slash at its ends."""

    provider: str
    endpoint: str | None
    region: str | None
    bucket: str
    prefix: str

    def key(self, name: str) -> str:
        """Return the key of ``name`` under the prefix."""
        return f"{self.prefix}/{name}" if self.prefix else name

    @property
    def place(self) -> str:
        """The bucket and where it was looked for, for messages."""
        return f"{self.url('')} at {self.endpoint}" if self.endpoint else self.url("")

    def url(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


@dataclass(frozen=True)
class Encryption:
    """What the store is told of encryption at rest; nothing of it means its own default.

    ``algorithm``: AES256 (SSE-S3), aws:kms or aws:kms:dsse. ``kms_context``: canonical JSON.
    ``customer_key``: the 32 bytes of SSE-C.
    """

    algorithm: str | None = None
    kms_key_id: str | None = None
    kms_context: str | None = None
    customer_key: bytes | None = field(default=None, repr=False)

    @property
    def hides_md5(self) -> bool:
        """Whether ETags are no MD5s for it (S3's documentation of ETag)."""
        return self.customer_key is not None or (self.algorithm or "").startswith("aws:kms")


@dataclass(frozen=True)
class Retention:
    """Object Lock for each new object: its mode, and for how many seconds from its writing on."""

    mode: str
    seconds: float

    def until(self) -> datetime:
        """Return the end of it for an object that is written now."""
        return datetime.now(UTC) + timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Pace:
    """How much is under way at once, and how it is cut; sizes in bytes."""

    requests_at_once: int = REQUESTS_AT_ONCE
    files_at_once: int = REQUESTS_AT_ONCE
    parts_at_once: int = REQUESTS_AT_ONCE  # of one file
    part_bytes: int = PART_BYTES
    max_parts: int = MAX_PARTS
    multipart_from_bytes: int = MULTIPART_FROM_BYTES
    bandwidth: Timetable | None = None


@dataclass(frozen=True)
class StoreOptions:
    """How the store is spoken to.

    ``addressing``: virtual, path, or None for the provider's. ``headers``: more of them for each
    new object. ``attempts``: how often one request is tried at most, None for as long as there is
    patience; ``uploads``: how often the multipart upload of one file is begun at most.
    ``compare_etags``: compare them with MD5s of our own where they should be one.
    """

    storage_class: str | None = None
    acl: str | None = None
    encryption: Encryption = Encryption()
    retention: Retention | None = None
    requester_pays: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    addressing: str | None = None
    accelerate: bool = False
    dual_stack: bool = False
    ca: Path | None = None
    insecure: bool = False
    connect_seconds: float = CONNECT_SECONDS
    timeout_seconds: float = TIMEOUT_SECONDS
    attempts: int | None = None
    uploads: int = UPLOADS
    compare_etags: bool = True
    compare_multipart_etags: bool = True
    pace: Pace = Pace()
