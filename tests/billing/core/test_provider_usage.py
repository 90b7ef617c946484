"""Each family's usage object, worked by hand from its provider's reference; the recorded ones are the oracle's."""

from decimal import Decimal

import pytest

from billing.core.provider_usage import FieldRefused, ProviderUsageUnknown, UsageInconsistent, read_provider_usage
from billing.core.usage import split_usage

READ = [
    (
        "OpenAI chat: cached tokens and reasoning are parts",
        "openai",
        {
            "prompt_tokens": 1200,
            "completion_tokens": 300,
            "total_tokens": 1500,
            "prompt_tokens_details": {"cached_tokens": 1000, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 120},
        },
        {"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300, "reasoning_tokens": 120},
    ),
    (
        "OpenAI chat with sound",
        "openai",
        {
            "prompt_tokens": 81,
            "completion_tokens": 72,
            "prompt_tokens_details": {"audio_tokens": 69, "text_tokens": 12},
            "completion_tokens_details": {"audio_tokens": 50, "text_tokens": 22},
        },
        {"input_tokens": 81, "audio_input_tokens": 69, "output_tokens": 72, "audio_output_tokens": 50},
    ),
    (
        "OpenAI chat: null details are none",
        "openai",
        {"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": None, "completion_tokens_details": None},
        {"input_tokens": 5, "output_tokens": 6},
    ),
    (
        "OpenAI responses: cache writes are parts as well",
        "openai",
        {
            "input_tokens": 4020,
            "input_tokens_details": {"cached_tokens": 4000, "cache_write_tokens": 12},
            "output_tokens": 45,
            "output_tokens_details": {"reasoning_tokens": 40},
        },
        {
            "input_tokens": 4020,
            "cache_read_tokens": 4000,
            "cache_write_tokens": 12,
            "output_tokens": 45,
            "reasoning_tokens": 40,
        },
    ),
    ("OpenAI embeddings", "openai", {"prompt_tokens": 4, "total_tokens": 4}, {"input_tokens": 4}),
    (
        "OpenAI images by token",
        "openai",
        {
            "input_tokens": 50,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            "output_tokens": 4160,
            "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
        },
        {"input_tokens": 50, "image_input_tokens": 40, "output_tokens": 4160, "image_output_tokens": 4160},
    ),
    (
        "OpenAI images by picture",
        "openai",
        {"created": 1, "data": [{"url": "https://example.com/1.png"}, {"b64_json": "iVBO"}]},
        {"images": 2},
    ),
    (
        "OpenAI transcription by token",
        "openai",
        {
            "text": "hello",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 4, "audio_tokens": 10},
                "output_tokens": 45,
                "total_tokens": 59,
            },
        },
        {"input_tokens": 14, "audio_input_tokens": 10, "output_tokens": 45},
    ),
    (
        "OpenAI transcription by the second",
        "openai",
        {"text": "hello", "usage": {"type": "duration", "seconds": 27.5}},
        {"audio_seconds": Decimal("27.5")},
    ),
    (
        "OpenAI speech: all that comes out is sound",
        "openai",
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
        {"input_tokens": 14, "output_tokens": 101, "audio_output_tokens": 101},
    ),
    (
        "OpenAI realtime: 128 of 384 cached tokens were sound",
        "openai",
        {
            "type": "response.done",
            "response": {
                "id": "resp_1",
                "usage": {
                    "input_tokens": 576,
                    "input_token_details": {
                        "text_tokens": 400,
                        "audio_tokens": 176,
                        "cached_tokens": 384,
                        "cached_tokens_details": {"text_tokens": 256, "audio_tokens": 128},
                    },
                    "output_tokens": 200,
                    "output_token_details": {"text_tokens": 40, "audio_tokens": 160},
                },
            },
        },
        {
            "input_tokens": 576,
            "audio_input_tokens": 176,
            "cache_read_tokens": 384,
            "audio_cache_read_tokens": 128,
            "output_tokens": 200,
            "audio_output_tokens": 160,
        },
    ),
    (
        "Azure speaks as OpenAI does",
        "azure.ai.openai",
        {"prompt_tokens": 9, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}},
        {"input_tokens": 9, "cache_read_tokens": 5, "output_tokens": 3},
    ),
    (
        "Azure's Grok: the total says that 97 reasoning tokens stand beside the completion",
        "azure",
        {
            "prompt_tokens": 12,
            "completion_tokens": 1,
            "total_tokens": 110,
            "completion_tokens_details": {"reasoning_tokens": 97},
        },
        {"input_tokens": 12, "output_tokens": 98, "reasoning_tokens": 97},
    ),
    (
        "Anthropic: 16 fresh, 13,637 read, 7,049 written of which 49 for an hour",
        "anthropic",
        {
            "input_tokens": 16,
            "cache_read_input_tokens": 13637,
            "cache_creation_input_tokens": 7049,
            "cache_creation": {"ephemeral_5m_input_tokens": 7000, "ephemeral_1h_input_tokens": 49},
            "output_tokens": 344,
            "output_tokens_details": {"thinking_tokens": 33},
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 5},
        },
        {
            "input_tokens": 20702,
            "cache_read_tokens": 13637,
            "cache_write_tokens": 7000,
            "cache_write_1h_tokens": 49,
            "output_tokens": 344,
            "reasoning_tokens": 33,
            "searches": 2,
        },
    ),
    (
        "Anthropic: a compaction is charged beside the totals, another model's advice by meters of its own",
        "anthropic",
        {
            "input_tokens": 220,
            "output_tokens": 8,
            "cache_read_input_tokens": 0,
            "iterations": [
                {"type": "compaction", "input_tokens": 55000, "cache_read_input_tokens": 196, "output_tokens": 125},
                {"type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 2518, "output_tokens": 22},
                {"type": "message", "input_tokens": 220, "output_tokens": 8},
            ],
        },
        {
            "input_tokens": 55416,
            "cache_read_tokens": 196,
            "output_tokens": 133,
            "advisor_message_input_tokens": 2518,
            "advisor_message_output_tokens": 22,
        },
    ),
    (
        "Claude on Vertex keeps Anthropic's words",
        "gcp.vertex_ai",
        {"input_tokens": 3, "cache_read_input_tokens": 9511, "cache_creation_input_tokens": 0, "output_tokens": 1944},
        {"input_tokens": 9514, "cache_read_tokens": 9511, "output_tokens": 1944},
    ),
    (
        "Bedrock Converse: 2,492 written of which 492 for an hour",
        "aws.bedrock",
        {
            "usage": {
                "inputTokens": 22,
                "outputTokens": 13,
                "totalTokens": 2527,
                "cacheReadInputTokens": 0,
                "cacheWriteInputTokens": 2492,
                "cacheDetails": [{"ttl": "5m", "inputTokens": 2000}, {"ttl": "1h", "inputTokens": 492}],
            }
        },
        {"input_tokens": 2514, "cache_write_tokens": 2000, "cache_write_1h_tokens": 492, "output_tokens": 13},
    ),
    (
        "Bedrock InvokeModel's metrics",
        "aws",
        {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 9, "firstByteLatency": 80}},
        {"input_tokens": 7, "output_tokens": 9},
    ),
    (
        "Gemini: thoughts and tool use stand beside, a document is an image",
        "gcp.gemini",
        {
            "usageMetadata": {
                "promptTokenCount": 373,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 115},
                    {"modality": "DOCUMENT", "tokenCount": 258},
                ],
                "cachedContentTokenCount": 204,
                "cacheTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 63},
                    {"modality": "DOCUMENT", "tokenCount": 141},
                ],
                "toolUsePromptTokenCount": 605,
                "candidatesTokenCount": 89,
                "thoughtsTokenCount": 167,
            }
        },
        {
            "input_tokens": 978,
            "image_input_tokens": 258,
            "cache_read_tokens": 204,
            "image_cache_read_tokens": 141,
            "output_tokens": 256,
            "reasoning_tokens": 167,
        },
    ),
    (
        "Gemini in the Python SDK's words",
        "google",
        {
            "prompt_token_count": 8,
            "prompt_tokens_details": [{"modality": "AUDIO", "token_count": 5}],
            "candidates_token_count": 53,
        },
        {"input_tokens": 8, "audio_input_tokens": 5, "output_tokens": 53},
    ),
    (
        "Gemini that caches a video and does not say so: 363 + 204 - 373 must overlap",
        "google",
        {
            "promptTokenCount": 373,
            "promptTokensDetails": [{"modality": "VIDEO", "tokenCount": 363}],
            "cachedContentTokenCount": 204,
            "candidatesTokenCount": 1,
        },
        {
            "input_tokens": 373,
            "video_input_tokens": 363,
            "cache_read_tokens": 204,
            "video_cache_read_tokens": 194,
            "output_tokens": 1,
        },
    ),
    (
        "Gemini in OpenAI's words: 62 thoughts show in the total alone",
        "google",
        {"prompt_tokens": 35, "completion_tokens": 12, "total_tokens": 109},
        {"input_tokens": 35, "output_tokens": 74, "reasoning_tokens": 62},
    ),
    (
        "Mistral: what the engine reused is no cheaper, what the details say is",
        "mistral_ai",
        {
            "prompt_tokens": 1013,
            "completion_tokens": 30,
            "num_cached_tokens": 1012,
            "prompt_tokens_details": {"cached_tokens": 1008},
            "prompt_audio_seconds": 12,
        },
        {"input_tokens": 1013, "cache_read_tokens": 1008, "output_tokens": 30, "audio_seconds": 12},
    ),
    (
        "Cohere chat, as billed",
        "cohere",
        {
            "billed_units": {"input_tokens": 41, "output_tokens": 28},
            "tokens": {"input_tokens": 1442, "output_tokens": 29},
            "cached_tokens": 1040,
        },
        {"input_tokens": 41, "output_tokens": 28},
    ),
    ("Cohere rerank", "cohere", {"id": "r", "meta": {"billed_units": {"search_units": 3}}}, {"rerank_searches": 3}),
    (
        "Cohere without a bill",
        "cohere",
        {"tokens": {"input_tokens": 1442, "output_tokens": 29}, "cached_tokens": 1040},
        {"input_tokens": 1442, "cache_read_tokens": 1040, "output_tokens": 29},
    ),
    (
        "DeepSeek names hits and misses",
        "deepseek",
        {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens_details": {"reasoning_tokens": 15},
        },
        {"input_tokens": 100, "cache_read_tokens": 64, "output_tokens": 20, "reasoning_tokens": 15},
    ),
    (
        "xAI: reasoning stands beside the completion",
        "x_ai",
        {
            "prompt_tokens": 10120,
            "completion_tokens": 1499,
            "total_tokens": 14428,
            "prompt_tokens_details": {"cached_tokens": 128},
            "completion_tokens_details": {"reasoning_tokens": 2809},
        },
        {"input_tokens": 10120, "cache_read_tokens": 128, "output_tokens": 4308, "reasoning_tokens": 2809},
    ),
    (
        "xAI: unless the total has it inside",
        "x-ai",
        {
            "prompt_tokens": 10,
            "completion_tokens": 50,
            "total_tokens": 60,
            "completion_tokens_details": {"reasoning_tokens": 40},
        },
        {"input_tokens": 10, "output_tokens": 50, "reasoning_tokens": 40},
    ),
    (
        "Groq, streamed",
        "groq",
        {"id": "chatcmpl-1", "x_groq": {"usage": {"prompt_tokens": 7, "completion_tokens": 8, "queue_time": 0.1}}},
        {"input_tokens": 7, "output_tokens": 8},
    ),
    (
        "OpenRouter: Claude's cache in OpenAI's words",
        "openrouter",
        {
            "prompt_tokens": 3329,
            "completion_tokens": 53,
            "prompt_tokens_details": {"cached_tokens": 3211, "cache_write_tokens": 115},
        },
        {"input_tokens": 3329, "cache_read_tokens": 3211, "cache_write_tokens": 115, "output_tokens": 53},
    ),
    (
        "Perplexity charges reasoning, citations and searches beside the completion",
        "perplexity",
        {
            "prompt_tokens": 5,
            "completion_tokens": 100,
            "reasoning_tokens": 30,
            "citation_tokens": 20,
            "num_search_queries": 2,
        },
        {"input_tokens": 5, "output_tokens": 150, "reasoning_tokens": 30, "searches": 2},
    ),
    (
        "a gateway of one's own speaks OpenAI's words",
        "our-vllm",
        {"prompt_tokens": 5, "completion_tokens": 0},
        {"input_tokens": 5},
    ),
]


