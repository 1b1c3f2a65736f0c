"""The schemas' names, and how statements are run."""

from collections.abc import Sequence
from typing import Any, Protocol

from tests.servers.sql import quoted

HARD = "hard"
ODD = "odd db.100%`é`"
EMPTY = "empty_db"
LATIN = "select-schema"
BULK = "bulk"


class Execute(Protocol):
    """Runs one statement, as the servers' `execute` does."""

    def __call__(self, sql: str, args: Sequence[object] | None = None, /) -> Any: ...


def table_name(name: str, schema: str = HARD) -> str:
    return f"{quoted(schema)}.{quoted(name)}"
