"""Acts on rates: told by a rate's page, proved by the operator's ledger and that of a tenant whose own price it is."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256

import msgspec

from billing.core.rate_documents import RateDocument
from billing.models import RateAct, RateVersion
from billing.rates.changes import RateChanges
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.models import OPERATOR_SLUG
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant


def record_act(
    rate: RateVersion,
    *,
    act: str,
    actor: str,
    now: datetime,
    comment: str = "",
    is_for_tenant: bool = False,
    **facts: str,
) -> None:
    """Keep an act on one rate version, in the caller's transaction: in its history and in the ledger.

    A comment is between those who keep the rates: the ledger of a tenant whose own price it is has the act without it,
    unless it is for the tenant.
    """
    told = {
        "rate": str(rate.pk),
        "provider": rate.provider,
        "model": rate.model,
        "state": rate.state,
        "content_hash": bytes(rate.content_hash).hex(),
        "effective_from": _write_time(rate.effective.lower),
        "effective_to": _write_time(rate.effective.upper),
        **facts,
    }
    said = told | {"comment": comment} if comment else told
    booked = Act(name=f"rate.{act}", actor=actor, facts=said, rate_version_id=rate.pk)
    entry_id = _book(booked, tenant_id=0, now=now, rate_version_hash=told["content_hash"])
    if rate.tenant_id and act != "commented":
        copy = msgspec.structs.replace(booked, facts=said if is_for_tenant else told)
        _book(copy, tenant_id=rate.tenant_id, now=now, rate_version_hash=told["content_hash"])
    RateAct.objects.create(
        rate_version_id=rate.pk, act=act, actor=actor, comment=comment, acted_at=now, entry_id=entry_id
    )


def record_publication(
    changes: RateChanges,
    *,
    documents: Sequence[RateDocument],
    tenant_ids: Mapping[str, int],
    origin: str,
    actor: str,
    now: datetime,
) -> str:
    """Keep that many rates were published at once: one act, which names them all by one hash; its first entry."""
    facts = {
        "origin": origin,
        "documents": str(changes.documents),
        "begins": str(changes.begins),
        "ends": str(changes.ends),
        "rate_book": str(changes.version),
        "contents_hash": _hash_contents([document.content_hash for document in documents]),
    }
    act = Act(name="rates.published", actor=actor, facts=facts)
    return _book_once(act, tenant_ids=tenant_ids.values(), now=now)


def record_many(
    rows: Sequence[RateVersion], *, act: str, actor: str, now: datetime, in_history: bool = False, **facts: str
) -> None:
    """Keep that the same was done to many rates at once, by one hash over them; in each one's history where asked."""
    if not rows:
        return
    told = {"documents": str(len(rows)), "contents_hash": _hash_contents([bytes(row.content_hash) for row in rows])}
    done = Act(name=f"rates.{act}", actor=actor, facts=facts | told)
    entry_id = _book_once(done, tenant_ids={row.tenant_id for row in rows}, now=now)
    if in_history:
        record_history([row.pk for row in rows], act=act, actor=actor, now=now, entry_id=entry_id)


def record_history(rate_ids: Sequence[int], *, act: str, actor: str, now: datetime, entry_id: str) -> None:
    """Keep an act on many rates in the history of each."""
    RateAct.objects.bulk_create(
        RateAct(rate_version_id=rate_id, act=act, actor=actor, acted_at=now, entry_id=entry_id) for rate_id in rate_ids
    )


def _book_once(act: Act, *, tenant_ids: Iterable[int], now: datetime) -> str:
    """Book the act for the operator and for each of these tenants (0: nobody); the operator's entry."""
    entry_ids = [_book(act, tenant_id=tenant_id, now=now) for tenant_id in sorted({0, *tenant_ids})]
    return entry_ids[0]


def _book(act: Act, *, tenant_id: int, now: datetime, rate_version_hash: str = "") -> str:
    """Book the act for the tenant, 0 for the operator; the entry's id."""
    owner_id = tenant_id or get_tenant(OPERATOR_SLUG).id
    with tenant_scope(owner_id):
        return book_act(tenant_id=owner_id, act=act, now=now, rate_version_hash=rate_version_hash)


def _hash_contents(hashes: Sequence[bytes]) -> str:
    """SHA-256 over the content hashes, sorted."""
    return sha256(b"".join(sorted(hashes))).hexdigest()


def _write_time(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
