"""Trying a usage: the figures are those that the ledger would book."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.utils import timezone

from billing.core.rate_documents import read_rates
from billing.core.usage import split_usage
from billing.rates import forget_rate_book, publish_rates
from billing.trials import try_usage
from ledger.selectors import EntryFilters, list_entries
from tenants.models import User
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_event, make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db(databases=["default", "reader"])


def make_luna(effective_from, *, of_input, write, read, output):
    """GPT-5.6 Luna's list: above 272,000 input tokens input prices twice, output 1.5 times."""

    def price(meters):
        return {name: {"price": str(value), "per": 1_000_000} for name, value in meters.items()}

    base = {"input": of_input, "cache_write": write, "cache_read": read, "output": output}
    base = {name: Decimal(value) for name, value in base.items()}
    long = {name: value * (Decimal("1.5") if name == "output" else 2) for name, value in base.items()}
    return {
        "provider": "openai", "model": "gpt-5.6-luna", "match": "exact", "currency": "USD",
        "effective_from": effective_from, "meters": price(base),
        "context_tiers": [{"input_tokens": 272_000, "compare": ">", "scope": "request", "meters": price(long)}],
        "source": {"name": "price page"},
    }  # fmt: skip


@pytest.fixture
def acme():
    forget_rate_book()
    publish_test_rates()
    lists = [
        make_luna("2026-01-01T00:00:00Z", of_input="1", write="1.25", read="0.1", output="6"),
        make_luna("2026-07-30T00:00:00Z", of_input="0.2", write="0.25", read="0.02", output="1.2"),
    ]
    publish_rates(
        read_rates({"rates": lists}), origin="file", created_by="one", approved_by="another", now=timezone.now()
    )
    yield make_tenant("acme")
    forget_rate_book()


LUNA = {"provider": "openai", "model": "gpt-5.6-luna"}
# 300,000 in, 100,000 of them written and 50,000 read, 10,000 out, by the long prices after the cut of 2026-07-30:
# 150,000 × 0.4 + 100,000 × 0.5 + 50,000 × 0.04 + 10,000 × 1.8 a million = 0.060 + 0.050 + 0.002 + 0.018
LONG = {"input_tokens": 300_000, "cache_write_tokens": 100_000, "cache_read_tokens": 50_000, "output_tokens": 10_000}
INPUT_ALONE = dict.fromkeys(("cache_write_tokens", "cache_read_tokens", "output_tokens"), 0)


def try_it(client, **query):
    return get_page(client, f"/rates/try?{urlencode(query, doseq=True)}")


def read_text(html):
    return " ".join(re.sub(r"<[^>]+>", "", html).split())


def test_a_typed_usage_has_every_meter_its_price_and_the_total(acme):
    html = try_it(sign_in(acme), **LUNA, **LONG, time="2026-07-31")
    [table] = read_tables(html)
    assert [[row[0], row[1], row[3], row[5], row[7]] for row in table[1:-1]] == [
        ["Input", "150,000", "0.40", "1,000,000", "0.060000000000"],
        ["Cache read", "50,000", "0.04", "1,000,000", "0.002000000000"],
        ["Cache write, 5 min", "100,000", "0.50", "1,000,000", "0.050000000000"],
        ["Output", "10,000", "1.80", "1,000,000", "0.018000000000"],
    ]
    assert table[-1][-1] == "0.130000000000"
    text = read_text(html)
    assert "tier 1: 300,000 input tokens are &gt; 272,000" in text
    assert "the difference is 0.000000000000" in text


@pytest.mark.parametrize(
    ("change", "total"),
    [
        ({"time": "2026-07-29T23:59:59Z"}, "0.650000000000"),  # before the cut: five times all of it
        ({"time": "2026-07-30 00:00"}, "0.130000000000"),
        # 272,000 is short, 272,001 is long: 0.2 or 0.4 a million
        (INPUT_ALONE | {"input_tokens": 272_000}, "0.054400000000"),
        (INPUT_ALONE | {"input_tokens": 272_001}, "0.108800400000"),
        ({"cache_hit": "on"}, "0.000000000000"),
        ({"input_tokens": "300,000"}, "0.130000000000"),
    ],
)  # fmt: skip
def test_time_thresholds_and_our_own_cache_count_as_when_booked(acme, change, total):
    html = try_it(sign_in(acme), **(LUNA | LONG | {"time": "2026-11-22"} | change))
    assert read_tables(html)[0][-1][-1] == total


