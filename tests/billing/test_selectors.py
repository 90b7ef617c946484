"""Reading cost: rollups and what still waits, in one snapshot, equal to the ledger to the last digit."""

import random
import threading
from collections import defaultdict
from dataclasses import astuple, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import DataError, connection, connections

from billing.job_runs import beat_heart
from billing.models import Quantities as QuantitiesColumns
from billing.rollups import apply_batches, change_reporting_timezone, reconcile_rollups
from billing.rollups.batches import apply_claim
from billing.selectors import (
    CostQuery,
    Quantities,
    QueryRefused,
    get_costs,
    get_coverage,
    get_heartbeat,
    get_intake,
    get_last_reconciliation,
    get_percentiles,
    get_rollup_lag,
    list_dimension_values,
    list_unpriced_models,
    sum_costs_by_tenant,
)
from ledger.selectors import EntryFilters, list_entries
from tenants.scope import tenant_scope
from tests.billing.ledger_rows import (
    COST_COLUMNS,
    TOKEN_COLUMNS,
    book_entries,
    make_entry,
    read_entries,
    reverse,
)
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
NOW = datetime.now(UTC).replace(microsecond=0)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def acme():
    return make_tenant("acme")


def apply_all():
    while apply_batches(now=NOW):
        pass


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def ask(tenant, start=OCTOBER, end=NOVEMBER, granularity="total", timezone="UTC", group_by=(), **filters):
    return get_costs(
        CostQuery(tenant.id, start, end, granularity, timezone, group_by, filters),
    )


def list_billed(costs):
    return [(row.period_start, *row.group, row.quantities.billed_cost) for row in costs.rows]


def test_quantities_are_the_rollups_columns():
    assert list(Quantities._fields) == [field.name for field in QuantitiesColumns._meta.fields]


def test_a_total_is_rollups_plus_what_still_waits(acme):
    book_entries(acme, make_entry(time=at("2026-10-05T10:00"), cost="0.000000000001", cache_read_tokens=40))
    apply_all()
    book_entries(
        acme,
        make_entry(time=at("2026-10-05T10:30"), cost="123456789.123456789012", status="error"),
        make_entry(time=at("2026-10-06T10:30"), cost=None),
    )
    before = datetime.now(UTC)
    costs = ask(acme)
    assert costs.totals == Quantities(
        calls=3,
        unpriced_calls=1,
        error_calls=1,
        input_tokens=3000,
        cache_read_tokens=40,
        output_tokens=900,
        input_cost=Decimal("123456789.123456789013"),
        billed_cost=Decimal("123456789.123456789013"),
        list_cost=Decimal("123456789.123456789013"),
    )
    assert before <= costs.complete_to <= datetime.now(UTC)
    apply_all()
    assert ask(acme).totals == costs.totals


def test_nothing_booked_is_no_row_and_a_total_of_zero(acme):
    costs = ask(acme, granularity="day", group_by=("feature",))
    assert (costs.rows, costs.totals) == ([], Quantities())
    assert costs.complete_to.tzinfo is not None


def test_a_total_does_not_move_while_it_is_rolled_up(acme):
    for _ in range(30):
        book_entries(acme, *(make_entry(time=at("2026-10-05T10:00"), cost="1") for _ in range(5)))
    seen, done = set(), threading.Event()

    def read():
        while not done.is_set():
            seen.add(ask(acme, granularity="day").totals.billed_cost)
            seen.add(ask(acme, granularity="hour").totals.billed_cost)
        connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for (outbox_id,) in _read_outbox(acme):
            apply_claim(tenant_id=acme.id, now=NOW, outbox_id=outbox_id)
    finally:
        done.set()
        reader.join()
    assert seen == {Decimal(150)}


def _read_outbox(tenant):
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM outbox WHERE tenant_id = %s ORDER BY id", [tenant.id])
        return cursor.fetchall()


