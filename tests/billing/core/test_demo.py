"""The demo's calls: the same for the same seed, shaped like the traces they follow, with something of everything."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from random import Random
from statistics import quantiles
from zoneinfo import ZoneInfo

from api.parsing.events import parse_events
from billing.core.demo import (
    LATE_TAGS,
    TENANTS,
    make_agent_runs,
    make_day,
    make_live_call,
    make_slips,
    write_event,
)
from billing.core.demo.shapes import CHAT
from billing.core.spans import read_span

LAST_DAY = date(2026, 11, 22)  # a Sunday
MONDAY, SATURDAY, SPIKE_DAY = date(2026, 11, 16), date(2026, 11, 21), date(2026, 11, 13)
JSON = "application/json"


def make(day, tenant="acme", seed=1):
    return make_day(tenant=tenant, day=day, seed=seed, last_day=LAST_DAY)


def feature(day, name, tenant="acme"):
    return [event for event in make(day, tenant) if event.feature == name]


def test_a_day_is_the_same_for_the_same_seed_and_another_for_another():
    assert make(MONDAY) == make(MONDAY)
    assert make(MONDAY) != make(MONDAY, seed=2)


def test_every_call_has_an_id_of_its_own_and_lies_in_its_tenants_day():
    for slug, company in TENANTS.items():
        zone = ZoneInfo(company.timezone)
        events = [event for day in (MONDAY, SATURDAY) for event in make(day, slug)]
        assert len({event.event_id for event in events}) == len(events)
        assert {event.time.tzinfo for event in events} <= {UTC}
        assert {event.time.astimezone(zone).date() for event in events} <= {MONDAY, SATURDAY}


def test_days_about_a_change_of_the_clock_share_no_call():
    nights = [make(date(2026, 11, 1) + timedelta(days=day), "northlight") for day in (-1, 0, 1)]  # New York: 25 hours
    assert all(earlier[-1].time < later[0].time for earlier, later in zip(nights, nights[1:], strict=False))
    assert nights[1][0].time >= datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert nights[2][0].time >= datetime(2026, 11, 2, 5, tzinfo=UTC)


def test_every_call_says_that_it_is_simulated():
    assert all(event.tags["demo"] == "simulated" for tenant in TENANTS for event in make(MONDAY, tenant))


def test_the_tokens_have_the_traces_percentiles():
    rng = Random(1)
    cuts = quantiles((CHAT[0].draw(rng) for _ in range(20_000)), n=20)
    assert abs(cuts[9] / 1015 - 1) < 0.03  # the median
    assert abs(cuts[18] / 4085 - 1) < 0.05  # the 95th percentile


def test_the_week_end_is_quieter_and_one_afternoon_has_a_spike_of_one_person():
    mondays, saturdays = (
        [len(feature(day - timedelta(weeks=ago), "code-assistant")) for ago in range(8)] for day in (MONDAY, SATURDAY)
    )
    assert sum(saturdays) < sum(mondays) / 3
    spike = feature(SPIKE_DAY, "code-assistant")
    afternoon = [event for event in spike if 12 <= event.time.hour < 18 and event.user == "u-007"]
    assert len(afternoon) > sum(mondays) / 8  # more by one person in an afternoon than by all on a usual day


def test_one_user_makes_a_third_of_a_features_calls():
    users = Counter(event.user for ago in range(28) for event in feature(MONDAY - timedelta(ago), "summarizer"))
    [(heaviest, calls), *_] = users.most_common(1)
    assert heaviest == "u-001"
    assert 0.28 < calls / users.total() < 0.34


def test_a_tenant_stops_and_a_start_up_grows():
    assert make(LAST_DAY - timedelta(days=25), "veltra")
    assert [make(LAST_DAY - timedelta(days=ago), "veltra") for ago in range(-3, 25)] == [[]] * 28
    first, last = (
        sum(len(make(LAST_DAY - timedelta(days=ago), "pebble")) for ago in days)
        for days in (range(80, 94), range(1, 15))
    )
    assert last > 3 * first
    assert make(LAST_DAY - timedelta(days=96), "pebble") == []


def test_some_calls_are_reported_days_late():
    late = [ago for ago in range(12) if any(event.tags == LATE_TAGS for event in make(LAST_DAY - timedelta(ago)))]
    assert late == [4, 5]


def test_there_is_something_of_everything_a_page_must_show():
    events = [event for ago in range(14) for event in make(MONDAY - timedelta(ago))]
    assert {event.provider for event in events} == {"openai", "anthropic", "google", "acme-gpu"}
    assert any(event.status == "error" and event.usage.input_tokens == 0 for event in events)
    assert any(event.cache_hit for event in events)
    assert any(event.usage.cache_read_tokens for event in events)
    assert any(event.usage.cache_write_tokens for event in events)
    assert any(event.usage.reasoning_tokens for event in events)
    assert {event.environment for event in events} == {"production", "staging"}
    assert {event.service_tier for event in events} == {"standard", "batch"}
    unallocated = sum(not event.cost_center for event in events) / len(events)
    assert 0.05 < unallocated < 0.25


def test_what_is_posted_is_read_back_as_the_same_call():
    for tenant in TENANTS:
        calls = make(date(2026, 10, 27), tenant)
        body = json.dumps([write_event(call) for call in calls]).encode()
        now = datetime(2026, 11, 22, tzinfo=UTC)
        items = parse_events(body, content_type=JSON, now=now, may_backfill=False)
        assert [item.event for item in items] == calls
    moment = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    call = make_live_call(Random(1), tenant="acme", moment=moment, event_id="live-1")
    assert (call.time, call.event_id, call.tags) == (moment, "live-1", {"demo": "simulated"})


def test_the_door_refuses_the_slips_in_the_same_words_and_books_those_of_a_fast_clock_later():
    slips = make_slips(tenant="acme", day=MONDAY, seed=1, last_day=LAST_DAY)
    for slip in slips:
        [item] = parse_events(slip.body.encode(), content_type=JSON, now=slip.received_at, may_backfill=False)
        assert [(p.field, p.code, p.detail) for p in item.problems] == [(slip.field, slip.code, slip.problem)]
        [again] = parse_events(slip.body.encode(), content_type=JSON, now=item_time(slip), may_backfill=False)
        assert (again.event is not None) == (slip.code == "time_out_of_window")
    assert [slip.code for slip in slips] == ["usage_inconsistent", "time_out_of_window"]
    assert make_slips(tenant="acme", day=LAST_DAY, seed=1, last_day=LAST_DAY) == []


def item_time(slip):
    return slip.received_at + timedelta(hours=3)


def test_a_run_of_the_agent_is_one_trace_of_calls_and_tools_within_it():
    runs = make_agent_runs(tenant="acme", day=MONDAY, seed=1, last_day=LAST_DAY)
    assert len(runs) >= 5
    assert runs == make_agent_runs(tenant="acme", day=MONDAY, seed=1, last_day=LAST_DAY)
    for root, *inside in runs:
        assert {span.trace_id for span in inside} == {root.trace_id}
        assert {span.parent_span_id for span in inside} == {root.span_id}
        assert root.started_ns <= inside[0].started_ns and inside[-1].ended_ns <= root.ended_ns
        assert all(one.ended_ns <= next_one.started_ns for one, next_one in zip(inside, inside[1:], strict=False))
        roles = [read_span(span).role for span in inside]
        assert 3 <= roles.count("call") <= 12
        assert read_span(root).role == "other"
    assert make_agent_runs(tenant="acme", day=LAST_DAY - timedelta(days=20), seed=1, last_day=LAST_DAY) == []
    assert make_agent_runs(tenant="pebble", day=MONDAY, seed=1, last_day=LAST_DAY) == []
