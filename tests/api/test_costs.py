from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from api.views.costs import QUANTITY_NAMES
from billing.rollups import apply_batches
from billing.selectors import Quantities
from tenants.scope import tenant_scope
from tests.api.conftest import Machine
from tests.factories import make_event, make_key, make_tenant

NOW = datetime.now(UTC)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}
# 200 tokens at 2.50, 1,000 cached at 1.25, 300 at 10.00 USD a million.
ONE_EVENT = "0.004750000000"


def ask(machine, **query):
    response = machine.get("/v1/costs", {**NOVEMBER, **query})
    assert response.status_code == 200, response.content
    return response.json()


def sum_ledger(tenant):
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SELECT sum(billed_cost)::text FROM ledger_entry")
        return cursor.fetchone()[0]


def test_the_answer_has_rows_totals_coverage_and_how_far_it_is_complete(machine, acme, book):
    book(acme, make_event(time=NOON), make_event(time=NOON), make_event(time=NOON, model="unheard-of"))
    answer = ask(machine)
    assert {name: answer[name] for name in ("from", "to", "granularity", "timezone", "group_by", "currency")} == {
        "from": "2026-11-01T00:00:00.000000Z",
        "to": "2026-12-01T00:00:00.000000Z",
        "granularity": "day",
        "timezone": "UTC",
        "group_by": [],
        "currency": "USD",
    }
    (row,) = answer["rows"]
    assert row == {"period_start": "2026-11-22T00:00:00.000000Z", **answer["totals"]}
    assert answer["totals"] == {
        "events": 3,
        "unpriced_events": 1,
        "error_events": 0,
        "input_tokens": 600,
        "cache_read_tokens": 3000,
        "cache_write_tokens": 0,
        "cache_write_1h_tokens": 0,
        "output_tokens": 900,
        "reasoning_tokens": 0,
        "input_cost": "0.001000000000",
        "cache_read_cost": "0.002500000000",
        "cache_write_cost": "0.000000000000",
        "output_cost": "0.006000000000",
        "other_cost": "0.000000000000",
        "billed_cost": "0.009500000000",
        "list_cost": "0.009500000000",
        "saved_cost": "0.002500000000",
        "reported_cost": "0.000000000000",
    }
    assert answer["coverage"] == {"priced": 2, "unpriced": 1}
    assert answer["complete_to"].endswith("Z") and "previous" not in answer


def test_the_total_is_the_ledgers_sum_to_the_last_digit_before_and_after_the_rollup(machine, acme, book):
    book(
        acme,
        *(make_event(time=NOON, usage={"input_tokens": 7 * number, "output_tokens": number}) for number in range(50)),
    )
    waiting = ask(machine)
    assert waiting["totals"]["billed_cost"] == sum_ledger(acme)
    apply_batches(now=NOW)
    rolled_up = ask(machine)
    assert rolled_up["totals"] == waiting["totals"] and rolled_up["rows"] == waiting["rows"]
    book(acme, make_event(time=NOON))
    assert ask(machine)["totals"]["billed_cost"] == sum_ledger(acme)


def test_rows_are_grouped_by_up_to_three_dimensions(machine, acme, book):
    book(
        acme,
        make_event(time=NOON, feature="search", environment="staging"),
        make_event(time=NOON, feature="search"),
        make_event(time=NOON, feature=""),
    )
    answer = ask(machine, granularity="total", group_by=["feature", "environment", "key"])
    assert answer["group_by"] == ["feature", "environment", "key"]
    found = {
        (row["feature"], row["environment"], row["key"], row["period_start"], row["events"]) for row in answer["rows"]
    }
    assert found == {
        ("search", "staging", "testkey", None, 1),
        ("search", "production", "testkey", None, 1),
        ("", "production", "testkey", None, 1),
    }
    assert answer["totals"]["events"] == 3


def test_users_are_named_as_they_were_sent_and_found_by_that_name(machine, acme, book):
    book(acme, make_event(time=NOON, user="u-17"), make_event(time=NOON, user="u-18"))
    rows = ask(machine, granularity="total", group_by="user")["rows"]
    assert sorted(row["user"] for row in rows) == ["u-17", "u-18"]
    assert ask(machine, user="u-17")["totals"]["events"] == 1
    assert ask(machine, user="nobody")["totals"]["events"] == 0


@pytest.mark.parametrize(
    ("query", "events"),
    [
        ({"feature": "search"}, 1),
        ({"feature": ["search", ""]}, 2),
        ({"environment": "staging"}, 1),
        ({"model": "gpt-4o-2024-08-06", "provider": "openai"}, 2),
        ({"cost_center": "retail"}, 0),
        ({"key": "testkey"}, 2),
        ({"operation": "chat"}, 2),
    ],
)
def test_filters_narrow_the_answer(machine, acme, book, query, events):
    book(acme, make_event(time=NOON, feature="search", environment="staging"), make_event(time=NOON, feature=""))
    answer = ask(machine, **query)
    assert answer["totals"]["events"] == events
    assert answer["totals"]["billed_cost"] == f"{Decimal(ONE_EVENT) * events:.12f}"


