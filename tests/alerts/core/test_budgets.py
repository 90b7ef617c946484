"""Windows by the calendar, what a budget covers, and what is wrong with one, all at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.core.budget_terms import read_terms, write_terms
from alerts.core.budgets import (
    WINDOWS,
    Action,
    Budget,
    BudgetRefused,
    BudgetTerms,
    RequestLimits,
    covers,
    describe_scope,
    find_parent_problems,
    write_amount,
)
from alerts.core.windows import find_window, find_window_before

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia",
    "America/St_Johns", "America/Sao_Paulo", "America/Havana",
)  # fmt: skip
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))
FISCAL_MONTHS = st.integers(1, 12)

DOCUMENT = {
    "name": "Chat",
    "scope": {"feature": "chat"},
    "window": "month",
    "amount": "3000.00",
    "currency": "USD",
    "actions": [
        {"at_percent": 80, "on": "actual", "do": "notify"},
        {"at_percent": 100, "on": "actual", "do": "throttle"},
    ],
    "per_request": {"input_tokens": 32000, "output_tokens": 4096, "cost": "1.00"},
    "parent": None,
    "rollover": False,
}


def at(text):
    return datetime.fromisoformat(text)


def make_budget(budget_id, **terms):
    return Budget(
        tenant_id=1, id=budget_id, **{"name": f"B{budget_id}", "window": "month", "amount": Decimal(1)} | terms
    )


# --- windows ---


@given(st.sampled_from(WINDOWS), MOMENTS, st.sampled_from(ZONES), FISCAL_MONTHS)
def test_a_moment_lies_in_its_window_and_windows_leave_no_gap(window, moment, timezone, fiscal_month):
    calendar = {"timezone": timezone, "fiscal_month": fiscal_month}
    start, end = find_window(window, moment, **calendar)
    assert start <= moment < end
    assert start.tzinfo == end.tzinfo == UTC
    assert find_window(window, start, **calendar) == (start, end)
    assert find_window(window, end - timedelta(microseconds=1), **calendar) == (start, end)
    assert find_window(window, end, **calendar)[0] == end
    assert find_window_before(window, start, **calendar)[1] == start


@pytest.mark.parametrize(
    ("window", "moment", "timezone", "start", "end"),
    [
        ("hour", "2026-11-22T05:59:59Z", "Asia/Kolkata", "2026-11-22T05:00:00Z", "2026-11-22T06:00:00Z"),
        # Clocks go forward on 29 March 2026 and back on 25 October: days of 23 and 25 hours.
        ("day", "2026-03-29T12:00:00Z", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("day", "2026-10-25T12:00:00Z", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        # The 22nd of November 2026 is a Sunday.
        ("week", "2026-11-22T05:00:00Z", "UTC", "2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"),
        ("month", "2026-10-31T23:30:00Z", "Europe/Berlin", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"),
        ("month", "2026-10-31T23:30:00Z", "America/New_York", "2026-10-01T04:00:00Z", "2026-11-01T04:00:00Z"),
        # There clocks went back from 00:01 to 23:01 of the day before: that minute's day had begun already.
        ("day", "2010-11-07T02:45:00Z", "America/St_Johns", "2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z"),
    ],
)
def test_windows_are_the_calendars_of_the_zone(window, moment, timezone, start, end):
    assert find_window(window, at(moment), timezone=timezone, fiscal_month=1) == (at(start), at(end))


@pytest.mark.parametrize(
    ("window", "fiscal_month", "first", "after"),
    [
        ("quarter", 1, "2026-10-01", "2027-01-01"),
        ("quarter", 2, "2026-11-01", "2027-02-01"),
        ("quarter", 3, "2026-09-01", "2026-12-01"),
        ("quarter", 4, "2026-10-01", "2027-01-01"),
        ("quarter", 12, "2026-09-01", "2026-12-01"),
        ("year", 1, "2026-01-01", "2027-01-01"),
        ("year", 4, "2026-04-01", "2027-04-01"),
        ("year", 11, "2026-11-01", "2027-11-01"),
        ("year", 12, "2025-12-01", "2026-12-01"),
    ],
)
def test_quarters_and_years_begin_with_the_fiscal_years_first_month(window, fiscal_month, first, after):
    found = find_window(window, at("2026-11-22T05:00:00Z"), timezone="UTC", fiscal_month=fiscal_month)
    assert found == (at(f"{first}T00:00:00Z"), at(f"{after}T00:00:00Z"))


# --- scopes ---


@pytest.mark.parametrize(
    ("scope", "use", "is_covered"),
    [
        ({}, {"feature": "chat"}, True),
        ({"feature": "chat"}, {"feature": "chat", "user": "ada"}, True),
        ({"feature": "chat"}, {"feature": "search"}, False),
        ({"feature": "chat"}, {"user": "ada"}, False),
        ({"feature": "chat", "user": "ada"}, {"feature": "chat", "user": "bob"}, False),
    ],
)
def test_a_budget_covers_what_has_every_value_of_its_scope(scope, use, is_covered):
    assert covers(scope, use) is is_covered


def test_a_scope_is_told_in_words():
    assert (
        describe_scope({"cost_center": "R&D", "environment": "production"}) == "environment production, cost centre R&D"
    )
    assert describe_scope({}) == "everything"


# --- documents ---


def test_a_document_states_the_terms():
    assert read_terms(DOCUMENT) == BudgetTerms(
        name="Chat",
        scope={"feature": "chat"},
        window="month",
        amount=Decimal(3000),
        actions=(Action(80, "actual", "notify"), Action(100, "actual", "throttle")),
        per_request=RequestLimits(32_000, 4_096, Decimal(1)),
    )


def test_a_name_a_window_and_an_amount_are_enough():
    terms = read_terms({"name": "All", "window": "day", "amount": 50})
    assert terms == BudgetTerms(name="All", window="day", amount=Decimal(50))


def test_terms_are_written_as_they_are_read():
    terms = read_terms(DOCUMENT | {"actions": [{"at_percent": 90, "do": "suggest", "model": "luna-mini"}]})
    assert read_terms(write_terms(terms)) == terms


@pytest.mark.parametrize(
    ("amount", "text"),
    [("3000", "3000.00"), ("3E+3", "3000.00"), ("0.5", "0.50"), ("1.230000", "1.23"), ("0.000001", "0.000001")],
)
def test_an_amount_is_written_with_every_digit_and_cents(amount, text):
    assert write_amount(Decimal(amount)) == text


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(BudgetRefused) as refused:
        read_terms(
            {
                "name": " ",
                "scope": {"team": "x", "feature": "", "user": "ada", "key": "k1"},
                "window": "fortnight",
                "amount": "-5",
                "currency": "EUR",
                "actions": [
                    {"at_percent": 0, "do": "shout"},
                    {"at_percent": 90, "on": "forecast", "do": "deny"},
                    {"at_percent": 90, "do": "suggest"},
                    {"at_percent": 80, "do": "notify", "model": "luna"},
                    {"at_percent": 70, "do": "warn"},
                    {"at_percent": 70, "do": "warn"},
                ],
                "per_request": {"cost": "0", "tokens": 5, "input_tokens": True},
                "parent": "x",
                "rollover": "yes",
                "channels": [1, 1],
                "limit": 5,
            }
        )
    assert [(problem.field, problem.code) for problem in refused.value.problems] == [
        ("limit", "unknown_field"),
        ("name", "missing_field"),
        ("window", "wrong_value"),
        ("amount", "out_of_range"),
        ("currency", "wrong_value"),
        ("scope.team", "unknown_field"),
        ("scope.feature", "missing_field"),
        ("scope.user", "not_together"),
        ("actions.0.at_percent", "out_of_range"),
        ("actions.0.do", "wrong_value"),
        ("actions.1.do", "wrong_value"),
        ("actions.2.model", "missing_field"),
        ("actions.3.model", "wrong_value"),
        ("actions.5", "duplicate"),
        ("per_request.cost", "out_of_range"),
        ("per_request.tokens", "unknown_field"),
        ("per_request.input_tokens", "out_of_range"),
        ("parent", "wrong_type"),
        ("rollover", "wrong_type"),
        ("channels", "too_many"),
    ]


@pytest.mark.parametrize("window", ["hour", "day"])
def test_hours_and_days_have_no_forecast(window):
    action = {"at_percent": 100, "on": "forecast", "do": "notify"}
    with pytest.raises(BudgetRefused, match="can be forecast for a week, month, quarter, year only"):
        read_terms(DOCUMENT | {"window": window, "actions": [action]})


@pytest.mark.parametrize("amount", ["three", "", 1.5, "NaN", "Infinity", True, "0", "1e13", "0.0000001", [], {}])
def test_an_amount_is_a_sum_of_money(amount):
    with pytest.raises(BudgetRefused, match="amount"):
        read_terms(DOCUMENT | {"amount": amount})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*DOCUMENT, "at_percent", "do", "on", "x"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_document_is_terms_or_problems(document):
    try:
        terms = read_terms(document)
    except BudgetRefused as refused:
        assert refused.problems
    else:
        assert read_terms(write_terms(terms)) == terms


# --- parents ---


def find_problems(terms, *others, budget_id=None):
    found = find_parent_problems(terms, budget_id=budget_id, budgets={one.id: one for one in others})
    return [(problem.field, problem.code) for problem in found]


def test_a_child_lies_within_its_parent():
    chat = BudgetTerms(name="Chat", window="day", amount=Decimal(1), scope={"feature": "chat"}, parent_id=1)
    assert find_problems(chat, make_budget(1)) == []
    assert find_problems(chat, make_budget(1, scope={"feature": "search"})) == [("parent", "outside_parent")]
    assert find_problems(chat) == [("parent", "unknown_parent")]


def test_a_parent_goes_on_holding_its_children():
    child = make_budget(2, scope={"feature": "chat"}, parent_id=1)
    narrowed = make_budget(1, scope={"feature": "search"})
    assert find_problems(narrowed, make_budget(1), child, budget_id=1) == [("scope", "outside_parent")]


def test_no_budget_stands_below_itself():
    one, two, three = make_budget(1), make_budget(2, parent_id=1), make_budget(3, parent_id=2)
    assert find_problems(replace(one, parent_id=3), one, two, three, budget_id=1) == [("parent", "circular")]
    assert find_problems(replace(one, parent_id=1), one, budget_id=1) == [("parent", "circular")]
