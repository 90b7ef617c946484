"""What is charged, by examples that were worked by hand."""

from datetime import date
from decimal import Decimal

import pytest

from chargeback.core.allocation import (
    AllocationRule,
    AllocationTerms,
    Selector,
    Split,
    describe_circle,
    find_circle,
)
from chargeback.core.charges import ChargeRule, ChargeTerms
from chargeback.core.charging import charge, list_lines
from chargeback.core.exchange import Exchange, FxRate, find_exchange, round_to_payable
from chargeback.core.lines import DirectCost, RuleRef
from chargeback.core.shares import split_amount, to_money, to_pico

MICRO = 10**6


def usd(text):
    return to_pico(Decimal(text))


def cost(center, amount, *, feature="chat", model="gpt-4o", calls=1, tokens=100):
    return DirectCost(center, feature, "openai", model, usd(amount), calls, tokens)


def allocate(number, source, split, *, position=0, percent="100", name="shared", **selector):
    terms = AllocationTerms(name, position, Selector(source, **selector), split, Decimal(percent))
    return AllocationRule(RuleRef(number, 1), terms)


def make_charge(number, kind, *, percent="0", amount="0", match=Selector(), split=Split("even"), left=None):  # noqa: B008
    terms = ChargeTerms(kind, kind, Decimal(percent), usd(amount), match, split)
    return ChargeRule(RuleRef(number, 1), terms, usd(left or "0"))


def read(result):
    """What each cost centre is charged, in USD as it is written."""
    return {center.cost_center: f"{to_money(center.sums.charged).normalize():f}" for center in result.centers}


# --- shared cost, as the clouds split it ---

# Azure's cost allocation, and the split charge of AWS, split a source evenly, by fixed percentages, or in proportion to
# what the targets cost themselves.
SHARED = [cost("platform", "100"), cost("a", "10"), cost("b", "30"), cost("c", "60")]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        # 100 / 3 = 33.33…: the third of 10⁻¹² that is left over goes to the first by name.
        (Split("even", ("a", "b", "c")), {"a": "43.333333333334", "b": "63.333333333333", "c": "93.333333333333"}),
        (Split("cost", ("a", "b", "c")), {"a": "20", "b": "60", "c": "120"}),  # 10 %, 30 % and 60 %
        (Split("cost"), {"a": "20", "b": "60", "c": "120"}),
        (
            Split("fixed", ("a", "b"), shares={"a": Decimal(75), "b": Decimal(25)}),
            {"a": "85", "b": "55", "c": "60"},
        ),
        (
            Split("cost", ("b", "c")),
            {"a": "10", "b": "63.333333333333", "c": "126.666666666667"},
        ),  # a third, two thirds
    ],
    ids=["even", "proportional", "proportional to all", "fixed", "proportional to two"],
)
def test_shared_cost_is_split_as_the_clouds_do(split, expected):
    result = charge(SHARED, allocations=[allocate(1, ("platform",), split)])
    assert read(result) == {"platform": "0"} | expected
    assert result.conservation.difference == 0


def test_shared_cost_is_split_by_calls_tokens_and_an_uploaded_driver():
    costs = [
        cost("platform", "12"),
        cost("a", "1", calls=1, tokens=500),
        cost("b", "1", calls=2, tokens=500),
        cost("c", "1", calls=3, tokens=2000),
    ]
    seats = Split("driver", ("a", "b", "c"), drivers={"a": "seats a", "b": "seats b", "c": "seats c"})
    drivers = {"seats a": 5 * MICRO, "seats b": 15 * MICRO, "seats c": 0}
    by = {
        name: read(charge(costs, allocations=[allocate(1, ("platform",), split)], drivers=drivers))
        for name, split in (("calls", Split("calls")), ("tokens", Split("tokens")), ("seats", seats))
    }
    assert by["calls"] == {"platform": "0", "a": "3", "b": "5", "c": "7"}  # 12 by sixths
    assert by["tokens"] == {"platform": "0", "a": "3", "b": "3", "c": "9"}  # 12 by 1, 1 and 4 of 6
    assert by["seats"] == {"platform": "0", "a": "4", "b": "10", "c": "1"}  # 12 by 1 and 3 of 4; c has no seats


