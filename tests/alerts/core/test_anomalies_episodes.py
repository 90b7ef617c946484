"""Episodes of anomalies, and what moved when a cost did."""

from datetime import UTC, datetime
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from alerts.core.anomalies import Anomaly, Cause, describe_cause, find_cause, group_episodes
from alerts.core.anomalies.episodes import DAY, DAYS_QUIET, HOUR, HOURS_QUIET
from billing.core.bridges import Bridge
from ledger.core.entries import PICO

START = datetime(2026, 11, 22, tzinfo=UTC)


def make_anomaly(when, impact=1):
    return Anomaly("hourly_spike", "alert", when, "cost", impact, 0, 0, 0, impact)


def group_hours(*hours, now=1_000):
    """Of (hour, impact) or hours."""
    pairs = [hour if isinstance(hour, tuple) else (hour, 1) for hour in hours]
    anomalies = [make_anomaly(START + hour * HOUR, impact) for hour, impact in pairs]
    return group_episodes(anomalies, period=HOUR, quiet=HOURS_QUIET, now=START + now * HOUR)


def test_an_episode_has_its_start_its_peak_and_what_all_of_it_cost():
    [episode] = group_hours((3, 20), (5, 70), (4, 70))
    assert (episode.start, episode.end) == (START + 3 * HOUR, START + 6 * HOUR)
    assert (episode.peak.when, episode.impact, episode.count) == (START + 4 * HOUR, 160, 3)


def test_six_quiet_hours_end_an_episode_and_five_do_not():
    assert [episode.count for episode in group_hours(0, 6)] == [2]
    assert [episode.count for episode in group_hours(0, 7)] == [1, 1]


def test_an_episode_goes_on_until_it_has_been_quiet():
    assert group_hours(0, now=1)[0].state == "going"
    assert group_hours(0, now=6)[0].state == "going"
    assert group_hours(0, now=7)[0].state == "over"


def test_days_are_of_one_episode_while_no_day_lies_between_them_even_a_short_one():
    # Berlin: 29 March 2026 has 23 hours
    days = [
        datetime(2026, 3, 27, 23, tzinfo=UTC),
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
    ]

    def count(*places):
        anomalies = [make_anomaly(days[place]) for place in places]
        return [one.count for one in group_episodes(anomalies, period=DAY, quiet=DAYS_QUIET, now=days[-1])]

    assert count(0, 1, 2) == [3]
    assert count(0, 2) == [1, 1]


def test_days_on_either_side_of_a_long_one_are_two_episodes_and_beside_it_one():
    # Berlin: 25 October 2026 has 25 hours
    days = [
        datetime(2026, 10, 23, 22, tzinfo=UTC),
        datetime(2026, 10, 24, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    ]
    for places, counts in (((0, 1), [2]), ((1, 2), [2]), ((0, 2), [1, 1])):
        anomalies = [make_anomaly(days[place]) for place in places]
        episodes = group_episodes(anomalies, period=DAY, quiet=DAYS_QUIET, now=days[-1])
        assert [one.count for one in episodes] == counts


def test_nothing_is_no_episode():
    assert group_hours() == []


@given(st.sets(st.integers(0, 500)))
def test_every_anomaly_is_of_one_episode_and_no_cost_is_lost(hours):
    episodes = group_hours(*((hour, hour) for hour in hours))
    assert sum(one.count for one in episodes) == len(hours)
    assert sum(one.impact for one in episodes) == sum(hours)
    assert all(later.start - one.end >= HOURS_QUIET for one, later in zip(episodes, episodes[1:], strict=False))


# --- causes ---


def test_the_cause_is_what_moved_most_beyond_its_share_before():
    # +60 in all. chat has 80 % of the cost before and moved 50 % of the change; gpt-5 20 % and 100 %
    cause = find_cause({
        "feature": {"chat": (80 * PICO, 110 * PICO), "search": (20 * PICO, 50 * PICO)},
        "model": {"mini": (80 * PICO, 80 * PICO), "gpt-5": (20 * PICO, 80 * PICO)},
    })  # fmt: skip
    assert cause == Cause("model", "gpt-5", 60 * PICO, Fraction(1), Fraction(1, 5))
    assert describe_cause(cause) == "Mostly model gpt-5: 60.00 USD more, 100\N{NARROW NO-BREAK SPACE}% of the change."


def test_a_cause_names_the_largest_step_of_its_bridge():
    bridges = {("feature", "chat"): Bridge(volume=45 * PICO, price=10 * PICO, mix=-5 * PICO)}
    costs = {"feature": {"chat": (50 * PICO, 100 * PICO), "search": (50 * PICO, 40 * PICO)}}
    cause = find_cause(costs, bridges=bridges)
    # 50 of 40: the others went the other way
    assert (cause.value, cause.share, cause.step, cause.step_cost) == ("chat", Fraction(5, 4), "volume", 45 * PICO)
    assert (
        describe_cause(cause) == "Mostly feature chat: 50.00 USD more, more than the whole change, above all by volume."
    )


def test_a_fall_has_a_cause_too_and_a_step_down():
    bridges = {("key", "ci"): Bridge(cache=-30 * PICO, price=5 * PICO)}
    cause = find_cause({"key": {"ci": (50 * PICO, 25 * PICO), "web": (50 * PICO, 50 * PICO)}}, bridges=bridges)
    assert (cause.moved, cause.step) == (-25 * PICO, "cache")
    assert describe_cause(cause).startswith("Mostly key ci: 25.00 USD less")


def test_what_is_new_has_moved_all_that_it_costs():
    costs = {"user": {"ada": (0, 30), "bob": (50, 50)}}
    cause = find_cause(costs, bridges={("user", "ada"): Bridge(new=30)})
    assert (cause.value, cause.share_before, cause.step) == ("ada", 0, "new")


def test_from_nothing_everything_is_a_cause():
    assert find_cause({"user": {"ada": (0, 30), "bob": (0, 10)}}).value == "ada"


def test_the_only_feature_there_is_says_nothing_and_neither_does_growth_of_all_alike():
    assert find_cause({"feature": {"chat": (10, 30)}}) is None
    assert find_cause({"feature": {"chat": (10, 20), "search": (20, 40)}}) is None
    assert find_cause({"feature": {"chat": (10, 10)}}) is None
    assert find_cause({}) is None


values = st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(0, 10**15), st.integers(0, 10**15)))


@given(values, st.integers(1, 10**6))
def test_a_cause_moves_with_the_change_and_is_the_same_in_other_units(costs, times):
    cause = find_cause({"feature": costs})
    scaled = find_cause(
        {"feature": {value: (before * times, after * times) for value, (before, after) in costs.items()}}
    )
    if cause is None:
        assert scaled is None
        return
    assert (cause.value, cause.share) == (scaled.value, scaled.share)
    assert cause.moved * sum(after - before for before, after in costs.values()) > 0
    assert cause.share > cause.share_before
