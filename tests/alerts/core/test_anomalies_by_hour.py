"""Hourly spikes. Hours cost whole USD, and bounds are worked by hand from the default thresholds."""

import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.core.anomalies import describe_anomaly, find_hourly_spikes, find_past_spikes, measure_hours
from alerts.core.anomalies.hours import HOURS, SPENT_NOTHING
from alerts.core.anomalies.thresholds import DEFAULTS
from ledger.core.entries import PICO

WHEN = datetime(2026, 11, 22, 15, tzinfo=UTC)
SPIKE = DEFAULTS.hourly_spike
EVEN = [10] * HOURS
PEAK_A_DAY = ([10] * 8 + [40] + [10] * 15) * 14


def judge(before, last, *, known=None, **thresholds):
    costs = np.array([[*before, last]], dtype=np.int64) * PICO
    known = None if known is None else np.array([known], dtype=bool)
    [verdict] = find_hourly_spikes(costs, when=WHEN, known=known, thresholds=replace(SPIKE, **thresholds))
    return verdict


def is_spike(before, last, **thresholds):
    return judge(before, last, **thresholds).anomaly is not None


def test_an_hour_above_all_bounds_is_a_spike_with_its_range_and_impact():
    # mean 10, sd 0: 10; median 10 + 3.5 × 1: 13.5; 10 + ½ × 10: 15; 1.1 × 10: 11
    spike = judge(EVEN, 25).anomaly
    assert (spike.kind, spike.level, spike.when, spike.unit) == ("hourly_spike", "alert", WHEN, "cost")
    assert (spike.actual, spike.expected, spike.upper) == (25 * PICO, 10 * PICO, 15 * PICO)
    assert (spike.lower, spike.impact) == (6_500_000_000_000, 15 * PICO)
    assert describe_anomaly(spike) == (
        "This hour cost 25.00 USD, 2.5 times the usual 10.00 USD; its range, from 14 days, ends at 15.00 USD."
    )


def test_what_just_reaches_the_bound_is_no_spike():
    assert not is_spike(EVEN, 15)
    assert is_spike(EVEN, 16)


def test_an_hour_far_above_the_mean_needs_its_standard_deviations():
    # days of 5 and of 15 an hour by turns: mean 10, sd 5: 22.5; median of 21 and 20 same hours 5, no MAD: 8.5; familiar
    # 1.1 × 15: 16.5
    halves = ([5] * 24 + [15] * 24) * 7
    assert not is_spike(halves, 22)
    assert is_spike(halves, 23)
    assert is_spike(halves, 17, deviations=0)


def test_an_hour_that_varies_from_day_to_day_needs_its_mads():
    # at this hour and beside it 4, 16 and 10 by turns, else 10: mean 10, sd 1.7: 14.3
    turns = [[4, 4, *[10] * 21, 4], [16, 16, *[10] * 21, 16], [10] * 24]
    hours = (turns[0] + turns[1] + turns[2]) * 4 + turns[0] + turns[1]
    # of 41 same hours 15 cost 4, 12 cost 10 and 14 cost 16: median 10, MAD 1.4826 × 6: 41.1
    assert not is_spike(hours, 41)
    assert is_spike(hours, 42)


def test_a_height_that_each_day_reaches_is_no_spike_at_any_hour():
    # mean 11.25, sd 5.99: 26.2; median 10, no MAD: 13.9; 15.6; but 1.1 × 40: 44
    assert not is_spike(PEAK_A_DAY, 44)
    assert is_spike(PEAK_A_DAY, 45)
    assert is_spike(PEAK_A_DAY, 27, familiar_days=0)
    assert not is_spike(PEAK_A_DAY, 26, familiar_days=0)


def test_a_height_reached_on_one_day_is_not_yet_familiar_and_on_two_it_is():
    once, twice = list(EVEN), list(EVEN)
    once[40] = twice[40] = twice[80] = 100
    # once: mean 10.3, sd 4.9: 22.5
    assert is_spike(once, 90)
    # twice: sd 6.9, mean + 2.5 sd 27.8; familiar 110
    assert not is_spike(twice, 90)
    assert is_spike(twice, 111)


def test_a_step_is_no_spike_any_more_after_two_days():
    step = [10] * (HOURS - 48) + [60] * 48
    assert is_spike([10] * (HOURS - 20) + [60] * 20, 60)
    assert not is_spike(step, 60)


def test_sensitivity_scales_what_is_above_usual():
    # mads 3.5 → 7 or 1.75; the impact of ½ an hour stays
    assert not is_spike(EVEN, 17, sensitivity=0.5)  # 10 + 7 × 1
    assert is_spike(EVEN, 18, sensitivity=0.5)
    assert not is_spike(EVEN, 15, sensitivity=4)
    # 1.2 and 1.05 × 40
    assert not is_spike(PEAK_A_DAY, 48, sensitivity=0.5)
    assert is_spike(PEAK_A_DAY, 49, sensitivity=0.5)
    assert is_spike(PEAK_A_DAY, 43, sensitivity=2)


def test_a_history_of_zeros_is_not_judged_and_says_why():
    assert judge([0] * HOURS, 50).unjudged == SPENT_NOTHING


