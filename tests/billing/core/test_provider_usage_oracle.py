"""Every body of the recorded oracle, read as its own provider's, beside what genai-prices recorded for it.

The oracle's counts are inclusive like ours. Of its keys we leave out what the others imply: text tokens (what no
other modality claims) and tokens of built-in tools (part of the input); its `cache_write_tokens` include those
of one hour, ours do not.
"""

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from billing.core.provider_usage import read_provider_usage
from billing.core.provider_usage.reading import name_shape
from billing.core.usage import INSIDE_CACHE_READ, INSIDE_INPUT, split_usage

ORACLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "pricing" / "provider_usages.jsonl.gz"
PAGE = Path(__file__).resolve().parents[3] / "docs" / "provider-usage.md"
pytestmark = pytest.mark.skipif(not ORACLE.exists(), reason=f"the oracle is absent: {ORACLE}")

# Our name for each of the oracle's keys that we keep; see the module's docstring for the others.
NAMES = {
    "input_tokens": "input_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "input_audio_tokens": "audio_input_tokens",
    "input_image_tokens": "image_input_tokens",
    "input_video_tokens": "video_input_tokens",
    "cache_audio_read_tokens": "audio_cache_read_tokens",
    "cache_image_read_tokens": "image_cache_read_tokens",
    "cache_video_read_tokens": "video_cache_read_tokens",
    "output_tokens": "output_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "output_audio_tokens": "audio_output_tokens",
    "output_image_tokens": "image_output_tokens",
    "web_searches": "searches",
}
IMPLIED = {
    "input_text_tokens",
    "output_text_tokens",
    "cache_text_read_tokens",
    "input_tool_tokens",
    "input_text_tool_tokens",
}

# The oracle has no extractor for a provider that answers in OpenAI's words: OpenAI's is the one to hold it to.
FLAVORS = {
    ("anthropic", "anthropic"): "anthropic:default",
    ("aws", "bedrock"): "aws:default",
    ("aws", "responses"): "openai:responses",
    ("azure", "chat"): "azure:chat",
    ("azure", "responses"): "azure:responses",
    ("cerebras", "chat"): "cerebras:chat",
    ("cohere", "cohere"): "cohere:default",
    ("google", "chat"): "google:chat",
    ("google", "gemini"): "google:default",
    ("groq", "chat"): "groq:default",
    ("huggingface", "chat"): "huggingface_together:chat",
    ("mistral", "chat"): "mistral:default",
    ("ollama", "chat"): "openai:chat",
    ("openai", "chat"): "openai:chat",
    ("openai", "embeddings"): "openai:embeddings",
    ("openai", "responses"): "openai:responses",
    ("openrouter", "chat"): "openrouter:chat",
    ("openrouter", "responses"): "openai:responses",
    ("zai", "chat"): "zai:chat",
}

# What we read otherwise, on purpose: the file's test, the key, the oracle's count, ours, and why.
COMPACTION = "Anthropic charges a compaction beside the totals, in `usage.iterations`; the oracle reads the totals"
ADVICE = "Another model's advice is charged beside the totals, in `usage.iterations`; the oracle leaves it out"
HIDDEN_THOUGHTS = "Google charges thoughts as output; here they show in `total_tokens` alone, which the oracle skips"
DIFFERENCES = {
    ("test_anthropic_compaction_end_to_end", "input_tokens", 220, 55_416): COMPACTION,
    ("test_anthropic_compaction_end_to_end", "output_tokens", 8, 133): COMPACTION,
    ("test_anthropic_advisor_tool", "advisor_message_input_tokens", 0, 2_518): ADVICE,
    ("test_anthropic_advisor_tool", "advisor_message_output_tokens", 0, 22): ADVICE,
    ("test_anthropic_advisor_tool_message_replay", "advisor_message_input_tokens", 0, 2_529): ADVICE,
    ("test_anthropic_advisor_tool_message_replay", "advisor_message_output_tokens", 0, 38): ADVICE,
    ("test_compatible_api_with_tool_calls_without_id", "output_tokens", 12, 74): HIDDEN_THOUGHTS,
    ("test_compatible_api_with_tool_calls_without_id", "reasoning_tokens", 0, 62): HIDDEN_THOUGHTS,
    ("test_compatible_api_with_tool_calls_without_id", "output_tokens", 6, 34): HIDDEN_THOUGHTS,
    ("test_compatible_api_with_tool_calls_without_id", "reasoning_tokens", 0, 28): HIDDEN_THOUGHTS,
}

CASES = [json.loads(line) for line in gzip.decompress(ORACLE.read_bytes()).splitlines()] if ORACLE.exists() else []


def name_own_provider(body: dict) -> str:
    """Whose answer it is: by words that only one of them uses, else by the recording's name and the model."""
    file, model, text = body["file"], body.get("model") or "", json.dumps(body)
    for mark, provider in (
        ('"usageMetadata"', "google"),
        ('"inputTokens"', "aws"),
        ('"billed_units"', "cohere"),
        ('"cache_creation_input_tokens"', "anthropic"),
        ('"queue_time"', "groq"),
        ('"num_cached_tokens"', "mistral"),
        ('"is_byok"', "openrouter"),
    ):
        if mark in text:
            return provider
    for mark in ("openrouter", "groq", "huggingface", "cerebras", "ollama", "zai", "azure"):
        if mark in file:
            return mark
    for mark, provider in (("gemini", "google"), ("magistral", "mistral"), ("mistral", "mistral"), ("openai.", "aws")):
        if model.startswith(mark):
            return provider
    return "openai"