@pytest.mark.parametrize(("provider", "body", "wire"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_a_providers_own_usage_becomes_the_wires(provider, body, wire):
    found = read_provider_usage(provider, body).usage
    assert found == wire
    split_usage(found)


REFUSED = [
    ("openai", {"prompt_tokens": -1, "completion_tokens": 2}, UsageInconsistent, "prompt_tokens is -1"),
    ("openai", {"prompt_tokens": True, "completion_tokens": 2}, UsageInconsistent, "prompt_tokens is true or false"),
    (
        "openai",
        {"prompt_tokens": "12", "completion_tokens": 2},
        UsageInconsistent,
        "prompt_tokens is text: expected a number",
    ),
    ("openai", {"prompt_tokens": 1.5, "completion_tokens": 2}, UsageInconsistent, "expected a whole number"),
    ("openai", {"prompt_tokens": float("nan"), "completion_tokens": 2}, UsageInconsistent, "prompt_tokens is nan"),
    ("openai", {"prompt_tokens": 2**63, "completion_tokens": 2}, UsageInconsistent, "from 0 to 1000000000000"),
    (
        "openai",
        {"prompt_tokens": 1, "completion_tokens": 2, "prompt_tokens_details": [3]},
        UsageInconsistent,
        "prompt_tokens_details.cached_tokens is not there: expected an object before `cached_tokens`",
    ),
    (
        "anthropic",
        {
            "input_tokens": 1,
            "cache_creation_input_tokens": 5,
            "cache_creation": {"ephemeral_1h_input_tokens": 9},
            "output_tokens": 1,
        },
        UsageInconsistent,
        "ephemeral_1h_input_tokens 9 exceeds cache_creation_input_tokens 5",
    ),
    ("openrouter", {"prompt_tokens": 1, "completion_tokens": 2, "cost": "x"}, UsageInconsistent, "cost is text"),
    ("openai", {"id": "x", "usage": None}, ProviderUsageUnknown, "its fields are id, usage"),
    ("openai", {}, ProviderUsageUnknown, "its fields are none"),
    ("openai", {"data": [{"embedding": [1]}]}, ProviderUsageUnknown, "`data` holds no images"),
]


@pytest.mark.parametrize(("provider", "body", "error", "text"), REFUSED)
def test_what_cannot_be_read_is_refused_by_name(provider, body, error, text):
    with pytest.raises(error, match=text):
        read_provider_usage(provider, body)


def test_a_refusal_says_which_field_of_the_object_it_means():
    with pytest.raises(FieldRefused) as refused:
        read_provider_usage(
            "anthropic", {"usage": {"input_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": -9}}}
        )
    assert refused.value.field == "cache_creation.ephemeral_1h_input_tokens"
    assert refused.value.detail == "is -9: expected a number from 0 to 1000000000000"


UNREAD = [
    (
        "a part of a counted total stays inside it",
        "openai",
        {"prompt_tokens": 90, "completion_tokens": 5, "prompt_tokens_details": {"ocr_tokens": 12}},
        {"prompt_tokens_details.ocr_tokens": 12},
        {},
    ),
    (
        "what stands beside the totals is a meter without a price",
        "x-ai",
        {"prompt_tokens": 90, "completion_tokens": 5, "num_sources_used": 3},
        {},
        {"provider_num_sources_used": 3},
    ),
    (
        "a cache of a duration that we do not know is not taken for five minutes",
        "anthropic",
        {"input_tokens": 1, "cache_creation_input_tokens": 0, "cache_creation": {"ephemeral_30m_input_tokens": 40}},
        {},
        {"provider_cache_creation_ephemeral_30m_input_tokens": 40},
    ),
    (
        "tokens inside the provider's own total are parts of it",
        "our-vllm",
        {"prompt_tokens": 90, "completion_tokens": 5, "total_tokens": 95, "reasoning_tokens": 2},
        {"reasoning_tokens": 2},
        {},
    ),
    (
        "tokens outside of the provider's own total are not",
        "our-vllm",
        {"prompt_tokens": 90, "completion_tokens": 5, "total_tokens": 97, "reasoning_tokens": 2},
        {},
        {"provider_reasoning_tokens": 2},
    ),
    (
        "the words of one object in a list are added up",
        "google",
        {"promptTokenCount": 9, "candidatesTokenCount": 1, "groundingCalls": [{"mapQueries": 1}, {"mapQueries": 2}]},
        {},
        {"provider_grounding_calls_map_queries": 3},
    ),
    (
        "clocks, money, marks, nulls, zeros and what is known to add nothing count nothing",
        "groq",
        {
            "prompt_tokens": 9,
            "completion_tokens": 1,
            "total_tokens": 10,
            "queue_time": 1,
            "total_time": 0.25,
            "created": 1764000000,
            "cost_details": {"upstream_inference_cost": 2},
            "prompt_tokens_details": {"text_tokens": 9},
            "completion_tokens_details": {"accepted_prediction_tokens": 1},
            "tool_calls": 0,
            "note": "new",
            "is_new": True,
            "more": None,
        },
        {},
        {},
    ),
]


@pytest.mark.parametrize(
    ("provider", "body", "parts", "beside"), [case[1:] for case in UNREAD], ids=[c[0] for c in UNREAD]
)
def test_a_count_that_we_do_not_know_is_never_dropped(provider, body, parts, beside):
    found = read_provider_usage(provider, body)
    assert found.unread_parts == parts
    assert {name: count for name, count in found.usage.items() if name.startswith("provider_")} == beside


def test_cache_reads_above_the_input_are_left_for_the_split_to_refuse():
    body = {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 900}}
    with pytest.raises(UsageInconsistent, match="cache_read_tokens 900 exceeds? input_tokens 100"):
        split_usage(read_provider_usage("openai", body).usage)


