"""What the README says of TiDB Lightning, which is not here: its keys, its flags and its paths."""

import re
import shlex
import tomllib
from urllib.parse import parse_qs, urlsplit

from backup_manager.store.providers import PROVIDERS
from tests.command import ROOT
from tests.test_docs_commands import COMMANDS

# https://docs.pingcap.com/tidb/stable/tidb-lightning-command-line-full
_LIGHTNING_FLAGS = {"config", "d", "backend", "tidb-host", "tidb-port", "tidb-user"}
# https://docs.pingcap.com/tidb/stable/tidb-lightning-configuration
_LIGHTNING_KEYS = {
    "lightning": {"file", "level", "status-addr"},
    "checkpoint": {"enable", "driver", "dsn", "schema", "keep-after-success"},
    "tikv-importer": {"backend", "sorted-kv-dir", "on-duplicate"},
    "mydumper": {"data-source-dir", "filter", "no-schema"},
    "tidb": {"host", "port", "user", "password", "status-port", "pd-addr", "sql-mode"},
}


def test_the_configuration_of_tidb_lightning() -> None:
    """There is no Lightning here: what can be told of its files is."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    whole, part = map(tomllib.loads, re.findall(r"(?s)```toml\n(.*?)```", text))
    for tables in (whole, part):
        for table, keys in tables.items():
            assert set() == set(keys) - _LIGHTNING_KEYS[table], table
    assert {"lightning", "checkpoint", "tikv-importer", "mydumper", "tidb"} == set(whole)
    assert "tidb" == whole["tikv-importer"]["backend"]
    assert "NO_AUTO_VALUE_ON_ZERO" in whole["tidb"]["sql-mode"].split(",")
    source = urlsplit(whole["mydumper"]["data-source-dir"])
    assert ("s3", "backups") == (source.scheme, source.netloc)
    assert parse_qs(source.query)["provider"][0] in PROVIDERS
    downloads = {shlex.split(each.line)[3] for each in COMMANDS if each.command == "download"}
    # The other one is that of the first trial.
    assert {part["mydumper"]["data-source-dir"], "restored"} == downloads


def test_the_command_line_of_tidb_lightning() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (line,) = (each.line for each in COMMANDS if each.program == "tidb-lightning")
    _, flag, file = shlex.split(line)
    assert flag.lstrip("-") in _LIGHTNING_FLAGS
    assert f"```toml\n# {file}\n" in text