def read_case(case: dict) -> tuple[str, str, dict[str, int], dict[str, int]]:
    """Own provider, shape, the oracle's counts in our names, and ours."""
    body = case["body"]
    provider = name_own_provider(body)
    usage = body.get("usage") or body.get("usageMetadata") or body["meta"]
    shape = name_shape(usage)
    flavor = "cohere:embeddings" if "meta" in body else FLAVORS[provider, shape]
    found = [
        extracted["usage"]
        for extracted in case["extracted"]
        if flavor in [f"{one['provider_id']}:{one['api_flavor']}" for one in extracted["extractors"]]
    ]
    recorded = dict(found[0])
    expected = {name: recorded.get(key, 0) for key, name in NAMES.items()}
    expected["cache_write_tokens"] = recorded.get("cache_write_tokens", 0) - expected["cache_write_1h_tokens"]
    assert set(recorded) <= set(NAMES) | IMPLIED | {"cache_write_tokens", "cache_write_5m_tokens"}
    ours = read_provider_usage(provider, body).usage
    names = dict.fromkeys((*expected, *ours))
    return provider, shape, {name: expected.get(name, 0) for name in names}, {name: ours.get(name, 0) for name in names}


def test_the_oracle_has_809_bodies():
    assert len(CASES) == 809


def test_every_body_of_the_oracle_is_read_as_recorded_but_for_the_listed_differences():
    differences, differing = set(), 0
    for case in CASES:
        _, _, expected, ours = read_case(case)
        test = Path(case["body"]["file"]).stem
        found = {(test, name, expected[name], ours[name]) for name in expected if expected[name] != ours[name]}
        differing += bool(found)
        differences |= found
    assert differences == set(DIFFERENCES)
    assert differing == 5  # of 809: 99.4 % are equal


def test_every_usage_of_the_oracle_can_be_split_into_disjoint_buckets():
    for case in CASES:
        wire = read_provider_usage(name_own_provider(case["body"]), case["body"]).usage
        usage = split_usage(wire)
        tokens = {name: count for name, count in usage.other.items() if name in INSIDE_INPUT}
        caches = {name: count for name, count in usage.other.items() if name in INSIDE_CACHE_READ}
        buckets = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
        assert buckets + sum(tokens.values()) + sum(caches.values()) == wire.get("input_tokens", 0)


def test_the_bodies_belong_to_these_providers():
    owners = Counter((provider, shape) for provider, shape, _, _ in map(read_case, CASES))
    assert owners == {
        ("anthropic", "anthropic"): 125,
        ("aws", "bedrock"): 114,
        ("aws", "responses"): 6,
        ("azure", "chat"): 1,
        ("azure", "responses"): 1,
        ("cerebras", "chat"): 7,
        ("cohere", "cohere"): 7,
        ("google", "chat"): 2,
        ("google", "gemini"): 224,
        ("groq", "chat"): 38,
        ("huggingface", "chat"): 7,
        ("mistral", "chat"): 32,
        ("ollama", "chat"): 1,
        ("openai", "chat"): 90,
        ("openai", "embeddings"): 3,
        ("openai", "responses"): 125,
        ("openrouter", "chat"): 24,
        ("openrouter", "responses"): 1,
        ("zai", "chat"): 1,
    }


def test_no_body_of_the_oracle_holds_a_count_that_we_do_not_know():
    for case in CASES:
        found = read_provider_usage(name_own_provider(case["body"]), case["body"])
        assert found.unread_parts == {}
        assert [name for name in found.usage if name.startswith("provider_")] == []


def read_table(heading):
    """The rows of the documentation's table whose first columns are `heading`."""
    _, _, rest = PAGE.read_text().partition(f"| {' | '.join(heading)} |\n")
    lines = rest.split("\n\n", 1)[0].splitlines()[1:]
    return [tuple(cell.strip(" `") for cell in line.strip("|").split("|")) for line in lines]


def test_the_documentations_table_of_hits_and_misses_is_true():
    bodies, equal = Counter(), Counter()
    for provider, shape, expected, ours in map(read_case, CASES):
        for owner in ((provider, shape), ("all", "")):
            bodies[owner] += 1
            equal[owner] += expected == ours
    rows = read_table(("provider", "shape", "bodies", "equal", "differ"))
    assert {row[:2]: tuple(map(int, row[2:])) for row in rows} == {
        owner: (bodies[owner], equal[owner], bodies[owner] - equal[owner]) for owner in bodies
    }
    assert equal["all", ""] / bodies["all", ""] >= 0.98


def test_the_documentation_lists_every_difference():
    rows = read_table(("recording", "what", "recorded", "here", "why"))
    assert {(test, name, int(theirs), int(ours)) for test, name, theirs, ours, _ in rows} == set(DIFFERENCES)