def test_globex_sees_nothing_of_acme(acme):
    globex = make_tenant("globex")
    book_entries(acme, make_entry(time=at("2026-10-05T10:00")))
    apply_all()
    book_entries(acme, make_entry(time=at("2026-10-05T10:00")))
    assert ask(globex).totals == Quantities()
    assert ask(globex, group_by=("user",)).rows == []
    assert get_percentiles(
        tenant_id=globex.id, start_day=date(2026, 10, 1), end_day=date(2026, 11, 1), measure="billed_cost"
    ) == {}  # fmt: skip
    assert set(list_dimension_values(tenant_id=globex.id, start=OCTOBER, end=NOVEMBER).values()) == {()}


@pytest.fixture(params=["rolled up", "waiting", "half of it waiting"])
def berlin(request):
    """A tenant in Berlin with a cost of 1, 2, 4, … at moments about the ends of its days."""
    tenant = make_tenant("acme", timezone="Europe/Berlin")
    moments = (
        "2026-10-24T21:59",  # Saturday 24 October, 23:59
        "2026-10-24T22:00",  # Sunday 25, 00:00: a day of 25 hours
        "2026-10-25T00:30",  # 02:30, summer time
        "2026-10-25T01:30",  # 02:30, winter time
        "2026-10-25T22:59",  # 23:59
        "2026-10-25T23:00",  # Monday 26, 00:00
        "2026-10-31T22:59",  # Saturday 31, 23:59
        "2026-10-31T23:00",  # Sunday 1 November, 00:00
    )
    for power, moment in enumerate(moments):
        book_entries(tenant, make_entry(time=at(moment), cost=str(2**power)))
        if request.param == "half of it waiting" and power == 3:
            apply_all()
    if request.param == "rolled up":
        apply_all()
    return tenant


@pytest.mark.parametrize(
    ("granularity", "timezone", "start", "end", "expected"),
    [
        ("hour", "Europe/Berlin", "2026-10-25T00:00", "2026-10-25T02:00",
         [("2026-10-25T00:00", 4), ("2026-10-25T01:00", 8)]),
        ("hour", "UTC", "2026-10-24T21:00", "2026-10-24T23:00", [("2026-10-24T21:00", 1), ("2026-10-24T22:00", 2)]),
        ("day", "Europe/Berlin", "2026-10-23T22:00", "2026-10-26T23:00",
         [("2026-10-23T22:00", 1), ("2026-10-24T22:00", 30), ("2026-10-25T23:00", 32)]),
        ("day", "UTC", "2026-10-24T00:00", "2026-10-26T00:00", [("2026-10-24T00:00", 3), ("2026-10-25T00:00", 60)]),
        ("day", "America/New_York", "2026-10-24T04:00", "2026-10-25T04:00", [("2026-10-24T04:00", 15)]),
        ("week", "Europe/Berlin", "2026-10-18T22:00", "2026-11-01T23:00",
         [("2026-10-18T22:00", 31), ("2026-10-25T23:00", 224)]),
        ("month", "Europe/Berlin", "2026-09-30T22:00", "2026-11-30T23:00",
         [("2026-09-30T22:00", 127), ("2026-10-31T23:00", 128)]),
        ("month", "UTC", "2026-10-01T00:00", "2026-12-01T00:00", [("2026-10-01T00:00", 255)]),
        ("total", "Europe/Berlin", "2026-10-24T22:00", "2026-10-25T23:00", [(None, 30)]),
        ("total", "UTC", "2026-10-24T21:00", "2026-10-25T01:00", [(None, 7)]),
    ],
)  # fmt: skip
def test_periods_are_those_of_the_time_zone(berlin, granularity, timezone, start, end, expected):
    costs = ask(berlin, at(start), at(end), granularity, timezone)
    assert list_billed(costs) == [(moment and at(moment), Decimal(cost)) for moment, cost in expected]


