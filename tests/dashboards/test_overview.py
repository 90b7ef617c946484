import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from unittest.mock import Mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.core.changes import compare_amounts
from billing.rollups import apply_batches
from billing.selectors import CostQuery, QueryRefused, get_costs
from dashboards.overview.tables import Line, make_table
from tenants.scope import tenant_scope
from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, read_figures, read_tables, sign_in
from tests.factories import make_key, make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
NOVEMBER = "from=2026-11-01&to=2026-11-19"


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def november(acme):
    """Four calls of November in production, one of October, one in development, and one that has no price."""
    chat = {"feature": "chat", "cost_center": "retail"}
    book(
        acme,
        {**chat, "time": on(3)},
        {**chat, "time": on(4)},
        {**chat, "time": on(4), "status": "error"},
        {"feature": "search", "cost_center": "", "time": on(19)},
        {**chat, "time": on(3, month=10)},
        {**chat, "time": on(3), "environment": "development"},
        {"feature": "pilot", "cost_center": "", "time": on(5), "model": "no-such-model"},
    )
    return acme


def test_the_figures_are_those_of_the_calls(november):
    html = get_page(sign_in(november), f"/?{NOVEMBER}")
    cost, calls, tokens, unallocated, saved = [
        read_figures(html)[i] for i in (0, 3, 5, 8, 10)
    ]  # each followed by what stands under it
    assert cost == "0.019"  # 4 × 0.00475
    assert calls == "5"
    assert tokens == "7500"  # 5 × (1,200 + 300), the unpriced call's too
    assert unallocated == "0.00475"
    assert saved == "0.005"  # 4 × 0.00125


def test_the_tables_say_share_and_change_and_add_up(november):
    html = get_page(sign_in(november), f"/?{NOVEMBER}")
    _, _, centers, features, models, savings = read_tables(html)
    assert centers[1:] == [
        ["retail", "0.0142", "75.0 %", "", "0.00475", "+0.00950", "▲ 200.0 % more"],
        ["Unallocated 1 unpriced", "0.00475", "25.0 %", "", "0.00", "+0.00475", "▲ new"],
        ["Total 1 unpriced", "0.0190", "100.0 %", "", "0.00475", "+0.0142", "▲ 300.0 % more"],
    ]
    assert [row[:2] for row in features[1:]] == [
        ["chat", "0.0142"],
        ["search", "0.00475"],
        ["pilot", "unknown"],
        ["Total 1 unpriced", "0.0190"],
    ]
    assert [row[:2] for row in models[1:]] == [
        ["gpt-4o-2024-08-06 openai", "0.0190"],
        ["no-such-model openai", "unknown"],
        ["Total 1 unpriced", "0.0190"],
    ]
    # 4,000 tokens read at 1.25 instead of 2.50 a million: 0.005 paid, 0.010 at the full rate.
    assert savings[1] == [
        "gpt-4o-2024-08-06 openai", "4,000", "83.3 %", "0.0100", "0.00500", "+0.00500",
    ]  # fmt: skip


def test_what_changed_is_told_in_steps_that_add_up(november):
    changes = read_tables(get_page(sign_in(november), f"/?{NOVEMBER}"))[1]
    assert changes[0] == [
        *("Feature", "1–19 Oct", "1–19 Nov", "Change", "Price", "Volume", "Mix", "Cache", "New", "Ended"),
    ]
    # chat: one call, then three of the same size. search: none, then one.
    assert changes[1:] == [
        ["chat", "0.00475", "0.0142", "▲ +0.00950", "–", "+0.00950", "–", "–", "–", "–"],
        ["search", "0.00", "0.00475", "▲ +0.00475", "–", "–", "–", "–", "+0.00475", "–"],
        ["Total 1 unpriced", "0.00475", "0.0190", "▲ +0.0142", "–", "+0.00950", "–", "–", "+0.00475", "–"],
    ]
    table = sign_in(november).get(f"/overview/file?{NOVEMBER}&table=changes").content.decode().split("\r\n")
    assert table[0] == "feature,before,after,unpriced_calls,difference,price,volume,mix,cache,new,ended"
    zero = "0.000000000000"
    assert table[1].split(",") == [
        *("chat", "0.004750000000", "0.014250000000", "0", "0.009500000000"),
        *(zero, "0.009500000000", zero, zero, zero, zero),
    ]


