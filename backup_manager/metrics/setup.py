"""The places where the settings want metrics told."""

from backup_manager.database.source import Source
from backup_manager.errors import UsageError
from backup_manager.report import Report
from backup_manager.settings import Setting, Settings
from backup_manager.telling import Sink


def metrics_sinks(settings: Settings, report: Report) -> list[Sink]:
    """Return where a run with these settings tells its metrics. Raises UsageError."""
    path, url = settings["metrics_file"], settings["pushgateway"]
    if not (path or url):
        return []
    # Imported here: who is told nothing need not wait for HTTP.
    from backup_manager.metrics.sinks import Pushgateway, TextFile  # noqa: PLC0415 - see above

    sinks: list[Sink] = []
    labels = _labels(settings, report)
    if path:
        sinks.append(TextFile(path, labels))
    if url:
        auth = _auth(settings.resolved["pushgateway_auth_file"], report)
        sinks.append(Pushgateway(url, labels, auth))
    return sinks


def _labels(settings: Settings, report: Report) -> dict[str, str]:
    """Which backup it is: the same for each of its runs, so the schedule comes before the name."""
    bucket, prefix = settings["bucket"] or "", settings["prefix"] or ""
    labels = {
        "source": Source(settings["host"], settings["port"], settings["user"], "").address,
        "destination": f"s3://{bucket}/{prefix}".rstrip("/") if bucket else "",
        "name": settings["schedule"] or settings["name"] or "",
    }
    # To Prometheus an empty label is none.
    return {name: report.redact(value) for name, value in labels.items() if value}


def _auth(file: Setting, report: Report) -> str:
    if file.value is None:
        return ""
    fix = "write user:password into it, and nothing else"
    try:
        text = str(file.value.read_bytes().decode()).removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file.origin} is no UTF-8 text", fix=fix) from error
    except OSError as error:
        raise UsageError(
            f"{file.origin} cannot be read",
            why=error.strerror or str(error),
            fix="check the mount and its permissions",
        ) from error
    report.redact.add(text)
    user, colon, password = text.partition(":")
    report.redact.add(password)
    if not (user and colon and text.isprintable()):
        raise UsageError(f"{file.origin} is not user:password", fix=fix)
    return text
