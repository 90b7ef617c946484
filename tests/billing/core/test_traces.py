"""Each trace's reader: rows as the source writes them, events worked by hand."""

import csv
import gzip
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from billing.core.traces import TRACES
from billing.core.traces.mooncake import PrefixTree
from billing.core.traces.rows import SkippedRow, TracedCall, TraceOptions, UnreadableRow

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "data" / "traces"
START = datetime(2026, 1, 1, tzinfo=UTC)


def read(trace: str, *rows: dict[str, str], **options: object) -> list[TracedCall | SkippedRow | UnreadableRow]:
    options = {"stem": "made_2023", "feature": "chat"} | options
    return list(TRACES[trace].read(enumerate(rows, start=1), TraceOptions(**options)))


def azure(**fields: str) -> dict[str, str]:
    return {"TIMESTAMP": "2023-11-16 18:17:03.9799609", "ContextTokens": "4808", "GeneratedTokens": "10"} | fields


def span(**fields: str) -> dict[str, str]:
    return {
        "span_id": "aac422b0b74dbc4f",
        "span_type": "llm_call",
        "operation_name": "chat",
        "start_time_iso": "2026-04-20T11:44:54.855935+00:00",
        "duration_ms": "14716.823816299438",
        "request_model": "azure/DeepSeek-V3.2",
        "response_model": "azure/DeepSeek-V3.2",
        "response_id": "65ec2b35",
        "input_tokens": "18987",
        "output_tokens": "217",
        "is_error": "False",
        "finish_reasons": '["tool_calls"]',
        "session_id": "e3bf",
        "benchmark": "swebench",
        "harness": "claude_code",
    } | fields


def test_azures_time_is_utc_cut_to_the_microsecond_and_said_to_be_without_a_zone():
    [found] = read("azure", azure())
    assert found.event.time == datetime(2023, 11, 16, 18, 17, 3, 979960, tzinfo=UTC)
    assert found.marks == ("zone_less",)


def test_azures_rows_are_known_by_file_and_number_and_their_model_is_said_to_be_assumed():
    _, second = read("azure", azure(), azure(ContextTokens="1"))
    assert (second.event.event_id, second.event.source) == ("made_2023:2", "trace:azure")
    assert (second.event.provider, second.event.model) == ("azure", "gpt-35-turbo-16k")
    assert second.event.tags == {"trace": "azure", "model": "assumed"}
    assert (second.event.usage.input_tokens, second.event.usage.output_tokens) == (1, 10)


def test_a_model_of_ones_own_takes_the_place_of_the_traces():
    [found] = read("azure", azure(), provider="openai", model="gpt-4o", feature="search", environment="staging")
    assert (found.event.provider, found.event.model) == ("openai", "gpt-4o")
    assert (found.event.feature, found.event.environment) == ("search", "staging")


def test_a_start_moves_times_that_are_absolute():
    [found] = read("azure", azure(), shift=timedelta(days=1))
    assert found.event.time == datetime(2023, 11, 17, 18, 17, 3, 979960, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"ContextTokens": "-1"}, "ContextTokens is '-1': expected a number >= 0"),
        ({"ContextTokens": "many"}, "ContextTokens is 'many': expected a number"),
        ({"ContextTokens": "nan"}, "ContextTokens is 'nan': expected a number >= 0"),
        ({"ContextTokens": "1.5"}, "ContextTokens is '1.5': expected a whole number up to 1000000000000"),
        ({"ContextTokens": "9223372036854775808"}, "expected a whole number up to 1000000000000"),
        ({"ContextTokens": ""}, "ContextTokens is '': expected a number"),
        ({"TIMESTAMP": "yesterday"}, "TIMESTAMP is 'yesterday': expected an ISO 8601 time"),
        ({"note": "a\0b"}, "the row holds a NUL character"),
    ],
)
def test_a_row_that_cannot_be_read_names_its_column_and_leaves_its_neighbours(fields, detail):
    bad, good = read("azure", azure(**fields), azure())
    assert isinstance(bad, UnreadableRow)
    assert detail in bad.detail
    assert isinstance(good, TracedCall)


