import csv
import io
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ledger.selectors import EntryFilters, list_entries
from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, read_tables, read_workbook, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


def list_rows(client, query=""):
    """The rows between heading and total, newest first."""
    tables = read_tables(get_page(client, f"/ledger{query}"))
    return tables[0][1:-1] if tables else []


def test_entries_stand_newest_first_with_disjoint_buckets_and_the_sum_of_the_page(acme):
    book(acme, {"time": on(3), "feature": "first", "event_id": "req-1"})
    book(
        acme,
        {"time": on(4), "feature": "second", "cost_center": "retail", "event_id": "req-2"},
        {"time": on(4), "model": "no-such-model", "event_id": "req-3"},
    )
    [table] = read_tables(get_page(sign_in(acme), "/ledger"))
    assert table[1:] == [
        [
            "4 Nov 2026 12:00:00 req-3",
            "no feature unallocated",
            "no-such-model openai",
            "200",
            "1,000",
            "0",
            "300",
            "unknown",
        ],
        [
            "4 Nov 2026 12:00:00 req-2",
            "second retail",
            "gpt-4o-2024-08-06 openai",
            "200",
            "1,000",
            "0",
            "300",
            "0.00475",
        ],
        [
            "3 Nov 2026 12:00:00 req-1",
            "first unallocated",
            "gpt-4o-2024-08-06 openai",
            "200",
            "1,000",
            "0",
            "300",
            "0.00475",
        ],
        ["These 3", "", "1 unpriced, not in the sum", "600", "3,000", "0", "900", "0.00950"],
    ]


@pytest.mark.parametrize(
    ("query", "features"),
    [
        ("?feature=a", ["a"]),
        ("?feature=a&feature=b", ["b", "a"]),
        ("?feature=", ["no feature"]),
        ("?cost_center=retail", ["b"]),
        ("?model=no-such-model", ["c"]),
        ("?pricing_status=unpriced", ["c"]),
        ("?status=error", ["b"]),
        ("?event_id=the-event", ["a"]),
        ("?response_id=the-response", ["a"]),
        ("?trace_id=the-trace", ["b"]),
        ("?user=u-17", ["a"]),
        ("?environment=development", ["dev"]),
        ("?environment=all&feature=dev", ["dev"]),
        ("?from=2026-11-02&to=2026-11-02", ["a"]),
        ("?feature=nothing", []),
        ("?billing_period=2026-11&context_tier=0&cache_hit=no&usage=output_tokens", ["no feature", "c", "b", "a"]),
        ("?rate_version=", ["c"]),
        ("?billing_period=2026-10", []),
        ("?cache_hit=yes", []),
        ("?usage=images", []),
        ("?rate_version=9&context_tier=1", []),
        ("?period=any", ["no feature", "c", "b", "a"]),
    ],
)
def test_a_filter_in_the_address_leaves_its_entries(acme, query, features):
    book(
        acme,
        {"feature": "a", "time": on(2), "event_id": "the-event", "response_id": "the-response", "user": "u-17"},
        {"feature": "b", "time": on(3), "cost_center": "retail", "status": "error", "trace_id": "the-trace"},
        {"feature": "c", "time": on(4), "model": "no-such-model"},
        {"feature": "", "time": on(5)},
        {"feature": "dev", "time": on(5), "environment": "development"},
    )
    rows = list_rows(sign_in(acme), query)
    assert [row[1].removesuffix(" unallocated").removesuffix(" retail") for row in rows] == features


def test_pages_follow_each_other_without_a_gap_or_an_overlap(acme):
    book(acme, *({"feature": f"f{i:03d}"} for i in range(120)))
    client, path, seen = sign_in(acme), "/ledger?environment=all", []
    for size in (50, 50, 20):
        html = get_page(client, path)
        rows = read_tables(html)[0][1:-1]
        assert len(rows) == size
        seen += [row[1].split()[0] for row in rows]
        following = re.search(r'href="(\?[^"]*)" rel="next"', html)
        path = "/ledger" + following[1].replace("&amp;", "&") if following else None
    assert path is None
    assert seen == [f"f{i:03d}" for i in reversed(range(120))]
    assert len(list_rows(client, "?limit=200")) == 120


def test_the_sentence_says_what_all_entries_of_the_filter_cost_where_the_rollups_know(acme):
    book(acme, *({"feature": "a", "time": on(3)} for _ in range(4)), {"feature": "a", "model": "x", "time": on(3)})
    html = re.sub("<[^>]+>", "", get_page(sign_in(acme), "/ledger?feature=a&from=2026-11-01&to=2026-11-30"))
    assert "5 calls cost $0.0190; 1 of them has no price and is in no sum." in " ".join(html.split())


