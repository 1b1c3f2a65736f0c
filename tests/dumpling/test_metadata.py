import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_manager.dumpling import metadata
from backup_manager.dumpling.metadata import Metadata
from backup_manager.errors import DumpInvalidError, Reason, VolumeError
from backup_manager.volume import directory

TIDB = b"""Started dump at: 2020-11-10 10:40:19
SHOW MASTER STATUS:
\tLog: tidb-binlog
\tPos: 420747102018863124
\tGTID:

Finished dump at: 2020-11-10 10:40:20
"""
MARIADB = b"""Started dump at: 2020-11-10 10:40:19
SHOW MASTER STATUS:
\tLog: bin.000016
\tPos: 475
\tGTID:0-1-2

SHOW SLAVE STATUS:
\tHost: other
\tLog: bin.000001
\tPos: 999
\tGTID:

SHOW MASTER STATUS: /* AFTER CONNECTION POOL ESTABLISHED */
\tLog: bin.000016
\tPos: 476
\tGTID:0-1-3

Finished dump at: 2020-11-10 10:40:20
"""
NO_POSITION = b"""Started dump at: 2020-11-10 10:40:19

SHOW SLAVE STATUS:
\tHost: other
\tLog: bin.000001
\tPos: 999
\tGTID:

Finished dump at: 2020-11-10 10:40:20
"""


def test_tidb() -> None:
    expected = Metadata(
        "2020-11-10 10:40:19", "2020-11-10 10:40:20", "420747102018863124", "tidb-binlog", None
    )
    assert expected == metadata.parse(TIDB)
    assert expected == metadata.check_data(TIDB, "420747102018863124")
    assert expected == metadata.check_data(TIDB, None)


def test_the_first_of_several_positions_is_the_servers_own() -> None:
    found = metadata.parse(MARIADB)
    assert ("475", "bin.000016", "0-1-2") == (found.position, found.log, found.gtid)


def test_a_set_of_gtids_over_several_lines() -> None:
    data = MARIADB.replace(b"GTID:0-1-2\n", b"GTID:aa:1-5,\nbb:1-9\n")
    assert ("475", "aa:1-5,") == (metadata.parse(data).position, metadata.parse(data).gtid)


def test_a_time_as_position() -> None:
    data = TIDB.replace(b"420747102018863124", b"2020-11-10 10:40:19")
    assert "2020-11-10 10:40:19" == metadata.parse(data).position


@pytest.mark.parametrize("whole", [TIDB, MARIADB, NO_POSITION])
def test_every_cut_is_found(whole: bytes) -> None:
    metadata.parse(whole)
    for length in range(len(whole)):
        with pytest.raises(DumpInvalidError):
            metadata.parse(whole[:length])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (b"\0" * len(TIDB), "does not begin"),
        (TIDB[1:], "does not begin"),
        (b"\xff" + TIDB, "no UTF-8"),
        (TIDB + b"x", "does not end"),
        (TIDB.replace(b"Finished", b"Stopped"), "does not end"),
        (TIDB + b"\n" * metadata.METADATA_BYTES, "larger than"),
    ],
)
def test_what_is_no_metadata(data: bytes, told: str) -> None:
    with pytest.raises(DumpInvalidError, match=told) as caught:
        metadata.check_data(data, None)
    assert Reason.DUMP_INVALID == caught.value.reason


@pytest.mark.parametrize(
    ("data", "expected", "told"),
    [
        (TIDB, "5", "420747102018863124, not the snapshot 5"),
        (NO_POSITION, None, "no Pos"),
        (NO_POSITION, "999", "no Pos"),
        (TIDB.replace(b"420747102018863124", b""), None, "no Pos"),
    ],
)
def test_wrong_positions(data: bytes, expected: str | None, told: str) -> None:
    with pytest.raises(DumpInvalidError, match=told) as caught:
        metadata.check_data(data, expected, cause="denied")
    assert Reason.COMMIT_TS == caught.value.reason
    assert ("no Pos" in told) == ("(denied)" in caught.value.message)


def test_a_server_without_a_binary_log_has_no_position() -> None:
    assert metadata.check_data(NO_POSITION, None, position_required=False).position is None
    with pytest.raises(DumpInvalidError, match="no Pos"):
        metadata.check_data(NO_POSITION, "5", position_required=False)


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_any_bytes_are_metadata_or_an_error(noise: bytes) -> None:
    for data in (noise, b"Started dump at: 2020-11-10 10:40:19\n" + noise):
        try:
            found = metadata.parse(data)
        except DumpInvalidError:
            continue
        assert data.endswith(f"Finished dump at: {found.finished}\n".encode())


LINES = st.lists(
    st.sampled_from(TIDB.splitlines(keepends=True) + MARIADB.splitlines(keepends=True))
    | st.binary(max_size=30).map(lambda noise: b"\tPos: " + noise + b"\n")
    | st.binary(max_size=30)
)


@given(LINES)
def test_lines_of_it_in_any_order(lines: list[bytes]) -> None:
    data = TIDB[: TIDB.index(b"\n") + 1] + b"".join(lines)
    try:
        found = metadata.check_data(data, None)
    except DumpInvalidError:
        return
    # A position is one that stands there, and is the server's own, not a replica's.
    assert found.position
    assert f"\tPos: {found.position}".encode() in data
    assert b"SHOW MASTER STATUS" in data[: data.index(found.position.encode())]


@given(st.data())
def test_a_damaged_byte_never_changes_an_expected_position_unseen(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TIDB) - 1))
    damaged = TIDB[:at] + bytes([data.draw(st.integers(0, 255))]) + TIDB[at + 1 :]
    try:
        found = metadata.check_data(damaged, "420747102018863124")
    except DumpInvalidError:
        return
    assert "420747102018863124" == found.position


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metadata"
    with pytest.raises(DumpInvalidError, match="has no metadata"):
        metadata.check(path, None)
    path.write_bytes(TIDB)
    assert metadata.parse(TIDB) == metadata.check(path, None)
    path.write_bytes(TIDB[:-1])
    with pytest.raises(DumpInvalidError, match="cut"):
        metadata.check(path, None)
    monkeypatch.setattr(directory, "FULL_BYTES", 1 << 80)
    with pytest.raises(VolumeError, match="volume is full") as caught:
        metadata.check(path, None)
    assert Reason.VOLUME_FULL == caught.value.reason
    path.unlink()
    path.mkdir()
    with pytest.raises(VolumeError, match="cannot be read"):
        metadata.check(path, None)


def test_an_endless_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "metadata"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)
    with pytest.raises(DumpInvalidError, match="larger than"):
        metadata.check(path, None)
