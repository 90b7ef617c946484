"""An entry explained: each line worked out anew from the rate's document, and compared with what is stored."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from msgspec import structs

from billing.core.pricing import price_event
from billing.core.rate_documents import read_rates
from billing.core.usage import Usage
from billing.explanations import COSTS, explain_entry, explain_reason, summarise_rate
from billing.genai_prices_import import read_genai_prices
from billing.models import RateVersion
from billing.rates import IMPORTED, load_rate_book, publish_rates
from tests.billing.core.rate_books import make_meters, make_rate
from tests.factories import NOW, make_event

pytestmark = pytest.mark.usefixtures("fresh_rate_book")

MAKER = "explained"
LONG = {"input_tokens": 200_000, "compare": ">", "scope": "request", "meters": make_meters(input="5", output="20")}


def publish(**fields):
    documents = read_rates({"rates": [make_rate(provider=MAKER, **fields)]})
    publish_rates(documents, origin="file", created_by="ann", approved_by="bob", now=NOW)


def make_entry(**fields):
    """The ledger's row of an event, as its selector gives it."""
    disjoint = fields.pop("disjoint", None)
    event = make_event(**{"provider": MAKER, "model": "gpt-4o"} | fields)
    event = structs.replace(event, usage=disjoint or event.usage)
    price = price_event(event, rate_book=load_rate_book(), tenant_id=1)
    usage = event.usage
    money = {name: getattr(price, name) for name in COSTS}
    return {
        "kind": "usage",
        "status": event.status,
        "cache_hit": event.cache_hit,
        "reported_cost": event.reported_cost,
        "pricing_status": price.status,
        "pricing_reason": price.reason,
        "rate_version_id": price.rate_version_id,
        "context_tier": price.context_tier,
        "other_usage": dict(usage.other),
        **{name: getattr(usage, name) for name in (
            "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
            "reasoning_tokens",
        )},
        **{name: None if cost is None else Decimal(cost).scaleb(-12) for name, cost in money.items()},
    }  # fmt: skip


def test_every_line_says_what_was_multiplied(db):
    publish(meters=make_meters(input="2.5", cache_read="1.25", output="10", reasoning="3") | {
        "search": {"price": "10", "per": 1_000, "list_price": "12", "note": "negotiated"},
        "audio_second": {"price": "0.111", "per": 3_600},
    })  # fmt: skip
    entry = make_entry(usage={"input_tokens": 1_200, "cache_read_tokens": 1_000, "output_tokens": 300,
                              "reasoning_tokens": 120, "searches": 3, "audio_seconds": Decimal("1.5")})  # fmt: skip
    explained = explain_entry(entry=entry)
    lines = [(line.usage, line.meter, line.formula, line.cost, line.column) for line in explained.lines]
    assert lines == [
        ("input_tokens", "input", "200 × 2.5 / 1,000,000", Decimal("0.0005"), "input_cost"),
        ("cache_read_tokens", "cache_read", "1,000 × 1.25 / 1,000,000", Decimal("0.00125"), "cache_read_cost"),
        ("output_tokens", "output", "180 × 10 / 1,000,000", Decimal("0.0018"), "output_cost"),
        ("reasoning_tokens", "reasoning", "120 × 3 / 1,000,000", Decimal("0.00036"), "output_cost"),
        ("audio_seconds", "audio_second", "1.5 × 0.111 / 3,600", Decimal("0.00004625"), "other_cost"),
        ("searches", "search", "3 × 10 / 1,000", Decimal("0.03"), "other_cost"),
    ]
    assert explained.total == explained.stored == Decimal("0.03395625")
    assert explained.difference == 0
    assert explained.agrees
    assert explained.recomputed["list_cost"] == Decimal("0.03995625")
    assert explained.recomputed["saved_cost"] == Decimal("0.00125")
    assert explained.lines[-1].note == "negotiated"
    assert explained.formula == "quantity × price / per"
    assert explained.rounding == "each meter half-even at 12 decimals"


def test_the_rate_is_summarised_with_its_source_and_who_approved_it(db):
    publish(time_window="11:00-13:00", region="eu")
    rate = explain_entry(entry=make_entry(region="eu")).rate
    assert (rate.name, rate.match, rate.conditions) == (
        f"{MAKER} gpt-4o",
        "exact",
        "standard, region eu, 11:00-13:00 UTC",
    )
    assert rate.source == {"name": "price page", "url": "https://example.com/prices", "read_on": "2026-01-01"}
    assert (rate.created_by, rate.approved_by, rate.published_at) == ("ann", "bob", NOW)
    assert (rate.effective_from, rate.effective_to) == (datetime(2026, 1, 1, tzinfo=UTC), None)
    assert rate.is_intact
    assert len(rate.content_hash) == 64


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (200_000, "base prices: 200,000 input tokens are not > 200,000"),
        (200_001, "tier 1: 200,001 input tokens are > 200,000"),
    ],
)
def test_the_context_tier_is_told_in_words(db, tokens, words):
    publish(context_tiers=[LONG])
    explained = explain_entry(entry=make_entry(usage={"input_tokens": tokens}))
    assert explained.tier == words
    assert explained.agrees


