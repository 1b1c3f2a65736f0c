"""Views on tables, on views, and across schemas."""

from .common import ODD, Execute, table_name
from .names import ODD_TABLE


def create(execute: Execute) -> None:
    execute(f"CREATE VIEW {table_name('a_view')} AS SELECT id, v FROM {table_name('chunks')}")
    # Whatever the order of names, one of these is loaded before the view that it reads from.
    execute(
        f"CREATE VIEW {table_name('m_view')} AS SELECT id, CONCAT(v, ' it''s é \\\\') AS `o``dd`"
        f" FROM {table_name('a_view')} WHERE v LIKE '%' AND id < 100"
    )
    execute(
        f"CREATE VIEW {table_name('b_view')} (`se lect`, n) AS SELECT m.`o``dd`, COUNT(*)"
        f" FROM {table_name('m_view')} m LEFT JOIN {table_name('tree')} t ON t.id = m.id"
        " GROUP BY m.`o``dd`"
    )
    execute(
        f"CREATE SQL SECURITY INVOKER VIEW {table_name('c_view')} AS SELECT id FROM"
        f" {table_name('a_view')} WHERE id > 5 WITH CASCADED CHECK OPTION"
    )
    execute(f"CREATE VIEW {table_name('v %`w', ODD)} AS SELECT * FROM {table_name(ODD_TABLE, ODD)}")
    execute(
        f"CREATE VIEW {table_name('abroad', ODD)} AS SELECT b.n, h.id FROM {table_name('b_view')} b"
        f" JOIN {table_name('no_key')} k ON k.a = b.n JOIN {table_name('hen')} h"
    )
