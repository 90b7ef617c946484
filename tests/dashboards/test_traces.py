"""Traces on pages: the list by cost, and one trace as a waterfall whose sums are the ledger's."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.rollups import apply_batches
from tenants.scope import tenant_scope
from tests.api.exporting import send
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_figures, read_tables, sign_in
from tests.factories import make_key, make_tenant, publish_test_rates
from tests.spans import CALL, make_agent, make_span, make_step, new_trace_id

pytestmark = pytest.mark.usefixtures("committed_db")
# A call of CALL costs 0.006 USD at the tests' rates, one of `book` 0.00475.
TWICE = CALL | {"gen_ai.usage.input_tokens": 2400, "gen_ai.usage.output_tokens": 600}
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def rates():
    publish_test_rates()


@pytest.fixture
def acme():
    return make_tenant("acme")


@pytest.fixture
def key(acme):
    return make_key(acme, "ingest,read")


def roll_up():
    while apply_batches(now=datetime.now(UTC)):
        pass


def read_traces(html):
    """The list's rows: trace's name and id without its moment, then the other cells; the sums last."""
    return [[row[0].split(" ", 4)[-1], *row[1:]] for row in read_tables(html)[0][1:]]


def get_rows(html):
    return read_tables(html)[0][1:]


def test_the_dearest_trace_stands_first_and_all_add_up_to_the_ledger(acme):
    book(
        acme,
        {"trace_id": "small", "time": NOW - timedelta(hours=1), "latency_ms": 800},
        *({"trace_id": "big", "time": NOW - timedelta(hours=2, seconds=-n), "latency_ms": 500} for n in range(3)),
        {"time": NOW},  # in no trace
        {"trace_id": "early", "time": NOW - timedelta(days=20)},
        {"trace_id": "tried", "time": NOW, "environment": "development"},
    )
    client = sign_in(acme)
    waiting = get_page(client, "/traces")
    roll_up()
    settled = get_page(client, "/traces")
    for html in (waiting, settled):
        assert [(row[0].split()[-1], row[3], row[4], row[6], row[8]) for row in get_rows(html)] == [
            ("big", "–", "3", "2.50 s", "0.0142"),
            ("small", "–", "1", "800 ms", "0.00475"),
            ("2", "", "4", "", "0.0190"),
        ]
    assert "All calls of these days" in settled and 'value="0.02375"' in settled
    everywhere = get_page(client, "/traces?environment=all&period=30d&sort=newest")
    assert [row[0].split()[-3] for row in get_rows(everywhere)[:-1]] == ["tried", "small", "big", "early"]
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT sum(billed_cost) FROM ledger_entry WHERE trace_id <> ''")
        assert f'value="{cursor.fetchone()[0].normalize():f}"' in everywhere


def test_a_trace_that_goes_on_is_one_line_before_and_after_the_rollup(acme):
    client = sign_in(acme)
    book(acme, {"trace_id": "t", "time": NOW - timedelta(minutes=9), "feature": "chat"})
    roll_up()
    book(acme, {"trace_id": "t", "time": NOW - timedelta(minutes=10), "feature": "search", "model": "no-such-model"})
    before = get_rows(get_page(client, "/traces"))
    roll_up()
    assert get_rows(get_page(client, "/traces")) == before
    assert (before[0][1], before[0][4], before[0][8]) == ("chat, search", "2", "0.00475 1 unpriced")
    assert before[1][2] == "1 call unpriced, not in the sum"


def test_what_has_no_price_is_unknown_and_stands_last(acme):
    book(acme, {"trace_id": "dark", "model": "no-such-model", "time": NOW}, {"trace_id": "light", "time": NOW})
    rows = get_rows(get_page(sign_in(acme), "/traces"))
    assert [(row[0].split()[-1], row[8]) for row in rows] == [
        ("light", "0.00475"), ("dark", "unknown"), ("2", "0.00475")
    ]  # fmt: skip
    page = get_page(sign_in(acme), "/traces/dark")
    assert [row[-2:] for row in get_rows(page)] == [["unknown", "unknown"], ["", "unknown"]]
    assert "0.00" not in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("feature=chat", ["a"]), ("model=gpt-4o-2024-08-06", ["b", "a"]), ("user=ann", ["b"]), ("q=run-7", ["b"]),
        ("q=b", ["b"]), ("feature=chat&user=ann", []), ("sort=calls", ["b", "a"]), ("sort=duration", ["a", "b"]),
        ("feature=%27", []), ("page=2", []), ("page=nine", ["b", "a"]), ("sort=magic", ["b", "a"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_rolled_up", [True, False])
def test_filters_and_orders(acme, query, expected, is_rolled_up):
    book(
        acme,
        {"trace_id": "a", "feature": "chat", "time": NOW, "latency_ms": 9_000, "user": "bob"},
        {"trace_id": "b", "feature": "search", "user": "ann", "session_id": "run-7", "time": NOW, "latency_ms": 10},
        {"trace_id": "b", "feature": "search", "user": "ann", "session_id": "run-7", "time": NOW, "latency_ms": 10},
    )
    if is_rolled_up:
        roll_up()
    html = get_page(sign_in(acme), f"/traces?{query}")
    tables = read_tables(html)
    assert [row[0].split()[-1] for row in tables[0][1:] if row[0][0].isdigit()] == expected if tables else not expected


def test_a_filter_of_the_form_becomes_part_of_the_address(acme):
    client = sign_in(acme)
    answer = client.get("/traces?add=feature&value=chat&period=30d&page=3")
    assert answer["Location"] == "/traces?period=30d&page=3&feature=chat"
    assert client.get("/traces?q=a&add=q&value=b")["Location"] == "/traces?q=b"
    assert client.get("/traces?q=a%00b").status_code == 400


def test_pages_say_what_is_on_the_others(acme):
    book(acme, *({"trace_id": f"t{n:02}", "time": NOW} for n in range(53)))
    roll_up()
    client = sign_in(acme)
    rows = get_rows(get_page(client, "/traces"))
    assert [row[0] for row in rows[50:]] == ["These 50", "Others, on other pages: 3", "All 53"]
    assert [row[8] for row in rows[50:]] == ["0.24", "0.0142", "0.25"]  # 50, 3 and 53 times 0.00475
    rows = get_rows(get_page(client, "/traces?page=2"))
    assert [row[0] for row in rows[3:]] == ["These 3", "Others, on other pages: 50", "All 53"]


def test_the_file_has_every_digit_of_the_page(acme):
    book(acme, {"trace_id": "=1+1", "time": NOW, "user": "ann", "latency_ms": 1500})
    client = sign_in(acme)
    heading, row = csv.reader(io.StringIO(client.get("/traces/list/file").content.decode()))
    told = dict(zip(heading, row, strict=True))
    assert (told["trace_id"], told["billed_cost"], told["duration_ms"]) == ("'=1+1", "0.004750000000", "1500")


def test_a_list_without_traces_says_why(acme):
    client = sign_in(acme)
    assert "No call began in these days" in get_page(client, "/traces")
    book(acme, {"time": NOW})
    assert "The calls of these days name no trace." in get_page(client, "/traces")
    assert "No trace passes every filter." in get_page(client, "/traces?feature=none")


def send_agent(key):
    """An agent with a plan (0.006), a search (0.012) that has a summary (0.006) below it, and a step that is free."""
    agent = make_agent(age_ms=60_000, duration_ms=50_000)
    plan = make_span(agent, age_ms=59_000, name="plan")
    search = make_span(agent, age_ms=50_000, duration_ms=20_000, name="search", attributes={"http.method": "GET"})
    dear = make_span(search, age_ms=49_000, name="answer", attributes=TWICE)
    cheap = make_span(search, age_ms=45_000, name="title")
    log = make_step(agent, age_ms=20_000, name="log")
    send(key, plan, search, dear, cheap, log, agent, **{"service.name": "shop"})
    return agent, search


def test_a_trace_is_a_tree_whose_costs_add_up_to_the_ledger_and_whose_dearest_path_is_marked(acme, key):
    agent, search = send_agent(key)
    html = get_page(sign_in(acme), f"/traces/{agent.trace_id}")
    assert [(row[0].split()[0], *row[-2:]) for row in get_rows(html)] == [
        ("◆", "–", "0.0240"), ("plan", "0.00600", "0.00600"), ("◆", "–", "0.0180"), ("◆", "0.0120", "0.0120"),
        ("title", "0.00600", "0.00600"), ("log", "–", "–"), ("The", "", "0.0240"),
    ]  # fmt: skip
    assert 'class="total cast"' in html
    assert read_figures(html)[:5] == ["0.024", "6000", "4800", "1200", "3"]  # 1,200 + 2,400 + 1,200 in, three calls
    assert "the dearest path ends in <b>answer</b>" in html
    assert "billed in another span, which says the same usage" in html  # the agent repeats what its calls say
    part = get_page(sign_in(acme), f"/traces/{agent.trace_id}?under={search.span_id}")
    assert [row[-1] for row in get_rows(part)] == ["0.0180", "0.0120", "0.00600", "0.0180"]


def test_each_cost_leads_to_its_entry_and_the_entry_and_the_ledger_to_the_trace(acme, key):
    agent, _ = send_agent(key)
    client = sign_in(acme)
    html = get_page(client, f"/traces/{agent.trace_id}")
    hrefs = {part.split('"')[0] for part in html.split('href="')[1:] if part.startswith("/ledger/")}
    assert len(hrefs) == 3
    for href in hrefs:
        assert f'href="/traces/{agent.trace_id}"' in get_page(client, href)
    assert f'href="/traces/{agent.trace_id}"' in get_page(client, f"/ledger?trace_id={agent.trace_id}&environment=all")
    assert client.get("/find", {"q": agent.trace_id})["Location"] == f"/traces/{agent.trace_id}"
    told = client.get(f"/traces/{agent.trace_id}/json").json()
    assert (told["billed_cost"], len(told["spans"])) == ("0.024000000000", 6)


def test_a_trace_without_kept_spans_is_made_of_its_calls(acme):
    book(acme, {"trace_id": "a/b?c", "time": NOW, "span_id": "s1"}, {"trace_id": "a/b?c", "time": NOW})
    client = sign_in(acme)
    [row, _] = get_rows(get_page(client, "/traces"))
    assert row[3] == "–"
    href = "/traces/a%252Fb%3Fc"
    assert f'href="{href}"' in get_page(client, "/traces")
    assert [row[-1] for row in get_rows(get_page(client, href))] == ["0.00475", "0.00475", "0.00950"]


def test_spans_of_a_wrong_clock_an_unknown_parent_and_a_circle_are_shown_and_say_so(acme, key):
    root = make_agent(age_ms=30_000, duration_ms=10_000)
    late = make_span(root, age_ms=21_000, duration_ms=9_000, name="late")
    orphan = make_span(trace_id=root.trace_id, parent_span_id="00f067aa0ba902b7", name="orphan")
    first = make_step(trace_id=root.trace_id, name="first", age_ms=29_000)
    second = make_step(first, name="second", age_ms=28_000)
    first.parent_span_id = second.span_id
    send(key, root, late, orphan, first, second)
    rows = {row[0]: row for row in get_rows(get_page(sign_in(acme), f"/traces/{root.trace_id}"))}
    text = " | ".join(rows)
    assert "late chat · tests outside its parent's time" in text.replace("&#x27;", "'") or "outside its parent" in text
    assert "its parent is not among the spans" in text
    assert "among its own parents" in text
    assert len(rows) == 6
    assert list(rows.values())[-1][-1] == "0.0120"


def test_a_call_that_another_trace_reported_first_costs_nothing_here_and_says_where_it_is(acme, key):
    response = CALL | {"gen_ai.response.id": "chatcmpl-7"}
    first, second = make_span(attributes=response), make_span(attributes=response)
    send(key, first)
    send(key, second)
    html = get_page(sign_in(acme), f"/traces/{second.trace_id}")
    assert "booked in another trace, which reported the call first" in html
    assert get_rows(html)[0][-2:] == ["its entry", "–"]


def test_a_long_trace_is_read_by_pages_and_its_total_is_whole(acme):
    book(
        acme,
        *({"trace_id": "long", "time": NOW + timedelta(milliseconds=n), "span_id": f"{n:016x}"} for n in range(450)),
    )
    client = sign_in(acme)
    rows = get_rows(get_page(client, "/traces/long"))
    assert len(rows) == 202
    assert (rows[200][0], rows[200][6]) == ("Other 250, on other pages", "1.19")  # 250 × 0.00475 = 1.1875
    assert rows[201][-1] == "2.14"  # 450 × 0.00475 = 2.1375
    assert len(get_rows(get_page(client, "/traces/long?page=3"))) == 52


def test_another_tenants_trace_is_unknown_and_in_no_list(acme, key):
    agent, _ = send_agent(key)
    roll_up()
    globex = sign_in(make_tenant("globex"))
    for path in (f"/traces/{agent.trace_id}", f"/traces/{agent.trace_id}/json", f"/traces/{new_trace_id()}"):
        assert globex.get(path).status_code == 404
    assert agent.trace_id[:8] not in get_page(globex, "/traces?environment=all&period=90d")
    assert Client().get("/traces").status_code == 302


def test_the_list_asks_the_same_number_of_queries_at_one_and_at_fifty_traces(acme):
    client = sign_in(acme)
    counts = []
    for number in (1, 49):
        book(acme, *({"trace_id": f"{number}-{n}", "time": NOW} for n in range(number)))
        roll_up()
        with CaptureQueriesContext(connection) as queries:
            get_page(client, "/traces")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_sums_of_a_trace_are_those_of_its_rollup(acme, key):
    agent, _ = send_agent(key)
    roll_up()
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("SELECT billed_cost, calls, tokens FROM trace_cost WHERE trace_id = %s", [agent.trace_id])
        assert cursor.fetchone() == (Decimal("0.024"), 3, 6000)
