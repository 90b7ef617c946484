"""Which family wrote a usage object, and what else the answer around it says."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import msgspec

from billing.core.model_names import canonical_provider
from billing.core.provider_usage import families
from billing.core.provider_usage.asked import AskedBody, find_unread, name_meter
from billing.core.provider_usage.families import Wire
from billing.core.provider_usage.fields import Body, get_mapping, list_mappings, read_number, read_text
from billing.core.usage import INSIDE_CACHE_READ, QUANTITY_MAX

COST_STEP = Decimal("0.000000000001")
XAI_TICKS_PER_USD = 10**10


class ProviderUsage(msgspec.Struct, frozen=True):
    """What one provider's answer says of itself; text is '' where it says nothing.

    usage: wire names to quantities above zero; an answer that used nothing has none. A count that we do not know and
        that stands beside the totals is here as `provider_…`, a meter without a price.
    unread_parts: counts that we do not know inside a total that is counted, by their path; priced with the total.
    read_as: the words in which the object was read, as `READERS` and `OWN_READERS` name them.
    service_tier: `standard`, `batch`, `flex`, `priority`, … in our words.
    reported_cost: USD, at most 12 decimals, where the provider states what it charged.
    """

    usage: Wire
    service_tier: str = ""
    reported_cost: Decimal | None = None
    model: str = ""
    response_id: str = ""
    unread_parts: Mapping[str, int] = {}
    read_as: str = ""


class ProviderUsageUnknown(ValueError):
    """An object that no known provider writes as its usage."""


READERS: Mapping[str, Callable[[Body], Wire]] = {
    "chat": families.read_openai_chat,
    "responses": families.read_openai_responses,
    "embeddings": families.read_openai_embeddings,
    "images": families.read_openai_images,
    "audio": families.read_openai_audio,
    "seconds": families.read_openai_seconds,
    "anthropic": families.read_anthropic,
    "bedrock": families.read_bedrock,
    "bedrock_invoke": families.read_bedrock_invoke,
    "gemini": families.read_gemini,
    "cohere": families.read_cohere,
}
OWN_READERS: Mapping[tuple[str, str], Callable[[Body], Wire]] = {
    ("anthropic", "responses"): families.read_anthropic,
    ("deepseek", "chat"): families.read_deepseek,
    ("google", "chat"): families.read_gemini_chat,
    ("mistral", "chat"): families.read_mistral,
    ("openrouter", "chat"): families.read_openrouter,
    ("perplexity", "chat"): families.read_perplexity,
    ("x-ai", "chat"): families.read_xai,
    ("x-ai", "responses"): families.read_xai_responses,
}
ANTHROPIC_FIELDS = frozenset(
    ("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation", "server_tool_use")
)


def name_shape(usage: Body) -> str:
    """The key of `READERS` for a usage object, '' for anything else.

    >>> name_shape({"prompt_tokens": 3, "total_tokens": 3})
    'embeddings'
    """
    if "generation_token_count" in usage or "inputTextTokenCount" in usage:
        return "bedrock_invoke"
    if "promptTokenCount" in usage or "prompt_token_count" in usage or "candidatesTokenCount" in usage:
        return "gemini"
    if "inputTokens" in usage or "inputTokenCount" in usage:
        return "bedrock"
    if isinstance(usage.get("billed_units"), dict) or isinstance(usage.get("tokens"), dict):
        return "cohere"
    if "prompt_tokens" in usage:
        return "chat" if "completion_tokens" in usage else "embeddings"
    if not ANTHROPIC_FIELDS.isdisjoint(usage):
        return "anthropic"
    if "input_tokens" in usage:
        return _name_input_shape(usage)
    return "seconds" if "seconds" in usage else ""


def _name_input_shape(usage: Body) -> str:
    """Who of those that say `input_tokens` it is."""
    if "input_token_details" in usage or "output_token_details" in usage:
        return "audio"
    details = usage.get("input_tokens_details")
    if isinstance(details, dict) and "image_tokens" in details:
        return "images"
    return "responses"


# Where a whole answer keeps its usage: an answer, a streamed event, a streamed chunk of Groq's, Cohere's `meta`.
USAGE_PATHS = (
    ("usage",),
    ("usageMetadata",),
    ("usage_metadata",),
    ("response", "usage"),
    ("message", "usage"),
    ("delta", "usage"),
    ("x_groq", "usage"),
    ("meta",),
    ("amazon-bedrock-invocationMetrics",),
)

USAGE_ROOTS = frozenset(way[0] for way in USAGE_PATHS)


def read_provider_usage(provider: str, body: Body) -> ProviderUsage:
    """What `provider` counted: `body` is its usage object or a whole answer that holds one.

    Raises UsageInconsistent for a value that cannot be (its field named), ProviderUsageUnknown for a shape that
    nobody writes. That parts stay within their wholes is for `split_usage` to check.
    """
    provider = canonical_provider(provider)
    answer, usage, shape = _find_usage(body)
    if shape == "gemini":
        usage = families.camelise_names(usage)
    asked = AskedBody(usage)
    if shape:
        wire = OWN_READERS.get((provider, shape), READERS[shape])(asked)
        if answer.get("type") == "speech.audio.done":
            wire["audio_output_tokens"] = wire.get("output_tokens", 0)
    else:
        wire = {"images": _count_images(body)}
    unread = find_unread(asked, is_whole=_is_whole(usage, wire))
    wire = _overlap_cached_parts(wire) | {name_meter(path): count for path, count in unread.beside.items()}
    return ProviderUsage(
        usage={name: quantity for name, quantity in wire.items() if quantity},
        service_tier=_read_service_tier(answer, usage),
        reported_cost=_read_reported_cost(provider, usage),
        model=read_text(answer, "model", "modelVersion", "model_version"),
        response_id=read_text(answer, "id", "responseId", "response_id", "generation_id")
        or read_text(get_mapping(answer, "ResponseMetadata"), "RequestId"),
        unread_parts=unread.parts,
        read_as=f"{provider} {shape}" if (provider, shape) in OWN_READERS else shape,
    )


def _is_whole(usage: Body, wire: Wire) -> bool:
    """Whether the provider's total is the tokens that were counted."""
    total = usage.get("total_tokens") or usage.get("totalTokens") or usage.get("totalTokenCount")
    return total == wire.get("input_tokens", 0) + wire.get("output_tokens", 0)


