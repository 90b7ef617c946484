"""What cost per order, document or seat: of the days that say how many there were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from billing.drivers import KeptDriver, list_drivers
from billing.selectors import Quantities
from billing.selectors.groups import get_known_cost
from dashboards.core.spreads import PICO, Spread, measure_spread
from dashboards.showback.question import Question

NOTHING = Quantities()


@dataclass(frozen=True, slots=True)
class DriverDay:
    """One day of a driver. quantity: None where the day has none; cost: None where it is not known.

    per_unit: None where there is nothing to divide.
    """

    day: date
    quantity: Decimal | None
    cost: Decimal | None
    per_unit: Decimal | None


@dataclass(frozen=True, slots=True)
class DriverCost:
    """A driver in a period. cost: of the days that have it and a price; spread: of those days, and of all as one.

    missing: days of the period without it; unknown: days with it whose cost is unknown. Neither is in any figure.
    """

    name: str
    days: Sequence[DriverDay]
    quantity: Decimal
    cost: Decimal
    spread: Spread
    known: int
    missing: int
    unknown: int


def read_driver_costs(question: Question, days: Mapping[date, Quantities]) -> list[DriverCost]:
    """Each driver that a day of the period has, by name; one statement. days: the cost that is to be divided."""
    values: dict[str, dict[date, KeptDriver]] = {}
    period = question.period
    for value in list_drivers(tenant_id=question.tenant.id, first=period.first, after=period.after):
        values.setdefault(value.name, {})[value.day] = value
    return [divide_costs(name, found, days, period.list_days()) for name, found in values.items()]


def divide_costs(
    name: str, values: Mapping[date, KeptDriver], days: Mapping[date, Quantities], period: Sequence[date]
) -> DriverCost:
    """The cost of the days that have the driver by its sum, and the same for each day."""
    made = []
    for day in period:
        value, cost = values.get(day), get_known_cost(days.get(day, NOTHING))
        if value is None or cost is None:
            made.append(DriverDay(day, value.quantity if value else None, cost, None))
            continue
        per_unit = (cost / value.quantity).quantize(PICO, ROUND_HALF_EVEN) if value.quantity else None
        made.append(DriverDay(day, value.quantity, cost, per_unit))
    known = [each for each in made if each.quantity is not None and each.cost is not None]
    cost = sum((each.cost for each in known), Decimal(0))
    quantity = sum((each.quantity for each in known), Decimal(0))
    amounts = [each.per_unit for each in made if each.per_unit is not None]
    return DriverCost(
        name=name,
        days=made,
        quantity=quantity,
        cost=cost,
        spread=measure_spread(amounts, total=cost, by=quantity),
        known=len(known),
        missing=len(period) - len(values),
        unknown=len(values) - len(known),
    )
