"""Figures as elements: what is shown is rounded, what is copied and tested is exact."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from html import escape

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from billing.core.changes import Change
from billing.core.figures import (
    CENT,
    MILLION,
    MINUS,
    write_amount,
    write_duration,
    write_exact,
    write_percent,
    write_quantity,
    write_signed,
)
from dashboards.overview.days import Amount

register = template.Library()

FIGURE_LENGTH_MAX = 7
ALMOST_ALL = Decimal("99.9")
UNKNOWN = mark_safe('<span class="signal">unknown</span>')


@register.filter
def money(amount: Decimal | None, currency: str = "USD") -> SafeString:
    """A cell's money: the caption has the currency, the title the exact amount; None is unknown, never zero."""
    if amount is None:
        return UNKNOWN
    return _data(amount, write_amount(amount), currency)


@register.filter
def linked(shown: SafeString, href: str) -> SafeString:
    """A figure as a link to what it is made of; as it is where there is no address."""
    return SafeString(f'<a href="{escape(href)}">{shown}</a>') if href else shown


@register.filter
def money_cells(amounts: Sequence[Amount]) -> SafeString:
    """The cells of a row whose figures are links: a table of days has hundreds."""
    return SafeString("".join(f'<td class="n">{linked(money(amount.cost), amount.href)}</td>' for amount in amounts))


@register.filter
def money_signed(amount: Decimal | None, currency: str = "USD") -> SafeString:
    """The same with its sign, for a difference."""
    if amount is None:
        return UNKNOWN
    return _data(amount, write_signed(amount), currency)


@register.filter
def money_step(amount: Decimal) -> SafeString | str:
    """One step of several that make a difference: a dash where it adds nothing."""
    return money_signed(amount) if amount else "–"


@register.filter
def moved(difference: Decimal) -> SafeString:
    """A difference with its direction: ▲ +12.00."""
    if not difference:
        return money_signed(difference)
    word, sign = ("up", "▲") if difference > 0 else ("down", "▼")
    return format_html('<span class="delta {}">{} {}</span>', word, sign, money_signed(difference))


@register.filter
def dollars(amount: Decimal | None, currency: str = "USD") -> SafeString:
    """Money inside a sentence or a small figure: $0.0036."""
    if amount is None:
        return UNKNOWN
    return _data(amount, _with_sign(write_amount(amount)), currency)


@register.filter
def dollars_large(amount: Decimal | None, currency: str = "USD") -> SafeString:
    """Money as a page's figure: the cents stand smaller, unless they are all there is; so does what has many digits."""
    if amount is None:
        return UNKNOWN
    if abs(amount) < 1:
        shown = _with_sign(write_amount(amount))
        long = format_html('<span class="long">{}</span>', shown) if len(shown) > FIGURE_LENGTH_MAX else shown
        return _data(amount, long, currency)
    whole, _, cents = write_amount(amount).partition(".")
    shown = format_html('{}<span class="cents">.{}</span>', _with_sign(whole), cents)
    return _data(amount, shown, currency)


@register.filter
def money_exact(amount: Decimal | None) -> str | SafeString:
    """All twelve decimals."""
    return UNKNOWN if amount is None else f"{amount:,.12f}".replace("-", MINUS)


@register.filter
def money_exact_signed(amount: Decimal | None) -> str | SafeString:
    """All twelve decimals with the sign, for a chain of bookings."""
    return UNKNOWN if amount is None else f"{amount:+,.12f}".replace("-", MINUS)


@register.filter
def quantity(number: Decimal | int | None, unit: str = "") -> SafeString:
    """Tokens, calls: whole up to ten million, then millions; the title has every digit."""
    if number is None:
        return UNKNOWN
    return _data(number, write_quantity(number), unit)


@register.filter
def quantity_short(number: int) -> SafeString:
    """A page's figure: millions from the first one on; the title has every digit."""
    return _data(number, write_quantity(number, in_millions_from=MILLION), "tokens")


tokens = register.filter("tokens", lambda number: quantity(number, "tokens"))


@register.filter
def quantity_exact(number: Decimal | int) -> str:
    """Every digit, thousands apart: a factor of an equation."""
    return write_quantity(number, in_millions_from=10**30)


@register.filter
def price(amount: Decimal) -> str:
    """A unit price with every digit, two decimals at least."""
    return format(max(amount.normalize(), amount.quantize(CENT), key=_count_decimals), ",f").replace("-", MINUS)


@register.filter
def percent(share: Decimal | None) -> str:
    """33.9 %; a dash where there is no share."""
    return "–" if share is None else write_percent(share)


@register.filter
def percent_of_calls(share: Decimal) -> str:
    """Never rounded up to 100 %: a call without a price stays visible."""
    return f"{write_percent(min(share, ALMOST_ALL))} of calls"


@register.filter
def absolute(amount: Decimal) -> Decimal:
    """Its size, where the sentence says the direction."""
    return abs(amount)


@register.filter
def delta(change: Change) -> SafeString:
    """The change in words: ▲ 12.0 % more. Colour is never its only sign."""
    if change.direction == "same":
        return mark_safe('<span class="delta">no change</span>')
    if change.direction == "new":
        return mark_safe('<span class="delta up">▲ new</span>')
    if change.direction == "gone":
        return mark_safe('<span class="delta">▼ gone</span>')
    if change.direction == "up":
        return format_html('<span class="delta up">▲ {} more</span>', write_percent(change.percent))
    return format_html('<span class="delta">▼ {} less</span>', write_percent(change.percent))


@register.filter
def moment(time: datetime | None) -> SafeString | str:
    """4 Nov 2026 09:41:07.318204 UTC: every digit, for one entry."""
    if time is None:
        return "–"
    fraction = f".{time.microsecond:06d}" if time.microsecond else ""
    return _time(time, f"{time.day} {time:%b %Y %H:%M:%S}{fraction} UTC")


@register.filter
def moment_second(time: datetime) -> SafeString:
    """4 Nov 2026 09:41:07, where a heading or the sentence names the zone."""
    return _time(time, f"{time.day} {time:%b %Y %H:%M:%S}")


@register.filter
def minute(time: datetime) -> SafeString:
    """14:32 UTC, of today."""
    return _time(time, f"{time:%H:%M} UTC")


@register.filter
def minute_and_day(time: datetime) -> SafeString:
    """4 Nov 14:32 UTC."""
    return _time(time, f"{time.day} {time:%b %H:%M} UTC")


@register.filter
def day_and_weekday(day: date) -> str:
    """4 Nov Wed."""
    return f"{day.day} {day:%b %a}"


@register.filter
def duration(length: timedelta) -> str:
    """0.8 s, 3 min."""
    return write_duration(length)


@register.filter
def abbreviated(identifier: str, ends: int = 8) -> str:
    """The two ends of a long id: 01a1a5ef…e0a3c4."""
    return identifier if len(identifier) <= 2 * ends else f"{identifier[:ends]}…{identifier[-6:]}"


def _time(time: datetime, shown: str) -> SafeString:
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', time.isoformat(), shown)


def _count_decimals(amount: Decimal) -> int:
    return -amount.as_tuple().exponent


def _with_sign(text: str) -> str:
    return f"{MINUS}${text[1:]}" if text.startswith(MINUS) else f"${text}"


def _data(number: Decimal | int, shown: str | SafeString, unit: str) -> SafeString:
    """Nothing to escape: digits, signs, and a unit that a template names. A page has hundreds of these."""
    exact = write_exact(number)
    return SafeString(f'<data value="{exact}" title="{exact}{" " if unit else ""}{unit}">{shown}</data>')
