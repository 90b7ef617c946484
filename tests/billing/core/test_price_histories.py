"""When a price changes, as the rate book sees it."""

from datetime import UTC, datetime

from billing.core.price_histories import Call, PriceStep, find_next_change, list_price_steps, may_match
from billing.core.price_lists import PublishedRate
from billing.core.rates import RateBook


def on(day, month=7):
    return datetime(2026, month, day, tzinfo=UTC)


def make_rate(number, start, end=None, *, model="gpt-x", match="exact", tier="standard", tenant_id=0, imported=False):
    return PublishedRate(
        number, "openai", model, match, tenant_id, tier, "", "", imported, start, end, f"{number:064x}",
        '{"meters": {"input": {"price": "1", "per": 1000000}, "output": {"price": "2", "per": 1000000}}}',
    )  # fmt: skip


RATES = [
    make_rate(1, on(1), on(10), imported=True),
    make_rate(2, on(10), imported=True),
    make_rate(3, on(20), on(25)),  # the deployment's own, for five days
    make_rate(4, on(5), tier="batch"),
    make_rate(5, on(15), tenant_id=7),
]
BOOK = RateBook(version=1, rates=RATES)
MOMENTS = [moment for rate in RATES for moment in (rate.effective_from, rate.effective_to) if moment]


def test_the_steps_are_those_of_the_lists_that_win():
    assert list_price_steps(BOOK, Call("openai", "gpt-x"), MOMENTS) == [
        PriceStep(on(1), 1), PriceStep(on(10), 2), PriceStep(on(20), 3), PriceStep(on(25), 2),
    ]  # fmt: skip
    assert list_price_steps(BOOK, Call("openai", "gpt-x", "batch"), MOMENTS) == [PriceStep(on(5), 4)]
    assert list_price_steps(BOOK, Call("openai", "gpt-x", tenant_id=7), MOMENTS)[-1] == PriceStep(on(15), 5)
    assert list_price_steps(BOOK, Call("openai", "gpt-y"), MOMENTS) == []


def test_the_next_change_is_the_first_later_moment_at_which_another_list_wins():
    call = Call("openai", "gpt-x")
    assert find_next_change(BOOK, call, now=on(12), moments=MOMENTS) == PriceStep(on(20), 3)
    assert find_next_change(BOOK, call, now=on(21), moments=MOMENTS) == PriceStep(on(25), 2)
    assert find_next_change(BOOK, call, now=on(26), moments=MOMENTS) is None
    assert find_next_change(BOOK, call, now=on(1, month=6), moments=MOMENTS) == PriceStep(on(1), 1)


def test_a_list_may_match_by_each_of_a_names_spellings_and_by_what_an_alias_means():
    call = Call("openai", "openai/GPT-X-20260701")
    assert may_match(call, provider="openai", model="gpt-x-2026-07-01", match="exact")
    assert may_match(call, provider="openai", model="gpt-x", match="prefix")
    assert may_match(call, provider="openai", model="gpt-.-.*", match="pattern")
    assert not may_match(call, provider="openai", model="gpt-x", match="exact")
    assert not may_match(call, provider="azure", model="gpt-x", match="prefix")
    assert may_match(call, provider="azure", model="gpt-x", match="exact", alias=("azure", "gpt-x"))
