"""The README tells the truth about flags, exit codes and Dumpling's options."""

import re

from backup_manager.cli import cli
from backup_manager.database.privileges import SYSTEM_SCHEMAS
from backup_manager.definitions import DEFINITIONS
from backup_manager.definitions.run import LOG
from backup_manager.definitions.store import STORE
from backup_manager.dumpling.decisions import TABLE
from backup_manager.errors import BackupError, ExitCode, Reason
from backup_manager.store.providers import PROVIDERS, Provider
from backup_manager.store.rclone import parse
from backup_manager.store.rclone_options import HARMLESS, HARMLESS_SWITCHES, OPTIONS
from tests.command import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def _rows(heading: str, document: str = README) -> list[list[str]]:
    """The rows of the first table after a heading, without its own head."""
    text = document.split(heading, 1)[1]
    table = re.search(r"(?m)(?:^\|.*\n)+", text)
    assert table
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_flag_is_documented_with_its_default_and_variable() -> None:
    rows = _rows("# Settings of export", SETTINGS)
    documented = {flag: row for row in rows for flag in re.findall(r"--[A-Za-z0-9-]+", row[0])}
    expected = {f"--{definition.flag}" for definition in DEFINITIONS} | {"--dry-run"}
    assert expected == set(documented)
    for definition in DEFINITIONS:
        row = documented[f"--{definition.flag}"]
        if definition.variable:
            assert definition.variable in row[1]
        if definition.default:
            assert definition.default in row[2]


def test_every_flag_of_the_other_commands_is_documented() -> None:
    rows = _rows("## Settings of the other commands", SETTINGS)
    documented = {
        (command, flag)
        for row in rows
        for command in re.findall(r"`(\w+)`", row[1])
        for flag in re.findall(r"`(--[A-Za-z-]+)`", row[0])
    }
    shared = {f"--{definition.flag}" for definition in (*STORE, *LOG)} | {"--help"}
    everything = shared | {f"--{definition.flag}" for definition in DEFINITIONS}
    expected = {
        (name, flag)
        for name, command in cli.commands.items()
        for parameter in command.params
        for flag in parameter.opts
        if flag.startswith("--") and flag not in (everything if name == "doctor" else shared)
    }
    assert expected - {("export", flag) for flag in everything | {"--dry-run"}} == documented
    said = SETTINGS.split("## Settings of the other commands")[1].split("|")[0]
    assert {f"--{definition.flag}" for definition in (*STORE, *LOG)} == set(
        re.findall("`(--[a-z0-9-]+)`", said)
    )


def test_every_exit_code_is_documented() -> None:
    cells = [row[0] for row in _rows("## What you see")]
    documented = {int(code) for cell in cells for code in re.findall(r"\d+", cell)}
    assert {int(code) for code in ExitCode} == documented


def test_the_exit_codes_have_the_words_of_the_manual_page() -> None:
    rows = {row[0]: row[1].replace("`", "") for row in _rows("## What you see")}
    for kind in BackupError.__subclasses__():
        if str(int(kind.exit_code)) in rows and kind.exit_code != ExitCode.DEFECT:
            words = (kind.__doc__ or "").split("\n")[0].replace("`", "").rstrip(".")
            assert rows[str(int(kind.exit_code))].lower() == words.lower()
    page = (ROOT / "docs" / "backup-manager.1").read_text(encoding="utf-8").lower()
    for code in (ExitCode.DEFECT, ExitCode.KUBERNETES):
        assert f"\n{rows[str(int(code))]}.\n".lower() in page
    (beside,) = re.findall(r"(?s)\n(These are the codes of .*?)\n\n", README)
    assert f"\n.pp\n{' '.join(beside.split())}\n".replace("`", "").lower() in page


def test_every_decision_on_dumplings_options_is_documented() -> None:
    rows = {
        (row[0].replace("`", ""), row[1], row[2])
        for row in _rows("## Dumpling's options", SETTINGS)
    }
    expected = {
        (decision.shown, decision.verdict.value, decision.reason + _instead(decision.instead))
        for decision in TABLE
    }
    assert expected == rows


def _instead(text: str) -> str:
    return f"; use {text}" if text else ""


def test_every_test_that_the_promises_name_is_there() -> None:
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 30
    for file, test in named:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in source, f"{file}::{test}"


def test_every_reason_is_told_in_operations() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = {
        word
        for line in text.splitlines()
        if line.startswith("| `")
        for word in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert {str(reason) for reason in Reason} == told


def test_the_table_of_providers() -> None:
    text = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    rows = [row for row in _rows("# Stores", text) if row]
    etags = {"md5": "all objects", "single": "single ones"}
    for name, *cells, _tried in rows:
        provider = PROVIDERS[name.strip("`")]
        own = f"`{provider.endpoint}`" if provider.endpoint else "needed"
        expected = [
            "path" if provider.addressing == "path" else "host",
            own if provider.needs_endpoint or provider.endpoint else "Amazon's",
            provider.region,
            etags[provider.etag],
            *("yes" if flag else "no" for flag in _flags(provider)),
        ]
        assert expected == cells, name
    assert list(PROVIDERS) == [row[0].strip("`") for row in rows]


def _flags(provider: Provider) -> tuple[bool, ...]:
    return provider.content_md5, provider.acl, provider.conditional, provider.bulk_delete


def test_every_option_of_rclone_is_documented() -> None:
    rows = [(row[0].strip("`"), row[1]) for row in _rows("\n## rclone's options")]
    assert [(f"--{option.name}", option.meaning) for option in OPTIONS] == rows


def test_every_option_of_rclone_that_changes_nothing_is_listed() -> None:
    text = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    switches, others = text.split("Accepted, without a value:")[1].split("Accepted, with a value:")
    for names, listed in ((HARMLESS_SWITCHES, switches), (HARMLESS, others)):
        assert sorted(names) == re.findall(r"`--([\w-]+)`", listed)
    for short in re.findall(r"`(-\w)`", switches):
        assert parse([short], lambda _: None).ignored
    assert 5 == len(re.findall(r"`(-\w)`", switches))


def test_every_page_is_linked_from_the_readme() -> None:
    listed = re.findall(r"\(docs/(\w+\.md)\)", README.split("## Documentation")[1])
    assert {page.name for page in (ROOT / "docs").glob("*.md")} <= set(listed)


def test_every_link_within_the_documents_leads_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if target.startswith("http"):
                continue
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            assert file.exists(), f"{page.name}: {target}"
            if anchor:
                heads = re.findall(r"(?m)^#+ (.+)$", file.read_text(encoding="utf-8"))
                assert anchor in {_anchor(head) for head in heads}, f"{page.name}: {target}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_query_for_the_volumes_size_is_the_programs_own() -> None:
    (query,) = re.findall(r"(?s)```sql\n(SELECT SUM.*?);\n```", README)
    source = (ROOT / "backup_manager" / "database" / "privileges.py").read_text(encoding="utf-8")
    told, _, schemas = " ".join(query.split()).partition("(" + "'mysql'")
    assert told.rstrip(" ") in " ".join(source.replace('"', " ").split())
    assert set(SYSTEM_SCHEMAS) == set(re.findall(r"\w+", f"mysql {schemas}"))