def test_rows_are_grouped_filtered_and_in_order(acme):
    for moment, feature, model, environment, cost in (
        ("2026-10-05T10:00", "search", "m1", "production", "1"),
        ("2026-10-05T11:00", "search", "m2", "production", "2"),
        ("2026-10-05T12:00", "chat", "m1", "staging", "4"),
        ("2026-10-06T10:00", "", "m1", "production", "8"),
    ):
        book_entries(
            acme, make_entry(time=at(moment), feature=feature, model=model, environment=environment, cost=cost)
        )
        if feature == "chat":
            apply_all()
    fifth, sixth = at("2026-10-05T00:00"), at("2026-10-06T00:00")
    assert list_billed(ask(acme, granularity="day", group_by=("feature", "model"))) == [
        (fifth, "chat", "m1", 4),
        (fifth, "search", "m1", 1),
        (fifth, "search", "m2", 2),
        (sixth, "", "m1", 8),
    ]
    assert list_billed(ask(acme, group_by=("model", "feature"), environment=("production",))) == [
        (None, "m1", "", 8),
        (None, "m1", "search", 1),
        (None, "m2", "search", 2),
    ]
    assert ask(acme, feature=("", "chat")).totals.billed_cost == 12
    assert ask(acme, feature=("",), model=("m2",)).totals == Quantities()


@pytest.mark.parametrize(
    ("dimension", "column"),
    [
        ("feature", "feature"), ("model", "model"), ("provider", "provider"), ("environment", "environment"),
        ("cost_center", "cost_center"), ("user", "user_ref"), ("operation", "operation"),
        ("service_tier", "service_tier"),
    ],
)  # fmt: skip
def test_every_dimension_groups_and_filters_what_is_rolled_up_and_what_waits(acme, dimension, column):
    book_entries(acme, make_entry(time=at("2026-10-05T10:00"), cost="1", **{column: "x"}))
    apply_all()
    book_entries(
        acme,
        make_entry(time=at("2026-10-05T10:00"), cost="2", **{column: "x"}),
        make_entry(time=at("2026-10-05T10:00"), cost="4", **{column: "y"}),
    )
    assert list_billed(ask(acme, group_by=(dimension,))) == [(None, "x", 3), (None, "y", 4)]
    assert ask(acme, granularity="day", **{dimension: ("y",)}).totals.billed_cost == 4


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"feature.not": ("search",)}, 1 + 4 + 8),
        ({"feature.not": ("search", "")}, 1 + 4),
        ({"feature.contains": ("CHAT",)}, 1 + 4),
        ({"feature.starts": ("chat", "sea")}, 1 + 2),
        ({"feature.contains": ("_",)}, 4),  # and not any character, as in LIKE
        ({"feature.contains": ("chat",), "feature.not": ("Chat",)}, 4),
        ({"feature.contains": ("%",)}, 0),
    ],
)
def test_a_filter_may_name_what_does_not_count_or_a_part_of_what_does(acme, filters, expected):
    costs = {"Chat": "1", "search": "2", "old_chat": "4", "": "8"}
    entries = [make_entry(time=at("2026-10-05T10:00"), cost=cost, feature=name) for name, cost in costs.items()]
    book_entries(acme, *entries[:2])
    apply_all()
    book_entries(acme, *entries[2:])
    assert ask(acme, **filters).totals.billed_cost == expected
    listed = list_entries(tenant_id=acme.id, filters=EntryFilters(matches=filters)).entries
    assert sum(entry["billed_cost"] for entry in listed) == expected


def test_a_key_is_a_dimension_too(acme):
    book_entries(acme, make_entry(time=at("2026-10-05T10:00"), cost="1"), api_key_id="one")
    apply_all()
    book_entries(acme, make_entry(time=at("2026-10-05T10:00"), cost="2"), api_key_id="two")
    assert list_billed(ask(acme, group_by=("key",))) == [(None, "one", 1), (None, "two", 2)]


