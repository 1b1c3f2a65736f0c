"""Archives taken apart as they come: what the manifest tells, and not a byte more."""

import hashlib
import io
import random
import tarfile
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backup_manager.catalog import tar
from backup_manager.catalog.gzip_stream import gzipped
from backup_manager.catalog.manifest import ManifestRow
from backup_manager.download.unpack import ArchiveError, unpack
from tests.life.backups import members, pack

TOP, MOMENT = "backup-2026-11-22T10:00:00Z-1a2b3c4d", 1_795_341_600
Files = dict[str, bytes]
FILES: Files = {
    "a.sql": b"a" * 512,
    "b/c/d.sql": b"",
    "b/c/é" + "x" * 200: b"e" * 511,
    "metadata": b"Finished",
    "z.sql": random.Random(1).randbytes(70_000),
}


def rows(files: Files) -> list[ManifestRow]:
    return [
        ManifestRow(name, len(files[name]), hashlib.sha256(files[name]).hexdigest(), None)
        for name in sorted(files, key=str.encode)
    ]


def unpacked(blocks: Iterable[bytes], files: Files) -> Files:
    found = unpack(blocks, rows(files), top=TOP, moment=MOMENT)
    return {row.name: b"".join(pieces) for row, pieces in found}


def plain(files: Files) -> bytes:
    return b"".join(members(files, TOP, MOMENT))


def gzip(data: bytes) -> bytes:
    return b"".join(gzipped([data], 1))


segment = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda text: text not in {".", ".."})
paths = st.lists(segment, min_size=1, max_size=3).map("/".join)
some = st.dictionaries(paths, st.binary(max_size=2000), max_size=6)


def _consistent(files: Files) -> bool:
    """No file is the directory of another."""
    return not any(other.startswith(f"{name}/") for name in files for other in files)


@given(files=some.filter(_consistent), cuts=st.lists(st.integers(0, 5000), max_size=20))
@settings(deadline=None)
def test_any_files_however_they_are_cut(files: Files, cuts: list[int]) -> None:
    packed = pack(files, TOP, MOMENT)
    at = sorted({0, len(packed), *(cut % (len(packed) + 1) for cut in cuts)})
    blocks = [packed[left:right] for left, right in pairwise(at)]
    assert files == unpacked(blocks, files)
    # What others read in it is the same.
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        read = {one.name: archive.extractfile(one).read() for one in archive if one.isfile()}  # type: ignore[union-attr]  # it is a file
    assert {f"{TOP}/{name}": data for name, data in files.items()} == read


def test_metadata_is_the_last() -> None:
    found = unpack([pack(FILES, TOP, MOMENT)], rows(FILES), top=TOP, moment=MOMENT)
    order = [row.name for row, _ in found]
    assert ["a.sql", "b/c/d.sql", "b/c/é" + "x" * 200, "z.sql", "metadata"] == order


def test_what_is_not_read_is_skipped() -> None:
    found = unpack([pack(FILES, TOP, MOMENT)], rows(FILES), top=TOP, moment=MOMENT)
    read = {row.name: next(pieces, b"")[:5] for row, pieces in found}
    assert {name: data[:5] for name, data in FILES.items()} == read


def _renamed(files: Files, old: str, new: str) -> Files:
    return {new if name == old else name: data for name, data in files.items()}


def _member(name: str, data: bytes, **fields: object) -> bytes:
    info = tarfile.TarInfo(f"{TOP}/{name}")
    info.size, info.mtime, info.mode = len(data), MOMENT, 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.PAX_FORMAT) + data + tar.padding(len(data))


def _with_first(member: bytes) -> bytes:
    """A tar whose first file is another member."""
    whole = plain(FILES)
    first = tar.directory_header(TOP, MOMENT)
    assert whole.startswith(first + tar.file_header(f"{TOP}/a.sql", 512, MOMENT))
    return first + member + whole[len(first) + 1024 :]