def test_the_line_says_how_it_came_about():
    rule = allocate(7, ("platform",), Split("calls", ("a", "b")), name="Platform", percent="50")
    result = charge([cost("platform", "100"), cost("a", "1", calls=1), cost("b", "1", calls=3)], allocations=[rule])
    by_name = {center.cost_center: list_lines(center, result.exchange) for center in result.centers}
    assert [(line.number, line.kind, line.words) for line in by_name["b"]] == [
        (1, "direct", "3 calls, 100 tokens"),
        (2, "allocated_in", "Platform: 50.00 USD × 3 of 4 by calls"),
    ]
    assert by_name["platform"][1].words == "Platform: 50 % of what stood here, to those who bear it"
    assert [(line.rule_id, line.rule_version, line.amount_usd) for line in by_name["b"]] == [
        (None, None, usd("1")), (7, 1, usd("37.5")),
    ]  # fmt: skip


def test_five_departments_share_what_nobody_named_and_what_the_platform_cost():
    # 1,000 direct, 100 of the platform and 50 that is nobody's.
    costs = [
        cost("", "50"), cost("platform", "100"),
        cost("engineering", "400"), cost("finance", "100"), cost("legal", "50"), cost("marketing", "200"),
        cost("support", "250"),
    ]  # fmt: skip
    rules = [
        allocate(1, ("",), Split("even", ("engineering", "finance", "legal", "marketing", "support")), position=1),
        allocate(2, ("platform",), Split("cost"), position=2),
    ]
    result = charge(
        costs,
        allocations=rules,
        charges=[
            make_charge(1, "markup", percent="5"),
            make_charge(2, "discount", percent="10", match=Selector(("support",))),
            make_charge(
                3, "fee", amount="25", split=Split("even", ("engineering", "finance", "legal", "marketing", "support"))
            ),
            make_charge(4, "minimum", amount="100", split=Split("even", ("legal",))),
            make_charge(5, "credit", amount="30", left="30", split=Split("even", ("finance",))),
        ],
    )
    # Engineering: 400 + 10 + 40 = 450; 5 % are 22.50; fee 5. Finance: 100 + 10 + 10 = 120; 6; 5; credit 30.
    # Legal: 50 + 10 + 5 = 65; 3.25; 5; 26.75 up to 100. Marketing: 200 + 10 + 20 = 230; 11.50; 5.
    # Support: 250 + 10 + 25 = 285; 14.25; less 28.50; 5.
    assert read(result) == {
        "engineering": "477.5",
        "finance": "101",
        "legal": "100",
        "marketing": "246.5",
        "platform": "0",
        "support": "275.75",
    }
    proof = result.conservation
    assert (proof.charged, proof.unallocated, proof.cost) == (usd("1200.75"), 0, usd("1150"))
    assert (proof.markups, proof.fees, proof.minimums) == (usd("57.5"), usd("25"), usd("26.75"))
    assert (proof.discounts, proof.credits, proof.difference) == (usd("28.5"), usd("30"), 0)


def test_a_rule_takes_what_stands_there_by_then_and_what_was_emptied_is_not_filled_again():
    costs = [cost("platform", "90"), cost("security", "10"), cost("sales", "50"), cost("support", "50")]
    first = allocate(1, ("platform",), Split("even"), position=1)
    second = allocate(2, ("security",), Split("even"), position=2)
    # 90 by three, security's 30 among them; then its 40 by two.
    assert read(charge(costs, allocations=[second, first])) == {
        "platform": "0", "security": "0", "sales": "100", "support": "100",
    }  # fmt: skip
    assert find_circle([first, second]) == ()


def test_of_one_feature_its_cost_is_moved_wherever_it_was_booked_and_targets_keep_their_own():
    costs = [
        cost("a", "10", feature="gateway"), cost("a", "5"), cost("b", "20", feature="gateway"),
        cost("c", "30", feature="gateway"),
    ]  # fmt: skip
    rule = allocate(1, (), Split("even", ("a", "c")), features=("gateway",))
    result = charge(costs, allocations=[rule])
    assert read(result) == {"a": "25", "b": "0", "c": "40"}
    (moved,) = [line for line in list_lines(result.centers[0], result.exchange) if line.kind == "allocated_in"]
    assert moved.feature == "gateway"


