"""The table of Showback: every subject of a dimension with its cost, share, days, change, calls and users."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing.core.changes import Change, compare_amounts
from billing.selectors import (
    ROWS_MAX,
    PercentilesBy,
    Quantities,
    UsersBy,
    count_users_by,
    get_billed_costs,
    get_costs,
    get_percentiles,
    get_percentiles_by,
)
from billing.selectors.groups import get_cost_per_call, get_known_cost
from billing.selectors.quantities import sum_quantities
from dashboards.core.shares import split_shares
from dashboards.dimensions import NAMELESS
from dashboards.showback.question import MEASURED, Question
from ledger.selectors import name_users

LINES_MAX = 20  # the rest is Other, until all are asked for
USERS_COUNTED_CALLS_MAX = 200_000  # more calls have more users' hours than a page has time to read
NOTHING = Quantities()

# What a heading sorts by; the name alone goes upwards.
SORTS = {
    "cost": lambda line: -(line.cost if line.cost is not None else Decimal(0)),
    "change": lambda line: -(line.change.difference if line.change else 0),
    "calls": lambda line: -line.calls,
    "per_call": lambda line: -(line.per_call or 0),
    "users": lambda line: -(line.users or 0),
    "name": lambda line: line.name.casefold(),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A subject. value: None of Other and the total. cost, before: None where unknown; users: where not counted.

    days: the cost of each day, None where they are not read; percentiles: of a call's cost, by percent.
    """

    value: str | None
    name: str
    href: str
    entries_href: str
    calls: int
    unpriced_calls: int
    cost: Decimal | None
    share: Decimal | None
    before: Decimal | None
    change: Change | None
    per_call: Decimal | None
    percentiles: Mapping[int, Decimal]
    users: int | None
    days: Sequence[Decimal] | None


@dataclass(frozen=True, slots=True)
class Subjects:
    """lines: those that are shown, sorted; other: the rest, None where there is none. totals: of everything.

    days: the quantities of every day. is_cast: the lines' sum and the days' sum are the same, to the last digit.
    has_users: whether users were counted; users_refusal: why not.
    """

    question: Question
    lines: Sequence[Line]
    other: Line | None
    other_count: int
    total: Line
    totals: Quantities
    days: Mapping[date, Quantities]
    is_cast: bool
    has_users: bool
    users_refusal: str
    complete_to: datetime

    @property
    def count(self) -> int:
        return len(self.lines) + self.other_count

    @property
    def dearest(self) -> Line | None:
        """The one that costs most, where that can be said."""
        line = max(self.lines, key=lambda each: each.cost or 0, default=None)
        return line if line and line.cost and line.share is not None else None

    @property
    def top_share(self) -> Decimal | None:
        """What the three dearest make together, where there are more."""
        shares = sorted((line.share for line in self.lines if line.share is not None), reverse=True)[:3]
        return sum(shares, Decimal(0)) if len(shares) == 3 and self.count > 3 else None


def read_subjects(question: Question, *, sort: str = "cost", all_lines: bool = False) -> Subjects:
    """Read the table, with as many statements whatever there is. Raises QueryRefused for what has no exact answer."""
    now, before = (
        {row.group[0]: row.quantities for row in get_costs(question.ask(period, groups=(question.by,))).rows}
        for period in (question.period, question.previous)
    )
    days, complete_to = read_days(question)
    totals = sum_quantities(now.values())
    ordered = sorted(
        {**now, **before},
        key=lambda value: (-now.get(value, NOTHING).billed_cost, -before.get(value, NOTHING).billed_cost, value),
    )
    # One line alone is not worth an Other.
    shown = ordered if all_lines or len(ordered) <= LINES_MAX + 1 else ordered[:LINES_MAX]
    rest = ordered[len(shown) :]
    percentiles, users = _read_spread(question, shown), _count_users(question, totals)
    names = _name_values(question, shown)
    sparks = _read_days_of(question, shown)
    lines = [
        _make_line(
            question,
            value,
            names.get(value, value),
            now.get(value, NOTHING),
            before.get(value, NOTHING),
            percentiles=percentiles.values.get(value, {}),
            users=users and users.values.get(value, 0),
            days=sparks.get(value),
        )
        for value in shown
    ]
    sums = [_add_up(part, rest) for part in (now, before)]
    other = _make_sum(question, f"Other, {len(rest)} more", *sums) if rest else None
    shares = split_shares([line.cost or Decimal(0) for line in lines] + ([other.cost or Decimal(0)] if other else []))
    lines = [_with_share(line, share) for line, share in zip(lines, shares, strict=False)]
    total = _make_sum(question, "Total", totals, sum_quantities(before.values()))
    return Subjects(
        question=question,
        lines=sorted(lines, key=SORTS[sort]),
        other=_with_share(other, shares[-1]) if other else None,
        other_count=len(rest),
        total=replace(
            total,
            entries_href=question.link("ledger"),
            share=Decimal(100) if shares and shares[0] is not None else None,
            percentiles=percentiles.whole,
            users=users and users.whole,
            days=[days.get(day, NOTHING).billed_cost for day in question.period.list_days()],
        ),
        totals=totals,
        days=days,
        is_cast=sum_quantities(days.values()) == totals,
        has_users=users is not None,
        users_refusal=refuse_users(question, totals),
        complete_to=complete_to,
    )


