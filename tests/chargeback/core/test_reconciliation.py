"""A bill beside the ledger: worked by hand, and exact whatever both sides say."""

from datetime import date, timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargeback.core.billed_models import find_words, match_models
from chargeback.core.bills import CATEGORIES
from chargeback.core.reconciliation import (
    REASONS,
    Billed,
    Booked,
    Decision,
    Tolerance,
    compare,
    explain_rest,
    sum_by,
)

THIRD, FOURTH = date(2026, 11, 3), date(2026, 11, 4)
TOLERANCE = Tolerance(Decimal("0.10"), Decimal(1))


def bill(amount, *, model="gpt-5", day=THIRD, category="usage", provider="openai"):
    return Billed((provider, model, day), category, Decimal(amount))


def book(amount, *, model="gpt-5", day=THIRD, provider="openai"):
    return Booked((provider, model, day), Decimal(amount))


def test_a_row_says_both_sides_what_differs_and_what_nothing_explains():
    # 10.00 + 1.90 of tax − 2.00 of a credit on the bill, 9.00 in the ledger: 0.90 differ, and 1.00 of usage is open.
    sides = [bill("10"), bill("1.9", model="", category="tax"), bill("-2", model="", category="credit")]
    found = compare(sides, [book("9")], [], tolerance=TOLERANCE)
    assert [(row.model, row.sums.bill, row.sums.ledger, row.sums.variance) for row in found.rows] == [
        ("", Decimal("-0.1"), 0, Decimal("-0.1")),
        ("gpt-5", 10, 9, 1),
    ]
    assert found.rows[0].sums.explained == {"tax": Decimal("1.9"), "discount": -2}
    assert [(row.sums.unexplained, row.is_within, row.hint) for row in found.rows] == [
        (0, True, ""),
        (1, False, "rate"),
    ]
    assert found.rows[1].sums.percent == 10
    assert (found.total.variance, found.total.unexplained) == (Decimal("0.9"), 1)
    assert [(group.model, group.is_within) for group in found.groups] == [("", True), ("gpt-5", False)]


def test_a_tolerance_is_an_amount_or_a_percentage_whichever_allows_more():
    assert TOLERANCE.covers(Decimal("0.10"), bill=Decimal(0))
    assert not TOLERANCE.covers(Decimal("-0.11"), bill=Decimal(10))
    assert TOLERANCE.covers(Decimal("-0.11"), bill=Decimal(11))
    assert not TOLERANCE.covers(Decimal("0.1100000001"), bill=Decimal(11))


def test_what_one_side_counts_a_day_later_is_open_by_day_and_none_of_the_month():
    found = compare([bill("3"), bill("7", day=FOURTH)], [book("5"), book("5", day=FOURTH)], [], tolerance=TOLERANCE)
    assert [(row.sums.unexplained, row.hint) for row in found.rows] == [(-2, "timing"), (2, "timing")]
    assert found.open_groups == () and found.total.unexplained == 0


def test_a_hint_says_which_side_knows_nothing_of_it():
    found = compare([bill("3", model="o3")], [book("5")], [], tolerance=TOLERANCE)
    assert [(row.model, row.hint) for row in found.rows] == [("gpt-5", "not_on_bill"), ("o3", "not_in_ledger")]


def test_what_a_person_explains_is_explained_until_a_side_changes():
    first = compare([bill("10")], [book("9")], [], tolerance=TOLERANCE)
    (decision,) = explain_rest(first.rows, reason="rate")
    assert decision == Decision(("openai", "gpt-5", THIRD), "rate", Decimal(1))
    explained = compare([bill("10")], [book("9")], [decision], tolerance=TOLERANCE)
    assert explained.total.unexplained == 0 and explained.open_groups == ()
    restated = compare([bill("12")], [book("9")], [decision], tolerance=TOLERANCE)
    assert restated.total.unexplained == 2
    gone = compare([], [], [decision], tolerance=TOLERANCE)
    assert (gone.total.variance, gone.total.unexplained) == (0, -1)


