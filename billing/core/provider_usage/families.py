"""One function per family of providers: its usage object, as the wire's inclusive usage.

What each family counts:

    family                         input                            output
    OpenAI chat, responses         includes cached                  includes reasoning
    Anthropic, Bedrock Converse    excludes cache reads and writes  includes thinking
    Gemini, Vertex                 includes cached, not tool use    excludes thoughts
    xAI chat, Perplexity           includes cached                  excludes reasoning
    Cohere                         as billed                        as billed
    DeepSeek, Groq, Mistral,
    OpenRouter                     includes cached                  includes reasoning
"""

from collections import Counter
from decimal import Decimal

from billing.core.provider_usage.asked import name_meter
from billing.core.provider_usage.fields import (
    Body,
    FieldRefused,
    list_mappings,
    read_count,
    read_either,
    read_seconds,
    read_text,
)

Wire = dict[str, int | Decimal]


def read_openai_chat(usage: Body) -> Wire:
    """Chat completions, of OpenAI and of whoever speaks alike: details are parts of their totals.

    Where `total_tokens` shows reasoning to stand beside the completion (Grok on Azure and Vertex), it is added.
    Source: platform.openai.com/docs/api-reference/chat/object.
    """
    prompt, completion = read_count(usage, "prompt_tokens"), read_count(usage, "completion_tokens")
    reasoning = read_count(usage, "completion_tokens_details", "reasoning_tokens")
    is_apart = reasoning and read_count(usage, "total_tokens") == prompt + completion + reasoning
    return _read_chat(usage, output=completion + (reasoning if is_apart else 0), reasoning=reasoning)


def read_openai_responses(usage: Body) -> Wire:
    """The Responses API: details are parts of their totals.

    Source: platform.openai.com/docs/api-reference/responses/object.
    """
    return {
        "input_tokens": read_count(usage, "input_tokens"),
        "cache_read_tokens": read_count(usage, "input_tokens_details", "cached_tokens"),
        "cache_write_tokens": read_count(usage, "input_tokens_details", "cache_write_tokens"),
        "output_tokens": read_count(usage, "output_tokens"),
        "reasoning_tokens": read_count(usage, "output_tokens_details", "reasoning_tokens"),
    }


def read_openai_embeddings(usage: Body) -> Wire:
    """Embeddings answer with vectors: there is no output to count.

    Source: platform.openai.com/docs/api-reference/embeddings/create.
    """
    return {"input_tokens": read_count(usage, "prompt_tokens")}


def read_openai_images(usage: Body) -> Wire:
    """Image generation and edits, counted in tokens; without details of the output, all of it is image.

    Source: platform.openai.com/docs/api-reference/images/create.
    """
    output = read_count(usage, "output_tokens")
    image = read_count(usage, "output_tokens_details", "image_tokens")
    return {
        "input_tokens": read_count(usage, "input_tokens"),
        "cache_read_tokens": read_count(usage, "input_tokens_details", "cached_tokens"),
        "image_input_tokens": read_count(usage, "input_tokens_details", "image_tokens"),
        "output_tokens": output,
        "image_output_tokens": output if usage.get("output_tokens_details") is None else image,
    }


def read_openai_audio(usage: Body) -> Wire:
    """Transcription, speech and realtime, by token; the details' names are singular here (`input_token_details`).

    Source: platform.openai.com/docs/api-reference/audio/json-object, …/realtime-server-events/response/done.
    """
    details = "input_token_details"
    return {
        "input_tokens": read_count(usage, "input_tokens"),
        "audio_input_tokens": read_count(usage, details, "audio_tokens"),
        "image_input_tokens": read_count(usage, details, "image_tokens"),
        "cache_read_tokens": read_count(usage, details, "cached_tokens"),
        "audio_cache_read_tokens": read_count(usage, details, "cached_tokens_details", "audio_tokens"),
        "image_cache_read_tokens": read_count(usage, details, "cached_tokens_details", "image_tokens"),
        "output_tokens": read_count(usage, "output_tokens"),
        "audio_output_tokens": read_count(usage, "output_token_details", "audio_tokens"),
    }


def read_openai_seconds(usage: Body) -> Wire:
    """Transcription that is charged by the second: `{"type": "duration", "seconds": 27}`.

    Source: platform.openai.com/docs/api-reference/audio/json-object.
    """
    return {"audio_seconds": read_seconds(usage, "seconds")}