PAYLOAD = b"a" * 512
HOSTILE: dict[str, bytes] = {
    "no gzip": plain(FILES),
    "nothing": b"",
    "an extra member": gzip(plain(FILES | {"a0.sql": b"x"})),
    "an extra member at the end": gzip(plain(FILES)[:-1024] + _member("zz", b"x") + tar.END),
    "one that is missing": gzip(plain({name: FILES[name] for name in FILES if name != "z.sql"})),
    "another name": gzip(plain(_renamed(FILES, "a.sql", "A.sql"))),
    "a name that leads out": gzip(_with_first(_member("../a.sql", PAYLOAD))),
    "another size": gzip(plain(FILES | {"a.sql": b"a" * 513})),
    "a symbolic link": gzip(_with_first(_member("a.sql", b"", type=tarfile.SYMTYPE, linkname="/"))),
    "a hard link": gzip(_with_first(_member("a.sql", b"", type=tarfile.LNKTYPE, linkname="x"))),
    "a device": gzip(_with_first(_member("a.sql", b"", type=tarfile.CHRTYPE))),
    "another mode": gzip(_with_first(_member("a.sql", PAYLOAD, mode=0o4755))),
    "another time": gzip(_with_first(_member("a.sql", PAYLOAD, mtime=0))),
    "another directory": gzip(plain(FILES).replace(TOP.encode(), TOP.encode()[::-1])),
    "something in the padding": gzip(
        plain({"a.sql": b"a"}).replace(b"a" + b"\0" * 511, b"a" + b"\0" * 510 + b"!")
    ),
    "no end of the tar": gzip(plain(FILES)[:-1024]),
    "half an end": gzip(plain(FILES)[:-512]),
    "more after its end": gzip(plain(FILES) + b"\0"),
    "a second gzip member": pack(FILES, TOP, MOMENT) + gzip(b""),
    "something after the gzip": pack(FILES, TOP, MOMENT) + b"\0",
    "cut": pack(FILES, TOP, MOMENT)[:-1],
    "cut in the middle": pack(FILES, TOP, MOMENT)[:3000],
    "another checksum": pack(FILES, TOP, MOMENT)[:-8] + b"\0" * 8,
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("at_once", [1, 1000, 1 << 20])
def test_what_is_not_the_archive_of_the_manifest(kind: str, at_once: int) -> None:
    files = {"a.sql": b"a"} if kind == "something in the padding" else FILES
    data = HOSTILE[kind]
    assert files == unpacked([pack(files, TOP, MOMENT)], files)
    with pytest.raises(ArchiveError):
        unpacked((data[at : at + at_once] for at in range(0, len(data), at_once)), files)


def _bomb(front: bytes) -> Iterator[bytes]:
    """The gzip of what stands in front, and of zeros without an end."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    yield packer.compress(front) + packer.flush(zlib.Z_SYNC_FLUSH)
    zeros = packer.compress(bytes(16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    while True:
        yield zeros


@pytest.mark.parametrize("front", [b"", plain(FILES), plain(FILES)[:-512]])
def test_a_bomb_ends_at_once(front: bytes) -> None:
    taken = 0

    def counted(blocks: list[bytes]) -> Iterator[bytes]:
        nonlocal taken
        for block in blocks:
            taken += 1
            yield block

    made = list(islice(_bomb(front), 3))
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError):
            unpacked(counted(made), FILES)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 << 20
    assert taken <= 2


def test_a_file_of_more_than_eight_gibibytes() -> None:
    size = (8 << 30) + 1
    header = tar.file_header(f"{TOP}/big.sql", size, MOMENT)
    assert 3 * 512 == len(header)  # an extended header stands before it
    big = ManifestRow("big.sql", size, "0" * 64, None)
    packed = gzip(tar.directory_header(TOP, MOMENT) + header + b"the beginning")
    ((row, pieces),) = [next(unpack([packed], [big], top=TOP, moment=MOMENT))]
    assert (big, b"the beginning") == (row, next(pieces))
    with pytest.raises(ArchiveError, match=r"it ends in the middle of big\.sql"):
        next(pieces)