def test_a_call_that_used_nothing_has_no_quantities():
    assert read_provider_usage("openai", {"prompt_tokens": 0, "completion_tokens": 0}).usage == {}


def test_a_whole_answer_names_its_model_id_and_tier():
    answer = {
        "id": "chatcmpl-9f",
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    found = read_provider_usage("openai", answer)
    assert (found.model, found.response_id, found.service_tier) == ("gpt-4o-2024-08-06", "chatcmpl-9f", "standard")


TIERS = [
    ("openai", {"service_tier": "priority", "usage": {"prompt_tokens": 1}}, "priority"),
    ("openai", {"service_tier": "auto", "usage": {"prompt_tokens": 1}}, ""),
    ("openai", {"service_tier": "scale", "usage": {"prompt_tokens": 1}}, "scale"),
    ("anthropic", {"input_tokens": 1, "output_tokens": 1, "service_tier": "batch"}, "batch"),
    ("anthropic", {"input_tokens": 1, "output_tokens": 1, "service_tier": "standard", "speed": "fast"}, "fast"),
    ("google", {"promptTokenCount": 1, "trafficType": "ON_DEMAND"}, "standard"),
    ("google", {"promptTokenCount": 1, "trafficType": "PROVISIONED_THROUGHPUT"}, "provisioned_throughput"),
    ("google", {"promptTokenCount": 1, "serviceTier": "flex"}, "flex"),
    ("groq", {"service_tier": "on_demand", "usage": {"prompt_tokens": 1}}, "standard"),
    ("aws", {"usage": {"inputTokens": 1}, "serviceTier": {"type": "flex"}}, "flex"),
]


@pytest.mark.parametrize(("provider", "body", "tier"), TIERS)
def test_the_tier_that_answered_is_named_in_our_words(provider, body, tier):
    assert read_provider_usage(provider, body).service_tier == tier


COSTS = [
    ("openrouter", {"prompt_tokens": 1, "completion_tokens": 1, "cost": 4.1400000000000003e-05}, "0.000041400000"),
    (
        "openrouter",
        {
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "cost": 0.5,
            "is_byok": True,
            "cost_details": {"upstream_inference_cost": 2.25},
        },
        "2.75",
    ),
    ("x-ai", {"prompt_tokens": 1, "completion_tokens": 1, "cost_in_usd_ticks": 232856000}, "0.0232856"),
    ("perplexity", {"prompt_tokens": 1, "completion_tokens": 1, "cost": {"total_cost": 0.006}}, "0.006"),
]


@pytest.mark.parametrize(("provider", "body", "cost"), COSTS)
def test_what_a_provider_says_it_charged_is_kept_in_dollars(provider, body, cost):
    assert read_provider_usage(provider, body).reported_cost == Decimal(cost)


def test_a_cost_without_a_known_currency_is_not_kept():
    assert read_provider_usage("our-gateway", {"prompt_tokens": 1, "cost": 7}).reported_cost is None


def test_a_step_of_a_kind_that_we_do_not_know_is_told_by_its_own_meters():
    step = {"type": "planner_pass", "input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 2}
    body = {"input_tokens": 5, "cache_read_input_tokens": 0, "output_tokens": 1, "iterations": [step]}
    found = read_provider_usage("anthropic", body).usage
    assert found == {
        "input_tokens": 5,
        "output_tokens": 1,
        "provider_planner_pass_input_tokens": 10,
        "provider_planner_pass_cache_read_tokens": 4,
        "provider_planner_pass_output_tokens": 2,
    }
