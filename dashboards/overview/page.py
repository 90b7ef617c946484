"""The Overview as a whole."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.core.changes import Change, compare_amounts
from billing.selectors import (
    CHANGE_KINDS,
    ROWS_MAX,
    CostChange,
    CostQuery,
    Quantities,
    QueryRefused,
    add_up_changes,
    get_billed_costs,
    get_cost_changes,
    get_costs,
)
from billing.selectors.groups import Group, Groups, count_input, get_known_cost, get_share, sum_by, sum_groups
from billing.selectors.quantities import sum_quantities
from dashboards.core.periods import Period, find_previous_period
from dashboards.dimensions import NAMELESS
from dashboards.frame import ALL_ENVIRONMENTS
from dashboards.links import EntryLinks, make_entry_links
from dashboards.overview.changes import ChangeTable, make_change_table
from dashboards.overview.days import DailyCosts, choose_series, make_daily_costs
from dashboards.overview.findings import Savings, Unpriced, list_savings, list_unpriced
from dashboards.overview.tables import DIMENSIONS, LINES_MAX, Line, Table, list_lines, make_table
from tenants.selectors import TenantInfo


@dataclass(frozen=True, slots=True)
class Overview:
    """Amounts are USD, shares percentages. cost: None where no call has a price. before: of the previous days."""

    period: Period
    previous: Period
    complete_to: datetime
    totals: Quantities
    cost: Decimal | None
    before: Decimal
    change: Change
    cache_share: Decimal | None
    error_share: Decimal | None
    unallocated: Line | None
    unallocated_share: Decimal | None
    risen: Line | None  # the feature whose cost rose most
    fallen: Line | None
    daily: DailyCosts
    changes: ChangeTable | None  # None where calls are of too many kinds to be compared
    tables: Sequence[Table]
    savings: Savings | None  # None where no call read or wrote a cache
    unpriced: Sequence[Unpriced]
    environment_costs: Mapping[str, Decimal | None]
    links: EntryLinks

    @property
    def input_tokens(self) -> int:
        return count_input(self.totals)

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.totals.output_tokens

    @property
    def cost_per_call(self) -> Decimal | None:
        priced = self.totals.calls - self.totals.unpriced_calls
        return self.totals.billed_cost / priced if priced > 0 else None


def read_overview(
    *,
    tenant: TenantInfo,
    period: Period,
    environment: str,
    link_query: Mapping[str, str],
    by: str = "",
    sort: str = "cost",
    all_lines: bool = False,
) -> Overview:
    """Read and compute the page with five or six queries, however much there is; nine where calls are of more kinds
    than can be compared. environment: '' for all of them.

    by: the dimension of the daily bars, '' for the cost centre where any is named, else the feature.
    """
    previous = find_previous_period(period)
    in_environment = {"environment": (environment,)} if environment else {}
    kinds, now, before = _read_periods(tenant, period, previous, environment, in_environment)
    if by not in DIMENSIONS:
        by = "cost_center" if any(center for (center,) in now["cost_center"]) else "feature"
    base = {**link_query, "environment": environment or ALL_ENVIRONMENTS}
    links = make_entry_links(base, period)
    daily = _read_daily(tenant, period, in_environment, by=by, totals=now[by], links=links)
    lines = {
        dimension: list_lines(
            dimension,
            now[dimension],
            before[dimension],
            links=links,
            series=daily.colors if dimension == by else {},
        )
        for dimension in DIMENSIONS
    }
    totals, cost_before = (
        sum_quantities(now["feature"].values()),
        sum_quantities(before["feature"].values()).billed_cost,
    )
    changed = [line for line in lines["feature"] if line.group != ("",) and line.change]
    changes = sorted(changed, key=lambda line: line.change.difference)
    unallocated = next((line for line in lines["cost_center"] if line.group == ("",)), None)
    lines_max = None if all_lines else LINES_MAX
    return Overview(
        period=period,
        previous=previous,
        complete_to=daily.complete_to,
        totals=totals,
        cost=get_known_cost(totals),
        before=cost_before,
        change=compare_amounts(totals.billed_cost, cost_before),
        cache_share=get_share(totals.cache_read_tokens, count_input(totals)),
        error_share=get_share(totals.error_calls, totals.calls),
        unallocated=unallocated,
        unallocated_share=get_share(unallocated.cost or 0, totals.billed_cost) if unallocated else None,
        risen=changes[-1] if changes and changes[-1].change.difference > 0 else None,
        fallen=changes[0] if changes and changes[0].change.difference < 0 else None,
        daily=daily,
        changes=None
        if kinds is None
        else _compare_features(kinds, links=make_entry_links(base, period, page="explore")),
        tables=[
            make_table(dimension, lines[dimension], sort=sort, lines_max=lines_max, proof=daily.total)
            for dimension in DIMENSIONS
        ],
        savings=list_savings(now["model"], links, lines_max=lines_max),
        unpriced=list_unpriced(now["model"], links),
        environment_costs={name: get_known_cost(sums) for (name,), sums in now["environment"].items()},
        links=links,
    )


def _ask(
    tenant: TenantInfo, period: Period, group_by: Group, filters: Mapping[str, Group], *, granularity: str = "total"
) -> CostQuery:
    start, end = period.get_bounds(tenant.timezone)
    return CostQuery(
        tenant_id=tenant.id,
        start=start,
        end=end,
        granularity=granularity,
        timezone=tenant.timezone,
        group_by=group_by,
        filters=filters,
    )


def _read_periods(
    tenant: TenantInfo, period: Period, previous: Period, environment: str, in_environment: Mapping[str, Group]
) -> tuple[list[CostChange] | None, dict[str, Groups], dict[str, Groups]]:
    """How the cost of each kind of calls changed, and both periods' sums by each dimension of a table, models with
    their provider. By environment: the sums of all environments.
    """
    query = _ask(tenant, period, CHANGE_KINDS, in_environment)
    try:
        kinds = get_cost_changes(query, before=previous.get_bounds(tenant.timezone)).rows
    except QueryRefused:  # more than ROWS_MAX
        kinds = None
        sums = [
            {
                "feature": sum_by(get_costs(_ask(tenant, days, ("feature",), in_environment))),
                "model": sum_by(get_costs(_ask(tenant, days, ("model", "provider"), in_environment))),
            }
            for days in (period, previous)
        ]
    else:
        sums = [_sum_kinds((kind.group, kind.after) for kind in kinds), _sum_kinds((k.group, k.before) for k in kinds)]
    for groups, days in zip(sums, (period, previous), strict=True):
        centers = get_costs(_ask(tenant, days, ("environment", "cost_center"), {}))
        groups["cost_center"] = sum_by(centers, lambda group: group[1:] if environment in ("", group[0]) else None)
        groups["environment"] = sum_by(centers, lambda group: group[:1])
    return kinds, *sums


def _compare_features(kinds: Sequence[CostChange], *, links: EntryLinks) -> ChangeTable:
    """What changed by feature. links: to where a feature is looked into."""
    by_feature = defaultdict(list)
    for kind in kinds:
        by_feature[kind.group[0]].append(kind)
    return make_change_table(
        [add_up_changes(parts, group=(feature,)) for feature, parts in by_feature.items()],
        nameless=NAMELESS["feature"],
        link=lambda feature: links.make(feature=feature, by="model", why="yes"),
    )


def _sum_kinds(kinds: Iterable[tuple[Group, Quantities]]) -> dict[str, Groups]:
    """By feature, and by model and provider, those that were used."""
    used = [(group, quantities) for group, quantities in kinds if quantities != Quantities()]
    return {
        "feature": sum_groups(((feature,), quantities) for (feature, _, _), quantities in used),
        "model": sum_groups(((model, provider), quantities) for (_, provider, model), quantities in used),
    }


def _read_daily(
    tenant: TenantInfo,
    period: Period,
    in_environment: Mapping[str, Group],
    *,
    by: str,
    totals: Groups,
    links: EntryLinks,
) -> DailyCosts:
    """The days of the five dearest values of `by`, and of all together: by one query, or by two where its values are
    so many that no query answers for all of them by day.
    """
    costs: dict[str, Decimal] = defaultdict(Decimal)
    for (value, *_), sums in totals.items():  # a model of two providers is one value
        costs[value] += sums.billed_cost
    chosen, _ = choose_series(costs)
    if len(costs) * period.days <= ROWS_MAX:
        chosen_costs = all_costs = get_billed_costs(_ask(tenant, period, (by,), in_environment, granularity="day"))
    else:
        some = {**in_environment, by: (*chosen, "")}
        chosen_costs = get_billed_costs(_ask(tenant, period, (by,), some, granularity="day"))
        all_costs = get_billed_costs(_ask(tenant, period, (), in_environment, granularity="day"))
    return make_daily_costs(
        chosen_costs=chosen_costs,
        all_costs=all_costs,
        totals=costs,
        by=by,
        period=period,
        timezone=tenant.timezone,
        links=links,
    )
