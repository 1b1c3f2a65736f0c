"""Listings that come page by page: each page's marks lead to the next, and to no page twice."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from backup_manager.errors import StoreError
from backup_manager.store.faults import needed


def pages(
    ask: Callable[[dict[str, Any]], Any], marks: Mapping[str, str], where: str
) -> Iterator[Any]:
    """Yield each page that ``ask`` returns; nothing, and its end, is a page without a next one.

    ``marks`` names for each parameter of the next request the field of the answer that holds it;
    ``where`` is the listing's address, for people. Raises StoreError for one without an end.
    """
    given: dict[str, Any] = {}
    seen: set[tuple[Any, ...]] = set()
    while True:
        page = ask(given)
        yield page
        if not page or not page.get("IsTruncated"):
            return
        given = {name: needed(page, field, where) for name, field in marks.items()}
        if tuple(given.values()) in seen:
            raise StoreError(
                f"{where}: cannot be listed",
                why="the store's listing goes round in a circle: it named the same next page twice",
                fix="check that --endpoint is an S3 store, with no proxy that changes its answers",
            )
        seen.add(tuple(given.values()))
