"""Lengths of time, as a trace tells them."""

from datetime import timedelta
from decimal import Decimal

from django import template

register = template.Library()

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000  # milliseconds


@register.filter
def span_time(length: timedelta | Decimal | None) -> str:
    """0.4 ms, 812 ms, 3.42 s, 2 min 05 s, 1 h 30 min; what is not known is a dash."""
    if length is None:
        return "–"
    ms = length.total_seconds() * 1000 if isinstance(length, timedelta) else float(length)
    if ms < 1:
        return f"{ms:.1f} ms" if ms else "0 ms"
    if ms < SECOND:
        return f"{ms:.0f} ms"
    if ms < MINUTE:
        return f"{ms / SECOND:.2f} s"
    if ms < HOUR:
        return f"{int(ms // MINUTE)} min {int(ms % MINUTE // SECOND):02} s"
    return f"{int(ms // HOUR):,} h {int(ms % HOUR // MINUTE):02} min"
