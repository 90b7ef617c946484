"""The price lists in force at a moment, as a tenant is priced by them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from billing.models import RateAct, RateVersion

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


@dataclass(frozen=True, slots=True)
class ActInfo:
    """What somebody did to a rate; entry_id: the act in the operator's ledger."""

    act: str
    actor: str
    comment: str
    acted_at: datetime
    entry_id: str


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """A rate version in any state, with its history. effective_from: None where it is in force at no time any more."""

    id: int
    state: str
    tenant_id: int  # 0: every tenant
    origin: str
    content: Mapping[str, Any]
    content_hash: str
    effective_from: datetime | None
    effective_to: datetime | None
    created_by: str
    submitted_by: str
    approved_by: str
    published_at: datetime | None
    acts: tuple[ActInfo, ...] = field(repr=False)


def get_rate_version(rate_id: int) -> VersionInfo | None:
    """The version of this id; whose it may be told to is the door's to decide."""
    version = RateVersion.objects.filter(pk=rate_id).first()
    return _describe_version(version) if version else None


def list_rate_versions(*, state: str, after_id: int = 0, limit: int = 100) -> list[VersionInfo]:
    """Versions in a state, by id: an operator's to ask."""
    rows = RateVersion.objects.filter(state=state, id__gt=after_id).order_by("id")[:limit]
    return [_describe_version(version) for version in rows]


def _describe_version(version: RateVersion) -> VersionInfo:
    acts = RateAct.objects.filter(rate_version_id=version.pk).order_by("id")
    return VersionInfo(
        id=version.pk,
        state=version.state,
        tenant_id=version.tenant_id,
        origin=version.origin,
        content=version.document,
        content_hash=bytes(version.content_hash).hex(),
        effective_from=version.effective.lower,
        effective_to=version.effective.upper,
        created_by=version.created_by,
        submitted_by=version.submitted_by,
        approved_by=version.approved_by,
        published_at=version.published_at,
        acts=tuple(ActInfo(act.act, act.actor, act.comment, act.acted_at, act.entry_id) for act in acts),
    )
