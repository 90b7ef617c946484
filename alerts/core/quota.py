"""Whether a call may be made before it is made: from what budgets have left, and what it may cost at most. Pure.

Counted in nano-USD (10⁻⁹ USD), because Redis's Lua has doubles: whole numbers below 2⁵³, nine million USD, are exact.
Rounded against the spender: what a call may cost and what was spent up, what may be spent down.
"""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import NamedTuple

from alerts.core.budgets import Budget, covers, write_amount
from billing.core.pricing import price_event
from billing.core.rates import RateBook
from billing.core.usage import Usage, UsageEvent
from ledger.core.entries import PICO

ALLOW, WARN, THROTTLE, DENY = DECISIONS = ("allow", "warn", "throttle", "deny")  # by severity
NANO = 10**9
NANO_MAX = 2**53 - 1
THROTTLE_SECONDS_MAX = 60
HELD_SECONDS = 5  # after which a call is asked for again that only the calls under way leave no room for
ALWAYS_REACHED = -1
SECOND, ZERO = timedelta(seconds=1), Decimal(0)

INPUT_UNKNOWN = "estimated_input_tokens is not said"
OUTPUT_UNKNOWN = "max_output_tokens is not said"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that somebody is about to make; text is '' where nothing was said, and numbers None."""

    provider: str
    model: str
    feature: str = ""
    user: str = ""
    cost_center: str = ""
    environment: str = "production"
    key: str = ""
    service_tier: str = "standard"
    region: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None  # at most
    cost: Decimal | None = None  # USD, where the caller knows better

    @property
    def use(self) -> dict[str, str]:
        """What a budget's scope is compared with."""
        return {
            "environment": self.environment,
            "cost_center": self.cost_center,
            "feature": self.feature,
            "user": self.user,
            "key": self.key,
            "model": self.model,
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call may cost at most, USD; None where that is not known, with the reason."""

    cost: Decimal | None
    reason: str = ""


def estimate_cost(call: Call, *, rate_book: RateBook, tenant_id: int, now: datetime) -> Estimate:
    """The caller's own figure, else the price of the worst case by the rates in force: no input from a cache, all
    output that was asked for, as reasoning where that costs more.
    """
    if call.cost is not None:
        return Estimate(call.cost)
    if call.input_tokens is None or call.output_tokens is None:
        return Estimate(None, INPUT_UNKNOWN if call.input_tokens is None else OUTPUT_UNKNOWN)
    cost = 0
    for reasoning_tokens in (0, call.output_tokens):
        usage = Usage(
            input_tokens=call.input_tokens, output_tokens=call.output_tokens, reasoning_tokens=reasoning_tokens
        )
        event = UsageEvent(
            "", "", now, call.provider, call.model, usage, service_tier=call.service_tier, region=call.region
        )
        price = price_event(event, rate_book=rate_book, tenant_id=tenant_id)
        if price.billed_cost is None:
            return Estimate(None, price.reason)
        cost = max(cost, price.billed_cost)
    return Estimate(Decimal(cost) / PICO)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands in its window; money in USD.

    forecast: of the whole window, None where there is none. held: reserved while Redis was away.
    """

    budget: Budget
    window_start: datetime
    window_end: datetime
    limit: Decimal
    spent: Decimal
    forecast: Decimal | None = None
    held: Decimal = Decimal(0)

    @property
    def used(self) -> Decimal:
        return self.spent + self.held


class Step(NamedTuple):
    """From where on an action is done: once `room` nano-USD are used beyond what was spent."""

    severity: int  # place in DECISIONS
    room: int


class Suggestion(NamedTuple):
    """Another model, from where on it is suggested."""

    room: int
    model: str


class Gate(NamedTuple):
    """A budget that a call has to pass. remaining: nano-USD up to its limit, negative where it is overspent."""

    standing: Standing
    remaining: int
    steps: tuple[Step, ...]
    suggestions: tuple[Suggestion, ...] = ()


def make_gate(standing: Standing) -> Gate:
    """The budget's actions as room from what was spent. `notify` says nothing to whoever asks."""
    steps, suggestions = [], []
    for action in standing.budget.actions:
        threshold = standing.limit * action.at_percent / 100
        if action.on == "actual":
            room = count_room(threshold - standing.used)
        elif standing.forecast is not None and standing.forecast >= threshold:
            room = ALWAYS_REACHED
        else:
            continue
        if action.do == "suggest":
            suggestions.append(Suggestion(room, action.model))
        elif action.do in DECISIONS:
            steps.append(Step(DECISIONS.index(action.do), room))
    return Gate(standing, count_room(standing.limit - standing.used), tuple(steps), tuple(suggestions))


def count_room(amount: Decimal) -> int:
    """Whole nano-USD that may still be spent, within ± NANO_MAX."""
    return max(-NANO_MAX, min(NANO_MAX, int((amount * NANO).to_integral_value(ROUND_FLOOR))))


def count_cost(cost: Decimal | None) -> int:
    """The nano-USD that a call takes; one that is too dear to be counted exactly fits nowhere. Unknown: none."""
    return min(NANO_MAX + 1, int((cost * NANO).to_integral_value(ROUND_CEILING))) if cost else 0


def find_gates(gates: Iterable[Gate], call: Call, estimate: Estimate) -> list[Gate]:
    """The budgets that count this call, with what their limits for a single call make of it."""
    use = call.use
    return [
        gate._replace(steps=(Step(DECISIONS.index(DENY), ALWAYS_REACHED), *gate.steps))
        if find_excess(gate.standing.budget, call, estimate)
        else gate
        for gate in gates
        if covers(gate.standing.budget.scope, use)
    ]


def find_excess(budget: Budget, call: Call, estimate: Estimate) -> str:
    """Which of the budget's limits for one call this one exceeds, in words; '' for none that is known to be."""
    limits = budget.per_request
    if limits.input_tokens is not None and (call.input_tokens or 0) > limits.input_tokens:
        return f"{call.input_tokens:,} input tokens, where one call may have {limits.input_tokens:,}"
    if limits.output_tokens is not None and (call.output_tokens or 0) > limits.output_tokens:
        return f"{call.output_tokens:,} output tokens, where one call may have {limits.output_tokens:,}"
    if limits.cost is not None and (estimate.cost or ZERO) > limits.cost:
        return f"{write_amount(estimate.cost or ZERO)} USD at most, where one call may cost {write_amount(limits.cost)}"
    return ""


def list_unchecked(gates: Iterable[Gate], call: Call, estimate: Estimate) -> list[str]:
    """The limits for one call that hold for this one and could not be compared with anything."""
    limits = [gate.standing.budget.per_request for gate in gates]
    unknown = {
        "input_tokens": call.input_tokens is None and any(limit.input_tokens is not None for limit in limits),
        "output_tokens": call.output_tokens is None and any(limit.output_tokens is not None for limit in limits),
        "cost": estimate.cost is None and any(limit.cost is not None for limit in limits),
    }
    return [name for name, is_unknown in unknown.items() if is_unknown]


class Choice(NamedTuple):
    """The most severe decision, and the place of the budget that makes it; -1 where no budget counts the call."""

    severity: int
    deciding: int


def choose(gates: Sequence[Gate], held: Sequence[int], cost: int) -> Choice:
    """What all budgets together say to a call of `cost` nano-USD; held: what is reserved in each.

    An action is reached where no room is left before it, or less than the call may take: a call that takes the last
    of it exactly passes. Of equally severe budgets the one with least left decides. `alerts.counters` does the same
    in Lua, which alone can also reserve.
    """
    severity, deciding, least = 0, -1, 0
    for place, (gate, used) in enumerate(zip(gates, held, strict=True)):
        reached = max((step.severity for step in gate.steps if is_reached(step.room, used, cost)), default=0)
        left = gate.remaining - used
        if deciding < 0 or reached > severity or (reached == severity and left < least):
            severity, deciding, least = reached, place, left
    return Choice(severity, deciding)


def is_reached(room: int, used: int, cost: int) -> bool:
    return used >= room or cost > room - used


def suggest_model(gates: Iterable[Gate], held: Iterable[int], cost: int, *, model: str) -> str:
    """The model that the budget with least room before its suggestion suggests; '' for none, or the one asked for."""
    reached = [
        (suggestion.room - used, suggestion.model)
        for gate, used in zip(gates, held, strict=True)
        for suggestion in gate.suggestions
        if is_reached(suggestion.room, used, cost) and suggestion.model != model
    ]
    return min(reached)[1] if reached else ""


def find_throttle_seconds(standing: Standing, held: int, *, now: datetime) -> int:
    """After how long the window's even pace has caught up with what is used, 1 to THROTTLE_SECONDS_MAX."""
    length, elapsed = ((end - standing.window_start) // SECOND for end in (standing.window_end, now))
    used = standing.used + Decimal(held) / NANO
    if used >= standing.limit:
        return THROTTLE_SECONDS_MAX
    return min(THROTTLE_SECONDS_MAX, max(1, math.ceil(used / standing.limit * length) - elapsed))


def find_denial_seconds(gate: Gate, cost: int, *, excess: str, now: datetime) -> int | None:
    """When to ask again after a denial: in the next window, or soon where the calls under way alone stand in the way.

    None where it would be denied at any time.
    """
    if excess:
        return None
    until_end = max(1, math.ceil((gate.standing.window_end - now) / SECOND))
    rooms = [step.room for step in gate.steps if step.severity == DECISIONS.index(DENY)]
    is_held_up = not any(is_reached(room, 0, cost) for room in rooms)
    return min(HELD_SECONDS, until_end) if is_held_up else until_end


def identify_reservation(*, tenant_id: int, request_id: str, question: bytes) -> str:
    """The same for the same question under the same id, so that one who asks again reserves once."""
    return hashlib.sha256(b"%d\x00%s\x00%s" % (tenant_id, request_id.encode(), question)).hexdigest()[:32]
