"""Why an episode cost what it did: its hours, or days, beside those that say what is usual."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.anomalies.drawing import draw_days, draw_hours
from alerts.core.explanations import Costs, Explanation, Kind, explain_impact
from alerts.core.facts import Part, Point
from alerts.core.findings import Course, Finding, to_usd
from billing.core.bridges import NOTHING, Use
from billing.core.periods import has_whole_hours, start_of_day
from billing.selectors.explained import KindUse, list_costs_of_users, list_use_of_days, list_use_of_hours
from tenants.selectors import get_tenant_by_id

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
USUAL_HOURS_DAYS = 14  # the same hours of so many days before the episode
USUAL_DAYS = 7  # before the episode
BY_HOUR, BY_DAY = ("hourly_spike", "heavy_user"), ("daily_spike", "daily_spike_watch")
# What is of one kind only, whatever else there was.
OF_ONE_KIND = {"unit_price_drift": "price", "cache_collapse": "cache", "new": "new", "new_user": "new"}


def explain_finding(finding: Finding, course: Course) -> Finding:
    """With the cause, the movers and the parts of all that the episode has come to; the same where its rule has none.

    A few statements, and only about what is told.
    """
    impact = sum(course.whens.values())
    if finding.rule in OF_ONE_KIND:
        return replace(finding, parts=(Part(OF_ONE_KIND[finding.rule], to_usd(impact)),) if impact else ())
    if finding.rule in BY_HOUR:
        found = _explain_hours(finding, sorted(course.whens), impact=impact)
    elif finding.rule in BY_DAY:
        found = _explain_days(finding, sorted(course.whens), impact=impact)
    else:
        return finding
    drawn = {"tenant_id": finding.tenant_id, "scope": finding.scope, "last": course.last}
    points: Sequence[Point] = ()
    if finding.rule == "hourly_spike":
        points = draw_hours(**drawn)
    elif finding.rule in BY_DAY:
        points = draw_days(**drawn, rule=finding.rule)
    return replace(finding, cause=found.cause, movers=found.movers, parts=found.parts, points=points)


def _explain_hours(finding: Finding, hours: Sequence[datetime], *, impact: int) -> Explanation:
    named = {"tenant_id": finding.tenant_id, "scope": finding.scope, "then": hours}
    clock = {hour.astimezone(UTC).hour for hour in hours}
    first = hours[0]
    before = [hour for ago in range(1, USUAL_HOURS_DAYS * 24 + 1) if (hour := first - ago * HOUR).hour in clock]
    uses = list_use_of_hours(**named, before=before)
    users = {} if {"user", "key"} & set(finding.scope) else _name_users(list_costs_of_users(**named, before=before))
    return _explain(finding, uses, users, impact=impact)


def _explain_days(finding: Finding, starts: Sequence[datetime], *, impact: int) -> Explanation:
    zone = ZoneInfo(get_tenant_by_id(finding.tenant_id).timezone)
    days = [start.astimezone(zone).date() for start in starts]
    before = [days[0] - ago * DAY for ago in range(1, USUAL_DAYS + 1)]
    uses = list_use_of_days(tenant_id=finding.tenant_id, scope=finding.scope, then=days, before=before)
    users = {}
    whole = start_of_day(before[-1], zone), start_of_day(days[-1] + DAY, zone)
    if "key" not in finding.scope and has_whole_hours(*whole, zone):
        then, usual = (list(_list_hours(several, zone)) for several in (days, before))
        users = _name_users(
            list_costs_of_users(tenant_id=finding.tenant_id, scope=finding.scope, then=then, before=usual)
        )
    return _explain(finding, uses, users, impact=impact)


def _list_hours(days: Iterable[date], zone: ZoneInfo) -> Iterator[datetime]:
    for day in days:
        start, end = start_of_day(day, zone), start_of_day(day + DAY, zone)
        yield from (start + number * HOUR for number in range((end - start) // HOUR))


def _name_users(users: Iterable[tuple[str, int, int]]) -> dict[str, tuple[int, int]]:
    return {user: (before, after) for user, before, after in users}


def _explain(
    finding: Finding, uses: Iterable[KindUse], users: dict[str, tuple[int, int]], *, impact: int
) -> Explanation:
    usual: dict[Kind, Use] = {}
    then: dict[Kind, Use] = {}
    keys: dict[str, tuple[int, int]] = {}
    for one in uses:
        sums, kind = then if one.is_then else usual, (one.feature, one.provider, one.model)
        sums[kind] = sums.get(kind, NOTHING) + one.use
        before, after = keys.get(one.key, (0, 0))
        cost = one.use.cost
        keys[one.key] = (before, after + cost) if one.is_then else (before + cost, after)
    costs: Costs = {"key": keys, "user": users}
    return explain_impact(impact=impact, usual=usual, then=then, costs=costs, without=finding.scope)
