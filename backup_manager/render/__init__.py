"""The YAML of TiDB Operator made into what any cluster runs: a volume claim and a Job or CronJob.

Files are read (``reading``), their form is held against that of the two kinds (``checking``), their
meaning against this program (``meaning``), and the objects are built (``objects``, ``pod``).
"""

from collections.abc import Iterable

from backup_manager.errors import UsageError
from backup_manager.kubernetes.status import is_complete
from backup_manager.render.checking import check_form
from backup_manager.render.document import Document
from backup_manager.render.meaning import Meaning
from backup_manager.render.mistakes import Mistakes
from backup_manager.render.objects import Options, objects_of
from backup_manager.render.pod import Object
from backup_manager.render.reading import read
from backup_manager.render.wanted import Wanted
from backup_manager.report import Report

__all__ = ["Options", "render"]


def render(files: Iterable[tuple[str, bytes]], options: Options, report: Report) -> list[Object]:
    """Return what to apply for the objects in these files: names and contents.

    What is ignored is said in warnings. Raises UsageError with all that is wrong.
    """
    mistakes = Mistakes()
    found: list[Wanted] = []
    names, left_out = [], False
    for name, data in files:
        names.append(name)
        text = data.decode(errors="replace")
        for document in read(name, data, mistakes):
            if why := _over(document):
                left_out = True
                at = f"{document.file}, line {document.line('')}"
                mistakes.cautions.append(f"{at}: {document} is left out: {why}")
            elif check_form(document, text, mistakes):
                wanted = Wanted(document, options.namespace)
                Meaning(wanted, mistakes, report.redact.add).check()
                found.append(wanted)
    _check_names(found, mistakes)
    for caution in mistakes.cautions:
        report.warn(caution)
    mistakes.raise_any(report)
    if not found:
        fix = "give the YAML of a Backup or a BackupSchedule"
        if left_out:
            fix = "for another backup give the Backup another name, and take its status away"
        raise UsageError(f"there is nothing to render in {', '.join(names)}", fix=fix)
    return _once(one for wanted in found for one in objects_of(wanted, options))


def _over(document: Document) -> str:
    """Return why an object that comes from a cluster makes no backup; empty where it does."""
    if document.kind != "Backup":
        return ""
    if is_complete(document.body):
        return "it is Complete, and its backup there already"
    owners = document.get("metadata.ownerReferences")
    kinds = [each.get("kind") for each in owners or () if isinstance(each, dict)]
    return "its BackupSchedule makes such ones" if "BackupSchedule" in kinds else ""


def _check_names(found: Iterable[Wanted], mistakes: Mistakes) -> None:
    """Two of one name would share a volume, and one would take the other's place."""
    seen: dict[tuple[str | None, str], Wanted] = {}
    for wanted in found:
        first = seen.setdefault((wanted.namespace, wanted.name), wanted)
        if first is not wanted:
            there = first.document
            mistakes.add(
                wanted.document.file,
                wanted.document.line("metadata.name"),
                f"{wanted.document} has the name of the {there.kind} in {there.file}, line "
                f"{there.line('metadata.name')}, and each name has one volume",
                "give one of them another name",
            )


def _once(objects: Iterable[Object]) -> list[Object]:
    """Drop repetitions: several may name one ServiceAccount."""
    kept: list[Object] = []
    for each in objects:
        if each not in kept:
            kept.append(each)
    return kept