def read_anthropic(usage: Body) -> Wire:
    """Messages, wherever Claude is served: the input excludes what was read from and written to the cache.

    Steps of one request stand in `iterations`, and all of them are charged. The totals leave out compactions, and
    beside an advisor the input of every message but the first: what is missing is added. Another model's advice is
    charged at that model's price: it is told by meters of its own, `advisor_message_input_tokens` and so on, which
    wait for a price; and so is a step of a kind that we do not know (`provider_…`).
    Source: platform.claude.com/docs/en/api/messages, …/build-with-claude/prompt-caching, …/compaction,
    …/agents-and-tools/tool-use/advisor-tool.
    """
    totals = _read_anthropic_step(usage)
    messages: Wire = {}
    beside: Wire = {}
    for step in list_mappings(usage, "iterations"):
        counts = _read_anthropic_step(step)
        match read_text(step, "type"):
            case "message":
                _add(messages, counts)
            case "compaction":
                _add(beside, counts)
            case "advisor_message":
                _add(beside, {f"advisor_message_{name}": count for name, count in _part(counts).items()})
            case kind:
                _add(beside, {name_meter(f"{kind}_{name}"): count for name, count in _part(counts).items()})
    if messages.get("input_tokens", 0) > totals["input_tokens"]:
        totals |= {name: count for name, count in messages.items() if name not in ("output_tokens", "reasoning_tokens")}
    _add(totals, beside)
    return totals | {
        "searches": read_count(usage, "server_tool_use", "web_search_requests"),
        "code_executions": read_count(usage, "server_tool_use", "code_execution_requests"),
    }


def _add(wire: Wire, counts: Wire) -> None:
    for name, count in counts.items():
        wire[name] = wire.get(name, 0) + count


def _part(counts: Wire) -> Wire:
    """A step's counts so that no token stands in two of them; reasoning is in the output."""
    caches = {name: count for name, count in counts.items() if name.startswith("cache_")}
    fresh = counts["input_tokens"] - sum(caches.values())
    return {"input_tokens": fresh, **caches, "output_tokens": counts["output_tokens"]}


def _read_anthropic_step(usage: Body) -> Wire:
    read = read_count(usage, "cache_read_input_tokens")
    write_5m = read_count(usage, "cache_creation", "ephemeral_5m_input_tokens")
    write_1h = read_count(usage, "cache_creation", "ephemeral_1h_input_tokens")
    written = read_count(usage, "cache_creation_input_tokens") or write_5m + write_1h
    if write_1h > written:
        raise FieldRefused(
            "cache_creation.ephemeral_1h_input_tokens", f"{write_1h} exceeds cache_creation_input_tokens {written}"
        )
    return {
        "input_tokens": read_count(usage, "input_tokens") + read + written,
        "cache_read_tokens": read,
        "cache_write_tokens": written - write_1h,
        "cache_write_1h_tokens": write_1h,
        "output_tokens": read_count(usage, "output_tokens"),
        "reasoning_tokens": read_count(usage, "output_tokens_details", "thinking_tokens"),
    }


