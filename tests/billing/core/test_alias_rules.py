"""Which alias may be."""

import pytest

from billing.core.alias_rules import find_alias_problems, make_alias

ALIASES = {("azure", "old-name"): ("azure", "gpt-4o")}


def find(sent, means, *, is_priced=True):
    alias = make_alias(provider=sent[0], model=sent[1], means_provider=means[0], means_model=means[1])
    return [
        (problem.field, problem.text) for problem in find_alias_problems(alias, aliases=ALIASES, is_priced=is_priced)
    ]


@pytest.mark.parametrize(
    ("sent", "means"),
    [
        (("azure", "our-gpt4-deployment"), ("azure", "gpt-4o-2024-08-06")),
        (("Acme-GPU", "Llama"), ("groq", "meta-llama/llama-3")),
        (("openai", "gpt-4o"), ("openai", "gpt-4o-2024-08-06")),  # a family means this snapshot
    ],
)
def test_a_name_of_ours_may_mean_a_priced_model(sent, means):
    assert find(sent, means) == []


@pytest.mark.parametrize(
    ("sent", "means", "is_priced", "field", "text"),
    [
        (
            ("openai", "gpt-4o-2024-08-06"),
            ("openai", "gpt-4o"),
            True,
            "means_model",
            "is a dated snapshot and is never",
        ),
        (("azure", "gpt-4o-2024-08-06"), ("openai", "gpt-4o-2024-05-13"), True, "means_model", "is a dated snapshot"),
        (("azure", "azure/gpt-4o"), ("azure", "gpt-4o"), True, "means_model", "is what the string means without"),
        (("azure", "x"), ("azure", "gpt-9"), False, "means_model", "has no price now"),
        (("azure", "x"), ("azure", "old-name"), True, "means_model", "Write what it means: azure gpt-4o."),
        (("azure", ""), ("azure", "gpt-4o"), True, "model", "is missing"),
        (("azure", "a\0b"), ("azure", "gpt-4o"), True, "model", "none of them NUL"),
        (("azure", "x" * 513), ("azure", "gpt-4o"), True, "model", "at most 512"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field_with_a_reason(sent, means, is_priced, field, text):
    [(found, said)] = find(sent, means, is_priced=is_priced)
    assert found == field and text in said


def test_names_are_kept_as_they_are_looked_up():
    alias = make_alias(
        provider=" Azure.AI.OpenAI ", model="Our-GPT4", means_provider="az.ai.openai", means_model="GPT-4o"
    )
    assert alias.sent == ("azure.ai.openai", "our-gpt4")
    assert alias.means == ("azure", "gpt-4o")
