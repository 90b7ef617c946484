"""Which priced model stands nearest, and what may never pass for another."""

import pytest

from billing.core.nearest_models import is_collapsed, split_snapshot, suggest_model

PRICED = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-2024-05-13"),
    ("openai", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-5.4-mini-2026-03-17"),
    ("openai", "text-embedding-3-small"),
    ("anthropic", "claude-sonnet-4-6"),
    ("anthropic", "claude-sonnet-4-5-20250929"),
    ("google", "gemini-2.5-flash"),
    ("groq", "meta-llama/llama-3.3-70b-instruct"),
]


@pytest.mark.parametrize(
    ("provider", "model", "nearest", "kind"),
    [
        ("openai", "gpt-4o-2024-11-20", "gpt-4o-2024-08-06", "snapshot"),  # the latest before it
        ("openai", "gpt-4o-2024-05-01", "gpt-4o-2024-08-06", "snapshot"),  # none before it
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini", "family"),
        ("openai", "gpt-5.4-mini", "gpt-5.4-mini-2026-03-17", "snapshot"),
        ("azure.ai.openai", "gpt-4o", "gpt-4o", "elsewhere"),
        ("anthropic", "claude-sonnet-4-7", "claude-sonnet-4-6", "nearest"),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-flash-lite", "gemini-2.5-flash", "nearest"),
        ("acme-gpu", "Llama-3.3-70B-Instruct", "meta-llama/llama-3.3-70b-instruct", "elsewhere"),
    ],
)
def test_the_nearest_priced_model_and_what_it_is_to_the_one_asked_for(provider, model, nearest, kind):
    found = suggest_model(provider, model, PRICED)
    assert (found.model, found.kind) == (nearest, kind)


@pytest.mark.parametrize(("provider", "model"), [("acme-gpu", "inhouse-vl-2"), ("openai", "whisper-9"), ("x", "gpt")])
def test_a_name_like_no_other_has_no_suggestion(provider, model):
    assert suggest_model(provider, model, PRICED) is None
    assert suggest_model(provider, model, []) is None


def test_a_suggestion_says_what_it_is_so_that_a_snapshot_is_not_taken_for_its_family():
    assert suggest_model("openai", "gpt-4o-2024-11-20", PRICED).words == "another snapshot of gpt-4o"
    assert suggest_model("openai", "gpt-4o-mini-2024-07-18", PRICED).words == "its family, not this snapshot"
    assert suggest_model("acme", "llama-3.3-70b-instruct", PRICED).words == "the same name at groq"


@pytest.mark.parametrize(
    ("model", "family", "date"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o", "20240806"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet", "20241022"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4", "20250514"),
        ("anthropic.claude-sonnet-4-20250514-v1:0", "anthropic.claude-sonnet-4-v1:0", "20250514"),
        ("gpt-4-0613", "gpt-4", "0613"),
        ("gpt-4-1106-preview", "gpt-4-preview", "1106"),
        ("gemini-2.5-flash-preview-05-20", "gemini-2.5-flash-preview", "0520"),
        ("gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash-preview", "092025"),
        ("mistral-large-2407", "mistral-large", "2407"),
        # no dates
        ("claude-sonnet-4-5", "claude-sonnet-4-5", ""),
        ("gpt-4-32k", "gpt-4-32k", ""),
        ("llama-3.1-405b", "llama-3.1-405b", ""),
        ("gemini-2.5-pro", "gemini-2.5-pro", ""),
    ],
)
def test_a_snapshots_date_is_told_from_its_familys_name(model, family, date):
    assert split_snapshot(model) == (family, date)


@pytest.mark.parametrize(
    ("sent", "means", "collapses"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o", True),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13", True),
        ("openai/gpt-4o-2024-08-06", "gpt-4o", True),
        ("gpt-4-0613", "gpt-4", True),
        ("GPT-4o-20240806", "gpt-4o-2024-08-06", False),  # one date written twice
        ("gpt-4o", "gpt-4o-2024-08-06", False),  # somebody says which snapshot the family is
        ("our-gpt4-deployment", "gpt-4o-2024-08-06", False),
        ("our-model-2024-08-06", "gpt-4o", False),  # a name of their own
    ],
)
def test_a_dated_snapshot_never_passes_for_its_family(sent, means, collapses):
    assert is_collapsed(sent, means) is collapses
