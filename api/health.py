"""Whether this process can do its work: what /readyz asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import django.db
import redis
from django.conf import settings
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from billing.selectors.jobs import list_jobs, name_overdue
from ledger.selectors import measure_outbox
from ledger.topics import SEAL

OK, DEGRADED, FAILED = "ok", "degraded", "failed"
LAG_SECONDS_MAX = 300
REDIS_TIMEOUT_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `degraded` still serves; `failed` does not."""

    state: str
    detail: str


def check_readiness(*, now: datetime) -> Mapping[str, Check]:
    """Every check by name. Redis away and jobs that are late are `degraded`: events are booked and pages shown all the
    same, what jobs do waits; another web process would do no better.
    """
    database = _check(check_database)
    if database.state == FAILED:
        unknown = Check(FAILED, "unknown, because the database is away")
        away = dict.fromkeys(("migrations", "lag", "jobs"), unknown)
        return {"database": database, "redis": _check(check_redis), **away}
    return {
        "database": database,
        "redis": _check(check_redis),
        "migrations": _check(check_migrations),
        "lag": _check(lambda: check_lag(now=now)),
        "jobs": _check(lambda: check_jobs(now=now)),
    }


def summarise(checks: Mapping[str, Check]) -> str:
    """The worst of the states."""
    states = {check.state for check in checks.values()}
    return FAILED if FAILED in states else DEGRADED if DEGRADED in states else OK


def _check(look: Callable[[], Check]) -> Check:
    try:
        return look()
    except django.db.Error as error:
        return Check(FAILED, f"the database answers with an error ({type(error).__name__})")


PING_SQL = "SELECT 1"


def check_database() -> Check:
    with connections["default"].cursor() as cursor:
        cursor.execute(PING_SQL)
        cursor.fetchone()
    return Check(OK, "answers")


@cache
def connect_redis() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        retry=None,
    )


def check_redis() -> Check:
    try:
        connect_redis().ping()
    except (redis.RedisError, OSError) as error:
        return Check(DEGRADED, f"away ({type(error).__name__}): booking goes on, jobs wait")
    return Check(OK, "answers")


@cache
def list_known_migrations() -> frozenset[tuple[str, str]]:
    """Those that this version of the code brings."""
    return frozenset(MigrationLoader(None).disk_migrations)


def check_migrations() -> Check:
    applied = MigrationRecorder(connections["default"]).applied_migrations()
    missing = sorted(f"{app}.{name}" for app, name in list_known_migrations() - set(applied))
    if missing:
        return Check(FAILED, f"not applied: {', '.join(missing)}")
    return Check(OK, "all applied")


def check_lag(*, now: datetime) -> Check:
    oldest = min(measure_outbox(), key=lambda work: work.oldest_at, default=None)
    seconds = max(0, (now - oldest.oldest_at).total_seconds()) if oldest else 0
    if oldest and seconds > LAG_SECONDS_MAX:
        who = "the sealer" if oldest.topic == SEAL else "a worker"
        return Check(DEGRADED, f"the oldest work waits for {seconds:.0f} s: see that {who} and the beat run")
    return Check(OK, f"the oldest work waits for {seconds:.0f} s")


def check_jobs(*, now: datetime) -> Check:
    jobs = list_jobs(settings.CELERY_BEAT_SCHEDULE, now=now)
    if overdue := name_overdue(jobs):
        return Check(DEGRADED, f"late: {overdue}")
    return Check(OK, f"each of {len(jobs)} came to its end in time")
