"""Prices as elements: every digit of them, for a price is never rounded."""

from collections.abc import Mapping
from datetime import UTC, datetime

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from billing.core.figures import write_exact
from billing.core.rate_words import MeterPrice, name_meter, write_price

register = template.Library()

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)  # of an imported list whose beginning nobody wrote down
NO_PRICE = mark_safe('<span class="quiet">–</span>')


@register.filter
def unit_price(price: MeterPrice | str | None) -> SafeString:
    """A cell's price; what those without a contract pay stands in the title; a dash where the meter has none.

    A template's look-up of a meter that a list does not have gives ''.
    """
    if not isinstance(price, MeterPrice):
        return NO_PRICE
    listed = "" if price.list_price == price.price else f", list price {write_price(price.list_price)}"
    title = f"{write_exact(price.price)} USD per {price.per:,}{listed}"
    return format_html(
        '<data value="{}" title="{}">{}</data>', write_exact(price.price), title, write_price(price.price)
    )


@register.filter
def named(actor: str, names: Mapping[str, str]) -> str:
    """Who wrote or approved a version, by name where the page knows it."""
    return names.get(actor, actor)


@register.filter
def meter_words(meter: str) -> str:
    """Cache reads, web searches."""
    words = name_meter(meter)
    return words[0].upper() + words[1:]


@register.filter
def day_of(time: datetime | None) -> SafeString | str:
    """4 Nov 2026 where a day begins, else with its minute; UTC stands in the title. Imported lists begin with time."""
    if time is None:
        return "–"
    if time <= BEGINNING:
        return format_html('<time datetime="{0}" title="{0}">the beginning</time>', time.isoformat())
    shown = f"{time.day} {time:%b %Y}" if not (time.hour or time.minute) else f"{time.day} {time:%b %Y %H:%M}"
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', time.isoformat(), shown)
