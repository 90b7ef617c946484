"""Evidence archives of long months, made by a worker: asked for once, told how far it is, taken from a file for hours.

What is kept of a job is a row of `job_run`, which every process sees; what it made is the file of `audit.exports`.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import connection

from audit.exports import open_bundle
from audit.sealed_months import PeriodEmpty, PeriodUnsealed, find_sealed_month
from billing.job_runs import HEARTBEAT_SLOT, end_turn, take_turn
from tenants.selectors import get_tenant_by_id

logger = logging.getLogger(__name__)

JOB_PREFIX = "export "
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
LEASE = timedelta(minutes=5)  # a worker that says nothing for longer died, and another one begins anew
TOLD_EVERY = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class ExportJob:
    """The making of a month's archive. entries: written so far, of `expected`. error: why it failed, in words."""

    tenant_id: int
    period: date
    state: str
    entries: int
    expected: int
    asked_at: datetime
    error: str = ""

    @property
    def is_under_way(self) -> bool:
        return self.state in (WAITING, RUNNING)


ASK_EXPORT_SQL = """
    INSERT INTO job_run AS asked (job, slot, started_at, result)
    VALUES (%(job)s, %(slot)s, %(now)s, %(result)s)
    ON CONFLICT (job, slot) DO UPDATE
    SET started_at = excluded.started_at, finished_at = NULL, result = excluded.result
    WHERE asked.finished_at IS NOT NULL"""


def ask_export(*, tenant_id: int, period: date, expected: int, now: datetime) -> None:
    """Have the archive made; the same again while it is being made changes nothing."""
    job = ExportJob(tenant_id, period, WAITING, 0, expected, now)
    with connection.cursor() as cursor:
        cursor.execute(ASK_EXPORT_SQL, _name_row(job) | {"now": now, "result": _write_result(job)})


GET_EXPORT_SQL = "SELECT job, started_at, result FROM job_run WHERE job = %(job)s AND slot = %(slot)s"
LIST_EXPORTS_SQL = """
    SELECT job, started_at, result FROM job_run
    WHERE starts_with(job, %(prefix)s) AND slot = %(slot)s AND finished_at IS NULL
    ORDER BY started_at"""


def get_export(*, tenant_id: int, period: date) -> ExportJob | None:
    """The latest job of this month; None where it was never asked for."""
    with connection.cursor() as cursor:
        cursor.execute(GET_EXPORT_SQL, {"job": _name_job(tenant_id, period), "slot": HEARTBEAT_SLOT})
        row = cursor.fetchone()
    return _read_job(*row) if row else None


def work_exports(*, clock: Callable[[], datetime]) -> int:
    """Make what was asked for, the longest-waiting first, each by one worker; how many were made."""
    with connection.cursor() as cursor:
        cursor.execute(LIST_EXPORTS_SQL, {"prefix": JOB_PREFIX, "slot": HEARTBEAT_SLOT})
        jobs = [_read_job(*row) for row in cursor.fetchall()]
    holder = f"{os.getpid()}-{time.monotonic_ns()}"
    made = 0
    for job in jobs:
        turn = _name_job(job.tenant_id, job.period)
        if not take_turn(job=turn, holder=holder, lease=LEASE):
            continue
        try:
            _make(job, holder=holder, now=clock())
            made += 1
        except (PeriodEmpty, PeriodUnsealed) as refused:
            _end(job, state=FAILED, error=str(refused))
        except Exception as error:
            logger.exception("the archive of tenant %d, %s was not made", job.tenant_id, job.period)
            _end(job, state=FAILED, error=f"it could not be made ({type(error).__name__}); ask for it again")
        finally:
            end_turn(job=turn, holder=holder)
    return made


def _make(job: ExportJob, *, holder: str, now: datetime) -> None:
    """Make the file, and tell each second how far it is: that is what shows that somebody is at work."""
    tenant = get_tenant_by_id(job.tenant_id)
    if tenant is None:
        raise PeriodEmpty("there is no such tenant")
    month = find_sealed_month(tenant=tenant, period=job.period, now=now)
    told_at = float("-inf")

    def tell(entries: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TOLD_EVERY:
            told_at = time.monotonic()
            take_turn(job=_name_job(job.tenant_id, job.period), holder=holder, lease=LEASE)
            _tell(job, state=RUNNING, entries=entries, expected=month.entries)

    tell(0)
    open_bundle(month, tell=tell).content.close()
    _end(job, state=DONE, entries=month.entries, expected=month.entries)


TELL_EXPORT_SQL = "UPDATE job_run SET result = %(result)s WHERE job = %(job)s AND slot = %(slot)s"
END_EXPORT_SQL = """
    UPDATE job_run SET result = %(result)s, finished_at = clock_timestamp()
    WHERE job = %(job)s AND slot = %(slot)s"""


def _tell(job: ExportJob, *, state: str, entries: int, expected: int) -> None:
    _write(TELL_EXPORT_SQL, ExportJob(job.tenant_id, job.period, state, entries, expected, job.asked_at))


def _end(job: ExportJob, *, state: str, entries: int = 0, expected: int = 0, error: str = "") -> None:
    ended = ExportJob(job.tenant_id, job.period, state, entries, expected or job.expected, job.asked_at, error)
    _write(END_EXPORT_SQL, ended)


def _write(statement: str, job: ExportJob) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, _name_row(job) | {"result": _write_result(job)})


def _name_row(job: ExportJob) -> dict[str, object]:
    return {"job": _name_job(job.tenant_id, job.period), "slot": HEARTBEAT_SLOT}


def _name_job(tenant_id: int, period: date) -> str:
    return f"{JOB_PREFIX}{tenant_id} {period:%Y-%m}"


def _write_result(job: ExportJob) -> str:
    return json.dumps({"state": job.state, "entries": job.entries, "expected": job.expected, "error": job.error})


def _read_job(name: str, asked_at: datetime, result: str) -> ExportJob:
    tenant_id, month = name.removeprefix(JOB_PREFIX).split(" ")
    facts = json.loads(result)
    return ExportJob(
        int(tenant_id),
        date.fromisoformat(f"{month}-01"),
        facts["state"],
        facts["entries"],
        facts["expected"],
        asked_at,
        facts["error"],
    )
