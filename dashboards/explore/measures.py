"""What can be shown of calls."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from billing.selectors import Quantities
from dashboards.quantities import count_input, get_known_cost

PICO = Decimal(1).scaleb(-12)


@dataclass(frozen=True, slots=True)
class Measure:
    """read: its amount; None where it is not known. adds_up: whether parts of it make a whole. unit: of its caption."""

    name: str
    word: str
    unit: str
    read: Callable[[Quantities], Decimal | int | None]
    adds_up: bool = True
    is_money: bool = False


def get_cost_per_call(quantities: Quantities) -> Decimal | None:
    """The mean of the calls that have a price, to the ledger's twelve decimals; None of none."""
    if quantities.priced_calls <= 0:
        return None
    return (quantities.billed_cost / quantities.priced_calls).quantize(PICO)


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("cost", "Cost", "USD", get_known_cost, is_money=True),
        Measure("tokens", "Tokens", "tokens in and out", lambda sums: count_input(sums) + sums.output_tokens),
        Measure("calls", "Calls", "calls", lambda sums: sums.calls),
        Measure("per_call", "Per call", "USD a call", get_cost_per_call, adds_up=False, is_money=True),
    )
}
