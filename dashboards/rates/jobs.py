"""Counts and re-ratings as pages show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from billing.reratings import JobInfo, get_job, list_jobs
from billing.selectors.rate_versions import RateRecord, read_rate_versions
from dashboards.access import Seat
from dashboards.frame import make_link
from dashboards.rates.actors import name_actors
from dashboards.rates.impact import ImpactTables, make_tables, read_money

JOBS_PER_PAGE = 50
KIND_WORDS = {"preview": "Count", "projection": "Count of 30 days", "rerating": "Re-rating"}
# What a state allows, as the words of its buttons.
STEPS = {
    "waiting": ("pause", "cancel"),
    "running": ("pause", "cancel"),
    "paused": ("resume", "cancel"),
    "failed": ("resume", "cancel"),
}
STEP_WORDS = {"pause": "Pause", "resume": "Go on", "cancel": "End for good"}
PICKED_UP_WITHIN = timedelta(seconds=20)  # by a worker that lives


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A job with what its entries came to: done = corrected + rated + skipped, of about done + to_do."""

    job: JobInfo
    record: RateRecord
    asked_by: str
    href: str
    rate_href: str
    model_href: str

    @property
    def kind_word(self) -> str:
        return KIND_WORDS[self.job.kind]

    @property
    def is_under_way(self) -> bool:
        return self.job.state in ("waiting", "running")

    @property
    def is_unknown(self) -> bool:
        """Whether nothing can be told of its costs: it did not end, and found nothing so far."""
        return self.job.state != "done" and not self.job.impact.shares

    @property
    def is_rerating(self) -> bool:
        return self.job.kind == "rerating"

    @property
    def to_do(self) -> int:
        """None is left of a job that is done, whatever had been expected."""
        return 0 if self.job.state == "done" else self.job.entries_expected - self.job.entries_read

    @property
    def corrected(self) -> int:
        total = self.job.impact.total
        return total.entries - total.rated

    @property
    def rated(self) -> int:
        return self.job.impact.total.rated

    @property
    def skipped(self) -> int:
        """Those that cost what they should."""
        return self.job.entries_read - self.job.impact.total.entries

    @property
    def before(self) -> Decimal | None:
        """None where not one of them had a price: that is no zero."""
        total = self.job.impact.total
        return None if total.entries and total.rated == total.entries else read_money(total.before)

    @property
    def after(self) -> Decimal | None:
        """None where all of them lose theirs."""
        total = self.job.impact.total
        return None if total.entries and total.unrated == total.entries else read_money(total.after)

    @property
    def difference(self) -> Decimal:
        return read_money(self.job.impact.total.after - self.job.impact.total.before)

    @property
    def steps(self) -> list[tuple[str, str]]:
        """What may be done with it: the step and its word."""
        return [(step, STEP_WORDS[step]) for step in STEPS.get(self.job.state, ())]

    def is_left_waiting(self, now: datetime) -> bool:
        """Whether no worker has taken it for so long that none seems to be up."""
        return (
            self.job.state == "waiting"
            and self.job.started_at is None
            and (now - self.job.created_at > PICKED_UP_WITHIN)
        )


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Jobs, latest first. older_href: '' where there are none before these."""

    jobs: Sequence[ShownJob]
    older_href: str
    is_first: bool

    @property
    def under_way(self) -> int:
        return sum(each.is_under_way for each in self.jobs)

    @property
    def paused(self) -> int:
        return sum(each.job.state == "paused" for each in self.jobs)


@dataclass(frozen=True, slots=True)
class JobPage:
    """One job, and by month and tenant what it found so far; None where it found nothing."""

    shown: ShownJob
    tables: ImpactTables | None
    is_left_waiting: bool


def read_jobs_page(*, seat: Seat, before_id: int) -> JobsPage:
    """A page of all jobs; before_id: of the page before, 0 for the first."""
    found = list_jobs(before_id=before_id, limit=JOBS_PER_PAGE + 1)
    jobs = found[:JOBS_PER_PAGE]
    records = read_rate_versions({job.rate_version_id for job in jobs})
    names = name_actors(job.requested_by for job in jobs)
    older = make_link("rate_jobs", seat.link_query | {"before": jobs[-1].id}) if len(found) > len(jobs) else ""
    return JobsPage([_show(job, records, names, seat) for job in jobs], older, not before_id)


def read_job_page(job_id: int, *, seat: Seat, now: datetime) -> JobPage | None:
    """One job's page; None where there is none of this id."""
    job = get_job(job_id)
    if job is None:
        return None
    records = read_rate_versions({job.rate_version_id})
    shown = _show(job, records, name_actors([job.requested_by]), seat)
    return JobPage(shown, make_tables(job.impact, seat) if job.impact.shares else None, shown.is_left_waiting(now))


def _show(job: JobInfo, records: Mapping[int, RateRecord], names: Mapping[str, str], seat: Seat) -> ShownJob:
    record = records[job.rate_version_id]
    return ShownJob(
        job=job,
        record=record,
        asked_by=names[job.requested_by],
        href=make_link("rate_job", seat.link_query, job.id),
        rate_href=make_link("rate_impact", seat.link_query, record.id),
        model_href=make_link("rate_model", seat.link_query, record.provider, record.model)
        if record.match == "exact"
        else "",
    )
