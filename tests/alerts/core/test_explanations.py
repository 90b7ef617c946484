"""An impact is split by who moved and by what kind of change, and both add up to it, whatever was usual."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from alerts.core.explanations import explain_impact
from billing.core.bridges import Use
from ledger.core.entries import PICO

CHAT, AGENT = ("chat", "openai", "mini"), ("agent", "openai", "gpt-5")
PERCENT = "\N{NARROW NO-BREAK SPACE}%"


def use(calls, input_tokens, cost, **more):
    """Calls that took so many tokens in, for so many USD."""
    return Use(calls=calls, input_tokens=input_tokens, input_cost=round(cost * PICO), **more)


def explain(usual, then, impact, **costs):
    return explain_impact(impact=round(impact * PICO), usual=usual, then=then, costs=costs)


def list_parts(found):
    return {part.name: part.amount for part in found.parts}


def list_movers(found, dimension):
    return [(one.value, one.expected, one.actual) for one in found.movers if one.dimension == dimension]


def test_seven_times_the_calls_are_volume():
    # Of 14 days together 140 calls for 14 USD; 1.00 was expected of the hour, and 7.00 came.
    found = explain({CHAT: use(140, 14_000, 14)}, {CHAT: use(70, 7_000, 7)}, 6)
    assert list_parts(found) == {"price": 0, "volume": 6, "mix": 0}
    assert [part.words for part in found.parts] == [
        "a token cost the same", "7.0 times the calls, 7.0 times the tokens", "the same kinds of calls",
    ]  # fmt: skip


def test_what_was_expected_is_what_is_usual_stretched():
    # 28 USD were usual in all, 2.00 of it expected: chat's half is 1.00, and the agent's too.
    usual = {CHAT: use(10, 100, 14), AGENT: use(10, 100, 14)}
    found = explain(usual, {CHAT: use(1, 10, 1), AGENT: use(1, 100, 9)}, 8)
    assert list_movers(found, "feature") == [("agent", 1, 9), ("", 1, 1)]
    assert list_movers(found, "model") == [("gpt-5", 1, 9), ("", 1, 1)]
    assert found.movers[1].note == "1 feature"
    assert (found.cause.dimension, found.cause.value, found.cause.share) == ("feature", "agent", 1)
    assert sum(list_parts(found).values()) == 8


def test_a_token_that_costs_twice_as_much_is_price():
    found = explain({CHAT: use(10, 1_000, 10)}, {CHAT: use(10, 1_000, 20)}, 10)
    assert list_parts(found) == {"price": 10, "volume": 0, "mix": 0}
    assert found.parts[0].words == "a token cost more"


def test_a_cache_that_gives_less_is_told_with_its_share():
    usual = Use(calls=10, input_tokens=200, cache_read_tokens=800, input_cost=2 * PICO, cache_read_cost=PICO)
    then = Use(calls=10, input_tokens=1_000, input_cost=10 * PICO)
    found = explain({CHAT: usual}, {CHAT: then}, 7)
    assert list_parts(found) == {"price": 0, "volume": 0, "mix": 0, "cache": 7}
    assert found.parts[-1].words == f"the cache gave 80{PERCENT} of the input, then 0{PERCENT}"


def test_a_feature_first_used_is_new_beside_what_was_usual():
    found = explain({CHAT: use(140, 14_000, 14)}, {CHAT: use(10, 1_000, 1), AGENT: use(3, 3_000, 5)}, 5)
    assert list_parts(found) == {"price": 0, "volume": 0, "mix": 0, "new": 5}
    assert found.parts[-1].words == "agent was not used before"
    assert found.cause.step == "new"


def test_where_nothing_is_usual_all_is_new_and_the_expected_is_shared_as_what_came():
    # A user's hour beside a bound of 1.00 USD.
    found = explain({}, {CHAT: use(1, 10, 3), AGENT: use(1, 10, 6)}, 8)
    assert list_parts(found) == {"new": 8}
    agent, chat = list_movers(found, "feature")
    assert (agent[0], chat[0]) == ("agent", "chat")
    assert round(agent[2] - agent[1] + chat[2] - chat[1], 12) == 8


def test_three_are_named_and_the_rest_is_one_with_what_names_none():
    users = {f"u{number}": (14, number) for number in range(1, 6)} | {"": (14, 1)}
    costs = {name: (before * PICO, after * PICO) for name, (before, after) in users.items()}
    found = explain({CHAT: use(84, 84, 84)}, {CHAT: use(16, 16, 16)}, 10, user=costs)
    # 6.00 were expected, 1.00 of each.
    assert list_movers(found, "user") == [("u5", 1, 5), ("u4", 1, 4), ("u3", 1, 3), ("", 3, 4)]
    [rest] = [mover for mover in found.movers if mover.dimension == "user" and not mover.value]
    assert rest.note == "2 users, and what names none"


def test_what_the_scope_names_is_no_mover():
    usual, then = {CHAT: use(14, 14, 14)}, {CHAT: use(2, 2, 2)}
    found = explain_impact(impact=PICO, usual=usual, then=then, costs={}, without={"feature": "chat"})
    assert {mover.dimension for mover in found.movers} == {"model"}


kinds = st.tuples(st.sampled_from("ab"), st.just("p"), st.sampled_from("xyz"))
tokens, pico = st.integers(0, 10**9), st.integers(0, 10**16)
uses = st.dictionaries(kinds, st.builds(Use, tokens, tokens, tokens, tokens, tokens, pico, pico, pico, pico, pico))


@given(uses, uses, st.integers(1, 10**17))
def test_the_parts_and_each_dimensions_movers_are_the_impact_to_the_last_digit(usual, then, impact):
    found = explain_impact(impact=impact, usual=usual, then=then, costs={})
    amount = Decimal(impact).scaleb(-12)
    assert sum(part.amount for part in found.parts) == amount
    for dimension in {mover.dimension for mover in found.movers}:
        movers = [one for one in found.movers if one.dimension == dimension]
        assert sum(one.actual - one.expected for one in movers) == amount
