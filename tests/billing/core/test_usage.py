import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core.usage import Usage, UsageInconsistent, split_usage


@pytest.mark.parametrize(
    ("wire", "usage"),
    [
        # The conversation of OpenTelemetry's own example: 120 in, of which 30 read from and 10 written to the cache.
        (
            {"input_tokens": 120, "cache_read_tokens": 30, "cache_write_tokens": 10, "output_tokens": 5},
            Usage(80, 30, 10, 0, 5, 0),
        ),
        ({"input_tokens": 100, "cache_write_1h_tokens": 100}, Usage(0, 0, 0, 100, 0, 0)),
        # Reasoning is a memo: it stays inside output.
        ({"output_tokens": 300, "reasoning_tokens": 120}, Usage(0, 0, 0, 0, 300, 120)),
        # 100 in, of which 40 audio, of which 30 cached; 50 cached in all, so 20 of text.
        (
            {"input_tokens": 100, "audio_input_tokens": 40, "cache_read_tokens": 50, "audio_cache_read_tokens": 30},
            Usage(40, 20, 0, 0, 0, 0, {"audio_cache_read_tokens": 30, "audio_input_tokens": 10}),
        ),
        (
            {"output_tokens": 100, "image_output_tokens": 60, "images": 1},
            Usage(0, 0, 0, 0, 40, 0, {"image_output_tokens": 60, "images": 1}),
        ),
        ({}, Usage()),
        ({"images": 0}, Usage()),
    ],
)
def test_buckets_are_disjoint(wire, usage):
    assert split_usage(wire) == usage


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (
            {"input_tokens": 100, "cache_read_tokens": 900},
            "cache_read_tokens 900 exceed input_tokens 100",
        ),
        (
            {"input_tokens": 10, "cache_read_tokens": 6, "cache_write_tokens": 5},
            "cache_read_tokens 6 + cache_write_tokens 5 exceed input_tokens 10",
        ),
        ({"output_tokens": 1, "reasoning_tokens": 2}, "reasoning_tokens 2 exceed output_tokens 1"),
        ({"input_tokens": 5, "audio_input_tokens": 6}, "audio_input_tokens 6 exceed input_tokens 5"),
        (
            {"input_tokens": 50, "cache_read_tokens": 5, "audio_input_tokens": 9, "audio_cache_read_tokens": 6},
            "audio_cache_read_tokens 6 exceed cache_read_tokens 5",
        ),
        (
            {"input_tokens": 50, "cache_read_tokens": 9, "audio_input_tokens": 5, "audio_cache_read_tokens": 6},
            "audio_cache_read_tokens 6 exceed audio_input_tokens 5",
        ),
        (
            {"output_tokens": 9, "image_output_tokens": 5, "reasoning_tokens": 5},
            "image_output_tokens 5 + reasoning_tokens 5 exceed output_tokens 9",
        ),
    ],
)
def test_a_part_larger_than_its_whole_is_refused_and_never_clamped(wire, message):
    with pytest.raises(UsageInconsistent) as refused:
        split_usage(wire)
    assert str(refused.value) == message


NAMES = [
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "reasoning_tokens", "audio_input_tokens", "image_input_tokens", "audio_cache_read_tokens",
    "audio_output_tokens", "images",
]  # fmt: skip


@given(wire=st.dictionaries(st.sampled_from(NAMES), st.integers(0, 1000)))
def test_no_token_is_lost_or_counted_twice(wire):
    try:
        usage = split_usage(wire)
    except UsageInconsistent:
        return
    other = {name: quantity for name, quantity in usage.other.items() if name.endswith("_tokens")}
    of_output = sum(quantity for name, quantity in other.items() if "output" in name)
    of_input = sum(other.values()) - of_output
    caches = usage.cache_read_tokens + usage.cache_write_tokens + usage.cache_write_1h_tokens
    assert usage.input_tokens + caches + of_input == wire.get("input_tokens", 0)
    assert usage.output_tokens + of_output == wire.get("output_tokens", 0)
    assert min(usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) >= 0
    assert usage.reasoning_tokens <= usage.output_tokens