def test_a_trial_is_what_the_ledger_books(acme):
    event = make_event(**LUNA, usage=LONG, time=datetime(2026, 11, 1, tzinfo=UTC))
    trial = try_usage(event=event, tenant_id=acme.id)
    book(acme, {**LUNA, "usage": LONG, "time": datetime(2026, 11, 1, tzinfo=UTC)})
    [entry] = list_entries(tenant_id=acme.id, filters=EntryFilters()).entries
    assert dict(trial.costs) == {name: entry[name] for name in trial.costs}
    assert trial.costs["billed_cost"] == Decimal("0.13")
    assert trial.explanation.rate.id == entry["rate_version_id"]
    assert event.usage == split_usage(LONG)


def test_what_has_no_price_says_why_and_what_stands_nearest(acme):
    html = try_it(sign_in(acme), provider="openai", model="gpt-5.6-luna-2026-09-01", input_tokens=1000)
    text = read_text(html)
    assert "It would be unpriced. No published rate matches this provider and model." in text
    assert "The nearest priced model is gpt-5.6-luna, its family, not this snapshot" in text
    assert "model=gpt-5.6-luna&amp;input_tokens=1000" in html
    assert "$0" not in html
    batch = read_text(try_it(sign_in(acme), **LUNA, input_tokens=1, service_tier="batch"))
    assert "none for the service tier batch" in batch
    images = read_text(try_it(sign_in(acme), **LUNA, meter=["images"], quantity=["3"]))
    assert "The model&#x27;s rate has no price for images." in images


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"input_tokens": "12"}, "provider is missing. Write it as your events do, such as openai."),
        (LUNA | {"input_tokens": "many"}, "input_tokens “many” is no number. Write digits, such as 12000."),
        (LUNA | {"input_tokens": "1.5"}, "input_tokens counts tokens: write a whole number."),
        (LUNA | {"output_tokens": "-1"}, "output_tokens must be from 0 to 1,000,000,000,000."),
        (LUNA | {"output_tokens": "NaN"}, "output_tokens must be from 0 to 1,000,000,000,000."),
        (LUNA | {"time": "yesterday"}, "time “yesterday” is no time. Write it in UTC, such as 2026-07-30 12:00."),
        (LUNA | {"input_tokens": "1", "cache_read_tokens": "2"},
         "usage cache_read_tokens 2 exceed input_tokens 1. The whole contains its parts: raise it, or lower them."),
        (LUNA | {"reported_cost": "0.0000000000001"}, "reported_cost has more than 12 decimals."),
        (LUNA | {"model": "a\0b"}, "model has at most 256 characters, none of them NUL."),
        (LUNA | {"meter": ["", "images", "images"], "quantity": ["3", "1", "2"]},
         "images stands twice. Add the quantities up."),
        (LUNA | {"meter": ["input_tokens"], "quantity": ["3"]},
         "input_tokens has a field of its own above. Write its quantity there."),
    ],
)  # fmt: skip
def test_a_mistake_is_named_at_its_field_with_its_cure(acme, query, said):
    html = try_it(sign_in(acme), **query)
    assert said in read_text(html)
    assert 'aria-invalid="true"' in html
    assert "$0" not in html


