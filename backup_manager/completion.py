"""Completion in a shell, by click's own protocol, for ``--flag=value`` too.

Imported only where a shell asks. click completes the value of ``--flag value``; what it lacks for
``--flag=value`` is here: bash hands over ``=`` as a word, zsh and fish want the whole word back.
"""

import os

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)


class _Bash(BashComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        args, begun = super().get_completion_args()
        if args and args[-1] == "=":
            args.pop()
        return args, begun


class _WholeWord(ShellComplete):
    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        items = super().get_completions(args, incomplete)
        flag, equals, _ = incomplete.partition("=")
        if not equals or not flag.startswith("--"):
            return items
        return [
            CompletionItem(f"{flag}={item.value}", item.type, item.help)
            if item.type == "plain"
            else item
            for item in items
        ]


class _Zsh(_WholeWord, ZshComplete):
    pass


class _Fish(_WholeWord, FishComplete):
    pass


def prepare() -> None:
    """Make click use these; what a shell should have said, and has not, is nothing."""
    for name, nothing in (("COMP_WORDS", ""), ("COMP_CWORD", "0")):
        os.environ.setdefault(name, nothing)
    for shell in (_Bash, _Zsh, _Fish):
        add_completion_class(shell)
