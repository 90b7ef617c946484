"""A question about cost, and whether the rollups can answer it exactly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from billing.core.periods import GRANULARITIES, has_whole_hours, is_day_start, is_period_start
from ledger.matches import IS, OPERATORS, split_match

GROUPS_MAX = 3

# What one may group and filter by, and its column.
DIMENSIONS = {
    "feature": "feature",
    "model": "model",
    "provider": "provider",
    "environment": "environment",
    "cost_center": "cost_center",
    "user": "user_ref",
    "operation": "operation",
    "key": "api_key_id",
    "service_tier": "service_tier",
}
USER_DIMENSIONS = ("user", "environment", "feature", "model")  # what the users' rollup knows


class QueryRefused(ValueError):
    """A question that the rollups cannot answer exactly; the text says what to ask instead."""


@dataclass(frozen=True, slots=True)
class CostQuery:
    """A question about one tenant's cost in [start, end), which stand on boundaries of `granularity` in `timezone`.

    group_by: of DIMENSIONS, at most three. filters: dimension → the values that count, '' for "none"; with an operator
    behind a dot (`ledger.matches`) those that do not, or parts of them. `user` goes with environment, feature and
    model only.
    """

    tenant_id: int
    start: datetime
    end: datetime
    granularity: str = "day"
    timezone: str = "UTC"
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Every dimension that it uses."""
        return (*self.group_by, *(split_match(name)[0] for name in self.filters))

    @property
    def is_about_users(self) -> bool:
        return "user" in self.dimensions

    @property
    def spans_days(self) -> bool:
        """Whether sums of whole days of its zone are enough; for users there are hours only."""
        zone = ZoneInfo(self.timezone)
        return (
            self.granularity != "hour"
            and not self.is_about_users
            and is_day_start(self.start, zone)
            and is_day_start(self.end, zone)
        )

    @property
    def has_whole_hours(self) -> bool:
        """Whether the hours of its zone are those of UTC, by which rollups count."""
        return has_whole_hours(self.start, self.end, ZoneInfo(self.timezone))


def check_query(query: CostQuery) -> None:
    """Raise QueryRefused for what no rollup can answer."""
    if query.granularity not in GRANULARITIES:
        raise QueryRefused(f"granularity is one of {', '.join(GRANULARITIES)}, not {query.granularity!r}")
    if query.start >= query.end:
        raise QueryRefused("the end must stand after the start")
    _check_dimensions(query)
    zone = ZoneInfo(query.timezone)
    for name, moment in (("start", query.start), ("end", query.end)):
        if not is_period_start(moment, query.granularity, zone):
            boundary = "full hour" if query.granularity in ("hour", "total") else query.granularity
            raise QueryRefused(f"the {name} is not the beginning of a {boundary} in {query.timezone}")
    if not query.has_whole_hours and not query.spans_days:
        raise refuse_hours(query)


def _check_dimensions(query: CostQuery) -> None:
    if unknown := [name for name in query.dimensions if name not in DIMENSIONS]:
        raise QueryRefused(f"{unknown[0]!r} is not one of {', '.join(DIMENSIONS)}")
    if wrong := [name for name in query.filters if split_match(name)[1] not in (IS, *OPERATORS)]:
        raise QueryRefused(f"{wrong[0]!r} has no operator of {', '.join(OPERATORS)}")
    if len(query.group_by) > GROUPS_MAX or len(set(query.group_by)) < len(query.group_by):
        raise QueryRefused(f"group by at most {GROUPS_MAX} dimensions, each once")
    if query.is_about_users and not set(query.dimensions) <= set(USER_DIMENSIONS):
        raise QueryRefused(f"users are summed by {', '.join(USER_DIMENSIONS[1:])} only")


def refuse_hours(query: CostQuery) -> QueryRefused:
    return QueryRefused(
        f"the hours of {query.timezone} are not those of UTC: ask for whole days in the tenant's own time zone, "
        "or in UTC"
    )