def test_five_up_and_five_down_are_named_and_the_rest_is_other(acme):
    # October: f0 to f6 once. November: f0 to f6 none, g0 to g6 i + 1 times.
    book(
        acme,
        *({"feature": f"f{i}", "time": on(2, month=10)} for i in range(7)),
        *({"feature": f"g{i}", "time": on(2)} for i in range(7) for _ in range(i + 1)),
    )
    changes = read_tables(get_page(sign_in(acme), f"/?{NOVEMBER}"))[1]
    assert [row[0] for row in changes[1:]] == [
        *("g6", "g5", "g4", "g3", "g2"),
        *("f6", "f5", "f4", "f3", "f2"),
        "Other, 4 more",
        "Total",
    ]
    assert changes[-2][3] == "▲ +0.00475"  # 1 + 2 of the g - 2 of the f
    assert changes[-1][3:5] == ["▲ +0.0998", "–"]  # 28 - 7 = 21 × 0.00475 = 0.09975


def test_calls_of_too_many_kinds_are_not_compared_and_all_else_stands(november, monkeypatch):
    client = sign_in(november)
    before = read_tables(get_page(client, f"/?{NOVEMBER}"))
    monkeypatch.setattr("dashboards.overview.page.get_cost_changes", Mock(side_effect=QueryRefused("too many rows")))
    after = read_tables(get_page(client, f"/?{NOVEMBER}"))
    assert after == [before[0], *before[2:]]


def test_the_sentence_is_computed_from_the_table(november):
    html = " ".join(get_page(sign_in(november), f"/?{NOVEMBER}").split())
    sentence = re.sub("<[^>]+>", "", re.search(r'<p class="lede">(.*?)</p>', html)[1]).strip()
    assert " ".join(sentence.split()) == (
        "1–19 November 2026 stands $0.0142 (300.0 %) above 1–19 October 2026. "
        "chat added $0.00950, the most of all features."
    )


def test_every_day_of_the_period_has_a_row_and_the_chart_the_same_numbers(november):
    html = get_page(sign_in(november), f"/?{NOVEMBER}")
    days = read_tables(html)[0]
    assert days[0] == ["Day", "retail", "Unallocated", "Total"]
    assert len(days) == 1 + 19 + 1
    assert days[4] == ["4 Nov Wed", "0.00950", "0.00", "0.00950"]
    assert days[-1] == ["Total", "0.0142", "0.00475", "0.0190"]
    data = json.loads(re.search(r'<script id="chart-data" type="application/json">(.*?)</script>', html)[1])
    assert len(data["days"]) == 19
    assert [(s["name"], s["color"], Decimal(s["amounts"][3])) for s in data["series"]] == [
        ("retail", "1", Decimal("0.0095")),
        ("Unallocated", "none", Decimal(0)),
    ]


def test_the_page_equals_get_costs_and_the_sum_over_the_ledger_before_and_after_the_rollup(november):
    client = sign_in(november)

    def read_page():
        return Decimal(read_figures(get_page(client, f"/?{NOVEMBER}&environment=all"))[0])

    def read_costs():
        query = CostQuery(november.id, on(1, hour=0), on(20, hour=0))
        return get_costs(query).totals.billed_cost

    with tenant_scope(november.id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(billed_cost) FROM ledger_entry"
            " WHERE charge_period_start >= '2026-11-01Z' AND charge_period_start < '2026-11-20Z'"
        )
        (ledger,) = cursor.fetchone()
    assert read_page() == read_costs() == ledger == Decimal("0.02375")
    apply_batches(now=on(20))
    assert read_page() == read_costs() == ledger


def test_production_is_shown_until_another_environment_is_asked_for(november):
    client = sign_in(november)
    assert read_figures(get_page(client, f"/?{NOVEMBER}&environment=development"))[0] == "0.00475"
    assert read_figures(get_page(client, f"/?{NOVEMBER}&environment=all"))[0] == "0.02375"
    menu = get_page(client, f"/?{NOVEMBER}")
    assert "environment=development" in menu and "environment=all" in menu


def test_what_has_no_price_is_unknown_and_never_zero(acme):
    book(acme, {"time": on(5), "model": "no-such-model"})
    html = get_page(sign_in(acme), f"/?{NOVEMBER}")
    assert '<a href="/ledger?environment=all' not in html
    assert re.search(r'<dd class="number"><a [^>]*><span class="signal">unknown</span></a></dd>', html)
    assert "1 model has calls without a price." in html
    assert "None of the" in html and "$0.00" not in html
    for table in read_tables(html)[1:4]:
        assert table[1][1] == table[-1][1] == "unknown"


def test_every_figure_leads_to_its_entries_with_the_same_filters(november):
    html = get_page(sign_in(november), f"/?{NOVEMBER}")
    period = "environment=production&amp;from=2026-11-01&amp;to=2026-11-19"
    for query in ("", "&amp;cost_center=", "&amp;feature=chat", "&amp;status=error", "&amp;pricing_status=unpriced"):
        assert f'href="/ledger?{period}{query}"' in html
    client = sign_in(november)
    [entries] = read_tables(get_page(client, f"/ledger?{period}&cost_center=".replace("&amp;", "&")))
    assert [row[1] for row in entries[1:-1]] == ["pilot unallocated", "search unallocated"]


