"""Conditions of a price list as sentences."""

from decimal import Decimal

import pytest

from billing.core.rate_words import describe_conditions, estimate_cost, list_prices, tell_rule, write_price


def per_million(price, **more):
    return {"price": price, "per": 1_000_000, **more}


BASE = {"input": per_million("1"), "cache_read": per_million("0.1"), "output": per_million("6")}
ROW = {"provider": "openai", "model": "gpt-5.6-luna", "match": "exact", "service_tier": "standard", "region": ""}


def tier(above, meters, *, compare=">", scope="request"):
    prices = {name: per_million(price) for name, price in meters.items()}
    return {"input_tokens": above, "compare": compare, "scope": scope, "meters": prices}


@pytest.mark.parametrize(
    ("more", "sentences"),
    [
        ({}, []),
        (
            {"context_tiers": [tier(272_000, {"input": "2", "cache_read": "0.2", "output": "12"})]},
            ["Above 272,000 input tokens the whole request costs twice"],
        ),
        # The price list of GPT-5.6 of 2026-07-30: input prices twice, output 1.5 times.
        (
            {"context_tiers": [tier(272_000, {"input": "2", "cache_read": "0.2", "output": "9"})]},
            ["Above 272,000 input tokens the whole request costs twice for input and cache reads, and 1.5 times for "
             "output"],
        ),
        (
            {"context_tiers": [tier(200_000, {"input": "2"}, compare=">=")]},
            ["From 200,000 input tokens on the whole request costs twice for input, and the same for cache reads and "
             "output"],
        ),
        (
            {
                "context_tiers": [
                    tier(128_000, {"input": "2", "cache_read": "0.2", "output": "12"}),
                    tier(256_000, {"input": "4", "cache_read": "0.4", "output": "24"}),
                ]
            },
            ["Above 128,000 input tokens the whole request costs twice",
             "Above 256,000 input tokens the whole request costs twice"],
        ),
        (
            {"context_tiers": [tier(100, {"input": "0.5", "cache_read": "0.05", "output": "3"}, scope="marginal")]},
            ["What is above 100 of a meter, counted on it alone, costs half"],
        ),
        (
            {"context_tiers": [tier(100, {"input": "4", "cache_read": "0.4", "output": "8"})]},
            ["Above 100 input tokens the whole request costs 4 times for input and cache reads, and about 1.33 times "
             "for output"],
        ),
        (  # kinds of tokens that cost what contains them are not told one by one
            {
                "meters": BASE | {"audio_input": per_million("1", note="no price of its own"),
                                  "web_search": {"price": "10", "per": 1000}},
                "context_tiers": [
                    {
                        "input_tokens": 272_000, "compare": ">", "scope": "request",
                        "meters": {"web_search": {"price": "10", "per": 1000}, "output": per_million("9"),
                                   "audio_input": per_million("2"), "cache_read": per_million("0.2"),
                                   "input": per_million("2")},
                    }
                ],
            },
            ["Above 272,000 input tokens the whole request costs twice for input and cache reads, and 1.5 times for "
             "output",
             "Audio input costs what contains it"],
        ),
        ({"service_tier": "batch"}, ["Only for calls of the service tier batch"]),
        ({"region": "eu"}, ["Only for calls in the region eu"]),
        ({"time_window": "00:30-16:30"}, ["Only from 00:30 to 16:30 UTC"]),
        ({"time_window": "22:00-06:00"}, ["Only from 22:00 to 06:00 UTC, past midnight"]),
        ({"tenant": "acme"}, ["Agreed for the tenant acme alone"]),
        ({"match": "prefix", "model": "gpt-5.6"}, ["For every model whose name begins with gpt-5.6"]),
        ({"match": "pattern", "model": "llama-.*"}, ["For every model whose whole name fits the pattern llama-.*"]),
        ({"minimum": {"amount": "5000", "period": "month"}}, ["At least 5,000.00 USD a month, charged at its end"]),
        (
            {"meters": {}, "price_from": "reported_cost"},
            ["A call costs what the provider reports with it"],
        ),
        (
            {"meters": {"input": per_million("0.16", list_price="0.2", note="20 % off for a year")}},
            ["Input: contracted at 20\N{NARROW NO-BREAK SPACE}% below the list price of 0.20 per 1,000,000",
             "Input: 20 % off for a year"],
        ),
        (
            {"meters": {"audio_second": {"price": "0.111", "per": 3600, "minimum_per_call": 10}}},
            ["Audio seconds: one call is charged at least 10, once it used any"],
        ),
        (
            {"meters": {"input": per_million("0.16", quantity_tiers=[
                {"above": 10_000_000_000, "scope": "graduated", "price": "0.14"}])}},
            ["Input: what is above 10,000,000,000 in a month costs 0.14 USD per 1,000,000"],
        ),
        (
            {"meters": {"image": {"price": "0.04", "per": 1, "quantity_tiers": [
                {"above": 1000, "scope": "volume", "price": "0.03"}]}}},
            ["Images: a month of more than 1,000 costs 0.03 USD per 1, all of it"],
        ),
        (
            {"meters": {"request": {"price": "0", "per": 1, "quantity_tiers": [
                {"above": 100, "scope": "package", "size": 1000, "price": "5"}]}}},
            ["Requests: above 100 in a month, packages of 1,000 at 5.00 USD each, begun ones whole"],
        ),
        (
            {"meters": {"page": {"price": "0.01", "per": 1, "quantity_tiers": [
                {"above": 1000, "scope": "volume", "size": 500, "price": "4", "flat": "20"}]}}},
            ["Pages: a month of more than 1,000 costs 4.00 USD for each 500 begun, all of it, and 20.00 USD once it is "
             "entered"],
        ),
        (
            {"meters": {"gb_hour": {"price": "0.01", "per": 1, "quantity_tiers": [
                {"above": "0.5", "scope": "graduated", "price": "0.008"}]}}},
            ["GB hours: what is above 0.5 in a month costs 0.008 USD per 1"],
        ),
        (
            {"meters": {"cache_write": per_million("2", note="no price of its own: as cache_read_mtok")}},
            ["Cache writes: no price of its own: as cache reads"],
        ),
        ({"tenant": "acme", "daily_fee": "240"}, ["Agreed for the tenant acme alone", "240.00 USD a day, used or not"]),
    ],
)  # fmt: skip
def test_conditions_are_told_in_words(more, sentences):
    assert describe_conditions({**ROW, "meters": BASE, **more}) == sentences


