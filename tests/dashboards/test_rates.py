"""The table of the rates, and one model's page."""

import csv
import io
import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.core.rate_documents import read_rates
from billing.rates import publish_rates
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import RATES_DOCUMENT, make_tenant, publish_test_rates

pytestmark = [pytest.mark.django_db(databases=["default", "reader"]), pytest.mark.usefixtures("fresh_rate_book")]


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


def publish(*changes):
    """Publish gpt-4o-2024-08-06's test list with these differences."""
    (rate,) = RATES_DOCUMENT["rates"]
    publish_rates(
        read_rates({"rates": [rate | change for change in changes]}), origin="file", created_by="maria@example.com",
        approved_by="wanda@example.com", now=timezone.now(),
    )  # fmt: skip


def in_days(days):
    return (timezone.now() + timedelta(days=days)).strftime("%Y-%m-%dT00:00:00Z")


def per_million(**prices):
    return {name: {"price": price, "per": 1_000_000} for name, price in prices.items()}


def test_each_model_in_use_has_its_prices_provenance_and_spend_and_the_unpriced_stand_first(acme):
    book(acme, *({"time": timezone.now()} for _ in range(3)), {"time": timezone.now(), "model": "gpt-4o-2024-11-20"})
    html = get_page(sign_in(acme), "/rates")
    [table] = read_tables(html)
    unpriced, priced, total = table[1:]
    assert unpriced[0] == "gpt-4o-2024-11-20 openai"
    assert unpriced[4] == "no price"
    assert unpriced[5] == (
        "No published rate matches this provider and model. nearest: gpt-4o-2024-08-06, another snapshot of gpt-4o"
    )
    # 200 × 2.50 + 1,000 × 1.25 + 300 × 10.00 USD a million
    assert unpriced[8:] == ["1 1 unpriced", "unknown about 0.00475 as the nearest"]
    assert priced == [
        "gpt-4o-2024-08-06 openai", "2.50", "1.25", "2.50", "10.00",
        "price page, read 2026-07-30 tests approved by another test, 22 Nov 2026", "6 Aug 2024", "none", "3", "0.0142",
    ]  # fmt: skip
    assert total[5] == "1 call unpriced, not in the sum about $0.00475 more as the nearest models"
    assert total[8:] == ["4", "0.0142"]
    assert '2 models in use: <b>1 priced</b>, <b class="signal">1 without a price</b>' in html


def test_a_change_is_told_before_and_after_it(acme):
    book(acme, {"time": timezone.now()})
    publish(
        {"effective_from": in_days(-3), "meters": per_million(input="2", cache_read="1", output="8")},
        {"effective_from": in_days(5), "meters": per_million(input="2", cache_read="1", output="4")},
    )
    row = read_tables(get_page(sign_in(acme), "/rates"))[0][1]
    assert row[1:5] == ["2.00", "1.00", "–", "8.00"]
    assert row[6].endswith("▼ 20.0 % less")
    assert row[7].endswith(" output 4.00")
    contained = {"audio_output": "6", "video_output": "6"}
    publish({"effective_from": in_days(5), "meters": per_million(input="3", cache_read="3", output="6", **contained)})
    row = read_tables(get_page(sign_in(acme), "/rates"))[0][1]
    assert row[7].endswith(" output 6.00, input 3.00")  # what costs what contains it says nothing of its own
    assert read_tables(get_page(sign_in(acme), "/rates?state=changing"))[0][1][0] == "gpt-4o-2024-08-06 openai"


def test_a_model_with_some_calls_unpriced_is_said_to_be(acme):
    book(acme, {"time": timezone.now()}, {"time": timezone.now(), "service_tier": "batch"})
    client = sign_in(acme)
    html = get_page(client, "/rates")
    assert "1 with some calls unpriced" in html
    assert read_tables(html)[0][1][8] == "2 1 unpriced"
    assert len(read_tables(get_page(client, "/rates?state=partly"))[0]) == 3
    assert "No model fits these filters" in get_page(client, "/rates?state=unpriced")


def test_filters_choose_rows_and_their_sum(acme):
    book(acme, {"time": timezone.now()}, {"time": timezone.now(), "provider": "acme-gpu", "model": "llama"})
    client = sign_in(acme)
    for query in ("q=LLAM", "provider=acme-gpu", "state=unpriced", "q=acme-g"):
        [table] = read_tables(get_page(client, f"/rates?{query}"))
        assert [row[0] for row in table[1:]] == ["llama acme-gpu", "These 1"], query
    [table] = read_tables(get_page(client, "/rates?source=file"))
    assert [row[0] for row in table[1:]] == ["gpt-4o-2024-08-06 openai", "These 1"]
    [table] = read_tables(get_page(client, "/rates?sort=name"))
    assert [row[0] for row in table[1:]] == ["gpt-4o-2024-08-06 openai", "llama acme-gpu", "Total"]


