"""Rules as documents: read as they are written, and refused with everything that is wrong with them."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeback.core.allocation import METHODS, AllocationTerms, Selector, Split
from chargeback.core.charges import CHARGE_KINDS, ChargeTerms
from chargeback.core.rule_fields import RuleRefused
from chargeback.core.rule_terms import (
    list_named_centers,
    read_allocation,
    read_charge,
    read_dated,
    write_allocation,
    write_charge,
)

PLATFORM = {"name": "Platform", "source": {"cost_centers": ["platform"]}, "method": "cost", "targets": "all"}
ALLOCATIONS = [
    PLATFORM,
    PLATFORM | {"position": 3, "percent": "12.5", "method": "even", "targets": ["sales", "legal"]},
    {"name": "Nobody's", "source": {"cost_centers": [""]}, "method": "fixed",
     "shares": {"a": "33.333333", "b": "66.666667"}},
    {"name": "Seats", "source": {"features": ["chat"]}, "method": "driver", "drivers": {"a": "seats of a"}},
]  # fmt: skip
CHARGES = [
    {"kind": "markup", "name": "Overhead", "percent": "250", "match": {"providers": ["openai"]}},
    {"kind": "discount", "name": "Volume", "percent": "0.5"},
    {"kind": "fee", "name": "Platform", "amount": "1200.50", "method": "even", "targets": "all"},
    {"kind": "fee", "name": "Seat", "amount": "10", "method": "fixed", "shares": {"legal": "100"}},
    {"kind": "minimum", "name": "Least", "amount": "100", "targets": ["legal"]},
    {"kind": "credit", "name": "Outage", "amount": "75", "cost_center": "legal"},
]


def refuse(read, document):
    with pytest.raises(RuleRefused) as refused:
        read(document)
    return [(problem.field, problem.code) for problem in refused.value.problems]


def test_an_allocation_is_read_as_it_is_written():
    assert read_allocation(ALLOCATIONS[1]) == AllocationTerms(
        "Platform", 3, Selector(("platform",)), Split("even", ("legal", "sales")), Decimal("12.5")
    )
    assert write_allocation(read_allocation(PLATFORM)) == {
        "name": "Platform", "position": 0, "percent": "100", "method": "cost", "targets": "all",
        "source": {"cost_centers": ["platform"], "features": [], "providers": [], "models": []},
    }  # fmt: skip


@pytest.mark.parametrize("document", ALLOCATIONS, ids=lambda one: one["name"])
def test_what_an_allocation_is_written_as_is_read_as_the_same(document):
    terms = read_allocation(document)
    assert read_allocation(write_allocation(terms)) == terms


@pytest.mark.parametrize("document", CHARGES, ids=lambda one: f"{one['kind']} {one['name']}")
def test_what_a_charge_is_written_as_is_read_as_the_same(document):
    terms = read_charge(document)
    assert read_charge(write_charge(terms)) == terms


def test_amounts_of_charges_are_whole_pico_usd():
    assert read_charge(CHARGES[4]) == ChargeTerms(
        "minimum", "Least", amount=100 * 10**12, split=Split("even", ("legal",))
    )
    assert write_charge(read_charge(CHARGES[2]))["amount"] == "1200.5"


def test_everything_wrong_with_an_allocation_is_told_at_once():
    wrong = {
        "name": " ",
        "position": -1,
        "percent": 12.5,
        "source": {"teams": []},
        "method": "luck",
        "targets": [],
        "x": 1,
    }
    assert refuse(read_allocation, wrong) == [
        ("x", "unknown_field"), ("name", "missing_field"), ("position", "out_of_range"), ("percent", "wrong_type"),
        ("source.teams", "unknown_field"), ("method", "wrong_value"), ("targets", "missing_field"),
    ]  # fmt: skip
    assert refuse(read_allocation, []) == [("", "wrong_type")]
    assert refuse(read_allocation, {}) == [
        ("name", "missing_field"), ("method", "missing_field"), ("targets", "missing_field"),
        ("source", "missing_field"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"targets": ["sales", "platform"]}, ("targets", "source_is_target")),
        ({"source": {}}, ("source", "missing_field")),
        ({"source": {"features": ["chat"]}}, ("source.cost_centers", "missing_field")),
        ({"source": {"cost_centers": ["a", "a"]}}, ("source.cost_centers.1", "duplicate")),
        ({"targets": ["sales", ""]}, ("targets.1", "missing_field")),
        ({"percent": "0"}, ("percent", "out_of_range")),
        ({"percent": "100.5"}, ("percent", "out_of_range")),
        ({"percent": "1.1234567"}, ("percent", "too_precise")),
        ({"percent": "NaN"}, ("percent", "wrong_type")),
        ({"percent": "1e999999999"}, ("percent", "wrong_type")),
        ({"shares": {"a": "100"}}, ("shares", "wrong_value")),
        ({"method": "fixed", "shares": {"a": "100"}}, ("targets", "wrong_value")),
        ({"method": "fixed", "targets": None, "shares": {"a": "60", "b": "39.999999"}}, ("shares", "wrong_sum")),
        ({"method": "fixed", "targets": None}, ("shares", "missing_field")),
        ({"method": "driver", "targets": None, "drivers": {"a": 3}}, ("drivers.a", "wrong_type")),
        ({"source": ["platform"]}, ("source", "wrong_type")),
        ({"name": "two\nlines"}, ("name", "invalid_text")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_allocation_that_cannot_be_is_refused_with_its_field(changes, problem):
    assert problem in refuse(read_allocation, PLATFORM | changes)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"kind": "gift", "name": "x"}, ("kind", "wrong_value")),
        ({"kind": "discount", "name": "x", "percent": "101"}, ("percent", "out_of_range")),
        ({"kind": "markup", "name": "x", "percent": "1", "amount": "5"}, ("amount", "unknown_field")),
        ({"kind": "fee", "name": "x", "amount": "-5", "method": "even", "targets": "all"}, ("amount", "out_of_range")),
        ({"kind": "fee", "name": "x", "amount": "5", "method": "even"}, ("targets", "missing_field")),
        ({"kind": "minimum", "name": "x", "amount": "5"}, ("targets", "missing_field")),
        ({"kind": "credit", "name": "x", "amount": "5.0000001"}, ("amount", "too_precise")),
        ({"kind": "credit", "name": "x", "amount": "5"}, ("cost_center", "missing_field")),
        ({"kind": "markup", "name": "x", "percent": "5", "match": {"cost_centers": [""]}},
         ("match.cost_centers.0", "missing_field")),
    ],
    ids=lambda value: str(value)[:60],
)  # fmt: skip
def test_a_charge_that_cannot_be_is_refused_with_its_field(document, problem):
    assert problem in refuse(read_charge, document)


def test_every_cost_centre_that_a_rule_names_is_listed_with_its_field():
    assert list_named_centers(read_allocation(ALLOCATIONS[1])) == {
        "legal": "targets", "sales": "targets", "platform": "source.cost_centers",
    }  # fmt: skip
    assert list_named_centers(read_allocation(ALLOCATIONS[2])) == {"a": "shares", "b": "shares"}
    assert list_named_centers(read_charge(CHARGES[5])) == {"legal": "cost_center"}


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals()
    | st.text()
    | st.sampled_from(("all", "5", "100", "", "a")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("a", "b", "cost_centers", "")), inner),
    max_leaves=6,
)
selectors = st.fixed_dictionaries({}, optional={"cost_centers": values, "features": values, "models": values})
documents = st.fixed_dictionaries(
    {"name": st.just("It") | values, "valid_from": st.just("2026-10") | values},
    optional={
        "kind": st.sampled_from(CHARGE_KINDS) | values, "method": st.sampled_from(METHODS) | values, "position": values,
        "percent": values, "amount": values, "targets": values, "shares": values, "drivers": values, "valid_to": values,
        "cost_center": values, "source": selectors | values, "match": selectors | values,
    },
)  # fmt: skip


@given(documents, st.sampled_from(("allocation", "charge")))
@settings(max_examples=800, deadline=None)
def test_whatever_is_sent_is_a_rule_or_is_refused_in_words(document, family):
    try:
        dated = read_dated(document, family=family)
    except RuleRefused as refused:
        assert all(problem.detail and isinstance(problem.field, str) for problem in refused.problems)
        return
    write = write_allocation if family == "allocation" else write_charge
    read = read_allocation if family == "allocation" else read_charge
    assert read(write(dated.terms)) == dated.terms
