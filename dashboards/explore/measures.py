"""What can be shown of calls."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from billing.selectors import Quantities
from billing.selectors.groups import count_input, get_cost_per_call, get_known_cost


@dataclass(frozen=True, slots=True)
class Measure:
    """read: its amount; None where it is not known. adds_up: whether parts of it make a whole. unit: of its caption."""

    name: str
    word: str
    unit: str
    read: Callable[[Quantities], Decimal | int | None]
    adds_up: bool = True
    is_money: bool = False


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("cost", "Cost", "USD", get_known_cost, is_money=True),
        Measure("tokens", "Tokens", "tokens in and out", lambda sums: count_input(sums) + sums.output_tokens),
        Measure("calls", "Calls", "calls", lambda sums: sums.calls),
        Measure("per_call", "Per call", "USD a call", get_cost_per_call, adds_up=False, is_money=True),
    )
}
