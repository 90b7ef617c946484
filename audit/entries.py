"""A sealed month's rows, byte for byte as they were hashed, batch by batch in the order of the tree.

Read in pieces, each a short transaction of its own: nothing is held between two of them, however slowly somebody takes
what he asked for.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connections
from psycopg import sql

from audit.sealed_months import SealedMonth
from audit.statements import name_period
from billing.selectors.rate_versions import list_content_hashes
from ledger.core.merkle import hash_leaf
from ledger.core.rows import encode_row, rebuild_entry, write_place
from ledger.selectors import ENTRY_COLUMNS
from tenants.scope import reading_scope

BATCHES_PER_READ = 1_000
ROWS_PER_READ = 5_000
PIECE_BYTES = 1 << 18
RATES_TAG = "tokenledger.rates"  # of a fee that is owed by several price lists: their hashes


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A row as it is hashed, and its leaf. price_lists: the hashes of those that it names."""

    line: int
    data: bytes
    is_of_month: bool
    price_lists: tuple[str, ...]

    @property
    def leaf(self) -> bytes:
        return hash_leaf(self.data)


@dataclass(frozen=True, slots=True)
class MonthBatch:
    """A batch of the tree. receipt and what follows: None where the database has lost the batch."""

    leaf_index: int
    leaf: bytes
    batch_id: UUID
    receipt: str | None
    recorded_at: datetime | None
    entry_count: int | None


def list_batches(month: SealedMonth, *, using: str = "default") -> Iterator[list[MonthBatch]]:
    """Every batch of the range in the order of the tree, some at a time: of ROWS_PER_READ rows together, or one."""
    start = month.first
    while start < month.end:
        end = min(start + BATCHES_PER_READ, month.end)
        yield from _group_batches(_read_batches(month, start, end, using=using))
        start = end


def read_rows(
    month: SealedMonth, batches: Sequence[MonthBatch], hashes: Mapping[int, str], *, using: str = "default"
) -> dict[UUID, list[MonthRow]]:
    """All rows of batches that have any of the month, in the order of their lines: the root is over all of them.

    hashes: of every price list, by rate version (`list_content_hashes`).
    """
    times = [batch.recorded_at for batch in batches if batch.recorded_at is not None]
    if not times:
        return {}
    values = {
        "tenant_id": month.tenant.id,
        "batch_ids": [batch.batch_id for batch in batches],
        "booked_from": min(times),
        "booked_until": max(times),
    }
    rows: dict[UUID, list[MonthRow]] = {}
    with reading_scope(month.tenant.id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_ROWS_SQL, values)
        for row in cursor.fetchall():
            entry = dict(zip(ENTRY_COLUMNS, row, strict=True))
            rows.setdefault(entry["batch_id"], []).append(_write_row(entry, month, hashes))
    return {batch_id: own for batch_id, own in rows.items() if any(row.is_of_month for row in own)}


def list_leaves(month: SealedMonth, *, using: str = "default") -> Iterator[MonthRow]:
    """Every row of the month, in the order of the tree."""
    hashes = list_content_hashes(using=using)
    for batches in list_batches(month, using=using):
        rows = read_rows(month, batches, hashes, using=using)
        for batch in batches:
            yield from (row for row in rows.get(batch.batch_id, ()) if row.is_of_month)


def write_leaves(
    month: SealedMonth, *, using: str = "default", tell: Callable[[int], None] = lambda entries: None
) -> Iterator[bytes]:
    """The same as JSON Lines, rows byte for byte, in pieces of some PIECE_BYTES; nothing is held between two of them.

    tell: hears of the rows written.
    """
    lines: list[bytes] = []
    size = 0
    for number, row in enumerate(list_leaves(month, using=using), 1):
        line = b'{"leaf":"%s","row":%s}\n' % (row.leaf.hex().encode(), row.data)
        lines.append(line)
        size += len(line)
        if size >= PIECE_BYTES:
            yield b"".join(lines)
            tell(number)
            lines, size = [], 0
    yield b"".join(lines)


def list_strays(month: SealedMonth, hashes: Mapping[int, str], *, using: str = "default") -> Iterator[MonthRow]:
    """Rows that say they are of the month, and of no batch of its range: somebody put them there."""
    with reading_scope(month.tenant.id, using=using), connections[using].cursor() as cursor:
        cursor.execute(
            LIST_STRAYS_SQL, name_period(month.tenant.id, month.period) | {"first": month.first, "end": month.end}
        )
        for row in cursor.fetchall():
            yield _write_row(dict(zip(ENTRY_COLUMNS, row, strict=True)), month, hashes)


LIST_BATCHES_SQL = """
    SELECT leaf.leaf_index, leaf.leaf, leaf.batch_id, batch.receipt, batch.recorded_at, batch.entry_count
    FROM seal_leaf AS leaf
    LEFT JOIN ledger_batch AS batch ON batch.tenant_id = leaf.tenant_id AND batch.batch_id = leaf.batch_id
    WHERE leaf.tenant_id = %(tenant_id)s AND leaf.leaf_index >= %(start)s AND leaf.leaf_index < %(end)s
    ORDER BY leaf.leaf_index"""


def _read_batches(month: SealedMonth, start: int, end: int, *, using: str) -> list[MonthBatch]:
    with reading_scope(month.tenant.id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_BATCHES_SQL, {"tenant_id": month.tenant.id, "start": start, "end": end})
        return [MonthBatch(index, bytes(leaf), *rest) for index, leaf, *rest in cursor.fetchall()]


def _group_batches(batches: Sequence[MonthBatch]) -> Iterator[list[MonthBatch]]:
    group: list[MonthBatch] = []
    rows = 0
    for batch in batches:
        if group and rows + (batch.entry_count or 0) > ROWS_PER_READ:
            yield group
            group, rows = [], 0
        group.append(batch)
        rows += batch.entry_count or 0
    if group:
        yield group


_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, ENTRY_COLUMNS))
LIST_ROWS_SQL = sql.SQL("""
    SELECT {columns} FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND batch_id = ANY(%(batch_ids)s::uuid[])
      AND recorded_at BETWEEN %(booked_from)s AND %(booked_until)s
    ORDER BY batch_id, line""").format(columns=_COLUMNS)
LIST_STRAYS_SQL = sql.SQL("""
    SELECT {columns} FROM ledger_entry AS entry
    WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND recorded_at >= %(booked_from)s
      AND NOT EXISTS (SELECT FROM seal_leaf AS leaf
                      WHERE leaf.tenant_id = entry.tenant_id AND leaf.batch_id = entry.batch_id
                        AND leaf.leaf_index >= %(first)s AND leaf.leaf_index < %(end)s)
    ORDER BY batch_id, line""").format(columns=_COLUMNS)


def _write_row(entry: dict[str, Any], month: SealedMonth, hashes: Mapping[int, str]) -> MonthRow:
    place = write_place(
        tenant_id=entry["tenant_id"],
        batch_id=entry["batch_id"],
        recorded_at=entry["recorded_at"],
        api_key_id=entry["api_key_id"],
    )
    entry["tags"] = json.loads(entry["tags"])
    entry["other_usage"] = json.loads(entry["other_usage"], parse_float=Decimal)
    rate_version_hash = hashes.get(entry["rate_version_id"] or 0, "")
    data = encode_row(rebuild_entry(entry, rate_version_hash=rate_version_hash), place=place)
    price_lists = (rate_version_hash, *entry["tags"].get(RATES_TAG, "").split())
    return MonthRow(entry["line"], data, entry["billing_period"] == month.period, price_lists)