def test_the_sixth_value_and_the_eleventh_row_are_other(acme):
    book(acme, *({"feature": f"f{i:02d}", "time": on(2)} for i in range(13)))
    client = sign_in(acme)
    html = get_page(client, f"/?{NOVEMBER}&by=feature")
    days, _, _, features, *_ = read_tables(html)
    assert days[0] == ["Day", "f00", "f01", "f02", "f03", "f04", "Other, 8", "Total"]
    assert days[-1][-2:] == ["0.0380", "0.0618"]  # 8 and 13 × 0.00475
    assert [row[0] for row in features[-3:]] == ["f09", "Other, 3 more", "Total"]
    assert [row[1] for row in features[-3:]] == ["0.00475", "0.0142", "0.0618"]
    assert sum(Decimal(row[2].removesuffix(" %")) for row in features[1:-1]) == 100
    everything = read_tables(get_page(client, f"/?{NOVEMBER}&by=feature&rows=all"))[3]
    assert len(everything) == 1 + 13 + 1


def test_a_chart_of_more_values_than_a_query_answers_by_day_is_the_same(acme, monkeypatch):
    book(acme, *({"feature": f"f{i:02d}", "time": on(1 + i)} for i in range(13)))
    client = sign_in(acme)
    by_one_query = read_tables(get_page(client, f"/?{NOVEMBER}&by=feature"))[0]
    monkeypatch.setattr("dashboards.overview.page.ROWS_MAX", 13 * 19 - 1)
    assert read_tables(get_page(client, f"/?{NOVEMBER}&by=feature"))[0] == by_one_query


def test_headings_sort_every_table(acme):
    book(
        acme, *({"feature": name, "time": on(2)} for name in ("b", "a", "a")), {"feature": "b", "time": on(2, month=10)}
    )
    client = sign_in(acme)
    assert [row[0] for row in read_tables(get_page(client, f"/?{NOVEMBER}"))[3][1:-1]] == ["a", "b"]
    assert [row[0] for row in read_tables(get_page(client, f"/?{NOVEMBER}&sort=before"))[3][1:-1]] == ["b", "a"]
    assert 'aria-sort="descending"' in get_page(client, f"/?{NOVEMBER}&sort=before")


def make_line(name, cost):
    return Line((name,), name, "", "/", 1, 0, Decimal(cost), Decimal(0), compare_amounts(Decimal(cost), Decimal(0)))


def test_the_double_rule_stands_only_under_a_sum_that_was_compared():
    lines = [make_line("a", "2"), make_line("b", "1")]
    assert make_table("feature", lines, sort="cost", lines_max=10, proof=Decimal(3)).is_cast
    assert not make_table("feature", lines, sort="cost", lines_max=10, proof=Decimal("3.000000000001")).is_cast


def test_the_number_of_queries_does_not_grow_with_the_features(acme):
    client = sign_in(acme)

    def count_queries():
        with CaptureQueriesContext(connection) as queries:
            get_page(client, f"/?{NOVEMBER}")
        return len(queries)

    book(acme, {"feature": "f", "time": on(2)})
    one = count_queries()
    book(acme, *({"feature": f"f{i}", "cost_center": f"c{i}", "time": on(2)} for i in range(50)))
    assert count_queries() == one


def test_days_are_those_of_the_tenants_zone():
    publish_test_rates()
    kolkata = make_tenant("acme", timezone="Asia/Kolkata")  # half an hour off
    book(kolkata, {"time": on(18, hour=18)}, {"time": on(18, hour=19)})  # 23:30 of the 18th, 00:30 of the 19th
    days = read_tables(get_page(sign_in(kolkata), f"/?{NOVEMBER}"))[0]
    assert [row for row in days[1:-1] if row[-1] != "0.00"] == [
        ["18 Nov Wed", "0.00475", "0.00475"],
        ["19 Nov Thu", "0.00475", "0.00475"],
    ]


def test_a_tenant_without_an_event_is_told_how_to_send_one(acme, settings):
    settings.PUBLIC_URL = "https://ledger.example"
    client = sign_in(acme)
    html = get_page(client, "/")
    assert "Nothing has been sent yet" in html
    assert f"manage.py create_api_key {acme.slug} --scopes ingest" in html
    assert "curl https://ledger.example/v1/events" in html
    assert "$0" not in html.replace("not $0, <b>unknown</b>", "")
    make_key(acme, "ingest", name="first")
    assert "With the key “first”" in get_page(client, "/")


def test_the_line_of_the_empty_page_is_accepted_as_it_stands(acme, client):
    html = get_page(sign_in(acme), "/")
    command = re.search(r'<pre class="code" id="curl"[^>]*>(.*?)</pre>', html, re.S)[1].replace("&quot;", '"')
    body = command.replace("&#x27;", "'").split("-d '")[1].removesuffix("'")
    key = make_key(acme, "ingest")
    answer = client.post("/v1/events", body, content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {key}")
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)


