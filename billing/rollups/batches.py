"""Adding booked batches to the rollups: claim, sum, add, in one transaction for each tenant."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, DataError, IntegrityError, connection
from psycopg.sql import SQL

from billing.rollups.intake import fold_tallies
from billing.rollups.retention import first_minute_kept
from billing.rollups.tables import (
    CALLS_MINUTE,
    COST_USER_HOUR,
    ENTRIES_OF_BATCHES,
    add_batches_to,
    add_batches_to_costs,
    add_batches_to_histograms,
    add_batches_to_traces,
)
from tenants.scope import tenant_scope

logger = logging.getLogger(__name__)

BATCHES_PER_CLAIM_MAX = 1_000
ENTRIES_PER_CLAIM_MAX = 100_000
TRIES_MAX = 5
RETRY_SECONDS = 30  # then four times as long each time: the fifth try comes after three quarters of an hour


class BatchIncomplete(RuntimeError):
    """Fewer entries were seen than the batches hold: row security hides some, or a partition is out of reach."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """Outbox rows that are this transaction's to do."""

    batch_ids: list[UUID]
    recorded_ats: list[datetime]
    entry_count: int


LIST_DUE_TENANTS_SQL = """
    SELECT tenant_id FROM outbox
    WHERE topic = 'rollup' AND tries < %(tries_max)s AND not_before <= %(now)s
      AND (%(last_id)s::bigint IS NULL OR id <= %(last_id)s::bigint)
    GROUP BY tenant_id ORDER BY min(id)"""
FIND_LAST_WAITING_SQL = "SELECT max(id) FROM outbox WHERE topic = 'rollup'"


def find_last_waiting() -> int | None:
    """The outbox row of the batch that came last; None where none waits."""
    with connection.cursor() as cursor:
        cursor.execute(FIND_LAST_WAITING_SQL)
        return cursor.fetchone()[0]


def apply_batches(*, now: datetime, last_id: int | None = None) -> int:
    """Add what is due, one claim for each tenant; how many batches that was, 0 when nothing is left to do.

    last_id: of the outbox, what came later is left alone. A claim costs by the groups that it touches: whoever goes on
    for as long as something comes makes many small ones of it. Any number of workers may run it at once and as often as
    they like: each batch is added once.
    """
    with connection.cursor() as cursor:
        cursor.execute(LIST_DUE_TENANTS_SQL, {"tries_max": TRIES_MAX, "now": now, "last_id": last_id})
        tenant_ids = [tenant_id for (tenant_id,) in cursor.fetchall()]
    return sum(_apply_tenant(tenant_id, now=now) for tenant_id in tenant_ids)


def _apply_tenant(tenant_id: int, *, now: datetime) -> int:
    """One claim of the tenant's batches; where one of them cannot be added, each on its own."""
    try:
        return apply_claim(tenant_id=tenant_id, now=now)
    except (BatchIncomplete, DataError, IntegrityError):
        logger.exception("rollup of tenant %d failed; trying its batches one by one", tenant_id)
        return _apply_one_by_one(tenant_id, now=now)
    except DatabaseError:
        # A deadlock, a full disk, a server that goes away: the batches are as they were, and come again. One tenant's
        # trouble is not the others'.
        if not connection.is_usable():
            raise
        logger.exception("rollup of tenant %d will be tried again", tenant_id)
        return 0


TRY_ROLLUP_LOCK_SQL = "SELECT pg_try_advisory_xact_lock(hashtextextended('rollup ' || %(tenant_id)s::bigint, 0))"


def apply_claim(*, tenant_id: int, now: datetime, outbox_id: int | None = None) -> int:
    """Add up to ENTRIES_PER_CLAIM_MAX due entries of the tenant, or one batch, in one transaction; how many batches.

    None while another worker is at the same tenant: its rows would be waited for in any case.
    """
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(TRY_ROLLUP_LOCK_SQL, {"tenant_id": tenant_id})
        if not cursor.fetchone()[0]:
            return 0
        fold_tallies(tenant_id)
        claim = _claim_batches(tenant_id, now=now, outbox_id=outbox_id)
        if claim.batch_ids:
            _add_batches(tenant_id, claim, now=now)
        return len(claim.batch_ids)


# A claim ends with the batch that reaches the limit of entries; what was locked beyond it is free at the commit. Rows
# that someone holds who does not know the tenant's lock, such as a person at psql, are left for later.
CLAIM_BATCHES_SQL = """
    WITH due AS (
        SELECT id, entry_count FROM outbox
        WHERE topic = 'rollup' AND tenant_id = %(tenant_id)s AND tries < %(tries_max)s AND not_before <= %(now)s
          AND (%(outbox_id)s::bigint IS NULL OR id = %(outbox_id)s::bigint)
        ORDER BY id LIMIT %(batches_max)s
        FOR UPDATE SKIP LOCKED),
    counted AS (SELECT id, sum(entry_count) OVER (ORDER BY id) - entry_count AS entries_before FROM due)
    DELETE FROM outbox USING counted
    WHERE outbox.id = counted.id AND counted.entries_before < %(entries_max)s
    RETURNING batch_id, recorded_at, entry_count"""


