"""How a figure is written: thousands, a true minus, and never $0.00 for what is not nothing."""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal

MINUS = "\N{MINUS SIGN}"
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
CENT = Decimal("0.01")
WRITTEN_IN_CENTS_FROM = Decimal("0.1")
TINY_DIGITS = Context(prec=3, rounding=ROUND_HALF_EVEN)  # significant ones of an amount below ten cents
MILLION = 1_000_000
WRITTEN_IN_MILLIONS_FROM = 10 * MILLION


def write_exact(amount: Decimal | int) -> str:
    """Every digit and no exponent, without the zeros that say nothing: 32775.31, 0.0036, 12.

    >>> write_exact(Decimal("32775.310000000000"))
    '32775.31'
    """
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def write_amount(amount: Decimal) -> str:
    """Two decimals; below ten cents three significant digits, for a call costs less than a cent.

    >>> write_amount(Decimal("-1234.565")), write_amount(Decimal("0.003612")), write_amount(Decimal("0.02600160"))
    ('−1,234.56', '0.00361', '0.0260')
    """
    if amount and abs(amount) < WRITTEN_IN_CENTS_FROM:
        rounded = TINY_DIGITS.create_decimal(amount)
        rounded = rounded.quantize(Decimal(1).scaleb(rounded.adjusted() + 1 - TINY_DIGITS.prec))
    else:
        rounded = amount.quantize(CENT, ROUND_HALF_EVEN)
    return format(rounded, ",f").replace("-", MINUS)


def write_signed(amount: Decimal) -> str:
    """The same with its sign, a plus included; nothing is 0.00."""
    text = write_amount(amount)
    return text if amount <= 0 else f"+{text}"


def write_quantity(quantity: Decimal | int, *, in_millions_from: int = WRITTEN_IN_MILLIONS_FROM) -> str:
    """Thousands apart; from ten million on, millions to a tenth.

    >>> write_quantity(22296), write_quantity(5118240000), write_quantity(-3)
    ('22,296', '5,118.2 M', '−3')
    """
    if abs(Decimal(quantity)) >= in_millions_from:
        millions = (Decimal(quantity) / MILLION).quantize(Decimal("0.1"), ROUND_HALF_EVEN)
        return f"{millions:,f} M".replace("-", MINUS)
    if isinstance(quantity, Decimal) and quantity != quantity.to_integral_value():
        return f"{quantity.normalize():,f}".replace("-", MINUS)
    return f"{int(quantity):,d}".replace("-", MINUS)


def write_percent(percent: Decimal) -> str:
    """A tenth, and the sign after a narrow space that does not break."""
    return f"{percent.quantize(Decimal('0.1'), ROUND_HALF_EVEN):,f}{NARROW_SPACE}%".replace("-", MINUS)


def write_duration(duration: timedelta) -> str:
    """A rough length in words: 0.8 s, 14 s, 3 min, 5 h, 12 days."""
    seconds = abs(duration.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.0f} days"


def write_day(moment: datetime) -> str:
    """4 November 2026."""
    return f"{moment.day} {moment:%B %Y}"
