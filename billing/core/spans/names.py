"""What each dialect calls a thing, the newest name first: the first that a span carries is the one that is read.

OpenTelemetry GenAI of both generations (semantic-conventions 1.27 to 1.42 and the GenAI repository after it),
OpenInference (`llm.token_count.*`), OpenLLMetry (`llm.usage.*`, `traceloop.*`), the Vercel AI SDK (`ai.*`), and what
Pydantic AI, Strands and the SDK of Anthropic add. `tokenledger.*` is ours and comes before all of them.
"""

OWN = "tokenledger."
OWN_TAG = "tokenledger.tag."
OWN_USAGE = "tokenledger.usage."

# --- quantities ---

INPUT_TOKENS = (
    "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens",
    "ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens",
)  # fmt: skip
OUTPUT_TOKENS = (
    "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
    "llm.usage.completion_tokens", "ai.usage.outputTokens", "ai.usage.completionTokens",
)  # fmt: skip
TOTAL_TOKENS = (
    "gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens",
)  # fmt: skip
CACHE_READ_TOKENS = (
    "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_read_tokens",
    "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.cached_tokens", "llm.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read", "llm.token_count.prompt_details.cache_input",
    "ai.usage.cachedInputTokens",
)  # fmt: skip
CACHE_WRITE_TOKENS = (
    "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.cache_write_tokens", "gen_ai.usage.details.cache_write_tokens",
    "llm.usage.cache_creation_input_tokens", "llm.token_count.prompt_details.cache_write",
)  # fmt: skip
# Of the tokens written, those that are kept for an hour and cost more.
CACHE_WRITE_1H_TOKENS = (
    "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens",
    "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
)
REASONING_TOKENS = (
    "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "gen_ai.usage.details.reasoning_tokens",
    "llm.usage.reasoning_tokens", "llm.token_count.completion_details.reasoning", "ai.usage.reasoningTokens",
)  # fmt: skip
# Parts of the totals above, by what they are called in an event.
MODALITY_TOKENS = {
    "audio_input_tokens": ("gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio"),
    "image_input_tokens": ("gen_ai.usage.image.input_tokens",),
    "video_input_tokens": ("gen_ai.usage.video.input_tokens",),
    "audio_output_tokens": ("gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio"),
    "image_output_tokens": ("gen_ai.usage.image.output_tokens",),
    "video_output_tokens": ("gen_ai.usage.video.output_tokens",),
    "audio_cache_read_tokens": ("gen_ai.usage.audio.cache_read.input_tokens",),
    "image_cache_read_tokens": ("gen_ai.usage.image.cache_read.input_tokens",),
    "video_cache_read_tokens": ("gen_ai.usage.video.cache_read.input_tokens",),
}

# What the provider itself says that the call cost; any other source of a cost is somebody's estimate.
COST_AMOUNT, COST_CURRENCY = "gen_ai.usage.cost.amount", "gen_ai.usage.cost.currency"
COST_SOURCE, COST_SOURCE_PROVIDER = "gen_ai.usage.cost.source", "provider"

# --- what ran ---

OPERATION, REQUEST_TYPE = "gen_ai.operation.name", "llm.request.type"
OPENINFERENCE_KIND, TRACELOOP_KIND, AI_SDK_OPERATION = (
    "openinference.span.kind",
    "traceloop.span.kind",
    "ai.operationId",
)

# An operation that is one call of a model, by its names, and what an event calls it.
CALLS = {
    "chat": "chat",
    "responses": "chat",
    "text_completion": "text_completion",
    "completion": "text_completion",
    "generate_content": "generate_content",
    "embeddings": "embeddings",
    "embedding": "embeddings",
    "rerank": "rerank",
    "image_generation": "image_generation",
    "speech": "speech",
    "transcription": "transcription",
}
OPENINFERENCE_CALLS = {"LLM": "chat", "EMBEDDING": "embeddings", "RERANKER": "rerank"}
AI_SDK_CALLS = {".doGenerate": "chat", ".doStream": "chat", ".doEmbed": "embeddings"}

PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system", "ai.model.provider")
ADDRESS = ("server.address", "gen_ai.openai.api_base", "llm.openai.api_base")
MODEL_ANSWERED = ("gen_ai.response.model", "llm.response.model_name", "llm.model_name", "ai.response.model")
MODEL_REQUESTED = (
    "gen_ai.request.model", "llm.request.model_name", "embedding.model_name", "reranker.model_name", "ai.model.id",
)  # fmt: skip
MODEL_PARAMETERS = "llm.invocation_parameters"  # JSON; where OpenInference says the model of a call that failed
RESPONSE_ID = ("gen_ai.response.id", "llm.response.id", "ai.response.id")
SERVICE_TIER = (
    "tokenledger.service_tier", "openai.response.service_tier", "gen_ai.openai.response.service_tier",
    "gen_ai.response.service_tier",
)  # fmt: skip
FINISH_REASON = (
    "gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "gen_ai.response.stop_reason",
    "llm.response.finish_reason", "llm.response.stop_reason", "llm.finish_reason", "gen_ai.completion.0.finish_reason",
    "anthropic.message.stop_reason", "ai.response.finishReason",
)  # fmt: skip
STREAMING = ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming")
ERROR_TYPE = ("error.type", "exception.type")