def test_a_reversal_counts_as_one_call_less(acme):
    entry = make_entry(time=at("2026-10-05T10:00"), cost="7")
    book_entries(acme, entry)
    book_entries(acme, reverse(entry))
    assert ask(acme).totals == Quantities()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"granularity": "year"}, "granularity is one of hour, day, week, month, total, not 'year'"),
        ({"end": OCTOBER}, "the end must stand after the start"),
        ({"group_by": ("colour",)}, "'colour' is not one of feature"),
        ({"filters": {"colour": ("red",)}}, "'colour' is not one of feature"),
        ({"filters": {"feature.near": ("red",)}}, "'feature.near' has no operator of not, contains, starts"),
        ({"group_by": ("feature", "model", "provider", "key")}, "at most 3 dimensions"),
        ({"group_by": ("feature", "feature")}, "each once"),
        ({"group_by": ("user", "provider")}, "users are summed by environment, feature, model only"),
        ({"group_by": ("user",), "filters": {"key": ("k",)}}, "users are summed by"),
        ({"start": at("2026-10-01T00:30")}, "the start is not the beginning of a day in UTC"),
        ({"timezone": "Europe/Berlin"}, "the start is not the beginning of a day in Europe/Berlin"),
        ({"granularity": "week"}, "the start is not the beginning of a week in UTC"),
        ({"granularity": "month", "end": at("2026-10-02T00:00")}, "the end is not the beginning of a month in UTC"),
        ({"granularity": "total", "start": at("2026-10-01T00:00:01")}, "not the beginning of a full hour"),
        ({"granularity": "hour", "timezone": "Asia/Kolkata"}, "the hours of Asia/Kolkata are not those of UTC"),
        (
            {"timezone": "Asia/Kolkata", "start": at("2026-09-30T18:30"), "end": at("2026-10-01T18:30")},
            "the hours of Asia/Kolkata are not those of UTC",
        ),
    ],
)
def test_what_cannot_be_answered_exactly_is_refused(acme, changes, message):
    query = replace(CostQuery(acme.id, OCTOBER, NOVEMBER), **changes)
    with pytest.raises(QueryRefused, match=message):
        get_costs(query)


def test_days_of_a_half_hour_zone_are_told_where_they_are_the_tenants_own():
    acme = make_tenant("acme", timezone="Asia/Kolkata")
    book_entries(acme, make_entry(time=at("2026-10-01T18:29"), cost="1"))
    apply_all()
    book_entries(acme, make_entry(time=at("2026-10-01T18:30"), cost="2"))
    start, end = at("2026-09-30T18:30"), at("2026-10-03T18:30")
    assert list_billed(ask(acme, start, end, "day", "Asia/Kolkata")) == [
        (at("2026-09-30T18:30"), 1),
        (at("2026-10-01T18:30"), 2),
    ]
    with pytest.raises(QueryRefused):
        ask(acme, start, end, "day", "Asia/Kolkata", group_by=("user",))


def test_hours_that_are_whole_only_at_both_ends_are_refused(acme):
    # Lord Howe Island: + 11:00 in summer, until the first Sunday of April, + 10:30 in winter.
    start, end = at("2025-12-31T13:00"), at("2026-12-31T13:00")
    with pytest.raises(QueryRefused, match="are not those of UTC"):
        ask(acme, start, end, "total", "Australia/Lord_Howe")
    assert ask(acme, start, at("2026-03-31T13:00"), "total", "Australia/Lord_Howe").totals == Quantities()


def test_too_many_rows_are_refused(acme, monkeypatch):
    monkeypatch.setattr("billing.selectors.costs.ROWS_MAX", 2)
    book_entries(acme, *(make_entry(time=at("2026-10-05T10:00"), model=f"m{number}") for number in range(3)))
    assert len(ask(acme, group_by=("model",), model=("m0", "m1")).rows) == 2
    with pytest.raises(QueryRefused, match="more than 2 rows"):
        ask(acme, group_by=("model",))


