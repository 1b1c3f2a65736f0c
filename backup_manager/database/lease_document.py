"""The leases on the GC life time as the row's COMMENT keeps them, and how they come and go.

Nothing here reads or writes anything. The document is compact JSON around the row's own comment::

    {"backup-manager":1,"value":"10m0s","comment":"…","set":"72h0m0s","leases":{"1a2b3c4d":1767225600}}

``value`` and ``comment`` are the row's before the first lease; ``set`` is the value that the leases
keep; each lease has its end in seconds since 1970, by the database's clock.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from backup_manager.canonical import decode
from backup_manager.durations import format_duration, parse_duration
from backup_manager.errors import ProtectionError, Reason, UsageError

LEASE_SECONDS = 900
HEARTBEAT_SECONDS = 60
# mysql.tidb's COMMENT is VARCHAR(1024); the server counts code points, as Python does.
COMMENT_LIMIT = 1024

_FORMAT = 1
_FIELDS = {"backup-manager", "value", "comment", "set", "leases"}
_LEASE_ID = re.compile(r"[0-9a-f]{8}")
_LAST_SECOND = 1 << 40
# TiDB's bounds of tidb_gc_life_time.
_LEAST, _MOST = "10m", "8760h"


@dataclass(frozen=True)
class Row:
    """Value and comment of ``tikv_gc_life_time`` in ``mysql.tidb``."""

    value: str
    comment: str | None


@dataclass(frozen=True)
class Original:
    """What comes back when the last lease leaves, and the value ``set`` by the leases till then."""

    value: str
    comment: str | None
    set: str


@dataclass(frozen=True)
class Document:
    """What COMMENT holds while there are leases: their ids with their ends, in unix seconds.

    Raises ValueError for an id that is not 8 lower-case hex digits: `parse` would not know it.
    """

    original: Original
    leases: Mapping[str, int]

    def __post_init__(self) -> None:
        if not all(_LEASE_ID.fullmatch(each) for each in self.leases):
            raise ValueError(f"lease ids are 8 hex digits: {', '.join(self.leases)}")

    def encode(self) -> str:
        fields = {
            "backup-manager": _FORMAT,
            "value": self.original.value,
            "comment": self.original.comment,
            "set": self.original.set,
            "leases": dict(sorted(self.leases.items())),
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Change:
    """What a row is to become, and what was seen in the row on the way."""

    found: Row
    row: Row
    document: Document | None
    lowered: bool = False  # somebody set a value below this lease's need
    missing: bool = False  # this lease was not recorded, or had run out


def parse_gc_life_time(text: str, named: str = "--gc-life-time") -> int:
    """Return the nanoseconds of a configured GC life time, a Go duration in TiDB's bounds.

    ``named``: where it comes from. Raises UsageError (reason GC_PARSE_CONFIGURED).
    """
    reason = Reason.GC_PARSE_CONFIGURED
    fix = f"give a Go duration from {_LEAST} to {_MOST}, such as 72h"
    try:
        need = parse_duration(text)
    except ValueError as error:
        raise UsageError(named, why=str(error), fix=fix, reason=reason) from error
    if not parse_duration(_LEAST) <= need <= parse_duration(_MOST):
        why = f"{text} is outside of TiDB's bounds"
        raise UsageError(named, why=why, fix=fix, reason=reason)
    return need


def parse(comment: str | None) -> Document | None:
    """Return the document in a comment; None for whatever is not exactly ours."""
    if not comment or len(comment) > COMMENT_LIMIT or not comment.startswith("{"):
        return None
    try:
        fields = decode(comment)
        # A lone surrogate, which only an escape can bring in, could not be sent back.
        json.dumps(fields, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or set(fields) != _FIELDS or not _is_ours(fields):
        return None
    original = Original(fields["value"], fields["comment"], fields["set"])
    return Document(original, fields["leases"])


def _is_ours(fields: dict[str, object]) -> bool:
    leases = fields["leases"]
    return (
        type(fields["backup-manager"]) is int
        and fields["backup-manager"] == _FORMAT
        and isinstance(fields["value"], str)
        and isinstance(fields["set"], str)
        and isinstance(fields["comment"], str | None)
        and isinstance(leases, dict)
        and all(_LEASE_ID.fullmatch(each) for each in leases)
        and all(type(end) is int and 0 <= end < _LAST_SECOND for end in leases.values())
    )


def same(one: str, other: str) -> bool:
    """Whether two values are the same duration; what is none compares as text."""
    length = nanoseconds(one)
    return one == other if length is None else length == nanoseconds(other)


def nanoseconds(value: str) -> int | None:
    """Return the length of a value; None where it is no Go duration."""
    try:
        return parse_duration(value)
    except ValueError:
        return None


def refuse_unreadable(row: Row) -> None:
    """Raise ProtectionError (reason GC_PARSE_OLD) where a run that begins finds no duration.

    TiDB's GC stands still with such a value, and to raise it would set GC going.
    """
    if nanoseconds(row.value) is None:
        raise ProtectionError(
            f"tikv_gc_life_time in mysql.tidb is {row.value!r}",
            why="that is no Go duration, and GC stands still until it is one",
            fix="SET GLOBAL tidb_gc_life_time = '10m0s', or what it was meant to be",
            reason=Reason.GC_PARSE_OLD,
        )


def renew(
    row: Row,
    lease_id: str,
    *,
    need: int,
    now: int,
    known: Document | None = None,
    dead_ids: Collection[str] = (),
    lease_seconds: int = LEASE_SECONDS,
) -> Change:
    """Record a lease until ``now + lease_seconds`` and see that the value is ``need`` ns or more.

    ``known`` is the document that this run saw last: it counts where COMMENT was overwritten.
    Raises ProtectionError (reason GC_SET) where COMMENT would become too long.
    """
    original, living, ours = _look(row, known, now, dead_ids)
    floor = need
    if ours and living:
        # The others' needs are not recorded, but what was set is enough for each of them.
        floor = max(need, nanoseconds(row.value) or 0)
    value = _at_least(floor, original, row)
    document = Document(replace(original, set=value), {**living, lease_id: now + lease_seconds})
    length = nanoseconds(row.value)
    return Change(
        found=row,
        row=Row(value, _fitting(document)),
        document=document,
        # Another run may have seen it first, and made the lower value the original: the value is
        # "ours" again, and yet below what this lease had set.
        lowered=(not ours or lease_id in living) and length is not None and length < need,
        missing=lease_id not in living,
    )


def release(
    row: Row,
    lease_id: str,
    *,
    now: int,
    known: Document | None = None,
    dead_ids: Collection[str] = (),
) -> Change:
    """Remove a lease; with the last one the original value and comment come back.

    Raises ProtectionError (reason GC_SET) where COMMENT would become too long.
    """
    original, living, _ = _look(row, known, now, dead_ids)
    others = {each: end for each, end in living.items() if each != lease_id}
    wiped = parse(row.comment) is None
    if others and not (wiped and same(original.value, row.value)):
        document = Document(original, others)
        return Change(found=row, row=Row(row.value, _fitting(document)), document=document)
    return Change(found=row, row=Row(original.value, original.comment), document=None)


def clear(
    row: Row, *, now: int, known: Document | None = None, dead_ids: Collection[str] = ()
) -> Change:
    """Remove dead leases.

    Where COMMENT was overwritten and the value still is what the dead run (``known``) had set,
    living runs may stand behind it unseen: the dead lease gets one more term, in which they
    record themselves again, and a later run removes it.
    """
    if known and dead_ids and parse(row.comment) is None:
        _, _, ours = _look(row, known, now, dead_ids)
        if ours and not same(known.original.value, known.original.set):
            standing = nanoseconds(row.value) or 0
            return renew(row, min(dead_ids), need=standing, now=now, known=known)
    return release(row, "", now=now, dead_ids=dead_ids)


def _look(
    row: Row, known: Document | None, now: int, dead_ids: Collection[str]
) -> tuple[Original, dict[str, int], bool]:
    """Return the original behind a row, the living leases, and whether leases set its value."""
    written = parse(row.comment)
    before = written or known
    if before is None:
        return Original(row.value, row.comment, row.value), {}, False
    ours = same(row.value, before.original.set)
    # A wiped comment over our value hides leases that live; over another value each of them
    # has its own heartbeat to find out.
    leases = before.leases if written or ours else {}
    living = {each: end for each, end in leases.items() if end > now and each not in dead_ids}
    comment = before.original.comment
    if not written and not ours:
        comment = row.comment or comment
    value = before.original.value if ours else row.value
    return Original(value, comment, row.value), living, ours


def _at_least(floor: int, original: Original, row: Row) -> str:
    before, length = nanoseconds(original.value), nanoseconds(row.value)
    if before is not None and before >= floor:
        return original.value
    # With what is no duration GC stands still: raising it would only set GC going.
    if length is None or length == floor:
        return row.value
    return format_duration(floor)


def _fitting(document: Document) -> str:
    text = document.encode()
    if len(text) > COMMENT_LIMIT:
        raise ProtectionError(
            "no room for another lease on the GC life time",
            why=f"COMMENT of tikv_gc_life_time in mysql.tidb would need {len(text)} of"
            f" {COMMENT_LIMIT} characters: {len(document.leases)} leases, and a comment of"
            f" {len(document.original.comment or '')} characters",
            fix="wait until other backups have ended, or shorten the comment of that row",
            reason=Reason.GC_SET,
        )
    return text
