"""What is summed."""

from collections.abc import Iterable
from decimal import Decimal, localcontext
from operator import sub
from typing import NamedTuple

MONEY_DIGITS_MAX = 60  # more than any sum of NUMERIC(30,12) has: adding them up rounds nothing


class Quantities(NamedTuple):
    """Sums over entries, in the order of the rollups' columns; money in the ledger's currency.

    A tuple, for a page makes thousands. Token buckets are disjoint, but for `reasoning_tokens`, which are inside
    `output_tokens`.
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


def sum_quantities(parts: Iterable[Quantities]) -> Quantities:
    """The exact sum; zeros, of none."""
    with localcontext() as context:
        context.prec = MONEY_DIGITS_MAX
        return Quantities(*map(sum, zip(*parts, strict=True)))


def subtract_quantities(whole: Quantities, part: Quantities) -> Quantities:
    """What is left of `whole`, exactly."""
    with localcontext() as context:
        context.prec = MONEY_DIGITS_MAX
        return Quantities(*map(sub, whole, part))
