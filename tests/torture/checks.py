"""What must hold after a run was struck, and after the same command was run again.

Each check yields what is wrong, so that a failure tells all of it.
"""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.command import Result
from tests.export.state import left_on
from tests.restore import MANIFEST, RECORD, BackupBrokenError, Fetched, backups, fetch_backup
from tests.s3_proxy import Request
from tests.torture.scene import Scene, Struck
from tests.torture.shapes import Contents, contents, source_rows
from tests.torture.strangers import under

# How long a process whose parent was killed may take to die: the kernel's work, on a busy machine.
_DEATH_SECONDS = 20


def fetched(scene: Scene, complaints: list[str]) -> dict[str, Fetched]:
    """Every backup under the prefix that has a record and is whole; complaints of the others."""
    found = {}
    for directory in backups(scene.client, scene.ground.bucket, f"{scene.prefix}/"):
        into = scene.fetched / str(len(list(scene.fetched.glob("*"))))
        try:
            found[directory] = fetch_backup(scene.client, scene.ground.bucket, directory, into)
        except (BackupBrokenError, KeyError, ValueError) as error:
            complaints.append(f"{directory} has a record and is not whole: {error!r}")
    return found


def after_strike(scene: Scene, struck: Struck, reference: Contents) -> list[str]:
    """Nothing false is said in between; after SIGTERM, all that is promised of its end."""
    complaints: list[str] = []
    whole = fetched(scene, complaints)
    complaints += _of_contents(whole, reference)
    if struck.hit and not scene.striker.kills:
        complaints += _after_sigterm(scene, struck, whole)
    elif not struck.hit:
        complaints += _of_exit(struck.result)
    return complaints


def _after_sigterm(scene: Scene, struck: Struck, whole: Iterable[str]) -> Iterator[str]:
    code = struck.result.exit_code
    if code not in {0, 143}:
        yield f"exit code {code} after SIGTERM: {struck.result.stdout}"
    if code == 0 and not list(whole):
        yield "exit code 0 after SIGTERM, and there is no record"
    yield from _of_gc(scene)
    yield from _of_processes(scene.volume, seconds=1)
    if code != 0 and not struck.confirmed.dumped:
        excused = {path.removeprefix(f"/{scene.ground.bucket}/") for path in scene.store.too_late}
        yield from _of_orphans(scene, set(whole), excused)


def after_all(
    scene: Scene, result: Result, before: Struck | None, reference: Contents
) -> list[str]:
    """Point for point what must hold once a run has ended well; ``before`` was struck before it."""
    complaints: list[str] = []
    whole = fetched(scene, complaints)
    return complaints + of_end(scene, result, before, whole, reference)


def of_end(
    scene: Scene,
    result: Result,
    before: Struck | None,
    whole: dict[str, Fetched],
    reference: Contents,
) -> list[str]:
    """The same, where the backups were fetched already."""
    complaints = list(_of_exit(result))
    if result.exit_code == 0 and result.directory not in whole:
        complaints.append(f"the summary names {result.directory}, whole are {sorted(whole)}")
    complaints += _of_contents(whole, reference)
    if scene.shape.real:
        complaints += _of_rows(scene, whole)
    complaints += _of_orphans(scene, set(whole))
    complaints += scene.strangers.missing(scene.client, scene.ground.bucket)
    complaints += [f"left on the volume: {name}" for name in left_on(scene.volume)]
    complaints += _of_gc(scene)
    complaints += _of_processes(scene.volume, seconds=_DEATH_SECONDS)
    if before and result.exit_code == 0:
        complaints += _of_resuming(result, before)
        if result.summary["resumed"] and result.directory in whole:
            complaints += _of_bytes(scene, whole[result.directory], result.directory, before)
    return complaints


def _of_exit(result: Result) -> Iterator[str]:
    if result.exit_code != 0:
        yield f"exit code {result.exit_code}: {result.stdout}"


def _of_contents(whole: dict[str, Fetched], reference: Contents) -> Iterator[str]:
    for directory, backup in whole.items():
        found = contents(backup)
        for name in sorted(found.keys() | reference.keys()):
            if found.get(name) != reference.get(name):
                yield (
                    f"{directory}: {name} holds {found.get(name)}, not {reference.get(name)} "
                    "(rows, hash)"
                )


def _of_rows(scene: Scene, whole: dict[str, Fetched]) -> Iterator[str]:
    expected = source_rows(scene.ground.database)
    for directory, backup in whole.items():
        held = contents(backup)
        rows = {table: held.get(table, (0, ""))[0] for table in expected}
        if rows != expected:
            yield f"{directory}: the source has {expected} rows, the backup {rows}"


def _of_orphans(scene: Scene, published: set[str], excused: Iterable[str] = ()) -> Iterator[str]:
    objects, uploads = under(scene.client, scene.ground.bucket, scene.prefix)
    for key in sorted(objects.keys() - scene.strangers.objects - set(excused)):
        # That of a published directory is held against its manifest where it is fetched.
        if key.rpartition("/")[0] not in published:
            yield f"an object that no manifest names: {key}"
    for upload in uploads.keys() - scene.strangers.uploads.keys():
        yield f"an open multipart upload: {uploads[upload]} {upload}"


def _of_gc(scene: Scene) -> Iterator[str]:
    found = scene.ground.database.gc_row()
    if found != scene.gc_row:
        yield f"the GC row was {scene.gc_row}, and is {found}"


def _of_processes(volume: Path, *, seconds: float) -> Iterator[str]:
    deadline = time.monotonic() + seconds
    while found := _alive(volume):
        if time.monotonic() > deadline:
            yield from (f"a process is alive: {each}" for each in found)
            return
        time.sleep(0.05)


def _alive(volume: Path) -> list[str]:
    word = os.fsencode(volume)
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = Path(entry.path, "cmdline").read_bytes()
            except OSError:
                continue
            if word in line:
                found.append(f"{entry.name} {line.replace(bytes(1), b' ').decode()[:300]}")
    return found


def _of_resuming(result: Result, before: Struck) -> Iterator[str]:
    """A finished dump is taken up, and nothing that was confirmed is sent again."""
    resumed = result.summary.get("resumed")
    if resumed is not before.confirmed.dumped:
        yield f"resumed is {resumed}, but dumped was {before.confirmed.dumped}"
    if resumed and result.events("dumping"):
        yield "resumed, and Dumpling was run"


def _of_bytes(scene: Scene, backup: Fetched, directory: str, before: Struck) -> Iterator[str]:
    """Nothing of the dump that the journal held as confirmed was sent again."""
    sent = 0
    for request in scene.accepted:
        name, part = _sent(request, f"/{scene.ground.bucket}/{directory}/")
        if not name or name in {MANIFEST, RECORD}:
            continue
        sent += request.length
        if name in before.confirmed.files or (name, part) in before.confirmed.parts:
            yield f"confirmed by the journal, and sent again: {request.operation} {request.target}"
    most = backup.record["bytes"] - before.confirmed.bytes
    if sent > most:
        yield f"{sent} bytes were sent, {most} of the dump were not confirmed"


def _sent(request: Request, root: str) -> tuple[str, int]:
    """The name of the file that a request brought to a backup's directory, and of which part."""
    address = urlsplit(request.target)
    path = unquote(address.path)
    if request.operation not in {"PutObject", "UploadPart"} or not path.startswith(root):
        return "", 0
    (part,) = parse_qs(address.query).get("partNumber", ["0"])
    return path.removeprefix(root), int(part)
