import json
from datetime import UTC, datetime

import pytest

from billing.core.rate_documents import read_rates
from billing.rates import forget_rate_book, publish_rates
from tests.api.conftest import Machine
from tests.factories import RATES_DOCUMENT, make_key, make_wire_event

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
def publish(db):
    def publish_rate(**fields):
        (rate,) = RATES_DOCUMENT["rates"]
        document = {"rates": [rate | {"provider": "reading"} | fields]}
        publish_rates(read_rates(document), origin="file", created_by="one", approved_by="another", now=NOW)

    yield publish_rate
    forget_rate_book()


def ask(machine, **query):
    response = machine.get("/v1/rates", {"provider": "reading"} | query)
    assert response.status_code == 200, response.content
    return response.json()


def test_the_rate_card_is_of_its_moment(machine, publish):
    publish(effective_from="2025-01-01T00:00:00Z")
    dearer = {"input": {"price": "5", "per": 1_000_000}, "output": {"price": "20", "per": 1_000_000}}
    publish(effective_from="2026-01-01T00:00:00Z", meters=dearer)
    prices = {
        at: [rate["meters"]["input"]["price"] for rate in ask(machine, at=at)["rates"]]
        for at in ("2024-12-31T23:59:59Z", "2025-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z")
    }
    assert list(prices.values()) == [[], ["2.5"], ["2.5"], ["5"]]
    assert ask(machine)["rates"][0]["meters"]["input"]["price"] == "5"  # now


def test_what_is_given_can_be_imported_again(machine, publish):
    publish(effective_from="2025-01-01T00:00:00Z")
    answer = ask(machine)
    (document,) = read_rates({"rates": answer["rates"]})
    assert answer["versions"][0]["content_hash"] == document.content_hash.hex()
    assert answer["rates"][0]["effective_from"] == "2025-01-01T00:00:00.000000Z"


def test_a_price_agreed_with_a_tenant_is_told_to_that_tenant_alone(acme, machine, stranger, operator, publish):
    publish(effective_from="2025-01-01T00:00:00Z")
    publish(effective_from="2025-01-01T00:00:00Z", tenant=acme.slug)
    assert len(ask(machine)["rates"]) == 2
    assert [rate.get("tenant") for rate in ask(stranger)["rates"]] == [None]
    assert len(operator.get("/v1/rates?provider=reading", **{"X-Tenant": acme.slug}).json()["rates"]) == 2


def test_pages_follow_each_other(machine, publish):
    for number in range(3):
        publish(effective_from="2025-01-01T00:00:00Z", model=f"model-{number}")
    first = ask(machine, limit=2)
    rest = ask(machine, limit=2, cursor=first["next"])
    assert [rate["model"] for rate in first["rates"] + rest["rates"]] == ["model-0", "model-1", "model-2"]
    assert rest["next"] is None
    assert [rate["model"] for rate in ask(machine, model="model-1")["rates"]] == ["model-1"]


def test_any_live_key_may_know_the_prices(acme):
    assert Machine(make_key(acme, "ingest")).get("/v1/rates").status_code == 200
    assert Machine().get("/v1/rates").status_code == 401
    assert Machine(make_key(acme, "ingest")).get("/v1/rates?at=today").status_code == 422


def test_a_request_of_calls_at_a_price_that_is_a_slip_is_booked(machine, publish):
    """A thousand tokens at 99,999 USD each, and at a million: what all of them cost together must be kept too."""
    publish(model="slip", meters={"input": {"price": "99999", "per": 1}})
    publish(model="absurd", meters={"input": {"price": "999999999", "per": 1}})
    events = [
        make_wire_event(provider="reading", model=model, usage={"input_tokens": 1_000})
        for model in ("slip", "absurd", "absurd", "absurd")
    ]
    answer = machine.post("/v1/events", json.dumps(events)).json()
    assert (answer["accepted"], answer["unpriced"]) == (4, 3)
