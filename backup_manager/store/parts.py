"""How a file is cut into parts: pure arithmetic. Sizes in bytes."""

MIB = 1 << 20
# S3's limits: 10,000 parts of 5 MiB to 5 GiB, objects to 5 TiB.
MAX_PARTS = 10_000
MAX_OBJECT_BYTES = 5 << 40
PART_BYTES = 16 * MIB
# Below this one PutObject is cheaper than three calls and more.
MULTIPART_FROM_BYTES = 32 * MIB


def part_bytes(file_bytes: int) -> int:
    """Return the size of every part but the last: 16 MiB, or whole MiB as 10,000 parts need.

    Raises ValueError above 5 TiB.
    """
    if file_bytes > MAX_OBJECT_BYTES:
        raise ValueError("S3 takes no object above 5 TiB")
    needed = -(-file_bytes // MAX_PARTS)
    return max(PART_BYTES, -(-needed // MIB) * MIB)


def part_count(file_bytes: int, size: int) -> int:
    """Return how many parts of that size the file has; an empty file has one."""
    return max(1, -(-file_bytes // size))


def part_span(file_bytes: int, size: int, number: int) -> tuple[int, int]:
    """Return offset and length of part ``number``, counted from 1."""
    offset = (number - 1) * size
    return offset, min(size, file_bytes - offset)
