"""How amounts are spread: a mean never stands alone. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

PICO = Decimal(1).scaleb(-12)


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean and its percentiles; None: not known. count: of how many."""

    count: int
    mean: Decimal | None
    p50: Decimal | None
    p95: Decimal | None
    p99: Decimal | None
    most: Decimal | None = None


def measure_spread(amounts: Sequence[Decimal], *, total: Decimal | None = None, by: Decimal | None = None) -> Spread:
    """The spread of amounts: nearest-rank percentiles, which are amounts that were there.

    The mean is `total` by `by`, where they say more than the amounts' own sum by their number.
    """
    if not amounts:
        return Spread(0, None, None, None, None)
    ordered = sorted(amounts)
    whole = sum(ordered, Decimal(0)) if total is None else total
    parts = Decimal(len(ordered)) if by is None else by
    return Spread(
        count=len(ordered),
        mean=(whole / parts).quantize(PICO, ROUND_HALF_EVEN) if parts else None,
        p50=_find(ordered, 50),
        p95=_find(ordered, 95),
        p99=_find(ordered, 99),
        most=ordered[-1],
    )


def _find(ordered: Sequence[Decimal], percent: int) -> Decimal:
    return ordered[-(-len(ordered) * percent // 100) - 1]
