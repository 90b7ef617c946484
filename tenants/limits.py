"""How much a tenant, and one of its keys, may send and ask in a second: kept beside them, read with the key."""

from collections.abc import Mapping
from typing import NamedTuple

from django.conf import settings

from tenants.models import ApiKey, Tenant
from tenants.scope import tenant_scope

RESOURCES = ("requests", "bytes", "events")
COLUMNS = {resource: f"{resource}_per_second" for resource in RESOURCES}


class Limits(NamedTuple):
    """Averages over time, a second; None where none is set. In the order of RESOURCES."""

    requests: int | None = None
    bytes: int | None = None
    events: int | None = None


class LimitRefused(ValueError):
    """A number that is no limit, or a key that the tenant does not have."""


def set_limits(*, tenant_id: int, key_id: str | None = None, changes: Mapping[str, int | None]) -> Limits:
    """Set limits of a tenant, or of one of its keys, by resource; None takes one away.

    They hold from the next request, and for events within the seconds for which `recall_api_key` believes a key.
    Returns all that are set now. Raises LimitRefused.
    """
    for resource, number in changes.items():
        if number is not None and number < 1:
            raise LimitRefused(f"{resource}: a limit is a whole number of 1 or more")
    with tenant_scope(tenant_id):
        rows = (
            Tenant.objects.filter(pk=tenant_id)
            if key_id is None
            else ApiKey.objects.filter(tenant_id=tenant_id, key_id=key_id)
        )
        if changes:
            rows.update(**{COLUMNS[resource]: number for resource, number in changes.items()})
        kept = rows.values_list(*COLUMNS.values()).first()
    if kept is None:
        raise LimitRefused(f"the tenant has no key {key_id!r}")
    return Limits(*kept)


def fill_limits(limits: Limits) -> Limits:
    """A tenant's limits, with the installation's where the tenant has none of its own."""
    return Limits(*(fill_limit(limits, place) for place in range(len(RESOURCES))))


def fill_limit(limits: Limits, place: int) -> int:
    """One of them, by its place in RESOURCES."""
    number = limits[place]
    return settings.LIMITS_PER_SECOND[RESOURCES[place]] if number is None else number
