"""The way of one event, from the request to the page: the table of the README as a test. Start reading here."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.test import Client

from billing.rollups import apply_batches, reconcile_rollups
from tenants.models import User
from tenants.people import create_user
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates
from tests.rows import read

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


def ask(path, key):
    answer = Client().get(path, HTTP_AUTHORIZATION=f"Bearer {key}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def total_of_today(key):
    """What GET /v1/costs says of this month, by feature."""
    now = datetime.now(UTC)
    following = now.replace(year=now.year + now.month // 12, month=now.month % 12 + 1, day=1)
    span = f"from={now:%Y-%m}-01T00:00:00Z&to={following:%Y-%m}-01T00:00:00Z"
    return ask(f"/v1/costs?{span}&granularity=month&group_by=feature", key)


def test_an_event_travels_from_the_request_to_the_page(acme):
    key = make_key(acme, "ingest,read")

    # HTTP, parse, ingest: one request, one receipt, after the commit.
    event = make_wire_event(user="u-17", cost_center="retail")
    answer = Client().post(
        "/v1/events", json.dumps(event), content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {key}"
    )
    receipt = answer.json()
    assert (answer.status_code, receipt["accepted"], receipt["unpriced"]) == (200, 1, 0)

    # Price, keep: 200 × 2.50 + 1,000 × 1.25 + 300 × 10 USD a million tokens, in disjoint buckets.
    [row] = read(acme, "SELECT input_tokens, cache_read_tokens, output_tokens, billed_cost FROM ledger_entry")
    assert row == (200, 1000, 300, Decimal("0.004750000000"))

    # The total holds it before any job has run, to the last digit.
    waiting = total_of_today(key)
    assert waiting["totals"]["billed_cost"] == "0.004750000000"
    assert read(acme, "SELECT count(*) FROM cost_hour") == [(0,)]

    # Roll up: the batch leaves the outbox as it enters its hour, and the total is what it was.
    while apply_batches(now=datetime.now(UTC)):
        pass
    assert read(acme, "SELECT calls, billed_cost FROM cost_hour") == [(1, Decimal("0.00475"))]
    rolled_up = total_of_today(key)
    assert (rolled_up["rows"], rolled_up["totals"]) == (waiting["rows"], waiting["totals"])
    assert reconcile_rollups(tenant_id=acme.id, now=datetime.now(UTC)).differences == ()

    # Explain: the row, recomputed from its rate version, and its place under the signed root.
    explained = ask(f"/v1/entries/{receipt['batch_id']}.0", key)
    assert explained["entry"]["billed_cost"] == "0.004750000000"
    assert explained["entry"]["user_ref"] != "u-17"
    assert explained["proof"]["receipt"] == receipt["receipt"]

    # Show: the tenant's own people see it, on the overview and in the ledger.
    create_user(email=f"mia@{acme.slug}.example", password="correct horse battery", role="owner", tenant_slug=acme.slug)
    browser = Client()
    browser.force_login(
        User.objects.get(email=f"mia@{acme.slug}.example"),
        backend="allauth.account.auth_backends.AuthenticationBackend",
    )
    overview = browser.get("/")
    assert overview.status_code == 200
    assert 'value="0.00475"' in overview.content.decode()
    assert "summarizer" in browser.get("/ledger").content.decode()
