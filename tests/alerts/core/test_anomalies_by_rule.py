"""Anomalies that need no statistics: calls, prices, sources and books. Numbers are worked by hand; NBSP is narrow."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.core.anomalies import (
    Anomaly,
    describe_anomaly,
    find_cache_collapse,
    find_difference,
    find_heavy_request,
    find_heavy_user,
    find_new,
    find_price_drift,
    find_rate_spike,
    find_silence,
    find_truncation,
    find_unpriced,
    find_unsealed,
)
from alerts.core.anomalies.thresholds import New, Truncation
from ledger.core.entries import PICO

WHEN = datetime(2026, 11, 22, 15, tzinfo=UTC)
NBSP = "\N{NARROW NO-BREAK SPACE}"
HOUR = timedelta(hours=1)


# --- calls ---


def judge_request(tokens, *, usual=1_000, calls=20):
    return find_heavy_request(tokens=tokens, cost=PICO, usual_tokens=usual, calls=calls, when=WHEN)


def test_a_call_of_more_than_ten_times_its_features_tokens_is_heavy():
    assert judge_request(10_000).anomaly is None
    heavy = judge_request(12_500).anomaly
    # 1 USD × (1 - 1,000 / 12,500)
    assert (heavy.kind, heavy.unit, heavy.upper, heavy.impact) == ("heavy_request", "tokens", 10_000, 920_000_000_000)
    assert describe_anomaly(heavy) == "One call took 12,500 tokens; its feature usually takes 1,000."


def test_a_feature_with_few_calls_or_none_with_tokens_has_no_usual():
    assert judge_request(90_000, calls=19).unjudged == "needs 20 calls of the feature and has 19"
    assert judge_request(90_000, usual=0).unjudged == "needs calls that used tokens"


def judge_minute(calls, *, before=28_800, minutes=1_440):
    return find_rate_spike(
        calls=calls, cost=PICO, calls_before=before, minutes_before=minutes, when=WHEN
    )  # 20 a minute, when nothing else is said


def test_a_minute_of_more_than_three_times_the_usual_calls_is_a_rate_spike():
    assert judge_minute(60).anomaly is None
    spike = judge_minute(80).anomaly
    assert (spike.kind, spike.expected, spike.upper, spike.impact) == ("rate_spike", 20, 60, 750_000_000_000)
    assert describe_anomaly(spike) == "80 calls within a minute; usual are 20."


def test_a_handful_of_calls_is_no_rate_spike_though_nothing_is_usual():
    assert judge_minute(29, before=0).anomaly is None
    assert judge_minute(30, before=0).anomaly.impact == PICO
    assert describe_anomaly(judge_minute(30, before=2_160).anomaly) == "30 calls within a minute; usual are 1.5."


def test_a_rate_needs_a_day_of_minutes():
    assert judge_minute(900, minutes=1_439).unjudged == "needs 1440 minutes and has 1439"


def test_a_user_above_a_hundredth_of_the_daily_budget_within_an_hour_is_heavy():
    assert find_heavy_user(cost=2 * PICO, budget=200 * PICO, when=WHEN).anomaly is None
    heavy = find_heavy_user(cost=5 * PICO, budget=200 * PICO, when=WHEN).anomaly
    assert (heavy.kind, heavy.upper, heavy.impact) == ("heavy_user", 2 * PICO, 3 * PICO)
    assert describe_anomaly(heavy) == f"One user cost 5.00 USD within an hour, 2.5{NBSP}% of the daily budget."


@pytest.mark.parametrize("budget", [None, 0])
def test_nobody_is_heavy_without_a_daily_budget(budget):
    assert find_heavy_user(cost=5 * PICO, budget=budget, when=WHEN).unjudged == "needs a daily budget"


def judge_truncation(truncated, calls=200, **known):
    return find_truncation(truncated=truncated, calls=calls, cost=PICO, when=WHEN, **known)


def test_more_than_five_percent_of_truncated_calls_are_told_with_their_cost():
    assert judge_truncation(10).anomaly is None
    truncation = judge_truncation(25).anomaly
    assert (truncation.kind, truncation.actual, truncation.impact) == ("truncation", Fraction(1, 8), PICO)
    assert describe_anomaly(truncation) == f"25 of 200 calls ended for want of output tokens: 12.5{NBSP}%."


def test_few_calls_are_no_share_unless_a_tenant_says_so():
    assert judge_truncation(90, 99).unjudged == "needs 100 calls and has 99"
    assert judge_truncation(90, 99, thresholds=Truncation(calls_min=90)).anomaly is not None


# --- prices ---


def judge_price(cost, *, tokens=1_000_000, is_rate_published=False):
    return find_price_drift(
        cost_before=6 * PICO,
        tokens_before=2_000_000,
        cost=cost,
        tokens=tokens,
        is_rate_published=is_rate_published,
        when=WHEN,
    )


def test_a_unit_price_that_moves_without_a_rate_is_told():
    # 3 USD a million; 3.30 at most
    assert judge_price(3_300_000_000_000).anomaly is None
    drift = judge_price(4 * PICO).anomaly
    assert (drift.kind, drift.unit, drift.expected, drift.actual) == (
        "unit_price_drift", "unit_price", 3 * PICO, 4 * PICO
    )  # fmt: skip
    assert (drift.upper, drift.impact) == (3_300_000_000_000, PICO)
    assert describe_anomaly(drift) == "A million tokens cost 4.00 USD where it was 3.00 USD, and no rate was published."


def test_a_published_rate_explains_a_price_and_a_fall_is_none():
    assert judge_price(4 * PICO, is_rate_published=True).anomaly is None
    assert judge_price(PICO).anomaly is None


def test_a_price_needs_tokens_in_both_periods_and_a_price_before():
    assert judge_price(PICO, tokens=99_999).unjudged == "needs 100000 tokens in each period and has 99999"
    free = {"cost_before": 0, "tokens_before": 10**6, "cost": PICO, "tokens": 10**6, "is_rate_published": False}
    assert find_price_drift(**free, when=WHEN).unjudged == "needs a price before"


def judge_cache(read, *, before=400_000, saving=Fraction(2_700_000)):
    return find_cache_collapse(
        cache_read_before=before,
        input_before=1_000_000,
        cache_read=read,
        input_tokens=2_000_000,
        saving=saving,
        when=WHEN,
    )


def test_a_cache_that_gives_half_of_its_share_or_less_has_collapsed():
    # 40 % before, 20.00005 % and 10 % now: 30 % of two million at 2.7 millionths of a USD each
    assert judge_cache(400_001).anomaly is None
    collapse = judge_cache(200_000).anomaly
    assert (collapse.kind, collapse.lower, collapse.impact) == ("cache_collapse", Fraction(1, 5), 1_620_000_000_000)
    assert describe_anomaly(collapse) == f"10{NBSP}% of the input came from the cache where it was 40{NBSP}%."
    assert judge_cache(400_000).anomaly.impact == 1_080_000_000_000


def test_a_cache_that_gave_little_cannot_collapse():
    assert judge_cache(0, before=99_999).unjudged == "needs a cache that gave 10 % of the input before"


def test_any_call_without_a_price_is_told():
    assert find_unpriced(unpriced=0, calls=50, when=WHEN).anomaly is None
    unpriced = find_unpriced(unpriced=3, calls=50, when=WHEN).anomaly
    assert (unpriced.kind, unpriced.impact) == ("unpriced", 0)
    assert describe_anomaly(unpriced) == "No rate covers 3 of 50 calls."


# --- sources and books ---


def test_what_is_first_seen_is_new_above_a_sum():
    told = {"thing": "model", "name": "gpt-5", "when": WHEN}
    assert find_new(cost=10 * PICO, days_before=7, **told).anomaly is None
    new = find_new(cost=12 * PICO, days_before=7, **told).anomaly
    assert (new.kind, new.expected, new.impact) == ("new", 0, 12 * PICO)
    assert describe_anomaly(new) == "The model gpt-5 is new and has cost 12.00 USD."
    assert find_new(cost=12 * PICO, days_before=7, **told, thresholds=New(cost_min=20 * PICO)).anomaly is None


def test_to_a_tenant_of_yesterday_nothing_is_new():
    verdict = find_new(thing="key", name="ci", cost=12 * PICO, days_before=1, when=WHEN)
    assert verdict.unjudged == "needs 7 days before it and has 1"


def judge_silence(silent, *, pause=2 * HOUR, days=7):
    return find_silence(last_seen=WHEN, longest_pause=pause, days=days, now=WHEN + silent)


def test_a_source_is_silent_after_twice_its_longest_pause():
    assert judge_silence(4 * HOUR).anomaly is None
    silence = judge_silence(5 * HOUR).anomaly
    assert (silence.kind, silence.when, silence.expected, silence.upper) == ("silence", WHEN, 7_200, 14_400)
    assert describe_anomaly(silence) == "Nothing has come for 5 hours; the longest pause was 2 hours."


def test_a_source_that_sends_each_second_may_pause_for_an_hour():
    assert judge_silence(HOUR, pause=timedelta(seconds=90)).anomaly is None
    silence = judge_silence(timedelta(minutes=61), pause=timedelta(seconds=90)).anomaly
    assert describe_anomaly(silence) == "Nothing has come for 61 minutes; the longest pause was 90 seconds."


def test_a_source_that_often_pauses_or_is_young_is_never_silent():
    assert judge_silence(90 * HOUR, pause=25 * HOUR).unjudged == "needs a source that pauses for 24 hours at most"
    assert judge_silence(90 * HOUR, days=6).unjudged == "needs 7 days and has 6"


@pytest.mark.parametrize(("check", "cost", "sentence"), [
    ("rollup", 1_000 * PICO, None),
    ("rollup", 1_000 * PICO - 1, "The rollup is 0.0000000000010 USD below the ledger's 1,000.00 USD."),
    ("bill", 1_010 * PICO, None),  # 1 %
    ("bill", 990 * PICO, None),
    ("bill", 1_010 * PICO + 1, "The bill is 10.00 USD above the ledger's 1,000.00 USD."),
])  # fmt: skip
def test_what_differs_from_the_ledger_beyond_tolerance_is_told(check, cost, sentence):
    anomaly = find_difference(check=check, cost=cost, ledger=1_000 * PICO, when=WHEN).anomaly
    assert (describe_anomaly(anomaly) if anomaly else None) == sentence


def test_a_small_bill_may_differ_by_a_dollar():
    assert find_difference(check="bill", cost=3 * PICO, ledger=2 * PICO, when=WHEN).anomaly is None
    assert find_difference(check="bill", cost=0, ledger=2 * PICO, when=WHEN).anomaly.impact == 2 * PICO


def test_entries_that_wait_for_their_seal_longer_than_an_hour_are_told():
    assert find_unsealed(unsealed_since=None, now=WHEN).anomaly is None
    assert find_unsealed(unsealed_since=WHEN - HOUR, now=WHEN).anomaly is None
    waiting = find_unsealed(unsealed_since=WHEN - 3 * HOUR, now=WHEN).anomaly
    assert (waiting.kind, waiting.when) == ("reconciliation", WHEN - 3 * HOUR)
    assert describe_anomaly(waiting) == "Entries have waited for their seal for 3 hours."


# --- all of them ---


def test_a_moment_outside_utc_is_refused():
    with pytest.raises(ValueError, match="no moment of UTC"):
        Anomaly("new", "alert", datetime(2026, 11, 22), "cost", 1, 0, 0, 0, 1)
    with pytest.raises(ValueError, match="no moment of UTC"):
        Anomaly("new", "alert", datetime.fromisoformat("2026-11-22T00:00+01:00"), "cost", 1, 0, 0, 0, 1)


money = st.integers(0, 10**15)


@given(money, money, money, st.integers(2, 10**6))
def test_other_units_of_money_flag_the_same(cost, other, third, times):
    def flag(unit):
        price = {"tokens_before": 10**6, "tokens": 10**6, "is_rate_published": False, "when": WHEN}
        return [
            find_heavy_user(cost=cost * unit, budget=other * unit, when=WHEN).anomaly is None,
            find_price_drift(cost_before=cost * unit, cost=other * unit, **price).anomaly is None,
            find_difference(check="rollup", cost=cost * unit, ledger=other * unit, when=WHEN).anomaly is None,
        ]

    assert flag(1) == flag(times)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(20, 10**6))
def test_less_than_usual_is_never_told(one, other, calls):
    less, more = sorted((one, other))
    assert judge_request(less, usual=more, calls=calls).anomaly is None
    assert find_rate_spike(
        calls=less, cost=1, calls_before=more * calls, minutes_before=calls, when=WHEN
    ).anomaly is None  # fmt: skip
    assert find_heavy_user(cost=less, budget=100 * more, when=WHEN).anomaly is None
