"""What the pages say of backups that are there is done: against Ceph, with backups in it."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backup_manager.database.lease_document import Document, Original
from tests.command import DOUBLE, ROOT
from tests.life.backups import FILES, Shelf, ago, make_backup
from tests.life.commands import Life
from tests.servers import GC_COMMENT, GC_VALUE, Ceph, Database, wait_until
from tests.test_docs_commands import (
    BIN,
    COMMANDS,
    LIFE,
    Command,
    block_of,
    is_there,
    place,
    run,
)

__all__ = ["place"]  # the fixture

MORE = FILES | {
    "shop.tmp_day-schema.sql": b"CREATE TABLE `tmp_day` (`id` int);\n",
    "shop.tmp_day.000000000.sql": b"INSERT INTO `tmp_day` VALUES (1);\n",
}
NIGHTS = 9
# What a prune of the pages leaves: so many of the nightly ones, and of the one taken by hand.
_LEFT = {
    "prune --max-backups=7 --dry-run": (NIGHTS, 1),
    "prune --max-backups=7": (7, 0),
    "prune --max-reserved-time=72h --max-backups=2": (3, 0),
    "prune --schedule=demo1-nightly --max-backups=7": (7, 1),
}


@dataclass(frozen=True)
class Filled:
    """A shelf, and the names of what is on it, the newest first; the last was taken by hand."""

    shelf: Shelf
    names: list[str]

    def here(self, line: str, scratch: Path) -> str:
        """The line, of this shelf and of this machine."""
        backup = re.escape("s3://backups/demo1/backup-2026-11-22T10:00:00Z-1a2b3c4d")
        line = re.sub(backup, self.shelf.url(self.names[0]), line)
        line = line.replace("--bucket=backups", f"--bucket={self.shelf.bucket}")
        line = line.replace("http://rgw.ceph:7480", self.shelf.server.http)
        return line.replace("/data/", f"{scratch}/")


@pytest.fixture
def filled(ceph: Ceph, bucket: str) -> Filled:
    shelf = Shelf(ceph, bucket, prefix="demo1")
    small = {"metadata": FILES["metadata"]}
    names = [make_backup(shelf, started=ago(days=NIGHTS), files=small)]
    for night in range(NIGHTS - 1, -1, -1):
        files = small if night else MORE
        started = ago(days=night, hours=1)
        names.append(make_backup(shelf, started=started, schedule="demo1-nightly", files=files))
    return Filled(shelf, names[::-1])


def _list(line: str, said: str, filled: Filled) -> None:
    if "--json" in line:
        assert [filled.shelf.url(name) for name in filled.names] == said.split()
    else:
        head, *lines = said.splitlines()
        shown = (ROOT / "docs/backups.md").read_text(encoding="utf-8").split("\n## list")[1]
        assert head.split() == re.findall(r"```\n(BACKUP .*)", shown)[0].split()
        rows = [line.split()[:2] for line in lines]
        assert [[name, "complete"] for name in filled.names] == rows


def _verify(line: str, said: str, filled: Filled) -> None:
    summary = json.loads(said.splitlines()[-1])
    assert ("complete", filled.shelf.url(filled.names[0])) == (
        summary["status"],
        summary["backup"],
    )
    assert sum(map(len, MORE.values())) == summary["bytes"]
    assert len(MORE) == summary["files"]
    assert ("--deep" in line) == (summary["message"].endswith("every byte read")), summary[
        "message"
    ]


def _prune(line: str, said: str, filled: Filled) -> None:
    assert '"status":"complete"' in said.splitlines()[-1]
    nightly, by_hand = _LEFT[line.removeprefix("backup-manager ")]
    left = [*filled.names[:nightly], *filled.names[NIGHTS : NIGHTS + by_hand]]
    assert set(left) == filled.shelf.names()


def _clean(line: str, said: str, filled: Filled) -> None:
    del line
    assert "complete" == json.loads(said.splitlines()[-1])["status"]
    assert set(filled.names[1:]) == filled.shelf.names()


def _download(line: str, said: str, filled: Filled) -> None:
    del filled
    summary = json.loads(said.splitlines()[-1])
    assert "complete" == summary["status"]
    wanted = {
        name: data for name, data in MORE.items() if "--tables" not in line or "tmp_" not in name
    }
    (directory,) = re.findall(r"^(\S+) holds", summary["message"])
    assert wanted == {each.name: each.read_bytes() for each in Path(directory).iterdir()}


_EXPECTED: dict[str, Callable[[str, str, Filled], None]] = {
    "list": _list,
    "verify": _verify,
    "prune": _prune,
    "clean": _clean,
    "download": _download,
}
LINES = [
    each for each in COMMANDS if each.line.startswith("backup-manager") and each.command in LIFE
]


def test_there_are_lines_of_each_command() -> None:
    assert set(_EXPECTED) == {each.command for each in LINES} == set(LIFE)
    assert set(_LEFT) == {
        each.line.removeprefix("backup-manager ") for each in LINES if each.command == "prune"
    }


@pytest.mark.parametrize("command", LINES, ids=str)
def test_a_line(command: Command, filled: Filled, place: Path) -> None:
    if "| jq " in command.line and not is_there("jq"):
        pytest.skip("no jq")
    line = filled.here(command.line, place)
    said = run(line, place, **{**Life(filled.shelf).variables(), "PATH": _path()})
    _EXPECTED[command.command](command.line, said, filled)


def _path() -> str:
    return f"{BIN}:{os.environ['PATH']}"


@pytest.fixture
def dead_lease(tidb: Database) -> Iterator[str]:
    """A lease of a run that was killed, in the row of the GC life time; its id."""
    before = tidb.gc_row()
    document = Document(
        Original(GC_VALUE, GC_COMMENT, "72h0m0s"), {"1a2b3c4d": round(time.time()) - 4210}
    )
    sql = "REPLACE INTO mysql.tidb VALUES ('tikv_gc_life_time', %s, %s)"
    tidb.execute(sql, ("72h0m0s", document.encode()))
    yield "1a2b3c4d"
    tidb.execute(sql, before)


def test_the_example_of_doctor(
    tidb: Database, ceph: Ceph, unique: str, dead_lease: str, place: Path
) -> None:
    """Such a bucket is not there, and such a lease is: it says so, in these lines."""
    page = block_of("docs/operations.md", "Before the first backup: doctor", "text")
    line, shown = page.removeprefix("$ ").replace("\\\n", " ").split("\n", 1)
    account = f"doc{unique[-8:]}"
    tidb.create_account(account, "a password")
    for told, true in {
        "--host=demo1-tidb": f"--host={tidb.host} --port={tidb.port}",
        "--user=backup": f"--user={account}",
        "http://rgw.ceph:7480": ceph.http,
        "--bucket=backup ": f"--bucket={unique} ",
    }.items():
        assert told in line
        line = line.replace(told, true)
    volume = place / "volume"
    volume.mkdir()
    variables = Life(Shelf(ceph, unique)).variables() | {
        "PATH": _path(),
        "BACKUP_MANAGER_PASSWORD": "a password",
        "BACKUP_MANAGER_VOLUME": str(volume),
        "BACKUP_MANAGER_DUMPLING": str(DOUBLE),
    }
    for given in ("ENDPOINT", "REGION", "BUCKET", "PREFIX"):
        del variables[f"BACKUP_MANAGER_{given}"]

    done = subprocess.run(
        shlex.split(line), env=variables, capture_output=True, text=True, check=False, timeout=60
    )

    assert _verdicts(shown) == _verdicts(done.stdout)
    assert f"ends with {dead_lease} (ended 1h10m" in done.stdout
    told, said = (
        json.loads(each.splitlines()[-1].replace(",...}", "}")) for each in (shown, done.stdout)
    )
    assert 7 == told["exit_code"] == said["exit_code"] == done.returncode
    assert (told["status"], told["reason"]) == (said["status"], said["reason"])


def _verdicts(text: str) -> list[tuple[str, str]]:
    """Verdict and title of each check."""
    return re.findall(r"(?m)^(ok|warning|failed|skipped) +(\w+(?: \w+)?)(?=  )", text)


def test_the_first_trial_of_the_readme(place: Path) -> None:
    """The servers in one terminal; in another an export, and what is said of its backup."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?s)```shell\n(.*?)```", text.split("## Try it")[1].split("\n## ")[0])
    _, start, export, look = blocks
    variables = {**os.environ, "PATH": _path()}
    servers = subprocess.Popen(
        ["bash", "-c", f"exec {start}"], cwd=place, env=variables, start_new_session=True
    )
    try:
        told = place / "servers.env"
        wait_until(
            lambda: told.exists() and "AWS_SECRET" in told.read_text(),
            seconds=120,
            what="the servers tell where they are",
        )
        output = run(export + look, place)
        made, verified, downloaded = map(json.loads, re.findall(r"(?m)^\{.*\}$", output))
        backup = made["backup"]
        name = backup.removeprefix("s3://backups/")
        assert re.search(rf"(?m)^{name} +complete ", output)
        assert backup == verified["backup"] == downloaded["backup"]
        assert {"complete"} == {each["status"] for each in (made, verified, downloaded)}
        assert made["files"] == verified["files"] == downloaded["files"]
        assert [] == list((place / "volume").iterdir())
        restored = sorted(each.name for each in (place / "restored").iterdir())
        assert restored == sorted(output.splitlines()[-len(restored) :])
        assert {"metadata", "shop-schema-create.sql", "shop.orders-schema.sql"} < set(restored)
        if is_there("aws", "jq"):
            _fetch_without_this_program(place, backup)
    finally:
        os.killpg(servers.pid, signal.SIGTERM)
        servers.wait(60)


