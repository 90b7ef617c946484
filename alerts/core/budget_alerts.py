"""What is told when a budget reaches a threshold: in a sentence, in figures, and who spent most of it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from zoneinfo import ZoneInfo

from alerts.core.budgets import Action, Budget, describe_scope
from alerts.core.facts import Facts, Figure, Mover
from alerts.core.messages import write_usd
from alerts.core.spending import Spending

PERCENT = "\N{NARROW NO-BREAK SPACE}%"
DEED_WORDS = {
    "notify": "somebody is told", "warn": "calls are answered with a warning", "throttle": "calls are slowed down",
    "deny": "calls are denied", "suggest": "a cheaper model is suggested",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TopValue:
    """One of the dearest values of a dimension, '' for none. expected: what it cost in as much of the window before."""

    dimension: str
    value: str
    cost: Decimal
    expected: Decimal


def name_episode(budget: Budget, *, percent: int, on: str, start: datetime, timezone: str) -> str:
    """One for each threshold and window: that of an hour by its hour in UTC, else by its first day in the zone."""
    if budget.window == "hour":
        return f"{budget.id}:{percent}:{on}:{start:%Y-%m-%dT%H}"
    return f"{budget.id}:{percent}:{on}:{start.astimezone(ZoneInfo(timezone)):%Y-%m-%d}"


def write_thresholds(percents: Iterable[int]) -> dict[str, str]:
    """What an alert's history keeps of the thresholds that it tells."""
    return {"thresholds": " ".join(map(str, sorted(percents)))}


def read_thresholds(noted: str | None, episode: str) -> set[int]:
    """The same again; an alert always tells that of its episode."""
    return {int(episode.split(":")[1]), *map(int, (noted or "").split())}


def write_title(budget: Budget, spending: Spending, *, now: datetime) -> str:
    """“Chat has spent $2,412.50 of $3,000.00, 80 %, with 43 % of the month gone”."""
    return (
        f"{budget.name} has spent {write_usd(spending.spent)} of {write_usd(spending.limit)}, "
        f"{write_percent(spending.percent)}, with {write_percent(spending.get_elapsed(now) * 100)} of the "
        f"{budget.window} gone"
    )


def make_facts(
    budget: Budget,
    spending: Spending,
    *,
    percent: int,
    actions: Sequence[Action],
    top: Sequence[TopValue],
    now: datetime,
    timezone: str,
    lower: Mapping[int, Sequence[Action]] | None = None,
) -> Facts:
    """What stands on the alert's page and in its messages. top: the dearest first, of each dimension. lower: further
    thresholds that were reached at once, with what they do."""
    figures = [
        Figure("Spent", f"{write_usd(spending.spent)} of {write_usd(spending.limit)}"),
        Figure("Of the limit", write_percent(spending.percent)),
        Figure(f"Of the {budget.window}", f"{write_percent(spending.get_elapsed(now) * 100)} gone"),
        Figure("Counts", describe_scope(budget.scope)),
    ]
    if spending.carried:
        figures.append(Figure("Carried over", write_usd(spending.carried)))
    if projected := spending.project_by_pace(now):
        figures.append(Figure("At this pace", f"{write_usd(projected)} by the end of the {budget.window}"))
    return Facts(
        sentence=" ".join(
            [
                f"{budget.name} has reached {percent}{PERCENT} of its limit: {_say_deeds(actions)}.",
                *_say_lower(lower or {}),
                *_say_end(spending, now=now, timezone=timezone),
                *_say_top(spending, top),
            ]
        ),
        figures=tuple(figures),
        start=spending.window_start,
        end=spending.window_end,
        movers=tuple(Mover(one.dimension, one.value, one.expected, one.cost, _say_share(one, spending)) for one in top),
    )


def write_percent(percent: Decimal) -> str:
    """Whole percents, never rounded up to a threshold that is not reached."""
    return f"{percent.quantize(Decimal(1), ROUND_DOWN):,f}{PERCENT}"


def write_percents(percents: Iterable[int]) -> str:
    """“50, 80 and 100 percent”."""
    told = [str(percent) for percent in sorted(percents)]
    return f"{', '.join(told[:-1])}{' and ' if len(told) > 1 else ''}{told[-1]} percent"


def _say_deeds(actions: Sequence[Action]) -> str:
    told = [DEED_WORDS[action.do] + (f" ({action.model})" if action.model else "") for action in actions]
    return " and ".join(dict.fromkeys(told))


def _say_lower(lower: Mapping[int, Sequence[Action]]) -> list[str]:
    """“At once it reached 50 % (somebody is told) and 80 % (calls are slowed down).”"""
    told = [f"{percent}{PERCENT} ({_say_deeds(actions)})" for percent, actions in sorted(lower.items())]
    if not told:
        return []
    return [f"At once it reached {', '.join(told[:-1])}{' and ' if len(told) > 1 else ''}{told[-1]}."]


def _say_end(spending: Spending, *, now: datetime, timezone: str) -> list[str]:
    end = spending.find_end_at_pace(now)
    if end is None:
        return []
    local = end.astimezone(ZoneInfo(timezone))
    return [f"At this pace it is used up on {local.day} {local:%B at %H:%M}."]


def _say_top(spending: Spending, top: Sequence[TopValue]) -> list[str]:
    """“Most of it is feature agents (92 %), user u-17 (88 %) and model luna-1 (97 %).”"""
    first = {one.dimension: one for one in reversed(top) if one.value}
    told = [f"{one.dimension} {one.value} ({_say_share(one, spending)})" for one in reversed(first.values())]
    if not told or not spending.spent:
        return []
    listed = f"{', '.join(told[:-1])} and {told[-1]}" if len(told) > 1 else told[0]
    return [f"Most of it is {listed}."]


def _say_share(one: TopValue, spending: Spending) -> str:
    return write_percent(one.cost * 100 / spending.spent) if spending.spent else ""
