"""rclone's options as data: what each means here, and which change nothing."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backup_manager import values
from backup_manager.store import rclone_values as read
from backup_manager.store.encryption import (
    ALGORITHM,
    customer_key,
    customer_key_base64,
    lock_mode,
    sse_algorithm,
)
from backup_manager.store.headers import parse_header
from backup_manager.store.parts import MAX_PARTS, MIB

_MIN_PART, _MAX_PART = 5 * MIB, 5 << 30
_MAX_AT_ONCE = 256


@dataclass(frozen=True)
class Option:
    """One option that has a meaning here.

    ``sets``: the name of what it sets; a name of a flag where there is one for the same.
    """

    name: str
    sets: str
    parse: Callable[[str], Any]
    meaning: str
    switch: bool = False
    repeated: bool = False
    secret: bool = False


def _text(text: str) -> str:
    if not text or not text.isprintable():
        raise ValueError(f"{text!r} is no plain text", "give printable characters")
    return text


def _part_bytes(text: str) -> int:
    found = read.size(text)
    if not _MIN_PART <= found <= _MAX_PART:
        raise ValueError(f"{text!r} is no size of a part", "S3 takes parts of 5Mi to 5Gi")
    return found


def _cutoff(text: str) -> int:
    found = read.size(text)
    if found > _MAX_PART:
        raise ValueError(f"{text!r} is too much", "S3 takes 5Gi at once at most")
    return found


def _at_once(text: str) -> int:
    found = read.count(text)
    if found > _MAX_AT_ONCE:
        raise ValueError(f"{text!r} is too many at once", f"give {_MAX_AT_ONCE} at most")
    return found


def _parts(text: str) -> int:
    found = read.count(text)
    if found > MAX_PARTS:
        raise ValueError(f"{text!r} is more than S3 takes", "give 10000 at most")
    return found


def _waiting(text: str) -> float:
    found = read.seconds(text)
    if found <= 0:
        raise ValueError(f"{text!r} would wait without a bound", "give a time above zero")
    return values.bounded_wait(text, found)


def _until(text: str) -> float:
    """Read a moment (RFC 3339), or a time from now on; return seconds from now on."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return values.bounded_lock(text, read.seconds(text))
    try:
        left = (moment.astimezone(UTC) - datetime.now(UTC)).total_seconds()
    except OverflowError:
        left = -1.0
    if left <= 0:
        raise ValueError(f"{text!r} is over", "give a moment to come, such as 2030-01-31T00:00:00Z")
    return values.bounded_lock(text, left)


def _path_style(text: str) -> str:
    return "path" if read.boolean(text) else "virtual"


def _algorithm_of_key(text: str) -> str:
    if text != ALGORITHM:
        raise ValueError(f"{text!r} is no algorithm of SSE-C", f"S3 has {ALGORITHM} only")
    return text


def _key(text: str) -> bytes:
    return customer_key(os.fsencode(text))


_PROVIDERS = {"gcs": "google", "googlecloudstorage": "google"}


def _provider(text: str) -> str:
    return values.provider(_PROVIDERS.get(text.lower(), text))


