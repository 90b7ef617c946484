"""Every deed that comes with an act, in modules by what they are about: one that is not named here is not walked."""

from tests.architecture.deeds import (
    bookings,
    chargeback,
    exporting,
    mapping,
    periods,
    rates,
    reconciling,
    reporting,
    tenants,
    watching,
)
from tests.architecture.deeds.scenario import ME, NOW, PASSWORD, SCENARIOS

__all__ = [
    "ME",
    "NOW",
    "PASSWORD",
    "SCENARIOS",
    "bookings",
    "chargeback",
    "exporting",
    "mapping",
    "periods",
    "rates",
    "reconciling",
    "reporting",
    "tenants",
    "watching",
]
