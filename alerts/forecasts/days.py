"""What each day cost, in pico-USD, as forecasts read it: one statement for the whole, or for all of a dimension."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from alerts.core.forecasts import History
from billing.core.periods import start_of_day
from billing.selectors import BilledCost, CostQuery, QueryRefused, get_billed_costs
from tenants.selectors import TenantInfo

PICO_DIGITS = 12
SCOPES_MAX = 100  # values of a dimension that are forecast, the dearest


@dataclass(frozen=True, slots=True)
class Days:
    """What each day of [first, after) cost, by the dimension's value ('' where there is no dimension)."""

    first: date
    after: date
    costs: Mapping[str, Sequence[int]]
    complete_to: datetime

    def get_history(self, value: str, *, end: date) -> History:
        """The days before `end`."""
        return History(self.first, self._get(value)[: (end - self.first).days])

    def get_cost(self, value: str, day: date) -> int:
        return self._get(value)[(day - self.first).days]

    def sum_costs(self, value: str, *, start: date, end: date) -> int:
        """Of [start, end), which lies within."""
        return sum(self._get(value)[(start - self.first).days : (end - self.first).days])

    def list_dearest(self) -> list[str]:
        """The values, those that cost most first, SCOPES_MAX at most."""
        return sorted(self.costs, key=lambda value: (-sum(self.costs[value]), value))[:SCOPES_MAX]

    def _get(self, value: str) -> Sequence[int]:
        return self.costs.get(value) or [0] * (self.after - self.first).days


def read_days(
    *,
    tenant: TenantInfo,
    first: date,
    after: date,
    by: str = "",
    filters: Mapping[str, tuple[str, ...]] | None = None,
    using: str = "default",
) -> Days:
    """The tenant's days, in its own zone. Raises QueryRefused where a dimension has too many values for any answer.

    A period that has too many rows for one statement is read by halves.
    """
    zone = ZoneInfo(tenant.timezone)
    query = CostQuery(
        tenant.id,
        start_of_day(first, zone),
        start_of_day(after, zone),
        granularity="day",
        timezone=tenant.timezone,
        group_by=(by,) if by else (),
        filters=filters or {},
    )
    rows, complete_to = _read_rows(query, first=first, after=after, zone=zone, using=using)
    costs: dict[str, list[int]] = defaultdict(lambda: [0] * (after - first).days)
    for row in rows:
        place = (row.period_start.astimezone(zone).date() - first).days
        costs[row.group[0] if by else ""][place] += to_pico(row.billed_cost)
    return Days(first, after, dict(costs), complete_to)


def _read_rows(
    query: CostQuery, *, first: date, after: date, zone: ZoneInfo, using: str
) -> tuple[list[BilledCost], datetime]:
    """The rows of [first, after), and up to when they are complete."""
    try:
        answer = get_billed_costs(query, using=using)
    except QueryRefused:
        if (after - first).days < 2:
            raise
    else:
        return answer.rows, answer.complete_to
    middle = first + (after - first) // 2
    between = start_of_day(middle, zone)
    halves = (
        _read_rows(replace(query, end=between), first=first, after=middle, zone=zone, using=using),
        _read_rows(replace(query, start=between), first=middle, after=after, zone=zone, using=using),
    )
    return [row for rows, _ in halves for row in rows], min(complete_to for _, complete_to in halves)


def to_pico(amount: Decimal) -> int:
    return int(amount.scaleb(PICO_DIGITS))


def to_dollars(pico: int) -> Decimal:
    """Exactly."""
    return Decimal(pico).scaleb(-PICO_DIGITS)
