from hypothesis import given
from hypothesis import strategies as st

from backup_manager.dumpling.lines import LINE_BYTES, MARGIN_BYTES, Line, LineSplitter


def split(blocks: list[bytes]) -> list[Line]:
    splitter = LineSplitter()
    return [line for block in blocks for line in splitter.feed(block)] + splitter.close()


@given(st.lists(st.binary() | st.sampled_from([b"\n", b"\r\n", "é".encode(), b"\xff"])))
def test_blocks_make_no_difference(blocks: list[bytes]) -> None:
    lines = b"".join(blocks).split(b"\n")
    if not lines[-1]:
        lines.pop()
    expected = [Line(line.decode("utf-8", "replace").rstrip("\r")) for line in lines]
    assert expected == split(blocks)


def test_a_long_line_is_cut_and_the_next_is_whole() -> None:
    whole = b"x" * (LINE_BYTES + MARGIN_BYTES)
    blocks = [b"x" * 1000] * 1000 + [b"\nnext\n", whole, b"\n", whole + b"x"]
    cut = Line(whole.decode(), cut=True)
    assert [cut, Line("next"), Line(whole.decode()), cut] == split(blocks)


def test_memory_is_bounded() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        assert [] == splitter.feed(b"x" * 65536)
        assert len(splitter._kept) <= LINE_BYTES + MARGIN_BYTES
