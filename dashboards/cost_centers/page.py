"""What the page of cost centres shows: whose each is, what it cost this month, and what nobody's cost was by day."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from billing.core.figures import write_exact
from billing.cost_centers import CostCenter, list_cost_centers
from billing.selectors import CostQuery, Quantities, get_billed_costs, get_costs
from billing.selectors.groups import get_share
from billing.selectors.quantities import sum_quantities
from dashboards.access import Seat
from dashboards.core.periods import Period, read_period
from dashboards.frame import ALL_ENVIRONMENTS, make_link
from dashboards.links import EntryLinks, make_entry_links

TICKS = 8


@dataclass(frozen=True, slots=True)
class CenterRow:
    """A line: a cost centre, a code that calls name and nobody registered (center None), or '' for unallocated.

    depth: how many it stands below. below: the cost of those that stand below it. href: its entries of the month.
    """

    code: str
    center: CostCenter | None
    depth: int
    quantities: Quantities
    below: Decimal | None
    href: str
    edit_href: str

    @property
    def whole(self) -> Decimal:
        """With what stands below."""
        return self.quantities.billed_cost + (self.below or Decimal(0))


@dataclass(frozen=True, slots=True)
class OpenDay:
    """What a day cost in all, and what of it nobody's rule or event gave a cost centre."""

    day: date
    total: Decimal
    unallocated: Decimal
    href: str

    @property
    def share(self) -> Decimal | None:
        return get_share(self.unallocated, self.total)


@dataclass(frozen=True, slots=True)
class CenterPage:
    """rows: the registered as a tree, by code. strangers: codes that nobody registered. days: the last thirty.

    is_cast: whether the lines, unallocated among them, add up to `total` to the last digit.
    """

    period: Period
    unallocated: CenterRow
    rows: Sequence[CenterRow]
    strangers: Sequence[CenterRow]
    total: Quantities
    days: Sequence[OpenDay]
    days_period: Period
    is_cast: bool

    @property
    def share(self) -> Decimal | None:
        return get_share(self.unallocated.quantities.billed_cost, self.total.billed_cost)


def read_page(seat: Seat, *, now: datetime) -> CenterPage:
    """The tenant's cost centres with what they cost this month, in every environment; a fixed number of queries."""
    today = seat.get_today(now)
    month, days = read_period({}, today=today), read_period({"period": "30d"}, today=today)
    links = make_entry_links(seat.link_query | {"environment": ALL_ENVIRONMENTS}, month)
    costs = get_costs(_ask(seat, month, granularity="total", group_by=("cost_center",)))
    by_code = {row.group[0]: row.quantities for row in costs.rows}
    centers = list_cost_centers(tenant_id=seat.tenant.id)
    rows = _list_tree(centers, by_code, seat=seat, links=links)
    known = {center.code for center in centers}
    strangers = [
        CenterRow(code, None, 0, by_code[code], None, links.make(cost_center=code), "")
        for code in sorted(by_code)
        if code and code not in known
    ]
    unallocated = CenterRow("", None, 0, by_code.get("", Quantities()), None, links.make(cost_center=""), "")
    lines = [unallocated, *rows, *strangers]
    return CenterPage(
        period=month,
        unallocated=unallocated,
        rows=rows,
        strangers=strangers,
        total=costs.totals,
        days=_read_days(seat, days),
        days_period=days,
        is_cast=sum_quantities(line.quantities for line in lines) == costs.totals,
    )


def _ask(seat: Seat, period: Period, **asked: object) -> CostQuery:
    start, end = period.get_bounds(seat.tenant.timezone)
    return CostQuery(seat.tenant.id, start, end, timezone=seat.tenant.timezone, **asked)


def _list_tree(
    centers: Sequence[CostCenter], by_code: Mapping[str, Quantities], *, seat: Seat, links: EntryLinks
) -> list[CenterRow]:
    """Each below its parent, by code; with what all below it cost."""
    children: dict[int | None, list[CostCenter]] = defaultdict(list)
    known = {center.id for center in centers}
    for center in centers:
        children[center.parent_id if center.parent_id in known else None].append(center)
    rows: list[CenterRow] = []

    def add(center: CostCenter, depth: int) -> Decimal:
        place = len(rows)
        own = by_code.get(center.code, Quantities())
        below = sum((add(child, depth + 1) for child in children[center.id]), Decimal(0))
        rows.insert(
            place,
            CenterRow(
                center.code,
                center,
                depth,
                own,
                below if children[center.id] else None,
                links.make(cost_center=center.code),
                make_link("cost_center", seat.link_query, center.id),
            ),
        )
        return own.billed_cost + below

    for center in children[None]:
        add(center, 0)
    return rows


def _read_days(seat: Seat, period: Period) -> list[OpenDay]:
    totals = _sum_days(seat, _ask(seat, period))
    unallocated = _sum_days(seat, _ask(seat, period, filters={"cost_center": ("",)}))
    links = make_entry_links(seat.link_query | {"environment": ALL_ENVIRONMENTS}, period)
    return [
        OpenDay(
            day,
            totals.get(day, Decimal(0)),
            unallocated.get(day, Decimal(0)),
            links.make(day=day, cost_center="") if unallocated.get(day) else "",
        )
        for day in period.list_days()
    ]


def _sum_days(seat: Seat, query: CostQuery) -> dict[date, Decimal]:
    return {
        seat.get_today(row.period_start): row.billed_cost for row in get_billed_costs(query).rows if row.period_start
    }


def make_chart_data(days: Sequence[OpenDay]) -> dict[str, object]:
    """What `chart.js` reads: what had a cost centre and what had none, by day; exact amounts as text."""
    step = -(-len(days) // TICKS) or 1
    allocated = {"name": "with a cost centre", "color": "1", "link": None}
    unallocated = {"name": "unallocated", "color": "none", "link": None}
    return {
        "days": [day.day.isoformat() for day in days],
        "labels": [f"{day.day:%a} {day.day.day} {day.day:%b}" for day in days],
        "ticks": [{"index": i, "label": f"{days[i].day.day} {days[i].day:%b}"} for i in range(0, len(days), step)],
        "series": [
            allocated | {"amounts": [write_exact(day.total - day.unallocated) for day in days]},
            unallocated | {"amounts": [write_exact(day.unallocated) for day in days]},
        ],
    }