def test_the_search_asks_for_the_table_alone(acme):
    book(acme, {"time": timezone.now()})
    answer = sign_in(acme).get("/rates?q=gpt", headers={"HX-Request": "true"})
    html = answer.content.decode()
    assert html.strip().startswith('<div id="rates">') and "<html" not in html
    assert "1 of 1 model shown" in html


def test_csv_and_json_hold_what_is_shown_and_no_formula(acme):
    book(acme, {"time": timezone.now()}, {"time": timezone.now(), "model": "=cmd()", "provider": "+x"})
    client = sign_in(acme)
    rows = list(csv.DictReader(io.StringIO(client.get("/rates/file").content.decode())))
    assert [(row["provider"], row["model"], row["state"], row["cost"]) for row in rows] == [
        ("'+x", "'=cmd()", "unpriced", ""),
        ("openai", "gpt-4o-2024-08-06", "priced", "0.004750000000"),
        ("Total", "", "", "0.004750000000"),
    ]
    assert (rows[1]["input"], rows[1]["output"], rows[1]["calls"]) == ("2.5", "10", "1")
    document = json.loads(client.get("/rates.json?q=gpt").content)
    [rate] = document["rates"]
    assert (rate["model"], rate["cache_read"], rate["cost"]) == ("gpt-4o-2024-08-06", "1.25", "0.00475")
    assert document["total"]["cost"] == "0.00475"
    assert client.get("/rates/file?q=gpt").content.decode().count("\r\n") == 3


def test_nothing_called_is_said_and_why(acme):
    assert "No model was called in these days." in get_page(sign_in(acme), "/rates")


def count_queries(client, path):
    get_page(client, path)
    with CaptureQueriesContext(connection) as queries:
        get_page(client, path)
    return len(queries)


def test_the_number_of_queries_does_not_grow_with_the_models(acme):
    client = sign_in(acme)
    now = timezone.now()
    book(acme, {"time": now}, {"time": now, "model": "unknown"})
    one, of_model = count_queries(client, "/rates"), count_queries(client, "/rates/openai/gpt-4o-2024-08-06")
    publish(*({"model": f"gpt-{i}"} for i in range(30)), *({"effective_from": in_days(i)} for i in range(1, 9)))
    book(
        acme,
        *({"time": now, "model": f"gpt-{i}"} for i in range(30)),
        *({"time": now, "model": f"unknown-{i}"} for i in range(30)),
        *({"time": now, "feature": f"feature-{i}"} for i in range(30)),
    )
    assert count_queries(client, "/rates") == one
    assert count_queries(client, "/rates/openai/gpt-4o-2024-08-06") == of_model


# --- one model ---


def test_a_models_page_tells_its_prices_conditions_versions_and_use(acme):
    book(acme, {"time": timezone.now(), "feature": "chat"}, {"time": timezone.now(), "feature": "search"})
    long = {"input_tokens": 272_000, "compare": ">", "scope": "request",
            "meters": per_million(input="4", cache_read="2", output="12")}  # fmt: skip
    publish({
        "effective_from": in_days(-3), "meters": per_million(input="2", cache_read="1", output="8"),
        "context_tiers": [long],
    })  # fmt: skip
    assert "output 12.00 above 272,000 input tokens" in get_page(sign_in(acme), "/rates")
    html = get_page(sign_in(acme), "/rates/openai/gpt-4o-2024-08-06")
    meters, versions, features, keys = read_tables(html)
    assert meters[1:] == [
        ["Input", "2.00", "the same", "1,000,000 tokens"],
        ["Cache reads", "1.00", "the same", "1,000,000 tokens"],
        ["Output", "8.00", "the same", "1,000,000 tokens"],
    ]
    sentence = ("above 272,000 input tokens the whole request costs twice for input and cache reads, and 1.5 times for "
                "output")  # fmt: skip
    assert f"<li>A{sentence[1:]}.</li>" in html
    assert [row[2:6] for row in versions[1:]] == [["2.00", "1.00", "–", "8.00 ▼ 20.0 % less"],
                                                 ["2.50", "1.25", "2.50", "10.00"]]  # fmt: skip
    assert versions[1][1] == sentence
    assert versions[1][6].startswith("price page maria@example.com approved by wanda@example.com,")
    assert "in force" in versions[1][0]
    assert features[1:] == [["chat", "1", "0.00475"], ["search", "1", "0.00475"], ["Total", "2", "0.00950"]]
    assert keys[-1] == ["Total", "2", "0.00950"]
    chart = json.loads(html.split('<script id="chart-data" type="application/json">')[1].split("</script>")[0])
    assert [(s["name"], s["prices"]) for s in chart["series"]] == [
        ("Input", ["2.5", "2"]), ("Cache reads", ["1.25", "1"]), ("Cache writes", ["2.5", None]),
        ("Output", ["10", "8"]),
    ]  # fmt: skip


