"""Which provider and model a pair of strings means."""

import pytest

from billing.core.model_names import canonical_names, canonical_provider, canonical_tier


@pytest.mark.parametrize(
    ("raw", "provider"),
    [
        # OpenTelemetry since 1.37: gen_ai.provider.name
        ("openai", "openai"),
        ("anthropic", "anthropic"),
        ("aws.bedrock", "aws"),
        ("azure.ai.openai", "azure"),
        ("azure.ai.inference", "azure"),
        ("gcp.gemini", "google"),
        ("gcp.vertex_ai", "google"),
        ("gcp.gen_ai", "google"),
        ("mistral_ai", "mistral"),
        ("x_ai", "x-ai"),
        ("moonshot_ai", "moonshotai"),
        ("ibm.watsonx.ai", "ibm"),
        ("deepseek", "deepseek"),
        ("groq", "groq"),
        ("cohere", "cohere"),
        ("perplexity", "perplexity"),
        # and before: gen_ai.system
        ("az.ai.openai", "azure"),
        ("az.ai.inference", "azure"),
        ("vertex_ai", "google"),
        ("gemini", "google"),
        ("xai", "x-ai"),
        # gateways and kits
        ("bedrock_converse", "aws"),
        ("azure_ai", "azure"),
        ("together_ai", "together"),
        ("fireworks_ai", "fireworks"),
        ("openai.responses", "openai"),
        ("google.vertex.chat", "google"),
        ("anthropic.messages", "anthropic"),
        ("amazon-bedrock", "aws"),
        # as people write it
        (" OpenAI ", "openai"),
        ("Acme-GPU", "acme-gpu"),
    ],
)
def test_a_providers_names_mean_one_provider(raw, provider):
    assert canonical_provider(raw) == provider


@pytest.mark.parametrize(
    ("provider", "model", "canonical"),
    [
        ("openai", "gpt-4o", "openai gpt-4o"),
        ("openai", "GPT-4o", "openai gpt-4o"),
        ("openai", "openai/gpt-4o-2024-08-06", "openai gpt-4o-2024-08-06"),
        ("azure", "azure/gpt-4o", "azure gpt-4o"),
        ("azure.ai.openai", "gpt-4o", "azure gpt-4o"),
        ("litellm", "azure/gpt-4o", "azure gpt-4o"),
        ("litellm", "bedrock/amazon.nova-lite-v1:0", "aws amazon.nova-lite-v1:0"),
        ("", "vertex_ai/gemini-2.5-pro", "google gemini-2.5-pro"),
        ("gateway", "unheard-of/model", "gateway unheard-of/model"),
        # Bedrock: what stands in the ARN, its region's profile kept, because it has a price of its own
        ("aws.bedrock", "arn:aws:bedrock:eu-west-1::foundation-model/amazon.titan-v1", "aws amazon.titan-v1"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
         "aws eu.amazon.nova-lite-v1:0"),
        ("bedrock", "bedrock/converse/us.amazon.nova-pro-v1:0", "aws us.amazon.nova-pro-v1:0"),
        ("bedrock", "bedrock/eu-central-1/amazon.nova-pro-v1:0", "aws amazon.nova-pro-v1:0"),
        ("aws", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        # Google
        ("gcp.gemini", "models/gemini-2.5-pro", "google gemini-2.5-pro"),
        ("gcp.vertex_ai", "projects/acme/locations/us-east5/publishers/anthropic/models/claude-opus-4@20250514",
         "google claude-opus-4@20250514"),
        ("google", "publishers/google/models/gemini-2.0-flash", "google gemini-2.0-flash"),
        ("google", "anthropic/claude-sonnet-4", "google anthropic/claude-sonnet-4"),
        # whose own ids begin with a name
        ("openrouter", "openai/gpt-4o", "openrouter openai/gpt-4o"),
        ("openrouter", "openrouter/openai/gpt-4o", "openrouter openai/gpt-4o"),
        ("openrouter", "openrouter/auto", "openrouter openrouter/auto"),
        ("perplexity", "perplexity/sonar", "perplexity perplexity/sonar"),
        ("acme", "  Model  ", "acme model"),
        ("openai", "", "openai "),
    ],
)  # fmt: skip
def test_spellings_of_one_model_come_together(provider, model, canonical):
    name, (first, *_) = canonical_names(provider, model)
    assert f"{name} {first}" == canonical


@pytest.mark.parametrize(
    ("model", "spellings"),
    [
        ("gpt-4o", ("gpt-4o",)),
        ("gpt-5.2-20251211", ("gpt-5.2-20251211", "gpt-5.2-2025-12-11")),
        ("gpt-5.2-20251399", ("gpt-5.2-20251399",)),  # eight digits that are no date
        ("openai/gpt-4o", ("gpt-4o", "openai/gpt-4o")),  # as sent comes last
    ],
)
def test_a_name_is_tried_in_each_of_its_spellings(model, spellings):
    assert canonical_names("openai", model) == ("openai", spellings)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("openai", "gpt-4o"), ("openai", "gpt-4o-2024-08-06")),  # a snapshot is not its family
        (("openai", "gpt-4o-2024-05-13"), ("openai", "gpt-4o-2024-08-06")),
        (("aws", "eu.amazon.nova-pro-v1:0"), ("aws", "amazon.nova-pro-v1:0")),  # nor a region the world
        (("openai", "gpt-4o"), ("azure", "gpt-4o")),  # nor a reseller the maker
        (("openrouter", "openai/gpt-4o"), ("openai", "gpt-4o")),
    ],
)
def test_different_things_stay_apart(one, other):
    assert canonical_names(*one) != canonical_names(*other)


@pytest.mark.parametrize(
    ("raw", "tier"),
    [("default", "standard"), ("", "standard"), ("STANDARD", "standard"), ("flex", "flex"), ("auto", "auto"),
     ("priority", "priority"), (" Batch ", "batch"), ("scale", "scale")],
)  # fmt: skip
def test_only_spellings_of_the_ordinary_tier_mean_standard(raw, tier):
    assert canonical_tier(raw) == tier


def test_a_very_long_name_is_cut_and_no_error():
    provider, (name,) = canonical_names("openai", "a/" * 10_000)
    assert (provider, len(name)) == ("openai", 512)
