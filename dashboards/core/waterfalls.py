"""The spans of a trace as a tree: who called whom, what each cost with all below it, and the dearest path."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

BAR_WIDTH = 1000  # of the whole trace, in the bar's own units
BAR_LEAST = 3
CLOCK_SLACK = timedelta(milliseconds=5)  # less than this is rounding, and no clock that is wrong
FITS, ORPHAN, CIRCLE = "fits", "orphan", "circle"


@dataclass(frozen=True, slots=True)
class Step:
    """What the tree has to know of a span. cost: None where nothing of it has a price; unpriced: calls without one."""

    span_id: str
    parent_id: str
    started_at: datetime
    ended_at: datetime
    cost: Decimal | None
    unpriced: int


@dataclass(frozen=True, slots=True)
class Branch:
    """A span in its place. index: of the step; total, total_unpriced: its own and everything below it.

    place: whether its parent is known, is not among the spans (ORPHAN), or is below it (CIRCLE: then it stands at the
    top). strays: it begins before its parent or ends after it. x, width: its bar, of BAR_WIDTH.
    """

    index: int
    depth: int
    below: int
    total: Decimal | None
    total_unpriced: int
    place: str
    strays: bool
    is_dearest: bool
    x: int
    width: int


def grow_tree(steps: Sequence[Step]) -> list[Branch]:
    """Every step once, parents before their children, those of one parent by when they began.

    The dearest path leads from the top always to what cost most with all below it, as long as that cost anything; of
    two that cost the same it takes the earlier. Where nothing has a price there is none.
    """
    parents, places = _find_parents(steps)
    children: dict[int | None, list[int]] = defaultdict(list)
    for index in sorted(range(len(steps)), key=lambda index: (steps[index].started_at, index)):
        children[parents[index]].append(index)
    order = _walk(children)
    totals, unpriced, below = _add_up(steps, parents, order)
    dearest = _find_dearest(children, totals)
    began = min((step.started_at for step in steps), default=None)
    ended = max((step.ended_at for step in steps), default=None)
    return [
        Branch(
            index=index,
            depth=depth,
            below=below[index],
            total=totals[index],
            total_unpriced=unpriced[index],
            place=places[index],
            strays=_strays(steps, index, parents[index]),
            is_dearest=index in dearest,
            **_place_bar(steps[index], began, ended),
        )
        for index, depth in order
    ]


def _find_parents(steps: Sequence[Step]) -> tuple[list[int | None], list[str]]:
    """The parent of each step, None at the top; a circle is opened at the step of it that began first."""
    by_id: dict[str, int] = {}
    for index, step in enumerate(steps):
        if step.span_id:
            by_id.setdefault(step.span_id, index)
    parents = [by_id.get(step.parent_id) if step.parent_id else None for step in steps]
    places = [ORPHAN if step.parent_id and parents[i] is None else FITS for i, step in enumerate(steps)]
    is_known = [False] * len(steps)
    for index in range(len(steps)):
        path: dict[int, None] = {}
        at: int | None = index
        while at is not None and not is_known[at] and at not in path:
            path[at] = None
            at = parents[at]
        if at is not None and at in path:
            circle = list(path)[list(path).index(at) :]
            first = min(circle, key=lambda each: (steps[each].started_at, each))
            parents[first], places[first] = None, CIRCLE
        for each in path:
            is_known[each] = True
    return parents, places


def _walk(children: Mapping[int | None, Sequence[int]]) -> list[tuple[int, int]]:
    """Each index with its depth, parents first. Without recursion: a chain may be as long as a trace."""
    order = []
    waiting = [(index, 0) for index in reversed(children.get(None, ()))]
    while waiting:
        index, depth = waiting.pop()
        order.append((index, depth))
        waiting += [(child, depth + 1) for child in reversed(children.get(index, ()))]
    return order


def _add_up(
    steps: Sequence[Step], parents: Sequence[int | None], order: Sequence[tuple[int, int]]
) -> tuple[list[Decimal | None], list[int], list[int]]:
    totals = [step.cost for step in steps]
    unpriced = [step.unpriced for step in steps]
    below = [0] * len(steps)
    for index, _ in reversed(order):
        parent, total = parents[index], totals[index]
        if parent is None:
            continue
        unpriced[parent] += unpriced[index]
        below[parent] += below[index] + 1
        if total is not None:
            totals[parent] = (totals[parent] or Decimal(0)) + total
    return totals, unpriced, below


def _find_dearest(children: Mapping[int | None, Sequence[int]], totals: Sequence[Decimal | None]) -> set[int]:
    path: set[int] = set()
    at: int | None = None
    while known := [index for index in children.get(at, ()) if (totals[index] or 0) > 0]:
        at = max(known, key=lambda index: totals[index] or Decimal(0))
        path.add(at)
    return path


def _strays(steps: Sequence[Step], index: int, parent: int | None) -> bool:
    if parent is None:
        return False
    inner, outer = steps[index], steps[parent]
    return inner.started_at < outer.started_at - CLOCK_SLACK or inner.ended_at > outer.ended_at + CLOCK_SLACK


def _place_bar(step: Step, began: datetime | None, ended: datetime | None) -> dict[str, int]:
    """The bar of a step in the time of the trace, wide enough to be seen."""
    if began is None or ended is None or ended <= began:
        return {"x": 0, "width": BAR_WIDTH}
    whole = ended - began
    width = max(BAR_LEAST, round(BAR_WIDTH * (step.ended_at - step.started_at) / whole))
    x = min(round(BAR_WIDTH * (step.started_at - began) / whole), BAR_WIDTH - BAR_LEAST)
    return {"x": x, "width": min(width, BAR_WIDTH - x)}
