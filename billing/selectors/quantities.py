"""What is summed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal, localcontext
from operator import attrgetter, sub

MONEY_DIGITS_MAX = 60  # more than any sum of NUMERIC(30,12) has: adding them up rounds nothing


@dataclass(frozen=True, slots=True)
class Quantities:
    """Sums over entries, in the order of the rollups' columns; money in the ledger's currency.

    Token buckets are disjoint, but for `reasoning_tokens`, which are inside `output_tokens`.
    """

    calls: int = 0
    unpriced_calls: int = 0
    error_calls: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    input_cost: Decimal = Decimal(0)
    cache_read_cost: Decimal = Decimal(0)
    cache_write_cost: Decimal = Decimal(0)
    output_cost: Decimal = Decimal(0)
    other_cost: Decimal = Decimal(0)
    billed_cost: Decimal = Decimal(0)
    list_cost: Decimal = Decimal(0)
    saved_cost: Decimal = Decimal(0)
    reported_cost: Decimal = Decimal(0)

    @property
    def priced_calls(self) -> int:
        return self.calls - self.unpriced_calls


def add_up(parts: Sequence[Sequence[int | Decimal]]) -> Quantities:
    """The exact sum of rows that have the values of Quantities in their order."""
    with localcontext() as context:
        context.prec = MONEY_DIGITS_MAX
        return Quantities(*map(sum, zip(*parts, strict=True)))


_read_values = attrgetter(*(field.name for field in fields(Quantities)))


def sum_quantities(parts: Iterable[Quantities]) -> Quantities:
    """The exact sum; zeros, of none."""
    return add_up([_read_values(part) for part in parts])


def subtract_quantities(whole: Quantities, part: Quantities) -> Quantities:
    """What is left of `whole`, exactly."""
    with localcontext() as context:
        context.prec = MONEY_DIGITS_MAX
        return Quantities(*map(sub, _read_values(whole), _read_values(part)))