# --- to whom it is charged ---

ATTRIBUTION = {
    "source": ("service.name",),
    "environment": ("tokenledger.environment", "deployment.environment.name", "deployment.environment"),
    "feature": ("tokenledger.feature",),
    "user": (
        "tokenledger.user", "enduser.id", "user.id", "gen_ai.user", "llm.user",
        "traceloop.association.properties.user_id",
    ),
    "cost_center": ("tokenledger.cost_center",),
    "customer_tier": ("tokenledger.customer_tier",),
    "session_id": (
        "tokenledger.session", "gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id",
    ),
    "region": ("tokenledger.region",),
    "prompt_hash": ("tokenledger.prompt_hash",),
    "content_digest": ("tokenledger.content_digest",),
    "reservation_id": ("tokenledger.reservation_id",),
}  # fmt: skip
TENANT = "tokenledger.tenant"
CACHE_HIT = "tokenledger.cache_hit"

# Everything that is read of a span, by what it is to us.
SLOTS: dict[str, tuple[str, ...]] = {
    "input_tokens": INPUT_TOKENS,
    "output_tokens": OUTPUT_TOKENS,
    "total_tokens": TOTAL_TOKENS,
    "cache_read_tokens": CACHE_READ_TOKENS,
    "cache_write_tokens": CACHE_WRITE_TOKENS,
    "cache_write_1h_tokens": CACHE_WRITE_1H_TOKENS,
    "reasoning_tokens": REASONING_TOKENS,
    **MODALITY_TOKENS,
    "cost_amount": (COST_AMOUNT,),
    "cost_currency": (COST_CURRENCY,),
    "cost_source": (COST_SOURCE,),
    "operation": (OPERATION,),
    "request_type": (REQUEST_TYPE,),
    "openinference_kind": (OPENINFERENCE_KIND,),
    "traceloop_kind": (TRACELOOP_KIND,),
    "ai_sdk_operation": (AI_SDK_OPERATION,),
    "address": ADDRESS,
    "model": MODEL_ANSWERED,
    "requested_model": MODEL_REQUESTED,
    "model_parameters": (MODEL_PARAMETERS,),
    "response_id": RESPONSE_ID,
    "service_tier": SERVICE_TIER,
    "finish_reason": FINISH_REASON,
    "streaming": STREAMING,
    "error_type": ERROR_TYPE,
    "tenant": (TENANT,),
    "cache_hit": (CACHE_HIT,),
    **ATTRIBUTION,
}
# The slot of a name, and how late it is asked for: the lowest is read.
SLOT_BY_NAME = {name: (slot, rank) for slot, names in SLOTS.items() for rank, name in enumerate(names)}
WANTED = frozenset((*SLOT_BY_NAME, *PROVIDER))


def is_wanted(name: str) -> bool:
    """Whether an attribute of this name is ever read: no prompt's and no answer's is."""
    return name in WANTED or name.startswith(OWN)


# What differs from call to call; of everything else thousands of spans say the same.
_ONCE_SAID = frozenset((
    "input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens", *MODALITY_TOKENS, "cost_amount", "response_id", "user", "session_id", "prompt_hash",
    "content_digest", "reservation_id", "model_parameters",
))  # fmt: skip
SAID_AGAIN = WANTED - {name for name, (slot, _) in SLOT_BY_NAME.items() if slot in _ONCE_SAID}


# --- values ---

# Who answers at an address, whatever SDK was used: many speak OpenAI's protocol and are reported under its name.
PROVIDER_BY_HOST = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "api.anthropic.com": "anthropic",
    "amazonaws.com": "aws",
    "googleapis.com": "google",
    "openrouter.ai": "openrouter",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.mistral.ai": "mistral",
    "api.x.ai": "x-ai",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.fireworks.ai": "fireworks",
    "api.perplexity.ai": "perplexity",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.moonshot.ai": "moonshotai",
    "api.moonshot.cn": "moonshotai",
    "api.cerebras.ai": "cerebras",
}
# Said where a provider should stand by those who only pass a call on.
FRAMEWORKS = frozenset(
    ("langchain", "langgraph", "llamaindex", "llama_index", "haystack", "crewai", "dspy", "agno", "autogen", "unknown")
)