def test_days_begin_in_the_tenants_time_zone_unless_another_is_named(book, db):
    tokyo = make_tenant("acme", timezone="Asia/Tokyo")
    machine = Machine(make_key(tokyo, "read"))
    book(tokyo, make_event(time=datetime(2026, 11, 21, 15, 0, tzinfo=UTC)))  # midnight of the 22nd in Tokyo
    day = {"from": "2026-11-22", "to": "2026-11-23"}
    assert ask(machine, **day)["rows"][0]["period_start"] == "2026-11-21T15:00:00.000000Z"
    assert ask(machine, **day, timezone="UTC")["rows"] == []
    assert (
        ask(machine, **{"from": "2026-11-22T00:00:00+09:00", "to": "2026-11-23T00:00:00+09:00"})["totals"]["events"]
        == 1
    )


@pytest.mark.parametrize(
    ("query", "previous"),
    [
        ({}, ("2026-10-01", "2026-11-01")),
        ({"from": "2026-11-01", "to": "2026-11-23"}, ("2026-10-01", "2026-10-23")),
        ({"from": "2026-11-16", "to": "2026-11-23"}, ("2026-11-09", "2026-11-16")),
        ({"from": "2026-06-01", "to": "2026-06-29", "granularity": "week"}, ("2026-05-04", "2026-06-01")),
        ({"from": "2026-01-01", "to": "2026-04-01", "granularity": "month"}, ("2025-10-01", "2026-01-01")),
    ],
)
def test_a_period_is_compared_with_the_one_before(machine, acme, query, previous):
    answer = ask(machine, compare="previous", **query)
    assert (answer["previous"]["from"][:10], answer["previous"]["to"][:10]) == previous
    assert set(answer["previous"]) == {"from", "to", "rows", "totals", "coverage"}


def test_the_period_before_is_counted_like_the_period(machine, acme, book):
    book(
        acme,
        make_event(time=NOON),
        make_event(time=NOON - timedelta(days=31)),
        make_event(time=NOON - timedelta(days=31)),
    )
    answer = ask(machine, compare="previous", granularity="month")
    assert (answer["totals"]["events"], answer["previous"]["totals"]["events"]) == (1, 2)


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-11-01T00:30:00Z"},
        {"from": "2026-11-02", "granularity": "month"},
        {"to": "2026-11-29", "granularity": "week"},
        {"to": "2026-11-30T12:00:00Z"},
        {"group_by": ["user", "cost_center"]},
        {"user": "u-17", "key": "testkey"},
    ],
)
def test_a_question_without_an_exact_answer_is_refused(machine, query):
    response = machine.get("/v1/costs", {**NOVEMBER, **query})
    assert (response.status_code, response.json()["code"]) == (422, "query_refused")
    assert response.json()["detail"].endswith(".")


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", ["from", "to"]),
        ("from=2026-11-01&to=2026-11-01", ["to"]),
        ("from=2026-12-01&to=2026-11-01", ["to"]),
        ("from=2000-01-01&to=2026-01-01&granularity=hour", ["granularity"]),
        ("from=2026-11-01&to=2026-12-01&granularity=minute", ["granularity"]),
        ("from=2026-11-01&to=2026-12-01&timezone=Mars/Olympus", ["timezone"]),
        ("from=2026-11-01&to=2026-12-01&timezone=../../etc/passwd", ["timezone"]),
        ("from=2026-11-01&to=2026-12-01&timezone=%00", ["timezone"]),
        ("from=2026-11-01&to=2026-12-01&group_by=colour", ["group_by"]),
        ("from=2026-11-01&to=2026-12-01&group_by=model&group_by=model", ["group_by"]),
        ("from=2026-11-01&to=2026-12-01&group_by=model&group_by=key&group_by=user&group_by=feature", ["group_by"]),
        ("from=2026-11-01&to=2026-12-01&compare=next", ["compare"]),
        ("from=2026-11-01&to=2026-12-01&features=search", ["features"]),
    ],
)
def test_a_wrong_parameter_is_named(machine, query, fields):
    response = machine.get(f"/v1/costs?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "query_invalid")
    assert [fault["field"] for fault in response.json()["problems"]] == fields


def test_a_plus_that_was_not_escaped_is_read_as_one(machine):
    response = machine.get("/v1/costs?from=2026-11-01T00:00:00+00:00&to=2026-12-01T01:00:00+01:00")
    assert (response.status_code, response.json()["to"]) == (200, "2026-12-01T00:00:00.000000Z")


def test_another_tenant_sees_none_of_it(acme, stranger, operator, book):
    book(acme, make_event(time=NOON))
    assert ask(stranger, group_by="feature")["rows"] == []
    assert ask(stranger)["totals"]["billed_cost"] == "0.000000000000"
    response = operator.get("/v1/costs", NOVEMBER, **{"X-Tenant": acme.slug})
    assert response.json()["totals"]["billed_cost"] == ONE_EVENT


def test_an_answer_takes_the_same_number_of_queries_however_much_there_is(
    machine, acme, book, django_assert_num_queries
):
    book(acme, make_event(time=NOON))
    with django_assert_num_queries(6):  # key; SAVEPOINT, tenant set, one statement, tenant set back, RELEASE
        ask(machine)
    book(acme, *(make_event(time=NOON, feature=f"feature-{number}") for number in range(50)))
    apply_batches(now=NOW)
    with django_assert_num_queries(6):
        ask(machine, group_by="feature")


def test_an_answer_names_the_sums_in_the_order_in_which_they_are_kept():
    assert QUANTITY_NAMES[:3] == ("events", "unpriced_events", "error_events")
    assert QUANTITY_NAMES[3:] == Quantities._fields[3:]
