"""The demo's calls: the same for the same seed, and shaped like the traces they follow."""

from datetime import UTC, date, datetime, timedelta
from random import Random
from statistics import quantiles

from billing.core.demo import CHAT, WORKLOADS, make_day

MONDAY, SATURDAY, THE_13TH = date(2026, 11, 16), date(2026, 11, 21), date(2026, 11, 13)


def feature(day, name, tenant="acme"):
    return [event for event in make_day(tenant=tenant, day=day, seed=1) if event.feature == name]


def test_a_day_is_the_same_for_the_same_seed_and_another_for_another():
    first = make_day(tenant="acme", day=MONDAY, seed=1)
    assert first == make_day(tenant="acme", day=MONDAY, seed=1)
    assert first != make_day(tenant="acme", day=MONDAY, seed=2)


def test_every_call_has_an_id_of_its_own_and_lies_in_its_day():
    events = [event for tenant in WORKLOADS for event in make_day(tenant=tenant, day=MONDAY, seed=1)]
    assert 400 < len(events) < 900
    assert len({event.event_id for event in events}) == len(events)
    start = datetime(2026, 11, 16, tzinfo=UTC)
    assert all(start <= event.time < start + timedelta(days=1) for event in events)


def test_every_call_says_that_it_is_simulated():
    assert all(event.tags == {"demo": "simulated"} for event in make_day(tenant="globex", day=MONDAY, seed=1))


def test_the_tokens_have_the_traces_percentiles():
    rng = Random(1)
    cuts = quantiles((CHAT[0].draw(rng) for _ in range(20_000)), n=20)
    assert abs(cuts[9] / 1015 - 1) < 0.03  # the median
    assert abs(cuts[18] / 4085 - 1) < 0.05  # the 95th percentile


def test_the_week_end_is_quieter_and_the_13th_has_a_spike_in_the_afternoon():
    mondays, saturdays = (
        [len(feature(day - timedelta(weeks=ago), "code-assistant")) for ago in range(8)] for day in (MONDAY, SATURDAY)
    )
    assert sum(saturdays) < sum(mondays) / 4
    spike = [event for event in feature(THE_13TH, "code-assistant") if 12 <= event.time.hour < 18]
    assert len(spike) > sum(mondays) / 8  # more in an afternoon than in a usual day


def test_there_is_something_of_everything_a_page_must_show():
    events = [event for ago in range(14) for event in make_day(tenant="acme", day=MONDAY - timedelta(ago), seed=1)]
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
