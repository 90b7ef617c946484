"""What the tests of pages book: small sums that can be added up by hand.

An event of `book` has 1,200 tokens in, 1,000 of them from the cache, and 300 out: by the test rates
200 × 2.50 + 1,000 × 1.25 + 300 × 10.00 USD a million = 0.00475 USD, and 1,000 × 1.25 a million = 0.00125 saved.
"""

from datetime import UTC, datetime

from billing.ingestion import ingest_events
from tests.factories import make_event


def on(day, month=11, hour=12):
    return datetime(2026, month, day, hour, tzinfo=UTC)


def book(tenant, *events):
    """Book the events in one request; each is a dict of what differs from the usual one."""
    made = [make_event(**event) for event in events]
    receipt = ingest_events(
        tenant_id=tenant.id, api_key_id="testkey1", events=list(enumerate(made)), now=datetime.now(UTC)
    )
    assert receipt.accepted == len(events), receipt
    return receipt
