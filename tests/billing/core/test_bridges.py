"""The bridge from one period's cost to the next one's. Costs are worked by hand; a token costs whole pico-USD here."""

from hypothesis import given
from hypothesis import strategies as st

from billing.core.bridges import Bridge, Use, explain_change

CHAT = Use(calls=10, input_tokens=100, output_tokens=50, input_cost=200, output_cost=300)  # 2 and 6 a token: 500


def explain(before, after):
    return explain_family({"chat": before}, {"chat": after})["chat"]


def explain_family(before, after):
    """As if all kinds were models of one feature."""
    return explain_change(before, after, family=lambda kind: "")


def explain_each(before, after):
    """As if each kind were a feature of its own."""
    return explain_change(before, after, family=lambda kind: kind)


def test_the_same_use_at_another_rate_is_price():
    # 100 × (3 - 2) + 50 × (4 - 6) = 100 - 100; then output at 6 still: 100 × 1
    assert explain(CHAT, Use(10, 100, 0, 0, 50, input_cost=300, output_cost=200)) == Bridge()
    assert explain(CHAT, Use(10, 100, 0, 0, 50, input_cost=300, output_cost=300)) == Bridge(price=100)


def test_three_times_of_everything_is_volume():
    # 3 × 500 - 500
    assert explain(CHAT, Use(30, 300, 0, 0, 150, input_cost=600, output_cost=900)) == Bridge(volume=1000)


def test_more_output_for_as_many_tokens_is_mix():
    # 150 tokens before and after. 50 × 2 + 100 × 6 = 700; nothing has grown, so all of 200 is mix.
    assert explain(CHAT, Use(10, 50, 0, 0, 100, input_cost=100, output_cost=600)) == Bridge(mix=200)


def test_input_that_is_read_from_a_cache_for_the_first_time_is_cache():
    # 60 × 2 + 40 × 0 + 300 = 420: 80 less, and no rate has changed
    assert explain(CHAT, Use(10, 60, 40, 0, 50, input_cost=120, output_cost=300)) == Bridge(cache=-80)


def test_a_dearer_write_into_the_cache_is_cache_too():
    # 90 × 2 + 10 × 3 + 300 = 510
    after = Use(10, 90, 0, 10, 50, input_cost=180, cache_write_cost=30, output_cost=300)
    assert explain(CHAT, after) == Bridge(cache=10)


def test_tokens_that_move_to_a_dearer_model_are_mix():
    # 100 tokens at 1 and 100 at 5; then 40 and 160: 40 - 100 = -60, and 800 - 500 = 300
    before = {"small": Use(1, 100, input_cost=100), "large": Use(1, 100, input_cost=500)}
    after = {"small": Use(1, 40, input_cost=40), "large": Use(1, 160, input_cost=800)}
    assert explain_family(before, after) == {"small": Bridge(mix=-60), "large": Bridge(mix=300)}


def test_a_feature_that_leaves_one_model_for_another_changes_its_mix():
    # 150 tokens as before, at 2 and 6 a token, then at 1 and 3
    small = Use(10, 100, 0, 0, 50, input_cost=100, output_cost=150)
    assert explain_family({"large": CHAT}, {"small": small}) == {"large": Bridge(mix=-500), "small": Bridge(mix=250)}


def test_each_feature_grows_for_itself_and_its_models_with_it():
    # of two features one stands still and the other doubles; as two models of one feature, both would grow by half
    before = {"search": Use(1, 100, input_cost=100), "chat": Use(1, 100, input_cost=100)}
    after = {"search": Use(1, 100, input_cost=100), "chat": Use(1, 200, input_cost=200)}
    assert explain_each(before, after) == {"search": Bridge(), "chat": Bridge(volume=100)}
    assert explain_family(before, after) == {"search": Bridge(volume=50, mix=-50), "chat": Bridge(volume=50, mix=50)}


def test_a_feature_that_was_not_there_before_is_new_and_one_that_is_no_longer_has_ended():
    before, after = {"old": CHAT, "chat": CHAT}, {"young": CHAT, "chat": CHAT}
    assert explain_each(before, after) == {"young": Bridge(new=500), "old": Bridge(ended=-500), "chat": Bridge()}


def test_searches_and_images_grow_with_the_calls():
    # 10 calls at 7 become 15 at 8: 70 × ½ volume, 15 × (8 - 7) price
    assert explain(Use(10, other_cost=70), Use(15, other_cost=120)) == Bridge(price=15, volume=35)


def test_a_fee_that_no_call_causes_changes_by_its_price():
    assert explain(Use(other_cost=70), Use(other_cost=100)) == Bridge(price=30)


def test_what_had_no_price_and_has_one_now_is_price():
    assert explain(Use(10, 100, 0, 0, 50), CHAT) == Bridge(price=500)


def test_a_third_of_a_pico_is_lost_to_nobody():
    # 3 tokens for 1 become 5 for 2 beside 1 for 1: 5/3 and 2/3 are no whole pico-USD
    before = {"a": Use(1, 3, input_cost=1), "b": Use(1, 1, input_cost=1)}
    after = {"a": Use(1, 5, input_cost=2), "b": Use(1, 1, input_cost=1)}
    assert sum(bridge.total for bridge in explain_family(before, after).values()) == 1


amounts = st.integers(0, 10**18)
uses = st.builds(Use, *[amounts] * 5, *[st.integers(-(10**18), 10**18)] * 5)
periods = st.dictionaries(st.sampled_from("abcdef"), uses)


@given(periods, periods)
def test_the_steps_of_each_kind_are_its_difference_to_the_last_digit(before, after):
    bridges = explain_change(before, after, family=lambda kind: kind in "abc")
    assert {kind: bridge.total for kind, bridge in bridges.items()} == {
        kind: after.get(kind, Use()).cost - before.get(kind, Use()).cost for kind in before | after
    }


@given(periods)
def test_what_stays_as_it_was_has_no_steps(uses):
    assert all(bridge == Bridge() for bridge in explain_family(uses, uses).values())


@given(periods, st.integers(1, 1000))
def test_twice_the_money_for_the_same_use_is_all_price(uses, times):
    dearer = {
        kind: Use(*(getattr(use, n) for n in Use.__dataclass_fields__ if "cost" not in n),
                  *(getattr(use, n) * times for n in Use.__dataclass_fields__ if "cost" in n))
        for kind, use in uses.items()
    }  # fmt: skip
    for kind, bridge in explain_family(uses, dearer).items():
        assert bridge == Bridge(price=uses[kind].cost * (times - 1))


@given(periods, st.integers(1, 1000))
def test_so_many_times_of_all_that_calls_caused_is_all_volume(uses, times):
    caused = {kind: use for kind, use in uses.items() if all(getattr(use, n) for n in ("calls", "input_tokens"))}
    caused = {kind: _drop_costs_of_nothing(use) for kind, use in caused.items()}
    more = {
        kind: Use(*(getattr(use, name) * times for name in Use.__dataclass_fields__)) for kind, use in caused.items()
    }
    for kind, bridge in explain_family(caused, more).items():
        assert bridge == Bridge(volume=caused[kind].cost * (times - 1))


def _drop_costs_of_nothing(use):
    values = {name: getattr(use, name) for name in Use.__dataclass_fields__}
    for name in ("cache_read", "cache_write", "output"):
        values[f"{name}_cost"] *= bool(values[f"{name}_tokens"])
    return Use(**values)
