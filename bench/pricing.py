"""The pricing engine beside genai-prices' `calc_price`, in one run, on the same calls.

The calls are drawn from every model of the pinned library that it finds by its own id, some often and most seldom, as
in traffic. All differ in tokens and time; nothing is remembered from one to the next but which list a model has (the
library remembers its model likewise). Both price requests of 1,000 events, made just before, as parsing makes them:
ours as a `UsageEvent`, the library's as token counts, of which its callers must make its `Usage`. Time is the
processor's, so that what else the machine does counts less. The answers are compared: a difference ends the run. Run
it alone: `python -m bench.pricing`.
"""

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from statistics import median
from typing import Any

import msgspec
from genai_prices import Usage as LibraryUsage
from genai_prices import calc_price
from genai_prices.data import providers

from billing.core.price_lists import ALWAYS, PublishedRate
from billing.core.pricing import price_event
from billing.core.rate_documents import canonical_json
from billing.core.rates import RateBook
from billing.core.usage import UsageEvent, split_usage
from billing.genai_prices_import import read_genai_prices
from ledger.core.entries import PICO

REQUESTS = 20
EVENTS_PER_REQUEST = 1_000
RUNS = 5
SEED = 20261122
FIRST = datetime(2025, 11, 22, tzinfo=UTC)
LAST_QUARTER = FIRST + timedelta(days=273)
SECONDS = 365 * 24 * 3600
PROMPTS = (0, 12, 340, 2_000, 9_500, 60_000, 128_001, 200_000, 200_001, 272_001, 400_000)
# Assumed, as traffic mostly goes to the makers themselves; the rest is spread evenly over 40 other providers.
SHARES = {"openai": 0.35, "anthropic": 0.2, "google": 0.15, "azure": 0.05, "aws": 0.05, "openrouter": 0.05}
LAST_DIGIT = Decimal(1) / PICO


class AnswersDiffer(AssertionError):
    """The engine and the library price a call differently."""


def run() -> list[dict[str, Any]]:
    """`pricing`: microseconds a call of ours, the library's beside it, and how many times faster; and `pricing with
    25,000 rate versions`, in both CHANGES, with those of the import alone beside it."""
    rate_book, rounded = compile_library()
    models = list_models(rounded)
    seen = set()
    for number in range(REQUESTS):
        compare_answers(number, models, rate_book)
        seen |= {(call.provider, call.model) for call in make_calls(number, models)}
    ours, theirs = [], []
    for _ in range(RUNS):
        # Each in its own steady state, in turns: whatever else this machine does meets both.
        ours.append(median(_time_ours(number, models, rate_book) for number in range(REQUESTS)))
        theirs.append(median(_time_library(number, models) for number in range(REQUESTS)))
    ratios = [round(slow / quick, 1) for quick, slow in zip(ours, theirs, strict=True)]
    compared = REQUESTS * EVENTS_PER_REQUEST
    print(f"pricing: {len(seen):,} models; {compared:,} answers compared, all equal", file=sys.stderr)
    return [
        {
            "name": "pricing",
            "value": round(median(ours) * 1e6, 3),
            "unit": "µs of processor an event",
            "yardstick": round(median(theirs) * 1e6, 3),
            "ratio": median(ratios),
            "runs": ratios,
        },
        *(_compare_with_many_versions(rate_book, models, changes) for changes in CHANGES),
    ]


# Days on which every list changes, beside traffic of the last quarter: before it, and within it. Times are shuffled, so
# within it each call may ask for another version than the one before, which no live traffic does.
CHANGES = {
    "none of them amid the traffic": (50, 100, 150, 200, 250),
    "one of them amid shuffled traffic": (60, 120, 180, 240, 300),
}


def _compare_with_many_versions(rate_book: RateBook, models: list[tuple[str, str]], changes: str) -> dict[str, Any]:
    """Calls of the last quarter by a book in which each list changed on five days of the year."""
    rates = split_versions(list_library_rates()[0], CHANGES[changes])
    changed = RateBook(version=2, rates=rates)
    few, many = [], []
    for number in range(REQUESTS):  # each name is compiled once
        compare_answers(number, models, changed)
    for _ in range(RUNS):
        few.append(median(_time_ours(number, models, rate_book, is_recent=True) for number in range(REQUESTS)))
        many.append(median(_time_ours(number, models, changed, is_recent=True) for number in range(REQUESTS)))
    ratios = [round(slow / quick, 2) for quick, slow in zip(few, many, strict=True)]
    return {
        "name": f"pricing with {len(rates):,} rate versions, {changes}",
        "value": round(median(many) * 1e6, 3),
        "unit": "µs of processor an event",
        "yardstick": round(median(few) * 1e6, 3),
        "ratio": median(ratios),
        "runs": ratios,
    }


def split_versions(rates: list[PublishedRate], days: Sequence[int]) -> list[PublishedRate]:
    """Each list as several of the same prices, one after another, parted on these days after FIRST."""
    split = []
    for rate in rates:
        end = rate.effective_to or ALWAYS
        cuts = [FIRST + timedelta(days=number) for number in days]
        points = [rate.effective_from, *(cut for cut in cuts if rate.effective_from < cut < end), end]
        split += [
            msgspec.structs.replace(
                rate,
                rate_version_id=len(split) + number,
                effective_from=start,
                effective_to=None if stop == ALWAYS else stop,
            )
            for number, (start, stop) in enumerate(pairwise(points), 1)
        ]
    return split


def compile_library() -> tuple[RateBook, set[str]]:
    """A rate book of the whole import, and the models whose prices the import rounds."""
    rates, rounded = list_library_rates()
    return RateBook(version=1, rates=rates), rounded


