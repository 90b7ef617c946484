"""Explore: any question about cost, and that page, chart, files, API and ledger say one number."""

import csv
import io
import json
import random
import re
from datetime import date
from decimal import Decimal
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

import openpyxl
import pytest
from django.db import connection
from django.test import Client

from billing.rollups import apply_batches
from tenants.scope import tenant_scope
from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_key, make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
NOVEMBER = "from=2026-11-01&to=2026-11-19"
BY_FEATURE = f"/explore?{NOVEMBER}&by=feature"


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def november(acme):
    """In production: 3 calls of chat, one without a price, 1 of search, 1 unpriced; 1 of chat in October."""
    book(
        acme,
        {"feature": "chat", "time": on(3)},
        {"feature": "chat", "time": on(4)},
        {"feature": "chat", "time": on(4), "provider": "azure", "model": "gpt-4o-2024-08-06"},
        {"feature": "search", "time": on(19)},
        {"feature": "chat", "time": on(3, month=10)},
        {"feature": "chat", "time": on(3), "environment": "development"},
        {"feature": "", "time": on(5), "model": "no-such-model"},
    )
    return acme


def read_chart(html):
    return json.loads(re.search(r'<script id="chart-data" type="application/json">(.*?)</script>', html)[1])


def get_csv(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return list(csv.reader(io.StringIO(answer.content.decode())))


def test_a_question_is_answered_by_day_and_group_and_adds_up(november):
    html = get_page(sign_in(november), BY_FEATURE)
    by_day, by_group = read_tables(html)
    assert by_day[0] == ["Day", "chat", "search", "No feature", "Total"]
    assert [row for row in by_day[1:20] if row[-1] != "0.00"] == [
        ["3 Nov Tue", "0.00475", "0.00", "0.00", "0.00475"],
        ["4 Nov Wed", "0.00475", "0.00", "0.00", "0.00475"],
        ["5 Nov Thu", "0.00", "0.00", "unknown", "unknown"],
        ["19 Nov Thu", "0.00", "0.00475", "0.00", "0.00475"],
    ]
    assert by_day[20] == ["Total", "0.00950", "0.00475", "unknown", "0.0142"]
    assert by_day[21] == ["Share", "66.7 %", "33.3 %", "–", "100.0 %"]
    assert [row[:2] + row[3:4] for row in by_group[1:]] == [
        ["chat", "0.00950 1 unpriced", "3"], ["search", "0.00475", "1"], ["No feature", "unknown 1 unpriced", "1"],
        ["Total", "0.0142 2 unpriced", "5"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("feature=chat", "0.0095"),
        ("feature.not=chat", "0.00475"),
        ("feature.contains=HA", "0.0095"),
        ("feature.starts=sea&feature.starts=ch", "0.01425"),
        ("provider.not=azure", "0.01425"),
        ("feature=chat&provider.not=azure", "0.0095"),
        ("environment=all", "0.019"),
    ],
)
def test_filters_say_is_is_not_contains_and_starts_with(november, query, total):
    rows = get_csv(sign_in(november), f"/explore/file?{NOVEMBER}&{query}")
    assert Decimal(rows[-1][-1]) == Decimal(total)


def test_weeks_and_months_are_cut_where_the_period_is_and_hours_are_for_a_month_at_most(november):
    client = sign_in(november)
    weeks = read_tables(get_page(client, f"/explore?{NOVEMBER}&granularity=week"))[0]
    assert [row[0] for row in weeks[1:5]] == ["1 Nov", "2–8 Nov", "9–15 Nov", "16–19 Nov"]
    assert [row[1] for row in weeks[1:5]] == ["0.00", "0.00950", "0.00", "0.00475"]
    months = read_tables(get_page(client, "/explore?from=2026-10-01&to=2026-11-19&granularity=month"))[0]
    assert [row[:2] for row in months[1:3]] == [["October 2026", "0.00475"], ["1–19 Nov", "0.0142"]]
    hours = read_tables(get_page(client, "/explore?from=2026-11-03&to=2026-11-03&granularity=hour"))[0]
    assert len(hours) == 1 + 24 + 3 and hours[13] == ["3 Nov 12:00", "0.00475"]
    assert "Hours are shown for 31 days at most" in get_page(
        client, "/explore?from=2026-10-01&to=2026-11-19&granularity=hour"
    )


def test_what_changed_is_told_for_any_filter_and_adds_up_to_the_difference(november):
    client = sign_in(november)
    rows = read_tables(get_page(client, f"/explore?{NOVEMBER}&provider.not=azure&by=model&why=yes"))[1]
    assert rows[0][4:] == ["Price", "Volume", "Mix", "Cache", "New", "Ended"]
    # One call of chat in October; in November two more of chat, and one of search, which is new. Each costs 0.00475.
    assert rows[-1][:4] == ["Total 1 unpriced", "0.00475", "0.0142", "▲ +0.00950"]
    assert rows[-1][4:] == ["–", "+0.00475", "–", "–", "+0.00475", "–"]
    fragment = client.get(f"/explore/changes?{NOVEMBER}&provider.not=azure&by=model").content.decode()
    assert read_tables(fragment)[0] == rows
    assert client.get(f"/explore/changes?{NOVEMBER}&by=user&user=ann").content.strip() == b""


def test_the_days_of_a_clock_change_add_up_to_their_month(acme):
    berlin = make_tenant("berlin", timezone="Europe/Berlin")
    # Clocks went back on 25 October 2026 at 01:00 UTC; its day has 25 hours, and local 02:30 comes twice.
    book(berlin, {"time": on(24, 10, 22)}, {"time": on(25, 10, 0)}, {"time": on(25, 10, 1)}, {"time": on(25, 10, 22)})
    client = sign_in(berlin)
    hours = read_tables(get_page(client, "/explore?from=2026-10-25&to=2026-10-25&granularity=hour"))[0]
    assert len(hours) == 1 + 25 + 3
    assert [row[0] for row in hours[1:26] if row[1] == "0.00475"] == [
        "25 Oct 00:00", "25 Oct 02:00", "25 Oct 02:00 again", "25 Oct 23:00",
    ]  # fmt: skip
    days = get_csv(client, "/explore/file?from=2026-10-01&to=2026-10-31")
    months = get_csv(client, "/explore/file?from=2026-10-01&to=2026-10-31&granularity=month")
    assert sum(Decimal(row[-1]) for row in days[1:-1]) == Decimal(months[-1][-1]) == 4 * Decimal("0.00475")


def test_what_the_rollups_cannot_tell_exactly_is_refused_in_words_and_shows_no_zero(november):
    html = get_page(sign_in(november), f"/explore?{NOVEMBER}&by=user&by=provider")
    assert "This has no exact answer." in html and "Users are summed by environment, feature, model only." in html
    assert not read_tables(html) and "0.00" not in html


def test_a_filter_that_nothing_passes_says_so_with_a_way_out(november):
    html = get_page(sign_in(november), f"/explore?{NOVEMBER}&feature=nobody")
    assert "No call of these days passes every filter." in html and not read_tables(html)


def test_a_filter_that_the_form_adds_is_in_the_address(november):
    answer = sign_in(november).get(f"/explore?{NOVEMBER}&by=model&add=feature&operator=not&value=chat")
    assert answer.status_code == 302
    assert answer["Location"] == f"/explore?{NOVEMBER}&by=model&feature.not=chat"


def test_every_figure_leads_to_its_ledger_rows_with_the_same_sum(november):
    client = sign_in(november)
    html = get_page(client, f"{BY_FEATURE}&feature.not=search")
    links = re.findall(r'<td class="n"><a href="(/ledger[^"]+)"><data value="([^"]+)"', html)
    assert len(links) >= 3
    for link, amount in links:
        page = get_page(client, link.replace("&amp;", "&"))
        shown = re.findall(r'<td role="cell" class="n hero plain left" data-l="Cost"><data value="([^"]+)"', page)
        assert shown[-1] == amount


def test_another_tenants_calls_are_in_no_figure_no_suggestion_and_no_file(november):
    globex = make_tenant("globex")
    book(globex, {"feature": "secret-project", "time": on(3)})
    client = sign_in(november)
    for path in (BY_FEATURE, f"/explore/file?{NOVEMBER}&by=feature", f"/explore/values?{NOVEMBER}&add=feature"):
        assert "secret-project" not in client.get(path).content.decode()
    assert client.get(f"{BY_FEATURE}&tenant=globex").status_code == 404


def test_text_that_a_spreadsheet_would_run_is_defused_in_both_kinds_of_files(acme):
    book(acme, {"feature": '=HYPERLINK("http://x")', "time": on(3)})
    client = sign_in(acme)
    assert get_csv(client, f"/explore/file?{NOVEMBER}&by=feature&table=groups")[1][0].startswith("'=")
    book_file = openpyxl.load_workbook(
        io.BytesIO(client.get(f"/explore/file?{NOVEMBER}&by=feature&table=groups&format=xlsx").content)
    )
    cell = book_file["Figures"]["A2"]
    assert (cell.data_type, cell.value) == ("s", '=HYPERLINK("http://x")')  # text, and no formula
    assert book_file["About"]["B1"].value == acme.slug


def test_the_same_number_of_statements_whatever_there_is_to_show(november, django_assert_num_queries):
    client = sign_in(november)
    get_page(client, BY_FEATURE)
    with django_assert_num_queries(17):
        get_page(client, BY_FEATURE)
    book(november, *({"feature": f"f{number}", "time": on(1 + number % 19)} for number in range(40)))
    apply_batches_until_done()
    with django_assert_num_queries(17):
        get_page(client, BY_FEATURE)


def apply_batches_until_done():
    from datetime import UTC, datetime

    while apply_batches(now=datetime.now(UTC)):
        pass


# --- one number everywhere ---

VALUES = {
    "feature": ("chat", "search", "Chat-2", ""),
    "cost_center": ("retail", "logistics", ""),
    "model": ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "no-such-model"),
    "provider": ("openai", "azure"),
    "operation": ("chat", "embeddings"),
    "service_tier": ("standard", "batch"),
}
PARTS = {"feature": ("CHA", "2"), "cost_center": ("l",), "model": ("gpt", "mini"), "provider": ("o",)}
COLUMN = {name: name for name in VALUES}


