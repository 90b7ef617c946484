"""How an amount stands against the one before it."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal


@dataclass(frozen=True, slots=True)
class Change:
    """direction: up, down, same, new (nothing stood before) or gone. percent: its size; None where there is none."""

    difference: Decimal
    direction: str
    percent: Decimal | None


def compare_amounts(now: Decimal, before: Decimal) -> Change:
    """The change from `before` to `now`; its percentage is of `before`, to a tenth, half-even."""
    difference = now - before
    if not difference:
        return Change(difference, "same", None)
    if not before:
        return Change(difference, "new", None)
    percent = abs(difference * 100 / before).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
    if not now:
        return Change(difference, "gone", percent)
    return Change(difference, "up" if difference > 0 else "down", percent)
