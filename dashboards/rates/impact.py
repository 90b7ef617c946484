"""What a rate changes of what is booked, as pages tell it: counted by a job, found again by the rate's address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.core.impacts import Impact, Share, add_shares
from billing.core.rate_words import describe_settlements
from billing.reratings import JobInfo, list_jobs, start_preview, start_projection
from billing.selectors.rate_versions import RateRecord, read_rate_versions
from billing.selectors.rates import VersionInfo, get_rate_version
from dashboards.access import Seat
from dashboards.frame import ALL_ENVIRONMENTS, make_link
from tenants.models import OPERATOR_SLUG

TENANTS_MAX = 20
UNDER_WAY = ("waiting", "running")
# After these a count says what was, and no longer what is.
OUTDATING_ACTS = ("edited", "rerating_finished", "rerating_cancelled")


@dataclass(frozen=True, slots=True)
class ImpactRow:
    """A tenant's or a month's part. rated: had no price and get one; unrated: lose theirs; both are among `entries`."""

    name: str
    href: str
    entries: int
    rated: int
    unrated: int
    before: Decimal
    after: Decimal

    @property
    def corrected(self) -> int:
        """Those that had a price before."""
        return self.entries - self.rated

    @property
    def known_before(self) -> Decimal | None:
        """None where not one of them had a price: that is no zero."""
        return None if self.entries and self.rated == self.entries else self.before

    @property
    def known_after(self) -> Decimal | None:
        """None where all of them lose theirs."""
        return None if self.entries and self.unrated == self.entries else self.after

    @property
    def difference(self) -> Decimal:
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class ImpactTables:
    """The same sum by month and by tenant. other: tenants that are not shown, added up, None where all are."""

    months: Sequence[ImpactRow]
    tenants: Sequence[ImpactRow]
    other: ImpactRow | None
    total: ImpactRow
    tenant_count: int


@dataclass(frozen=True, slots=True)
class RateImpact:
    """A rate and its latest count. job: None where nothing was counted since the rate said what it says.

    begins_later: what is counted is the 30 days before, as if the rate had held. rerating: that is not at its end.
    """

    record: RateRecord
    job: JobInfo | None
    begins_later: bool
    tables: ImpactTables | None
    rerating: JobInfo | None

    @property
    def is_void(self) -> bool:
        """Whether it prices no moment, and never will."""
        return self.record.effective_from is None or self.record.state == "withdrawn"

    @property
    def is_under_way(self) -> bool:
        return self.job is not None and self.job.state in UNDER_WAY

    @property
    def is_published(self) -> bool:
        return self.record.state in ("published", "superseded")

    @property
    def settlements(self) -> list[str]:
        """What it costs beside its calls, which no count of calls tells."""
        return describe_settlements(self.record.content)

    @property
    def may_rerate(self) -> bool:
        """Whether there is something to book: counted, of a published rate, and not supposed."""
        return bool(
            self.is_published
            and self.rerating is None
            and not self.begins_later
            and self.job
            and self.job.state == "done"
            and self.job.impact.shares
        )


def read_impact(rate_id: int, *, seat: Seat, now: datetime) -> RateImpact | None:
    """The rate's latest count; None where no rate has this id."""
    version = get_rate_version(rate_id)
    if version is None:
        return None
    begins_later = _begins_later(version, now)
    kind = "projection" if begins_later else "preview"
    (job,) = list_jobs(rate_version_id=rate_id, kinds=[kind], limit=1) or [None]
    if job is not None and job.created_at < _find_last_change(version, job):
        job = None
    tables = make_tables(job.impact, seat) if job and job.state == "done" else None
    record = read_rate_versions({rate_id})[rate_id]
    return RateImpact(record, job, begins_later, tables, find_rerating_under_way(rate_id))


def find_rerating_under_way(rate_id: int) -> JobInfo | None:
    """The job that re-rates this rate, or is paused in it."""
    jobs = list_jobs(rate_version_id=rate_id, kinds=["rerating"], limit=10)
    return next((job for job in jobs if job.state in (*UNDER_WAY, "paused")), None)


def start_count(rate_id: int, *, seat: Seat, now: datetime) -> int:
    """Have counted what there is to count of a rate; the job's id. Raises RateUnknown."""
    version = get_rate_version(rate_id)
    start = start_projection if version and _begins_later(version, now) else start_preview
    return start(rate_id, requested_by=seat.actor, now=now)


def make_tables(impact: Impact, seat: Seat) -> ImpactTables:
    """An impact as tables: months in their order, tenants by the size of the difference."""
    by_tenant = {
        tenant_id: add_shares(share for (owner, _), share in impact.shares.items() if owner == tenant_id)
        for tenant_id in impact.tenant_ids
    }
    ordered = sorted(by_tenant, key=lambda each: -abs(by_tenant[each].after - by_tenant[each].before))
    shown = ordered if len(ordered) <= TENANTS_MAX + 1 else ordered[:TENANTS_MAX]
    rest = ordered[len(shown) :]
    slugs = {tenant.id: tenant.slug for tenant in seat.tenants}
    return ImpactTables(
        months=[_make_row(f"{month:%B %Y}", "", share) for month, share in impact.periods.items()],
        tenants=[
            _make_row(slugs.get(each, OPERATOR_SLUG), _link_tenant(each, slugs), by_tenant[each]) for each in shown
        ],
        other=_make_row(f"Other, {len(rest)} more", "", add_shares(by_tenant[each] for each in rest)) if rest else None,
        total=_make_row("Total", "", impact.total),
        tenant_count=len(ordered),
    )


def name_tenant(tenant_id: int, seat: Seat) -> str:
    """For whom a rate is; `every tenant` for 0."""
    if not tenant_id:
        return "every tenant"
    return next((tenant.slug for tenant in seat.tenants if tenant.id == tenant_id), f"tenant {tenant_id}")


def read_money(picos: int) -> Decimal:
    """USD of an amount in pico-USD."""
    return Decimal(picos).scaleb(-12)


def _begins_later(version: VersionInfo, now: datetime) -> bool:
    return version.effective_from is not None and version.effective_from > now


def _find_last_change(version: VersionInfo, job: JobInfo) -> datetime:
    times = [act.acted_at for act in version.acts if act.act in OUTDATING_ACTS]
    return max(times, default=job.created_at)


def _make_row(name: str, href: str, share: Share) -> ImpactRow:
    return ImpactRow(
        name, href, share.entries, share.rated, share.unrated, read_money(share.before), read_money(share.after)
    )


def _link_tenant(tenant_id: int, slugs: Mapping[int, str]) -> str:
    """The tenant's ledger; the operator's own calls have none."""
    if tenant_id not in slugs:
        return ""
    return make_link("ledger", {"tenant": slugs[tenant_id], "environment": ALL_ENVIRONMENTS})