def read_bedrock(usage: Body) -> Wire:
    """Converse, and the `…Count` names of an invocation's metrics: the input excludes the cache.

    Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html, …_CacheDetail.html.
    """
    read = read_either(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = read_either(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    written_by_ttl: Counter[str] = Counter()
    for detail in list_mappings(usage, "cacheDetails"):
        written_by_ttl[str(detail.get("ttl")).lower()] += read_count(detail, "inputTokens")
    write_1h = written_by_ttl["1h"]
    if write_1h > written:
        raise FieldRefused("cacheDetails", f"of 1h {write_1h} exceed cacheWriteInputTokens {written}")
    return {
        "input_tokens": read_either(usage, "inputTokens", "inputTokenCount") + read + written,
        "cache_read_tokens": read,
        "cache_write_tokens": written - write_1h,
        "cache_write_1h_tokens": write_1h,
        "output_tokens": read_either(usage, "outputTokens", "outputTokenCount"),
    }


def read_bedrock_invoke(answer: Body) -> Wire:
    """InvokeModel, where the answer of a model itself counts: Llama, and Titan, which has one count for each result.

    Source: docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-meta.html, …/model-parameters-titan-text.html.
    """
    results = sum(read_count(result, "tokenCount") for result in list_mappings(answer, "results"))
    return {
        "input_tokens": read_either(answer, "prompt_token_count", "inputTextTokenCount"),
        "output_tokens": read_count(answer, "generation_token_count") + results,
    }


GEMINI_DETAILS = {
    "promptTokensDetails": "input_tokens",
    "promptTokenDetails": "input_tokens",
    "toolUsePromptTokensDetails": "input_tokens",
    "cacheTokensDetails": "cache_read_tokens",
    "candidatesTokensDetails": "output_tokens",
    "responseTokensDetails": "output_tokens",
}
GEMINI_MODALITIES = {"AUDIO": "audio", "IMAGE": "image", "DOCUMENT": "image", "VIDEO": "video"}


def read_gemini(usage: Body) -> Wire:
    """generateContent, Live and Vertex: thoughts stand beside the answer.

    What a built-in tool put into the prompt (`toolUsePromptTokenCount`) is input beside the prompt; a document
    counts as image. Source: ai.google.dev/api/generate-content#UsageMetadata, and
    docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest/v1/GenerateContentResponse.
    """
    thoughts = read_count(usage, "thoughtsTokenCount")
    answer = read_either(usage, "candidatesTokenCount", "responseTokenCount")
    wire: Wire = {
        "input_tokens": read_count(usage, "promptTokenCount") + read_count(usage, "toolUsePromptTokenCount"),
        "cache_read_tokens": read_count(usage, "cachedContentTokenCount"),
        "output_tokens": answer + thoughts,
        "reasoning_tokens": thoughts,
    }
    for field, suffix in GEMINI_DETAILS.items():
        for part in list_mappings(usage, field):
            tokens = read_either(part, "tokenCount", "token_count")
            modality = GEMINI_MODALITIES.get(str(part.get("modality")).upper())
            if modality:
                name = f"{modality}_{suffix}"
                wire[name] = wire.get(name, 0) + tokens
    return wire


def camelise_names(usage: Body) -> Body:
    """Google's Python SDK writes `prompt_token_count` where its HTTP interface says `promptTokenCount`."""
    return {_camelise(name): value for name, value in usage.items()}


def _camelise(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def read_gemini_chat(usage: Body) -> Wire:
    """Gemini in OpenAI's words: thoughts are charged as output, and show in the total alone.

    Source: ai.google.dev/gemini-api/docs/openai, and the price page on thinking tokens.
    """
    prompt, completion = read_count(usage, "prompt_tokens"), read_count(usage, "completion_tokens")
    hidden = max(read_count(usage, "total_tokens") - prompt - completion, 0)
    inside = read_count(usage, "completion_tokens_details", "reasoning_tokens")
    return _read_chat(usage, output=completion + hidden, reasoning=hidden or inside)


def read_mistral(usage: Body) -> Wire:
    """Chat; `num_cached_tokens` is what the engine reused: only `cached_tokens` in the details is cheaper.

    Source: docs.mistral.ai/studio-api/conversations/advanced/prompt-caching, docs.mistral.ai/api (UsageInfo).
    """
    return read_openai_chat(usage) | {"audio_seconds": read_seconds(usage, "prompt_audio_seconds")}


def read_cohere(usage: Body) -> Wire:
    """What Cohere bills for, which leaves out its own preamble; without `billed_units`, what the model saw.

    `cached_tokens` belongs to what the model saw and lowers no bill.
    Source: docs.cohere.com/docs/how-does-cohere-pricing-work, docs.cohere.com/reference/chat, …/rerank, …/classify.
    """
    seen: Wire = {
        "input_tokens": read_count(usage, "tokens", "input_tokens"),
        "cache_read_tokens": read_count(usage, "cached_tokens"),
        "output_tokens": read_count(usage, "tokens", "output_tokens"),
    }
    if usage.get("billed_units") is None:
        return seen
    image = read_count(usage, "billed_units", "image_tokens")
    images = read_count(usage, "billed_units", "images")
    return {
        "input_tokens": read_count(usage, "billed_units", "input_tokens") + image,
        "image_input_tokens": image,
        "images": 0 if image else images,
        "output_tokens": read_count(usage, "billed_units", "output_tokens"),
        "rerank_searches": read_count(usage, "billed_units", "search_units"),
        "classifications": read_count(usage, "billed_units", "classifications"),
    }


def read_deepseek(usage: Body) -> Wire:
    """Chat, with the cache also as `prompt_cache_hit_tokens` and `prompt_cache_miss_tokens`, which make the prompt.

    Source: api-docs.deepseek.com/api/create-chat-completion, …/guides/kv_cache.
    """
    cached = read_either(usage, "prompt_tokens_details.cached_tokens", "prompt_cache_hit_tokens")
    return read_openai_chat(usage) | {"cache_read_tokens": cached}


def read_xai(usage: Body) -> Wire:
    """Chat, where reasoning stands beside the completion unless the total says that it is inside.

    Source: docs.x.ai/docs/api-reference; docs.cloud.google.com/vertex-ai/generative-ai/docs/partner-models/grok/
    capabilities/reasoning shows 663 + 50 + 124 = 837.
    """
    prompt, completion = read_count(usage, "prompt_tokens"), read_count(usage, "completion_tokens")
    reasoning = read_count(usage, "completion_tokens_details", "reasoning_tokens")
    is_inside = read_count(usage, "total_tokens") == prompt + completion
    output = completion + (0 if is_inside else reasoning)
    return _read_chat(usage, output=output, reasoning=reasoning) | _read_xai_tools(usage)


def read_xai_responses(usage: Body) -> Wire:
    """The Responses API, where reasoning is part of the output, and the calls of xAI's own tools are charged.

    Source: docs.x.ai/developers/advanced-api-usage/prompt-caching/usage-and-pricing, …/tools/tool-usage-details.
    """
    return read_openai_responses(usage) | _read_xai_tools(usage)


def _read_xai_tools(usage: Body) -> Wire:
    calls = "server_side_tool_usage_details"
    return {
        "searches": read_count(usage, calls, "web_search_calls"),
        "social_searches": read_count(usage, calls, "x_search_calls"),
        "storage_searches": read_count(usage, calls, "file_search_calls"),
        "code_executions": read_count(usage, calls, "code_interpreter_calls"),
    }


def read_openrouter(usage: Body) -> Wire:
    """Chat in the maker's own tokens, whatever the model, and the searches that OpenRouter made for it.

    Source: openrouter.ai/docs/use-cases/usage-accounting, openrouter.ai/docs/guides/features/server-tools.
    """
    paths = ("server_tool_use.web_search_requests", "server_tool_use_details.web_search_requests")
    return read_openai_chat(usage) | {"searches": read_either(usage, *paths)}


def read_perplexity(usage: Body) -> Wire:
    """Sonar: reasoning and citations are charged beside the completion, and every search query.

    Source: docs.perplexity.ai/getting-started/pricing.
    """
    reasoning = read_count(usage, "reasoning_tokens")
    output = read_count(usage, "completion_tokens") + reasoning + read_count(usage, "citation_tokens")
    return _read_chat(usage, output=output, reasoning=reasoning) | {"searches": read_count(usage, "num_search_queries")}


# Where chats count what was read from a cache and written to one: OpenAI, OpenRouter; Moonshot; LiteLLM, which keeps
# Anthropic's names beside a prompt that includes them.
CHAT_CACHE_READS = ("prompt_tokens_details.cached_tokens", "cached_tokens", "cache_read_input_tokens")
CHAT_CACHE_WRITES = (
    "prompt_tokens_details.cache_write_tokens", "prompt_tokens_details.cache_creation_tokens",
    "cache_creation_input_tokens",
)  # fmt: skip


def _read_chat(usage: Body, *, output: int, reasoning: int) -> Wire:
    """What every chat shape shares."""
    return {
        "input_tokens": read_count(usage, "prompt_tokens"),
        "cache_read_tokens": read_either(usage, *CHAT_CACHE_READS),
        "cache_write_tokens": read_either(usage, *CHAT_CACHE_WRITES),
        "audio_input_tokens": read_count(usage, "prompt_tokens_details", "audio_tokens"),
        "image_input_tokens": read_count(usage, "prompt_tokens_details", "image_tokens"),
        "video_input_tokens": read_count(usage, "prompt_tokens_details", "video_tokens"),
        "output_tokens": output,
        "reasoning_tokens": reasoning,
        "audio_output_tokens": read_count(usage, "completion_tokens_details", "audio_tokens"),
        "image_output_tokens": read_count(usage, "completion_tokens_details", "image_tokens"),
    }
