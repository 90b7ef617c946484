"""Entries by their ids, of a trace, and what was booked to correct one."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connections
from psycopg import sql

from ledger.selectors.columns import COLUMN_LIST, EntryCursor, EntryIdInvalid, read_entry
from tenants.scope import reading_scope

GET_ENTRY_SQL = sql.SQL("""
    SELECT {columns}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND batch_id = %(batch_id)s AND line = %(line)s""").format(columns=COLUMN_LIST)


def get_entry(*, tenant_id: int, entry_id: str, using: str = "default") -> dict[str, Any] | None:
    """The tenant's entry of this public id, as in `EntryPage`; None for every other id, another tenant's included."""
    try:
        place = EntryCursor.read(entry_id)
    except EntryIdInvalid:
        return None
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_ENTRY_SQL, {"tenant_id": tenant_id, "batch_id": place.batch_id, "line": place.line})
        row = cursor.fetchone()
    return read_entry(row) if row else None


GET_ENTRIES_SQL = sql.SQL("""
    SELECT {columns}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s
      AND (batch_id, line) IN (SELECT * FROM unnest(%(batch_ids)s::uuid[], %(lines)s::int[]))""").format(
    columns=COLUMN_LIST
)


def get_entries(*, tenant_id: int, entry_ids: Iterable[str], using: str = "default") -> dict[str, dict[str, Any]]:
    """The tenant's entries of these public ids, as in `EntryPage`, by id; what is none of its own is left out."""
    places = [EntryCursor.read(entry_id) for entry_id in set(entry_ids)]
    if not places:
        return {}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(
            GET_ENTRIES_SQL,
            {
                "tenant_id": tenant_id,
                "batch_ids": [place.batch_id for place in places],
                "lines": [place.line for place in places],
            },
        )
        return {entry["id"]: entry for entry in map(read_entry, cursor.fetchall())}


TRACE_ENTRIES_MAX = 10_000
# `trace_id <> ''` is what its index asks for.
LIST_TRACE_ENTRIES_SQL = sql.SQL("""
    SELECT {columns}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND trace_id = %(trace_id)s AND trace_id <> ''
    ORDER BY charge_period_start, batch_id, line
    LIMIT %(entries_max)s""").format(columns=COLUMN_LIST)


def list_trace_entries(*, tenant_id: int, trace_id: str, using: str = "default") -> list[dict[str, Any]]:
    """The entries that name this trace, in the order of their use; at most TRACE_ENTRIES_MAX."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(
            LIST_TRACE_ENTRIES_SQL,
            {"tenant_id": tenant_id, "trace_id": trace_id, "entries_max": TRACE_ENTRIES_MAX},
        )
        return [read_entry(row) for row in cursor.fetchall()]


LIST_CORRECTIONS_SQL = sql.SQL("""
    SELECT {columns}
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND corrects = %(entry_id)s AND recorded_at >= %(recorded_at)s
    ORDER BY batch_id, line""").format(columns=COLUMN_LIST)


def list_corrections(*, tenant_id: int, entry: Mapping[str, Any], using: str = "default") -> list[dict[str, Any]]:
    """The entries that rate, reverse or restate this one, oldest first."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(
            LIST_CORRECTIONS_SQL,
            {"tenant_id": tenant_id, "entry_id": entry["id"], "recorded_at": entry["recorded_at"]},
        )
        return [read_entry(row) for row in cursor.fetchall()]
