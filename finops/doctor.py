"""Examines an installation: one finding a check, each with its cure. `manage.py doctor` prints them."""

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connections
from django.db.utils import DatabaseError, OperationalError

from api.health import FAILED, OK, check_migrations, check_redis
from billing.job_runs import HEARTBEAT_JOB
from billing.rates import load_rate_book
from billing.selectors.jobs import list_jobs, name_overdue
from finops.celery import app
from finops.defences import (
    list_missing_partitions,
    list_role_faults,
    list_unguarded_tables,
    list_unprotected_tables,
)
from finops.environment import environment_file
from ledger.sealing.alarms import list_alarms
from ledger.sealing.proofs import count_sealed_batches
from ledger.selectors import measure_outbox
from ledger.topics import SEAL

OUTBOX_AGE_MAX = timedelta(minutes=5)
SEAL_AGE_MAX = timedelta(minutes=1)
SEALS_CURE = "find out who changed what (docs/operations.md#sealing); `manage.py seal --check` compares all of it"
HEARTBEAT_AGE_MAX = timedelta(minutes=1)
WORKER_ANSWER_SECONDS = 2.0
MODELS_NAMED_MAX = 5

SET_UP = "run `manage.py setup_database`"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw; `cure` is '' when all is well."""

    name: str
    detail: str
    cure: str = ""

    @property
    def is_well(self) -> bool:
        return not self.cure


def examine(*, now: datetime, only: str | None = None) -> Iterator[Finding]:
    """One finding for each check of CHECKS, in its order, or for the one called `only`."""
    for name, check in CHECKS.items():
        if only in (None, name):
            yield _examine_one(name, check, now)


def _examine_one(name: str, check: Callable[[datetime], tuple[str, str]], now: datetime) -> Finding:
    try:
        return Finding(name, *check(now))
    except OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        return Finding(name, f"the database is not reached ({reason})", "start it with `make up`, or see DATABASE_URL")
    except DatabaseError as error:
        return Finding(name, f"the database refuses to say ({str(error).splitlines()[0]})", SET_UP)


def _query(sql: str, values: dict, *, using: str = "default") -> list[tuple]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, values)
        return cursor.fetchall()


def _state_secrets(now: datetime) -> tuple[str, str]:
    path = environment_file()
    if not path.exists():
        return "everything comes from the environment", ""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return f"{path} has mode {mode:04o}: others can read passwords", f"chmod 600 {path}"
    return f"{path} is readable by its owner alone", ""


def _state_migrations(now: datetime) -> tuple[str, str]:
    check = check_migrations()
    return check.detail, SET_UP if check.state == FAILED else ""


def _state_roles(now: datetime) -> tuple[str, str]:
    faults = [
        *list_role_faults(_query),
        *list_role_faults(lambda sql, values: _query(sql, values, using="reader")),
    ]
    cure = "point DATABASE_APP_URL and DATABASE_READER_URL at the roles that `manage.py setup_database` makes"
    return ("; ".join(faults), cure) if faults else ("neither superuser, nor owner, nor past row security", "")


def _state_row_security(now: datetime) -> tuple[str, str]:
    tables = list_unprotected_tables(_query)
    cure = "as the owner: SELECT protect_tenant_table('…'), and find out who took the protection away"
    return (f"not forced on {', '.join(tables)}", cure) if tables else ("forced on every table of tenants", "")


def _state_append_only(now: datetime) -> tuple[str, str]:
    faults = list_unguarded_tables(_query)
    cure = "as the owner: ALTER TABLE … ENABLE ALWAYS TRIGGER …, and find out who disabled it"
    return ("; ".join(faults), cure) if faults else ("every trigger refuses, in replica mode too", "")


def _state_partitions(now: datetime) -> tuple[str, str]:
    months = list_missing_partitions(_query, now=now)
    return (f"none for {', '.join(months)}", SET_UP) if months else ("this month and the next two are there", "")


def _state_redis(now: datetime) -> tuple[str, str]:
    check = check_redis()
    return check.detail, "" if check.state == OK else f"start the Redis of REDIS_URL ({settings.REDIS_URL})"


def _state_worker(now: datetime) -> tuple[str, str]:
    try:
        answers = app.control.ping(timeout=WORKER_ANSWER_SECONDS)
    except (OSError, app.connection_for_write().connection_errors) as error:
        return f"cannot be asked ({type(error).__name__})", "start Redis first"
    names = sorted(name for answer in answers for name in answer)
    return (
        (f"{', '.join(names)} answers", "") if names else ("none answers", "start it: `make up`, or the service worker")
    )


READ_HEARTBEAT_SQL = "SELECT max(finished_at) FROM job_run WHERE job = %(job)s"


def _state_beat(now: datetime) -> tuple[str, str]:
    ((last,),) = _query(READ_HEARTBEAT_SQL, {"job": HEARTBEAT_JOB})
    cure = "start it: `make up`, or the service beat (and the worker, who does what it says)"
    if last is None:
        return "its heart has not beaten yet", cure
    said = f"its heart beat {(now - last).total_seconds():.0f} s ago"
    return said, cure if now - last > HEARTBEAT_AGE_MAX else ""


def _state_jobs(now: datetime) -> tuple[str, str]:
    jobs = list_jobs(settings.CELERY_BEAT_SCHEDULE, now=now)
    if overdue := name_overdue(jobs):
        return f"late: {overdue}", "see that worker and beat run, and the worker's log for the job that fails"
    return f"each of {len(jobs)} came to its end in time", ""


def _state_outbox(now: datetime) -> tuple[str, str]:
    oldest = min((work.oldest_at for work in measure_outbox() if work.topic != SEAL), default=None)
    if oldest is None:
        return "nothing waits", ""
    said = f"the oldest work waits for {(now - oldest).total_seconds():.0f} s"
    return said, "see the worker's log for the batch that it cannot do" if now - oldest > OUTBOX_AGE_MAX else ""


def _state_seals(now: datetime) -> tuple[str, str]:
    alarms = list_alarms()
    if alarms:
        more = f", and {len(alarms) - 1} more" if len(alarms) > 1 else ""
        return f"{alarms[0].subject} of tenant {alarms[0].tenant_id} is refused: {alarms[0].detail}{more}", SEALS_CURE
    oldest = next((work.oldest_at for work in measure_outbox() if work.topic == SEAL), None)
    if oldest is None:
        return f"{count_sealed_batches():,} batches, all that are booked", ""
    late = now - oldest > SEAL_AGE_MAX
    said = f"the oldest batch waits for its seal for {(now - oldest).total_seconds():.0f} s"
    return said, "start the sealer: `make up`, or the service sealer" if late else ""


COUNT_RATES_SQL = "SELECT count(*) FROM rate_version WHERE state = 'published' AND effective @> %(now)s::timestamptz"


def _state_rates(now: datetime) -> tuple[str, str]:
    ((count,),) = _query(COUNT_RATES_SQL, {"now": now})
    return f"{count:,} in force", "" if count else "run `manage.py import_rates genai-prices --approve`"


LIST_UNPRICED_MODELS_SQL = """
    SELECT provider, model
    FROM cost_hour
    WHERE hour >= date_trunc('day', %(now)s::timestamptz, 'UTC') AND unpriced_calls > 0
    GROUP BY provider, model
    ORDER BY sum(unpriced_calls) DESC"""


def _state_models(now: datetime) -> tuple[str, str]:
    models = _query(LIST_UNPRICED_MODELS_SQL, {"now": now}, using="reader")
    if not models:
        return "every call of today has a price", ""
    rate_book = load_rate_book()
    without, partly = [], []
    for provider, model in models:
        has_rate = rate_book.find(provider, model, now, "standard", "", 0)
        (partly if has_rate else without).append(f"{provider}/{model}")
    said, cures = [], []
    if without:
        said.append(f"without a rate: {_name_some(without)}")
        cures.append("publish their rates (docs/rates.md)")
    if partly:
        said.append(f"with a rate, and calls of today without a price: {_name_some(partly)}")
        cures.append("the ledger says why: a meter without a price needs a further version of the rate")
    return "; ".join(said), "; ".join([*cures, "what was booked before a rate came is priced by its re-rating"])


def _name_some(names: list[str]) -> str:
    more = f" and {len(names) - MODELS_NAMED_MAX} more" if len(names) > MODELS_NAMED_MAX else ""
    return f"{', '.join(names[:MODELS_NAMED_MAX])}{more}"


CHECKS = {
    "secrets": _state_secrets,
    "migrations": _state_migrations,
    "roles": _state_roles,
    "row security": _state_row_security,
    "append-only": _state_append_only,
    "partitions": _state_partitions,
    "redis": _state_redis,
    "worker": _state_worker,
    "beat": _state_beat,
    "jobs": _state_jobs,
    "outbox": _state_outbox,
    "seals": _state_seals,
    "rates": _state_rates,
    "models": _state_models,
}
