"""A document looked at before anybody publishes it: what is wrong, what to ask, and how it differs from what is in
force. It writes nothing and locks nothing; a form asks it while it is filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from billing.core.price_lists import ALWAYS
from billing.core.rate_checks import Finding, PriceDiff, check_rate, diff_prices
from billing.core.rate_documents import RateDocument
from billing.core.rate_plans import Version
from billing.models import RateVersion
from billing.rates.book import IMPORTED, load_rate_book
from billing.rates.changes import Conditions
from billing.rates.publication import Publication, find_priced


@dataclass(frozen=True, slots=True)
class Examination:
    """`in_force_id` is the version that the prices are compared with: what prices such calls where this one begins."""

    findings: tuple[Finding, ...]
    prices: tuple[PriceDiff, ...]
    in_force_id: int | None


def examine_rate(
    document: RateDocument, *, origin: str = "custom", now: datetime, rate_id: int | None = None
) -> Examination:
    """Findings on a document and its price list beside the one in force.

    rate_id: of the draft that holds it, where one does. Raises RatesRefused for a tenant that is not known; what
    `read_rates` refuses never comes here (`billing.core.rate_checks.describe_problems`).
    """
    publication = Publication([document], origin=origin, now=now, draft_id=rate_id)
    key = publication.key(document)
    in_force = _find_in_force(key, document.effective_from, origin=origin)
    content: Mapping[str, Any] | None = in_force.document if in_force else None
    findings = check_rate(
        document,
        versions=publication.versions.get(key, []),
        in_force=content,
        beside=_list_beside(key, origin=origin),
        ties=publication.find_ties(),
    )
    return Examination(
        findings=tuple(findings),
        prices=tuple(diff_prices(content, document.content)),
        in_force_id=in_force.pk if in_force else None,
    )


def _find_in_force(key: Conditions, at: datetime, *, origin: str) -> RateVersion | None:
    """Of the published versions for the same name and conditions the one that wins where a document begins: the
    tenant's own, else the deployment's own, else an imported one; else whatever prices such calls there, as a list for
    the standard tier does where the document is for every tier. An import stands beside imports alone."""
    there = _find_published(key, origin=origin).filter(effective__contains=at)
    same = max(there, key=lambda row: (row.tenant_id, row.origin != IMPORTED), default=None)
    if same is not None or origin == IMPORTED:
        return same
    return RateVersion.objects.filter(pk=find_priced(load_rate_book(), key, at)).first()


def _list_beside(key: Conditions, *, origin: str) -> list[Version]:
    """What gives way to a rate under these conditions, by time: everybody's to a tenant's, imported ones to our own."""
    found = _find_published(key, origin=origin).exclude(effective__isempty=True).order_by("effective")
    own = (key[3], origin == IMPORTED)
    return [
        Version(row.pk, row.effective.lower, row.effective.upper or ALWAYS, row.document)
        for row in found
        if (row.tenant_id, row.origin == IMPORTED) != own
    ]


def _find_published(key: Conditions, *, origin: str) -> QuerySet[RateVersion]:
    """Of this name and these conditions, for the tenant and for everybody; beside an import imports alone."""
    provider, model, match, tenant_id, service_tier, region, time_window = key
    found = RateVersion.objects.filter(
        provider=provider,
        model=model,
        match=match,
        service_tier=service_tier,
        region=region,
        time_window=time_window,
        tenant_id__in={0, tenant_id},
        state__in=("published", "superseded"),
    )
    return found.filter(origin=IMPORTED) if origin == IMPORTED else found
