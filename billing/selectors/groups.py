"""Adding up what the rollups gave, by fewer dimensions than they gave it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from billing.selectors.costs import Costs
from billing.selectors.quantities import Quantities, sum_quantities

PICO = Decimal(1).scaleb(-12)
Group = tuple[str, ...]
Groups = Mapping[Group, Quantities]


def sum_by(costs: Costs, choose: Callable[[Group], Group | None] = lambda group: group) -> Groups:
    """The rows added up by what `choose` makes of their group; None leaves a row out."""
    return sum_groups((choose(row.group), row.quantities) for row in costs.rows)


def sum_groups(rows: Iterable[tuple[Group | None, Quantities]]) -> Groups:
    """The quantities added up by group; None leaves a row out."""
    parts: dict[Group, list[Quantities]] = defaultdict(list)
    for group, quantities in rows:
        if group is not None:
            parts[group].append(quantities)
    return {group: some[0] if len(some) == 1 else sum_quantities(some) for group, some in parts.items()}


def get_known_cost(quantities: Quantities) -> Decimal | None:
    """What the calls cost; None where only unpriced ones could have cost something: unknown, not zero."""
    if quantities.unpriced_calls and not quantities.billed_cost:
        return None
    return quantities.billed_cost


def get_cost_per_call(quantities: Quantities) -> Decimal | None:
    """The mean of the calls that have a price, to the ledger's twelve decimals; None of none."""
    if quantities.priced_calls <= 0:
        return None
    return (quantities.billed_cost / quantities.priced_calls).quantize(PICO)


def count_input(quantities: Quantities) -> int:
    """Input tokens of every bucket, cached ones included."""
    return (
        quantities.input_tokens
        + quantities.cache_read_tokens
        + quantities.cache_write_tokens
        + quantities.cache_write_1h_tokens
    )


def get_share(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    """A percentage; None of nothing."""
    return Decimal(part) * 100 / Decimal(whole) if whole else None