def test_who_weighs_nothing_gets_nothing_and_where_nobody_weighs_anything_nothing_is_moved():
    costs = [cost("platform", "10"), cost("a", "4"), cost("b", "-4")]
    by_cost = allocate(1, ("platform",), Split("cost", ("a", "b")))
    result = charge(costs, allocations=[by_cost])
    assert read(result) == {"platform": "0", "a": "14", "b": "-4"}  # a refund bears no share
    by_seats = allocate(2, ("platform",), Split("driver", ("a",), drivers={"a": "seats"}))
    result = charge(costs, allocations=[by_seats])
    assert read(result) == {"platform": "10", "a": "4", "b": "-4"}
    assert [note.words for note in result.notes] == ["nothing was moved: no target has any weight by drivers"]
    result = charge([cost("a", "1")], allocations=[by_cost])
    assert [note.words for note in result.notes] == ["nothing stood at its source"]


def test_a_refund_of_shared_cost_is_shared_as_the_cost_was():
    rule = allocate(1, ("platform",), Split("even", ("a", "b")))
    assert read(charge([cost("platform", "-0.000000000003")], allocations=[rule])) == {
        "a": "-0.000000000002", "b": "-0.000000000001", "platform": "0",
    }  # fmt: skip


def test_percentages_are_all_of_the_same_base():
    rules = [make_charge(1, "markup", percent="10"), make_charge(2, "markup", percent="5")]
    assert read(charge([cost("a", "100")], charges=rules)) == {"a": "115"}  # compounded it would be 115.5
    discount = make_charge(3, "discount", percent="50", match=Selector(models=("gpt-4o",)))
    assert read(charge([cost("a", "100"), cost("a", "8", model="o3")], charges=[*rules, discount])) == {"a": "74.2"}


def test_a_fee_is_charged_whole_and_nobodys_cost_bears_none_of_it():
    rule = make_charge(1, "fee", amount="10", split=Split("cost"))
    costs = [cost("", "70"), cost("a", "10"), cost("b", "20")]
    result = charge(costs, charges=[rule])
    assert read(result) == {"a": "13.333333333333", "b": "26.666666666667"}
    assert result.conservation.unallocated == usd("70")
    assert list_lines(result.centers[0], result.exchange)[-1].words == (
        "fee: 10.00 USD × 10.00 USD of 30.00 USD by direct cost"
    )
    nobody = charge([cost("", "70")], charges=[rule])
    assert nobody.conservation.fees == 0
    assert [note.words for note in nobody.notes] == ["nobody is charged: no cost centre has any weight by direct cost"]


def test_the_highest_of_several_least_charges_counts_and_one_that_used_nothing_may_be_charged_it():
    rules = [
        make_charge(1, "minimum", amount="20"),
        make_charge(2, "minimum", amount="50", split=Split("even", ("a", "idle"))),
    ]
    result = charge([cost("a", "30"), cost("b", "5"), cost("c", "90")], charges=rules)
    assert read(result) == {"a": "50", "b": "20", "c": "90", "idle": "50"}
    assert list_lines(result.centers[0], result.exchange)[-1].words == "minimum: 50.00 USD at least, less 30.00 USD"


def test_credits_are_used_up_to_what_is_charged_the_earliest_first():
    rules = [
        make_charge(number, "credit", amount="100", left=left, split=Split("even", ("a",)))
        for number, left in ((1, "8"), (2, "70"))
    ]
    result = charge([cost("a", "30"), cost("b", "5")], charges=rules)
    assert read(result) == {"a": "0", "b": "5"}
    assert result.credits_used == {1: usd("8"), 2: usd("22")}
    assert charge([cost("a", "-3")], charges=rules).credits_used == {}


# --- circles ---


def test_rules_that_send_cost_round_in_a_circle_are_found_by_the_shortest_way():
    rules = [
        allocate(1, ("platform",), Split("even", ("sales", "legal")), name="Platform"),
        allocate(2, ("sales",), Split("even", ("support",)), position=1, name="Sales"),
        allocate(3, ("support",), Split("even", ("platform",)), position=2, name="Help"),
    ]
    assert find_circle(rules[:2]) == ()
    circle = find_circle(rules)
    assert [rule.ref.rule_id for rule in circle] == [1, 2, 3]
    assert describe_circle(circle) == "platform → sales (“Platform”) → support (“Sales”) → platform (“Help”)"