def test_a_marginal_tier_shows_each_part(db):
    publish(context_tiers=[LONG | {"scope": "marginal", "input_tokens": 100}])
    entry = make_entry(usage={"input_tokens": 150})
    explained = explain_entry(entry=entry)
    assert [(line.formula, line.note) for line in explained.lines] == [
        ("100 × 2.5 / 1,000,000", ""),
        ("50 × 5 / 1,000,000", "tier 1"),
    ]
    assert explained.context_tier == entry["context_tier"] == 1
    assert explained.agrees


def test_a_stored_cost_that_is_not_what_the_rate_says_is_a_difference(db):
    publish()
    entry = make_entry(usage={"input_tokens": 2})
    explained = explain_entry(entry=entry | {"billed_cost": Decimal("0.000006"), "input_cost": Decimal("0.000006")})
    assert explained.difference == Decimal("0.000001")
    assert explained.differences["input_cost"] == Decimal("0.000001")
    assert explained.differences["output_cost"] == 0
    assert not explained.agrees


def test_a_meter_that_the_list_does_not_price_is_told_in_words_and_is_a_difference(db):
    publish(meters=make_meters(input="2", output="8"))
    entry = make_entry(disjoint=Usage(input_tokens=1_000_000))
    explained = explain_entry(entry=entry | {"cache_read_tokens": 500})
    _, line = explained.lines
    assert (line.usage, line.quantity, line.cost, line.note) == (
        "cache_read_tokens", 500, 0, "the price list has no price for this"
    )  # fmt: skip
    assert explained.differences["saved_cost"] == Decimal("-0.001") and not explained.agrees


def test_a_document_that_was_changed_behind_our_back_is_not_intact(db):
    publish()
    version = RateVersion.objects.get(provider=MAKER)
    assert summarise_rate(version).is_intact
    version.document["source"]["name"] = "another page"
    assert not summarise_rate(version).is_intact


def test_a_response_from_the_cache_shows_what_it_would_have_cost(db):
    publish()
    explained = explain_entry(entry=make_entry(cache_hit=True, usage={"input_tokens": 1_000_000}))
    assert [line.cost for line in explained.lines] == [Decimal("2.5")]
    assert (explained.total, explained.recomputed["saved_cost"]) == (0, Decimal("2.5"))
    assert explained.agrees


def test_a_reported_cost_is_shown_as_such(db):
    publish(price_from="reported_cost", meters=...)
    explained = explain_entry(entry=make_entry(reported_cost=Decimal("0.0123")))
    assert (explained.status, explained.total, explained.agrees) == ("reported", Decimal("0.0123"), True)
    assert explained.lines[0].formula == "as the provider reported it"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": "unheard-of"}, "No published rate matches this provider and model."),
        ({"service_tier": "priority"}, "The model has rates, but none for the service tier priority."),
        ({"usage": {"images": 1}}, "The model's rate has no price for images."),
        ({"time": datetime(2020, 1, 1, tzinfo=UTC)},
         "Rates match this model, but none was in force at the time of the call."),
    ],
)  # fmt: skip
def test_an_unpriced_entry_says_why_in_a_sentence(db, fields, reason):
    publish()
    explained = explain_entry(entry=make_entry(**fields))
    assert (explained.status, explained.reason, explained.total, explained.difference) == (
        "unpriced",
        reason,
        None,
        None,
    )
    assert explained.agrees


def test_a_failed_call_without_usage_explains_its_zero(db):
    explained = explain_entry(entry=make_entry(status="error", usage={}, model="unheard-of"))
    assert explained.reason == "The call failed and used nothing, so it costs nothing."
    assert (explained.total, explained.difference, explained.agrees) == (0, 0, True)


def test_a_reason_that_nobody_foresaw_is_still_told():
    assert explain_reason("") == ""
    assert explain_reason("moon_in_the_wrong_house") == "moon in the wrong house"


def test_the_second_arithmetic_agrees_with_the_engine_on_the_whole_library(db):
    chance = random.Random(6)
    exact = [each for each in read_genai_prices().documents if each.content["match"] == "exact"]
    sampled = chance.sample(exact, 300)
    names = {document.conditions[:2] for document in sampled}
    wanted = [document for document in exact if document.conditions[:2] in names]
    publish_rates(wanted, origin=IMPORTED, created_by="ann", approved_by="bob", now=NOW)
    seen = set()
    for document in sampled:
        prompt, output = chance.choice((0, 9, 1_000, 200_001, 300_000)), chance.randint(0, 999)
        read = chance.randint(0, prompt)
        other = chance.choice(({}, {"searches": 2}, {"audio_input_tokens": 7, "image_output_tokens": 2}))
        writes = (chance.randint(0, 9), chance.randint(0, 9))
        begin = max(document.effective_from, datetime(2026, 1, 1, tzinfo=UTC))
        entry = make_entry(
            provider=document.content["provider"],
            model=document.content["model"],
            service_tier=document.content["service_tier"],
            time=begin + timedelta(hours=chance.randint(0, 900)),
            disjoint=Usage(prompt - read, read, *writes, output, chance.randint(0, output), other),
        )
        explained = explain_entry(entry=entry)
        assert explained.agrees, (document.content["provider"], document.content["model"], explained.differences)
        assert explained.context_tier == entry["context_tier"]
        seen.add(entry["pricing_status"])
    assert seen == {"priced", "unpriced"}
