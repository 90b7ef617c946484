"""Amounts of a measure: money or a count."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from django import template
from django.utils.safestring import SafeString

from dashboards.explore.lines import Amount, Cell, Line
from dashboards.explore.measures import Measure
from dashboards.templatetags.figures import dollars_large, linked, money, quantity, quantity_short

register = template.Library()


@register.filter
def measured(amount: Amount, measure: Measure) -> SafeString:
    """A cell's amount."""
    return money(amount) if measure.is_money else quantity(amount)


@register.filter
def measured_cells(cells: Sequence[Cell], measure: Measure) -> SafeString:
    """The cells of a row, each a link where it has an address: a table of days has hundreds."""
    return SafeString(
        "".join(f'<td class="n">{linked(measured(cell.amount, measure), cell.href)}</td>' for cell in cells)
    )


@register.filter
def measured_large(amount: Amount, measure: Measure) -> SafeString:
    """The page's figure."""
    return dollars_large(amount) if measure.is_money else quantity_short(amount)


@register.filter
def named(line: Line) -> Iterable[tuple[str, str]]:
    """A line's names with their addresses; '' for what has none, as Other and the total."""
    return zip_longest(line.names, line.hrefs, fillvalue="")
