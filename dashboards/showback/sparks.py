"""A row's days in a line of small bars, as the path of an SVG: no style, no script."""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal

HEIGHT = 10


def draw_days(amounts: Sequence[Decimal]) -> str:
    """The path of bars that are one wide and touch, the dearest as high as the picture; '' of nothing."""
    most = max(amounts, default=Decimal(0))
    if most <= 0:
        return ""
    tops = [_write(HEIGHT - max(amount, Decimal(0)) * HEIGHT / most) for amount in amounts]
    return f"M0 {HEIGHT}" + "".join(f"V{top}h1" for top in tops) + f"V{HEIGHT}z"


def _write(number: Decimal) -> str:
    """To a tenth, as short as it goes: 3, 3.1, .4."""
    text = f"{number.quantize(Decimal('0.1'), ROUND_HALF_EVEN):f}".rstrip("0").rstrip(".") or "0"
    return text.removeprefix("0") if text.startswith("0.") else text
