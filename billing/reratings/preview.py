"""What a rate would change, asked before it is published: counted through the reader, and nothing is written."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from billing.core.impacts import Impact
from billing.core.price_lists import PublishedRate
from billing.core.rate_documents import RateDocument, canonical_json
from billing.models import RateVersion
from billing.rates.approval import read_document
from billing.rates.book import IMPORTED, list_aliases, list_published_rates
from billing.rates.publication import UNSAVED_RATE, Publication
from billing.reratings.pages import Subject, find_subject, list_targets, make_subject, measure_page, read_page
from ledger.calls import CallsOf, count_calls
from tenants.scope import tenant_scope

CALLS_PER_PAGE = 5_000
PROJECTED = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Preview:
    """The impact, how many calls were looked at for it, and in how many milliseconds."""

    impact: Impact
    calls: int
    duration_ms: int


def preview_rate(
    document: RateDocument,
    *,
    now: datetime,
    origin: str = "custom",
    rate_id: int | None = None,
    on_progress: Callable[[int, int], None] = lambda read, expected: None,
    using: str = "reader",
) -> Preview:
    """What publishing `document` would change of all that is booked.

    on_progress: told calls read and calls expected, after each page. rate_id: of the draft that holds it.
    Raises RatesRefused for a tenant that is not known.
    """
    began = time.monotonic()
    subject = imagine_subject(document, origin=origin, now=now, rate_id=rate_id)
    impact, read = Impact(), 0
    if subject is not None:
        targets = list_targets(subject, using=using)
        expected = count_targets(subject, targets, using=using)
        for target in targets:
            after = None
            while True:
                page = read_page(subject, target, after=after, limit=CALLS_PER_PAGE, using=using)
                impact.merge(measure_page(page, tenant_id=target[0]))
                read += page.read
                on_progress(read, max(expected, read))
                if (after := page.last) is None:
                    break
    return Preview(impact, read, round((time.monotonic() - began) * 1000))


def imagine_subject(
    document: RateDocument, *, origin: str, now: datetime, rate_id: int | None = None
) -> Subject | None:
    """The document as if it were published now; None where that would change nothing."""
    publication = Publication([document], origin=origin, now=now, draft_id=rate_id)
    return make_subject(
        publication.list_rates_afterwards(provider=document.content["provider"]),
        rate_version_id=UNSAVED_RATE if rate_id is None else rate_id,
        aliases=list_aliases(),
    )


def imagine_rate(rate_id: int, *, now: datetime) -> Subject | None:
    """A rate as if it were published now; as it is where it was."""
    row = RateVersion.objects.get(pk=rate_id)
    if row.state in ("published", "superseded"):
        return find_subject(rate_id, aliases=list_aliases())
    return imagine_subject(read_document(row), origin=row.origin, now=now, rate_id=rate_id)


def project_rate(rate_id: int, *, asked_at: datetime) -> Subject:
    """A rate, in whatever state and whenever it begins, as if it had held for the 30 days before `asked_at`."""
    row = RateVersion.objects.get(pk=rate_id)
    supposed = PublishedRate(
        rate_version_id=row.pk,
        provider=row.provider,
        model=row.model,
        match=row.match,
        tenant_id=row.tenant_id,
        service_tier=row.service_tier,
        region=row.region,
        time_window=row.time_window,
        imported=row.origin == IMPORTED,
        effective_from=asked_at - PROJECTED,
        effective_to=asked_at,
        content_hash=bytes(row.content_hash).hex(),
        content=canonical_json(row.document),
    )
    others = [rate for rate in list_published_rates(provider=row.provider) if _get_line(rate) != _get_line(supposed)]
    subject = make_subject([*others, supposed], rate_version_id=row.pk, aliases=list_aliases())
    assert subject is not None
    return replace(subject, by_month=frozenset())  # what would have cost the same is no news


def _get_line(rate: PublishedRate) -> tuple[object, ...]:
    """What one price at a time holds for."""
    return (
        rate.provider, rate.model, rate.match, rate.tenant_id, rate.service_tier, rate.region, rate.time_window,
        rate.imported,
    )  # fmt: skip


def count_targets(subject: Subject, targets: list[tuple[int, str, str]], *, using: str) -> int:
    """About how many calls there are to look at."""
    count = 0
    for tenant_id, provider, model in targets:
        with tenant_scope(tenant_id, using=using):
            count += count_calls(CallsOf(tenant_id, provider, model, subject.start, subject.end), using=using)
    return count
