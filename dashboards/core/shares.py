"""Shares of a whole that add up when they are read."""

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal

TENTHS_OF_PERCENT = 1000


def split_shares(amounts: Sequence[Decimal]) -> list[Decimal | None]:
    """Each amount's percentage of the sum, in tenths that add up to exactly 100.0 (largest remainder).

    Ties go to the earlier amount. All None where shares mean nothing: an amount below zero, or nothing to share.
    """
    total = sum(amounts, Decimal(0))
    if total <= 0 or min(amounts) < 0:
        return [None] * len(amounts)
    exact = [amount * TENTHS_OF_PERCENT / total for amount in amounts]
    tenths = [int(share.to_integral_value(ROUND_FLOOR)) for share in exact]
    by_remainder = sorted(range(len(amounts)), key=lambda i: tenths[i] - exact[i])
    for i in by_remainder[: TENTHS_OF_PERCENT - sum(tenths)]:
        tenths[i] += 1
    return [Decimal(share).scaleb(-1) for share in tenths]