def list_library_rates() -> tuple[list[PublishedRate], set[str]]:
    """The whole import as published rates, and the models whose prices it rounds."""
    imported = read_genai_prices()
    rates = [
        PublishedRate(
            rate_version_id=number,
            provider=document.content["provider"],
            model=document.content["model"],
            match=document.content["match"],
            tenant_id=0,
            service_tier=document.content["service_tier"],
            region="",
            time_window=document.content.get("time_window", ""),
            imported=True,
            effective_from=document.effective_from,
            effective_to=document.effective_to,
            content_hash=document.content_hash.hex(),
            content=canonical_json(document.content),
        )
        for number, document in enumerate(imported.documents, 1)
    ]
    return rates, {name.split(" ")[0] for name in imported.rounded}


def list_models(rounded: set[str]) -> list[tuple[str, str]]:
    """(provider, model) of each model that both can price, in an order that has nothing to do with either."""
    models = [
        (provider.id, model.id)
        for provider in providers
        for model in provider.models
        if provider.find_model(model.id) is not None
        and f"{provider.id}/{model.id}" not in rounded
        and _has_token_prices(model)
    ]
    random.Random(SEED).shuffle(models)
    return models


@dataclass(frozen=True, slots=True)
class Call:
    """One call, as neither of the two is asked for it."""

    provider: str
    model: str
    moment: datetime
    prompt: int
    read: int
    written: int
    written_1h: int
    output: int
    reasoning: int


def make_calls(number: int, models: list[tuple[str, str]]) -> list[Call]:
    """The calls of one request; the same for the same number."""
    chance = random.Random(SEED + number)
    return [_make_call(*name, chance) for name in chance.choices(models, _weigh(models), k=EVENTS_PER_REQUEST)]


def _weigh(models: list[tuple[str, str]]) -> list[float]:
    """How often each is called: by its provider's share, then the n-th of a provider 1/n as often as its first."""
    ranks: dict[str, int] = {}
    weights = []
    for provider, _ in models:
        ranks[provider] = ranks.get(provider, 0) + 1
        weights.append(1 / ranks[provider])
    whole = {name: sum(1 / rank for rank in range(1, count + 1)) for name, count in ranks.items()}
    others = (1 - sum(SHARES.values())) / (len(ranks) - len(SHARES))
    return [
        weight / whole[provider] * SHARES.get(provider, others)
        for (provider, _), weight in zip(models, weights, strict=True)
    ]


def _has_token_prices(model: Any) -> bool:
    """Whether input and output have a price at every time."""
    lists = [model.prices] if not isinstance(model.prices, list) else [each.prices for each in model.prices]
    return all(prices.input_mtok is not None and prices.output_mtok is not None for prices in lists)


def _make_call(provider: str, model: str, chance: random.Random) -> Call:
    prompt = chance.choice(PROMPTS) + chance.randrange(100)
    read = chance.randrange(prompt + 1) if chance.random() < 0.6 else 0
    written = chance.randrange(prompt - read + 1) if chance.random() < 0.3 else 0
    written_1h = chance.randrange(written + 1) if chance.random() < 0.2 else 0
    output = chance.randrange(2_000)
    reasoning = chance.randrange(output + 1) if chance.random() < 0.4 else 0
    moment = FIRST + timedelta(seconds=chance.randrange(SECONDS))
    return Call(provider, model, moment, prompt, read, written, written_1h, output, reasoning)


def _make_event(call: Call) -> UsageEvent:
    usage = split_usage({
        "input_tokens": call.prompt, "cache_read_tokens": call.read, "output_tokens": call.output,
        "cache_write_tokens": call.written - call.written_1h, "cache_write_1h_tokens": call.written_1h,
        "reasoning_tokens": call.reasoning,
    })  # fmt: skip
    return UsageEvent("", "bench", call.moment, call.provider, call.model, usage)


def _ask_library(call: Call) -> Decimal:
    usage = LibraryUsage(
        input_tokens=call.prompt, cache_read_tokens=call.read, output_tokens=call.output,
        cache_write_tokens=call.written, cache_write_1h_tokens=call.written_1h,
        output_reasoning_tokens=call.reasoning,
    )  # fmt: skip
    return calc_price(usage, call.model, provider_id=call.provider, genai_request_timestamp=call.moment).total_price


def compare_answers(number: int, models: list[tuple[str, str]], rate_book: RateBook) -> None:
    """Raises AnswersDiffer at the first call whose prices differ in any of 12 decimals."""
    for call in make_calls(number, models):
        price = price_event(_make_event(call), rate_book=rate_book, tenant_id=1)
        answer = _ask_library(call).quantize(LAST_DIGIT, ROUND_HALF_EVEN)
        if price.billed_cost is None or Decimal(price.billed_cost) / PICO != answer:
            raise AnswersDiffer(f"{call}: {price} and {answer}")


def _time_ours(number: int, models: list[tuple[str, str]], rate_book: RateBook, *, is_recent: bool = False) -> float:
    events = [_make_event(call) for call in make_calls(number, models)]
    if is_recent:
        events = [msgspec.structs.replace(event, time=LAST_QUARTER + (event.time - FIRST) / 4) for event in events]
    start = time.process_time()
    for event in events:
        price_event(event, rate_book=rate_book, tenant_id=1)
    return (time.process_time() - start) / len(events)


def _time_library(number: int, models: list[tuple[str, str]]) -> float:
    calls = make_calls(number, models)
    start = time.process_time()
    for call in calls:
        _ask_library(call)
    return (time.process_time() - start) / len(calls)


if __name__ == "__main__":
    for result in run():
        print(
            f"{result['name']}: {result['value']} {result['unit']}, yardstick {result['yardstick']}: "
            f"ratio {result['ratio']} (runs {result['runs']})"
        )