def test_burstgpts_seconds_count_from_the_start_and_no_tokens_are_a_failure():
    row = {"Timestamp": "45", "Model": "ChatGPT", "Request tokens": "1087", "Response tokens": "230"}
    called, failed = read(
        "burstgpt",
        row | {"Log Type": "Conversation log"},
        row | {"Model": "GPT-4", "Request tokens": "0", "Response tokens": "0"},
    )
    assert called.event.time == START + timedelta(seconds=45)
    assert (called.event.provider, called.event.model, called.event.status) == ("openai", "gpt-3.5-turbo", "ok")
    assert (failed.event.model, failed.event.status, failed.marks) == ("gpt-4", "error", ("failed",))


def test_a_prefix_tree_counts_leading_blocks_only():
    tree = PrefixTree()
    assert tree.add([1, 2, 3]) == 0
    assert tree.add([1, 2, 4]) == 2
    assert tree.add([2, 3]) == 0  # the same blocks elsewhere are another prefix
    assert tree.add([1, 2, 3, 5]) == 3
    assert tree.add([1, 2, 3]) == 3
    assert tree.add([]) == 0


def test_mooncakes_shared_whole_blocks_become_cache_reads():
    rows = [
        # 1,200 tokens: two whole blocks of 512 and a part
        {"timestamp": "0", "input_length": "1200", "output_length": "52", "hash_ids": "[0, 1, 2]"},
        {"timestamp": "3000", "input_length": "1100", "output_length": "1", "hash_ids": "[0, 1, 7]"},
        {"timestamp": "3001", "input_length": "1200", "output_length": "1", "hash_ids": "[0, 1, 2]"},
        {"timestamp": "3001", "input_length": "1024", "output_length": "1", "hash_ids": "[0, 1]"},
        {"timestamp": "3002", "input_length": "600", "output_length": "1", "hash_ids": "[8, 1]"},
    ]
    found = [call.event for call in read("mooncake", *rows)]
    # The part that follows two known blocks is computed again, even where it is known as a whole.
    assert [event.usage.cache_read_tokens for event in found] == [0, 1024, 1024, 1024, 0]
    assert [event.usage.input_tokens for event in found] == [1200, 76, 176, 0, 600]
    assert found[1].time == START + timedelta(seconds=3)
    assert found[0].tags == {"trace": "mooncake", "model": "assumed", "cache_reads": "derived"}


def test_mooncakes_blocks_must_be_a_list():
    bad = {"timestamp": "0", "input_length": "1", "output_length": "1", "hash_ids": "{}"}
    [found] = read("mooncake", bad)
    assert found.detail == "hash_ids: expected a list of whole numbers"


def test_exgentics_span_is_a_call_of_azures_model_known_by_its_response():
    [found] = read("exgentic", span())
    event = found.event
    assert (event.provider, event.model, event.requested_model) == ("azure", "DeepSeek-V3.2", "azure/DeepSeek-V3.2")
    assert (event.response_id, event.event_id, event.span_id) == ("65ec2b35", "aac422b0b74dbc4f", "aac422b0b74dbc4f")
    assert (event.finish_reason, event.latency_ms, event.session_id) == ("tool_calls", 14717, "e3bf")
    assert event.time == datetime(2026, 4, 20, 11, 44, 54, 855935, tzinfo=UTC)
    assert found.marks == ()


def test_exgentics_zone_less_time_and_failure_without_tokens_are_booked_and_said():
    failure = span(
        start_time_iso="2026-04-20T17:43:21.212927",
        duration_ms="0.0",
        response_id="",
        input_tokens="0",
        output_tokens="0",
        is_error="True",
        finish_reasons="[]",
    )
    [found] = read("exgentic", failure)
    assert found.marks == ("zone_less", "failed")
    assert (found.event.status, found.event.latency_ms, found.event.finish_reason) == ("error", None, "")
    assert found.event.time == datetime(2026, 4, 20, 17, 43, 21, 212927, tzinfo=UTC)


def test_a_response_id_that_comes_again_is_the_same_call_only_with_the_same_figures():
    first, same, other = read(
        "exgentic", span(), span(span_id="b" * 16, duration_ms="99"), span(span_id="c" * 16, output_tokens="218")
    )
    assert first.event.response_id == same.event.response_id == "65ec2b35"
    assert same.marks == ()
    assert (other.event.response_id, other.event.event_id) == ("", "c" * 16)
    assert other.event.tags["response_id"] == "65ec2b35"
    assert other.marks == ("shared_response_id",)