def test_the_form_adds_a_filter_to_the_address_and_the_chip_takes_it_away(acme):
    client = sign_in(acme)
    added = client.get("/ledger?environment=all&feature=a&add=model&value=+gpt-4o+")
    assert added["Location"] == "/ledger?environment=all&feature=a&model=gpt-4o"
    again = client.get("/ledger?feature=a&add=feature&value=a")
    assert again["Location"] == "/ledger?feature=a"
    html = get_page(client, added["Location"])
    assert '<span>Model</span><b title="gpt-4o">gpt-4o</b><a href="/ledger?environment=all&amp;feature=a"' in html
    assert client.get("/ledger?add=secrets&value=1").status_code == 200  # no such filter: the page as it is


def test_the_csv_holds_the_rows_of_the_page_with_every_digit_and_no_formula(acme):
    book(acme, {"time": on(3), "feature": "=1+1", "event_id": "@x"}, {"time": on(4), "model": "no-such-model"})
    answer = sign_in(acme).get("/ledger/file?environment=all")
    assert answer["Content-Disposition"] == f'attachment; filename="ledger-{acme.slug}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["billed_cost"] for row in rows] == ["", "0.004750000000"]
    assert (rows[1]["feature"], rows[1]["event_id"]) == ("'=1+1", "'@x")
    assert rows[1]["charge_period_start"] == "2026-11-03T12:00:00+00:00"
    stored = list_entries(tenant_id=acme.id, filters=EntryFilters()).entries
    assert [row["id"] for row in rows] == [entry["id"] for entry in stored]


def test_a_workbook_tells_that_its_page_is_not_the_whole(acme):
    book(acme, *({"time": on(3)} for _ in range(51)))
    client = sign_in(acme)
    cells = list(read_workbook(client, "/ledger/file?environment=all&format=xlsx")["About"].values)
    assert ("Entries", "50; more were booked before them") in cells
    cells = list(read_workbook(client, "/ledger/file?environment=all&limit=200&status=ok&format=xlsx")["About"].values)
    assert ("Entries", "51") in cells and ("Filters", "status=ok") in cells


def test_the_page_hears_of_newer_entries(acme):
    book(acme, {})
    client = sign_in(acme)
    first = list_entries(tenant_id=acme.id, filters=EntryFilters()).entries[0]["id"]
    assert client.get(f"/ledger/newer?than={first}").content.strip() == b""
    book(acme, {"feature": "a"}, {"feature": "a"}, {"feature": "b"})
    assert "3 newer entries" in client.get(f"/ledger/newer?than={first}").content.decode()
    assert "2 newer entries" in client.get(f"/ledger/newer?than={first}&feature=a").content.decode()
    assert "4 newer entries" in client.get("/ledger/newer?than=").content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "feature=a%00b", "cursor=yesterday", "batch_id=1", "environment=a%00b", "cursor=%00", "billing_period=2026-13",
        "billing_period=2026", "rate_version=x", "rate_version=-1", "context_tier=-1", "cache_hit=maybe",
    ],
)  # fmt: skip
def test_what_no_filter_can_be_is_a_400(acme, query):
    assert sign_in(acme).get(f"/ledger?{query}").status_code == 400


@pytest.mark.parametrize("query", ["limit=-1", "limit=9999999", "limit=x", "period=fortnight", "from=x", "unknown=1"])
def test_what_is_merely_unknown_is_ignored_or_said(acme, query):
    assert sign_in(acme).get(f"/ledger?{query}").status_code == 200


def test_the_number_of_queries_does_not_grow_with_the_entries(acme):
    client = sign_in(acme)

    def count_queries():
        with CaptureQueriesContext(connection) as queries:
            get_page(client, "/ledger?from=2026-11-01&to=2026-11-30")
        return len(queries)

    book(acme, {"time": on(3)})
    one = count_queries()
    book(acme, *({"time": on(3), "feature": f"f{i}"} for i in range(50)))
    assert count_queries() == one


def test_an_empty_ledger_says_why(acme):
    client = sign_in(acme)
    assert "Nothing has been booked in production yet." in get_page(client, "/ledger")
    assert "No entry matches." in get_page(client, "/ledger?feature=a")


def test_the_sum_of_a_page_is_that_of_its_rows(acme):
    book(acme, *({"usage": {"input_tokens": i, "output_tokens": 1}} for i in range(1, 30)))
    [table] = read_tables(get_page(sign_in(acme), "/ledger"))
    # (1 + … + 29) × 2.50 + 29 × 10 = 1,377.5 USD a million
    assert (table[-1][3], Decimal(table[-1][-1])) == ("435", Decimal("0.00138"))
