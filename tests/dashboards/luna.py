"""The price cut of 2026-07-30 (USD per million tokens), as the pages that tell of changes are tested by it.

A long call has 300,000 tokens in, of which 100,000 are written to a cache and 50,000 read from it, and 10,000 out.
Above 272,000 tokens input prices double and the output's is half as much again, so it costs
150,000 × 2 + 100,000 × 2.50 + 50,000 × 0.20 + 10,000 × 9 USD a million = 0.65 before the cut and
150,000 × 0.40 + 100,000 × 0.50 + 50,000 × 0.04 + 10,000 × 1.80 = 0.13 after it.
"""

from datetime import UTC, datetime
from decimal import Decimal

from django.utils import timezone

from billing.core.rate_documents import read_rates
from billing.rates import approve_rate, draft_rate, publish_rates, submit_rate
from billing.reratings import work_job

MODEL = "gpt-5.6-luna"
CUT = datetime(2026, 7, 30, tzinfo=UTC)
LONG_USAGE = {
    "input_tokens": 300_000, "cache_write_tokens": 100_000, "cache_read_tokens": 50_000, "output_tokens": 10_000,
}  # fmt: skip
BEFORE, AFTER = ("1", "1.25", "0.1", "6"), ("0.2", "0.25", "0.02", "1.2")


def write_list(prices, start, **fields):
    """Luna's list with these prices of input, cache write, cache read and output, as a document."""
    names = ("input", "cache_write", "cache_read", "output")
    factors = (2, 2, 2, Decimal("1.5"))
    meters = {name: {"price": price, "per": 1_000_000} for name, price in zip(names, prices, strict=True)}
    dear = {
        name: {"price": format((Decimal(price) * factor).normalize(), "f"), "per": 1_000_000}
        for name, price, factor in zip(names, prices, factors, strict=True)
    }
    rate = {
        "provider": "openai", "model": MODEL, "currency": "USD", "effective_from": start.isoformat(), "meters": meters,
        "context_tiers": [{"input_tokens": 272_000, "compare": ">", "scope": "request", "meters": dear}],
        "source": {"name": "price page"},
    }  # fmt: skip
    (document,) = read_rates({"rates": [rate | fields]})
    return document


def publish_before():
    """Luna as it cost before the cut, since the beginning of the year."""
    document = write_list(BEFORE, datetime(2026, 1, 1, tzinfo=UTC))
    publish_rates([document], origin="custom", created_by="ann", approved_by="bob", now=timezone.now())


def draft(document, *, author="ann"):
    return draft_rate(document, author=author, now=timezone.now())


def publish(document):
    """By two people; the version's id."""
    rate_id = draft(document)
    submit_rate(rate_id, actor="ann", now=timezone.now(), confirmed=["replaces"])
    approve_rate(rate_id, actor="bob", now=timezone.now())
    return rate_id


def work(job_id, *, pages=1000):
    """As the worker does, to the end or for some pages."""
    for _ in range(pages):
        if not work_job(job_id, now=timezone.now(), using="default"):
            break