AMOUNTS = st.decimals(min_value=-(10**9), max_value=10**9, places=12, allow_nan=False)
PLACES = st.tuples(
    st.sampled_from(["openai", "aws"]),
    st.sampled_from(["", "gpt-5", "o3"]),
    st.integers(0, 3).map(lambda days: THIRD + timedelta(days=days)),
)
BILLED = st.lists(st.builds(Billed, PLACES, st.sampled_from(CATEGORIES), AMOUNTS), max_size=25)
BOOKED = st.lists(st.builds(Booked, PLACES, AMOUNTS), max_size=25)
DECIDED = st.lists(st.builds(Decision, PLACES, st.sampled_from(sorted(REASONS)), AMOUNTS), max_size=8)


@given(BILLED, BOOKED, DECIDED, st.randoms(use_true_random=False))
def test_the_rows_sum_to_bill_less_ledger_exactly_in_any_order(billed, booked, decided, order):
    found = compare(billed, booked, decided, tolerance=TOLERANCE)
    with localcontext(prec=80):
        difference = sum((one.amount for one in billed), Decimal(0)) - sum((one.amount for one in booked), Decimal(0))
        assert sum((row.sums.variance for row in found.rows), Decimal(0)) == difference == found.total.variance
        for by in (lambda row: row.day, lambda row: row.provider, lambda row: row.model):
            assert sum((sums.unexplained for sums in sum_by(found.rows, by).values()), Decimal(0)) == (
                found.total.unexplained
            )
    for side in (billed, booked, decided):
        order.shuffle(side)
    assert compare(billed, booked, decided, tolerance=TOLERANCE) == found


@given(BILLED, BOOKED, DECIDED)
def test_a_rest_that_is_explained_leaves_nothing_open(billed, booked, decided):
    found = compare(billed, booked, decided, tolerance=TOLERANCE)
    more = explain_rest(found.rows, reason="other")
    assert all(not row.sums.unexplained for row in compare(billed, booked, decided + more, tolerance=TOLERANCE).rows)


# --- which model ---


def match(billed, booked, aliases=None):
    found = match_models(billed, booked, find_meaning=lambda *pair: (aliases or {}).get(pair, pair))
    return {pair: found[pair] for pair in billed}


def test_a_bill_s_own_name_is_the_ledger_s_by_spelling_and_by_alias():
    booked = {("openai", "gpt-4o-2024-08-06"), ("azure", "gpt-5"), ("aws", "anthropic.claude-3-haiku-20240307-v1:0")}
    arn = "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0"
    billed = {("openai", "GPT-4o-20240806"), ("azure", "our-deployment"), ("aws", arn)}
    assert match(billed, booked, {("azure", "our-deployment"): ("azure", "gpt-5")}) == {
        ("openai", "GPT-4o-20240806"): ("openai", "gpt-4o-2024-08-06"),
        ("azure", "our-deployment"): ("azure", "gpt-5"),
        ("aws", arn): ("aws", "anthropic.claude-3-haiku-20240307-v1:0"),
    }


@pytest.mark.parametrize(
    ("display", "model"),
    [
        ("Claude Haiku 4.5", "claude-haiku-4-5-20251001"),
        ("Claude 3.5 Sonnet 2024-10-22", "claude-3-5-sonnet-20241022"),
        ("Claude Sonnet 4", "claude-sonnet-4-20250514"),
    ],
)
def test_a_display_name_is_the_one_model_of_its_words(display, model):
    others = {("anthropic", "claude-opus-4-1-20250805"), ("anthropic", "claude-3-haiku-20240307")}
    assert match({("anthropic", display)}, {("anthropic", model), *others}) == {
        ("anthropic", display): ("anthropic", model)
    }


def test_a_family_never_stands_for_one_of_two_snapshots_nor_for_one_that_another_line_names():
    two = {("openai", "gpt-4o-2024-05-13"), ("openai", "gpt-4o-2024-08-06")}
    assert match({("openai", "gpt-4o")}, two) == {("openai", "gpt-4o"): ("openai", "gpt-4o")}
    one = ("openai", "gpt-4o-2024-08-06")
    assert match({("openai", "gpt-4o"), one}, {one}) == {("openai", "gpt-4o"): ("openai", "gpt-4o"), one: one}
    assert match({("openai", "gpt-5.4")}, {("openai", "gpt-4.5")})["openai", "gpt-5.4"] == ("openai", "gpt-5.4")
    assert find_words("gpt-4o")[0] != find_words("gpt-4.1")[0]


def test_a_name_of_another_provider_is_never_taken():
    assert match({("azure", "gpt-5")}, {("openai", "gpt-5")}) == {("azure", "gpt-5"): ("azure", "gpt-5")}
