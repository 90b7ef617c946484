"""A whole cut into parts that sum to it, to the last unit. Pure."""

from collections.abc import Mapping
from decimal import Decimal

PICO = 10**12
MICRO = 10**6  # of a percent: shares and percentages have six decimals


def split_amount(amount: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Give each name its part of `amount` by weight; what whole units leave over goes to the largest remainders.

    Ties go by name, so that nobody's part hangs on an order. Who weighs nothing gets nothing and is left out, and a
    negative amount is cut as its opposite is. No weights at all: an empty answer, and nothing is split.
    Raises ValueError for a negative weight.
    """
    if any(weight < 0 for weight in weights.values()):
        raise ValueError("a share has no negative weight")
    whole = sum(weights.values())
    if not whole:
        return {}
    sign, size = (-1, -amount) if amount < 0 else (1, amount)
    cut = {name: divmod(size * weight, whole) for name, weight in sorted(weights.items()) if weight}
    parts = {name: part for name, (part, _) in cut.items()}
    left_over = size - sum(parts.values())
    for name in sorted(cut, key=lambda name: (-cut[name][1], name))[:left_over]:
        parts[name] += 1
    return {name: sign * part for name, part in parts.items()}


def divide_half_even(amount: int, divisor: int) -> int:
    """The nearest whole number, the even one of two that are as near. divisor: above 0."""
    whole, rest = divmod(amount, divisor)
    if 2 * rest > divisor or (2 * rest == divisor and whole % 2):
        whole += 1
    return whole


def take_percent(amount: int, percent: Decimal) -> int:
    """So many percent of an amount, rounded half-even to a whole unit. percent: with six decimals at most."""
    return divide_half_even(amount * to_micro(percent), 100 * MICRO)


def to_micro(number: Decimal) -> int:
    """A number of at most six decimals as whole millionths."""
    return scale_exactly(number, MICRO)


def to_pico(amount: Decimal) -> int:
    """An amount of at most twelve decimals as whole units of 10⁻¹²."""
    return scale_exactly(amount, PICO)


def scale_exactly(number: Decimal, scale: int) -> int:
    """A number as whole units of 1/scale, however long. Raises ValueError where it is no whole number of them."""
    numerator, denominator = number.as_integer_ratio()
    whole, rest = divmod(numerator * scale, denominator)
    if rest:
        raise ValueError(f"{number} is finer than 1/{scale}")
    return whole


def to_money(pico: int) -> Decimal:
    """Whole units of 10⁻¹² as an amount with twelve decimals, however large."""
    sign, digits = (1, -pico) if pico < 0 else (0, pico)
    return Decimal((sign, tuple(map(int, str(digits))), -12))
