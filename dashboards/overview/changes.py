"""What changed: what rose and what fell most, with the steps of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.selectors import CHANGE_STEPS, CostChange, add_up_changes
from billing.selectors.groups import get_known_cost

EACH_WAY_MAX = 5


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One row. before, after: None where unknown, for want of a price; difference and steps count that as nothing yet.

    steps: in the order of CHANGE_STEPS. href: '' for a mixture.
    """

    name: str
    href: str
    before: Decimal | None
    after: Decimal | None
    unpriced_calls: int
    difference: Decimal
    steps: Sequence[Decimal]


@dataclass(frozen=True, slots=True)
class ChangeTable:
    """lines: what rose, most first, then what fell, most first; other: the rest, None where there is none."""

    lines: Sequence[ChangeLine]
    other: ChangeLine | None
    total: ChangeLine


def make_change_table(rows: Sequence[CostChange], *, nameless: str, link: Callable[[str], str]) -> ChangeTable:
    """The table of rows by one dimension. nameless: what '' is called. link: to where a value is looked into."""
    changes = sorted((c for c in rows if c.difference or any(_list_steps(c))), key=lambda c: -c.difference)
    risen = [change for change in changes if change.difference > 0][:EACH_WAY_MAX]
    fallen = [change for change in reversed(changes) if change.difference < 0][:EACH_WAY_MAX]
    shown = [*risen, *fallen]
    rest = [change for change in changes if change not in shown]
    if len(rest) == 1:  # one line alone is not worth an Other
        shown, rest = shown + rest, []
    return ChangeTable(
        [_make_line(change.group[0] or nameless, link(change.group[0]), change) for change in shown],
        _make_line(f"Other, {len(rest)} more", "", add_up_changes(rest)) if rest else None,
        _make_line("Total", "", add_up_changes(rows)),
    )


def _list_steps(change: CostChange) -> list[Decimal]:
    return [getattr(change.steps, name) for name in CHANGE_STEPS]


def _make_line(name: str, href: str, change: CostChange) -> ChangeLine:
    return ChangeLine(
        name=name,
        href=href,
        before=get_known_cost(change.before),
        after=get_known_cost(change.after),
        unpriced_calls=change.before.unpriced_calls + change.after.unpriced_calls,
        difference=change.difference,
        steps=_list_steps(change),
    )
