"""The usage object of each provider's own documentation, in the disjoint buckets of the ledger.

Each body has the shape that the named page shows; what is to be booked was worked out by hand from the page's words
on what each figure includes.
"""

from decimal import Decimal

import pytest

from billing.core.provider_usage import read_provider_usage
from billing.core.usage import Usage, split_usage

DOCUMENTED = {
    # prompt 1,117 of which 1,024 cached; completion 46 of which 20 reasoning
    "platform.openai.com/docs/api-reference/chat/object": (
        "openai",
        {
            "prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163,
            "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 20, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        Usage(input_tokens=93, cache_read_tokens=1024, output_tokens=46, reasoning_tokens=20),
    ),
    "platform.openai.com/docs/api-reference/responses/object": (
        "openai",
        {
            "input_tokens": 328, "input_tokens_details": {"cached_tokens": 128}, "output_tokens": 52,
            "output_tokens_details": {"reasoning_tokens": 40}, "total_tokens": 380,
        },
        Usage(input_tokens=200, cache_read_tokens=128, output_tokens=52, reasoning_tokens=40),
    ),
    "platform.openai.com/docs/api-reference/embeddings/create": (
        "openai", {"prompt_tokens": 8, "total_tokens": 8}, Usage(input_tokens=8),
    ),
    # 50 = 10 of text + 40 of an image to be edited; what comes out is image
    "platform.openai.com/docs/api-reference/images/create": (
        "openai",
        {
            "total_tokens": 100, "input_tokens": 50, "output_tokens": 50,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        },
        Usage(input_tokens=10, other={"image_input_tokens": 40, "image_output_tokens": 50}),
    ),
    "platform.openai.com/docs/api-reference/audio/json-object": (
        "openai",
        {
            "type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
            "output_tokens": 45, "total_tokens": 59,
        },
        Usage(output_tokens=45, other={"audio_input_tokens": 14}),
    ),
    # 132 = 119 text + 13 sound; 64 cached, all text; out 121 = 30 text + 91 sound
    "platform.openai.com/docs/api-reference/realtime-server-events/response/done": (
        "openai",
        {
            "total_tokens": 253, "input_tokens": 132, "output_tokens": 121,
            "input_token_details": {
                "text_tokens": 119, "audio_tokens": 13, "image_tokens": 0, "cached_tokens": 64,
                "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
        },
        Usage(
            input_tokens=55, cache_read_tokens=64, output_tokens=30,
            other={"audio_input_tokens": 13, "audio_output_tokens": 91},
        ),
    ),
    "learn.microsoft.com/azure/ai-foundry/openai/how-to/prompt-caching": (
        "azure",
        {
            "completion_tokens": 1518, "prompt_tokens": 1566, "total_tokens": 3084,
            "completion_tokens_details": {"reasoning_tokens": 576},
            "prompt_tokens_details": {"cached_tokens": 1408},
        },
        Usage(input_tokens=158, cache_read_tokens=1408, output_tokens=1518, reasoning_tokens=576),
    ),
    # input stands beside 1,800 read and 248 written, of which 148 for five minutes and 100 for an hour
    "platform.claude.com/docs/en/build-with-claude/prompt-caching": (
        "anthropic",
        {
            "input_tokens": 2048, "cache_read_input_tokens": 1800, "cache_creation_input_tokens": 248,
            "output_tokens": 503,
            "cache_creation": {"ephemeral_5m_input_tokens": 148, "ephemeral_1h_input_tokens": 100},
            "service_tier": "standard",
        },
        Usage(
            input_tokens=2048, cache_read_tokens=1800, cache_write_tokens=148, cache_write_1h_tokens=100,
            output_tokens=503,
        ),
    ),
    "platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool": (
        "anthropic",
        {
            "input_tokens": 105, "output_tokens": 6039, "cache_read_input_tokens": 7123,
            "cache_creation_input_tokens": 7345,
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 2},
            "output_tokens_details": {"thinking_tokens": 4000},
        },
        Usage(
            input_tokens=105, cache_read_tokens=7123, cache_write_tokens=7345, output_tokens=6039,
            reasoning_tokens=4000, other={"searches": 1},
        ),
    ),
    # 180,000 + 23,000 and 3,500 + 1,000
    "platform.claude.com/docs/en/build-with-claude/compaction": (
        "anthropic",
        {
            "input_tokens": 23000, "output_tokens": 1000,
            "iterations": [
                {"type": "compaction", "input_tokens": 180000, "output_tokens": 3500},
                {"type": "message", "input_tokens": 23000, "output_tokens": 1000},
            ],
        },
        Usage(input_tokens=203000, output_tokens=4500),
    ),
    "platform.claude.com/docs/en/agents-and-tools/tool-use/code-execution-tool": (
        "anthropic",
        {
            "input_tokens": 105, "output_tokens": 239,
            "server_tool_use": {"code_execution_requests": 1, "tool_search_requests": 2},
        },
        Usage(input_tokens=105, output_tokens=239, other={"code_executions": 1}),
    ),
    # the totals hold the first message's input alone: 412 + 1,348, and 412 read; all of the output
    "platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool": (
        "anthropic",
        {
            "input_tokens": 412, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 531,
            "iterations": [
                {"type": "message", "input_tokens": 412, "cache_read_input_tokens": 0, "output_tokens": 89},
                {
                    "type": "advisor_message", "model": "claude-opus-4-8", "input_tokens": 823,
                    "cache_read_input_tokens": 100, "cache_creation_input_tokens": 0, "output_tokens": 1612,
                },
                {"type": "message", "input_tokens": 1348, "cache_read_input_tokens": 412, "output_tokens": 442},
            ],
        },
        Usage(
            input_tokens=1760, cache_read_tokens=412, output_tokens=531,
            other={
                "advisor_message_cache_read_tokens": 100, "advisor_message_input_tokens": 823,
                "advisor_message_output_tokens": 1612,
            },
        ),
    ),
    "docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html": (
        "aws.bedrock",
        {
            "inputTokens": 22, "outputTokens": 13, "totalTokens": 2527, "cacheReadInputTokens": 1000,
            "cacheWriteInputTokens": 1492,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 492}, {"ttl": "5m", "inputTokens": 1000}],
        },
        Usage(
            input_tokens=22, cache_read_tokens=1000, cache_write_tokens=1000, cache_write_1h_tokens=492,
            output_tokens=13,
        ),
    ),
    "docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html": (
        "aws.bedrock",
        {
            "id": "msg_bdrk_1", "type": "message", "model": "claude-sonnet-4-5-20250929",
            "usage": {"input_tokens": 25, "cache_read_input_tokens": 75, "output_tokens": 100},
            "amazon-bedrock-invocationMetrics": {
                "inputTokenCount": 25, "outputTokenCount": 100, "invocationLatency": 1984, "firstByteLatency": 300,
                "cacheReadInputTokenCount": 75,
            },
        },
        Usage(input_tokens=25, cache_read_tokens=75, output_tokens=100),
    ),
    "docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html": (
        "aws.bedrock",
        {"generation": "Hello", "prompt_token_count": 25, "generation_token_count": 7, "stop_reason": "stop"},
        Usage(input_tokens=25, output_tokens=7),
    ),
    "docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html": (
        "aws.bedrock",
        {
            "inputTextTokenCount": 25,
            "results": [{"tokenCount": 7, "outputText": "Hello"}, {"tokenCount": 5, "outputText": "Hi"}],
        },
        Usage(input_tokens=25, output_tokens=12),
    ),
    # 1,000 prompt of which 258 image and 600 cached text; 40 by a tool; answer 89 + thoughts 167
    "ai.google.dev/api/generate-content#UsageMetadata": (
        "gcp.gemini",
        {
            "promptTokenCount": 1000, "cachedContentTokenCount": 600, "candidatesTokenCount": 89,
            "toolUsePromptTokenCount": 40, "thoughtsTokenCount": 167, "totalTokenCount": 1296,
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 742}, {"modality": "IMAGE", "tokenCount": 258},
            ],
            "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 600}],
            "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 89}],
            "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 40}],
        },
        Usage(
            input_tokens=182, cache_read_tokens=600, output_tokens=256, reasoning_tokens=167,
            other={"image_input_tokens": 258},
        ),
    ),
    "docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse": (
        "gcp.vertex_ai",
        {
            "promptTokenCount": 300, "candidatesTokenCount": 20, "totalTokenCount": 320,
            "trafficType": "ON_DEMAND", "billablePromptUsage": {"textCount": 142, "audioDurationSeconds": 8},
            "promptTokensDetails": [
                {"modality": "TEXT", "tokenCount": 42}, {"modality": "AUDIO", "tokenCount": 258},
            ],
        },
        Usage(input_tokens=42, output_tokens=20, other={"audio_input_tokens": 258}),
    ),
    "docs.mistral.ai/studio-api/conversations/advanced/prompt-caching": (
        "mistral_ai",
        {
            "prompt_tokens": 1013, "completion_tokens": 30, "total_tokens": 1043,
            "prompt_tokens_details": {"cached_tokens": 960},
        },
        Usage(input_tokens=53, cache_read_tokens=960, output_tokens=30),
    ),
    # billed, not seen: 7,596 and 645 hold what Cohere added by itself
    "docs.cohere.com/docs/how-does-cohere-pricing-work": (
        "cohere",
        {
            "billed_units": {"input_tokens": 6772, "output_tokens": 248},
            "tokens": {"input_tokens": 7596, "output_tokens": 645},
        },
        Usage(input_tokens=6772, output_tokens=248),
    ),
    "docs.cohere.com/reference/rerank": (
        "cohere",
        {"id": "07734bd2", "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}},
        Usage(other={"rerank_searches": 1}),
    ),
    "api-docs.deepseek.com/api/create-chat-completion": (
        "deepseek",
        {
            "prompt_tokens": 160, "completion_tokens": 10, "total_tokens": 170,
            "prompt_tokens_details": {"cached_tokens": 64}, "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 96, "completion_tokens_details": {"reasoning_tokens": 4},
        },
        Usage(input_tokens=96, cache_read_tokens=64, output_tokens=10, reasoning_tokens=4),
    ),
    # 663 + 50 + 124 = 837: reasoning stands beside the completion
    "docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/grok/capabilities/reasoning": (
        "x_ai",
        {
            "completion_tokens": 50,
            "completion_tokens_details": {
                "accepted_prediction_tokens": 0, "audio_tokens": 0, "reasoning_tokens": 124,
                "rejected_prediction_tokens": 0,
            },
            "cost_in_usd_ticks": 0, "num_sources_used": 0, "prompt_tokens": 663,
            "prompt_tokens_details": {
                "audio_tokens": 0, "cached_tokens": 654, "image_tokens": 0, "text_tokens": 663,
            },
            "total_tokens": 837,
        },
        Usage(input_tokens=9, cache_read_tokens=654, output_tokens=174, reasoning_tokens=124),
    ),
    "docs.x.ai/developers/tools/tool-usage-details": (
        "xai",
        {
            "input_tokens": 125, "output_tokens": 48, "total_tokens": 173,
            "input_tokens_details": {"cached_tokens": 98}, "output_tokens_details": {"reasoning_tokens": 30},
            "num_sources_used": 0, "num_server_side_tools_used": 6, "cost_in_usd_ticks": 561266000,
            "context_details": {"input_tokens": 110, "output_tokens": 40},
            "server_side_tool_usage_details": {
                "web_search_calls": 2, "x_search_calls": 3, "code_interpreter_calls": 0, "file_search_calls": 0,
                "mcp_calls": 1, "document_search_calls": 0,
            },
        },
        Usage(
            input_tokens=27, cache_read_tokens=98, output_tokens=48, reasoning_tokens=30,
            other={"searches": 2, "social_searches": 3},
        ),
    ),
    "console.groq.com/docs/prompt-caching": (
        "groq",
        {
            "queue_time": 0.026959759, "prompt_tokens": 4641, "prompt_time": 0.009995497, "completion_tokens": 1817,
            "completion_time": 5.57691751, "total_tokens": 6458, "total_time": 5.586913007,
            "prompt_tokens_details": {"cached_tokens": 4608},
        },
        Usage(input_tokens=33, cache_read_tokens=4608, output_tokens=1817),
    ),
    # LiteLLM's prompt includes what it names as Anthropic does
    "docs.litellm.ai/docs/completion/prompt_caching": (
        "litellm",
        {
            "prompt_tokens": 2236, "completion_tokens": 100, "total_tokens": 2336,
            "prompt_tokens_details": {"cached_tokens": 2000}, "cache_read_input_tokens": 2000,
            "cache_creation_input_tokens": 200,
        },
        Usage(input_tokens=36, cache_read_tokens=2000, cache_write_tokens=200, output_tokens=100),
    ),
    "openrouter.ai/docs/use-cases/usage-accounting": (
        "openrouter",
        {
            "completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 0}, "cost": 0.95,
            "cost_details": {"upstream_inference_cost": 19}, "prompt_tokens": 194,
            "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100, "audio_tokens": 0},
            "total_tokens": 196, "server_tool_use": {"web_search_requests": 1, "tool_calls_executed": 1},
        },
        Usage(input_tokens=94, cache_write_tokens=100, output_tokens=2, other={"searches": 1}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("page", DOCUMENTED)
def test_what_a_provider_documents_is_booked_in_disjoint_buckets(page):
    provider, body, expected = DOCUMENTED[page]
    found = read_provider_usage(provider, body)
    assert split_usage(found.usage) == expected
    assert found.unread_parts == {}


def test_openrouters_credits_are_the_reported_cost_and_nobody_elses_are():
    provider, body, _ = DOCUMENTED["openrouter.ai/docs/use-cases/usage-accounting"]
    assert read_provider_usage(provider, body).reported_cost == Decimal("0.95")
    assert read_provider_usage("our-gateway", body).reported_cost is None
