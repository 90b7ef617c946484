"""A row's days in a line of small bars, as the path of an SVG: no style, no script."""

from collections.abc import Sequence
from decimal import Decimal

HEIGHT = 10
TENTHS = 10 * HEIGHT


def _write(tenths: int) -> str:
    """To a tenth, as short as it goes: 3, 3.1, .4."""
    text = f"{tenths / 10:.1f}".rstrip("0").rstrip(".") or "0"
    return text.removeprefix("0") if text.startswith("0.") else text


BARS = [f"V{_write(tenths)}h1" for tenths in range(TENTHS + 1)]  # by how far its top is from the picture's


def draw_days(amounts: Sequence[Decimal]) -> str:
    """The path of bars that are one wide and touch, the dearest as high as the picture; '' of nothing."""
    most = max(amounts, default=Decimal(0))
    if most <= 0:
        return ""
    bars = [BARS[TENTHS - round(amount * TENTHS / most)] if amount > 0 else BARS[TENTHS] for amount in amounts]
    return f"M0 {HEIGHT}{''.join(bars)}V{HEIGHT}z"
