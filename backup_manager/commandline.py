"""The command line's words: flags made of the settings, help in groups, what a slip is answered."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any

import click
from click.shell_completion import CompletionItem

from backup_manager.definitions import GROUPS, Definition, definitions_of
from backup_manager.errors import UsageError

# Commands of TiDB Operator's own manager: its image serves BR and restores too.
_OPERATORS = {"backup", "restore", "import", "compact"}
_NOT_HERE = "it is of TiDB Operator's own image, for BR and for restores; this one makes backups"
_OTHER_IMAGE = "set the operator's tidbBackupManagerImage back to its own for that"
_COLUMN = 30  # the widest flag that its description stands beside
# Metavars of settings that a shell completes with names of files.
_PATHS = {"FILE": "file", "DIR": "dir"}


class GroupedCommand(click.Command):
    """A command whose help tells of its settings under the headings that GROUPS has for it."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        told = {
            parameter.name: record
            for parameter in self.get_params(ctx)
            # An argument has no text of its own: the command's tells of it.
            if (record := parameter.get_help_record(ctx)) and record[1]
        }
        sections = [
            (title, [told.pop(one.name) for one in group if one.name in told])
            for title, group in GROUPS[str(self.name)].items()
        ]
        sections.append(("Other", list(told.values())))
        records = [record for _, section in sections for record in section]
        width = max(len(flag) for flag, _ in records if len(flag) <= _COLUMN)
        for title, section in sections:
            if section:
                with formatter.section(title):
                    formatter.write_dl([(flag.ljust(width), text) for flag, text in section])


def settings_options(command: str) -> Callable[[Any], Any]:
    """Return a decorator that gives a command each of its settings as a flag."""

    def decorate(function: Any) -> Any:
        for definition in reversed(definitions_of(command)):
            function = _option(definition)(function)
        return function

    return decorate


def _option(definition: Definition) -> Callable[[Any], Any]:
    flag, name = f"--{definition.flag}", definition.name  # click would make it lower case
    if definition.go:
        about = help_of(definition)
        return click.option(
            flag, name, is_flag=False, flag_value="true", metavar="[=true]", help=about
        )
    if definition.switch:
        return click.option(flag, name, is_flag=True, help=help_of(definition))
    return click.option(
        flag,
        name,
        multiple=definition.repeated,
        metavar=definition.metavar,
        help=help_of(definition),
        shell_complete=lambda _context, _parameter, begun: _complete(definition, begun),
    )


def help_of(definition: Definition) -> str:
    """Return a setting's help with its other variable and its default."""
    text = definition.help
    if definition.variable:
        text += f" Also: {definition.variable}."
    if definition.default:
        text += f" [default: {definition.default}]"
    return text


def _complete(definition: Definition, begun: str) -> list[CompletionItem[str]]:
    if kind := _PATHS.get(definition.metavar):
        return [CompletionItem(begun, type=kind)]
    return [CompletionItem(value) for value in definition.choices if value.startswith(begun)]


def usage_error(error: click.ClickException, command: str) -> UsageError:
    """Say in our own form what was wrong with the words of a command line.

    ``command`` is the one that was meant, where click does not tell it.
    """
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else command
    see = f"see {path} --help"
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error, see)
    if isinstance(error, click.NoSuchCommand):
        what = f"there is no command {error.command_name}"
        if error.command_name in _OPERATORS:
            return UsageError(what, why=_NOT_HERE, fix=_OTHER_IMAGE)
        return UsageError(what, fix=_meant(error.possibilities, see))
    return UsageError(error.format_message().rstrip("."), fix=see)


def _no_such_option(error: click.NoSuchOption, see: str) -> UsageError:
    name = error.option_name.lstrip("-")
    if name == "password":
        return UsageError(
            "there is no --password",
            why="everyone who may list processes would see it",
            fix="use --password-file or the variable BACKUP_MANAGER_PASSWORD",
        )
    command = error.ctx and error.ctx.command
    if isinstance(command, click.Group) and (owner := _first_with(name)):
        return UsageError(
            f"--{name} is a flag of the command {owner}",
            fix=f"put it behind the command: backup-manager {owner} --{name}",
        )
    if command and "Dump" in GROUPS.get(str(command.name), ()):
        return _no_option_of_export(name, error, see)
    return UsageError(
        f"there is no option {error.option_name}", fix=_meant(error.possibilities, see)
    )


def _no_option_of_export(name: str, error: click.NoSuchOption, see: str) -> UsageError:
    # Imported here: it is needed for a slip only.
    from backup_manager.dumpling.binary import COMMON_FLAGS  # noqa: PLC0415 - see above

    dumplings = [f"--{flag.name}" for flag in COMMON_FLAGS]
    if f"--{name}" in dumplings:
        return UsageError(
            f"--{name} is an option of Dumpling, not of backup-manager",
            fix=f"put it after --, or give --dumpling-option=--{name}=...",
        )
    fix = _meant(error.possibilities, see)
    if not error.possibilities and (near := get_close_matches(f"--{name}", dumplings, n=1)):
        fix = f"is Dumpling's {near[0]} meant? Then put it after --; else {see}"
    return UsageError(f"there is no option {error.option_name}", fix=fix)


def _first_with(flag: str) -> str | None:
    """Return the first command that has a setting of this name."""
    commands = (name for name in GROUPS if flag in {one.flag for one in definitions_of(name)})
    return next(commands, None)


def _meant(possibilities: Sequence[str] | None, see: str) -> str:
    """Name the nearest; click has them in the order of likeness."""
    return f"is {possibilities[0]} meant? Else {see}" if possibilities else see