def test_what_is_moved_of_one_feature_is_not_what_is_moved_back_of_another():
    there = allocate(1, ("a",), Split("even", ("b",)), features=("chat",))
    back = allocate(2, ("b",), Split("even", ("a",)), features=("search",))
    assert find_circle([there, back]) == ()
    assert len(find_circle([there, allocate(3, ("b",), Split("even", ("a",)), features=("chat",))])) == 2


def test_a_rule_that_takes_from_everybody_may_close_a_circle():
    everybody = allocate(1, (), Split("even", ("a",)), features=("chat",))
    onward = allocate(2, ("a",), Split("even", ("b",)), position=1)
    assert find_circle([everybody, onward]) == ()  # what comes to b is of several features
    of_chat = allocate(2, ("a",), Split("even", ("b",)), position=1, features=("chat",))
    assert len(find_circle([everybody, of_chat])) == 2


# --- currency ---

RATES = [
    FxRate("EUR", date(2026, 9, 30), Decimal("0.9")),
    FxRate("EUR", date(2026, 10, 30), Decimal("0.8")),
    FxRate("EUR", date(2026, 10, 30), Decimal("0.85")),
    FxRate("EUR", date(2026, 11, 1), Decimal("0.7")),
    FxRate("JPY", date(2026, 10, 31), Decimal("150")),
]


def test_the_newest_rate_up_to_the_months_last_day_holds_and_of_one_day_the_last_that_was_entered():
    def find(currency, month_end):
        exchange = find_exchange(RATES, currency=currency, last_day=month_end)
        return exchange and (exchange.rate, exchange.day)

    assert find("EUR", date(2026, 10, 31)) == (Decimal("0.85"), date(2026, 10, 30))
    assert find("EUR", date(2026, 9, 30)) == (Decimal("0.9"), date(2026, 9, 30))
    assert find("EUR", date(2026, 8, 31)) is None
    assert find("USD", date(2026, 8, 31)) == (Decimal(1), None)


def test_a_total_is_exact_its_lines_are_rounded_and_what_that_leaves_stands_on_a_line_of_its_own():
    exchange = Exchange("EUR", Decimal("0.5"), date(2026, 10, 31))
    # Three lines of 3 pico-USD are 1.5 pico-EUR each, 2 when rounded; together 4.5 are 4.
    costs = [cost("a", "0.000000000003", feature=name) for name in ("x", "y", "z")]
    (center,) = charge(costs, exchange=exchange).centers
    lines = list_lines(center, exchange)
    assert [(line.kind, line.amount) for line in lines] == [("direct", 2)] * 3 + [("remainder", -2)]
    assert {(line.currency, line.fx_rate, line.fx_day) for line in lines} == {
        ("EUR", Decimal("0.5"), date(2026, 10, 31))
    }
    assert center.charged == 4


@pytest.mark.parametrize(
    ("amount", "currency", "payable"),
    [
        ("10.005", "EUR", "10"), ("10.015", "USD", "10.02"), ("-10.005", "EUR", "-10"), ("150.5", "JPY", "150"),
        ("1.0005", "KWD", "1"), ("1.0015", "KWD", "1.002"),
    ],
)  # fmt: skip
def test_what_is_payable_is_rounded_once_to_the_currencys_smallest_coin_halves_to_even(amount, currency, payable):
    assert round_to_payable(usd(amount), currency) == usd(payable)


def test_what_is_left_over_goes_to_the_largest_remainders_and_ties_go_by_name():
    assert split_amount(100, {"b": 1, "a": 1, "c": 1}) == {"a": 34, "b": 33, "c": 33}
    assert split_amount(10, {"a": 1, "b": 2, "c": 4}) == {"a": 1, "b": 3, "c": 6}  # 1.43, 2.86, 5.71
    assert split_amount(-100, {"a": 1, "b": 1, "c": 1, "d": 0}) == {"a": -34, "b": -33, "c": -33}
    assert split_amount(100, {"a": 0}) == {} and split_amount(0, {"a": 1}) == {"a": 0}
    with pytest.raises(ValueError):
        split_amount(1, {"a": -1})
