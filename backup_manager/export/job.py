"""One export as it was asked for: the settings made into what the steps need."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backup_manager import values
from backup_manager.database.lease_document import parse_gc_life_time
from backup_manager.database.source import Source, tls_context
from backup_manager.dumpling import binary, options
from backup_manager.dumpling.command import check_user
from backup_manager.errors import UsageError
from backup_manager.report import Report
from backup_manager.settings import Settings, check_utf8
from backup_manager.signals import Stop
from backup_manager.store.client import StoreSettings
from backup_manager.store.providers import PROVIDERS
from backup_manager.volume.runs import identity_of


@dataclass(frozen=True)
class Job:
    """What to back up, from where to where, and how. ``gc_life_time`` is in nanoseconds."""

    settings: Settings
    report: Report
    stop: Stop
    source: Source
    store: StoreSettings
    gc_life_time: int
    dumpling: binary.Binary
    options: options.Options
    dumpling_args: tuple[str, ...]
    volume: Path
    identity_facts: dict[str, Any]

    @property
    def identity(self) -> str:
        return identity_of(self.identity_facts)


def prepare(settings: Settings, dumpling_args: Sequence[str], report: Report, stop: Stop) -> Job:
    """Check every setting and find Dumpling. Raises UsageError, DumplingError."""
    source = Source(
        host=settings["host"],
        port=settings["port"],
        user=settings["user"],
        password=settings.password,
        tls_ca=settings["tls_ca"],
        tls_cert=settings["tls_cert"],
        tls_key=settings["tls_key"],
    )
    check_user(source.user)
    tls_context(source)
    store = store_settings(settings)
    gc_life_time = parse_gc_life_time(settings["gc_life_time"])
    found = binary.find(settings["dumpling"])
    check_utf8("an option for Dumpling", *dumpling_args)
    given = [*settings["dumpling_option"], *dumpling_args]
    merged = options.merge(given, settings["table_filter"], found)
    for warning in merged.warnings:
        report.warn(warning)
    facts = {
        "source": source.address,
        "user": source.user,
        "endpoint": store.endpoint,
        "bucket": store.bucket,
        "prefix": store.prefix,
        "options": list(merged.argv),
        "format": "files",
        "name": settings["name"],
        "owner_uid": settings["owner_uid"],
    }
    return Job(
        settings=settings,
        report=report,
        stop=stop,
        source=source,
        store=store,
        gc_life_time=gc_life_time,
        dumpling=found,
        options=merged,
        dumpling_args=tuple(given),
        # As the kernel spells it: processes are found by the files that they have open there.
        volume=Path(os.path.realpath(settings["volume"])),
        identity_facts=facts,
    )


def store_settings(settings: Settings) -> StoreSettings:
    """Return where the backup goes. Raises UsageError."""
    if not settings["bucket"]:
        raise UsageError(
            "no bucket is given",
            fix="name the bucket with --bucket (or BACKUP_MANAGER_BUCKET)",
        )
    given = settings["endpoint"]
    name = settings["provider"] or ("other" if given else "aws")
    if PROVIDERS[name].needs_endpoint and not given:
        raise UsageError(
            f"provider {name} needs an endpoint",
            fix="give its address with --endpoint (or S3_ENDPOINT)",
        )
    endpoint = None
    if given:
        try:
            endpoint = values.endpoint(given, PROVIDERS[name].default_scheme)
        except ValueError as error:
            why, fix = error.args
            origin = settings.resolved["endpoint"].origin
            raise UsageError(f"{origin} is wrong", why=why, fix=fix) from error
    return StoreSettings(
        provider=name,
        endpoint=endpoint,
        region=settings["region"],
        bucket=settings["bucket"],
        prefix=settings["prefix"] or "",
        storage_class=settings["storage_class"],
        acl=settings["acl"],
    )
