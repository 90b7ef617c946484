"""Percentiles: within 1 % of the nearest rank among the calls themselves, by whatever they are asked for."""

import math
import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from zoneinfo import ZoneInfo

import pytest

from billing.rollups import apply_batches
from billing.selectors import QueryRefused, get_percentiles, get_percentiles_by
from tests.billing.ledger_rows import book_entries, make_entry, read_entries, reverse
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
NOW = datetime.now(UTC).replace(microsecond=0)
BERLIN = ZoneInfo("Europe/Berlin")
DIMENSIONS = ("environment", "feature", "model")


@pytest.fixture
def acme():
    return make_tenant("acme")


def apply_all():
    while apply_batches(now=NOW):
        pass


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def is_near(estimate, exact):
    return abs(estimate - exact) <= Decimal("0.010001") * exact


def test_percentiles_are_within_one_percent_of_rolled_up_and_waiting_calls(acme):
    book_entries(acme, *(make_entry(time=at("2026-10-05T10:00"), latency_ms=number) for number in range(1, 51)))
    apply_all()
    book_entries(
        acme,
        *(make_entry(time=at("2026-10-06T10:00"), latency_ms=number, feature="chat") for number in range(51, 101)),
        make_entry(time=at("2026-10-06T10:00"), latency_ms=None),
    )
    days = {"start_day": date(2026, 10, 5), "end_day": date(2026, 10, 7)}
    found = get_percentiles(tenant_id=acme.id, measure="latency_ms", **days)
    for percent, exact in ((50, 50), (95, 95), (99, 99)):
        assert abs(found[percent] - exact) <= Decimal("0.01") * exact
    [(_, of_chat)] = get_percentiles(
        tenant_id=acme.id, measure="latency_ms", filters={"feature": ("chat",)}, percents=(100,), **days
    ).items()
    assert abs(of_chat - 100) <= 1
    only_first = {"start_day": date(2026, 10, 5), "end_day": date(2026, 10, 6)}
    assert abs(get_percentiles(tenant_id=acme.id, measure="latency_ms", **only_first)[99] - 50) <= Decimal("0.5")


@pytest.mark.parametrize("options", [{"measure": "colour"}, {"measure": "latency_ms", "filters": {"key": ("k",)}}])
def test_percentiles_that_are_not_kept_are_refused(acme, options):
    with pytest.raises(QueryRefused):
        get_percentiles(tenant_id=acme.id, start_day=date(2026, 10, 5), end_day=date(2026, 10, 7), **options)


def test_percentiles_are_nearest_ranks(acme):
    values = [10] * 50 + [100] * 45 + [1000] * 4 + [10_000]
    book_entries(acme, *(make_entry(time=at("2026-10-05T10:00"), latency_ms=value) for value in values))
    apply_all()
    found = get_percentiles(
        tenant_id=acme.id, start_day=date(2026, 10, 5), end_day=date(2026, 10, 6), measure="latency_ms",
        percents=(100, 50, 95, 99),
    )  # fmt: skip
    # The 50th, 95th, 99th and 100th of a hundred values.
    for percent, value in ((50, 10), (95, 100), (99, 1000), (100, 10_000)):
        assert is_near(found[percent], value)


def test_zero_is_the_smallest_value_and_what_was_reversed_is_not_counted(acme):
    wrong = make_entry(time=at("2026-10-05T10:00"), cost="9")
    book_entries(acme, wrong, *(make_entry(time=at("2026-10-05T10:00"), cost=cost) for cost in ("0", "0", "0", "1")))
    apply_all()
    book_entries(acme, reverse(wrong))
    days = {"start_day": date(2026, 10, 5), "end_day": date(2026, 10, 6)}
    costs = get_percentiles(tenant_id=acme.id, measure="billed_cost", percents=(50, 75, 99), **days)
    assert costs == {50: 0, 75: 0, 99: Decimal("0.99")}  # 0.99 stands for its bucket, which ends at 1


def test_percentiles_of_nothing_are_nothing(acme):
    only = make_entry(time=at("2026-10-05T10:00"))
    book_entries(acme, only, make_entry(time=at("2026-10-06T10:00"), feature="chat"))
    book_entries(acme, reverse(only))
    days = {"start_day": date(2026, 10, 5), "end_day": date(2026, 10, 7)}
    by_feature = get_percentiles_by("feature", tenant_id=acme.id, measure="latency_ms", **days)
    assert set(by_feature.values) == {"chat"}
    assert get_percentiles(
        tenant_id=acme.id, measure="latency_ms", filters={"feature": ("summarizer",)}, **days
    ) == {}  # fmt: skip


@pytest.mark.parametrize("measure", ["billed_cost", "latency_ms"])
def test_percentiles_of_any_days_by_any_dimension_are_those_of_the_entries(measure):
    chance = random.Random(11)
    acme = make_tenant("acme", timezone=BERLIN.key)
    first = at("2026-10-01T00:00")  # a Thursday; summer time ends on the 25th
    for number in range(3):
        book_entries(
            acme,
            *(
                make_entry(
                    time=first + timedelta(minutes=chance.randrange(40 * 24 * 60)),
                    environment=chance.choice(("production", "staging")),
                    feature=chance.choice(("chat", "search", "")),
                    model=chance.choice(("small", "large")),
                    latency_ms=round(chance.lognormvariate(6, 1)),
                    cost=f"{chance.lognormvariate(-5, 2):.12f}",
                )
                for _ in range(200)
            ),
        )
        if number < 2:
            apply_all()
    entries = read_entries(acme)
    used = [{}, *({name: (entries[7][name],)} for name in DIMENSIONS)]
    used += [{name: (entries[9][name],) for name in pair} for pair in combinations(DIMENSIONS, 2)]
    for start, length in ((0, 41), (0, 3), (4, 7), (3, 9), (1, 23), (24, 2), (11, 1)):
        start_day = date(2026, 10, 1) + timedelta(days=start)
        days = {"start_day": start_day, "end_day": start_day + timedelta(days=length)}
        for filters in used:
            calls = [
                entry
                for entry in entries
                if days["start_day"] <= entry["charge_period_start"].astimezone(BERLIN).date() < days["end_day"]
                and all(entry[name] in wanted for name, wanted in filters.items())
            ]
            for dimension in DIMENSIONS:
                found = get_percentiles_by(
                    dimension, tenant_id=acme.id, measure=measure, filters=filters, percents=(1, 50, 99), **days
                )
                assert_nearest_ranks(found.whole, [entry[measure] for entry in calls])
                groups = defaultdict(list)
                for entry in calls:
                    groups[entry[dimension]].append(entry[measure])
                assert set(found.values) == set(groups)
                for value, group in groups.items():
                    assert_nearest_ranks(found.values[value], group)
            assert found.whole == get_percentiles(
                tenant_id=acme.id, measure=measure, filters=filters, percents=(1, 50, 99), **days
            )


def assert_nearest_ranks(found, values):
    assert sorted(found) == ([1, 50, 99] if values else [])
    for percent, estimate in found.items():
        assert is_near(estimate, sorted(values)[math.ceil(percent * len(values) / 100) - 1])
