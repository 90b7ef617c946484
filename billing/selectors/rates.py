"""The price lists in force at a moment, as a tenant is priced by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from billing.models import RateVersion

EVERY_TENANT = 0


@dataclass(frozen=True, slots=True)
class RateInForce:
    """One rate version. content: its document (docs/rates.md) without the interval; content_hash: hexadecimal."""

    id: int
    effective_from: datetime
    effective_to: datetime | None
    content: Mapping[str, Any]
    content_hash: str
    origin: str
    published_at: datetime


def list_rates_in_force(
    *,
    tenant_id: int,
    at: datetime,
    providers: Sequence[str] = (),
    models: Sequence[str] = (),
    after_id: int = 0,
    limit: int = 100,
) -> list[RateInForce]:
    """The rates that price an event of `at`, by id: everybody's and the tenant's own, never another tenant's."""
    versions = RateVersion.objects.filter(
        tenant_id__in=(EVERY_TENANT, tenant_id),
        state__in=("published", "superseded"),
        effective__contains=at,
        id__gt=after_id,
    )
    if providers:
        versions = versions.filter(provider__in=providers)
    if models:
        versions = versions.filter(model__in=models)
    return [
        RateInForce(
            id=version.id,
            effective_from=version.effective.lower,
            effective_to=version.effective.upper,
            content=version.document,
            content_hash=bytes(version.content_hash).hex(),
            origin=version.origin,
            published_at=version.published_at,
        )
        for version in versions.order_by("id")[:limit]
    ]
