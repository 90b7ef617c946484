"""What is out of the ordinary about days and weeks. They cost whole USD; bounds are worked by hand."""

import warnings
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.core.anomalies import (
    describe_anomaly,
    find_budget_overrun,
    find_daily_rise,
    find_daily_spike,
    find_sustained_growth,
)
from alerts.core.anomalies.thresholds import DailySpike, SustainedGrowth
from ledger.core.entries import PICO

WHEN = datetime(2026, 11, 21, 23, tzinfo=UTC)  # a day of Berlin's
EVEN = [100] * 14
# Monday first: 5 days of 100 and 2 of 20, mean 77.14
BUSINESS = ([100] * 5 + [20] * 2) * 8


def judge(*days):
    return find_daily_spike([day if day is None else day * PICO for day in days], when=WHEN)


def grow(*weeks, **known):
    return find_sustained_growth([week * PICO for week in weeks], when=WHEN, **known)


def test_a_day_above_its_budget_is_told_with_what_it_is_above():
    over = find_budget_overrun(cost=120 * PICO, budget=100 * PICO, when=WHEN).anomaly
    assert (over.kind, over.impact, over.upper) == ("daily_budget", 20 * PICO, 100 * PICO)
    assert describe_anomaly(over) == "This day cost 120.00 USD, 20.00 USD above its budget of 100.00 USD."
    assert find_budget_overrun(cost=100 * PICO, budget=100 * PICO, when=WHEN).anomaly is None


def test_a_day_that_rises_out_of_proportion_is_a_spike():
    # no change has been: the MAD is the least one, 0.1: 100 × e^0.35 = 141.9; and half an average day: 150
    assert judge(*EVEN, 150).anomaly is None
    spike = judge(*EVEN, 250).anomaly
    assert (spike.kind, spike.level, spike.unit) == ("daily_spike", "alert", "cost")
    assert (round(spike.expected / PICO, 6), round(spike.upper / PICO, 6)) == (100, 150)
    assert round(spike.lower / PICO, 2) == 70.47
    assert round(spike.impact / PICO, 6) == 150
    assert describe_anomaly(spike) == (
        "This day cost 250.00 USD, 2.5 times the usual 100.00 USD; its range, from 14 days, ends at 150.00 USD."
    )


def test_a_monday_is_no_spike_after_a_weekend_and_a_saturday_of_its_height_is():
    assert judge(*BUSINESS, 100).anomaly is None
    # 7 whole weeks: index of a Friday (7 × 100/77.14 + 2)/9 = 1.2305, of a Saturday (7 × 20/77.14 + 2)/9 = 0.4239:
    # expected 100 / 1.2305 × 0.4239 = 34.4; and half an average day of 77.14: 73.0
    saturday = judge(*BUSINESS[:-2], 100).anomaly
    assert round(saturday.expected / PICO, 1) == 34.4
    assert round(saturday.upper / PICO, 1) == 73.0


def test_the_way_back_from_a_dip_is_no_rise():
    assert judge(*EVEN, 5, 100).anomaly is None
    assert judge(*EVEN, 0, 0, 100).anomaly is None


def test_days_that_change_much_are_given_room():
    assert judge(*[140] * 16, 240).anomaly is not None
    assert judge(*[100, 140, 100, 180] * 4, 240).anomaly is None


def test_the_day_of_a_weekly_batch_is_no_spike():
    # the day before has nothing, and the index is drawn towards 1; 70 a week all the same
    assert judge(*[70, 0, 0, 0, 0, 0, 0] * 3, 70).anomaly is None
    assert judge(*[70, 0, 0, 0, 0, 0, 0] * 3, 140).anomaly is not None


def test_a_day_that_is_not_known_whole_counts_as_its_weekday_usually_does():
    assert judge(*BUSINESS[:-7], None, *BUSINESS[-6:], 100).anomaly is None
    spike = judge(*EVEN, None, 151).anomaly
    assert (round(spike.expected / PICO, 6), spike.facts["days"]) == (100, 14)
    # its weekday has no other: 100 again, the median of all
    assert judge(*[100] * 3, None, *[100] * 6, None, *[100] * 12, 150).anomaly is None
    assert judge(*EVEN, None).unjudged == "needs the whole day"
    assert judge(*EVEN[1:], None, 900).unjudged == "needs 14 days and has 13"


def test_less_than_two_weeks_are_not_judged_and_say_why():
    assert judge(*EVEN[1:], 900).unjudged == "needs 14 days and has 13"


def test_a_week_of_days_and_one_of_growth_are_the_least_that_can_be_asked_for():
    anyhow = DailySpike(days_min=0)
    assert find_daily_spike([PICO] * 7, when=WHEN, thresholds=anyhow).unjudged == "needs 7 days and has 6"
    assert find_daily_spike([PICO] * 7 + [2 * PICO], when=WHEN, thresholds=anyhow).anomaly is not None
    assert grow(100, 200, thresholds=SustainedGrowth(weeks=0)).anomaly.facts["weeks"] == 1


def test_days_of_nothing_are_not_judged_and_say_why():
    assert judge(*[0] * 14, 900).unjudged == "needs a day that cost something"


def test_days_seldom_used_are_judged_without_a_logarithm_of_zero():
    assert judge(*[0, 0, 0, 0, 0, 0, 70] * 4, 500).anomaly is not None
    assert judge(*[0, 0, 0, 0, 0, 0, 70] * 4, 0).anomaly is None


