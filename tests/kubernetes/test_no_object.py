"""Without --backupName: no client is imported, and no cluster is looked for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT
from tests.doubles.kubernetes_double import KubernetesDouble
from tests.servers import Database

from .conftest import Apply, MakeJob

# What Python itself says of each import, file and connection; a log of ours could forget one.
_WATCHED = """
import atexit, json, sys

seen = {"imports": [], "files": [], "addresses": []}

def watch(event, arguments):
    if event == "import":
        seen["imports"].append(arguments[0])
    elif event == "open" and isinstance(arguments[0], str):
        seen["files"].append(arguments[0])
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        seen["addresses"].append(arguments[1][1])

sys.addaudithook(watch)
path = sys.argv.pop(1)
atexit.register(lambda: open(path, "w").write(json.dumps(seen)))
from backup_manager.__main__ import main
main()
"""


@pytest.mark.parametrize("named", [False, True])
def test_neither_a_client_nor_a_cluster(
    api: KubernetesDouble, apply: Apply, job: MakeJob, shop: Database, tmp_path: Path, named: bool
) -> None:
    """In a Pod's environment; with the object named, the same means find all of it."""
    apply()
    export = job(environment=api.environment).but(
        host=shop.host, port=shop.port, user="backup", table_filter=["shop.*"]
    )
    if not named:
        export = export.but(namespace=None, backupName=None)
    argv = export.argv()
    report = tmp_path / "seen"

    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(report), *argv[argv.index("export") :]],
        cwd=ROOT,
        env=export.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode, done.stderr
    seen = json.loads(report.read_text())
    clients = {"lightkube", "httpx2"} & set(seen["imports"])
    assert ({"lightkube", "httpx2"} if named else set()) == clients
    assert named == (api.port in seen["addresses"])
    assert named == (str(tmp_path / "kubeconfig") in seen["files"])
    assert named == bool(api.requests)
    assert [] == [name for name in seen["files"] if "serviceaccount" in name]
    assert shop.port in seen["addresses"]