def test_spans_that_are_no_model_call_are_skipped_by_reason():
    rows = [
        span(span_type="agent"),
        span(operation_name="execute_tool"),
        span(request_model="", response_model="", input_tokens="0", output_tokens="0"),
    ]
    assert [found.reason for found in read("exgentic", *rows)] == [
        "not_a_model_call",
        "not_a_model_call",
        "no_model_no_tokens",
    ]


def test_a_span_with_tokens_and_no_model_is_kept_for_correction_unless_a_model_is_named():
    nameless = span(request_model="", response_model="")
    [refused] = read("exgentic", nameless)
    assert "tokens were used: name a model" in refused.detail
    [booked] = read("exgentic", nameless, provider="openai", model="gpt-4o")
    assert (booked.event.provider, booked.event.model) == ("openai", "gpt-4o")


def test_the_requested_model_stands_in_for_one_that_did_not_answer():
    [found] = read("exgentic", span(response_model=""))
    assert found.event.model == "DeepSeek-V3.2"


def test_claude_codes_turn_is_known_by_session_and_turn():
    row = {
        "session_id": "0003e152",
        "turn_index": "7",
        "request_arrival_delta_s": "47.193",
        "model_id": "claude-opus-4-7",
        "input_tokens": "35730",
        "output_tokens": "1111",
        "api_time_s": "54.3245",
    }
    [found] = read("claude-code", row)
    event = found.event
    assert (event.event_id, event.session_id) == ("0003e152:7", "0003e152")
    assert event.time == START + timedelta(seconds=47, microseconds=193_000)
    assert (event.provider, event.model, event.latency_ms) == ("anthropic", "claude-opus-4-7", 54325)
    assert (event.usage.input_tokens, event.usage.cache_read_tokens, event.usage.output_tokens) == (35730, 0, 1111)


REAL = [
    # trace, file, calls, marks, input tokens, of them read from a cache, output tokens: summed by awk over the files
    ("azure", "azure_conv_2023", 15_606, {"zone_less": 15_606}, 18_444_477, 0, 3_138_185),
    ("azure", "azure_code_2023", 7_717, {"zone_less": 7_717}, 15_710_990, 0, 213_958),
    ("burstgpt", "burstgpt_1_first400", 400, {"failed": 17}, 208_189, 0, 110_612),
    ("mooncake", "mooncake_conversation", 7_851, {}, 97_571_920 - 34_880_000, 34_880_000, 2_724_903),
    ("exgentic", "exgentic_agent_llm_spans", 1_478, {"zone_less": 560, "failed": 87}, 44_804_830, 0, 324_370),
    ("claude-code", "cc_traces_claude_code", 3_553, {}, 1_010_342_460, 0, 1_924_206),
]


@pytest.mark.parametrize(("trace", "name", "calls", "marks", "fresh", "cached", "output"), REAL)
def test_every_row_of_the_real_trace_is_a_call(trace, name, calls, marks, fresh, cached, output):
    found = [item for item in _read_real(trace, name) if isinstance(item, TracedCall)]
    assert len(found) == calls
    assert sum((Counter(call.marks) for call in found), Counter()) == marks
    usages = [call.event.usage for call in found]
    assert sum(usage.input_tokens for usage in usages) == fresh
    assert sum(usage.cache_read_tokens for usage in usages) == cached
    assert sum(usage.output_tokens for usage in usages) == output
    identities = {call.event.response_id or (call.event.source, call.event.event_id) for call in found}
    assert len(identities) == calls


def test_exgentics_zone_less_times_are_utc_by_the_epoch_seconds_beside_them():
    rows = _open_real("exgentic_agent_llm_spans")
    for call, row in zip(_read_real("exgentic", "exgentic_agent_llm_spans"), rows, strict=True):
        assert abs(call.event.time.timestamp() - float(row["start_time_s"])) < 0.001


def _open_real(name: str) -> list[dict[str, str]]:
    path = FOLDER / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"the real trace is absent: {path}")
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file))


def _read_real(trace: str, name: str) -> list[TracedCall | SkippedRow | UnreadableRow]:
    return read(trace, *_open_real(name), stem=name)
