"""Canonical names: which provider and model a raw pair of strings means when its rate is looked up.

The ledger keeps what was sent; these names are for the look-up alone. Spellings of one thing come together (an ARN
and the model id inside it); two things never do: a dated snapshot is not its family, a regional profile not the global.
"""

import re
from datetime import date
from functools import lru_cache

# OpenTelemetry GenAI `gen_ai.provider.name` and `gen_ai.system`, LiteLLM, OpenInference, the Vercel AI SDK, as sent.
PROVIDERS = {
    "anthropic": ("anthropic", "claude"),
    "aws": (
        "aws", "aws.bedrock", "aws_bedrock", "aws-bedrock", "bedrock", "bedrock_converse", "bedrock-converse",
        "amazon", "amazon-bedrock", "amazon_bedrock", "amazon.bedrock",
    ),
    "azure": (
        "azure", "azure.ai.openai", "azure.ai.inference", "az.ai.openai", "az.ai.inference", "azure_openai",
        "azure-openai", "azure.openai", "azure_ai", "azure-ai", "azure_ai_foundry", "microsoft.azure", "azure_text",
    ),
    "cerebras": ("cerebras",),
    "cohere": ("cohere", "cohere_chat", "cohereai"),
    "databricks": ("databricks",),
    "deepseek": ("deepseek", "deep_seek"),
    "fireworks": ("fireworks", "fireworks_ai", "fireworks-ai", "fireworksai"),
    "github-copilot": ("github-copilot", "github_copilot", "copilot"),
    "google": (
        "google", "gcp", "gcp.gemini", "gcp.vertex_ai", "gcp.gen_ai", "gcp.vertex.agent", "gemini", "vertex",
        "vertex_ai", "vertexai", "vertex-ai", "google-vertex", "google_vertex", "google.vertex", "google-gla",
        "google-vertex-anthropic", "google_genai", "google_ai_studio", "google-ai-studio", "google.generative-ai",
        "google_generativeai", "vertex_ai_beta", "palm",
    ),
    "groq": ("groq",),
    "ibm": ("ibm", "ibm.watsonx.ai", "watsonx", "watsonx_text"),
    "meta": ("meta", "meta_llama", "llama_api"),
    "minimax": ("minimax",),
    "mistral": ("mistral", "mistral_ai", "mistralai", "mistral-ai", "codestral", "text-completion-codestral"),
    "moonshotai": ("moonshotai", "moonshot_ai", "moonshot", "moonshot-ai"),
    "novita": ("novita", "novita_ai", "novita-ai"),
    "openai": ("openai", "open_ai", "openai.com", "text-completion-openai", "custom_openai"),
    "openrouter": ("openrouter", "open_router", "openrouter.ai"),
    "perplexity": ("perplexity", "perplexityai", "perplexity_ai"),
    "together": ("together", "together_ai", "together-ai", "togetherai"),
    "voyageai": ("voyageai", "voyage", "voyage_ai", "voyage-ai"),
    "x-ai": ("x-ai", "x_ai", "xai", "x.ai", "grok"),
    "zai": ("zai", "z_ai", "z-ai", "z.ai"),
}  # fmt: skip
_PROVIDER_BY_NAME = {name: provider for provider, names in PROVIDERS.items() for name in names}
# A name in front of the kind of call, as the Vercel AI SDK writes it: `openai.responses`, `google.vertex.chat`.
_CALL_SUFFIX = re.compile(r"[.](chat|responses|messages|completions?|embeddings?|image|generative-ai)$")

# Whoever says one of these leaves the provider to the model's first part: `azure/gpt-4o`.
GATEWAYS = frozenset({"", "litellm", "litellm_proxy", "portkey", "helicone", "gateway", "unknown"})

# `default` is what OpenAI and Bedrock answer for the ordinary tier; `auto` is a wish, not an answer, and stays.
STANDARD_TIERS = frozenset({"", "standard", "default", "on_demand", "on-demand", "standard_only"})

# Whose own ids begin with their own name: `openrouter/auto` and `perplexity/sonar` are not `auto` and `sonar`.
NAMED_BY_PROVIDER = frozenset({"openrouter", "perplexity"})

_BEDROCK_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[^:]*:[^:]*:[a-z-]+/(?P<model>.+)")
_GOOGLE_RESOURCE = re.compile(r"(?:projects/[^/]+/locations/[^/]+/)?(?:publishers/[^/]+/)?models/(?P<model>.+)")
_BEDROCK_ROUTE = re.compile(r"(?:converse|invoke|converse_like|[a-z]{2}(?:-gov)?-[a-z]+-\d)/(?P<model>.+)")
_COMPACT_DATE = re.compile(r"-(20\d\d)(\d\d)(\d\d)(?=$|[-:@])")
NAME_LENGTH_MAX = 512


@lru_cache(maxsize=4096)
def canonical_provider(raw: str) -> str:
    """The provider's id in the rate book; an unknown name stands for itself, in lower case.

    >>> canonical_provider("gcp.vertex_ai"), canonical_provider("az.ai.openai"), canonical_provider("Acme-GPU")
    ('google', 'azure', 'acme-gpu')
    """
    name = raw.strip().lower()
    known = _PROVIDER_BY_NAME.get(name)
    return known or _PROVIDER_BY_NAME.get(_CALL_SUFFIX.sub("", name), name)


def canonical_tier(raw: str) -> str:
    """The service tier's id; only spellings of the ordinary tier come together.

    >>> canonical_tier("default"), canonical_tier("Flex"), canonical_tier("auto")
    ('standard', 'flex', 'auto')
    """
    tier = raw.strip().lower()
    return "standard" if tier in STANDARD_TIERS else tier


def canonical_names(provider: str, model: str) -> tuple[str, tuple[str, ...]]:
    """The provider's id and the model's spellings, the one to be tried first in front.

    >>> canonical_names("azure.ai.openai", "azure/gpt-4o")
    ('azure', ('gpt-4o', 'azure/gpt-4o'))
    """
    provider = canonical_provider(provider)
    if provider in GATEWAYS and "/" in model:
        first, rest = model.split("/", 1)
        if canonical_provider(first) in PROVIDERS:
            return canonical_names(first, rest)
    return provider, name_spellings(provider, model)


def name_spellings(provider: str, model: str) -> tuple[str, ...]:
    """What the model of a canonical provider may be called: without its envelope, with a dashed date, as it was sent.

    >>> name_spellings("openai", "openai/gpt-5.2-20251211")
    ('gpt-5.2-20251211', 'gpt-5.2-2025-12-11', 'openai/gpt-5.2-20251211')
    """
    sent = model.strip().lower()[:NAME_LENGTH_MAX]
    name = _without_envelope(provider, sent)
    return tuple(dict.fromkeys((name, _COMPACT_DATE.sub(_dash_date, name), sent)))


def _without_envelope(provider: str, name: str) -> str:
    """The model id alone: no ARN, no resource path, and the provider not said a second time."""
    if arn := _BEDROCK_ARN.fullmatch(name):
        return arn["model"]
    if provider == "google" and (resource := _GOOGLE_RESOURCE.fullmatch(name)):
        return resource["model"]
    first, _, rest = name.partition("/")
    if rest and canonical_provider(first) == provider and ("/" in rest or provider not in NAMED_BY_PROVIDER):
        return _without_envelope(provider, rest)
    if provider == "aws" and (route := _BEDROCK_ROUTE.fullmatch(name)):
        return _without_envelope(provider, route["model"])
    return name


def _dash_date(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return found[0]
    return f"-{year}-{month}-{day}"
