"""How a file is cut into parts: pure arithmetic. Sizes in bytes."""

MIB = 1 << 20
# S3's limits: 10,000 parts of 5 MiB to 5 GiB, objects to 5 TiB.
MAX_PARTS = 10_000
MAX_PART_BYTES = 5 << 30
MAX_OBJECT_BYTES = 5 << 40
PART_BYTES = 16 * MIB
# Below this one PutObject is cheaper than three calls and more.
MULTIPART_FROM_BYTES = 32 * MIB


def part_bytes(file_bytes: int, *, least: int = PART_BYTES, most_parts: int = MAX_PARTS) -> int:
    """Return the size of every part but the last: ``least``, or whole MiB as the parts need.

    Raises ValueError above 5 TiB, and where a part would be above 5 GiB.
    """
    if file_bytes > MAX_OBJECT_BYTES:
        raise ValueError("S3 takes no object above 5 TiB")
    needed = -(-file_bytes // most_parts)
    size = max(least, -(-needed // MIB) * MIB)
    if size > MAX_PART_BYTES:
        raise ValueError(f"in {most_parts} parts each would be above 5 GiB, and S3 takes none such")
    return size


def part_count(file_bytes: int, size: int) -> int:
    """Return how many parts of that size the file has; an empty file has one."""
    return max(1, -(-file_bytes // size))


def part_span(file_bytes: int, size: int, number: int) -> tuple[int, int]:
    """Return offset and length of part ``number``, counted from 1."""
    offset = (number - 1) * size
    return offset, min(size, file_bytes - offset)
