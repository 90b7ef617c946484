"""Why the cost of one period differs from another's: the bridge, by feature, provider and model."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from operator import itemgetter

from billing.core.bridges import Bridge, Use, explain_change
from billing.selectors.costs import get_costs
from billing.selectors.quantities import Quantities, sum_quantities
from billing.selectors.queries import CostQuery, QueryRefused

# What tells calls apart when a change is explained, whatever it is shown by: so the steps of a total are the sums of
# its rows' steps, by feature as by model.
CHANGE_KINDS = ("feature", "provider", "model")
FEATURE = 0  # its place; a feature grows, and chooses among models
PICO_DIGITS = 12
NOTHING = Quantities()


@dataclass(frozen=True, slots=True)
class Steps:
    """A bridge in the ledger's currency; see `billing.core.bridges.Bridge`."""

    price: Decimal
    volume: Decimal
    mix: Decimal
    cache: Decimal
    new: Decimal
    ended: Decimal


CHANGE_STEPS = tuple(step.name for step in fields(Steps))


@dataclass(frozen=True, slots=True)
class CostChange:
    """What one group cost in both periods, and the steps from one to the other: together their difference."""

    group: tuple[str, ...]
    before: Quantities
    after: Quantities
    steps: Steps

    @property
    def difference(self) -> Decimal:
        return self.after.billed_cost - self.before.billed_cost


@dataclass(frozen=True, slots=True)
class CostChanges:
    """The groups of either period, the largest difference first; and all together."""

    rows: list[CostChange]
    total: CostChange
    complete_to: datetime


def get_cost_changes(query: CostQuery, *, before: tuple[datetime, datetime], using: str = "default") -> CostChanges:
    """Compare the query's period with the one `before`, each taken as a whole. group_by: of CHANGE_KINDS.

    Raises QueryRefused.
    """
    if not set(query.group_by) <= set(CHANGE_KINDS):
        raise QueryRefused(f"changes are explained by {', '.join(CHANGE_KINDS)} only")
    by_kind = replace(query, group_by=CHANGE_KINDS, granularity="total")
    earlier = get_costs(replace(by_kind, start=before[0], end=before[1]), using=using)
    later = get_costs(by_kind, using=using)
    kinds = _compare_kinds(*({row.group: row.quantities for row in costs.rows} for costs in (earlier, later)))
    places = [CHANGE_KINDS.index(name) for name in query.group_by]
    groups: dict[tuple[str, ...], list[CostChange]] = defaultdict(list)
    for kind in kinds:
        groups[tuple(kind.group[place] for place in places)].append(kind)
    rows = [add_up_changes(parts, group=group) for group, parts in groups.items()]
    rows.sort(key=lambda row: (-abs(row.difference), row.group))
    return CostChanges(rows, add_up_changes(kinds), later.complete_to)


def add_up_changes(changes: Iterable[CostChange], *, group: tuple[str, ...] = ()) -> CostChange:
    """The exact sum of changes, named `group`."""
    parts = list(changes)
    if len(parts) == 1:
        return replace(parts[0], group=group)
    return CostChange(
        group,
        sum_quantities(part.before for part in parts),
        sum_quantities(part.after for part in parts),
        Steps(*(sum((getattr(part.steps, name) for part in parts), Decimal(0)) for name in CHANGE_STEPS)),
    )


def _compare_kinds(
    before: Mapping[tuple[str, ...], Quantities], after: Mapping[tuple[str, ...], Quantities]
) -> list[CostChange]:
    uses = ({kind: _read_use(part) for kind, part in parts.items()} for parts in (before, after))
    return [
        CostChange(kind, before.get(kind, NOTHING), after.get(kind, NOTHING), _write_steps(bridge))
        for kind, bridge in explain_change(*uses, family=itemgetter(FEATURE)).items()
    ]


def _read_use(quantities: Quantities) -> Use:
    """Cache writes that last an hour count among the writes: their cost is in one sum."""
    return Use(
        calls=quantities.calls,
        input_tokens=quantities.input_tokens,
        cache_read_tokens=quantities.cache_read_tokens,
        cache_write_tokens=quantities.cache_write_tokens + quantities.cache_write_1h_tokens,
        output_tokens=quantities.output_tokens,
        **{
            name: int(getattr(quantities, name).scaleb(PICO_DIGITS))
            for name in ("input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost")
        },
    )


def _write_steps(bridge: Bridge) -> Steps:
    return Steps(*(Decimal(getattr(bridge, name)).scaleb(-PICO_DIGITS) for name in CHANGE_STEPS))
