"""Which channels an alert is told by, and when: filters, quiet hours, digests. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from alerts.core.budgets import covers

Severity = Literal["info", "warning", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # the least first
Kind = Literal["email", "slack", "teams", "pagerduty", "webhook"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Telling = Literal["opened", "grown", "acknowledged", "resolved", "digest", "test"]
Hold = Literal["", "quiet hours", "digest"]

URGENT = "critical"  # waits for nobody's morning
NOBODY = (0,)  # channel_ids of an alert that its page alone shows: ids begin with 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a channel takes, and when. quiet_from, quiet_to, digest_hour: in the tenant's time zone; None: none.

    owner, scope: only alerts that belong to this owner, and have these values in their scope; empty: any. Quiet hours
    may go over midnight; a digest is of a day, at that full hour.
    """

    channel_id: int
    kind: Kind
    owner: str = ""
    scope: Mapping[str, str]
    severity_min: Severity = "info"
    quiet_from: time | None = None
    quiet_to: time | None = None
    digest_hour: int | None = None


def pick_routes(
    routes: Sequence[Route], *, severity: Severity, scope: Mapping[str, str], owner: str, channel_ids: Sequence[int]
) -> list[Route]:
    """The routes that an alert takes: those it names, whatever they filter, or else each that fits."""
    if channel_ids:
        return [route for route in routes if route.channel_id in channel_ids]
    return [
        route
        for route in routes
        if rank_severity(severity) >= rank_severity(route.severity_min)
        and route.owner in ("", owner)
        and covers(route.scope, scope)
    ]


def rank_severity(severity: Severity) -> int:
    """0 for the least."""
    return SEVERITIES.index(severity)


def find_due(route: Route, *, severity: Severity, at: datetime, timezone: str) -> tuple[datetime, Hold]:
    """When a message that is ready at `at` may go out by a route, and what holds it until then."""
    if severity == URGENT:
        return at, ""
    zone = ZoneInfo(timezone)
    if route.digest_hour is not None:
        return _find_next(at, time(route.digest_hour), zone), "digest"
    if route.quiet_from is None or route.quiet_to is None:
        return at, ""
    if not _is_between(at.astimezone(zone).time(), route.quiet_from, route.quiet_to):
        return at, ""
    return _find_next(at, route.quiet_to, zone), "quiet hours"


def _is_between(local: time, start: time, end: time) -> bool:
    return start <= local < end if start < end else local >= start or local < end


def _find_next(at: datetime, local: time, zone: ZoneInfo) -> datetime:
    """The next moment after `at` at which clocks show that time; where they skip it, the moment after the gap."""
    day = at.astimezone(zone).date()
    moment = datetime.combine(day, local, zone).astimezone(UTC)
    return moment if moment > at else datetime.combine(day + timedelta(days=1), local, zone).astimezone(UTC)
