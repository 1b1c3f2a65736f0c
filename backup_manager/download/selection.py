"""Which files of a backup the rules of ``--tables`` take, judged by the files' names."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from backup_manager.dumpling.content import parse_name
from backup_manager.dumpling.rules import Rule, parse, takes_table
from backup_manager.errors import UsageError
from backup_manager.report import Report

# Names are compared as Dumpling's filter does it unless told otherwise.
_CASE_SENSITIVE = False
_TEMPLATE = "--output-filename-template="
# A dash in front of "schema" is escaped in names (see dumpling/content.py): these mark kinds.
_VIEW, _SEQUENCE = "-schema-view.", "-schema-sequence."
_SHOWN = 5


class Selection:
    """The files that rules such as ``shop.*`` take; without a rule it is every file.

    With a table go all its files, and the one that creates its schema; a rule for all of a schema
    takes this one even where it has no table. What belongs to no schema (``metadata``, placement
    policies) always goes: tables may need it. The last rule that fits a table decides. Memory grows
    with the schemas that are taken, not with files.
    """

    def __init__(self, texts: Sequence[str], dumpling_options: Iterable[str]) -> None:
        """Read the rules. Raises UsageError for wrong ones, and where names tell no tables."""
        self._rules = parse(texts)
        self.everything = not texts
        self._schemas: set[str] = set()
        # The files of a table stand together.
        self._takes_table = lru_cache(maxsize=64)(self._decide)
        if self.everything:
            return
        if not any(rule.positive for rule in self._rules):
            raise UsageError(
                "--tables takes nothing",
                why="no rule of it includes anything",
                fix="give one that does, such as 'shop.*', before those that exclude",
            )
        for rule in self._rules:
            sides = rule.schema, rule.table
            if any(side.literal is None and side.regex is None for side in sides):
                raise UsageError(
                    f"--tables {rule.text!r} cannot be used",
                    why="its regular expression is one that only Dumpling can read",
                    fix="write it with wildcards, or in simpler words",
                )
        if any(option.startswith(_TEMPLATE) and option != _TEMPLATE for option in dumpling_options):
            raise UsageError(
                "--tables cannot be used with this backup",
                why="it was made with --output-filename-template: the names of its files do not "
                "tell tables",
                fix="download all of it",
            )

    def takes(self, name: str) -> bool:
        """Tell whether a file goes with the selection; `survey` comes first."""
        if self.everything:
            return True
        belongs = parse_name(name)
        if belongs is None:
            return True
        schema, table = belongs
        return schema in self._schemas if table is None else self._takes_table(schema, table)

    def _decide(self, schema: str, table: str) -> bool:
        return takes_table(self._rules, schema, table, case_sensitive=_CASE_SENSITIVE)

    def survey(self, names: Iterable[str], report: Report) -> None:
        """Look at the names of all files, and warn of what cannot be loaded back as it is.

        Raises UsageError, naming them, where rules fit nothing, or nothing at all is taken.
        """
        if self.everything:
            return
        looked = _Looked([rule for rule in self._rules if rule.positive])
        for name in names:
            if (belongs := parse_name(name)) is None:
                continue
            schema, table = belongs
            if table is None:
                looked.at_schema(schema)
                taken = self._takes_whole(schema)
            else:
                taken = self._takes_table(schema, table)
                looked.at_table(schema, table, name, taken=taken)
            if taken:
                self._schemas.add(schema)
        looked.check(taken=bool(self._schemas))
        looked.warn(self._schemas, report)

    def _takes_whole(self, schema: str) -> bool:
        """Tell whether rules such as ``shop.*`` take the schema, whatever it holds."""
        for rule in reversed(self._rules):
            if rule.whole_schema and rule.schema.matches(schema, case_sensitive=_CASE_SENSITIVE):
                return rule.positive
        return False


class _Looked:
    """What the names have shown: which rules fit anything, and what may be missed."""

    def __init__(self, rules: list[Rule]) -> None:
        self._unfit = rules
        self._schemas: set[str] = set()  # a few, to be shown
        self._views: set[str] = set()
        self._sequences: dict[str, str] = {}
        self._left_out = False

    def at_schema(self, schema: str) -> None:
        if len(self._schemas) < _SHOWN:
            self._schemas.add(schema)
        self._unfit = [
            rule
            for rule in self._unfit
            if not (
                rule.whole_schema and rule.schema.matches(schema, case_sensitive=_CASE_SENSITIVE)
            )
        ]

    def at_table(self, schema: str, table: str, name: str, *, taken: bool) -> None:
        if self._unfit:
            self._unfit = [
                rule
                for rule in self._unfit
                if not takes_table([rule], schema, table, case_sensitive=_CASE_SENSITIVE)
            ]
        if taken:
            if _VIEW in name and len(self._views) <= _SHOWN:
                self._views.add(f"{schema}.{table}")
            return
        self._left_out = True
        if _SEQUENCE in name:
            self._sequences.setdefault(schema, table)

    def check(self, *, taken: bool) -> None:
        """Raise UsageError for rules that fit nothing, or for a selection that is empty."""
        if self._unfit:
            shown = ", ".join(repr(rule.text) for rule in self._unfit[:_SHOWN])
            schemas = ", ".join(sorted(self._schemas))
            raise UsageError(
                f"--tables {shown} fits no table of the backup",
                why=f"schemas that it has: {schemas}" if schemas else "",
                fix="write schema.table as the names are in the database, or drop the rule",
            )
        if not taken:
            raise UsageError(
                "--tables takes nothing",
                why="its last rules exclude all that the others include",
                fix="give the rules that exclude something only what they are meant to",
            )

    def warn(self, taken: set[str], report: Report) -> None:
        if not self._left_out:
            return
        if self._views:
            shown = sorted(self._views)[:_SHOWN]
            more = " and more" if len(self._views) > len(shown) else ""
            report.warn(
                f"--tables takes views, and not every table: {', '.join(shown)}{more}; an import "
                "fails at a view of a table that is not there"
            )
        for schema in sorted(taken & self._sequences.keys())[:1]:
            report.warn(
                f"--tables leaves out sequences, as {schema}.{self._sequences[schema]}: an import "
                "fails at a table that has its numbers from one that is not there"
            )