def _fetch_without_this_program(place: Path, backup: str) -> None:
    fetch = block_of("docs/backups.md", "Without this program", "shell")
    with_it = '. ./servers.env; export AWS_ENDPOINT_URL="$S3_HTTP"\n'
    assert "" == run(with_it + fetch, place, backup=backup)
    restored = {each.name: each.read_bytes() for each in (place / "restored").iterdir()}
    fetched = {each.name: each.read_bytes() for each in (place / "backup").iterdir()}
    assert {"backup.json", "manifest.jsonl.gz"} == set(fetched) - set(restored)
    assert restored == {name: fetched[name] for name in restored}
    sql = next((place / "backup").glob("*.sql"))
    sql.write_text("something else")
    with pytest.raises(AssertionError, match=f"{sql.name}: FAILED"):
        run(fetch.partition("\n")[2], place)


def test_an_archive_without_this_program(ceph: Ceph, bucket: str, place: Path) -> None:
    if not is_there("aws"):
        pytest.skip("no aws")
    shelf = Shelf(ceph, bucket, prefix="demo1")
    name = make_backup(shelf, archived=True)
    page = (ROOT / "docs/backups.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"(?s)```\n(aws s3 cp.*?)```", page.split("### Without this program")[1])
    lines = lines.replace("backup-2026-11-22T10:00:00Z-1a2b3c4d.tgz", name)
    run(
        lines,
        place,
        backup=shelf.url(name),
        AWS_ENDPOINT_URL=ceph.http,
        AWS_ACCESS_KEY_ID=ceph.access_key,
        AWS_SECRET_ACCESS_KEY=ceph.secret_key,
    )
    unpacked = place / name.removesuffix(".tgz")
    assert FILES == {each.name: each.read_bytes() for each in unpacked.iterdir()}