OPTIONS = (
    Option("transfers", "transfers", _at_once, "how many files are sent at once (16)"),
    Option(
        "s3-upload-concurrency",
        "concurrency",
        _at_once,
        "how many parts of one file are sent at once (16)",
    ),
    Option(
        "max-connections",
        "connections",
        _at_once,
        "how many requests with data are under way in all (16)",
    ),
    Option(
        "s3-chunk-size",
        "part_bytes",
        _part_bytes,
        "size of a part (16Mi); larger where 10,000 do not suffice",
    ),
    Option(
        "s3-upload-cutoff",
        "multipart_from",
        _cutoff,
        "files from this size on go up in parts (32Mi)",
    ),
    Option("s3-max-upload-parts", "max_parts", _parts, "how many parts a file may have (10000)"),
    Option(
        "bwlimit",
        "bandwidth",
        read.bandwidth,
        "limit of bytes per second in all, or a timetable of limits",
    ),
    Option(
        "retries",
        "uploads",
        read.count,
        "how often one file is begun anew whose upload the store has lost (5)",
    ),
    Option(
        "low-level-retries",
        "attempts",
        read.count,
        "tries of one request at most (as many as --stall-timeout allows)",
    ),
    Option("timeout", "store_timeout", _waiting, "as --store-timeout"),
    Option(
        "contimeout", "connect_seconds", _waiting, "how long a connection may take to be made (10s)"
    ),
    Option("ca-cert", "s3_ca", values.regular_file, "as --s3-ca"),
    Option("no-check-certificate", "s3_insecure", read.boolean, "as --s3-insecure", switch=True),
    Option(
        "header-upload",
        "headers",
        parse_header,
        "a header of each new object, as 'Name: value'",
        repeated=True,
    ),
    Option(
        "ignore-checksum",
        "ignore_checksum",
        read.boolean,
        "ETags are not compared with MD5s of our own; all other checks stay",
        switch=True,
    ),
    Option(
        "s3-use-multipart-etag",
        "multipart_etag",
        read.boolean,
        "if false, the same for objects only that went up in parts",
        switch=True,
    ),
    Option("s3-provider", "provider", _provider, "as --provider"),
    Option("s3-endpoint", "endpoint", _text, "as --endpoint"),
    Option("s3-region", "region", _text, "as --region"),
    Option("s3-storage-class", "storage_class", _text, "as --storage-class"),
    Option("s3-acl", "acl", _text, "as --acl"),
    Option("s3-server-side-encryption", "sse", sse_algorithm, "as --sse"),
    Option("s3-sse-kms-key-id", "sse_kms_key_id", _text, "as --sse-kms-key-id"),
    Option(
        "s3-sse-customer-algorithm",
        "sse_customer_algorithm",
        _algorithm_of_key,
        "AES256; there is no other",
    ),
    Option(
        "s3-sse-customer-key",
        "customer_key",
        _key,
        "the key itself, seen by who may list processes: --sse-customer-key-file is better",
        secret=True,
    ),
    Option(
        "s3-sse-customer-key-base64",
        "customer_key",
        customer_key_base64,
        "the same in base64",
        secret=True,
    ),
    Option(
        "s3-sse-customer-key-md5",
        "customer_key_md5",
        _text,
        "is computed here; one that is given must be the key's",
    ),
    Option("s3-object-lock-mode", "object_lock_mode", lock_mode, "as --object-lock-mode"),
    Option(
        "s3-object-lock-retain-until-date",
        "object_lock_retain",
        _until,
        "as --object-lock-retain, or the moment itself",
    ),
    Option("s3-requester-pays", "requester_pays", read.boolean, "as --requester-pays", switch=True),
    Option(
        "s3-force-path-style", "s3_addressing", _path_style, "as --s3-addressing=path", switch=True
    ),
    Option(
        "s3-use-accelerate-endpoint",
        "accelerate",
        read.boolean,
        "Amazon's accelerated endpoint",
        switch=True,
    ),
    Option("s3-use-dual-stack", "dual_stack", read.boolean, "Amazon's IPv6 endpoints", switch=True),
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What changes nothing of a backup here: what rclone shows, caches, lists or checks beforehand.
HARMLESS_SWITCHES = _names(
    "check-first checksum disable-http2 fast-list human-readable ignore-times metadata "
    "no-check-dest no-console no-gzip-encoding no-traverse no-update-dir-modtime "
    "no-update-modtime progress quiet s3-bucket-object-lock-enabled s3-disable-checksum "
    "s3-disable-http2 s3-env-auth s3-list-url-encode s3-might-gzip s3-no-check-bucket "
    "s3-no-head s3-no-head-object s3-no-system-metadata s3-sign-accept-encoding "
    "s3-use-accept-encoding-gzip s3-use-already-exists s3-use-x-id size-only stats-one-line "
    "stats-one-line-date use-json-log use-mmap use-server-modtime verbose "
)
HARMLESS = _names(
    "buffer-size checkers log-format log-level max-backlog max-buffer-memory "
    "multi-thread-chunk-size multi-thread-cutoff multi-thread-streams "
    "multi-thread-write-buffer-size order-by retries-sleep s3-bucket-acl s3-copy-cutoff "
    "s3-encoding s3-list-chunk s3-list-version s3-location-constraint "
    "s3-memory-pool-flush-time s3-memory-pool-use-mmap stats stats-file-name-length "
    "stats-log-level stats-unit streaming-upload-cutoff "
)
