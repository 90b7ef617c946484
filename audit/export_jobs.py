"""Files of long months, made by a worker: asked for once, told how far it is, taken for hours.

What is kept of a job is a row of `job_run`, which every process sees; what it made is a file of `audit.exports`.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from audit.entries import write_leaves
from audit.exports import Export, forget_old_files, keep_file, open_bundle, open_file
from audit.rows import count_rows, stream_rows
from audit.sealed_months import PeriodEmpty, PeriodUnsealed, find_sealed_month
from billing.job_runs import HEARTBEAT_SLOT, end_turn, take_turn
from ledger.sealing.proofs import TreeTorn
from tenants.selectors import TenantInfo, get_tenant_by_id

logger = logging.getLogger(__name__)

JOB_PREFIX = "export "
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
LEASE = timedelta(minutes=5)  # a worker that says nothing for longer died, and another one begins anew
TOLD_EVERY = 1.0  # seconds
BUNDLE, ROWS, ENTRIES = "bundle", "rows", "entries"
SAVED_AS = {BUNDLE: "evidence-{}.zip", ROWS: "rows-{}.csv", ENTRIES: "entries-{}.jsonl"}


@dataclass(frozen=True, slots=True)
class ExportJob:
    """The making of a month's file. entries: written so far, of `expected`, which is 0 until it is known.

    what: the evidence archive, the rows beneath the statement, or the entries with their leaves. error: why it failed,
    in words. kept_as: the file that was made.
    """

    tenant_id: int
    period: date
    what: str
    state: str
    asked_at: datetime
    entries: int = 0
    expected: int = 0
    error: str = ""
    kept_as: str = ""

    @property
    def is_under_way(self) -> bool:
        return self.state in (WAITING, RUNNING)


ASK_EXPORT_SQL = """
    INSERT INTO job_run AS asked (job, slot, started_at, result)
    VALUES (%(job)s, %(slot)s, %(now)s, %(result)s)
    ON CONFLICT (job, slot) DO UPDATE
    SET started_at = excluded.started_at, finished_at = NULL, result = excluded.result
    WHERE asked.finished_at IS NOT NULL"""


def ask_export(*, tenant_id: int, period: date, what: str = BUNDLE, now: datetime) -> None:
    """Have the file made; the same again while it is being made changes nothing."""
    job = ExportJob(tenant_id, period, what, WAITING, now)
    with connection.cursor() as cursor:
        cursor.execute(ASK_EXPORT_SQL, _name_row(job) | {"now": now, "result": _write_result(job)})


GET_EXPORT_SQL = "SELECT job, started_at, result FROM job_run WHERE job = %(job)s AND slot = %(slot)s"
LIST_EXPORTS_SQL = """
    SELECT job, started_at, result FROM job_run
    WHERE starts_with(job, %(prefix)s) AND slot = %(slot)s AND finished_at IS NULL
    ORDER BY started_at"""


def get_export(*, tenant_id: int, period: date, what: str = BUNDLE) -> ExportJob | None:
    """The latest job for this file of the month; None where it was never asked for."""
    with connection.cursor() as cursor:
        cursor.execute(GET_EXPORT_SQL, {"job": _name_job(tenant_id, period, what), "slot": HEARTBEAT_SLOT})
        row = cursor.fetchone()
    return _read_job(*row) if row else None


def open_made(job: ExportJob, *, tenant: TenantInfo) -> Export | None:
    """What the job of this tenant made; None where it has not yet, or the file is deleted since."""
    if job.state != DONE:
        return None
    name = SAVED_AS[job.what].format(f"{tenant.slug}-{job.period:%Y-%m}")
    return open_file(job.kept_as, tenant_id=tenant.id, name=name)


def work_exports(*, clock: Callable[[], datetime]) -> int:
    """Make what was asked for, the longest-waiting first, each by one worker; how many were made."""
    with connection.cursor() as cursor:
        cursor.execute(LIST_EXPORTS_SQL, {"prefix": JOB_PREFIX, "slot": HEARTBEAT_SLOT})
        jobs = [_read_job(*row) for row in cursor.fetchall()]
    holder = f"{os.getpid()}-{time.monotonic_ns()}"
    made = 0
    for job in jobs:
        turn = _name_job(job.tenant_id, job.period, job.what)
        if not take_turn(job=turn, holder=holder, lease=LEASE):
            continue
        try:
            _make(job, holder=holder, now=clock())
            made += 1
        except (PeriodEmpty, PeriodUnsealed, TreeTorn) as refused:
            _end(job, state=FAILED, error=str(refused))
        except Exception as error:
            logger.exception("%s of tenant %d, %s were not made", job.what, job.tenant_id, job.period)
            _end(job, state=FAILED, error=f"it could not be made ({type(error).__name__}); ask for it again")
        finally:
            end_turn(job=turn, holder=holder)
    return made


def _make(job: ExportJob, *, holder: str, now: datetime) -> None:
    """Make the file, and tell each second how far it is: that is what shows that somebody is at work."""
    tenant = get_tenant_by_id(job.tenant_id)
    if tenant is None:
        raise PeriodEmpty("there is no such tenant")
    told_at = float("-inf")

    def tell(entries: int, expected: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TOLD_EVERY:
            told_at = time.monotonic()
            take_turn(job=_name_job(job.tenant_id, job.period, job.what), holder=holder, lease=LEASE)
            _tell(job, state=RUNNING, entries=entries, expected=expected)

    tell(0, 0)
    forget_old_files()
    make = {BUNDLE: _make_bundle, ROWS: _make_rows, ENTRIES: _make_entries}[job.what]
    kept_as, entries = make(tenant, job.period, now, tell)
    _end(job, state=DONE, entries=entries, expected=entries, kept_as=kept_as)


Tell = Callable[[int, int], None]  # hears of the entries written, and of how many there will be


def _make_bundle(tenant: TenantInfo, period: date, now: datetime, tell: Tell) -> tuple[str, int]:
    """What the file is kept as, and how many entries are in it; so do the others."""
    month = find_sealed_month(tenant=tenant, period=period, now=now)
    file = open_bundle(month, tell=lambda entries: tell(entries, month.entries))
    file.content.close()
    return file.kept_as, month.entries


def _make_rows(tenant: TenantInfo, period: date, now: datetime, tell: Tell) -> tuple[str, int]:
    expected = count_rows(tenant_id=tenant.id, period=period)
    if not expected:
        raise PeriodEmpty(f"nothing is charged in {period:%Y-%m}")
    pieces = stream_rows(tenant_id=tenant.id, period=period, tell=lambda entries: tell(entries, expected))
    return keep_file(pieces, tenant_id=tenant.id, stem=f"{period:%Y-%m}-{ROWS}", suffix="csv"), expected


def _make_entries(tenant: TenantInfo, period: date, now: datetime, tell: Tell) -> tuple[str, int]:
    month = find_sealed_month(tenant=tenant, period=period, now=now)
    pieces = write_leaves(month, tell=lambda entries: tell(entries, month.entries))
    return keep_file(pieces, tenant_id=tenant.id, stem=f"{period:%Y-%m}-{ENTRIES}", suffix="jsonl"), month.entries


TELL_EXPORT_SQL = "UPDATE job_run SET result = %(result)s WHERE job = %(job)s AND slot = %(slot)s"
END_EXPORT_SQL = """
    UPDATE job_run SET result = %(result)s, finished_at = clock_timestamp()
    WHERE job = %(job)s AND slot = %(slot)s"""


def _tell(job: ExportJob, **facts: Any) -> None:
    _write(TELL_EXPORT_SQL, replace(job, **facts))


def _end(job: ExportJob, **facts: Any) -> None:
    _write(END_EXPORT_SQL, replace(job, **facts))


def _write(statement: str, job: ExportJob) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, _name_row(job) | {"result": _write_result(job)})


def _name_row(job: ExportJob) -> dict[str, object]:
    return {"job": _name_job(job.tenant_id, job.period, job.what), "slot": HEARTBEAT_SLOT}


def _name_job(tenant_id: int, period: date, what: str) -> str:
    return f"{JOB_PREFIX}{tenant_id} {period:%Y-%m} {what}"


FACTS = ("state", "entries", "expected", "error", "kept_as")


def _write_result(job: ExportJob) -> str:
    return json.dumps({name: getattr(job, name) for name in FACTS})


def _read_job(name: str, asked_at: datetime, result: str) -> ExportJob:
    tenant_id, month, what = name.removeprefix(JOB_PREFIX).split(" ")
    return ExportJob(int(tenant_id), date.fromisoformat(f"{month}-01"), what, asked_at=asked_at, **json.loads(result))
