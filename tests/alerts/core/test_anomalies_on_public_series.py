"""What the detectors find on labelled series and on a cloud bill: the figures that docs/benchmarks.md promises.

Increases only, each hour and day judged by what was before it; the data is described in `bench.anomalies`.
"""

from datetime import date

import pytest

from bench.anomalies import (
    LABELLED,
    OURS,
    RULES,
    add_up,
    count_by_chance,
    flag_day,
    read_bill,
    read_labelled,
    score_days,
    score_rule,
    watch_day,
)

pytestmark = pytest.mark.skipif(not LABELLED.exists(), reason=f"the public series are absent: {LABELLED}")


@pytest.fixture(scope="module")
def labelled():
    return read_labelled()


def test_half_of_the_labelled_windows_are_found_at_little_more_than_one_false_episode_in_30_days(labelled):
    told = add_up([score_rule(RULES[OURS], one) for one in labelled])
    assert (told["windows"], told["found"]) == (32, 16)
    assert round(told["episodes"], 2) == 1.14
    assert round(told["mean_episodes"], 2) == 1.28
    assert count_by_chance(RULES[OURS], labelled) < 7


def test_mean_and_three_deviations_find_one_more_at_four_times_the_false_episodes(labelled):
    told = add_up([score_rule(RULES["mean + 3 sd"], one) for one in labelled])
    assert told["found"] == 17
    assert round(told["episodes"], 2) == 4.74


def test_the_spike_of_a_cloud_bill_is_found_among_six_episodes_of_sixteen_months():
    told = score_days(flag_day, read_bill())
    assert told["found"]
    assert told["days"] == [
        date(2018, 1, 18),
        date(2018, 2, 5),
        date(2018, 2, 20),
        date(2018, 7, 25),
        date(2018, 12, 4),
        date(2019, 4, 10),
    ]
    assert told["in_30_days"] < 0.4
    assert told["injected"][3] > 0.98
    assert told["injected"][2] > 0.92


def test_the_watch_level_sees_what_the_spikes_do_and_steps_besides():
    told = score_days(watch_day, read_bill())
    assert set(score_days(flag_day, read_bill())["days"]) < set(told["days"])
    assert len(told["days"]) == 8
