"""Whatever the rules and the cost: every pico-USD is charged to somebody or shown as nobody's, in any order."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from chargeback.core.allocation import AllocationRule, AllocationTerms, Selector, Split
from chargeback.core.charges import ChargeRule, ChargeTerms
from chargeback.core.charging import charge, list_lines
from chargeback.core.exchange import Exchange
from chargeback.core.lines import DirectCost, RuleRef
from chargeback.core.shares import divide_half_even, split_amount

CENTERS = ("engineering", "finance", "legal", "marketing", "support")
FEATURES, MODELS = ("chat", "search"), ("large", "small")
AMOUNTS = st.integers(-(10**18), 10**18)
PERCENTS = st.decimals(0, 100, places=6)

names = st.lists(st.sampled_from(CENTERS), unique=True, max_size=3).map(tuple)
somebody = st.lists(st.sampled_from(CENTERS), unique=True, min_size=1, max_size=3).map(tuple)
features = st.lists(st.sampled_from(FEATURES), unique=True, max_size=1).map(tuple)
drivers = st.dictionaries(st.sampled_from(CENTERS), st.integers(0, 10**9))
costs = st.lists(
    st.builds(
        DirectCost,
        cost_center=st.sampled_from((*CENTERS, "")),
        feature=st.sampled_from(FEATURES),
        provider=st.just("openai"),
        model=st.sampled_from(MODELS),
        amount=AMOUNTS,
        calls=st.integers(-5, 10**6),
        tokens=st.integers(-5, 10**9),
    ),
    max_size=30,
)


@st.composite
def splits(draw):
    method = draw(st.sampled_from(("even", "cost", "tokens", "calls", "driver", "fixed")))
    targets = draw(somebody)
    if method == "driver":
        return Split(method, targets, drivers={name: name for name in targets})
    if method == "fixed":
        parts = [Decimal(100 * 10**6 // len(targets)).scaleb(-6)] * (len(targets) - 1)
        return Split(method, targets, shares=dict(zip(targets, [*parts, 100 - sum(parts)], strict=True)))
    return Split(method, draw(st.sampled_from(((), targets))))


@st.composite
def allocations(draw):
    """Rules of few ranks, sources apart from targets; circles too, which are refused when saved and lose nothing."""
    rules = []
    for number in range(draw(st.integers(0, 5))):
        split = draw(splits())
        centers = tuple(set(draw(names)) - set(split.targets)) or ("",)
        source = Selector(cost_centers=centers, features=draw(features))
        terms = AllocationTerms(f"rule {number}", draw(st.integers(0, 2)), source, split, draw(PERCENTS))
        rules.append(AllocationRule(RuleRef(number, 1), terms))
    return rules


@st.composite
def charges(draw):
    rules = []
    for number in range(draw(st.integers(0, 7))):
        kind = draw(st.sampled_from(("markup", "discount", "fee", "minimum", "credit")))
        amount, left = draw(st.integers(0, 10**18)), draw(st.integers(0, 10**18))
        split = draw(splits()) if kind == "fee" else Split("even", (draw(st.sampled_from(CENTERS)),))
        match = Selector(cost_centers=draw(names), features=draw(features))
        terms = ChargeTerms(kind, f"{kind} {number}", draw(PERCENTS), amount, match, split)
        rules.append(ChargeRule(RuleRef(number, 1), terms, left))
    return rules


months = st.fixed_dictionaries({"allocations": allocations(), "charges": charges(), "drivers": drivers})


@given(costs, months)
@settings(max_examples=300, deadline=None)
def test_what_is_charged_and_what_is_nobodys_come_to_the_cost_and_all_that_was_added_and_taken_off(costs, month):
    result = charge(costs, **month)
    lines = [line for center in (*result.centers, result.unallocated) for line in list_lines(center, result.exchange)]

    def add_up(*kinds):
        return sum(line.amount_usd for line in lines if line.kind in kinds)

    assert add_up("direct") == sum(cost.amount for cost in costs)
    assert add_up("allocated_in", "allocated_out") == 0
    charged = sum(line.amount_usd for line in lines if line.cost_center)
    nobodys = sum(line.amount_usd for line in lines if not line.cost_center)
    assert charged + nobodys == add_up("direct", "markup", "fee", "minimum", "discount", "credit")
    assert result.conservation.difference == 0
    assert (result.conservation.charged, result.conservation.unallocated) == (charged, nobodys)


@given(costs, months, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_costs_and_rules_says_nothing_nor_does_it_who_counted_which_part(costs, month, chance):
    whole = charge(costs, **month)
    pieces = [piece for cost in costs for piece in _cut(cost)]
    shuffled = {name: value if name == "drivers" else chance.sample(value, len(value)) for name, value in month.items()}
    again = charge(chance.sample(pieces, len(pieces)), **shuffled)
    assert again == whole


def _cut(cost):
    """As two workers would have counted it."""
    amount, calls, tokens = cost.amount // 3, cost.calls // 3, cost.tokens // 3
    rest = (cost.amount - amount, cost.calls - calls, cost.tokens - tokens)
    return (DirectCost(*cost[:4], amount, calls, tokens), DirectCost(*cost[:4], *rest))


@given(AMOUNTS, st.dictionaries(st.text(min_size=1), st.integers(0, 10**24), max_size=12))
def test_shares_come_to_the_whole_each_within_one_unit_of_its_weight_and_nothing_goes_to_who_weighs_nothing(
    amount, weights
):
    shares = split_amount(amount, weights)
    whole = sum(weights.values())
    assert sum(shares.values()) == (amount if whole else 0)
    assert set(shares) == {name for name, weight in weights.items() if weight}
    for name, share in shares.items():
        assert abs(share - Fraction(amount * weights[name], whole)) < 1


@given(costs, allocations(), st.sampled_from(("0.9123", "151.2345678901", "0.0000000001")))
@settings(max_examples=100, deadline=None)
def test_in_another_currency_the_lines_and_their_remainder_come_to_the_exact_total_times_the_rate(costs, rules, rate):
    exchange = Exchange("EUR", Decimal(rate), date(2026, 10, 31))
    result = charge(costs, allocations=rules, exchange=exchange)
    for center in result.centers:
        lines = list_lines(center, exchange)
        assert sum(line.amount for line in lines) == center.charged
        assert abs(center.charged - center.sums.charged * Fraction(rate)) <= Fraction(1, 2)
        assert center.charged + center.rounding == center.payable and center.payable % 10**10 == 0
        assert [line.number for line in lines] == list(range(1, len(lines) + 1))


@given(st.integers(), st.integers(1, 10**30))
def test_halves_are_rounded_to_even_whatever_the_sign(amount, divisor):
    assert divide_half_even(amount, divisor) == round(Fraction(amount, divisor))


@given(costs, st.integers(0, 10**18), st.integers(0, 10**18))
@settings(max_examples=100, deadline=None)
def test_a_credit_never_charges_less_than_nothing_and_never_gives_more_than_is_left(costs, first, second):
    rules = [
        ChargeRule(
            RuleRef(number, 1), ChargeTerms("credit", "goodwill", amount=left, split=Split("even", ("legal",))), left
        )
        for number, left in ((1, first), (2, second))
    ]
    without, with_credits = charge(costs), charge(costs, charges=rules)
    before = sum(center.sums.charged for center in without.centers if center.cost_center == "legal")
    after = sum(center.sums.charged for center in with_credits.centers if center.cost_center == "legal")
    assert after == before - min(first + second, max(before, 0))
    assert sum(with_credits.credits_used.values()) == before - after
