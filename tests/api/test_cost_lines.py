"""POST /v1/events?format=cost_lines: a plain log of costs, through the same door and with the same verdicts."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from billing.core.cost_lines import CostLineOptions
from billing.cost_logs import load_log
from tests.factories import make_key, make_tenant, publish_test_rates
from tests.rows import read

pytestmark = pytest.mark.usefixtures("committed_db")
TODAY = f"{datetime.now(UTC):%Y-%m-%d}"
LINE = f'{{"timestamp": "{TODAY} 00:00:00+00:00", "model": "gpt-4o-2024-08-06", "tokens": 1500, "cost": 0.0075}}'
OTHER = LINE.replace("1500", "2000").replace("0.0075", "4.1400000000000003e-05")


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def key(acme):
    return make_key(acme, "ingest")


def post(key, body, *, content_type="application/x-ndjson", **query):
    query = {"format": "cost_lines", "source": "gateway"} | query
    address = f"/v1/events?{urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)}"
    return Client().post(address, body, content_type=content_type, HTTP_AUTHORIZATION=f"Bearer {key}")


def test_lines_are_booked_by_our_rates_with_their_cost_beside_to_the_last_digit(acme, key):
    answer = post(key, f"{LINE}\n{OTHER}\n", feature="chat")
    assert answer.status_code == 200, answer.content
    assert answer.json()["accepted"] == 2
    query = (
        "SELECT event_id, provider, feature, input_tokens, billed_cost, reported_cost FROM ledger_entry ORDER BY line"
    )
    assert read(acme, query) == [
        ("gateway:1", "openai", "chat", 1500, Decimal("0.00375"), Decimal("0.0075")),
        ("gateway:2", "openai", "chat", 2000, Decimal("0.005"), Decimal("0.0000414")),
    ]


def test_a_list_a_line_alone_and_the_file_are_the_same_lines(acme, key, tmp_path):
    assert post(key, f"[{LINE}, {OTHER}]", content_type="application/json").json()["accepted"] == 2
    assert post(key, LINE, content_type="application/json").json()["duplicates"] == 1
    assert post(key, f"\n{OTHER}").json()["duplicates"] == 1  # a blank line has its number
    assert post(key, OTHER, first_line=2).json()["duplicates"] == 1
    path = tmp_path / "gateway.jsonl.gz"
    path.write_bytes(gzip.compress(f"{LINE}\n{OTHER}\n".encode()))
    options = CostLineOptions("gateway", zone=ZoneInfo("UTC"))
    summary = load_log(path=path, tenant_id=acme.id, now=datetime.now(UTC), options=options)
    assert (summary.read, summary.duplicates) == (2, 2)


def test_the_same_number_with_other_figures_is_a_conflict(key):
    post(key, LINE)
    [conflict] = post(key, OTHER).json()["results"]
    assert (conflict["id"], conflict["code"], conflict["fields"]) == (
        "gateway:1", "event_conflict", ["input_tokens", "reported_cost"],
    )  # fmt: skip


def test_times_without_a_zone_need_one_named(acme, key):
    line = '{"timestamp": "2026-07-02 09:15:00", "model": "gpt-4", "tokens": 1}'
    [refused] = post(key, line).json()["results"]
    assert refused["problems"] == [
        {
            "field": "timestamp",
            "code": "zone_missing",
            "detail": (
                "names no zone: say in which the log was written, by timezone=Europe/Berlin (--timezone of the "
                "command), or UTC"
            ),
        }
    ]
    assert post(key, line, timezone="Europe/Berlin").json()["accepted"] == 1
    assert read(acme, "SELECT charge_period_start FROM ledger_entry") == [(datetime(2026, 7, 2, 7, 15, tzinfo=UTC),)]


BAD_LINES = [
    ('{"timestamp": "2026-03-29 02:30:00", "model": "gpt-4", "tokens": 1}', "timestamp", "nonexistent_time"),
    ('{"timestamp": "2020-03-02 02:30:00", "model": "gpt-4", "tokens": 1}', "timestamp", "time_out_of_window"),
    ('{"timestamp": "2099-03-02 02:30:00", "model": "gpt-4", "tokens": 1}', "timestamp", "time_out_of_window"),
    ('{"timestamp": "2026-07-02 02:30:00", "model": "gpt-4", "tokens": 1, "latency": 2}', "latency", "unknown_field"),
    ('{"timestamp": "2026-07-02 02:30:00", "model": "gpt-4", "tokens": 1, "tokens": 2}', "tokens", "duplicate_field"),
    ('{"timestamp": "2026-07-02 02:30:00", "model": "gpt-4", "cost": 1}', "tokens", "missing_field"),
    ("plain text", "", "malformed_json"),
    ("[1]", "", "wrong_type"),
]


@pytest.mark.parametrize(("bad", "field", "code"), BAD_LINES)
def test_a_bad_line_is_named_and_costs_its_neighbours_nothing(acme, key, bad, field, code):
    answer = post(key, f"{LINE}\n{bad}\n{OTHER}", timezone="Europe/Berlin")
    assert (answer.status_code, answer.json()["accepted"]) == (207, 2)
    [item] = answer.json()["results"]
    assert (item["index"], item["id"], item["code"]) == (1, "gateway:2", code)
    assert field in [problem["field"] for problem in item["problems"]]
    assert read(acme, "SELECT event_id, code, body FROM rejected_event") == [("gateway:2", code, bad)]


def test_an_older_line_is_booked_with_the_scope_backfill(acme):
    line = '{"timestamp": "2020-03-02 02:30:00", "model": "gpt-4", "tokens": 1}'
    assert post(make_key(acme, "ingest,backfill"), line, timezone="UTC").json()["accepted"] == 1


BAD_QUERIES = [
    ({"source": None}, "source: This is required"),
    ({"source": "x" * 201}, "source: At most 200 characters are taken."),
    ({"format": "events"}, "source: This goes with format=cost_lines."),
    ({"format": "csv"}, "format: One of events, cost_lines is taken."),
    ({"timezone": "Mars/Olympus"}, "timezone: A name of the IANA time zone database is taken"),
    ({"first_line": "0"}, "first_line: A whole number from 1"),
]


@pytest.mark.parametrize(("query", "text"), BAD_QUERIES)
def test_a_query_that_cannot_be_is_refused_whole(acme, key, query, text):
    answer = post(key, LINE, **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "query_invalid")
    assert text in answer.json()["detail"]
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(0,)]


def test_a_field_that_is_to_be_ignored_is(key):
    line = json.dumps(json.loads(LINE) | {"latency": 2, "trace": {"a": 1}})
    assert post(key, line, ignore=["latency", "trace"]).json()["accepted"] == 1


def test_atomic_books_all_lines_or_none(acme, key):
    assert post(key, f"{LINE}\nplain text", atomic="true").status_code == 422
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(0,)]


def test_cloudevents_hold_no_cost_lines(key):
    answer = post(key, LINE, content_type="application/cloudevents+json")
    assert (answer.status_code, answer.json()["code"]) == (415, "content_type_unknown")


def test_globex_may_have_the_same_log(acme, key):
    globex = make_tenant("globex")
    post(key, LINE)
    assert post(make_key(globex, "ingest"), LINE).json()["accepted"] == 1
    assert read(globex, "SELECT count(*) FROM ledger_entry") == [(1,)]
