"""What one event costs. Expected money is worked by hand, in USD with 12 decimals."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.pricing import Price, price_event
from billing.core.rates import RateBook
from billing.core.usage import QUANTITY_MAX, Usage, UsageEvent, split_usage
from tests.billing.core.rate_books import make_meters, make_rate, make_rate_book

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def make_event(**fields: Any) -> UsageEvent:
    usage = fields.pop("usage", {})
    values: dict[str, Any] = {
        "event_id": "1",
        "source": "checkout",
        "time": NOON,
        "provider": "openai",
        "model": "gpt-4o",
    }
    return UsageEvent(**values | fields, usage=usage if isinstance(usage, Usage) else split_usage(usage))


def price(book: RateBook, *, tenant_id: int = 1, **fields: Any) -> Price:
    return price_event(make_event(**fields), rate_book=book, tenant_id=tenant_id)


def usd(amount: str) -> int:
    return int(Decimal(amount).scaleb(12))


CACHED = make_meters(input="3", cache_read="0.3", cache_write="3.75", cache_write_1h="6", output="15")


def test_each_bucket_costs_its_own_price():
    # 80 × 3 + 30 × 0.3 + 10 × 3.75 + 20 × 6 = 406.5; 7 × 15 = 105; a million-th of each
    priced = price(
        make_rate_book(make_rate(meters=CACHED)),
        usage={"input_tokens": 140, "cache_read_tokens": 30, "cache_write_tokens": 10, "cache_write_1h_tokens": 20,
               "output_tokens": 7},
    )  # fmt: skip
    assert (priced.status, priced.reason, priced.rate_version_id) == ("priced", "", 1)
    assert priced.input_cost == usd("0.000240")
    assert priced.cache_read_cost == usd("0.000009")
    assert priced.cache_write_cost == usd("0.0001575")
    assert priced.output_cost == usd("0.000105")
    assert priced.other_cost == 0
    assert priced.billed_cost == priced.list_cost == usd("0.0005115")
    # 30 × (3 − 0.3) = 81 saved; 10 × 0.75 + 20 × 3 = 67.5 lost on writing
    assert priced.saved_cost == usd("0.0000135")


@pytest.mark.parametrize(
    ("tokens", "cost"),
    [
        (0, "0"),  # a call that used nothing is priced, at zero
        (1, "0.0000025"),  # one token keeps every digit
        (QUANTITY_MAX, "2500000"),  # and a trillion of them
    ],
)
def test_input_costs_tokens_times_price(tokens, cost):
    priced = price(make_rate_book(make_rate()), usage={"input_tokens": tokens})
    assert (priced.status, priced.billed_cost) == ("priced", usd(cost))


def test_a_free_model_is_priced_at_zero():
    priced = price(make_rate_book(make_rate(meters=make_meters(input="0", output="0"))), usage={"input_tokens": 5})
    assert (priced.status, priced.billed_cost) == ("priced", 0)


def test_reasoning_costs_as_output_where_it_has_no_price():
    priced = price(make_rate_book(make_rate()), usage={"output_tokens": 300, "reasoning_tokens": 120})
    assert priced.output_cost == usd("0.003")


def test_reasoning_costs_its_own_price_where_it_has_one():
    # 180 × 10 + 120 × 3 = 2,160
    meters = make_meters(
        input="2.5", cache_read="1.25", cache_write="2.5", cache_write_1h="2.5", output="10", reasoning="3"
    )
    priced = price(make_rate_book(make_rate(meters=meters)), usage={"output_tokens": 300, "reasoning_tokens": 120})
    assert priced.output_cost == usd("0.00216")


# --- unpriced, never zero ---


def test_an_unknown_model_is_unpriced():
    priced = price(make_rate_book(make_rate()), model="gpt-5", usage={"input_tokens": 5})
    assert (priced.status, priced.reason) == ("unpriced", "no_rate_for_model")
    assert priced.billed_cost is None and priced.saved_cost is None and priced.rate_version_id is None


def test_pictures_are_priced_by_size_and_quality_and_a_size_without_a_price_is_not_another_ones():
    # dall-e-3 as OpenAI listed it: 0.040 standard and 0.080 hd at 1024 × 1024, 0.120 hd at 1024 × 1792.
    prices = {
        "images_standard_1024x1024": "0.04",
        "images_hd_1024x1024": "0.08",
        "images_hd_1024x1792": "0.12",
    }
    meters = {name: {"price": price, "per": 1} for name, price in prices.items()}
    book = make_rate_book(make_rate(meters=meters))
    priced = price(book, usage={"images_hd_1024x1792": 2, "images_standard_1024x1024": 1})
    assert (priced.status, priced.billed_cost) == ("priced", usd("0.28"))
    unknown = price(book, usage={"images_hd_512x512": 1})
    assert (unknown.status, unknown.reason) == ("unpriced", "no_price_for_meter:images_hd_512x512")


def test_a_meter_without_a_price_makes_the_whole_event_unpriced():
    priced = price(make_rate_book(make_rate()), usage={"input_tokens": 5, "images": 2})
    assert (priced.status, priced.reason, priced.billed_cost) == ("unpriced", "no_price_for_meter:images", None)


def test_a_cache_write_without_a_price_is_unpriced_and_without_a_write_the_list_does():
    book = make_rate_book(make_rate())
    assert (
        price(book, usage={"input_tokens": 5, "cache_write_tokens": 1}).reason
        == "no_price_for_meter:cache_write_tokens"
    )
    assert price(book, usage={"input_tokens": 5, "cache_read_tokens": 1}).billed_cost == usd("0.00001125")


def test_an_unknown_service_tier_is_never_the_standard_price():
    book = make_rate_book(make_rate(), make_rate(service_tier="batch", meters=make_meters(input="1.25", output="5")))
    assert price(book, service_tier="batch", usage={"output_tokens": 2}).billed_cost == usd("0.00001")
    assert price(book, service_tier="priority").reason == "no_rate_for_service_tier:priority"
    assert price(book, service_tier="auto").reason == "no_rate_for_service_tier:auto"


@pytest.mark.parametrize("said", ["standard", "default", "on_demand", "", "Standard"])
def test_the_ordinary_tier_has_several_spellings(said):
    assert price(make_rate_book(make_rate()), service_tier=said, usage={"input_tokens": 1}).status == "priced"


def test_a_call_before_the_first_price_is_unpriced():
    priced = price(make_rate_book(make_rate()), time=datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC))
    assert priced.reason == "no_rate_at_time"


def test_a_failed_call_that_used_nothing_costs_nothing_even_without_a_rate():
    failed = price(make_rate_book(), status="error")
    assert (failed.status, failed.reason, failed.billed_cost) == ("priced", "failed_without_usage", 0)
    assert price(make_rate_book(make_rate()), status="error").rate_version_id == 1
    assert price(make_rate_book(), status="error", usage={"input_tokens": 1}).status == "unpriced"
    assert price(make_rate_book(), status="ok").status == "unpriced"


@pytest.mark.parametrize("per_call", [{}, {"request": {"price": "0", "per": 1}}])  # the quick way and the general one
def test_a_call_costs_100_million_usd_at_most(per_call):
    book = make_rate_book(make_rate(meters=make_meters(per=1, input="0.1", output="0") | per_call))
    assert price(book, usage={"input_tokens": 10**9}).billed_cost == usd("100000000")
    assert price(book, usage={"input_tokens": 10**9 + 1}).reason == "cost_too_large"


def test_a_cost_beyond_the_ledgers_digits_is_unpriced_and_no_error():
    meters = make_meters(per=1, input="2", output="0", cache_read="0", cache_write="0", cache_write_1h="0")
    priced = price(make_rate_book(make_rate(meters=meters)), usage={"input_tokens": QUANTITY_MAX})
    assert (priced.status, priced.reason) == ("unpriced", "cost_too_large")


# --- context tiers ---

LONG = {
    "input_tokens": 200_000,
    "compare": ">",
    "scope": "request",
    "meters": make_meters(input="5", output="20"),
}


@pytest.mark.parametrize(
    ("compare", "tokens", "tier", "cost"),
    [
        (">", 199_999, 0, "0.4999975"),
        (">", 200_000, 0, "0.5"),
        (">", 200_001, 1, "1.000005"),  # all of it at the tier's price
        (">=", 199_999, 0, "0.4999975"),
        (">=", 200_000, 1, "1"),
    ],
)
def test_a_request_that_reaches_a_tier_pays_its_price_for_everything(compare, tokens, tier, cost):
    book = make_rate_book(make_rate(context_tiers=[LONG | {"compare": compare}]))
    priced = price(book, usage={"input_tokens": tokens})
    assert (priced.context_tier, priced.billed_cost) == (tier, usd(cost))


def test_cached_tokens_and_modalities_count_towards_the_tier():
    meters = make_meters(input="2.5", cache_read="1.25", output="10", audio_input="100")
    book = make_rate_book(make_rate(meters=meters, context_tiers=[LONG]))
    # 1 × 5 + 150,000 × 1.25 + 50,000 × 100 + 1 × 20; the tier names no price for cache reads and audio
    priced = price(
        book,
        usage={"input_tokens": 200_001, "cache_read_tokens": 150_000, "audio_input_tokens": 50_000, "output_tokens": 1},
    )
    assert priced.context_tier == 1
    assert priced.cache_read_cost == usd("0.1875")
    assert priced.other_cost == usd("5")
    assert priced.billed_cost == usd("5.187525")


def test_the_highest_of_several_tiers_wins_and_inherits_from_the_one_below():
    longer = LONG | {"input_tokens": 400_000, "meters": make_meters(input="7.5")}
    book = make_rate_book(make_rate(context_tiers=[LONG, longer]))
    priced = price(book, usage={"input_tokens": 400_001, "output_tokens": 1})
    assert priced.context_tier == 2
    assert priced.input_cost == usd("3.0000075")
    assert priced.output_cost == usd("0.00002")  # 20 a million, from the first tier


def test_marginal_tiers_price_each_part_of_a_meter():
    tiers = [LONG | {"scope": "marginal", "input_tokens": 100, "meters": make_meters(input="1")}]
    book = make_rate_book(make_rate(context_tiers=tiers))
    # 100 × 2.5 + 50 × 1 = 300
    priced = price(book, usage={"input_tokens": 150, "output_tokens": 200})
    assert (priced.context_tier, priced.input_cost, priced.output_cost) == (1, usd("0.0003"), usd("0.002"))
    assert price(book, usage={"input_tokens": 100}).input_cost == usd("0.00025")


# --- other meters, fees, list prices ---


def test_other_meters_have_their_own_units():
    meters = make_meters(input="2.5", output="10") | {
        "image": {"price": "0.04", "per": 1},
        "search": {"price": "10", "per": 1_000},
        "audio_second": {"price": "0.36", "per": 3_600},
        "gb_hour": {"price": "0.001", "per": 1},
    }
    # 2 × 0.04 + 3 × 10 / 1,000 + 12.5 × 0.36 / 3,600 + 4 × 0.001 = 0.08 + 0.03 + 0.00125 + 0.004
    priced = price(
        make_rate_book(make_rate(meters=meters)),
        usage={"images": 2, "searches": 3, "audio_seconds": Decimal("12.5"), "storage_gb_hours": 4},
    )
    assert priced.other_cost == priced.billed_cost == usd("0.11525")


def test_a_meter_that_nobody_foresaw_is_priced_by_its_own_name():
    book = make_rate_book(make_rate(meters=make_meters(per=1, sandbox_minutes="0.5")))
    assert price(book, usage=Usage(other={"sandbox_minutes": 3})).billed_cost == usd("1.5")


@pytest.mark.parametrize(
    ("seconds", "cost"),
    [
        (1, "0.000030833333"),  # 0.111 / 3,600 = 0.0000308333…
        (2, "0.000061666667"),  # …6666 rounds up
        (Decimal("0.5"), "0.000015416667"),
    ],
)
def test_a_price_without_an_end_is_rounded_half_even_at_twelve_decimals(seconds, cost):
    meters = {"audio_second": {"price": "0.111", "per": 3_600}}
    assert price(make_rate_book(make_rate(meters=meters)), usage={"audio_seconds": seconds}).billed_cost == usd(cost)


def test_a_tie_is_rounded_to_the_even_digit():
    meters = {"token": {"price": "0.000000000001", "per": 1}}
    book = make_rate_book(make_rate(meters=meters))
    assert price(book, usage=Usage(other={"token": Decimal("0.5")})).billed_cost == 0
    assert price(book, usage=Usage(other={"token": Decimal("1.5")})).billed_cost == 2
    assert price(book, usage=Usage(other={"token": Decimal("2.5")})).billed_cost == 2


def test_a_minimum_per_call_is_charged_at_least():
    meters = {"audio_second": {"price": "0.36", "per": 3_600, "minimum_per_call": 10}}
    book = make_rate_book(make_rate(meters=meters))
    assert price(book, usage={"audio_seconds": 3}).billed_cost == usd("0.001")
    assert price(book, usage={"audio_seconds": 30}).billed_cost == usd("0.003")
    assert price(book).billed_cost == 0  # nothing was transcribed


def test_a_request_fee_is_charged_once_a_call_and_not_for_one_that_failed():
    book = make_rate_book(
        make_rate(meters=make_meters(input="1", output="1") | {"request": {"price": "5", "per": 1_000}})
    )
    assert price(book, usage={"input_tokens": 1}).other_cost == usd("0.005")
    assert price(book, usage={"input_tokens": 1}).billed_cost == usd("0.005001")
    assert price(book, status="error").billed_cost == 0
    assert price(book, usage=Usage(other={"requests": 3})).other_cost == usd("0.015")


def test_list_cost_is_at_list_prices():
    meters = {
        "input": {"price": "2", "list_price": "2.5", "per": 1_000_000},
        "output": {"price": "10", "per": 1_000_000},
    }
    priced = price(make_rate_book(make_rate(meters=meters)), usage={"input_tokens": 4, "output_tokens": 1})
    assert (priced.billed_cost, priced.list_cost) == (usd("0.000018"), usd("0.00002"))


def test_quantity_tiers_are_left_to_the_month_and_the_event_books_the_base_price():
    tiers = [{"above": 10, "scope": "graduated", "price": "1"}]
    meters = {"input": {"price": "2", "per": 1, "quantity_tiers": tiers}}
    assert price(make_rate_book(make_rate(meters=meters)), usage={"input_tokens": 100}).billed_cost == usd("200")


# --- savings ---


def test_a_hit_in_a_cache_of_responses_costs_nothing_and_saves_the_full_price():
    # what a call without any cache would have cost: 1,200 × 2.5 + 300 × 10 = 6,000
    priced = price(
        make_rate_book(make_rate()),
        cache_hit=True,
        usage={"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300},
    )
    assert (priced.status, priced.billed_cost, priced.list_cost) == ("priced", 0, 0)
    assert priced.saved_cost == usd("0.006")


def test_cached_audio_saves_against_audio():
    meters = make_meters(input="1", cache_read="0.5", output="1", audio_input="100", audio_cache_read="20")
    usage = {"input_tokens": 10, "cache_read_tokens": 4, "audio_input_tokens": 10, "audio_cache_read_tokens": 4}
    priced = price(make_rate_book(make_rate(meters=meters)), usage=usage)
    # 6 × 100 + 4 × 20 = 680; without the cache 1,000
    assert (priced.billed_cost, priced.saved_cost) == (usd("0.00068"), usd("0.00032"))


# --- the provider's own figure ---

BY_REPORT = make_rate(price_from="reported_cost", meters=...)


def test_a_rate_may_take_the_reported_cost():
    priced = price(make_rate_book(BY_REPORT), usage={"input_tokens": 5}, reported_cost=Decimal("0.0123"))
    assert (priced.status, priced.other_cost, priced.billed_cost) == ("reported", usd("0.0123"), usd("0.0123"))
    assert (priced.list_cost, priced.saved_cost, priced.rate_version_id) == (usd("0.0123"), 0, 1)
    assert price(make_rate_book(BY_REPORT), usage={"input_tokens": 5}).reason == "no_reported_cost"


def test_a_reported_cost_is_no_price_unless_a_rate_says_so():
    priced = price(make_rate_book(make_rate()), usage={"input_tokens": 2}, reported_cost=Decimal("99"))
    assert (priced.status, priced.billed_cost) == ("priced", usd("0.000005"))


# --- properties ---

QUANTITIES = st.integers(min_value=0, max_value=10**7)


@given(QUANTITIES, QUANTITIES, QUANTITIES, QUANTITIES, QUANTITIES, QUANTITIES, st.booleans())
def test_the_quick_way_and_the_general_way_agree(inputs, read, write, write_1h, output, searches, hit):
    usage = Usage(inputs, read, write, write_1h, output, output // 3)
    book = make_rate_book(make_rate(meters=CACHED | make_meters(search="7"), context_tiers=[LONG]))
    quick = price(book, usage=usage)
    general = price(book, usage=Usage(inputs, read, write, write_1h, output, output // 3, {"searches": searches}))
    fee = searches * 7_000_000
    assert general.billed_cost == quick.billed_cost + fee
    assert general.saved_cost == quick.saved_cost
    assert general.context_tier == quick.context_tier
    assert price(book, usage=usage, cache_hit=hit).saved_cost == quick.saved_cost + (quick.billed_cost if hit else 0)


@given(QUANTITIES, QUANTITIES, QUANTITIES)
def test_billed_cost_is_the_sum_of_its_meters(inputs, read, seconds):
    meters = make_meters(input="2.5", cache_read="1.25", output="10") | {
        "audio_second": {"price": "0.111", "per": 3600}
    }
    priced = price(
        make_rate_book(make_rate(meters=meters)), usage=Usage(inputs, read, other={"audio_seconds": seconds})
    )
    assert priced.billed_cost == (
        priced.input_cost + priced.cache_read_cost + priced.cache_write_cost + priced.output_cost + priced.other_cost
    )