def _find_usage(body: Body) -> tuple[Body, Body, str]:
    """The answer that names its model, its usage object, and the shape of that ('' where it has none)."""
    for *way, last in USAGE_PATHS if not USAGE_ROOTS.isdisjoint(body) else ():
        answer: Body = body
        for name in way:
            answer = get_mapping(answer, name)
        usage = get_mapping(answer, last)
        if usage and (shape := name_shape(usage)):
            return answer if "model" in answer or "id" in answer else body, usage, shape
    if shape := name_shape(body):
        return body, body, shape
    if "data" in body:
        return body, {}, ""
    raise ProviderUsageUnknown(
        "holds no usage object of a known provider: "
        f"its fields are {', '.join(sorted(body)[:8]) or 'none'}; send what stands at `usage` (OpenAI, Anthropic, "
        "Bedrock, …), `usageMetadata` (Gemini) or `meta` (Cohere) in the answer, or `usage` in our own words"
    )


def _count_images(body: Body) -> int:
    """The pictures in an answer that is charged by picture and carries no usage."""
    pictures = [picture for picture in list_mappings(body, "data") if "url" in picture or "b64_json" in picture]
    if not pictures:
        raise ProviderUsageUnknown("holds no usage object, and `data` holds no images; send `usage` in our own words")
    return len(pictures)


def _overlap_cached_parts(wire: Wire) -> Wire:
    """Say which modality was cached where a provider counts caches and modalities apart, and they overlap.

    The least overlap that the figures allow, the largest modality first; what is still too large stays so.
    """
    parts = {whole: cached for cached, whole in INSIDE_CACHE_READ.items() if wire.get(whole)}
    caches = sum(wire.get(name, 0) for name in ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens"))
    known = sum(wire.get(cached, 0) for cached in parts.values())
    excess = sum(wire[whole] for whole in parts) + caches - known - wire.get("input_tokens", 0)
    for whole, cached in sorted(parts.items(), key=lambda part: -wire[part[0]]):
        if excess > 0:
            taken = min(excess, wire[whole] - wire.get(cached, 0))
            wire[cached] = wire.get(cached, 0) + taken
            excess -= taken
    return wire


SERVICE_TIERS = {
    "auto": "",
    "default": "standard",
    "on_demand": "standard",
    "on_demand_flex": "flex",
    "on_demand_priority": "priority",
    "traffic_type_unspecified": "",
    "unspecified": "",
}


def _read_service_tier(answer: Body, usage: Body) -> str:
    """The tier that answered, in our words; one that we do not know keeps its name, so that it finds no price."""
    if usage.get("speed") == "fast":
        return "fast"
    said = (
        read_text(usage, "service_tier", "serviceTier")
        or read_text(usage, "trafficType", "traffic_type")
        or read_text(answer, "service_tier", "serviceTier")
        or read_text(get_mapping(answer, "serviceTier"), "type")
    ).lower()
    return SERVICE_TIERS.get(said, said)


def _read_reported_cost(provider: str, usage: Body) -> Decimal | None:
    """What the provider says that it charged, in USD; with one's own key, OpenRouter's fee and the maker's price."""
    if usage.get("cost_in_usd_ticks") is not None:
        ticks = read_number(usage["cost_in_usd_ticks"], "cost_in_usd_ticks", most=QUANTITY_MAX * XAI_TICKS_PER_USD)
        return _round_cost(ticks / XAI_TICKS_PER_USD)
    cost = usage.get("cost")
    if provider == "perplexity" and isinstance(cost, dict) and cost.get("total_cost") is not None:
        return _round_cost(read_number(cost["total_cost"], "cost.total_cost"))
    if provider != "openrouter" or cost is None:
        return None
    upstream = get_mapping(usage, "cost_details").get("upstream_inference_cost")
    own_key = usage.get("is_byok") is True and upstream is not None
    paid = read_number(upstream, "cost_details.upstream_inference_cost") if own_key else Decimal(0)
    return _round_cost(read_number(cost, "cost") + paid)


def _round_cost(cost: Decimal) -> Decimal:
    return cost.quantize(COST_STEP)
