"""The settings of the store, rclone's options among them, made into where and how."""

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from backup_manager import values
from backup_manager.definitions import DEFINITIONS
from backup_manager.errors import UsageError
from backup_manager.report import Report
from backup_manager.settings import Settings
from backup_manager.store import rclone
from backup_manager.store.bandwidth import Timetable
from backup_manager.store.encryption import read_customer_key
from backup_manager.store.providers import PROVIDERS
from backup_manager.store.settings import (
    CONNECT_SECONDS,
    REQUESTS_AT_ONCE,
    UPLOADS,
    Encryption,
    Pace,
    Retention,
    StoreOptions,
    StoreSettings,
)

_LEAST_RATE = 128 << 10
_VARIABLES = {definition.name: definition.variable for definition in DEFINITIONS}


class _Chosen:
    """A setting by its name, from its flag or from the option of rclone that means the same."""

    def __init__(self, settings: Settings, given: rclone.Given) -> None:
        self._settings = settings
        self._given = given

    def __getitem__(self, name: str) -> Any:
        setting = self._settings.resolved.get(name)
        if setting is None:
            return None  # of new objects, to a command that writes none
        if name not in self._given.values:
            return setting.value
        value = self._given.values[name]
        # The operator always sets its variables; there, rclone's options come after them.
        weak = setting.origin in {"default", _VARIABLES[name]}
        if not weak and setting.value != value:
            raise UsageError(
                f"{setting.origin} and {self._given.names[name]} contradict each other",
                fix="give one of them",
            )
        return value

    def origin(self, name: str) -> str:
        """Where the value comes from, for messages."""
        given = self._given.names.get(name)
        return given or self._settings.resolved[name].origin

    def option(self, name: str, default: Any = None) -> Any:
        """Return what only an option of rclone sets."""
        return self._given.values.get(name, default)


def configure(settings: Settings, report: Report) -> tuple[StoreSettings, StoreOptions]:
    """Return where the backup goes, and how. Raises UsageError."""
    given = rclone.parse(settings["s3_option"], report.redact.add)
    if given.ignored:
        report.debug("these options of rclone change nothing here", options=list(given.ignored))
    chosen = _Chosen(settings, given)
    place = _place(chosen)
    if chosen["acl"] and not PROVIDERS[place.provider].acl:
        raise UsageError(
            f"provider {place.provider} has no ACLs",
            fix=f"leave {chosen.origin('acl')} away",
        )
    if chosen.option("accelerate") and place.endpoint:
        raise UsageError(
            f"an endpoint and {chosen.origin('accelerate')} contradict each other",
            why="acceleration has addresses of its own",
            fix="give one of them",
        )
    _check_trust()
    if chosen["s3_insecure"]:
        _warn_of_no_check(chosen, report)
    options = StoreOptions(
        storage_class=chosen["storage_class"],
        acl=chosen["acl"],
        encryption=_encryption(chosen, place, report),
        retention=_retention(chosen),
        requester_pays=chosen["requester_pays"],
        headers=chosen.option("headers", ()),
        addressing=chosen["s3_addressing"],
        accelerate=chosen.option("accelerate", default=False),
        dual_stack=chosen.option("dual_stack", default=False),
        ca=chosen["s3_ca"],
        insecure=chosen["s3_insecure"],
        connect_seconds=chosen.option("connect_seconds", CONNECT_SECONDS),
        timeout_seconds=chosen["store_timeout"],
        attempts=chosen.option("attempts"),
        uploads=chosen.option("uploads", UPLOADS),
        compare_etags=not chosen.option("ignore_checksum", default=False),
        compare_multipart_etags=chosen.option("multipart_etag", default=True),
        pace=_pace(chosen),
    )
    return place, options


def _check_trust() -> None:
    """Raise UsageError where AWS_CA_BUNDLE names no file: each call would fail of it."""
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if bundle and not Path(bundle).exists():
        raise UsageError(
            "AWS_CA_BUNDLE is wrong", why=f"there is no file {bundle}", fix="check the mount"
        )


def _warn_of_no_check(chosen: _Chosen, report: Report) -> None:
    if chosen["s3_ca"]:
        raise UsageError(
            f"{chosen.origin('s3_insecure')} and {chosen.origin('s3_ca')} contradict each other",
            why="a CA is of no use where no certificate is checked",
            fix="give one of them",
        )
    report.warn(
        "the store's certificate was not checked (--s3-insecure): whoever stands between can read "
        "and change the backup. To do: give the store's CA by --s3-ca"
    )


