"""What the page of a statement shows: its groups with their ledger rows, what leads to the charge, and the controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from audit.core.statement import (
    UNPRICED,
    USAGE,
    ControlTotal,
    Statement,
    StatementGroup,
    StatementLine,
    link_rows,
)
from audit.recomputing import Recomputation, recompute_statement
from audit.statements import get_statement
from billing.selectors.periods import list_periods
from dashboards.access import Seat
from dashboards.frame import ALL_ENVIRONMENTS, ANY_TIME, Option, make_link

MILLION = Decimal(1_000_000)
SECTION_NAMES = {
    "usage": "Usage",
    "correction": "Corrections",
    "fee": "Fees",
    "credit": "Credits",
    "adjustment": "Adjustments",
    "unpriced": "Without a price",
}
SECTION_HOWS = {
    "usage": "the lines above, each quantity × price",
    "correction": "what was used in another month, or priced or corrected in this one",
    "fee": "by the day, and tiers on a month’s quantity, booked as differences",
    "credit": "what was given back",
    "adjustment": "what is none of these",
}


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line with the address of the rows beneath it. per_million: None where there is no price of a quantity."""

    line: StatementLine
    per_million: Decimal | None
    is_by_million: bool
    rows_href: str


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """A feature and model."""

    group: StatementGroup
    lines: Sequence[ShownLine]
    rows_href: str


@dataclass(frozen=True, slots=True)
class Step:
    """What a section adds to the charge."""

    name: str
    how: str
    lines: int
    rows: int
    amount: Decimal
    shown: Decimal


@dataclass(frozen=True, slots=True)
class StatementPage:
    """sections: (name, groups) of all but usage and what has no price. recomputed: None unless it was asked for."""

    statement: Statement
    usage: Sequence[ShownGroup]
    sections: Sequence[tuple[str, Sequence[ShownGroup]]]
    unpriced: Sequence[ShownGroup]
    steps: Sequence[Step]
    controls: Sequence[ControlTotal]
    rows_href: str
    recomputed: Recomputation | None

    @property
    def usage_step(self) -> Step | None:
        return next((step for step in self.steps if step.name == SECTION_NAMES[USAGE]), None)

    @property
    def priced_lines(self) -> int:
        return sum(step.lines for step in self.steps)

    @property
    def last_day(self) -> date:
        return date.fromordinal(self.statement.end.toordinal() - 1)


def read_statement_page(seat: Seat, *, period: date, now: datetime, recomputes: bool) -> StatementPage:
    """The statement of the month that begins with `period`, made from the ledger's rows, and made again where asked."""
    statement = get_statement(tenant=seat.tenant, period=period, now=now)
    other = [section for section in SECTION_NAMES if section not in (USAGE, UNPRICED)]
    return StatementPage(
        statement=statement,
        usage=_show_groups(seat, statement, USAGE),
        sections=[
            (SECTION_NAMES[section], groups) for section in other if (groups := _show_groups(seat, statement, section))
        ],
        unpriced=_show_groups(seat, statement, UNPRICED),
        steps=[
            Step(
                SECTION_NAMES[each.section], SECTION_HOWS[each.section], each.lines, each.rows, each.amount, each.shown
            )
            for each in statement.sections
            if each.section != UNPRICED
        ],
        controls=statement.list_controls(),
        rows_href=link_ledger(seat, link_rows(period)),
        recomputed=recompute_statement(tenant=seat.tenant, period=period, now=now) if recomputes else None,
    )


def _show_groups(seat: Seat, statement: Statement, section: str) -> list[ShownGroup]:
    return [
        ShownGroup(
            group,
            [_show_line(seat, statement, line) for line in group.lines],
            link_ledger(seat, link_rows(statement.period, group=group)),
        )
        for group in statement.list_groups(section)
    ]


def _show_line(seat: Seat, statement: Statement, line: StatementLine) -> ShownLine:
    per_million = None if line.price is None else line.price * MILLION / line.per
    is_by_million = line.per == MILLION
    return ShownLine(
        line,
        per_million if is_by_million else line.price,
        is_by_million,
        link_ledger(seat, link_rows(statement.period, line=line)),
    )


def link_ledger(seat: Seat, filters: Sequence[tuple[str, str]]) -> str:
    """The ledger's address with these filters, of every environment and time."""
    query: dict[str, object] = seat.link_query | {"environment": ALL_ENVIRONMENTS, "period": ANY_TIME}
    for name in dict(filters):
        query[name] = [value for each, value in filters if each == name]
    return make_link("ledger", query)


def list_months(seat: Seat, *, now: datetime) -> list[date]:
    """The months that have a statement with something in it, and the one that is running, the newest first."""
    today = now.date()
    months = {month for month in list_periods(tenant_id=seat.tenant.id) if month <= today}
    return sorted(months | {today.replace(day=1)}, reverse=True)


def list_month_options(seat: Seat, months: Sequence[date], *, target: str, current: date) -> list[Option]:
    """The months as a menu of the page `target`; the current one is among them in any case."""
    return [
        Option(f"{month:%B %Y}", make_link(target, seat.link_query | {"period": f"{month:%Y-%m}"}), month == current)
        for month in sorted({*months, current}, reverse=True)
    ]