def test_a_service_tier_has_a_history_of_its_own(acme):
    book(acme, {"time": timezone.now()})
    publish({"service_tier": "batch", "meters": per_million(input="1.25", output="5")})
    client = sign_in(acme)
    standard = get_page(client, "/rates/openai/gpt-4o-2024-08-06")
    batch = get_page(client, "/rates/openai/gpt-4o-2024-08-06?tier=batch")
    assert "<b>$<data" in standard and "10.00</data></b> out" in standard
    assert "5.00</data></b> out" in batch
    assert "Only for calls of the service tier batch." in batch


def test_tiers_from_a_fraction_on_and_fees_are_told_where_the_list_is(acme):
    ladder = [{"above": "0.5", "scope": "volume", "size": 10, "price": "2", "flat": "1"}]
    meters = {"gb_hour": {"price": "0.25", "per": 1, "quantity_tiers": ladder}}
    publish({"provider": "acme-gpu", "model": "disk", "meters": meters, "tenant": acme.slug, "daily_fee": "240"})
    html = get_page(sign_in(acme), "/rates/acme-gpu/disk")
    sentence = "GB hours: a month of more than 0.5 costs 2.00 USD for each 10 begun, all of it"
    assert f"<li>{sentence}, and 1.00 USD once it is entered.</li>" in html
    assert "<li>240.00 USD a day, used or not.</li>" in html


def test_a_name_with_a_slash_has_a_page(acme):
    publish({"provider": "openrouter", "model": "meta-llama/llama-3"})
    book(acme, {"time": timezone.now(), "provider": "openrouter", "model": "meta-llama/llama-3"})
    client = sign_in(acme)
    assert 'href="/rates/openrouter/meta-llama%252Fllama-3"' in get_page(client, "/rates")
    assert "<h1>meta-llama/llama-3</h1>" in get_page(client, "/rates/openrouter/meta-llama%252Fllama-3")


def test_an_unpriced_model_says_why_and_a_model_of_nobody_is_not_there(acme):
    book(acme, {"time": timezone.now(), "model": "llama"})
    client = sign_in(acme)
    html = get_page(client, "/rates/openai/llama")
    assert "No published rate matches this provider and model." in html
    assert "No version was ever published for this name." in html
    assert "$0" not in html
    assert client.get("/rates/openai/nothing-like-it").status_code == 404
    assert client.get(f"/rates/openai/{quote('%00')}").status_code in (400, 404)


def test_an_agreed_price_is_told_to_its_tenant_and_to_those_who_keep_the_rates_alone(acme):
    globex = make_tenant("globex")
    publish(
        {"tenant": acme.slug, "meters": per_million(input="1.11", output="7.77"), "source": {"name": "contract 117"}}
    )
    for tenant in (acme, globex):
        book(tenant, {"time": timezone.now()})
    path = "/rates/openai/gpt-4o-2024-08-06"
    ours, theirs = get_page(sign_in(acme), path), get_page(sign_in(globex), path)
    assert "contract 117" in ours and "7.77" in ours and f"as agreed for {acme.slug}" in ours
    assert "contract 117" not in theirs and "7.77" not in theirs and acme.slug not in theirs
    assert read_tables(get_page(sign_in(acme), "/rates"))[0][1][4] == "7.77"
    assert read_tables(get_page(sign_in(globex), "/rates"))[0][1][4] == "10.00"
    for role, sees in (("finance", True), ("admin", True), ("engineer", False)):
        html = get_page(sign_in(role=role), f"{path}?tenant={globex.slug}")
        assert ("contract 117" in html) is sees, role
    only = {"provider": "acme-provider", "model": "acme-model", "tenant": acme.slug}
    publish(only)
    assert sign_in(acme).get("/rates/acme-provider/acme-model").status_code == 200
    assert sign_in(globex).get("/rates/acme-provider/acme-model").status_code == 404