def make_calls(rng, count):
    return [
        {
            **{name: rng.choice(values) for name, values in VALUES.items()},
            "environment": rng.choice(("production", "production", "staging")),
            "time": on(rng.randrange(1, 29), month=rng.choice((10, 11)), hour=rng.randrange(24)),
            "user": rng.choice(("ann", "bob", "")),
        }
        for _ in range(count)
    ]


def draw_question(rng):
    filters = []
    for name in rng.sample(sorted(VALUES), rng.randrange(3)):
        operator = rng.choice(("", ".not", ".contains", ".starts") if name in PARTS else ("", ".not"))
        known = PARTS[name] if operator in (".contains", ".starts") else VALUES[name]
        filters += [(f"{name}{operator}", value) for value in rng.sample(known, rng.randrange(1, len(known) + 1))]
    first = date(2026, 11, rng.randrange(1, 15))
    days = [("from", first.isoformat()), ("to", date(2026, 11, rng.randrange(15, 29)).isoformat())]
    groups = [("by", name) for name in rng.sample(sorted(VALUES), rng.randrange(3))]
    granularity = rng.choice(("day", "week", "month", "hour"))
    return [*days, *filters, *groups, ("environment", rng.choice(("production", "staging", "all"))),
            ("granularity", granularity)]  # fmt: skip