def test_the_empty_page_notices_the_first_event(acme):
    client = sign_in(acme)
    waiting = client.get("/first-entry")
    assert (waiting.status_code, waiting.get("HX-Redirect")) == (200, None)
    book(acme, {})
    arrived = client.get("/first-entry")
    assert (arrived.status_code, arrived["HX-Redirect"]) == (204, "/?environment=all")


def test_days_without_a_call_say_where_the_calls_are(acme):
    book(acme, {"time": on(12, month=6)})
    html = get_page(sign_in(acme), f"/?{NOVEMBER}")
    assert "No calls in these days" in html
    assert 'href="/?environment=all&amp;from=2026-06-01&amp;to=2026-06-12"' in html


def test_a_period_that_cannot_be_read_is_said_and_the_month_shown(november):
    html = get_page(sign_in(november), "/?from=2026-11-09&to=2026-11-08")
    assert "The first day stands after the last. The month to date is shown instead." in html


def test_a_table_as_csv_has_every_digit_and_no_formula(november):
    book(november, {"feature": "=cmd()", "cost_center": "+1", "time": on(3)})
    client = sign_in(november)
    answer = client.get(f"/overview/file?{NOVEMBER}&table=feature")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="feature-acme-')
    assert answer.content.decode().split("\r\n") == [
        "feature,provider,calls,unpriced_calls,cost,share,before,difference",
        "chat,,3,0,0.014250000000,60.0,0.004750000000,0.009500000000",
        "'=cmd(),,1,0,0.004750000000,20.0,0,0.004750000000",
        "search,,1,0,0.004750000000,20.0,0,0.004750000000",
        "pilot,,1,1,,,0,",
        "Total,,6,1,0.023750000000,100,0.004750000000,0.019000000000",
        "",
    ]
    days = client.get(f"/overview/file?{NOVEMBER}&table=days").content.decode().split("\r\n")
    assert days[0] == "day,retail,'+1,Unallocated,total"
    assert days[3] == "2026-11-03,0.004750000000,0.004750000000,0,0.009500000000"
    assert client.get(f"/overview/file?{NOVEMBER}&table=secrets").status_code == 400


def test_a_name_is_text_wherever_it_stands(acme):
    name = '</script><img src=x onerror="alert(1)">'
    book(acme, {"feature": name, "cost_center": name, "environment": "production", "time": on(3)})
    html = get_page(sign_in(acme), f"/?{NOVEMBER}")
    assert "<img" not in html
    assert "&lt;img src=x" in html


def test_the_month_that_goes_on_tells_what_it_is_expected_to_end_at(acme, monkeypatch):
    now = datetime(2026, 11, 19, 12, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    book(acme, *({"time": on(day), "feature": "chat"} for day in range(12, 20)))  # seven complete days, and today
    html = get_page(sign_in(acme), "/")
    # 0.00475 USD a day: seven days before today, and twelve with today.
    assert "0.09025" in read_figures(html) and "Expected by 30 November" in html
    assert "<dt>Saved by cache</dt>" not in html
    # The bars go on with a band up to the month's end, and the table with them: today as a whole, and eleven days.
    [table] = [table for table in read_tables(html) if table[0] == ["Day", "Low", "Expected", "High"]]
    assert [row[0] for row in table[1:3]] == ["19 Nov Thu", "20 Nov Fri"] and len(table) == 14
    assert {row[2] for row in table[1:-1]} == {"0.00475"} and table[-1][0::2] == ["From today on", "0.0570"]
    data = json.loads(re.search(r'id="chart-data" type="application/json">(.*?)</script>', html)[1])
    assert (len(data["days"]), data["days"][-1]) == (30, "2026-11-30")
    assert all(len(amounts) == 30 for amounts in [data["series"][0]["amounts"], *data["forecast"].values()])
    assert data["forecast"]["expected"][17:19] == [None, "0.00475"]
    rows = sign_in(acme).get("/overview/file?table=ahead").content.decode().splitlines()
    assert rows[0] == "day,low,expected,high" and rows[1].startswith("2026-11-19,") and len(rows) == 14
    newcomer = make_tenant("acme")
    book(newcomer, {"time": on(19)})  # too little to expect anything by: no file says that it is nothing
    assert sign_in(newcomer).get("/overview/file?table=ahead").status_code == 400
    earlier = get_page(sign_in(acme), f"/?{NOVEMBER.replace('19', '18')}")
    assert "Expected by" not in earlier and "From today on" not in earlier
    assert sign_in(acme).get(f"/overview/file?table=ahead&{NOVEMBER.replace('19', '18')}").status_code == 400
