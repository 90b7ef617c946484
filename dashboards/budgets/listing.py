"""The list of budgets: what is asked of it by its address, and the same rows as a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import BadRequest
from django.http import QueryDict

from alerts.budgets import list_budgets
from alerts.core.budgets import WINDOWS
from alerts.decisions import count_decisions
from alerts.spending import read_spending
from dashboards.access import Seat
from dashboards.budgets.standing import STATE_WORDS, Standing, list_standings

TREE = "name"  # each below its parent
SORTS: Mapping[str, Callable[[Standing], Any]] = {
    TREE: lambda one: 0,
    "spent": lambda one: -one.spending.spent,
    "limit": lambda one: -one.spending.limit,
    "used": lambda one: -one.spending.percent,
    "projected": lambda one: -(one.projected if one.projected is not None else Decimal(-1)),
}
COLUMNS = (
    "budget", "parent", "counts", "window", "window_start", "window_end", "spent", "limit", "carried_over",
    "used_percent", "elapsed_percent", "at_this_pace", "stands", "used_up_at", "checks_allowed", "checks_warned",
    "checks_throttled", "checks_denied", "owner",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for; '' for any. sort: of SORTS."""

    text: str
    window: str
    state: str
    sort: str

    @property
    def is_filtered(self) -> bool:
        return bool(self.text or self.window or self.state)

    def fits(self, one: Standing) -> bool:
        words = f"{one.budget.name} {one.scope_words} {one.budget.owner}".lower()
        return self.text.lower() in words and self.window in ("", one.budget.window) and self.state in ("", one.state)


def read_asked(query: QueryDict) -> Asked:
    """Raises BadRequest."""
    asked = Asked(query.get("q", "").strip(), query.get("window", ""), query.get("state", ""), query.get("sort", TREE))
    if asked.window not in ("", *WINDOWS) or asked.state not in ("", *STATE_WORDS) or asked.sort not in SORTS:
        raise BadRequest(
            f"window is one of {', '.join(WINDOWS)}, state one of {', '.join(STATE_WORDS)}, sort one of "
            f"{', '.join(SORTS)}"
        )
    return asked


def read_listing(seat: Seat, asked: Asked, *, now: datetime) -> tuple[list[Standing], list[Standing]]:
    """All budgets that are not retired, each below its parent; and those that are asked for, in the order asked for.

    Without their parents, or in another order than the tree's, they are not set in.
    """
    budgets = list_budgets(tenant_id=seat.tenant.id)
    spendings = read_spending(tenant_id=seat.tenant.id, budgets=budgets, now=now)
    decisions = count_decisions(
        tenant_id=seat.tenant.id, starts={one: spending.window_start for one, spending in spendings.items()}
    )
    standings = list_standings(
        budgets,
        spendings,
        now=now,
        timezone=seat.tenant.timezone,
        link_query=seat.link_query,
        decisions=decisions,
    )
    shown = [one for one in standings if asked.fits(one)]
    if asked.sort != TREE or asked.is_filtered:
        shown = [replace(one, depth=0) for one in sorted(shown, key=SORTS[asked.sort])]
    return standings, shown


def list_rows(standings: Sequence[Standing], shown: Sequence[Standing]) -> list[list[object]]:
    """What is shown, in COLUMNS. standings: all, for the names of parents."""
    names = {one.budget.id: one.budget.name for one in standings}
    return [
        [
            one.budget.name,
            names.get(one.budget.parent_id or 0),
            one.scope_words,
            one.budget.window,
            one.spending.window_start,
            one.spending.window_end,
            one.spending.spent,
            one.spending.limit,
            one.spending.carried,
            one.percent,
            one.elapsed_percent,
            one.projected,
            one.state_words,
            one.ends_at,
            one.checks.allow,
            one.checks.warn,
            one.checks.throttle,
            one.checks.deny,
            one.budget.owner,
        ]
        for one in shown
    ]
