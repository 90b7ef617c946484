"""Previews, re-ratings and re-allocations as jobs: started, worked page by page, paused, resumed, cancelled.

A page is one transaction: it locks the job's row, books what the page changes and moves the job on. Whoever finds the
row locked leaves it to the other.
"""

import logging
from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, connection, transaction

from billing.core.impacts import Impact
from billing.core.mapping import MappingBook
from billing.core.reratings import Correction
from billing.models import RateAct, RateJob, RateVersion
from billing.rates.acts import record_act
from billing.rates.approval import RateUnknown
from billing.rates.book import hold_rate_book, list_aliases, read_version
from billing.reratings.pages import Subject, book_page, find_subject, list_targets, measure_page, read_page
from billing.reratings.preview import CALLS_PER_PAGE, count_targets, imagine_rate, project_rate
from billing.reratings.reallocation import REALLOCATION, book_moves, measure_moves, read_moves
from billing.tenant_rules import load_tenant_rules
from ledger.acts import book_act
from ledger.calls import CallPlace
from ledger.core.acts import Act
from ledger.partitions import ensure_partition
from ledger.unallocated import count_unallocated_calls
from tenants.scope import tenant_scope

logger = logging.getLogger(__name__)

CALLS_PER_BOOKING = 2_000
REASON_LENGTH_MAX = 500
UNDER_WAY = ("waiting", "running")
ACTS = {"paused": "paused", "waiting": "resumed", "cancelled": "cancelled"}  # what is done to a job, by what it is then


class JobUnknown(LookupError):
    """No job has this id."""


