"""A million rows, and one row that fits into no single packet of the protocol."""

import random

from .common import BULK, Execute, table_name

_MIB = 1 << 20


def create_million(execute: Execute) -> None:
    name = table_name("million", BULK)
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, n BIGINT, v VARCHAR(40))")
    execute(
        f"INSERT INTO {name} WITH RECURSIVE digits (d) AS"
        " (SELECT 0 UNION ALL SELECT d + 1 FROM digits WHERE d < 999)"
        " SELECT a.d * 1000 + b.d, a.d * 7919 - b.d * 104729,"
        " IF(b.d % 10 = 0, NULL, CONCAT('it''s ', b.d, ' ~ ', a.d)) FROM digits a, digits b"
    )


def create_wide(execute: Execute) -> None:
    name = table_name("wide", BULK)
    execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT, z INT)")
    # No two of its blocks are alike: none can stand in another's place.
    noise = random.Random(16)
    text = "".join(noise.choices("é'\\\n\0\"x", k=_MIB))
    row = (1, noise.randbytes(16 * _MIB), text, 7)
    execute(f"INSERT INTO {name} VALUES (%s, %s, %s, %s), (2, NULL, '', NULL)", row)
