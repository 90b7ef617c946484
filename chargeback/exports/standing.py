"""What people ask of a target's days: how each fared, how the target stands, and to have one made again."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import connection

from chargeback.core.exports import find_settling
from chargeback.exports.targets import get_target
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope


class RunUnknown(LookupError):
    """The target has no such day: before its first one, or not settled yet."""


@dataclass(frozen=True, slots=True)
class Run:
    """A day of a target. state: waiting, sent, dead, or changed, where another content stands in the day's place."""

    target_id: int
    day: date
    state: str
    attempts: int
    due_at: datetime
    is_under_way: bool
    last_error: str
    finished_at: datetime | None
    rows: int | None
    bytes: int | None
    billed_cost: Decimal | None
    manifest_sha256: str


LIST_RUNS_SQL = """
    SELECT target_id, day, state, attempts - retried_from, due_at,
           coalesce(state = 'waiting' AND leased_until > %(now)s, false), last_error, finished_at, rows, bytes,
           billed_cost, manifest_sha256
    FROM export_run
    WHERE tenant_id = %(tenant_id)s AND target_id = %(target_id)s
      AND (%(before)s::date IS NULL OR day < %(before)s)
    ORDER BY day DESC LIMIT %(limit)s"""


def list_runs(
    *, tenant_id: int, target_id: int, now: datetime, limit: int = 31, before: date | None = None
) -> list[Run]:
    """The target's days, newest first. Raises TargetUnknown."""
    with reading_scope(tenant_id), connection.cursor() as cursor:
        get_target(tenant_id=tenant_id, target_id=target_id)
        values = {"tenant_id": tenant_id, "target_id": target_id, "now": now, "limit": limit, "before": before}
        cursor.execute(LIST_RUNS_SQL, values)
        return [Run(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Standing:
    """How a target fares. waiting: days that are to be sent; failing: those that failed, are dead or changed."""

    last_day: date | None
    last_sent_at: datetime | None
    waiting: int
    failing: int
    last_error: str


SUM_RUNS_SQL = """
    SELECT target_id, max(day) FILTER (WHERE state = 'sent'), max(finished_at) FILTER (WHERE state = 'sent'),
           count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE last_error <> '' AND state <> 'sent'),
           coalesce((array_agg(last_error ORDER BY day DESC)
                     FILTER (WHERE last_error <> '' AND state <> 'sent'))[1], '')
    FROM export_run WHERE tenant_id = %(tenant_id)s GROUP BY target_id"""


def sum_runs(*, tenant_id: int) -> dict[int, Standing]:
    """How each target fares, by id; of one that has no day yet nothing."""
    with reading_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(SUM_RUNS_SQL, {"tenant_id": tenant_id})
        return {target_id: Standing(*facts) for target_id, *facts in cursor.fetchall()}


AGAIN_SQL = """
    UPDATE export_run
    SET state = 'waiting', retried_from = attempts, due_at = %(due_at)s, finished_at = NULL, last_error = ''
    WHERE tenant_id = %(tenant_id)s AND target_id = %(target_id)s AND day = %(day)s
      AND (leased_until IS NULL OR leased_until <= %(now)s)"""


def run_again(*, tenant_id: int, target_id: int, day: date, actor: str, now: datetime) -> None:
    """Have a day made again and compared with what is there: what is missing is put, what differs is told.

    One that is under way goes on. Raises TargetUnknown, RunUnknown.
    """
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        get_target(tenant_id=tenant_id, target_id=target_id)
        found = list_runs(tenant_id=tenant_id, target_id=target_id, now=now, limit=1, before=day + timedelta(days=1))
        if not found or found[0].day != day:
            raise RunUnknown(f"the target has no day {day}")
        values = {"tenant_id": tenant_id, "target_id": target_id, "day": day, "now": now}
        cursor.execute(AGAIN_SQL, values | {"due_at": max(now, find_settling(day))})
        facts = {"target": str(target_id), "day": day.isoformat()}
        book_act(tenant_id=tenant_id, act=Act(name="export_target.day_again", actor=actor, facts=facts), now=now)
