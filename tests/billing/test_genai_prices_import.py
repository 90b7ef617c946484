"""The imported rate book answers as genai-prices does, at any name, time and tier; where it does not, on purpose."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from genai_prices import Usage as LibraryUsage
from genai_prices import calc_price
from genai_prices.data import providers as PROVIDERS
from genai_prices.types import ClauseContains, ClauseEquals, ClauseStartsWith

from billing.core.pricing import price_event
from billing.core.rate_documents import read_rates
from billing.core.rates import RateBook, find_ties
from billing.core.usage import UsageEvent, split_usage
from billing.genai_prices_import import BEGINNING, _spread, read_genai_prices
from ledger.core.entries import PICO
from tests.billing.core.rate_books import number_documents

LAST_DIGIT = Decimal(1) / PICO
FIRST, LAST = datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
PROMPTS = (0, 7, 1_000, 127_999, 128_000, 128_001, 199_999, 200_000, 200_001, 272_000, 272_001, 600_000)
CONTEXTS = {
    "batch": [{"processing": "batch"}],
    "flex": [{"service_tier": "flex"}],
    "priority": [{"service_tier": "priority"}],
    "fast": [{"service_tier": "fast"}, {"speed": "fast"}],
}


@pytest.fixture(scope="module")
def imported():
    return read_genai_prices()


@pytest.fixture(scope="module")
def published(imported):
    return number_documents(imported.documents, imported=True)


@pytest.fixture(scope="module")
def rate_book(published):
    return RateBook(version=1, rates=published)


@pytest.fixture(scope="module")
def rounded(imported):
    """Models that have a price which the import rounds."""
    return {name.split(" ")[0] for name in imported.rounded}


def test_the_import_is_whole(imported):
    assert imported.models == 2_330
    assert len(imported.documents) > 5_000
    assert len(imported.rounded) == 26  # float noise of two resellers' price feeds
    assert "huggingface_together/Qwen/Qwen3-VL-8B-Instruct input_mtok 0.18000000000000002 → 0.18" in imported.rounded


def test_every_document_is_one_that_a_person_could_have_written(imported):
    documents = [
        document.content
        | {
            "effective_from": document.effective_from.isoformat(),
            "effective_to": document.effective_to and document.effective_to.isoformat(),
        }
        for document in imported.documents
    ]
    read = read_rates({"rates": documents})
    assert [document.content for document in read] == [document.content for document in imported.documents]


def test_no_two_imported_lists_tie(published):
    assert find_ties(published) == []


def ask_library(provider, model, moment, counts, context=None):
    usage = LibraryUsage(
        input_tokens=counts["input_tokens"],
        cache_read_tokens=counts["cache_read_tokens"],
        cache_write_tokens=counts["cache_write_tokens"] + counts["cache_write_1h_tokens"],
        cache_write_1h_tokens=counts["cache_write_1h_tokens"],
        output_tokens=counts["output_tokens"],
        output_reasoning_tokens=counts["reasoning_tokens"],
    )
    answer = calc_price(usage, model, provider_id=provider, genai_request_timestamp=moment, price_context=context)
    return answer.total_price.quantize(LAST_DIGIT, ROUND_HALF_EVEN)


def ask_us(rate_book, provider, model, moment, counts, tier="standard"):
    event = UsageEvent("1", "test", moment, provider, model, split_usage(counts), service_tier=tier)
    price = price_event(event, rate_book=rate_book, tenant_id=1)
    return None if price.billed_cost is None else Decimal(price.billed_cost) / PICO, price.reason


def make_counts(chance):
    prompt = chance.choice(PROMPTS)
    read = chance.randint(0, prompt)
    written = chance.randint(0, prompt - read)
    output = chance.choice((0, 5, 1_234))
    return {
        "input_tokens": prompt,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": chance.randint(0, prompt - read - written),
        "output_tokens": output,
        "reasoning_tokens": chance.randint(0, output),
    }


def make_moment(chance):
    return FIRST + timedelta(seconds=chance.randrange(int((LAST - FIRST).total_seconds())))


def test_every_model_costs_what_the_library_says(rate_book, rounded):
    chance = random.Random(1)
    compared, unpriced = 0, Counter()
    for provider in PROVIDERS:
        for model in provider.models:
            if provider.find_model(model.id) is None or f"{provider.id}/{model.id}" in rounded:
                continue
            for _ in range(2):
                moment, counts = make_moment(chance), make_counts(chance)
                ours, reason = ask_us(rate_book, provider.id, model.id, moment, counts)
                if ours is None:
                    unpriced[reason] += 1
                    assert not _prices_tokens(model, moment)
                    continue
                assert ours == ask_library(provider.id, model.id, moment, counts), (
                    provider.id,
                    model.id,
                    moment,
                    counts,
                )
                compared += 1
    assert compared > 4_000
    assert all(reason.startswith("no_price_for_meter:") for reason in unpriced)


def _prices_tokens(model, moment):
    prices = model.get_prices(moment)
    return prices.input_mtok is not None and prices.output_mtok is not None


def test_every_variant_costs_what_the_library_says_from_its_first_day(rate_book):
    chance = random.Random(2)
    compared = Counter()
    for provider in PROVIDERS:
        for model in provider.models:
            for tier, contexts in CONTEXTS.items():
                variants = [v for v in model.price_variants or () if v.when in contexts]
                if not variants or provider.find_model(model.id) is None:
                    continue
                first = max(
                    datetime.combine(variant.constraint.start_date, datetime.min.time(), UTC)
                    if variant.constraint
                    else FIRST
                    for variant in variants
                )
                for _ in range(3):
                    moment = first + timedelta(hours=chance.randrange(24 * 40))
                    counts = make_counts(chance)
                    ours, reason = ask_us(rate_book, provider.id, model.id, moment, counts, tier)
                    if ours is None and not _prices_tokens(model, moment):
                        continue  # the library takes a token without a price for free
                    theirs = ask_library(provider.id, model.id, moment, counts, variants[0].when)
                    assert ours == theirs, (provider.id, model.id, tier, moment, counts, reason)
                    compared[tier] += 1
    assert all(compared[tier] > 30 for tier in CONTEXTS)


def test_a_tier_before_the_library_knows_it_is_unpriced_and_not_standard(rate_book):
    # The library answers 50.00 for a batch of o3 in 2025-06 at the standard price; its batch prices begin 2026-10-14.
    counts = make_counts(random.Random(3))
    june = datetime(2025, 6, 1, tzinfo=UTC)
    assert ask_us(rate_book, "openai", "o3", june, counts)[0] is not None
    assert ask_us(rate_book, "openai", "o3", june, counts, "batch") == (None, "no_rate_at_time")
    assert ask_us(rate_book, "openai", "o3", june, counts, "scale") == (None, "no_rate_for_service_tier:scale")


def make_names(chance):
    """Names that clauses speak of, and names beside them."""
    for provider in PROVIDERS:
        for model in provider.models:
            for clause in _spread(model.match):
                match clause:
                    case ClauseEquals(equals=text):
                        yield provider, text
                    case ClauseStartsWith(starts_with=text) | ClauseContains(contains=text):
                        yield provider, text + chance.choice(("", "-latest", "-x", "-20251211", "@001", ":0"))
                        yield provider, chance.choice(("x-", "eu.", "us.", "acme/")) + text
                    case _:
                        yield provider, model.id


def test_every_name_means_the_librarys_model(rate_book, rounded):
    chance = random.Random(4)
    counts = {"input_tokens": 1_000, "cache_read_tokens": 100, "cache_write_tokens": 10, "cache_write_1h_tokens": 1,
              "output_tokens": 77, "reasoning_tokens": 0}  # fmt: skip
    seen = Counter()
    for provider, name in chance.sample(list(make_names(chance)), 2_000):
        model = provider.find_model(name, all_providers=PROVIDERS)
        moment = make_moment(chance)
        ours, reason = ask_us(rate_book, provider.id, name, moment, counts)
        if model is None:
            # Ours finds more: the model's own id, and a name without the provider said twice.
            seen["more" if ours is not None else "unknown to both"] += 1
            continue
        if ours is None or any(each.endswith(f"/{model.id}") for each in rounded):
            assert ours is not None or not _prices_tokens(model, moment), (provider.id, name, reason)
            continue
        assert ours == ask_library(provider.id, name, moment, counts), (provider.id, name, model.id)
        seen["equal"] += 1
    assert seen["equal"] > 1_500
    assert seen["more"] < 100


# Worked by hand from the providers' price pages, USD.
@pytest.mark.parametrize(
    ("provider", "model", "time", "tier", "counts", "cost"),
    [
        # o3 until 2025-06-10: 10 in, 40 out; then 2 and 8
        ("openai", "o3", "2025-06-01T00:00", "standard", (10**6, 0, 0, 0, 10**6), "50"),
        ("openai", "o3", "2025-06-11T00:00", "standard", (10**6, 0, 0, 0, 10**6), "10"),
        ("openai", "o3", "2026-11-01T00:00", "batch", (10**6, 0, 0, 0, 10**6), "5"),
        # Sonnet 4.5: 3,000 × 3 + 5,000 × 0.3 + 1,000 × 3.75 + 1,000 × 6 + 100 × 15 = 21,750
        ("anthropic", "claude-sonnet-4-5", "2026-01-01T00:00", "standard", (10_000, 5_000, 1_000, 1_000, 100),
         "0.02175"),
        # Gemini 2.5 Pro: 1.25 and 10 up to 200,000, beyond that 2.5 and 15
        ("google", "gemini-2.5-pro", "2026-01-01T00:00", "standard", (200_000, 0, 0, 0, 1_000), "0.260"),
        ("google", "gemini-2.5-pro", "2026-01-01T00:00", "standard", (200_001, 0, 0, 0, 1_000), "0.5150025"),
        # DeepSeek in the window of its ordinary price, and at night
        ("deepseek", "deepseek-chat", "2025-08-01T03:00", "standard", (10**6, 0, 0, 0, 10**6), "1.37"),
        ("deepseek", "deepseek-chat", "2025-08-01T20:00", "standard", (10**6, 0, 0, 0, 10**6), "0.685"),
        # the same models at another's counter
        ("azure.ai.openai", "gpt-4o-2024-08-06", "2026-01-01T00:00", "standard", (10**6, 0, 0, 0, 10**6), "12.5"),
        ("aws.bedrock", "arn:aws:bedrock:eu-west-1:1234:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
         "2026-01-01T00:00", "standard", (10**6, 0, 0, 0, 0), "3.3"),
    ],
)  # fmt: skip
def test_known_prices(rate_book, provider, model, time, tier, counts, cost):
    prompt, read, written, written_1h, output = counts
    wire = {"input_tokens": prompt, "cache_read_tokens": read, "cache_write_tokens": written,
            "cache_write_1h_tokens": written_1h, "output_tokens": output, "reasoning_tokens": 0}  # fmt: skip
    moment = datetime.fromisoformat(time).replace(tzinfo=UTC)
    assert ask_us(rate_book, provider, model, moment, wire, tier) == (Decimal(cost), "")


def test_searches_and_short_recordings_cost_what_the_library_says(rate_book):
    def cost(provider, model, **usage):
        event = UsageEvent("1", "test", datetime(2026, 11, 1, tzinfo=UTC), provider, model, split_usage(usage))
        return price_event(event, rate_book=rate_book, tenant_id=1).billed_cost

    assert cost("anthropic", "claude-sonnet-4-5", searches=3) == 30_000_000_000  # 10 USD a thousand
    assert cost("anthropic", "claude-sonnet-4-5", web_searches=3) == 30_000_000_000
    # Whisper bills at least ten seconds, 0.111 USD an hour: 0.111 × 10 / 3,600
    whisper = calc_price(
        LibraryUsage(audio_seconds=3, input_audio_seconds=3), "whisper-large-v3", provider_id="groq",
        genai_request_timestamp=datetime(2026, 11, 1, tzinfo=UTC),
    ).total_price  # fmt: skip
    assert cost("groq", "whisper-large-v3", audio_seconds=3) == round(whisper * PICO) == 308_333_333


def test_what_the_library_leaves_without_a_price_is_free_only_where_it_says_so(rate_book):
    counts = make_counts(random.Random(5)) | {"input_tokens": 600_000}
    november = datetime(2026, 11, 1, tzinfo=UTC)
    assert ask_us(rate_book, "openrouter", "mistralai/mistral-nemo:free", november, counts)[0] in (0, None)
    assert ask_us(rate_book, "openai", "omni-moderation-latest", november, counts) == (0, "")
    assert ask_us(rate_book, "cerebras", "qwen-3-coder-480b", november, counts) == (
        None,
        "no_price_for_meter:input_tokens",
    )


def test_reading_twice_gives_the_same(imported):
    again = read_genai_prices()
    assert again == imported
    assert min(document.effective_from for document in again.documents) == BEGINNING
