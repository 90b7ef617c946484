"""An October of every kind of row: prices that change, tiers, parts, minimums, fees, corrections, calls unpriced."""

from datetime import UTC, datetime
from decimal import Decimal

from billing.core.rate_documents import read_rates
from billing.ingestion import ingest_events
from billing.models import RateVersion
from billing.month_fees import book_daily_fees, book_month_fees
from billing.rates import publish_rates
from billing.reratings import start_rerating, work_job
from tests.factories import make_event

NOW = datetime(2026, 11, 22, 12, 0, 0, 123_456, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC).date()
MILLION = 1_000_000


def write_rate(model, meters, *, start="2026-01-01T00:00:00Z", **fields):
    """A rate of the provider `mill`; meters: price, or a meter's object."""
    priced = {
        name: {"per": MILLION} | (each if isinstance(each, dict) else {"price": each}) for name, each in meters.items()
    }
    return {
        "provider": "mill", "model": model, "currency": "USD", "effective_from": start, "meters": priced,
        "source": {"name": "a contract"},
    } | fields  # fmt: skip


def publish(*rates, now=NOW):
    publish_rates(read_rates({"rates": list(rates)}), origin="custom", created_by="ann", approved_by="bob", now=now)


def list_rates(tenant):
    """Every way of charging that a price list has."""
    return [
        write_rate("plain", {"input": "2.5", "cache_read": "1.25", "cache_write": "3.125", "output": "10"}),
        write_rate("plain", {"input": "2", "cache_read": "1", "output": "8"}, start="2026-10-16T00:00:00Z"),
        write_rate("agreed", {"input": {"price": "2", "list_price": "2.5"}, "output": "8"}),
        write_rate("thinker", {"input": "1", "output": "4", "reasoning": "6"}),
        write_rate("batcher", {"input": "1.25", "output": "5"}, service_tier="batch"),
        write_rate(
            "tiered", {"input": "1", "output": "4"},
            context_tiers=[{"input_tokens": 1000, "compare": ">", "scope": "request",
                            "meters": {"input": {"price": "2", "per": MILLION}}}],
        ),
        write_rate(
            "marginal", {"input": "1", "output": "4"},
            context_tiers=[{"input_tokens": 1000, "compare": ">", "scope": "marginal",
                            "meters": {"input": {"price": "2", "per": MILLION}}}],
        ),
        write_rate("ear", {"audio_second": {"price": "0.04", "per": 3600, "minimum_per_call": 10}}),
        write_rate("gpu", {"gpu_second": {"price": "1", "per": 3600}, "request": {"price": "0.001", "per": 1}}),
        write_rate("painter", {"image": {"price": "0.04", "per": 1}, "input": "5"}),
        write_rate("ladder", {"output": {"price": "10", "quantity_tiers": [
            {"above": 1000, "scope": "graduated", "price": "8"}]}}),
        write_rate("cluster", {"input": "1"}, tenant=tenant.slug, daily_fee="240",
                   effective_to="2026-10-04T00:00:00Z", start="2026-10-01T00:00:00Z"),
        {"provider": "mill", "model": "router", "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
         "price_from": "reported_cost", "source": {"name": "the router bills what it reports"}},
    ]  # fmt: skip


def at(day, hour=12):
    return datetime(2026, 10, day, hour, 0, tzinfo=UTC)


def list_events(provider):
    """Two calls of each at least; the days are those of October in UTC."""
    call = {"provider": provider, "time": at(5), "feature": "summarizer", "cost_center": "retail"}
    used = {"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300}
    texts = {"input_tokens": 400, "output_tokens": 200}
    variants = [
        {"model": "plain", "usage": used},
        {"model": "plain", "usage": used, "time": at(20)},
        {"model": "plain", "usage": used | {"cache_write_tokens": 100}, "environment": "staging"},
        {"model": "plain", "usage": used, "cache_hit": True},
        {"model": "plain", "usage": {}, "status": "error"},
        {"model": "agreed", "usage": texts, "cost_center": ""},
        {"model": "thinker", "usage": texts | {"reasoning_tokens": 150}, "feature": ""},
        {"model": "batcher", "usage": texts, "service_tier": "batch", "region": "eu"},
        {"model": "batcher", "usage": texts},
        {"model": "tiered", "usage": {"input_tokens": 1500, "output_tokens": 10}},
        {"model": "tiered", "usage": {"input_tokens": 500, "output_tokens": 10}},
        {"model": "marginal", "usage": {"input_tokens": 1500, "output_tokens": 10}},
        {"model": "marginal", "usage": {"input_tokens": 333, "output_tokens": 10}},
        {"model": "ear", "usage": {"audio_seconds": Decimal("3.7")}},
        {"model": "ear", "usage": {"audio_seconds": Decimal("12.25")}},
        {"model": "gpu", "usage": {"gpu_seconds": Decimal("1.1")}},
        {"model": "gpu", "usage": {"gpu_seconds": 7, "requests": 3}},
        {"model": "gpu", "usage": {}, "status": "error"},
        {"model": "painter", "usage": {"images": 2, "input_tokens": 50}},
        {"model": "ladder", "usage": {"output_tokens": 900}},
        {"model": "cluster", "usage": {"input_tokens": 1}, "time": at(2)},
        {"model": "router", "usage": texts, "reported_cost": Decimal("0.00123")},
        {"model": "unheard-of", "usage": texts},
        {"model": "plain", "usage": used, "feature": "=cmd|' /C calc'!A0", "cost_center": "+1"},
        {"model": "plain", "usage": used, "feature": 'quoted "words", and\nlines', "environment": "development"},
        {"model": "plain", "usage": used, "feature": "検索 Ελληνικά"},
        {"model": "plain", "usage": used, "time": datetime(2026, 10, 31, 23, 59, 59, 999999, tzinfo=UTC)},
        {"model": "plain", "usage": used, "time": datetime(2026, 10, 1, tzinfo=UTC)},
    ]
    events = [make_event(**call | variant) for variant in variants for _ in range(2)]
    outside = [datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)]
    return events + [make_event(**call | {"model": "plain", "usage": used, "time": time}) for time in outside]


def book(tenant, events, now=NOW):
    receipt = ingest_events(tenant_id=tenant.id, api_key_id="testkey", events=list(enumerate(events)), now=now)
    assert not [item for item in receipt.results if item.status != "accepted"]
    return receipt


def book_october(tenant, *, provider="mill"):
    """The month, booked and then corrected: the fees of tiers and days, and a price that was published late.

    provider: one of the tenant's own where rates stay, for what came late to one would be in time for the next.
    """
    publish(*(rate | {"provider": provider} for rate in list_rates(tenant)))
    book(tenant, list_events(provider))
    book_month_fees(now=NOW)
    book_daily_fees(now=NOW)
    for model, meters in (
        ("tiered", {"input": "0.5", "output": "2"}),
        ("unheard-of", {"input": "0.3", "output": "0.7"}),
    ):
        publish(write_rate(model, meters, start="2026-10-02T00:00:00Z", provider=provider))
        version = RateVersion.objects.filter(provider=provider, model=model, state="published").latest("effective")
        job_id = start_rerating(version.pk, reason=f"the price of {model} came late", requested_by="bob", now=NOW)
        while work_job(job_id, now=NOW, using="default"):
            pass
