"""Figures of a statement: to the cent, with every digit behind it."""

from decimal import Decimal

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from audit.core.statement import round_to_cent

register = template.Library()


@register.filter
def cents(amount: Decimal | None) -> SafeString | str:
    """An amount as a statement shows it, rounded once; the exact one is its value."""
    if amount is None:
        return ""
    shown = f"{round_to_cent(amount):,.2f}".replace("-", "−")
    return format_html('<data value="{}" title="{} USD">{}</data>', f"{amount:f}", f"{amount:f}", shown)


@register.filter
def cents_signed(amount: Decimal) -> SafeString | str:
    """The same with its sign, where it is one of several that are added."""
    shown = f"{round_to_cent(amount):+,.2f}".replace("-", "−")
    return format_html('<data value="{}" title="{} USD">{}</data>', f"{amount:f}", f"{amount:f}", shown)
