"""Days as a small picture, and figures that have a spread."""

from collections.abc import Sequence
from decimal import Decimal

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from dashboards.showback.sparks import draw_days

register = template.Library()


@register.filter
def spark(days: Sequence[Decimal] | None) -> SafeString:
    """The days' shape, each row to its own height; nothing where the days are not read."""
    path = draw_days(days) if days else ""
    if not path:
        return mark_safe("")
    picture = (
        '<svg class="spark days" viewBox="0 0 {} 10" preserveAspectRatio="none" aria-hidden="true"><path d="{}"/></svg>'
    )
    return format_html(picture, len(days or ()), path)
