"""POST /v1/events with a provider's own usage object: what is booked, what is refused, and what is never dropped."""

import json
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client

from tenants.scope import tenant_scope
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")
# 1,200 in, of which 1,000 cached; 300 out
OPENAI = {
    "prompt_tokens": 1200,
    "completion_tokens": 300,
    "total_tokens": 1500,
    "prompt_tokens_details": {"cached_tokens": 1000},
    "completion_tokens_details": {"reasoning_tokens": 120},
}
BOOKED = "SELECT input_tokens, cache_read_tokens, output_tokens, reasoning_tokens, other_usage, billed_cost, tags"


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def key(acme):
    return make_key(acme, "ingest")


def post(key, *bodies, **fields):
    events = [make_wire_event(usage=..., provider_usage=body, **fields) for body in bodies]
    return Client().post(
        "/v1/events", json.dumps(events), content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {key}"
    )


def read(tenant, query):
    """The rows, with their JSON read: Django hands it over as text."""
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(query)
        return [tuple(json.loads(cell) if str(cell).startswith("{") else cell for cell in row) for row in cursor]


def test_the_usage_object_and_the_whole_answer_are_booked_alike(acme, key):
    answer = {"id": "chatcmpl-9f", "object": "chat.completion", "model": "gpt-4o-2024-08-06", "created": 1764000000}
    assert post(key, OPENAI, answer | {"service_tier": "default", "usage": OPENAI}).json()["accepted"] == 2
    # 200 × 2.50 + 1,000 × 1.25 + 300 × 10 USD a million
    row = (200, 1000, 300, 120, {}, Decimal("0.004750000000"), {})
    assert read(acme, f"{BOOKED} FROM ledger_entry") == [row, row]
    assert read(acme, "SELECT response_id FROM ledger_entry ORDER BY 1") == [("",), ("chatcmpl-9f",)]


def test_the_whole_answer_sent_by_two_doors_is_one_entry(acme, key):
    answer = {"id": "chatcmpl-9f", "usage": OPENAI}
    assert post(key, answer).json()["accepted"] == 1
    assert post(key, answer).json()["duplicates"] == 1


REFUSED = [
    ({"prompt_tokens": -1, "completion_tokens": 2}, "provider_usage.prompt_tokens", "expected a number from 0"),
    ({"prompt_tokens": "12", "completion_tokens": 2}, "provider_usage.prompt_tokens", "is text: expected a number"),
    (
        {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 0.5}},
        "provider_usage.prompt_tokens_details.cached_tokens",
        "is 0.5: expected a whole number",
    ),
    (
        {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 900}},
        "provider_usage",
        "cache_read_tokens 900 exceed input_tokens 100, read as chat: name the provider that wrote it, or send `usage`",
    ),
    ({"colours": 7}, "provider_usage", "its fields are colours; send what stands at `usage`"),
]


@pytest.mark.parametrize(("body", "field", "text"), REFUSED)
def test_a_refusal_names_the_field_inside_the_object_and_the_cure(acme, key, body, field, text):
    answer = post(key, body, OPENAI)
    assert (answer.status_code, answer.json()["accepted"]) == (207, 1)
    [problem] = answer.json()["results"][0]["problems"]
    assert problem["field"] == field
    assert text in problem["detail"]


def test_fields_that_describe_are_tolerated(acme, key):
    more = {"queue_time": 0.25, "note": "new", "is_new": True, "system": {"name": "x"}, "details": None, "zero": 0}
    assert post(key, OPENAI, OPENAI | more).json()["unpriced"] == 0
    assert read(acme, "SELECT DISTINCT billed_cost, tags FROM ledger_entry") == [(Decimal("0.00475"), {})]


def test_an_unknown_part_of_a_total_is_priced_with_it_and_named_in_a_tag(acme, key):
    details = {"cached_tokens": 1000, "ocr_tokens": 40}
    assert post(key, OPENAI | {"prompt_tokens_details": details}, tags={"plan": "gold"}).json()["unpriced"] == 0
    tags = {"plan": "gold", "unread_counts": "prompt_tokens_details.ocr_tokens=40"}
    assert read(acme, f"{BOOKED} FROM ledger_entry") == [(200, 1000, 300, 120, {}, Decimal("0.00475"), tags)]


def test_an_unknown_count_beside_the_totals_makes_the_entry_unpriced_and_names_its_meter(acme, key):
    assert post(key, OPENAI | {"num_sources_used": 3}).json()["unpriced"] == 1
    assert read(acme, "SELECT other_usage, pricing_reason, billed_cost FROM ledger_entry") == [
        ({"provider_num_sources_used": 3}, "no_price_for_meter:provider_num_sources_used", None)
    ]


def test_a_tag_of_the_senders_own_wins(acme, key):
    details = {"cached_tokens": 1000, "ocr_tokens": 40}
    post(key, OPENAI | {"prompt_tokens_details": details}, tags={"unread_counts": "mine"})
    assert read(acme, "SELECT tags FROM ledger_entry") == [({"unread_counts": "mine"},)]


def test_many_unknown_parts_are_named_as_far_as_a_tag_holds_them(acme, key):
    details = {f"part_{number:03}_tokens": number for number in range(1, 60)}
    assert post(key, OPENAI | {"prompt_tokens_details": details}).json()["accepted"] == 1
    [(text,)] = read(acme, "SELECT tags ->> 'unread_counts' FROM ledger_entry")
    assert text.startswith("prompt_tokens_details.part_001_tokens=1, ")
    assert (len(text), text[-1]) == (512, "…")


def test_a_cost_that_the_provider_states_stands_beside_the_price(acme, key):
    ticks = OPENAI | {"cost_in_usd_ticks": 232_856_000}
    assert post(key, ticks).json()["unpriced"] == 0
    assert read(acme, "SELECT billed_cost, reported_cost FROM ledger_entry") == [
        (Decimal("0.00475"), Decimal("0.0232856"))
    ]


def test_the_tier_that_answered_chooses_the_price(acme, key):
    answer = {"service_tier": "priority", "usage": OPENAI}
    assert post(key, answer).json()["unpriced"] == 1
    assert read(acme, "SELECT service_tier, pricing_reason FROM ledger_entry") == [
        ("priority", "no_rate_for_service_tier:priority")
    ]


def test_globex_sees_nothing_of_it(acme, key):
    post(key, OPENAI)
    assert read(make_tenant("globex"), "SELECT count(*) FROM ledger_entry") == [(0,)]
