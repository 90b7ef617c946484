"""Jobs as pages and doors show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.core.impacts import Impact
from billing.models import RateJob


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job: how far it came (`entries_read` of about `entries_expected`) and what it found so far."""

    id: int
    kind: str
    rate_version_id: int | None
    state: str
    reason: str
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    entries_expected: int
    entries_read: int
    impact: Impact
    error: str
    used_from: datetime | None = None  # of a re-allocation: the calls that it is about
    used_to: datetime | None = None


def get_job(job_id: int, *, tenant_id: int = 0) -> JobInfo | None:
    """A job of a rate, or the tenant's re-allocation."""
    job = RateJob.objects.filter(pk=job_id, tenant_id=tenant_id).first()
    return _describe(job) if job else None


def list_jobs(
    *,
    rate_version_id: int | None = None,
    kinds: Sequence[str] = (),
    before_id: int = 0,
    limit: int | None = None,
    tenant_id: int = 0,
) -> list[JobInfo]:
    """Jobs, of one rate or of all, latest first; those before `before_id` where one is named.

    tenant_id: whose re-allocations are asked for; those of rates are nobody's.
    """
    jobs = RateJob.objects.filter(tenant_id=tenant_id).order_by("-id")
    if rate_version_id is not None:
        jobs = jobs.filter(rate_version_id=rate_version_id)
    if kinds:
        jobs = jobs.filter(kind__in=kinds)
    if before_id:
        jobs = jobs.filter(id__lt=before_id)
    return [_describe(job) for job in jobs[:limit]]


def _describe(job: RateJob) -> JobInfo:
    return JobInfo(
        id=job.pk,
        kind=job.kind,
        rate_version_id=job.rate_version_id,
        state=job.state,
        reason=job.reason,
        requested_by=job.requested_by,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        entries_expected=max(job.entries_expected, job.entries_read),
        entries_read=job.entries_read,
        impact=Impact.read(job.impact),
        error=job.error,
        used_from=job.used_from,
        used_to=job.used_to,
    )