def _claim_batches(tenant_id: int, *, now: datetime, outbox_id: int | None) -> _Claim:
    """Take due batches out of the outbox, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            CLAIM_BATCHES_SQL,
            {
                "tenant_id": tenant_id,
                "now": now,
                "outbox_id": outbox_id,
                "tries_max": TRIES_MAX,
                "batches_max": BATCHES_PER_CLAIM_MAX,
                "entries_max": ENTRIES_PER_CLAIM_MAX,
            },
        )
        rows = cursor.fetchall()
    return _Claim([row[0] for row in rows], [row[1] for row in rows], sum(row[2] for row in rows))


# Summing 100,000 entries in memory; the server's own default would write them to disk.
SET_WORK_MEMORY_SQL = "SELECT set_config('work_mem', '64MB', true)"
COUNT_ENTRIES_SQL = SQL("""
    SELECT count(*), count(*) FILTER (WHERE trace_id <> '') FROM ({}) AS entry""").format(ENTRIES_OF_BATCHES)
ADD_TO_COSTS_SQL = add_batches_to_costs()
ADD_TO_COST_USER_HOUR_SQL = add_batches_to(COST_USER_HOUR)
ADD_TO_CALLS_MINUTE_SQL = add_batches_to(CALLS_MINUTE)
ADD_TO_HISTOGRAMS_SQL = add_batches_to_histograms()
ADD_TO_TRACES_SQL = add_batches_to_traces()


def _add_batches(tenant_id: int, claim: _Claim, *, now: datetime) -> None:
    """Add the entries of the claimed batches to every rollup. Raises BatchIncomplete, and nothing is added."""
    values = {
        "tenant_id": tenant_id,
        "batch_ids": claim.batch_ids,
        "recorded_ats": claim.recorded_ats,
        "minutes_from": first_minute_kept(now),
    }
    with connection.cursor() as cursor:
        cursor.execute(SET_WORK_MEMORY_SQL)
        cursor.execute(COUNT_ENTRIES_SQL, values)
        entry_count, traced_count = cursor.fetchone()
        if entry_count != claim.entry_count:
            raise BatchIncomplete(f"{entry_count} of {claim.entry_count} entries of tenant {tenant_id} are visible")
        for statement in (
            ADD_TO_COSTS_SQL,
            ADD_TO_COST_USER_HOUR_SQL,
            ADD_TO_CALLS_MINUTE_SQL,
            ADD_TO_HISTOGRAMS_SQL,
            *((ADD_TO_TRACES_SQL,) if traced_count else ()),
        ):
            cursor.execute(statement, values)


LIST_DUE_BATCHES_SQL = """
    SELECT id FROM outbox
    WHERE topic = 'rollup' AND tenant_id = %(tenant_id)s AND tries < %(tries_max)s AND not_before <= %(now)s
    ORDER BY id LIMIT %(batches_max)s"""


def _apply_one_by_one(tenant_id: int, *, now: datetime) -> int:
    """Add the tenant's due batches singly, so that a bad one holds up no other; how many were added or postponed."""
    with connection.cursor() as cursor:
        cursor.execute(
            LIST_DUE_BATCHES_SQL,
            {"tenant_id": tenant_id, "now": now, "tries_max": TRIES_MAX, "batches_max": BATCHES_PER_CLAIM_MAX},
        )
        outbox_ids = [outbox_id for (outbox_id,) in cursor.fetchall()]
    return sum(_apply_one(tenant_id, outbox_id, now=now) for outbox_id in outbox_ids)


def _apply_one(tenant_id: int, outbox_id: int, *, now: datetime) -> int:
    try:
        return apply_claim(tenant_id=tenant_id, now=now, outbox_id=outbox_id)
    except (BatchIncomplete, DataError, IntegrityError) as error:
        logger.exception("batch of outbox row %d, tenant %d, cannot be added", outbox_id, tenant_id)
        return _postpone_batch(outbox_id, error=error, now=now)


POSTPONE_BATCH_SQL = """
    UPDATE outbox
    SET tries = tries + 1,
        not_before = %(now)s::timestamptz + %(retry_after)s::interval * power(4, tries),
        last_error = %(error)s
    WHERE id = %(outbox_id)s
    RETURNING 1"""


def _postpone_batch(outbox_id: int, *, error: Exception, now: datetime) -> int:
    """Count a try and wait, longer each time. After TRIES_MAX the batch stays in the outbox, reported, untried."""
    with connection.cursor() as cursor:
        cursor.execute(
            POSTPONE_BATCH_SQL,
            {
                "outbox_id": outbox_id,
                "now": now,
                "retry_after": timedelta(seconds=RETRY_SECONDS),
                "error": f"{type(error).__name__}: {error}"[:500],
            },
        )
        return cursor.rowcount


RETRY_FAILED_BATCHES_SQL = """
    UPDATE outbox SET tries = 0, not_before = '-infinity'
    WHERE topic = 'rollup' AND tenant_id = %(tenant_id)s AND tries > 0"""


def retry_failed_batches(*, tenant_id: int) -> int:
    """Make the tenant's postponed and given-up batches due again; how many."""
    with connection.cursor() as cursor:
        cursor.execute(RETRY_FAILED_BATCHES_SQL, {"tenant_id": tenant_id})
        return cursor.rowcount
