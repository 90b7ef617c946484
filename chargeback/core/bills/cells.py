"""What a field of a bill means: amounts to the last digit, days, and the many words for nothing. Pure.

Every reader raises ValueError with the cure, as a sentence that begins with "is" or "lies".
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

NULL_WORDS = frozenset({"", "null", "none", "nan", "n/a", "\\n"})
AMOUNT_MAX = Decimal(10) ** 15
DECIMALS_MAX = 40  # OpenAI writes decimals of 34 digits
YEAR_FIRST, YEAR_LAST = 2000, 2199
TEXT_LENGTH_MAX = 1_000
DAY_ORDERS = ("iso", "day_month_year", "month_day_year")

_PLAIN = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,5})?")
_IN_PARENTHESES = re.compile(r"\((?P<amount>[^()-]+)\)")
_DAY = re.compile(r"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})")
_MOMENT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ](?P<time>[0-9]{2}:[0-9]{2}(:[0-9]{2})?)(\.[0-9]{1,9})?"
    r" ?(?P<zone>Z|UTC|[+-][0-9]{2}:?[0-9]{2})?"
)
_LOCAL_DAY = re.compile(r"(?P<first>[0-9]{1,2})[./-](?P<second>[0-9]{1,2})[./-](?P<year>[0-9]{4})")
_SECONDS = re.compile(r"[0-9]{9,11}")
_CURRENCY = re.compile(r"[A-Za-z]{3}")


def read_text(text: str) -> str:
    """A text without blanks around it; '' for any word that means nothing. Long ones are cut: they only describe."""
    text = text.strip()
    return "" if text.lower() in NULL_WORDS else text.replace("\0", "")[:TEXT_LENGTH_MAX]


def read_amount(text: str) -> Decimal:
    """An amount with every digit, signs and exponents as they are: -0.5, 1e-9, .25, (3.10) for what is given back."""
    text = text.strip()
    if text.lower() in NULL_WORDS:
        raise ValueError("is empty; write 0 where nothing is charged")
    negative = _IN_PARENTHESES.fullmatch(text)
    plain = (negative["amount"] if negative else text).strip().removeprefix("$").strip()
    if not _PLAIN.fullmatch(plain):
        raise ValueError(
            f"is no amount: {text[:40]!r}; write it as 1234.56 or 1e-9, or say in a mapping what separates thousands "
            "and decimals"
        )
    return check_amount(Decimal(plain).copy_negate() if negative else Decimal(plain))


def read_local_amount(text: str, *, thousands: str, decimal: str) -> Decimal:
    """The same where a mapping says what stands between thousands and before decimals. thousands: '' for nothing."""
    if thousands:
        groups = re.sub(r"^[(+\-$\s]+", "", text.strip()).partition(decimal)[0].rstrip(") ").split(thousands)
        if len(groups) > 1 and not (1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
            raise ValueError(f"is no amount: {text.strip()[:40]!r} has thousands of other than three digits")
        text = text.replace(thousands, "")
    if decimal != ".":
        if "." in text:
            raise ValueError(f"is no amount: {text.strip()[:40]!r} has a point, and the mapping says {decimal!r}")
        text = text.replace(decimal, ".")
    return read_amount(text)


def check_amount(amount: Decimal) -> Decimal:
    """The amount, where it is one that can be summed exactly."""
    if not amount:  # of 0E-6176 too, which OpenAI writes
        return Decimal(0)
    exponent = amount.as_tuple().exponent
    if not amount.is_finite() or abs(amount) >= AMOUNT_MAX:
        raise ValueError("is no amount below 10^15")
    if isinstance(exponent, int) and exponent < -DECIMALS_MAX:
        raise ValueError(f"has more than {DECIMALS_MAX} decimals")
    return amount


def read_moment(text: str) -> datetime:
    """A moment or the beginning of a day: 2026-11-03, 2026-11-03T04:00:00Z, seconds since 1970. UTC where it says no
    zone, as providers do.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return _check_year(datetime.fromtimestamp(int(text), UTC))
    found = _MOMENT.fullmatch(text)
    try:
        if found:
            moment = datetime.fromisoformat(f"{found['day']}T{found['time']}").replace(tzinfo=UTC)
            return _check_year(moment - _read_offset(found["zone"] or "Z"))
        if not _DAY.fullmatch(text):
            raise ValueError
        return _check_year(datetime.fromisoformat(text).replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        raise ValueError(f"is no day: {text[:40]!r}; write it as 2026-11-03 or 2026-11-03T04:00:00Z") from None


def read_local_day(text: str, *, order: str) -> datetime:
    """A day as 3.11.2026 (`day_month_year`) or 11/3/2026 (`month_day_year`), where a mapping says which."""
    if order == "iso":
        return read_moment(text)
    found = _LOCAL_DAY.fullmatch(text.strip())
    try:
        if not found:
            raise ValueError
        day, month = int(found["first"]), int(found["second"])
        if order == "month_day_year":
            day, month = month, day
        return _check_year(datetime(int(found["year"]), month, day, tzinfo=UTC))
    except ValueError:
        example = "3.11.2026" if order == "day_month_year" else "11/3/2026"
        raise ValueError(f"is no day: {text.strip()[:40]!r}; the mapping says days such as {example}") from None


def read_currency(text: str) -> str:
    """Three letters, in capitals."""
    text = text.strip()
    if not _CURRENCY.fullmatch(text):
        raise ValueError(f"is no currency: {text[:40]!r}; write its three letters, such as USD")
    return text.upper()


def _read_offset(zone: str) -> timedelta:
    if zone in ("Z", "UTC"):
        return timedelta()
    digits = zone[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset


def _check_year(moment: datetime) -> datetime:
    if not YEAR_FIRST <= moment.year <= YEAR_LAST:
        raise ValueError
    return moment