def _place(chosen: _Chosen) -> StoreSettings:
    if not chosen["bucket"]:
        raise UsageError(
            "no bucket is given",
            fix="name the bucket with --bucket (or BACKUP_MANAGER_BUCKET)",
        )
    given: str | None = chosen["endpoint"]
    name = chosen["provider"] or ("other" if given else "aws")
    provider = PROVIDERS[name]
    endpoint: str | None
    if given:
        try:
            endpoint = values.endpoint(given, provider.default_scheme)
        except ValueError as error:
            why, fix = error.args
            raise UsageError(f"{chosen.origin('endpoint')} is wrong", why=why, fix=fix) from error
    else:
        endpoint = _own_endpoint(name, chosen["region"])
    return StoreSettings(
        provider=name,
        endpoint=endpoint,
        region=chosen["region"],
        bucket=chosen["bucket"],
        prefix=chosen["prefix"] or "",
    )


def _own_endpoint(name: str, region: str | None) -> str | None:
    provider = PROVIDERS[name]
    if provider.needs_endpoint:
        raise UsageError(
            f"provider {name} needs an endpoint",
            fix="give its address with --endpoint (or S3_ENDPOINT)",
        )
    if provider.endpoint and "{region}" in provider.endpoint and not region:
        raise UsageError(
            f"provider {name} needs a region, which is a part of its address",
            fix="give the bucket's region with --region, or the whole address with --endpoint",
        )
    return provider.endpoint.format(region=region) if provider.endpoint else None


def _encryption(chosen: _Chosen, place: StoreSettings, report: Report) -> Encryption:
    algorithm, file = chosen["sse"], chosen["sse_customer_key_file"]
    key = read_customer_key(file) if file else chosen.option("customer_key")
    if file and chosen.option("customer_key"):
        raise UsageError("two SSE-C keys are given", fix="give --sse-customer-key-file alone")
    if key:
        _check_customer_key(chosen, key, place, report)
    for name, flag in (("sse_kms_key_id", "--sse-kms-key-id"), ("sse_kms_context", "its context")):
        if chosen[name] and not (algorithm or "").startswith("aws:kms"):
            raise UsageError(
                f"{chosen.origin(name)} is given without --sse=aws:kms",
                why=f"{flag} has a meaning for KMS only",
                fix="add --sse=aws:kms, or leave it away",
            )
    return Encryption(
        algorithm=algorithm,
        kms_key_id=chosen["sse_kms_key_id"],
        kms_context=chosen["sse_kms_context"],
        customer_key=key,
    )


def _check_customer_key(chosen: _Chosen, key: bytes, place: StoreSettings, report: Report) -> None:
    report.redact.add(base64.b64encode(key).decode())
    report.redact.add(key.decode("utf-8", "ignore"))
    if chosen.option("customer_key"):
        report.caution(
            "an SSE-C key in an option is seen by whoever may list processes: "
            "--sse-customer-key-file is better"
        )
    if chosen["sse"]:
        raise UsageError(
            f"{chosen.origin('sse')} and an SSE-C key are given",
            why="an object is encrypted by the store's key or by yours",
            fix="give one of them",
        )
    if place.endpoint and place.endpoint.startswith("http://"):
        raise UsageError(
            "an SSE-C key would cross the network in clear",
            why=f"{place.endpoint} is no https address, and S3 takes such keys over TLS only",
            fix="give an https endpoint, with --s3-ca for a CA of your own",
        )
    md5 = chosen.option("customer_key_md5")
    if md5 and md5 != base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode():
        raise UsageError(
            f"{chosen.origin('customer_key_md5')} is not that of the key",
            fix="leave it away: it is computed here",
        )


def _retention(chosen: _Chosen) -> Retention | None:
    mode, seconds = chosen["object_lock_mode"], chosen["object_lock_retain"]
    if bool(mode) != bool(seconds):
        raise UsageError(
            "Object Lock needs both its mode and a time",
            fix="give --object-lock-mode and --object-lock-retain, or neither",
        )
    return Retention(mode, seconds) if mode else None


def _pace(chosen: _Chosen) -> Pace:
    transfers, concurrency = chosen.option("transfers"), chosen.option("concurrency")
    most = max(REQUESTS_AT_ONCE, transfers or 0, concurrency or 0)
    bandwidth: Timetable | None = chosen.option("bandwidth")
    rates = [rate for _, rate in bandwidth.slots if rate] if bandwidth else []
    if rates:
        # Each is to move at least a block a second: stores end what is silent for long.
        most = max(1, min(most, int(min(rates) // _LEAST_RATE)))
    given = {
        "requests_at_once": chosen.option("connections", most),
        "files_at_once": transfers or most,
        "parts_at_once": concurrency or most,
        "part_bytes": chosen.option("part_bytes"),
        "max_parts": chosen.option("max_parts"),
        "multipart_from_bytes": chosen.option("multipart_from"),
        "bandwidth": bandwidth,
    }
    return Pace(**{name: value for name, value in given.items() if value is not None})