class JobRefused(ValueError):
    """A job that cannot be started, or a step that its state does not allow; `code` says which."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def start_preview(rate_id: int, *, requested_by: str, now: datetime) -> int:
    """Have the impact of a rate counted, in whatever state it is; the job's id. Raises RateUnknown.

    A count of the same that is under way is answered again.
    """
    return _start_count(rate_id, kind="preview", requested_by=requested_by, now=now)


def start_projection(rate_id: int, *, requested_by: str, now: datetime) -> int:
    """Have counted what the last 30 days would have cost by a rate, though it begins later; as `start_preview`."""
    return _start_count(rate_id, kind="projection", requested_by=requested_by, now=now)


def _start_count(rate_id: int, *, kind: str, requested_by: str, now: datetime) -> int:
    """A count that began before the last edit is of another price: it ends, and a new one begins."""
    with transaction.atomic():
        if not RateVersion.objects.select_for_update().filter(pk=rate_id).exists():
            raise RateUnknown(rate_id)
        acts = RateAct.objects.filter(rate_version_id=rate_id, act="edited").order_by("-id")
        edited_at = acts.values_list("acted_at", flat=True).first()
        for job in RateJob.objects.filter(rate_version_id=rate_id, kind=kind, state__in=UNDER_WAY).order_by("-id"):
            if edited_at is None or edited_at <= job.created_at:
                return job.pk
            RateJob.objects.filter(pk=job.pk, state__in=UNDER_WAY).update(state="cancelled", finished_at=now)
        job = RateJob.objects.create(
            kind=kind, rate_version_id=rate_id, state="waiting", requested_by=requested_by, created_at=now
        )
    return job.pk


def start_rerating(rate_id: int, *, reason: str, requested_by: str, now: datetime) -> int:
    """Have what was booked before a rate's publication restated by it; the job's id.

    Safe to repeat: what costs what it should is left alone. Raises RateUnknown, JobRefused: `rate_state` unless it is
    published, `reason_missing`, `job_under_way` while the same is being done.
    """
    _check_reason(reason)
    try:
        with transaction.atomic():
            rate = RateVersion.objects.filter(pk=rate_id).first()
            if rate is None:
                raise RateUnknown(rate_id)
            if rate.state not in ("published", "superseded"):
                raise JobRefused("rate_state", "only what is published re-rates what was booked")
            job = RateJob.objects.create(
                kind="rerating",
                rate_version_id=rate_id,
                state="waiting",
                reason=reason.strip(),
                requested_by=requested_by,
                created_at=now,
            )
            _record(job, act="started", actor=requested_by, now=now)
    except IntegrityError as error:
        if "rate_job_once" not in str(error):
            raise
        raise JobRefused("job_under_way", "this rate is being re-rated, or the job is paused") from None
    return job.pk


def start_reallocation(
    *, tenant_id: int, used_from: datetime, used_to: datetime, reason: str, requested_by: str, now: datetime
) -> int:
    """Have a tenant's calls of [used_from, used_to) that stand without a cost centre given one by the mapping rules.

    The job's id. Each call goes by the rules of its own day as they are when its page is booked. Safe to repeat: what
    has a cost centre is left alone. Raises JobRefused: `reason_missing`, `days_empty`, `job_under_way`.
    """
    _check_reason(reason)
    if used_from >= used_to:
        raise JobRefused("days_empty", "the first day is before the day after the last")
    try:
        with tenant_scope(tenant_id):
            job = RateJob.objects.create(
                kind="reallocation",
                tenant_id=tenant_id,
                used_from=used_from,
                used_to=used_to,
                state="waiting",
                reason=reason.strip(),
                requested_by=requested_by,
                created_at=now,
            )
            _record(job, act="started", actor=requested_by, now=now)
    except IntegrityError as error:
        if "reallocation_once" not in str(error):
            raise
        raise JobRefused("job_under_way", "a re-allocation of this tenant is under way, or paused") from None
    return job.pk


def _check_reason(reason: str) -> None:
    if not reason.strip() or len(reason) > REASON_LENGTH_MAX or not reason.isprintable():
        raise JobRefused("reason_missing", f"say why, in 1 to {REASON_LENGTH_MAX} printable characters")


# tenant_id: whose re-allocation it is, 0 for a job of a rate.


def pause_job(job_id: int, *, actor: str, now: datetime, tenant_id: int = 0) -> None:
    """Stop after the page under way. Raises JobUnknown, JobRefused."""
    _change_state(job_id, tenant_id, sources=UNDER_WAY, state="paused", actor=actor, now=now)


def resume_job(job_id: int, *, actor: str, now: datetime, tenant_id: int = 0) -> None:
    """Go on where it stopped, also after a failure. Raises JobUnknown, JobRefused."""
    sources = ("paused", "failed")
    _change_state(job_id, tenant_id, sources=sources, state="waiting", actor=actor, now=now)


def cancel_job(job_id: int, *, actor: str, now: datetime, tenant_id: int = 0) -> None:
    """End a job for good; what it booked stays booked. Raises JobUnknown, JobRefused."""
    sources = (*UNDER_WAY, "paused", "failed")
    _change_state(job_id, tenant_id, sources=sources, state="cancelled", actor=actor, now=now)


def work_jobs(*, now: datetime, using: str = "reader") -> int:
    """A page of every job under way, oldest first; how many pages that was. One job's failure is not the others'."""
    pages = 0
    for job_id in RateJob.objects.filter(state__in=UNDER_WAY).order_by("id").values_list("id", flat=True):
        try:
            pages += work_job(job_id, now=now, using=using)
        except Exception as error:
            if not connection.is_usable():
                raise
            logger.exception("rate job %d failed", job_id)
            RateJob.objects.filter(pk=job_id, state__in=UNDER_WAY).update(
                state="failed", error=f"{type(error).__name__}: {error}"[:500]
            )
    return pages


def work_job(job_id: int, *, now: datetime, using: str = "reader") -> bool:
    """One page of a job; false where there was nothing to do: it ended, is paused, or another worker has it.

    using: the connection that a preview reads through.
    """
    if not connection.in_atomic_block:
        ensure_partition(now)
    with transaction.atomic():
        job = RateJob.objects.select_for_update(skip_locked=True).filter(pk=job_id, state__in=UNDER_WAY).first()
        if job is None:
            return False
        if job.kind == "reallocation":
            _work_reallocation(job, now=now)
            return True
        if job.kind != "rerating":
            subject, version = _recall_preview(job, now=now), 0
        else:
            using = "default"
            version = hold_rate_book()
            subject = find_subject(job.rate_version_id, aliases=list_aliases())
        if job.state == "waiting" and job.started_at is None:
            _begin(job, subject, now=now, using=using)
        job.state = "running"
        if subject is not None and job.target_number < len(job.targets):
            _work_page(job, subject, now=now, using=using, version=version)
        if subject is None or job.target_number >= len(job.targets):
            _finish(job, now=now)
        job.save()
    return True


def _begin(job: RateJob, subject: Subject | None, *, now: datetime, using: str) -> None:
    job.started_at = now
    if subject is not None:
        job.targets = [list(target) for target in list_targets(subject, using=using)]
        job.entries_expected = count_targets(subject, [tuple(target) for target in job.targets], using=using)


def _work_page(job: RateJob, subject: Subject, *, now: datetime, using: str, version: int) -> None:
    """Read a page, book it where that is asked for, and move the job on. version: the rate book's, where it is held."""
    tenant_id, provider, model = job.targets[job.target_number]
    is_booking = job.kind == "rerating"
    if is_booking:
        hold_corrections(tenant_id)
    limit = CALLS_PER_BOOKING if is_booking else CALLS_PER_PAGE
    page = read_page(subject, (tenant_id, provider, model), after=_find_place(job), limit=limit, using=using)
    if is_booking:
        with tenant_scope(tenant_id):
            rules = load_tenant_rules(tenant_id, version=version)
            book_page(page, tenant_id=tenant_id, rules=rules, correction=_describe_correction(job), recorded_at=now)
    _count(job, read=page.read, impact=measure_page(page, tenant_id=tenant_id))
    _move_on(job, page.last)
    if page.last is None:
        job.target_number += 1


