"""Writes the manual page backup-manager(1) from what --help says: `scripts/manpage.py FILE`.

Its macros are those of man(7). Committed as docs/backup-manager.1, since building a wheel must not
need click; tests/test_manpage.py compares them.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from backup_manager import __version__
from backup_manager.cli import cli
from backup_manager.commandline import help_of
from backup_manager.commands.export import EPILOG
from backup_manager.definitions import GROUPS, Definition
from backup_manager.errors import BackupError, ExitCode
from backup_manager.settings import PASSWORD_VARIABLE

_DESCRIPTION = """\
Dumps a TiDB cluster with Dumpling, and sends the files to a store that speaks S3 while Dumpling is
still writing them. A backup exists only once the store has been asked what it holds and a small
commit record has been written last: no record, no backup.

export takes a backup, and doctor tries beforehand what that will need. list shows the backups under
a prefix, verify compares one with its manifest, or byte by byte, prune removes what is too old or
too many, clean removes one, and download brings one, or some tables of it, into a directory, from
which TiDB Lightning loads it. render makes TiDB Operator's Backup and BackupSchedule objects into
what a cluster runs without the operator.

Logs go to stderr: JSON lines, or text and a live display on a terminal. The last line of stdout,
but for list and render, is one JSON object that says how it ended, on failure too. Shortened to
4,096 bytes it goes to /dev/termination-log too, where there is one.
"""
_OPTIONS = "[\\fIOPTION\\fR]..."
# Where no class of errors says it.
_MEANINGS = {
    ExitCode.COMPLETE: "Done. export has published. Or a dry run: the reason is DryRun.",
    ExitCode.DEFECT: "A defect of this program; the log has the stack trace.",
    ExitCode.INTERRUPTED: "Stopped by SIGINT: undone, or taken up by the next run.",
    ExitCode.TERMINATED: "Stopped by SIGTERM: undone, or taken up by the next run.",
}
# The README has it below its table.
_EXIT_STATUS = """\
These are the codes of every command. To download its directory is the volume: 9 where it has too \
little room, 10 where another download is at work in it. doctor ends with the code of the first \
check that failed."""
_ENVIRONMENT = {
    PASSWORD_VARIABLE: "The password of the database account, where --password-file gives none.",
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, ...": (
        "The keys of the store, by botocore's whole chain: variables, profiles, a web identity, "
        "containers' credentials, the metadata service."
    ),
    "NO_COLOR": "No colours on a terminal. TERM=dumb: no control sequences at all.",
}
_FILES = {
    "/backup": "The volume, unless --volume names another: the dump, and the journal beside it.",
    "/dev/termination-log": "Where Kubernetes reads why a container ended.",
}


def escaped(text: str) -> str:
    """Escape what roff would take for its own: backslashes, and dots that begin a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in {".", "'"} else line for line in text.split("\n"))


def _item(term: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield term
    yield escaped(text)


def _flag(definition: Definition) -> Iterator[str]:
    value = "" if definition.switch else f"=\\fI{escaped(definition.metavar)}\\fR"
    yield from _item(f"\\fB\\-\\-{escaped(definition.flag)}\\fR{value}", help_of(definition))


def _operands(command: click.Command) -> str:
    metavars = [
        parameter.make_metavar(click.Context(command))
        for parameter in command.params
        if isinstance(parameter, click.Argument)
    ]
    return " ".join([_OPTIONS, *(f"\\fI{escaped(metavar)}\\fR" for metavar in metavars)])


def _options(command: click.Command) -> Iterator[str]:
    groups = GROUPS[str(command.name)]
    known = {definition.name for group in groups.values() for definition in group}
    same = [
        title
        for title, group in groups.items()
        if command.name != "export" and group is GROUPS["export"].get(title)
    ]
    if same:
        yield f".PP\nOf {', '.join(same)} it has the options of export."
    for title, group in groups.items():
        if title not in same:
            yield f'.SS "{title}"'
            for definition in group:
                yield from _flag(definition)
    yield '.SS "Other"'
    for parameter in command.get_params(click.Context(command)):
        if isinstance(parameter, click.Option) and parameter.name not in known:
            names = ", ".join(f"\\fB{escaped(name)}\\fR" for name in parameter.opts)
            yield from _item(names, parameter.help or "")


def _exit_codes() -> Iterator[str]:
    meanings = dict(_MEANINGS)
    for kind in BackupError.__subclasses__():
        meanings.setdefault(kind.exit_code, (kind.__doc__ or "").split("\n")[0].replace("``", ""))
    for code in ExitCode:
        yield from _item(f"\\fB{int(code)}\\fR", meanings[code])
    yield f".PP\n{escaped(_EXIT_STATUS)}"


def _environment() -> Iterator[str]:
    text = (
        "Every flag may be given as a variable too: its name in capitals after BACKUP_MANAGER_, "
        "dashes as underscores, such as BACKUP_MANAGER_BUCKET. A flag comes first, then that "
        "variable, then the one of TiDB Operator that the flag's description names. An empty "
        "variable is an unset one."
    )
    yield escaped(text)
    for name, meaning in _ENVIRONMENT.items():
        yield from _item(f"\\fB{escaped(name)}\\fR", meaning)


def _examples() -> Iterator[str]:
    for block in EPILOG.split("\b\n")[1:]:
        lines = block.partition("\n\n")[0].removeprefix("Examples:\n").rstrip().split("\n")
        yield from (".PP", ".nf", ".RS 4")
        yield escaped("\n".join(line.removeprefix("  ") for line in lines))
        yield from (".RE", ".fi")


def page() -> str:
    """Return the whole page."""
    lines = [
        f'.TH BACKUP\\-MANAGER 1 "" "backup\\-manager {__version__}" "User Commands"',
        ".SH NAME",
        "backup\\-manager \\- full logical backups of a TiDB cluster to S3\\-compatible storage",
        ".SH SYNOPSIS",
        *(
            f".B backup\\-manager {name}\n{_operands(command)}\n.br"
            for name, command in cli.commands.items()
        ),
        ".B backup\\-manager \\-\\-version\n.br",
        ".B backup\\-manager\n[\\fICOMMAND\\fR] \\fB\\-\\-help\\fR",
        ".SH DESCRIPTION",
        escaped(_DESCRIPTION.rstrip()).replace("\n\n", "\n.PP\n"),
    ]
    for name, command in cli.commands.items():
        lines += [f'.SH "OPTIONS OF {name.upper()}"']
        said = escaped(inspect.cleandoc(command.help or "")).replace("\n\n", "\n.PP\n")
        lines += [said, *_options(command)]
    lines += [".SH EXIT STATUS", *_exit_codes()]
    lines += [".SH ENVIRONMENT", *_environment()]
    lines += [".SH FILES"]
    for path, meaning in _FILES.items():
        lines += _item(f"\\fI{escaped(path)}\\fR", meaning)
    lines += [".SH EXAMPLES", *_examples()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
