"""What quota checks were answered by a budget, by the hour or the day of its window."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.core.budgets import Budget
from alerts.core.spending import Spending
from alerts.decisions import read_decisions
from billing.core.periods import start_of_day
from dashboards.core.periods import ONE_DAY
from tenants.selectors import TenantInfo

BY_HOUR = ("hour", "day")  # windows
DAYS_MAX = 31


@dataclass(frozen=True, slots=True)
class CheckCounts:
    """How many calls were asked about, by what was answered. Each counts at the budget that decided it."""

    allow: int = 0
    warn: int = 0
    throttle: int = 0
    deny: int = 0

    @property
    def held_back(self) -> int:
        return self.throttle + self.deny


@dataclass(frozen=True, slots=True)
class Checks:
    """rows: the hours or days with a check, the newest first. start: of what is shown. suggestions: the model that is
    suggested from a percentage on."""

    by: str
    start: datetime
    rows: Sequence[tuple[str, CheckCounts]]
    total: CheckCounts
    suggestions: Sequence[tuple[int, str]]
    answers: bool  # whether the budget does more than tell


def read_checks(budget: Budget, spending: Spending, *, tenant: TenantInfo, now: datetime) -> Checks:
    """Of the window, of at most DAYS_MAX days of it; in one statement."""
    zone = ZoneInfo(tenant.timezone)
    by_hour = budget.window in BY_HOUR
    first = start_of_day(now.astimezone(zone).date() - (DAYS_MAX - 1) * ONE_DAY, zone)
    start = max(spending.window_start, first).replace(minute=0, second=0, microsecond=0)
    found = read_decisions(tenant_id=tenant.id, budget_ids=[budget.id], start=start, end=now + timedelta(hours=1))
    counts: dict[datetime | date, dict[str, int]] = {}
    for one in found:
        key = one.hour if by_hour else one.hour.astimezone(zone).date()
        sums = counts.setdefault(key, {})
        sums[one.decision] = sums.get(one.decision, 0) + one.checks
    return Checks(
        by="hour" if by_hour else "day",
        start=start,
        rows=[(_write_label(key, zone), make_counts(sums)) for key, sums in reversed(counts.items())],
        total=make_counts(_add_up(counts.values())),
        suggestions=[
            (action.at_percent, action.model) for action in budget.actions if action.do == "suggest" and action.model
        ],
        answers=any(action.do != "notify" for action in budget.actions) or _limits_calls(budget),
    )


def make_counts(sums: Mapping[str, int]) -> CheckCounts:
    return CheckCounts(**{name: sums.get(name, 0) for name in ("allow", "warn", "throttle", "deny")})


def _add_up(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in parts:
        for name, checks in part.items():
            total[name] = total.get(name, 0) + checks
    return total


def _write_label(key: datetime | date, zone: ZoneInfo) -> str:
    if isinstance(key, datetime):
        local = key.astimezone(zone)
        return f"{local.day} {local:%b, %H:%M}"
    return f"{key.day} {key:%b}"


def _limits_calls(budget: Budget) -> bool:
    limits = budget.per_request
    return any(limit is not None for limit in (limits.input_tokens, limits.output_tokens, limits.cost))