def test_a_change_of_time_zone_moves_the_days_and_no_total(acme):
    book_entries(acme, make_entry(time=at("2026-10-05T22:30"), cost="1", latency_ms=50))
    apply_all()
    book_entries(acme, make_entry(time=at("2026-10-05T22:45"), cost="2", latency_ms=50))
    change_reporting_timezone(tenant_id=acme.id, timezone="Europe/Berlin", actor="person 1", now=NOW)
    start, end = at("2026-10-05T22:00"), at("2026-10-06T22:00")
    assert list_billed(ask(acme, start, end, "day", "Europe/Berlin")) == [(start, 3)]
    assert list_billed(ask(acme, granularity="day")) == [(at("2026-10-05T00:00"), 3)]
    percentiles = {"tenant_id": acme.id, "measure": "latency_ms", "percents": (50,)}
    assert get_percentiles(start_day=date(2026, 10, 5), end_day=date(2026, 10, 6), **percentiles) == {}
    assert get_percentiles(start_day=date(2026, 10, 6), end_day=date(2026, 10, 7), **percentiles) != {}
    apply_all()
    assert reconcile_rollups(tenant_id=acme.id, now=NOW).differences == ()


def test_an_unknown_time_zone_changes_nothing(acme):
    book_entries(acme, make_entry(time=at("2026-10-05T22:30"), cost="1"))
    apply_all()
    with pytest.raises(DataError):
        change_reporting_timezone(tenant_id=acme.id, timezone="Mars/Olympus", actor="person 1", now=NOW)
    assert ask(acme, granularity="day").totals.billed_cost == 1


def test_coverage_and_unpriced_models_say_what_a_total_leaves_out(acme):
    book_entries(
        acme,
        make_entry(time=at("2026-10-05T10:00")),
        make_entry(time=at("2026-10-05T10:00"), cost=None, model="new", cache_read_tokens=5),
    )
    apply_all()
    book_entries(
        acme,
        make_entry(time=at("2026-10-05T10:00"), cost=None, model="new"),
        make_entry(time=at("2026-10-05T10:00"), cost=None, model="rare", provider="other"),
    )
    coverage = get_coverage(tenant_id=acme.id, start=OCTOBER, end=NOVEMBER)
    assert (coverage.priced, coverage.unpriced, coverage.priced_share) == (1, 3, Decimal("0.25"))
    models = list_unpriced_models(tenant_id=acme.id, start=OCTOBER, end=NOVEMBER)
    assert [astuple(model) for model in models] == [
        ("openai", "new", 2, 2, 2005, 600),
        ("other", "rare", 1, 1, 1000, 300),
    ]
    assert get_coverage(tenant_id=make_tenant("empty").id, start=OCTOBER, end=NOVEMBER).priced_share is None


def test_the_values_to_filter_by_are_listed_sorted(acme):
    book_entries(acme, make_entry(time=at("2026-10-05T10:00"), feature="b", cost_center="retail"))
    apply_all()
    book_entries(acme, make_entry(time=at("2026-10-06T10:00"), feature="a"), api_key_id="k2")
    assert list_dimension_values(tenant_id=acme.id, start=OCTOBER, end=NOVEMBER) == {
        "feature": ("a", "b"),
        "model": ("gpt-4o-2024-08-06",),
        "provider": ("openai",),
        "environment": ("production",),
        "cost_center": ("", "retail"),
        "operation": ("chat",),
        "service_tier": ("standard",),
        "key": ("k2", "testkey"),
    }


def test_intake_is_told_to_the_last_request(acme):
    hour = at("2026-10-05T10:00")
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("INSERT INTO intake_hour VALUES (%s, %s, 'k', 10, 7, 1, 1, 1)", [acme.id, hour])
        cursor.execute(
            "INSERT INTO intake_tally VALUES (%s, uuidv7(), %s, 'k', 3, 1, 2, 0, 0)",
            [acme.id, hour + timedelta(minutes=59)],
        )
    assert [astuple(row) for row in get_intake(tenant_id=acme.id, start=OCTOBER, end=NOVEMBER)] == [
        (hour, "k", 13, 8, 3, 1, 1)
    ]


def test_the_lag_is_what_waits(acme):
    assert astuple(get_rollup_lag(tenant_id=acme.id)) == (0, 0, None, 0)
    recorded_at = NOW - timedelta(minutes=3)
    book_entries(acme, make_entry(time=NOW), make_entry(time=NOW), recorded_at=recorded_at)
    book_entries(acme, make_entry(time=NOW), recorded_at=NOW)
    assert astuple(get_rollup_lag(tenant_id=acme.id)) == (2, 3, recorded_at, 0)
    assert get_rollup_lag(using="reader").batches >= 2