def test_prices_of_tokens_are_told_per_million_and_others_per_their_unit():
    prices = list_prices(
        {"meters": {"image": {"price": "0.042", "per": 1}, "web_search": {"price": "10", "per": 1000},
                    "output": {"price": "0.00001", "per": 1}, "input": per_million("2.5")}}
    )  # fmt: skip
    assert list(prices) == ["input", "output", "image", "web_search"]
    assert (prices["output"].price, prices["output"].per) == (Decimal("10"), 1_000_000)
    assert prices["image"].words == "0.042 per image"
    assert prices["web_search"].words == "10.00 per 1,000 web searches"


def test_an_estimate_is_quantity_times_base_price_and_unknown_where_a_price_is_missing():
    content = {"meters": BASE}
    # 2,000,000 × 1 + 500,000 × 0.1 + 100,000 × 6, each per million = 2 + 0.05 + 0.6
    quantities = {"input": 2_000_000, "cache_read": 500_000, "cache_write": 0, "output": 100_000}
    assert estimate_cost(quantities, content) == Decimal("2.65")
    assert estimate_cost(quantities | {"cache_write": 1}, content) is None


@pytest.mark.parametrize(
    ("price", "written"),
    [("0.2", "0.20"), ("3.375", "3.375"), ("12", "12.00"), ("0.000004", "0.000004"), ("1e3", "1,000.00")],
)
def test_a_price_has_every_digit_and_two_decimals_at_least(price, written):
    assert write_price(Decimal(price)) == written


@pytest.mark.parametrize(
    ("provider", "model", "alias", "match", "name", "rule"),
    [
        ("openai", "gpt-4o", None, "exact", "gpt-4o", "its very name"),
        ("OpenAI", "GPT-4o", None, "exact", "gpt-4o", "its very name"),
        ("azure.ai.openai", "gpt-4o", None, "exact", "gpt-4o", "azure.ai.openai is azure, its very name"),
        ("azure", "azure/gpt-4o", None, "exact", "gpt-4o", "its name without the envelope"),
        ("openai", "gpt-5.2-20251211", None, "exact", "gpt-5.2-2025-12-11", "its date written with dashes"),
        ("openai", "gpt-4o-mini-tts", None, "prefix", "gpt-4o-mini", "begins with gpt-4o-mini"),
        ("acme-gpu", "llama-3-instruct", None, "pattern", "llama-.*", "fits the pattern llama-.*"),
        ("litellm", "azure/gpt-4o", None, "exact", "gpt-4o",
         "azure by the first part of its name, its name without the envelope"),
        ("azure", "our-gpt4", ("azure", "gpt-4o"), "exact", "gpt-4o", "an alias: means azure gpt-4o"),
        ("azure", "our-gpt4", ("azure", "gpt-4o-x"), "prefix", "gpt-4o",
         "an alias: means azure gpt-4o-x, begins with gpt-4o"),
    ],
)  # fmt: skip
def test_the_rule_by_which_a_name_found_its_list_is_told(provider, model, alias, match, name, rule):
    assert tell_rule(provider, model, alias=alias, match=match, name=name) == rule
