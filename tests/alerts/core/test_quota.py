"""What budgets together say to a call: literal, in nano-USD, rounded against the spender."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.core.budgets import Action, Budget, RequestLimits
from alerts.core.quota import (
    NANO_MAX,
    Call,
    Choice,
    Estimate,
    Gate,
    Standing,
    Step,
    choose,
    count_cost,
    count_room,
    estimate_cost,
    find_denial_seconds,
    find_excess,
    find_gates,
    find_throttle_seconds,
    identify_reservation,
    list_unchecked,
    make_gate,
    suggest_model,
)
from tests.billing.core.rate_books import make_meters, make_rate, make_rate_book

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
NOON = datetime(2026, 11, 16, tzinfo=UTC)  # half of the month is over
CALL = Call(provider="openai", model="gpt-4o", feature="chat", user="ada", input_tokens=1000, output_tokens=500)
FREE = Estimate(Decimal(0))
WARN, THROTTLE, DENY = 1, 2, 3


def make_budget(number=1, *, scope=None, actions=(), per_request=None, amount="100"):
    return Budget(
        tenant_id=7, id=number, name=f"budget {number}", window="month", amount=Decimal(amount), scope=scope or {},
        actions=tuple(actions), per_request=per_request or RequestLimits(),
    )  # fmt: skip


def stand(budget=None, *, limit="100", spent="0", forecast=None, held="0"):
    forecast = None if forecast is None else Decimal(forecast)
    return Standing(budget or make_budget(), START, END, Decimal(limit), Decimal(spent), forecast, Decimal(held))


def act(percent, do, *, on="actual", model=""):
    return Action(at_percent=percent, on=on, do=do, model=model)


def test_room_is_rounded_down_and_cost_up():
    assert count_room(Decimal("0.0000000019")) == 1
    assert count_room(Decimal("-0.0000000011")) == -2
    assert count_cost(Decimal("0.000000000001")) == 1
    assert (count_cost(None), count_cost(Decimal(0))) == (0, 0)


def test_what_is_beyond_exact_numbers_never_fits():
    assert count_room(Decimal(10) ** 12) == NANO_MAX == 9_007_199_254_740_991
    assert count_cost(Decimal(10) ** 8) == NANO_MAX + 1
    gate = make_gate(stand(make_budget(actions=[act(100, "deny")]), limit="1000000000000"))
    assert choose([gate], [0], count_cost(Decimal(10) ** 8)).severity == DENY
    assert choose([gate], [0], count_cost(Decimal("9007199.254740991"))).severity == 0


def test_each_action_has_the_room_from_what_was_spent_and_held_to_its_threshold():
    actions = [act(50, "notify"), act(80, "warn"), act(90, "throttle"), act(100, "deny"), act(95, "suggest", model="m")]
    gate = make_gate(stand(make_budget(actions=actions), limit="100", spent="70", held="0.5"))
    assert gate.remaining == 29_500_000_000
    assert gate.steps == ((WARN, 9_500_000_000), (THROTTLE, 19_500_000_000), (DENY, 29_500_000_000))
    assert gate.suggestions == ((24_500_000_000, "m"),)


@pytest.mark.parametrize(("forecast", "steps"), [
    (None, ()),  # nothing is expected yet
    ("99.99", ()),
    ("100", ((WARN, -1),)),
])  # fmt: skip
def test_a_warning_on_the_forecast_is_given_while_the_forecast_reaches_it(forecast, steps):
    assert make_gate(stand(make_budget(actions=[act(100, "warn", on="forecast")]), forecast=forecast)).steps == steps


@pytest.mark.parametrize(("held", "cost", "severity"), [
    (0, 10, 0),  # takes the last of it
    (0, 11, DENY),
    (9, 1, 0),
    (9, 2, DENY),
    (10, 0, DENY),  # nothing is left, and what it costs is unknown
    (9, 0, 0),
])  # fmt: skip
def test_the_last_of_a_budget_may_be_taken_exactly(held, cost, severity):
    gate = Gate(stand(), 10, (Step(DENY, 10),))
    assert choose([gate], [held], cost) == (severity, 0)


def test_the_most_severe_budget_decides_and_of_equals_the_one_with_least_left():
    loose, tight = Gate(stand(), 100, (Step(WARN, 5),)), Gate(stand(), 50, (Step(WARN, 5),))
    denying = Gate(stand(), 1_000, (Step(WARN, 1), Step(DENY, 7)))
    assert choose([], [], 5) == Choice(0, -1)
    assert choose([loose, tight, denying], [0, 0, 0], 1) == (0, 1)
    assert choose([loose, tight, denying], [0, 0, 0], 6) == (WARN, 1)
    assert choose([loose, tight, denying], [60, 0, 0], 6) == (WARN, 0)
    assert choose([loose, tight, denying], [0, 0, 0], 8) == (DENY, 2)


@given(
    rooms=st.lists(st.tuples(st.integers(-50, 50), st.integers(0, 50), st.integers(1, 3)), min_size=1, max_size=5),
    cost=st.integers(0, 60),
)
def test_no_call_passes_where_any_denying_budget_lacks_room(rooms, cost):
    gates = [Gate(stand(), room, (Step(severity, room),)) for room, _, severity in rooms]
    is_denied = any(severity == 3 and (cost + held > room or held >= room) for room, held, severity in rooms)
    assert (choose(gates, [held for _, held, _ in rooms], cost).severity == 3) is is_denied


def test_only_budgets_that_count_the_call_are_asked():
    scopes = [{}, {"feature": "chat"}, {"feature": "search"}, {"user": "ada", "model": "gpt-4o"}, {"key": "k"}]
    gates = [make_gate(stand(make_budget(number, scope=scope))) for number, scope in enumerate(scopes)]
    assert [gate.standing.budget.id for gate in find_gates(gates, CALL, FREE)] == [0, 1, 3]


@pytest.mark.parametrize(("limits", "told"), [
    (RequestLimits(1000, 500, Decimal("0.02")), ""),
    (RequestLimits(input_tokens=999), "1,000 input tokens, where one call may have 999"),
    (RequestLimits(output_tokens=499), "500 output tokens, where one call may have 499"),
    (RequestLimits(cost=Decimal("0.0199")), "0.02 USD at most, where one call may cost 0.0199"),
])  # fmt: skip
def test_a_limit_for_one_call_denies_by_itself(limits, told):
    estimate = Estimate(Decimal("0.02"))
    budget = make_budget(per_request=limits)
    assert find_excess(budget, CALL, estimate) == told
    [gate] = find_gates([make_gate(stand(budget))], CALL, estimate)
    assert choose([gate], [0], 20_000_000).severity == (DENY if told else 0)
    if told:
        assert find_denial_seconds(gate, 20_000_000, excess=told, now=NOON) is None


def test_limits_that_nothing_was_said_to_compare_with_are_named():
    gate = make_gate(stand(make_budget(per_request=RequestLimits(10, 10, Decimal(1)))))
    silent = Call(provider="openai", model="gpt-4o")
    assert list_unchecked([gate], silent, Estimate(None)) == ["input_tokens", "output_tokens", "cost"]
    assert list_unchecked([gate], CALL, FREE) == []


@pytest.mark.parametrize(("fields", "cost", "reason"), [
    ({"input_tokens": 1000, "output_tokens": 500}, "0.0075", ""),  # 1,000 × 2.50 + 500 × 10 a million
    ({"input_tokens": 1000, "output_tokens": 0}, "0.0025", ""),
    ({"model": "reasoner", "input_tokens": 0, "output_tokens": 500}, "0.01", ""),  # all of it reasoning, at 20
    ({"input_tokens": 1000}, None, "max_output_tokens is not said"),
    ({"output_tokens": 500}, None, "estimated_input_tokens is not said"),
    ({"model": "gpt-unknown", "input_tokens": 1, "output_tokens": 1}, None, "no_rate_for_model"),
    ({"model": "gpt-unknown", "cost": Decimal("0.5")}, "0.5", ""),  # the caller's own figure
])  # fmt: skip
def test_the_estimate_is_the_worst_case_by_the_rates(fields, cost, reason):
    reasoner = make_rate(model="reasoner", meters=make_meters(input="1", output="10", reasoning="20"))
    book = make_rate_book(make_rate(), reasoner)
    call = Call(**{"provider": "openai", "model": "gpt-4o", **fields})
    estimate = estimate_cost(call, rate_book=book, tenant_id=7, now=NOON)
    assert estimate == Estimate(None if cost is None else Decimal(cost), reason)


def test_another_model_is_suggested_from_its_threshold_on_and_never_the_one_asked_for():
    early = make_gate(stand(make_budget(1, actions=[act(50, "suggest", model="small")])))
    late = make_gate(stand(make_budget(2, actions=[act(80, "suggest", model="smaller")])))
    fifty, ninety = 50_000_000_000, 90_000_000_000
    assert suggest_model([early, late], [0, 0], 1, model="gpt-4o") == ""
    assert suggest_model([early, late], [fifty, fifty], 1, model="gpt-4o") == "small"
    assert suggest_model([early, late], [fifty, fifty], 1, model="small") == ""
    assert suggest_model([early, late], [fifty, ninety], 1, model="gpt-4o") == "smaller"


@pytest.mark.parametrize(("spent", "held", "seconds"), [
    ("50", 0, 1),  # on the pace
    ("10", 0, 1),  # behind it
    ("50.001", 0, 26),  # 0.001 of 100 is 25.92 s of thirty days
    ("50", 1_000_000, 26),
    ("60", 0, 60),  # three days ahead of it
    ("100", 0, 60),
])  # fmt: skip
def test_a_throttle_waits_until_the_window_s_pace_has_caught_up(spent, held, seconds):
    assert find_throttle_seconds(stand(spent=spent), held, now=NOON) == seconds


def test_after_a_denial_one_asks_again_in_the_next_window_or_soon_where_only_holds_stand_in_the_way():
    gate = make_gate(stand(make_budget(actions=[act(100, "deny")]), spent="99"))
    assert find_denial_seconds(gate, 2_000_000_000, excess="", now=NOON) == 15 * 86_400
    assert find_denial_seconds(gate, 500_000_000, excess="", now=NOON) == 5
    assert find_denial_seconds(gate, 500_000_000, excess="", now=END - timedelta(seconds=2)) == 2


def test_a_reservation_is_known_by_tenant_request_and_question():
    name = identify_reservation(tenant_id=7, request_id="r", question=b"q")
    assert name == identify_reservation(tenant_id=7, request_id="r", question=b"q")
    others = [(8, "r", b"q"), (7, "s", b"q"), (7, "r", b"p")]
    assert len({name, *(identify_reservation(tenant_id=t, request_id=r, question=q) for t, r, q in others)}) == 4
