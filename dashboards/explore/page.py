"""The answer of Explore: series by time, and every group as a line; both add up to one total."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from billing.core.changes import Change
from billing.selectors import CostRow, Quantities, get_costs, get_percentiles
from billing.selectors.quantities import sum_quantities
from dashboards.core.buckets import HOUR, find_key, list_buckets
from dashboards.core.periods import Period, find_previous_period
from dashboards.dimensions import WORDS
from dashboards.explore.lines import NOTHING, Amount, Cell, Group, Line, Row, Series, Writer, compare
from dashboards.explore.measures import MEASURES
from dashboards.explore.question import Question
from ledger.selectors import name_users
from tenants.selectors import list_api_keys

SERIES_MAX = 5  # the rest is Other
LINES_MAX = 20  # the rest is Other, until all are asked for
NONE = "none"
PERCENTILE_FILTERS = ("environment", "feature", "model")  # by which percentiles are kept


@dataclass(frozen=True, slots=True)
class Exploration:
    """is_cast: the lines' sum and the rows' sum were compared and are the same, to the last digit."""

    question: Question
    previous: Period
    series: Sequence[Series]
    rows: Sequence[Row]
    total: Cell
    before: Amount
    change: Change | None
    totals: Quantities
    lines: Sequence[Line]
    other: Line | None
    line_total: Line | None
    percentiles: Mapping[int, Decimal]
    is_cast: bool
    complete_to: datetime

    @property
    def per_call(self) -> Amount:
        """What a call costs at mean."""
        return MEASURES["per_call"].read(self.totals)

    @property
    def words(self) -> list[str]:
        """The headings of the groups."""
        return [WORDS[name] for name in self.question.groups]


def read_exploration(question: Question, *, link_query: Mapping[str, str], all_lines: bool = False) -> Exploration:
    """Answer the question. Raises QueryRefused for what the rollups cannot answer exactly."""
    previous = find_previous_period(question.period)
    groups_now = _sum_by_group(question, question.period)
    groups_before = _sum_by_group(question, previous)
    writer = Writer(question, link_query, names=_name_values(question, {**groups_now, **groups_before}))
    chosen, rest = _choose_groups(question, groups_now)
    by_bucket, wholes, complete_to = _read_buckets(question, chosen)
    totals = sum_quantities(groups_now.values())
    totals_before = sum_quantities(groups_before.values())
    columns = [*chosen, *([None] if rest else [])]
    rows = [
        writer.make_row(bucket, columns, by_bucket.get(bucket.key, {}), wholes.get(bucket.key, NOTHING))
        for bucket in list_buckets(question.period, question.granularity, ZoneInfo(question.tenant.timezone))
    ]
    colors = _choose_colors(chosen)
    groups = writer.order_groups(groups_now, groups_before) if question.groups else []
    count = len(groups) if all_lines or len(groups) <= LINES_MAX + 1 else LINES_MAX
    other = _get_rest(groups[count:], groups_now, groups_before)
    read = question.measure.read
    return Exploration(
        question=question,
        previous=previous,
        series=writer.make_series(columns, colors, groups_now, groups_before, rest),
        rows=rows,
        total=writer.make_cell(totals, {}),
        before=read(totals_before) if totals_before.calls else None,
        change=compare(read(totals), read(totals_before)),
        totals=totals,
        lines=writer.make_lines(groups, groups_now, groups_before, colors, count=count),
        other=writer.make_line(None, *other, name=f"Other, {len(groups) - count} more") if other else None,
        line_total=writer.make_line(None, totals, totals_before, name="Total", share=Decimal(100), href=writer.link({}))
        if groups
        else None,
        percentiles=_read_percentiles(question),
        is_cast=sum_quantities(wholes.values()) == totals,
        complete_to=complete_to,
    )


def _sum_by_group(question: Question, period: Period) -> dict[Group, Quantities]:
    costs = get_costs(question.make_query(period, groups=question.groups))
    return {row.group: row.quantities for row in costs.rows}


def _choose_groups(question: Question, groups: Mapping[Group, Quantities]) -> tuple[list[Group], list[Group]]:
    """Those with a column of their own, the most first, what names nothing after them; and the rest."""
    ordered = sorted(groups, key=lambda group: (-(question.measure.read(groups[group]) or 0), group))
    named = [group for group in ordered if any(group) or not group]
    nameless = [group for group in ordered if group and not any(group)]
    # One group alone is not worth an Other.
    kept = SERIES_MAX if len(named) > SERIES_MAX else len(named)
    return named[:kept] + nameless, named[kept:]


def _choose_colors(chosen: Sequence[Group]) -> dict[Group, str]:
    colors = {}
    for number, group in enumerate(chosen, start=1):
        colors[group] = NONE if group and not any(group) else str(number)
    return colors


def _read_buckets(
    question: Question, chosen: Sequence[Group]
) -> tuple[dict[object, dict[Group, Quantities]], dict[object, Quantities], datetime]:
    """By bucket: each chosen group's sum, and the sum of everything."""
    granularity = HOUR if question.granularity == HOUR else "day"
    whole = get_costs(question.make_query(question.period, granularity=granularity))
    zone = ZoneInfo(question.tenant.timezone)

    def find(row: CostRow) -> date | datetime:
        if question.granularity == HOUR:
            return row.period_start
        return find_key(row.period_start.astimezone(zone).date(), question.granularity)

    wholes: dict[object, list[Quantities]] = defaultdict(list)
    for row in whole.rows:
        wholes[find(row)].append(row.quantities)
    parts: dict[tuple[object, Group], list[Quantities]] = defaultdict(list)
    if question.groups and chosen:
        narrowed = question.narrow(
            {name: sorted({group[i] for group in chosen}) for i, name in enumerate(question.groups)}
        )
        query = narrowed.make_query(question.period, granularity=granularity, groups=question.groups)
        for row in get_costs(query).rows:
            parts[find(row), row.group].append(row.quantities)
    by_bucket: dict[object, dict[Group, Quantities]] = defaultdict(dict)
    for (key, group), some in parts.items():
        by_bucket[key][group] = sum_quantities(some)
    sums = {key: sum_quantities(some) for key, some in wholes.items()}
    if not question.groups:
        by_bucket = {key: {(): total} for key, total in sums.items()}
    return by_bucket, sums, whole.complete_to


def _get_rest(
    groups: Sequence[Group], now: Mapping[Group, Quantities], before: Mapping[Group, Quantities]
) -> tuple[Quantities, Quantities] | None:
    if not groups:
        return None
    return tuple(sum_quantities(sums.get(group, NOTHING) for group in groups) for sums in (now, before))


def _read_percentiles(question: Question) -> Mapping[int, Decimal]:
    """Of a call's cost; empty where they are not kept by what the question filters by."""
    query = question.make_query(question.period)
    if set(query.filters) - set(PERCENTILE_FILTERS):
        return {}
    return get_percentiles(
        tenant_id=query.tenant_id,
        start_day=question.period.first,
        end_day=question.period.after,
        measure="billed_cost",
        filters=query.filters,
    )


def _name_values(question: Question, groups: Mapping[Group, object]) -> dict[tuple[str, str], str]:
    """What people call users and keys, by dimension and value."""
    tenant_id, names = question.tenant.id, {}
    if "user" in question.groups:
        place = question.groups.index("user")
        named = name_users(tenant_id=tenant_id, user_refs=sorted({group[place] for group in groups}))
        names |= {("user", reference): name for reference, name in named.items()}
    if "key" in question.groups:
        names |= {("key", key.key_id): key.name or key.key_id for key in list_api_keys(tenant_id)}
    return names
