"""What is wrong in the files of a user, gathered: who mends one wants to know of all."""

from dataclasses import dataclass, field

from backup_manager.errors import UsageError
from backup_manager.report import Report


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong, and on which line; ``what`` and ``fix`` as in BackupError."""

    file: str
    line: int
    what: str
    fix: str

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.line}"


@dataclass
class Mistakes:
    """The mistakes that were found so far, and what is worth saying beside them."""

    found: list[Mistake] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)

    def add(self, file: str, line: int, what: str, fix: str) -> None:
        mistake = Mistake(file, line, what, fix)
        if mistake not in self.found:
            self.found.append(mistake)

    def raise_any(self, report: Report) -> None:
        """Tell them in the order of the lines. Raises UsageError where there is any."""
        files = list(dict.fromkeys(each.file for each in self.found))
        ordered = sorted(self.found, key=lambda each: (files.index(each.file), each.line))
        if not ordered:
            return
        if len(ordered) == 1:
            (only,) = ordered
            raise UsageError(f"{only.place}: {only.what}", fix=only.fix)
        for each in ordered:
            report.error(f"{each.place}: {each.what}. To do: {each.fix}")
        raise UsageError(
            f"there are {len(ordered)} mistakes in {', '.join(files)}",
            why="each is told above, and nothing was rendered",
            fix="mend them, and run the same command again",
        )