def sum_ledger(tenant, question):
    """The same question asked of the entries, in SQL of its own."""
    asked = dict(question)
    clauses, values = ["charge_period_start >= %s", "charge_period_start < %s::date + 1"], [asked["from"], asked["to"]]
    if asked["environment"] != "all":
        clauses.append("environment = %s")
        values.append(asked["environment"])
    named = {}
    for name, value in question:
        if name.split(".")[0] in VALUES:
            named.setdefault(name, []).append(value)
    for name, some in named.items():
        column, _, operator = name.partition(".")
        words = {
            "": "{0} = %s", "not": "{0} <> %s", "contains": "position(lower(%s) in lower({0})) > 0",
            "starts": "starts_with(lower({0}), lower(%s))",
        }[operator].format(column)  # fmt: skip
        clauses.append("(" + (" AND " if operator == "not" else " OR ").join([words] * len(some)) + ")")
        values += some
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'UTC'")
        cursor.execute(
            "SELECT coalesce(sum(billed_cost), 0), coalesce(sum(calls), 0) FROM ledger_entry WHERE "
            + " AND ".join(clauses),
            values,
        )
        return cursor.fetchone()


def test_page_chart_tables_files_api_and_ledger_say_one_number_for_200_random_questions(acme):
    rng = random.Random(20261122)
    book(acme, *make_calls(rng, 300))
    apply_batches_until_done()
    book(acme, *make_calls(rng, 100))  # these still wait to be rolled up
    client, machine = sign_in(acme), Client(headers={"authorization": f"Bearer {make_key(acme)}"})
    asked = 0
    while asked < 200:
        question = draw_question(rng)
        expected, calls = sum_ledger(acme, question)
        query = urlencode(question)
        html = get_page(client, f"/explore?{query}")
        if not calls:
            assert "Nothing to show" in html
            continue
        asked += 1
        address = urlsplit(unescape(re.search(r'curl "([^"]+)"', html)[1]))
        api = machine.get(f"{address.path}?{address.query}").json()
        assert Decimal(api["totals"]["billed_cost"]) == expected, query
        assert api["totals"]["events"] == calls
        tables = {
            name: get_csv(client, f"/explore/file?{query}&table={name}")
            for name in (("time", "groups") if dict(parse_qsl(query)).get("by") else ("time",))
        }
        time = tables["time"]
        amounts = [Decimal(row[-1] or 0) for row in time[1:-1]]
        assert sum(amounts) == expected, query
        assert Decimal(time[-1][-1] or 0) == expected
        assert [sum(Decimal(cell or 0) for cell in row[2:-1]) for row in time[1:]] == [
            Decimal(row[-1] or 0) for row in time[1:]
        ]
        if "groups" in tables:
            cost = tables["groups"][0].index("cost")
            assert sum(Decimal(row[cost] or 0) for row in tables["groups"][1:-1]) == expected
            assert Decimal(tables["groups"][-1][cost] or 0) == expected
        chart = read_chart(html)
        drawn = [[Decimal(amount or 0) for amount in series["amounts"]] for series in chart["series"]]
        assert [sum(column) for column in zip(*drawn, strict=True)] == amounts
        shown = re.search(
            r'<p class="big"><a href="[^"]+">(?:<data value="([^"]+)"|<span class="signal">unknown)', html
        )[1]
        assert Decimal(shown or 0) == expected
        if asked % 10 == 0:  # a workbook takes its time
            content = client.get(f"/explore/file?{query}&table=time&format=xlsx").content
            digits = openpyxl.load_workbook(io.BytesIO(content), read_only=True)["Every digit"]
            rows = list(digits.iter_rows(values_only=True))
            assert Decimal(rows[-1][len(time[0]) - 1] or 0) == expected