def test_the_reader_sums_every_tenant(acme):
    globex = make_tenant("globex", timezone="Europe/Berlin")
    book_entries(acme, make_entry(time=at("2026-10-05T10:00"), cost="1", feature="a"))
    book_entries(globex, make_entry(time=at("2026-10-05T10:00"), cost="2", feature="a"))
    apply_all()
    book_entries(acme, make_entry(time=at("2026-10-05T10:00"), cost="4", feature="b"))
    book_entries(acme, make_entry(time=at("2025-12-05T10:00"), cost="8", feature="a"))
    ours = {acme.slug, globex.slug}

    def read(**options):
        found = sum_costs_by_tenant(**options)
        return [(row.slug, *row.group, row.quantities.billed_cost) for row in found if row.slug in ours]

    assert read(period=(OCTOBER, NOVEMBER)) == sorted([(acme.slug, 5), (globex.slug, 2)])
    assert read(period=(OCTOBER, NOVEMBER), group_by=("feature",), filters={"environment": ("production",)}) == sorted(
        [(acme.slug, "a", 1), (acme.slug, "b", 4), (globex.slug, "a", 2)]
    )
    assert read() == sorted([(acme.slug, 13), (globex.slug, 2)])
    berlin = (at("2026-09-30T22:00"), at("2026-10-31T23:00"))
    assert read(period=berlin, timezone="Europe/Berlin") == sorted([(acme.slug, 5), (globex.slug, 2)])


def test_the_heart_beats_in_one_row(committed_db):
    beat_heart(now=NOW)
    first = get_heartbeat()
    beat_heart(now=NOW)
    assert get_heartbeat() >= first
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM job_run WHERE job = 'heartbeat'")
        assert cursor.fetchone() == (1,)


def test_the_last_reconciliation_is_kept(acme):
    assert get_last_reconciliation(tenant_id=acme.id) is None
    book_entries(acme, make_entry(time=NOW))
    reconcile_rollups(tenant_id=acme.id, now=NOW - timedelta(hours=1))
    apply_all()
    reconcile_rollups(tenant_id=acme.id, now=NOW)
    assert astuple(get_last_reconciliation(tenant_id=acme.id)) == (NOW, 1, 0, 0, Decimal(0))


def test_an_answer_costs_one_statement_in_the_tenants_scope(acme, django_assert_num_queries):
    book_entries(acme, make_entry(time=at("2026-10-05T10:00")))
    query = CostQuery(acme.id, OCTOBER, NOVEMBER, "day", group_by=("feature", "model"))
    with django_assert_num_queries(4):  # begin, scope, question, commit
        get_costs(query)


def test_every_question_equals_the_ledger(acme):
    # Half of the batches rolled up; every granularity and dimension adds up to the ledger's own sum.
    for number in range(20):
        moment = at("2026-10-20T00:00") + timedelta(hours=7 * number)
        book_entries(acme, make_entry(time=moment, cost=f"0.{number + 1:012d}", feature=f"f{number % 3}"))
        if number == 10:
            apply_all()
    total = sum(entry["billed_cost"] for entry in read_entries(acme))
    start, end = at("2026-10-19T00:00"), at("2026-11-02T00:00")
    for granularity in ("hour", "day", "week", "total"):
        for group_by in ((), ("feature",), ("user",), ("feature", "model", "key")):
            costs = ask(acme, start, end, granularity, group_by=group_by)
            assert costs.totals.billed_cost == total == sum(row.quantities.billed_cost for row in costs.rows)
    assert ask(acme, at("2026-10-01T00:00"), at("2026-12-01T00:00"), "month").totals.billed_cost == total


