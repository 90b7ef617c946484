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

from decimal import Decimal

from billing.core.provider_usage.fields import Body, list_mappings, read_count, read_seconds
from billing.core.usage import UsageInconsistent

Wire = dict[str, int | Decimal]


def read_openai_chat(usage: Body) -> Wire:
    """Chat completions, of OpenAI and of whoever speaks alike: details are parts of their totals.

    Where `total_tokens` shows reasoning to stand beside the completion (Grok on Azure), it is added.
    """
    prompt, completion = read_count(usage, "prompt_tokens"), read_count(usage, "completion_tokens")
    reasoning = read_count(usage, "completion_tokens_details", "reasoning_tokens")
    is_apart = reasoning and read_count(usage, "total_tokens") == prompt + completion + reasoning
    return _read_chat(usage, output=completion + (reasoning if is_apart else 0), reasoning=reasoning)


def read_openai_responses(usage: Body) -> Wire:
    """The Responses API: details are parts of their totals."""
    return {
        "input_tokens": read_count(usage, "input_tokens"),
        "cache_read_tokens": read_count(usage, "input_tokens_details", "cached_tokens"),
        "cache_write_tokens": read_count(usage, "input_tokens_details", "cache_write_tokens"),
        "output_tokens": read_count(usage, "output_tokens"),
        "reasoning_tokens": read_count(usage, "output_tokens_details", "reasoning_tokens"),
    }


def read_openai_embeddings(usage: Body) -> Wire:
    """Embeddings answer with vectors: there is no output to count."""
    return {"input_tokens": read_count(usage, "prompt_tokens")}


def read_openai_images(usage: Body) -> Wire:
    """Image generation and edits, counted in tokens."""
    return {
        "input_tokens": read_count(usage, "input_tokens"),
        "cache_read_tokens": read_count(usage, "input_tokens_details", "cached_tokens"),
        "image_input_tokens": read_count(usage, "input_tokens_details", "image_tokens"),
        "output_tokens": read_count(usage, "output_tokens"),
        "image_output_tokens": read_count(usage, "output_tokens_details", "image_tokens"),
    }


def read_openai_audio(usage: Body) -> Wire:
    """Transcription, speech and realtime, by token; the details' names are singular here (`input_token_details`)."""
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
    """Transcription that is charged by the second: `{"type": "duration", "seconds": 27}`."""
    return {"audio_seconds": read_seconds(usage, "seconds")}


def read_anthropic(usage: Body) -> Wire:
    """Messages, wherever Claude is served: the input excludes what was read from and written to the cache.

    A compaction inside the request is a sampling step of its own, charged at the model's price and left out of the
    totals (Anthropic, "Compaction", `usage.iterations`): it is added. An advisor's step runs on another model; it is
    an event of its own and not part of this one.
    """
    wire: Wire = {}
    compactions = [step for step in list_mappings(usage, "iterations") if step.get("type") == "compaction"]
    for step in (usage, *compactions):
        for name, quantity in _read_anthropic_step(step).items():
            wire[name] = wire.get(name, 0) + quantity
    wire["searches"] = read_count(usage, "server_tool_use", "web_search_requests")
    return wire