def test_a_pasted_object_leads_to_the_address_of_the_usage_that_it_says(acme):
    client = sign_in(acme)
    # Anthropic's input excludes its cache: 200 + 900 + 100 in.
    pasted = '{"model": "claude-x", "usage": {"input_tokens": 200, "cache_read_input_tokens": 900, ' \
             '"cache_creation_input_tokens": 100, "output_tokens": 300}}'  # fmt: skip
    answer = client.post("/rates/try", {"provider": "anthropic", "provider_usage": pasted})
    assert answer.status_code == 302
    assert answer["Location"] == (
        "/rates/try?provider=anthropic&model=claude-x&input_tokens=1200&cache_read_tokens=900"
        "&cache_write_tokens=100&output_tokens=300#result"
    )
    for wrong, said in (
        ("", "is empty. Paste the usage object"),
        ("{", "is no JSON"),
        ("[1]", "must be an object in braces"),
        ('{"a": 1}', ""),
        ('{"model": "\\ud800", "usage": {"input_tokens": 5, "output_tokens": 1}}', "holds escaped surrogates"),
        ('{"usage": {"input_tokens": -5, "output_tokens": 1}}', "input_tokens"),
    ):
        refused = client.post("/rates/try", {"provider": "anthropic", "provider_usage": wrong})
        assert refused.status_code == 422
        assert said in read_text(refused.content.decode())
    missing = client.post("/rates/try", {"provider_usage": pasted})
    assert "it says in whose words the object is written" in read_text(missing.content.decode())


def test_while_typing_the_answer_alone_is_sent_and_the_address_follows(acme):
    query = urlencode(LUNA | {"input_tokens": 1000, "output_tokens": "", "time": ""})
    answer = sign_in(acme).get(f"/rates/try?{query}", headers={"HX-Request": "true"})
    assert answer["HX-Replace-Url"] == "/rates/try?provider=openai&model=gpt-5.6-luna&input_tokens=1000"
    html = answer.content.decode()
    assert html.strip().startswith('<section class="stack" id="result"') and "<form" not in html
    assert "exactly 0.000200000000 USD" in read_text(html)


def test_what_is_booked_beside_the_calls_is_said_and_who_approved_is_named_to_keepers_of_rates(acme):
    keeper = sign_in(role="finance")
    number = keeper.session["_auth_user_id"]
    ladder = {"price": "0.04", "per": 1, "quantity_tiers": [{"above": 1000, "scope": "graduated", "price": "0.03"}]}
    own = {
        "provider": "acme-gpu", "model": "painter", "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
        "meters": {"image": ladder}, "daily_fee": "240", "tenant": acme.slug, "source": {"name": "our own cluster"},
    }  # fmt: skip
    publish_rates(
        read_rates({"rates": [own]}), origin="file", created_by="one", approved_by=f"person {number}",
        now=timezone.now(),
    )  # fmt: skip
    query = {"tenant": acme.slug, "provider": "acme-gpu", "model": "painter", "meter": "images", "quantity": "3"}
    text = read_text(try_it(keeper, **query))
    assert "exactly 0.120000000000 USD" in text
    assert "Images: what is above 1,000 in a month costs 0.03 USD per 1." in text
    assert "240.00 USD a day, used or not." in text
    assert f"approved by {User.objects.get(pk=number).email}" in text
    assert f"approved by person {number}" in read_text(try_it(sign_in(acme, role="owner"), **query))


def test_there_is_room_for_several_meters_while_somebody_types(acme):
    html = try_it(sign_in(acme), **LUNA, meter=["images"], quantity=["3"])
    assert html.count('name="meter"') == 3
    assert try_it(sign_in(acme), **LUNA, meter=list("abc"), quantity=list("123")).count('name="meter"') == 4


def test_the_empty_page_says_what_to_do_and_an_agreed_price_is_the_tenants_alone(acme):
    assert "Name a provider and a model and type what was used" in get_page(sign_in(acme), "/rates/try")
    globex = make_tenant("globex")
    own = make_luna("2026-08-01T00:00:00Z", of_input="0.1", write="0.1", read="0.01", output="1") | {
        "tenant": acme.slug
    }
    publish_rates(
        read_rates({"rates": [own]}), origin="file", created_by="one", approved_by="another", now=timezone.now()
    )
    usage = LUNA | {"input_tokens": 100_000}
    assert "exactly 0.010000000000" in read_text(try_it(sign_in(acme), **usage))
    assert "exactly 0.020000000000" in read_text(try_it(sign_in(globex), **usage))