COLUMNS = {
    "feature": "feature", "model": "model", "provider": "provider", "environment": "environment",
    "cost_center": "cost_center", "operation": "operation", "key": "api_key_id", "service_tier": "service_tier",
}  # fmt: skip
BERLIN = ZoneInfo("Europe/Berlin")
FIRST_DAY = date(2026, 10, 1)


@pytest.fixture
def busy_berlin():
    """Sixty days of use of a tenant in Berlin across the end of summer time, of which every third batch still waits."""
    chance = random.Random(5)
    tenant = make_tenant("berlin", timezone="Europe/Berlin")
    start = datetime.combine(FIRST_DAY, time(), BERLIN).astimezone(UTC)
    for is_waiting in (False, True):
        for _ in range(6):
            entries = [
                make_entry(
                    time=start + timedelta(minutes=chance.randrange(60 * 24 * 60)),
                    cost=None if chance.random() < 0.1 else f"0.{chance.randrange(10**12):012d}",
                    status=chance.choice(("ok", "ok", "error")),
                    cache_read_tokens=chance.randrange(1000),
                    **{
                        column: chance.choice(("", f"{name}-1", f"{name}-2"))
                        for name, column in COLUMNS.items()
                        if name != "key"
                    },
                )
                for _ in range(10 if is_waiting else 20)
            ]
            book_entries(tenant, *entries, api_key_id=chance.choice(("key-1", "key-2")))
        if not is_waiting:
            apply_all()
    return tenant


def sum_ledger(entries, *, days, granularity, group_by, filters):
    """The sums of `get_costs` by first day and group, worked out entry by entry."""
    sums = defaultdict(lambda: [0] * 18)
    for entry in entries:
        day = entry["charge_period_start"].astimezone(BERLIN).date()
        values = {name: entry[column] for name, column in COLUMNS.items()}
        is_wanted = all(
            (values[name.removesuffix(".not")] in wanted) != name.endswith(".not") for name, wanted in filters.items()
        )
        if not is_wanted or not days[0] <= day < days[1]:
            continue
        first = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1), "total": None}
        calls = entry["calls"]
        quantities = (
            calls, calls * (entry["pricing_status"] == "unpriced"), calls * (entry["status"] == "error"),
            *(entry[name] for name in TOKEN_COLUMNS), *(entry[name] or Decimal(0) for name in COST_COLUMNS),
        )  # fmt: skip
        row = sums[first[granularity], *(values[name] for name in group_by)]
        row[:] = [one + other for one, other in zip(row, quantities, strict=True)]
    return {key: tuple(row) for key, row in sums.items()}


def test_random_questions_about_days_equal_the_ledger_to_the_last_digit(busy_berlin):
    chance = random.Random(11)
    entries = read_entries(busy_berlin)
    for _ in range(200):
        granularity = chance.choice(("day", "week", "month", "total"))
        days = sorted(FIRST_DAY + timedelta(days=day) for day in chance.sample(range(-2, 63), 2))
        if granularity == "week":
            days = [days[0] - timedelta(days=days[0].weekday()), days[1] + timedelta(days=-days[1].weekday() % 7)]
        if granularity == "month":
            days = chance.choice([(date(2026, 10, 1), date(2026, 11, 1)), (date(2026, 9, 1), date(2026, 12, 1))])
        group_by = tuple(chance.sample(list(COLUMNS), chance.randrange(4)))
        filters = {
            name + chance.choice(("", ".not")): tuple(chance.sample(["", f"{name}-1", f"{name}-2"], 2))
            for name in chance.sample(list(COLUMNS), chance.choice((0, 0, 1, 2)))
        }
        start, end = (datetime.combine(day, time(), BERLIN).astimezone(UTC) for day in days)
        costs = get_costs(CostQuery(busy_berlin.id, start, end, granularity, "Europe/Berlin", group_by, filters))
        found = {
            (row.period_start and row.period_start.astimezone(BERLIN).date(), *row.group): tuple(row.quantities)
            for row in costs.rows
        }
        assert found == sum_ledger(entries, days=days, granularity=granularity, group_by=group_by, filters=filters)
        assert len(found) == len(costs.rows)
