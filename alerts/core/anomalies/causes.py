"""What moved when a cost did: the feature, model, user or key, and by which step of the bridge. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction

from billing.core.bridges import Bridge

STEPS = tuple(step.name for step in fields(Bridge))
NO_BRIDGES: Mapping[tuple[str, str], Bridge] = {}


@dataclass(frozen=True, slots=True)
class Cause:
    """The value of a dimension that moved most, of all dimensions the one that says most by it.

    moved: its part of the change, in pico-USD. share: of the whole change; above 1 where others went the other way.
    share_before: of the cost before. step, step_cost: the largest step of its bridge the same way; '' without a bridge.
    """

    dimension: str
    value: str
    moved: int
    share: Fraction
    share_before: Fraction
    step: str = ""
    step_cost: int = 0


def find_cause(
    costs: Mapping[str, Mapping[str, tuple[int, int]]],
    *,
    bridges: Mapping[tuple[str, str], Bridge] = NO_BRIDGES,
) -> Cause | None:
    """The likely cause of a change of cost; None where nothing changed, or nobody's part of it says anything.

    costs: by dimension (feature, model, user, key), by value, the cost before and after in pico-USD; each dimension
    adds up to the same change. bridges: by dimension and value, as `billing.core.bridges` explains it. That says most
    which moved most beyond its share of the cost before: the only feature there is has all of every change, and the
    largest one most of it. Of equal ones the first dimension's counts.
    """
    candidates = [cause for dimension, values in costs.items() for cause in _compare(dimension, values)]
    if not candidates:
        return None
    cause = max(candidates, key=lambda one: one.share - one.share_before)
    if cause.share <= cause.share_before:
        return None
    step, step_cost = _find_step(bridges.get((cause.dimension, cause.value)), rises=cause.moved > 0)
    return Cause(
        cause.dimension, cause.value, cause.moved, cause.share, cause.share_before, step=step, step_cost=step_cost
    )


def _compare(dimension: str, values: Mapping[str, tuple[int, int]]) -> Iterator[Cause]:
    before, after = (sum(value[place] for value in values.values()) for place in (0, 1))
    change = after - before
    if not change:
        return
    for value, (earlier, later) in values.items():
        if (later - earlier) * change > 0:
            share_before = Fraction(earlier, before) if before else Fraction(0)
            yield Cause(dimension, value, later - earlier, Fraction(later - earlier, change), share_before)


def _find_step(bridge: Bridge | None, *, rises: bool) -> tuple[str, int]:
    """The largest step that goes the way of the change."""
    if bridge is None:
        return "", 0
    steps = {name: getattr(bridge, name) for name in STEPS}
    name = (max if rises else min)(steps, key=lambda one: steps[one])
    return (name, steps[name]) if steps[name] and (steps[name] > 0) == rises else ("", 0)
