"""The rows beneath a statement as CSV, written by PostgreSQL itself: every column of the ledger, with every digit.

They are read in pieces by their key, each piece a short transaction: however slowly somebody takes the file, nothing of
the database is held for it, and memory holds one piece.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from django.db import connections
from psycopg.sql import SQL, Composed, Identifier

from audit.formats.fields import FORMULA_STARTS
from audit.statements import name_period
from ledger.selectors import ENTRY_COLUMNS
from tenants.scope import reading_scope

ROWS_PER_PIECE = 20_000
KEY_LENGTH_MAX = 64  # a UUID, a line, two commas and the end
NO_KEY = ("00000000-0000-0000-0000-000000000000", -1)

# What somebody else may have written: a spreadsheet must not run it.
TEXTS = frozenset((
    "event_source", "event_id", "response_id", "environment", "feature", "user_ref", "cost_center", "customer_tier",
    "session_id", "trace_id", "span_id", "parent_span_id", "operation", "provider", "model", "requested_model",
    "service_tier", "region", "finish_reason", "prompt_hash", "pricing_reason",
))  # fmt: skip
# The place of a row stands last, so that the end of a piece says where the next one begins.
COLUMNS = (*(name for name in ENTRY_COLUMNS if name not in ("tenant_id", "batch_id", "line")), "batch_id", "line")


def _write_column(name: str) -> Composed:
    if name in TEXTS:
        return SQL("CASE WHEN ascii({0}) IN ({1}) THEN '''' || {0} ELSE {0} END AS {0}").format(
            Identifier(name), SQL(", ").join(map(ord, FORMULA_STARTS))
        )
    if name == "leaf":
        return SQL("encode(leaf, 'hex') AS leaf")
    return SQL("{}").format(Identifier(name))


COPY_ROWS_SQL = SQL("""COPY (
    SELECT {columns} FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND recorded_at >= %(booked_from)s
      AND charge_period_start < %(end)s AND kind <> 'admin_act'
      AND (batch_id, line) > (%(batch_id)s::uuid, %(line)s)
    ORDER BY batch_id, line LIMIT %(rows)s) TO STDOUT (FORMAT csv)""").format(
    columns=SQL(", ").join(map(_write_column, COLUMNS))
)


COUNT_ROWS_SQL = """
    SELECT count(*) FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND recorded_at >= %(booked_from)s
      AND charge_period_start < %(end)s AND kind <> 'admin_act'"""


def count_rows(*, tenant_id: int, period: date, using: str = "default") -> int:
    """How many rows `stream_rows` gives."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(COUNT_ROWS_SQL, name_period(tenant_id, period))
        return cursor.fetchone()[0]


IS_LONG_SQL = """
    SELECT count(*) > %(most)s FROM (
        SELECT FROM ledger_entry
        WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND recorded_at >= %(booked_from)s
        LIMIT %(most)s + 1) AS entry"""


def is_long(*, tenant_id: int, period: date, most: int, using: str = "default") -> bool:
    """Whether the month has more than `most` entries; it counts no further."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(IS_LONG_SQL, name_period(tenant_id, period) | {"most": most})
        return cursor.fetchone()[0]


def stream_rows(
    *, tenant_id: int, period: date, using: str = "default", tell: Callable[[int], None] = lambda rows: None
) -> Iterator[bytes]:
    """A heading, and the month's rows in the order in which they were booked. tell: hears of the rows written."""
    yield ",".join(COLUMNS).encode() + b"\n"
    key: tuple[str, int] | None = NO_KEY
    written = 0
    while key is not None:
        piece, rows, key = _copy_piece(tenant_id, period, key, using=using)
        if piece:
            yield piece
            written += rows
            tell(written)


def _copy_piece(
    tenant_id: int, period: date, key: tuple[str, int], *, using: str
) -> tuple[bytes, int, tuple[str, int] | None]:
    """The rows after `key`, how many, and the key of the last of them; None where nothing follows."""
    values: dict[str, Any] = {
        **name_period(tenant_id, period), "batch_id": key[0], "line": key[1], "rows": ROWS_PER_PIECE,
    }  # fmt: skip
    piece = bytearray()
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        with cursor.copy(COPY_ROWS_SQL, values) as copy:
            for data in copy:
                piece += data
        rows = cursor.rowcount
    return bytes(piece), rows, None if rows < ROWS_PER_PIECE else _read_key(piece)


def _read_key(piece: bytearray) -> tuple[str, int]:
    """The batch and the line of the last row: neither is ever quoted."""
    _, batch_id, line = piece[-KEY_LENGTH_MAX:].rstrip(b"\n").rsplit(b",", 2)
    return batch_id.decode(), int(line)
