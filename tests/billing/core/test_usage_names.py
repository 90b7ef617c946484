"""Which names a usage may have: ours, and meters of their own; never another word for tokens."""

import pytest

from billing.core.usage_names import FOREIGN_NAMES, TOKEN_NAMES, find_name_fault


@pytest.mark.parametrize("name", [*TOKEN_NAMES, "images", "sandbox_minutes", "advisor_input_tokens", "tokenizations"])
def test_our_names_and_meters_of_their_own_are_taken(name):
    assert find_name_fault(name) == ""


@pytest.mark.parametrize(
    "name",
    [
        "prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "inputTokens", "outputTokens",
        "promptTokenCount", "candidatesTokenCount", "cache_read_input_tokens", "cache_creation_input_tokens", "tokens",
    ],
)  # fmt: skip
def test_what_providers_call_tokens_is_refused(name):
    assert "send the provider's own object as provider_usage" in find_name_fault(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("inptu_tokens", "input_tokens"),
        ("output_token", "output_tokens"),
        ("cached_read_tokens", "cache_read_tokens"),
        ("Input_tokens", "input_tokens"),
    ],
)
def test_a_typing_error_is_refused_with_the_name_that_was_meant(name, meant):
    assert find_name_fault(name) == f"is no usage name: did you mean {meant}?"


def test_no_foreign_name_is_one_of_ours_and_each_cure_is():
    assert not FOREIGN_NAMES.keys() & set(TOKEN_NAMES)
    assert set(FOREIGN_NAMES.values()) - {""} <= set(TOKEN_NAMES)
