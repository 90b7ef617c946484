"""Rate books for tests, made of documents as a person writes them."""

from collections.abc import Iterable
from typing import Any

from billing.core.price_lists import PublishedRate
from billing.core.rate_documents import RateDocument, canonical_json, read_rates
from billing.core.rates import RateBook

MILLION = 1_000_000


def make_rate(**fields: Any) -> dict[str, Any]:
    """GPT-4o's list: 2.50 in, 1.25 cached, 10.00 out, USD a million tokens; `fields` replace, `...` leaves out."""
    rate = {
        "provider": "openai",
        "model": "gpt-4o",
        "match": "exact",
        "currency": "USD",
        "effective_from": "2026-01-01T00:00:00Z",
        "effective_to": None,
        "service_tier": "standard",
        "region": "",
        "meters": make_meters(input="2.5", cache_read="1.25", output="10"),
        "source": {"name": "price page", "url": "https://example.com/prices", "read_on": "2026-01-01"},
    }
    return {name: value for name, value in (rate | fields).items() if value is not ...}


def make_meters(*, per: int = MILLION, **prices: str) -> dict[str, Any]:
    """Meters by their price for a million."""
    return {name: {"price": price, "per": per} for name, price in prices.items()}


def make_rate_book(
    *rates: dict[str, Any], imported: bool = False, tenants: dict[str, int] | None = None, aliases: Any = None
) -> RateBook:
    """A book in which the rates have the numbers 1, 2, … in order."""
    return RateBook(version=1, rates=make_published(*rates, imported=imported, tenants=tenants), aliases=aliases)


def make_published(
    *rates: dict[str, Any], imported: bool = False, tenants: dict[str, int] | None = None, first: int = 1
) -> list[PublishedRate]:
    documents = [read_rates({"rates": [rate]})[0] for rate in rates]
    return number_documents(documents, imported=imported, tenants=tenants, first=first)


def number_documents(
    documents: Iterable[RateDocument],
    *,
    imported: bool = False,
    tenants: dict[str, int] | None = None,
    first: int = 1,
) -> list[PublishedRate]:
    """The documents as if they were published, without a database."""
    return [
        PublishedRate(
            rate_version_id=number,
            provider=document.content["provider"],
            model=document.content["model"],
            match=document.content["match"],
            tenant_id=(tenants or {}).get(document.content.get("tenant", ""), 0),
            service_tier=document.content["service_tier"],
            region=document.content["region"],
            time_window=document.content.get("time_window", ""),
            imported=imported,
            effective_from=document.effective_from,
            effective_to=document.effective_to,
            content_hash=document.content_hash.hex(),
            content=canonical_json(document.content),
        )
        for number, document in enumerate(documents, first)
    ]
