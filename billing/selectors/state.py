"""How far the rollups are, when they were last proved equal to the ledger, and whether the jobs run."""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connections

from billing.job_runs import HEARTBEAT_JOB, TASK_PREFIX
from billing.rollups.batches import TRIES_MAX
from billing.rollups.reconciliation import RECONCILE_JOB


@dataclass(frozen=True, slots=True)
class RollupLag:
    """What waits in the outbox. Totals count it all the same, but for that they have to read its entries."""

    batches: int
    entries: int
    oldest: datetime | None  # when the oldest of them was booked
    failed_batches: int  # of them, given up after several tries: see `manage.py reconcile --retry`


@dataclass(frozen=True, slots=True)
class LastReconciliation:
    """The result of a tenant's latest comparison of rollups and ledger."""

    checked_at: datetime
    entries: int
    waiting_entries: int
    differences: int  # groups of a rollup
    cost_difference: Decimal  # billed cost in the rollups less that in the ledger


GET_ROLLUP_LAG_SQL = """
    SELECT count(*), coalesce(sum(entry_count), 0)::bigint, min(recorded_at),
           count(*) FILTER (WHERE tries >= %(tries_max)s)
    FROM outbox
    WHERE topic = 'rollup' AND (%(tenant_id)s::bigint IS NULL OR tenant_id = %(tenant_id)s::bigint)"""


def get_rollup_lag(*, tenant_id: int | None = None, using: str = "default") -> RollupLag:
    """The lag of one tenant, or of all."""
    with connections[using].cursor() as cursor:
        cursor.execute(GET_ROLLUP_LAG_SQL, {"tenant_id": tenant_id, "tries_max": TRIES_MAX})
        return RollupLag(*cursor.fetchone())


HAS_OLD_WORK_SQL = """
    SELECT EXISTS (SELECT FROM outbox
                   WHERE topic = 'rollup' AND tries < %(tries_max)s AND recorded_at < %(before)s)"""


def are_rollups_behind(*, before: datetime, using: str = "reader") -> bool:
    """Whether something of any tenant that was booked before that waits for its rollup; what was given up does not."""
    with connections[using].cursor() as cursor:
        cursor.execute(HAS_OLD_WORK_SQL, {"before": before, "tries_max": TRIES_MAX})
        return cursor.fetchone()[0]


GET_LAST_RUN_SQL = """
    SELECT slot, finished_at, result FROM job_run
    WHERE job = %(job)s AND finished_at IS NOT NULL
    ORDER BY slot DESC LIMIT 1"""


def get_last_reconciliation(*, tenant_id: int, using: str = "default") -> LastReconciliation | None:
    """The latest one that came to its end; None before the first."""
    with connections[using].cursor() as cursor:
        cursor.execute(GET_LAST_RUN_SQL, {"job": RECONCILE_JOB.format(tenant_id=tenant_id)})
        row = cursor.fetchone()
    if row is None:
        return None
    checked_at, _, result = row
    found = json.loads(result)
    return LastReconciliation(checked_at, **found | {"cost_difference": Decimal(found["cost_difference"])})


LIST_TASK_SUCCESSES_SQL = """
    SELECT substr(job, %(prefix_length)s + 1), started_at, finished_at
    FROM job_run
    WHERE starts_with(job, %(prefix)s) AND finished_at IS NOT NULL"""


def list_task_successes(*, using: str = "default") -> dict[str, tuple[datetime, datetime]]:
    """When each periodic task first and last came to its end, by the task's name."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_TASK_SUCCESSES_SQL, {"prefix": TASK_PREFIX, "prefix_length": len(TASK_PREFIX)})
        return {task: (first_at, last_at) for task, first_at, last_at in cursor.fetchall()}


def get_heartbeat(*, using: str = "default") -> datetime | None:
    """When a worker last did what beat asked; None before the first time."""
    with connections[using].cursor() as cursor:
        cursor.execute(GET_LAST_RUN_SQL, {"job": HEARTBEAT_JOB})
        row = cursor.fetchone()
    return row[1] if row else None