def _read_anthropic_step(usage: Body) -> Wire:
    read = read_count(usage, "cache_read_input_tokens")
    write_5m = read_count(usage, "cache_creation", "ephemeral_5m_input_tokens")
    write_1h = read_count(usage, "cache_creation", "ephemeral_1h_input_tokens")
    written = read_count(usage, "cache_creation_input_tokens") or write_5m + write_1h
    if write_1h > written:
        raise UsageInconsistent(
            f"cache_creation.ephemeral_1h_input_tokens {write_1h} exceeds cache_creation_input_tokens {written}"
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
    """Converse, and the `…Count` names of an invocation's metrics: the input excludes the cache."""
    read = read_count(usage, "cacheReadInputTokens") or read_count(usage, "cacheReadInputTokenCount")
    written = read_count(usage, "cacheWriteInputTokens") or read_count(usage, "cacheWriteInputTokenCount")
    write_1h = sum(
        read_count(detail, "inputTokens")
        for detail in list_mappings(usage, "cacheDetails")
        if str(detail.get("ttl")).lower() == "1h"
    )
    if write_1h > written:
        raise UsageInconsistent(f"cacheDetails of 1h {write_1h} exceed cacheWriteInputTokens {written}")
    fresh = read_count(usage, "inputTokens") or read_count(usage, "inputTokenCount")
    return {
        "input_tokens": fresh + read + written,
        "cache_read_tokens": read,
        "cache_write_tokens": written - write_1h,
        "cache_write_1h_tokens": write_1h,
        "output_tokens": read_count(usage, "outputTokens") or read_count(usage, "outputTokenCount"),
    }


GEMINI_DETAILS = {
    "promptTokensDetails": "input_tokens",
    "toolUsePromptTokensDetails": "input_tokens",
    "cacheTokensDetails": "cache_read_tokens",
    "candidatesTokensDetails": "output_tokens",
    "responseTokensDetails": "output_tokens",
}
GEMINI_MODALITIES = {"AUDIO": "audio", "IMAGE": "image", "DOCUMENT": "image", "VIDEO": "video"}


def read_gemini(usage: Body) -> Wire:
    """generateContent, Live and Vertex, in camelCase or the Python SDK's snake_case: thoughts stand beside the answer.

    What a built-in tool put into the prompt (`toolUsePromptTokenCount`) is input beside the prompt; a document
    counts as image.
    """
    usage = {_camelise(name): value for name, value in usage.items()}
    thoughts = read_count(usage, "thoughtsTokenCount")
    answer = read_count(usage, "candidatesTokenCount") or read_count(usage, "responseTokenCount")
    wire: Wire = {
        "input_tokens": read_count(usage, "promptTokenCount") + read_count(usage, "toolUsePromptTokenCount"),
        "cache_read_tokens": read_count(usage, "cachedContentTokenCount"),
        "output_tokens": answer + thoughts,
        "reasoning_tokens": thoughts,
    }
    for field, suffix in GEMINI_DETAILS.items():
        for part in list_mappings(usage, field):
            modality = GEMINI_MODALITIES.get(str(part.get("modality")).upper())
            if modality:
                name = f"{modality}_{suffix}"
                tokens = read_count(part, "tokenCount") or read_count(part, "token_count")
                wire[name] = wire.get(name, 0) + tokens
    return wire


def _camelise(name: str) -> str:
    """`prompt_token_count` as `promptTokenCount`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def read_gemini_chat(usage: Body) -> Wire:
    """Gemini in OpenAI's words: thoughts are charged as output, and show in the total alone."""
    prompt, completion = read_count(usage, "prompt_tokens"), read_count(usage, "completion_tokens")
    hidden = max(read_count(usage, "total_tokens") - prompt - completion, 0)
    inside = read_count(usage, "completion_tokens_details", "reasoning_tokens")
    return _read_chat(usage, output=completion + hidden, reasoning=hidden or inside)


def read_mistral(usage: Body) -> Wire:
    """Chat; `num_cached_tokens` is what the engine reused: only `cached_tokens` in the details is cheaper."""
    return read_openai_chat(usage) | {"audio_seconds": read_seconds(usage, "prompt_audio_seconds")}


def read_cohere(usage: Body) -> Wire:
    """What Cohere bills for, which leaves out its own preamble; without `billed_units`, what the model saw.

    `cached_tokens` belongs to what the model saw and lowers no bill.
    """
    if usage.get("billed_units") is not None:
        image = read_count(usage, "billed_units", "image_tokens")
        return {
            "input_tokens": read_count(usage, "billed_units", "input_tokens") + image,
            "image_input_tokens": image,
            "output_tokens": read_count(usage, "billed_units", "output_tokens"),
            "rerank_searches": read_count(usage, "billed_units", "search_units"),
        }
    return {
        "input_tokens": read_count(usage, "tokens", "input_tokens"),
        "cache_read_tokens": read_count(usage, "cached_tokens"),
        "output_tokens": read_count(usage, "tokens", "output_tokens"),
    }


def read_deepseek(usage: Body) -> Wire:
    """Chat, with the cache also as `prompt_cache_hit_tokens` and `prompt_cache_miss_tokens`, which make the prompt."""
    wire = read_openai_chat(usage)
    wire["cache_read_tokens"] = wire["cache_read_tokens"] or read_count(usage, "prompt_cache_hit_tokens")
    return wire


def read_xai(usage: Body) -> Wire:
    """Chat, where reasoning stands beside the completion unless the total says that it is inside."""
    prompt, completion = read_count(usage, "prompt_tokens"), read_count(usage, "completion_tokens")
    reasoning = read_count(usage, "completion_tokens_details", "reasoning_tokens")
    is_inside = read_count(usage, "total_tokens") == prompt + completion
    return _read_chat(usage, output=completion + (0 if is_inside else reasoning), reasoning=reasoning)


def read_perplexity(usage: Body) -> Wire:
    """Sonar: reasoning and citations are charged beside the completion, and every search query."""
    reasoning = read_count(usage, "reasoning_tokens")
    output = read_count(usage, "completion_tokens") + reasoning + read_count(usage, "citation_tokens")
    return _read_chat(usage, output=output, reasoning=reasoning) | {"searches": read_count(usage, "num_search_queries")}


def _read_chat(usage: Body, *, output: int, reasoning: int) -> Wire:
    """What every chat shape shares; cached tokens stand in the details, or beside the prompt (Moonshot)."""
    cached = read_count(usage, "prompt_tokens_details", "cached_tokens") or read_count(usage, "cached_tokens")
    return {
        "input_tokens": read_count(usage, "prompt_tokens"),
        "cache_read_tokens": cached,
        "cache_write_tokens": read_count(usage, "prompt_tokens_details", "cache_write_tokens"),
        "audio_input_tokens": read_count(usage, "prompt_tokens_details", "audio_tokens"),
        "output_tokens": output,
        "reasoning_tokens": reasoning,
        "audio_output_tokens": read_count(usage, "completion_tokens_details", "audio_tokens"),
        "image_output_tokens": read_count(usage, "completion_tokens_details", "image_tokens"),
    }
