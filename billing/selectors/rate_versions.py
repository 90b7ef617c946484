"""Rate versions as a person reads them: whose, when, from where, and which one prices what.

`tenant_ids` name whose prices may be told: EVERY_TENANT's are everybody's, a tenant's own are told to it alone, and
None asks for all of them, which is the operator's to ask.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from billing.core.model_names import canonical_names, canonical_provider
from billing.core.price_histories import Call, may_match
from billing.models import ModelAlias, RateVersion

EVERY_TENANT = 0
PUBLISHED = ("published", "superseded")
UNDER_WAY = ("draft", "in_review")

Alias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class RateRecord:
    """One rate version with everything that is known of it. effective_from: None where it is in force at no time."""

    id: int
    provider: str
    model: str
    match: str
    tenant_id: int
    service_tier: str
    region: str
    time_window: str
    origin: str
    effective_from: datetime | None
    effective_to: datetime | None
    content: Mapping[str, Any]
    content_hash: str
    state: str
    created_by: str
    approved_by: str
    published_at: datetime | None

    @property
    def source(self) -> Mapping[str, str]:
        """name, and url, read_on, note where they are known."""
        return self.content.get("source", {})

    def is_in_force(self, at: datetime) -> bool:
        if self.effective_from is None:
            return False
        return self.effective_from <= at and (self.effective_to is None or at < self.effective_to)


def read_rate_versions(ids: Collection[int], *, using: str = "default") -> dict[int, RateRecord]:
    """The versions of these ids, by id."""
    return {row.pk: read_record(row) for row in RateVersion.objects.using(using).filter(id__in=ids)}


def list_content_hashes(*, using: str = "default") -> dict[int, str]:
    """The hash that every version's content had when it was written, by id: what the leaves of entries name."""
    rows = RateVersion.objects.using(using).values_list("pk", "content_hash")
    return {version_id: bytes(content_hash).hex() for version_id, content_hash in rows}


def list_rate_history(
    calls: Sequence[Call], *, tenant_ids: Collection[int] | None, aliases: Mapping[Alias, Alias]
) -> list[RateRecord]:
    """Every published version whose provider and name match one of `calls`, the newest first; replaced ones last."""
    rows = _may_see(tenant_ids).filter(_want_names(calls, aliases))
    records = [read_record(row) for row in rows if _matches_any(row, calls, aliases)]
    return sorted(records, key=_sort_newest_first)


def list_rates_to_come(
    calls: Sequence[Call], *, tenant_ids: Collection[int], aliases: Mapping[Alias, Alias]
) -> list[RateRecord]:
    """Every draft and every version in review that may price one of `calls`, the newest first."""
    if not calls:
        return []
    rows = RateVersion.objects.filter(_want_names(calls, aliases), state__in=UNDER_WAY, tenant_id__in=tenant_ids)
    return [read_record(row) for row in rows.order_by("-id") if _matches_any(row, calls, aliases)]


def _want_names(calls: Sequence[Call], aliases: Mapping[Alias, Alias]) -> Q:
    wanted = Q()
    for call in calls:
        provider, spellings = canonical_names(*find_alias(aliases, call.provider, call.model))
        wanted |= Q(provider=provider) & (Q(model__in=spellings) | ~Q(match="exact"))
    return wanted


def list_coming_rates(*, after: datetime, tenant_ids: Collection[int] | None) -> list[RateRecord]:
    """The published versions that begin later."""
    rows = _may_see(tenant_ids).filter(effective__startswith__gt=after)
    return [read_record(row) for row in rows.order_by("effective", "id")]


def list_priced_names(*, at: datetime, tenant_ids: Collection[int] | None) -> list[tuple[str, str]]:
    """(provider, model) of every exact name with a price at `at`."""
    rows = _may_see(tenant_ids).filter(match="exact", effective__contains=at, document__has_key="meters")
    return sorted(set(rows.exclude(document__meters={}).values_list("provider", "model")))


def count_rates_under_way(*, tenant_ids: Collection[int] | None) -> dict[str, int]:
    """How many rates wait for their author (`draft`) and for a second person (`in_review`)."""
    rows = RateVersion.objects.filter(state__in=UNDER_WAY)
    if tenant_ids is not None:
        rows = rows.filter(tenant_id__in=tenant_ids)
    states = list(rows.values_list("state", flat=True))
    return {state: states.count(state) for state in UNDER_WAY}


def list_agreed_rate_ids() -> list[int]:
    """The versions that are somebody's own price, whosever."""
    return list(RateVersion.objects.exclude(tenant_id=EVERY_TENANT).values_list("id", flat=True))


def list_model_aliases() -> dict[Alias, Alias]:
    """(provider, model) as sent, in lower case, to the provider and model that they mean."""
    rows = ModelAlias.objects.values_list("provider", "model", "canonical_provider", "canonical_model")
    return {(provider, model): (meant_provider, meant) for provider, model, meant_provider, meant in rows}


def find_alias(aliases: Mapping[Alias, Alias], provider: str, model: str) -> Alias:
    """What a raw pair means: by an alias of its provider's own spelling, then of its id; itself where there is none."""
    name = model.strip().lower()
    for said in (provider.strip().lower(), canonical_provider(provider)):
        if meant := aliases.get((said, name)):
            return meant
    return provider, model


def _may_see(tenant_ids: Collection[int] | None) -> QuerySet[RateVersion]:
    rows = RateVersion.objects.filter(state__in=PUBLISHED)
    return rows if tenant_ids is None else rows.filter(tenant_id__in=tenant_ids)


def _matches_any(row: RateVersion, calls: Sequence[Call], aliases: Mapping[Alias, Alias]) -> bool:
    return any(
        may_match(
            call,
            provider=row.provider,
            model=row.model,
            match=row.match,
            alias=find_alias(aliases, call.provider, call.model),
        )
        for call in calls
    )


def _sort_newest_first(record: RateRecord) -> tuple[bool, float, int]:
    start = record.effective_from
    return (start is None, -start.timestamp() if start else 0.0, -record.id)


def read_record(row: RateVersion) -> RateRecord:
    """A row as other apps read it."""
    return RateRecord(
        id=row.pk,
        provider=row.provider,
        model=row.model,
        match=row.match,
        tenant_id=row.tenant_id,
        service_tier=row.service_tier,
        region=row.region,
        time_window=row.time_window,
        origin=row.origin,
        effective_from=row.effective.lower,
        effective_to=row.effective.upper,
        content=row.document,
        content_hash=bytes(row.content_hash).hex(),
        state=row.state,
        created_by=row.created_by,
        approved_by=row.approved_by,
        published_at=row.published_at,
    )
