"""What a month's quantity costs by a meter's quantity tiers. Pure; `docs/rates.md` states the rules.

Nothing used costs nothing, whatever flat amounts the tiers have: without a call there is no entry that a difference
could belong to. What is owed without use is a daily fee.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

from ledger.core.entries import PICO


def cost_month(meter: Mapping[str, Any], quantity: Decimal) -> int:
    """pico-USD of `quantity` units used in one month, rounded half-even once.

    >>> meter = {"price": "2", "per": 1, "quantity_tiers": [{"above": 10, "scope": "graduated", "price": "1"}]}
    >>> cost_month(meter, Decimal(12)) // PICO
    22
    """
    if quantity <= 0:
        return 0
    used = Fraction(quantity)
    tiers = meter["quantity_tiers"]
    reached = [tier for tier in tiers if used > Fraction(str(tier["above"]))]
    base = _unit_price(meter)
    if tiers[0]["scope"] == "volume":
        cost = _cost_units(used, reached[-1], meter) + _flat(reached[-1]) if reached else used * base
    else:
        cost = _cost_parts(used, reached, meter)
    return round(cost * PICO)


def cost_at_once(meter: Mapping[str, Any], quantity: Decimal) -> int:
    """pico-USD of the same units at the meter's own price: what their events were booked at."""
    return round(Fraction(quantity) * _unit_price(meter) * PICO)


def _unit_price(priced: Mapping[str, Any]) -> Fraction:
    return Fraction(priced["price"]) / int(priced["per"])


def _cost_parts(used: Fraction, reached: Sequence[Mapping[str, Any]], meter: Mapping[str, Any]) -> Fraction:
    """Each part of the quantity by its own tier, and the flat amount of every tier that was entered."""
    starts = [Fraction(str(tier["above"])) for tier in reached]
    first = starts[0] if starts else used
    cost = min(used, first) * _unit_price(meter)
    for tier, start, end in zip(reached, starts, [*starts, used][1:], strict=True):
        cost += _cost_units(end - start, tier, meter) + _flat(tier)
    return cost


def _cost_units(units: Fraction, tier: Mapping[str, Any], meter: Mapping[str, Any]) -> Fraction:
    """Units at a tier's price; of packages each one that was begun."""
    price = Fraction(tier["price"])
    if "size" in tier:
        return ceil(units / int(tier["size"])) * price
    return units * price / int(meter["per"])


def _flat(tier: Mapping[str, Any]) -> Fraction:
    return Fraction(tier.get("flat", "0"))
