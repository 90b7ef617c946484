"""Builders for tests: plain functions, a fresh tenant each time, because what is booked stays."""

import itertools
import os
import secrets
from datetime import UTC, datetime
from typing import Any

from billing.core.rate_documents import read_rates
from billing.core.usage import UsageEvent, split_usage
from billing.models import RateVersion
from billing.rates import publish_rates
from tenants.keys import issue_api_key
from tenants.selectors import TenantInfo
from tenants.tenants import create_tenant

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_numbers = itertools.count(1)


def make_tenant(name: str = "acme", **fields: Any) -> TenantInfo:
    """A tenant of this test alone; its slug begins with `name`."""
    return create_tenant(slug=f"{name}-{secrets.token_hex(4)}", name=name.capitalize(), **fields)


def make_key(tenant: TenantInfo, scopes: str = "ingest,read", name: str = "") -> str:
    """A key of the tenant, whole."""
    return issue_api_key(tenant_id=tenant.id, scopes=scopes.split(","), name=name, now=datetime.now(UTC))


def make_wire_event(**fields: Any) -> dict[str, Any]:
    """A JSON event that is booked as it stands: 1,200 tokens in, 1,000 of them from the cache, 300 out."""
    number = next(_numbers)
    event = {
        "id": f"req-{os.getpid()}-{number}",
        "source": "checkout",
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "usage": {"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300, "reasoning_tokens": 120},
        "feature": "summarizer",
    }
    return {name: value for name, value in (event | fields).items() if value is not ...}


def make_event(**fields: Any) -> UsageEvent:
    """The same as the engine sees it; `usage` is given as on the wire."""
    number = next(_numbers)
    usage = fields.pop("usage", {"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300})
    values: dict[str, Any] = {
        "event_id": f"event-{os.getpid()}-{number}",
        "source": "checkout",
        "time": NOW,
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "usage": split_usage(usage),
    }
    return UsageEvent(**(values | fields))


RATES_DOCUMENT = {
    "rates": [
        {
            # OpenAI's list price of gpt-4o-2024-08-06: 2.50 in, 1.25 cached, 10.00 out, USD a million tokens.
            "provider": "openai",
            "model": "gpt-4o-2024-08-06",
            "match": "exact",
            "currency": "USD",
            "effective_from": "2024-08-06T00:00:00Z",
            "effective_to": None,
            "service_tier": "standard",
            "region": "",
            "meters": {
                "input": {"price": "2.5", "per": 1_000_000},
                "cache_read": {"price": "1.25", "per": 1_000_000},
                "cache_write": {"price": "2.5", "per": 1_000_000},
                "cache_write_1h": {"price": "2.5", "per": 1_000_000},
                "output": {"price": "10", "per": 1_000_000},
            },
            "source": {"name": "price page", "url": "https://openai.com/api/pricing", "read_on": "2026-07-30"},
        }
    ]
}


def publish_test_rates() -> None:
    """Publish RATES_DOCUMENT, once: the same again changes nothing."""
    publish_rates(read_rates(RATES_DOCUMENT), origin="file", created_by="tests", approved_by="another test", now=NOW)


def name_maker(tenant: TenantInfo) -> str:
    """A provider of the test alone that does not say whose it is, for a price that everybody may read."""
    return f"maker-{tenant.slug.rpartition('-')[2]}"


def put_drafts_aside() -> None:
    """Until this test is rolled back, withdraw the drafts that others have committed."""
    RateVersion.objects.filter(state__in=("draft", "in_review")).update(state="withdrawn")
