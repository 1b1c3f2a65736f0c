"""What a run's journal says of its job, and the commit record that is made of it."""

import json
import shlex
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from backup_manager import __version__
from backup_manager.canonical import timestamp
from backup_manager.catalog.archive import sent_archive
from backup_manager.catalog.formats import FORMAT, open_record, seal
from backup_manager.catalog.layout import Layout, relative
from backup_manager.definitions import DEFINITIONS
from backup_manager.export.atrest import FACT, at_rest
from backup_manager.export.job import Job
from backup_manager.settings import Settings
from backup_manager.volume.runs import Run

# Options for Dumpling stand behind --, all of them; the others would not go on with the dump.
_NOT_REPEATED = {"dumpling_option", "no_resume", "resume_max_age"}

_WARNINGS, _WARNING_CHARACTERS = 100, 2000


def facts_of(job: Job, server_version: str) -> dict[str, str]:
    """Return what a new run's journal says of its job: enough to publish it without a database."""
    source = {"host": job.source.host, "port": job.source.port, "version": server_version}
    dumpling = {"version": job.dumpling.version, "options": list(job.options.argv)}
    return {
        "store": json.dumps(asdict(job.store)),
        "source": json.dumps(source),
        "source_address": job.source.address,
        "dumpling": json.dumps(dumpling),
        "command": command_of(job),
        FACT: at_rest(job.store_options),
    }


def command_of(job: Job) -> str:
    """Return the command that goes on with this job's run, without secrets."""
    words = [*flags_of(job.settings, but=_NOT_REPEATED), "--resume-max-age=8760h"]
    if job.dumpling_args:
        words += ["--", *job.dumpling_args]
    return job.report.redact(shlex.join(["backup-manager", "export", *words]))


def flags_of(settings: Settings, *, but: Collection[str] = ()) -> Iterator[str]:
    """Yield each setting that was given, wherever, as a flag; the names ``but`` are left out."""
    for definition in DEFINITIONS:
        setting = settings.resolved[definition.name]
        if setting.origin == "default" or definition.name in but:
            continue
        if definition.switch:
            yield from [f"--{definition.flag}"] if setting.value else []
        else:
            given = setting.value if definition.repeated else [setting.text]
            yield from (f"--{definition.flag}={value}" for value in given)


def record_for(job: Job, run: Run, manifest_sha256: str) -> bytes:
    """Return the record whose writing was begun, if it still fits; else a new one.

    Another version may pack the same files into other bytes.
    """
    if run.record:
        with suppress(ValueError):
            begun = open_record(run.record)
            same = begun["manifest"]["sha256"] == manifest_sha256
            if same and begun.get("archive") == _archive_of(run):
                return run.record
    return compose(job, run, manifest_sha256)


def compose(job: Job, run: Run, manifest_sha256: str) -> bytes:
    """Return the bytes of the commit record; every file is confirmed."""
    files, total = run.journal.totals()
    dumpling: Any = job.report.redact.deep(run.load("dumpling"))
    manifest = relative(Layout(run.directory).manifest)
    record: dict[str, Any] = {
        "format": FORMAT,
        "id": run.id,
        "name": job.settings["name"],
        "schedule": job.settings["schedule"],
        "started": run.fact("started"),
        "finished": timestamp(datetime.now(UTC)),
        "snapshot": run.load("snapshot"),
        "source": run.load("source"),
        "dumpling": dumpling,
        "files": files,
        "bytes": total,
        "manifest": {"key": manifest, "sha256": manifest_sha256},
        "tool": {"name": "backup-manager", "version": __version__},
        "warnings": _bounded(run.load("warnings") + job.report.summary.warnings),
    }
    if archive := _archive_of(run):
        record["archive"] = archive
    return seal(record)


def _archive_of(run: Run) -> dict[str, Any] | None:
    archive = sent_archive(run.journal)
    if archive is None:
        return None
    key = relative(Layout(run.directory).root)
    return {"key": key, "bytes": archive.bytes, "sha256": archive.sha256}


def _bounded(warnings: list[str]) -> list[str]:
    """Keep the record far below what a reader takes: the first hundred, each cut."""
    return [text[:_WARNING_CHARACTERS] for text in dict.fromkeys(warnings)][:_WARNINGS]