def read_days(
    question: Question, filters: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[dict[date, Quantities], datetime]:
    """The quantities of each day that has any, and how far they are complete."""
    zone = ZoneInfo(question.tenant.timezone)
    costs = get_costs(question.ask(question.period, granularity="day", filters=filters))
    days = {row.period_start.astimezone(zone).date(): row.quantities for row in costs.rows if row.period_start}
    return days, costs.complete_to


def refuse_users(question: Question, totals: Quantities) -> str:
    """Why users are not counted; '' where they are: their hours are few enough to be read, and hours at all."""
    if question.by not in MEASURED:
        return "Users are kept by feature and model."
    if not question.ask(question.period).has_whole_hours:
        return f"Users are kept by hours of UTC, and the days of {question.tenant.timezone} begin between two of them."
    if totals.calls > USERS_COUNTED_CALLS_MAX:
        return "These days have too many calls to tell their users here: choose fewer."
    return ""


def _read_days_of(question: Question, values: Sequence[str]) -> dict[str, list[Decimal]]:
    """Each subject's cost by day; of as many as one answer holds."""
    days = question.period.list_days()
    some = tuple(values[: ROWS_MAX // len(days)])
    zone = ZoneInfo(question.tenant.timezone)
    found: dict[str, dict[date, Decimal]] = defaultdict(dict)
    query = question.ask(question.period, granularity="day", groups=(question.by,), filters={question.by: some})
    for row in get_billed_costs(query).rows:
        if row.period_start:
            found[row.group[0]][row.period_start.astimezone(zone).date()] = row.billed_cost
    return {value: [found[value].get(day, Decimal(0)) for day in days] for value in some}


def _read_spread(question: Question, shown: Sequence[str]) -> PercentilesBy:
    """Of a call's cost: of all calls, and of those of each subject that is shown, for each takes its time."""
    if question.by not in MEASURED:
        return PercentilesBy({}, {})
    asked = {
        "tenant_id": question.tenant.id,
        "start_day": question.period.first,
        "end_day": question.period.after,
        "measure": "billed_cost",
        "percents": (50, 95),
    }
    place = question.environment_filter
    of_shown = get_percentiles_by(question.by, **asked, filters={**place, question.by: tuple(shown)})
    return PercentilesBy(get_percentiles(**asked, filters=place), of_shown.values)


def _count_users(question: Question, totals: Quantities) -> UsersBy | None:
    if refuse_users(question, totals):
        return None
    start, end = question.bounds
    return count_users_by(
        question.by, tenant_id=question.tenant.id, start=start, end=end, environment=question.environment
    )


def _name_values(question: Question, values: Sequence[str]) -> dict[str, str]:
    """What people call users; an erased one has its reference alone."""
    if question.by != "user":
        return {}
    return name_users(tenant_id=question.tenant.id, user_refs=[value for value in values if value])


def _make_line(
    question: Question,
    value: str,
    name: str,
    now: Quantities,
    before: Quantities,
    *,
    percentiles: Mapping[int, Decimal],
    users: int | None,
    days: Sequence[Decimal] | None,
) -> Line:
    line = _make_sum(question, name or NAMELESS[question.by], now, before)
    return replace(
        line,
        value=value,
        href=question.link("showback_subject", {"by": question.by, "value": name}),
        entries_href=question.link("ledger", {question.by: name}) if now.calls else "",
        percentiles=percentiles,
        users=users,
        days=days,
    )


def _make_sum(question: Question, name: str, now: Quantities, before: Quantities) -> Line:
    cost, cost_before = get_known_cost(now), get_known_cost(before)
    return Line(
        value=None,
        name=name,
        href="",
        entries_href="",
        calls=now.calls,
        unpriced_calls=now.unpriced_calls,
        cost=cost,
        share=None,
        before=cost_before,
        change=None if cost is None or cost_before is None else compare_amounts(cost, cost_before),
        # A mean never stands alone: where calls' spread is not kept there is none.
        per_call=get_cost_per_call(now) if question.by in MEASURED and cost is not None else None,
        percentiles={},
        users=None,
        days=None,
    )


def _add_up(sums: Mapping[str, Quantities], values: Sequence[str]) -> Quantities:
    return sum_quantities(sums[value] for value in values if value in sums)


def _with_share(line: Line, share: Decimal | None) -> Line:
    return replace(line, share=None if line.cost is None else share)
