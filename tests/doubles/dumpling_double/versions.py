"""What the double says that it is."""

from dataclasses import dataclass

WHAT = "test double of Dumpling"


@dataclass(frozen=True)
class Version:
    """One line of builds; `old` ones lack what came later (facts: the v5.3 line)."""

    release: str
    old: bool

    def long(self) -> str:
        """The binary's five lines; the last tells the truth."""
        return (
            f"Release version: {self.release}\n"
            "Git commit hash: 0000000000000000000000000000000000000000\n"
            "Git branch:      heads/refs/tags/" + self.release + "\n"
            "Build timestamp: 2025-01-01 00:00:00Z\n"
            f"Go version:      none, this is a {WHAT}\n"
        )

    def fields(self) -> dict[str, str]:
        return {
            "Release Version": self.release,
            "Git Commit Hash": "0" * 40,
            "Git Branch": f"heads/refs/tags/{self.release}",
            "Build timestamp": "2025-01-01 00:00:00",
            "Go Version": f"none, this is a {WHAT}",
        }


NEW = Version("v8.5.1", old=False)
OLD = Version("v5.3.0", old=True)