def _work_reallocation(job: RateJob, *, now: datetime) -> None:
    """Give the next calls cost centres, and move the job on."""
    version = hold_rate_book()
    hold_corrections(job.tenant_id)
    days = {"tenant_id": job.tenant_id, "start": job.used_from, "end": job.used_to}
    with tenant_scope(job.tenant_id):
        if job.started_at is None:
            job.started_at, job.entries_expected = now, count_unallocated_calls(**days)
        rules = load_tenant_rules(job.tenant_id, version=version)
        moves = read_moves(rules.mapping or MappingBook(), **days, after=_find_place(job), limit=CALLS_PER_BOOKING)
        correction = Correction(f"{REALLOCATION}: {job.reason}", job.requested_by, "", str(job.pk))
        book_moves(moves, tenant_id=job.tenant_id, rules=rules, correction=correction, recorded_at=now)
    job.state = "running"
    _count(job, read=moves.read, impact=measure_moves(moves, tenant_id=job.tenant_id))
    _move_on(job, moves.last)
    if moves.last is None:
        _finish(job, now=now)
    job.save()


def _find_place(job: RateJob) -> CallPlace | None:
    """The last call that was read of what is at work."""
    return CallPlace(job.after_time, job.after_batch_id, job.after_line) if job.after_time else None


def _move_on(job: RateJob, last: CallPlace | None) -> None:
    job.after_time, job.after_batch_id, job.after_line = (
        (last.time, last.batch_id, last.line) if last else (None, None, None)
    )


def _count(job: RateJob, *, read: int, impact: Impact) -> None:
    total = Impact.read(job.impact)
    total.merge(impact)
    job.impact = total.write()
    job.entries_read += read


def _finish(job: RateJob, *, now: datetime) -> None:
    job.state, job.finished_at = "done", now
    total = Impact.read(job.impact).total
    facts = {"entries": str(total.entries), "before_pico": str(total.before), "after_pico": str(total.after)}
    _record(job, act="finished", actor=f"job {job.pk}", now=now, facts=facts)


def _describe_correction(job: RateJob) -> Correction:
    rate = RateVersion.objects.get(pk=job.rate_version_id)
    return Correction(job.reason, rate.created_by, rate.approved_by, str(job.pk))


# A preview's rate book is of the moment: kept for the next page, unless the draft or the table has changed.
_imagined: dict[int, tuple[tuple[object, ...], Subject | None]] = {}


def _recall_preview(job: RateJob, *, now: datetime) -> Subject | None:
    row = RateVersion.objects.get(pk=job.rate_version_id)
    said = (row.state, bytes(row.content_hash), row.effective.lower, row.effective.upper, read_version())
    kept = _imagined.get(job.pk)
    if kept is None or kept[0] != said:
        _imagined.clear()
        if job.kind == "projection":
            subject: Subject | None = project_rate(job.rate_version_id, asked_at=job.created_at)
        else:
            subject = imagine_rate(job.rate_version_id, now=now)
        kept = _imagined[job.pk] = (said, subject)
    return kept[1]


HOLD_CORRECTIONS_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('corrections ' || %(tenant_id)s::bigint, 0))"


def hold_corrections(tenant_id: int) -> None:
    """One worker at a time corrects a tenant's entries."""
    with connection.cursor() as cursor:
        cursor.execute(HOLD_CORRECTIONS_SQL, {"tenant_id": tenant_id})


def _change_state(
    job_id: int, tenant_id: int, *, sources: tuple[str, ...], state: str, actor: str, now: datetime
) -> None:
    with transaction.atomic():
        job = RateJob.objects.select_for_update().filter(pk=job_id, tenant_id=tenant_id).first()
        if job is None:
            raise JobUnknown(job_id)
        if job.state not in sources:
            raise JobRefused("job_state", f"a job that is {job.state} cannot be {state}")
        job.state = state
        job.error = ""
        if state == "cancelled":
            job.finished_at = now
        try:
            with transaction.atomic():
                job.save(update_fields=["state", "error", "finished_at"])
        except IntegrityError:
            raise JobRefused("job_under_way", "another job does the same") from None
        _record(job, act=ACTS[state], actor=actor, now=now)


def _record(job: RateJob, *, act: str, actor: str, now: datetime, facts: Mapping[str, str] = {}) -> None:
    """Keep what was done to a job that books; a preview changes nothing, so nobody need know of it."""
    told = {"job": str(job.pk), **facts}
    if job.kind == "rerating":
        rate = RateVersion.objects.get(pk=job.rate_version_id)
        kept = f"rerating_{act}"
        record_act(rate, act=kept, actor=actor, now=now, comment=job.reason, is_for_tenant=True, **told)
    elif job.kind == "reallocation":
        told |= {"reason": job.reason, "used_from": job.used_from.isoformat(), "used_to": job.used_to.isoformat()}
        with tenant_scope(job.tenant_id):
            book_act(tenant_id=job.tenant_id, act=Act(f"reallocation.{act}", actor, told), now=now)