def test_a_day_above_one_and_a_half_times_the_week_is_watched():
    # 700 of a week: 100 a day, 150 at most
    assert find_daily_rise(last_day=150 * PICO, week_before=700 * PICO, when=WHEN).anomaly is None
    rise = find_daily_rise(last_day=180 * PICO, week_before=700 * PICO, when=WHEN).anomaly
    assert (rise.kind, rise.level, rise.impact) == ("daily_spike", "watch", 80 * PICO)
    assert (rise.expected, rise.upper) == (100 * PICO, 150 * PICO)
    assert (
        describe_anomaly(rise)
        == "The last 24 hours cost 180.00 USD, 1.8 times the usual 100.00 USD of the week before."
    )


def test_a_week_of_nothing_is_not_watched_and_says_why():
    assert find_daily_rise(last_day=PICO, week_before=0, when=WHEN).unjudged == "needs a week that cost something"


def test_three_weeks_of_growth_tell_the_day_on_which_the_budget_ends():
    # × 1.2 a week: 216 / 7 = 30.857 a day, then × 1.2^(1/7) each: 31.67 + 32.51 + 33.36 = 97.54
    growth = grow(125, 150, 180, 216, budget=197 * PICO, spent=100 * PICO, today=date(2026, 11, 23)).anomaly
    assert (growth.kind, growth.level, growth.actual, growth.expected) == (
        "sustained_growth", "alert", 216 * PICO, 180 * PICO
    )  # fmt: skip
    assert (growth.upper, growth.impact) == (207 * PICO, 91 * PICO)
    assert growth.facts["budget_ends"] == date(2026, 11, 25)
    assert describe_anomaly(growth) == (
        "Cost has grown by 20\N{NARROW NO-BREAK SPACE}% a week, 3 weeks running, to 216.00 USD a week; "
        "at this pace the budget is used up on 2026-11-25."
    )


def test_a_budget_that_is_used_up_ends_today_and_without_one_nothing_ends():
    today = date(2026, 11, 23)
    assert grow(125, 150, 180, 216, budget=PICO, spent=PICO, today=today).anomaly.facts["budget_ends"] == today
    growth = grow(125, 150, 180, 216).anomaly
    assert growth.facts["budget_ends"] is None
    assert describe_anomaly(growth).endswith("3 weeks running, to 216.00 USD a week.")


def test_a_budget_that_lasts_longer_than_a_year_has_no_end():
    known = {"budget": 10**20 * PICO, "spent": 0, "today": date(2026, 11, 23)}
    assert grow(125, 150, 180, 216, **known).anomaly.facts["budget_ends"] is None


@pytest.mark.parametrize("weeks", [
    (100, 115, 150, 200),  # just 15 % is not above it
    (100, 150, 140, 200),  # one week fell
    (400, 300, 200, 100),
])  # fmt: skip
def test_growth_that_pauses_is_none(weeks):
    assert grow(*weeks).anomaly is None


def test_growth_needs_a_week_more_than_it_runs_and_cost_in_each():
    assert grow(100, 200, 400).unjudged == "needs 4 weeks and has 3"
    assert grow(0, 100, 200, 400).unjudged == "needs 4 weeks that cost something"
    two = SustainedGrowth(growth_max=Decimal("0.5"), weeks=2)
    assert grow(100, 200, 400, thresholds=two).anomaly.facts["weeks"] == 2


seeds = st.integers(0, 2**32 - 1)


def make_days(seed):
    """Up to 70 days with a shape of weeks, noise, and days of nothing."""
    random = np.random.default_rng(seed)
    number = random.integers(15, 70)
    days = np.resize(random.uniform(0, 5, 7), number) * random.lognormal(0, random.uniform(0, 2), number)
    days *= random.random(number) > random.uniform(-1, 1)
    days[-1] *= random.choice([0, 1, 10, 1000])
    return [int(day * 10**6) for day in days]


@given(seeds)
def test_less_than_half_an_average_day_is_never_a_spike(seed):
    *before, last = make_days(seed)
    last = min(last, sum(before[-28:]) // len(before[-28:]) // 2)
    assert find_daily_spike([*before, last], when=WHEN).anomaly is None


@given(st.lists(st.integers(0, 10**15), min_size=7, max_size=7), st.integers(3, 9), st.floats(0, 1))
def test_no_more_than_each_week_before_had_on_this_day_is_never_a_spike(week, weeks, share):
    assert find_daily_spike([*week * weeks, int(week[0] * share)], when=WHEN).anomaly is None


@given(seeds, st.integers(1, 10**6))
def test_other_units_of_money_flag_the_same(seed, times):
    days = make_days(seed)
    flagged, scaled = (
        find_daily_spike([day * each for day in days], when=WHEN).anomaly is not None for each in (1, times)
    )
    assert flagged == scaled


@given(seeds)
def test_no_history_makes_a_number_that_is_none(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        verdict = find_daily_spike(make_days(seed), when=WHEN)
    if spike := verdict.anomaly:
        assert spike.lower <= spike.expected <= spike.upper < spike.actual
        assert spike.impact == spike.actual - spike.expected


@given(st.lists(st.integers(1, 10**18), min_size=4, max_size=8), st.integers(1, 10**6))
def test_growth_is_the_same_in_other_units_of_money(weeks, times):
    flagged, scaled = (
        find_sustained_growth([week * each for week in weeks], when=WHEN).anomaly is not None for each in (1, times)
    )
    assert flagged == scaled