def test_a_first_hour_after_next_to_nothing_is_told_without_a_multiple_of_it():
    spike = judge([0] * (HOURS - 1) + [1], 50).anomaly
    # mean 0.003, sd 0.0545: 0.139, of which two digits
    assert describe_anomaly(spike) == (
        "This hour cost 50.00 USD instead of the usual 0.00 USD; its range, from 14 days, ends at 0.14 USD."
    )


def test_less_than_two_days_are_not_judged_and_say_why():
    known = [False] * (HOURS - 47) + [True] * 48
    assert judge(EVEN, 50, known=known).unjudged == "needs 48 hours and has 47"
    known[HOURS - 48] = True
    assert judge(EVEN, 50, known=known).anomaly.facts["days"] == 2


def test_a_day_of_hours_is_the_least_that_can_be_asked_for():
    assert (
        judge(EVEN, 50, known=[False] * (HOURS - 23) + [True] * 24, hours_min=0).unjudged == "needs 24 hours and has 23"
    )


def test_hours_that_are_not_known_count_for_nothing():
    before, known = [1000] * 100 + EVEN[100:], [False] * 100 + [True] * (HOURS - 99)
    assert is_spike(before, 16, known=known)
    assert not is_spike(before, 15, known=known)


def test_an_hour_whose_own_cost_is_not_known_is_not_judged():
    assert judge(EVEN, 50, known=[True] * HOURS + [False]).unjudged == "needs the hour's cost"


def test_where_none_of_the_same_hours_is_known_the_mean_stands_for_them():
    known = [hour % 24 not in (23, 0, 1) for hour in range(HOURS)] + [True]
    assert judge(EVEN, 16, known=known).anomaly.expected == 10 * PICO


@pytest.mark.parametrize("shift", [-1, 1])
def test_a_working_day_that_clocks_shift_by_an_hour_is_no_spike(shift):
    day = [10] * 7 + [100] * 10 + [10] * 7
    for hour in range(24):
        hours = day * 14 + [day[(other - shift) % 24] for other in range(hour + 1)]
        assert not is_spike(hours[-HOURS - 1 : -1], hours[-1])


def test_another_number_of_hours_is_refused():
    with pytest.raises(ValueError, match="takes series of 337 hours"):
        measure_hours(np.zeros((1, 336), dtype=np.int64))


def test_many_series_are_judged_as_each_alone():
    costs = make_costs(seed=1, series=2_100)
    known = np.random.default_rng(2).random(costs.shape) > 0.3
    known[:1_000] = True
    together = find_hourly_spikes(costs, when=WHEN, known=known)
    picked = range(0, 2_100, 70)
    assert [together[row] for row in picked] == [
        find_hourly_spikes(costs[row : row + 1], when=WHEN, known=known[row : row + 1])[0] for row in picked
    ]
    assert any(verdict.anomaly for verdict in together)


def test_the_past_of_a_series_is_judged_hour_by_hour_from_what_was_before():
    costs = np.array([*[10] * 60, 25, *[10] * 19, 16, 15], dtype=np.int64) * PICO
    spikes = find_past_spikes(costs, start=WHEN)
    assert [(spike.when - WHEN, spike.actual) for spike in spikes] == [
        (timedelta(hours=60), 25 * PICO),
        (timedelta(hours=80), 16 * PICO),
    ]
    known = np.arange(len(costs)) != 60
    assert [spike.actual for spike in find_past_spikes(costs, start=WHEN, known=known)] == [16 * PICO]


def make_costs(*, seed, series=5):
    """Days with a shape, noise, hours of nothing, reversals and now and then a multiple of all that."""
    random = np.random.default_rng(seed)
    shape = random.uniform(0, 5, (series, 24))
    costs = np.tile(shape, 15)[:, : HOURS + 1] * random.lognormal(0, random.uniform(0, 2), (series, HOURS + 1))
    costs *= random.random(costs.shape) > random.uniform(0, 1, (series, 1))
    costs[random.random(costs.shape) < 0.02] *= -20
    costs[:, -1] *= random.choice([0, 1, 10, 1000], series)
    return (costs * 10**6).astype(np.int64)


seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_what_costs_no_more_than_expected_is_never_a_spike(seed):
    costs = make_costs(seed=seed)
    expected = measure_hours(costs).expected
    costs[:, -1] = np.minimum(costs[:, -1], np.floor(expected)).astype(np.int64)
    assert not measure_hours(costs).is_spike.any()


@given(seeds, st.integers(1, 10**6))
def test_other_units_of_money_flag_the_same(seed, times):
    costs = make_costs(seed=seed) // 10**3
    assert (measure_hours(costs).is_spike == measure_hours(costs * times).is_spike).all()


@given(seeds, st.floats(0, 1))
def test_every_range_is_a_number_and_holds_what_was_expected(seed, share):
    costs = make_costs(seed=seed)
    known = np.random.default_rng(seed).random(costs.shape) < share
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranges = measure_hours(costs, known=known)
    for part in (ranges.lower, ranges.expected, ranges.upper):
        assert np.isfinite(part).all()
    judged = ranges.is_judged & (ranges.expected >= 0)
    assert (ranges.lower[judged] <= ranges.expected[judged]).all()
    assert (ranges.expected[judged] <= ranges.upper[judged]).all()
