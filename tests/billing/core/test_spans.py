"""Spans of every dialect as events: names, roles, tokens; each figure as the instrumentation's own code counts it."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.core.spans import CALL, OTHER, SUMMARY, is_wanted, read_span
from billing.core.spans.names import ATTRIBUTION, SLOT_BY_NAME, SLOTS
from billing.core.spans.reading import find_provider, find_role, read_time, write_time
from billing.core.spans.reports import find_contradictions, merge_reports
from billing.core.spans.saying import _recall_arrangement, gather
from billing.core.spans.usage import read_usage
from billing.core.usage import UsageInconsistent, split_usage
from tests.factories import make_event
from tests.spans import CALL as CALL_ATTRIBUTES
from tests.spans import CLIENT, INTERNAL, as_sent, make_span

G, L, O, A = "gen_ai.usage", "llm.token_count", "llm.usage", "ai.usage"  # noqa: E741

# Attributes, provider, and the inclusive quantities that they mean.
USAGES = [
    pytest.param(
        {f"{G}.input_tokens": 1200, f"{G}.output_tokens": 300, f"{G}.cache_read.input_tokens": 1000,
         f"{G}.reasoning.output_tokens": 120},
        "openai",
        {"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300, "reasoning_tokens": 120},
        (),
        id="OpenTelemetry 1.41: parts are inside",
    ),
    pytest.param(
        {f"{G}.prompt_tokens": 120, f"{G}.completion_tokens": 30, f"{O}.total_tokens": 150},
        "openai",
        {"input_tokens": 120, "output_tokens": 30},
        (),
        id="OpenTelemetry 1.27 and OpenLLMetry before 0.50",
    ),
    pytest.param(
        {f"{G}.input_tokens": 5721, f"{G}.output_tokens": 91, f"{G}.total_tokens": 5812,
         f"{G}.cache_read.input_tokens": 5000, f"{G}.cache_creation.input_tokens": 700},
        "anthropic",
        {"input_tokens": 5721, "cache_read_tokens": 5000, "cache_write_tokens": 700, "output_tokens": 91},
        (),
        id="OpenLLMetry 0.62, Anthropic: caches summed into the input",
    ),
    pytest.param(
        {f"{G}.input_tokens": 5721, f"{G}.output_tokens": 91, f"{G}.cache_read.input_tokens": 5000,
         f"{G}.cache_write.input_tokens": 700, "anthropic.usage.cache_creation.ephemeral_5m_input_tokens": 500,
         "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 200},
        "anthropic",
        {"input_tokens": 5721, "cache_read_tokens": 5000, "cache_write_tokens": 500, "cache_write_1h_tokens": 200,
         "output_tokens": 91},
        (),
        id="Anthropic's SDK 2.12: how long each write is kept",
    ),
    pytest.param(
        {f"{G}.input_tokens": 21, f"{G}.output_tokens": 91, f"{G}.cache_read_input_tokens": 5000,
         f"{G}.cache_creation_input_tokens": 700},
        "anthropic",
        {"input_tokens": 5721, "cache_read_tokens": 5000, "cache_write_tokens": 700, "output_tokens": 91},
        ("caches",),
        id="raw Anthropic: caches exceed the input, so they are beside it",
    ),
    pytest.param(
        {f"{G}.input_tokens": 4000, f"{G}.output_tokens": 50, f"{G}.total_tokens": 5050,
         f"{G}.cache_read_input_tokens": 1000, f"{G}.cache_write_input_tokens": 0},
        "aws",
        {"input_tokens": 5000, "cache_read_tokens": 1000, "output_tokens": 50},
        ("caches",),
        id="Strands on Bedrock: the total says that caches are beside, though they would fit inside",
    ),
    pytest.param(
        {f"{L}.prompt": 1001, f"{L}.completion": 51, f"{L}.total": 1052, f"{L}.prompt_details.cache_read": 301,
         f"{L}.prompt_details.audio": 0, f"{L}.completion_details.reasoning": 7, f"{L}.completion_details.audio": 0},
        "openai",
        {"input_tokens": 1001, "cache_read_tokens": 301, "output_tokens": 51, "reasoning_tokens": 7},
        (),
        id="OpenInference",
    ),
    pytest.param(
        {f"{L}.total": 46, f"{L}.prompt": 46}, "openai", {"input_tokens": 46}, (), id="OpenInference, an embedding"
    ),
    pytest.param(
        {f"{G}.input_tokens": 100, f"{G}.output_tokens": 20, f"{O}.total_tokens": 620},
        "google",
        {"input_tokens": 100, "output_tokens": 520, "reasoning_tokens": 500},
        ("reasoning",),
        id="Gemini: thoughts show in the total alone",
    ),
    pytest.param(
        {f"{G}.input_tokens": 100, f"{G}.output_tokens": 20, f"{G}.reasoning_tokens": 500},
        "google",
        {"input_tokens": 100, "output_tokens": 520, "reasoning_tokens": 500},
        ("reasoning",),
        id="Gemini: thoughts exceed the answer, so they are beside it",
    ),
    pytest.param(
        {f"{G}.input_tokens": 100, f"{G}.output_tokens": 520, f"{G}.reasoning_tokens": 500, f"{G}.total_tokens": 620},
        "google",
        {"input_tokens": 100, "output_tokens": 520, "reasoning_tokens": 500},
        (),
        id="Gemini by the conventions: output holds the thoughts",
    ),
    pytest.param(
        {f"{G}.input_tokens": 100, f"{G}.output_tokens": 20, f"{O}.total_tokens": 620},
        "openai",
        {"input_tokens": 100, "output_tokens": 20},
        (),
        id="a total of anybody else's that nobody can explain bills nothing",
    ),
    pytest.param(
        {f"{A}.promptTokens": 10, f"{A}.completionTokens": 5}, "openai", {"input_tokens": 10, "output_tokens": 5}, (),
        id="Vercel AI SDK 4",
    ),
    pytest.param(
        {f"{A}.inputTokens": 10, f"{A}.outputTokens": 5, f"{A}.totalTokens": 15, f"{A}.cachedInputTokens": 4,
         f"{A}.reasoningTokens": 2},
        "openai",
        {"input_tokens": 10, "cache_read_tokens": 4, "output_tokens": 5, "reasoning_tokens": 2},
        (),
        id="Vercel AI SDK 5",
    ),
    pytest.param(
        {f"{G}.input_tokens": 10, f"{G}.output_tokens": 5, f"{G}.details.cache_read_tokens": 4,
         f"{G}.details.reasoning_tokens": 2},
        "openai",
        {"input_tokens": 10, "cache_read_tokens": 4, "output_tokens": 5, "reasoning_tokens": 2},
        (),
        id="Pydantic AI",
    ),
    pytest.param(
        {f"{G}.input_tokens": 100, f"{G}.output_tokens": 50, f"{G}.audio.input_tokens": 30,
         f"{G}.cache_read.input_tokens": 20, f"{G}.audio.cache_read.input_tokens": 10, f"{G}.audio.output_tokens": 40},
        "openai",
        {"input_tokens": 100, "cache_read_tokens": 20, "output_tokens": 50, "audio_input_tokens": 30,
         "audio_cache_read_tokens": 10, "audio_output_tokens": 40},
        (),
        id="OpenTelemetry's modalities",
    ),
    pytest.param(
        {"tokenledger.usage.images": 2, "tokenledger.usage.audio_seconds": 1.5},
        "openai",
        {"images": 2, "audio_seconds": Decimal("1.5")},
        (),
        id="our own meters",
    ),
    pytest.param({f"{G}.input_tokens": 12.0}, "openai", {"input_tokens": 12}, (), id="a whole number sent as a double"),
    pytest.param({f"{G}.input_tokens": 0, f"{G}.output_tokens": 0}, "openai", {}, (), id="nothing was used"),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "provider", "wire", "beside"), USAGES)
def test_tokens_are_read_as_the_dialect_counts_them(attributes, provider, wire, beside):
    usage = read_usage(gather(attributes), provider=provider)
    assert usage.wire == wire
    assert usage.beside == beside
    split_usage(usage.wire)  # consistent


def test_figures_that_a_total_proves_wrong_are_refused_and_never_clamped():
    said = {f"{G}.input_tokens": 100, f"{G}.output_tokens": 5, f"{G}.total_tokens": 105}
    usage = read_usage(gather(said | {f"{G}.cache_read.input_tokens": 900}), provider="openai")
    with pytest.raises(UsageInconsistent, match="cache_read_tokens 900 exceed input_tokens 100"):
        split_usage(usage.wire)


ROLES = [
    ({"gen_ai.operation.name": "chat"}, CLIENT, CALL, "chat"),
    ({"gen_ai.operation.name": "text_completion"}, CLIENT, CALL, "text_completion"),
    ({"gen_ai.operation.name": "generate_content"}, INTERNAL, CALL, "generate_content"),
    ({"gen_ai.operation.name": "embeddings"}, CLIENT, CALL, "embeddings"),
    ({"gen_ai.operation.name": "invoke_agent"}, CLIENT, SUMMARY, "invoke_agent"),
    ({"gen_ai.operation.name": "invoke_workflow"}, INTERNAL, SUMMARY, "invoke_workflow"),
    ({"gen_ai.operation.name": "execute_tool"}, INTERNAL, SUMMARY, "execute_tool"),
    ({"gen_ai.operation.name": "something_new"}, CLIENT, SUMMARY, "something_new"),
    ({"openinference.span.kind": "LLM"}, INTERNAL, CALL, "chat"),
    ({"openinference.span.kind": "EMBEDDING"}, INTERNAL, CALL, "embeddings"),
    ({"openinference.span.kind": "RERANKER"}, INTERNAL, CALL, "rerank"),
    ({"openinference.span.kind": "AGENT"}, INTERNAL, SUMMARY, "agent"),
    ({"openinference.span.kind": "CHAIN"}, INTERNAL, SUMMARY, "chain"),
    ({"traceloop.span.kind": "workflow"}, INTERNAL, SUMMARY, "workflow"),
    ({"traceloop.span.kind": "task", "gen_ai.operation.name": "chat"}, INTERNAL, SUMMARY, "chat"),
    ({"llm.request.type": "chat"}, CLIENT, CALL, "chat"),
    ({"llm.request.type": "completion"}, CLIENT, CALL, "text_completion"),
    ({"llm.request.type": "rerank"}, CLIENT, CALL, "rerank"),
    ({"ai.operationId": "ai.generateText"}, INTERNAL, SUMMARY, "ai.generateText"),
    ({"ai.operationId": "ai.generateText.doGenerate"}, INTERNAL, CALL, "chat"),
    ({"ai.operationId": "ai.embed.doEmbed"}, INTERNAL, CALL, "embeddings"),
    ({"gen_ai.usage.input_tokens": 1}, CLIENT, CALL, "chat"),
    ({"gen_ai.usage.input_tokens": 1}, INTERNAL, SUMMARY, ""),
    ({"service.name": "shop"}, CLIENT, OTHER, ""),
    ({}, CLIENT, OTHER, ""),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "kind", "role", "operation"), ROLES, ids=[str(row[0]) for row in ROLES])
def test_who_says_to_be_a_call_is_one_and_who_says_to_be_more_is_a_summary(attributes, kind, role, operation):
    assert find_role(gather(attributes), kind=kind) == (role, operation)


PROVIDERS = [
    ({"gen_ai.provider.name": "openai"}, "", "openai"),
    ({"gen_ai.provider.name": "azure.ai.openai"}, "", "azure"),
    ({"gen_ai.provider.name": "aws.bedrock"}, "", "aws"),
    ({"gen_ai.provider.name": "gcp.gemini"}, "", "google"),
    ({"gen_ai.provider.name": "x_ai"}, "", "x-ai"),
    ({"gen_ai.system": "az.ai.openai"}, "", "azure"),
    ({"gen_ai.system": "vertex_ai"}, "", "google"),
    ({"gen_ai.system": "openai", "server.address": "api.deepseek.com"}, "", "deepseek"),
    ({"gen_ai.system": "openai", "server.address": "acme.openai.azure.com"}, "", "azure"),
    ({"gen_ai.system": "openai", "gen_ai.openai.api_base": "https://openrouter.ai/api/v1"}, "", "openrouter"),
    ({"gen_ai.system": "openai", "server.address": "llm.acme.example"}, "", "openai"),
    ({"gen_ai.system": "openai", "server.address": "notopenai.azure.com"}, "", "openai"),
    ({"gen_ai.system": "Langchain"}, "openinference.instrumentation.langchain", "unknown"),
    ({"llm.system": "anthropic", "llm.provider": "aws"}, "", "aws"),
    ({"ai.model.provider": "openai.responses"}, "ai", "openai"),
    ({}, "openinference.instrumentation.anthropic", "anthropic"),
    ({}, "opentelemetry.instrumentation.openai_v2", "openai"),
    ({}, "our own", "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("attributes", "scope", "provider"), PROVIDERS, ids=[str(row[:2]) for row in PROVIDERS])
def test_the_provider_is_who_answers_at_the_address_else_who_is_named(attributes, scope, provider):
    assert find_provider(gather(attributes), scope=scope) == provider


def test_an_empty_text_says_nothing_and_is_no_quantity():
    said = gather(
        {"gen_ai.provider.name": "", "gen_ai.system": "openai", "gen_ai.request.model": "", "llm.provider": None}
    )
    assert (said.values, find_provider(said, scope="")) == ({}, "openai")
    with pytest.raises(UsageInconsistent, match="tokenledger.usage.images is text"):
        read_usage(gather(CALL_ATTRIBUTES | {"tokenledger.usage.images": ""}), provider="openai")


def test_names_beyond_the_usual_are_read_and_not_remembered():
    before = _recall_arrangement.cache_info().currsize
    many = {f"tokenledger.tag.t{number}": "x" for number in range(65)}
    assert gather(CALL_ATTRIBUTES | many).tags == {f"t{number}": "x" for number in range(65)}
    assert gather(CALL_ATTRIBUTES | {f"tokenledger.tag.{'n' * 200}": "x"}).tags == {"n" * 200: "x"}
    assert _recall_arrangement.cache_info().currsize == before


def test_attribution_comes_from_the_span_or_its_resource_and_our_own_names_win():
    span = make_span(
        attributes=CALL_ATTRIBUTES
        | {"session.id": "theirs", "tokenledger.session": "ours", "user.id": "u-1", "tokenledger.tag.plan": "gold"}
    )
    resource = {"service.name": "shop", "deployment.environment": "old", "tokenledger.feature": "search"}
    fields = read_span(as_sent(span, **resource)).fields
    told = {name: fields.get(name) for name in ("source", "environment", "feature", "session_id", "user", "tags")}
    assert told == {
        "source": "shop", "environment": "old", "feature": "search", "session_id": "ours", "user": "u-1",
        "tags": {"plan": "gold"},
    }  # fmt: skip


def test_errors_streams_reasons_and_reported_costs_are_read():
    span = make_span(
        attributes=CALL_ATTRIBUTES
        | {
            "error.type": "timeout", "gen_ai.request.stream": True, "gen_ai.response.finish_reasons": '["length"]',
            "gen_ai.usage.cost.amount": 0.0000012, "gen_ai.usage.cost.currency": "usd",
            "gen_ai.usage.cost.source": "provider", "openai.response.service_tier": "flex",
        }
    )  # fmt: skip
    fields = read_span(as_sent(span)).fields
    assert (fields["status"], fields["finish_reason"], fields["service_tier"]) == ("error", "length", "flex")
    assert fields["tags"] == {"error_type": "timeout", "streaming": "true"}
    assert fields["reported_cost"] == {"amount": "0.000001200000", "currency": "USD"}
    estimated = as_sent(make_span(attributes=span.attributes | {"gen_ai.usage.cost.source": "local"}))
    assert "reported_cost" not in read_span(estimated).fields


def test_a_failed_call_of_openinference_has_its_model_from_the_parameters():
    attributes = {"openinference.span.kind": "LLM", "llm.invocation_parameters": '{"model": "gpt-x", "top_p": 1}'}
    fields = read_span(as_sent(make_span(attributes=attributes, is_failed=True))).fields
    assert (fields["model"], fields["status"]) == ("gpt-x", "error")


def test_an_event_is_known_by_its_response_or_by_its_span():
    span = make_span()
    assert read_span(as_sent(span)).fields["id"] == f"{span.trace_id}-{span.span_id}"
    named = make_span(attributes=CALL_ATTRIBUTES | {"gen_ai.response.id": "chatcmpl-1"})
    assert read_span(as_sent(named)).fields["id"] == "chatcmpl-1"


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (1_763_787_600_123_456_789, "2025-11-22T05:00:00.123456Z"),
        (0, ""),
        (2**64 - 1, "2554-07-21T23:34:33.709551Z"),
        (2**70, ""),
        (253_402_300_799 * 10**9, "9999-12-31T23:59:59.000000Z"),
    ],
)
def test_nanoseconds_are_a_time_to_the_microsecond(ns, text):
    assert write_time(read_time(ns)) == text


def test_no_attribute_that_holds_a_text_of_somebodys_is_ever_read():
    for name in (
        "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
        "gen_ai.prompt.0.content", "gen_ai.completion.0.content", "llm.input_messages.0.message.content",
        "llm.output_messages.0.message.content", "input.value", "output.value", "traceloop.entity.input",
        "traceloop.entity.output", "ai.prompt", "ai.response.text", "gen_ai.tool.call.arguments", "db.statement",
    ):  # fmt: skip
        assert not is_wanted(name), name
    assert all(is_wanted(name) for names in ATTRIBUTION.values() for name in names)


def test_each_name_is_one_thing():
    assert sum(len(spellings) for spellings in SLOTS.values()) == len(SLOT_BY_NAME)


# --- several reports of one call ---


def test_a_second_report_contradicts_only_in_what_it_says():
    stored = {
        "input_tokens": 200, "cache_read_tokens": 1000, "cache_write_tokens": 0, "cache_write_1h_tokens": 0,
        "output_tokens": 300, "reasoning_tokens": 120,
    }  # fmt: skip
    differing = ("input_tokens", "cache_read_tokens", "reasoning_tokens", "service_tier", "feature", "operation")

    def contradict(columns, attributes):
        reading = read_span(as_sent(make_span(attributes=CALL_ATTRIBUTES | attributes)))
        event = make_event(usage=reading.fields["usage"])
        return find_contradictions(columns, event=event, reading=reading, stored=stored)

    assert contradict(differing, {}) == ()
    assert contradict(("output_tokens", *differing), {f"{G}.output_tokens": 301}) == ("output_tokens",)
    assert contradict(differing, {f"{G}.input_tokens": 1199}) == ("input_tokens", "cache_read_tokens")
    assert contradict(("cache_read_tokens",), {f"{G}.cache_read.input_tokens": 900}) == ("cache_read_tokens",)
    assert contradict(("service_tier",), {"openai.response.service_tier": "flex"}) == ("service_tier",)


def test_reports_of_one_call_complete_each_other_where_their_sums_agree():
    plain = read_span(as_sent(make_span()))
    rich = read_span(as_sent(make_span(attributes=CALL_ATTRIBUTES | {f"{G}.cache_read.input_tokens": 1000})))
    event = make_event(usage={"input_tokens": 1200, "output_tokens": 300})
    knowing = make_event(
        usage={"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300}, response_id="chatcmpl-1"
    )
    merged = merge_reports(event, plain, [(knowing, rich)])
    assert (merged.usage, merged.response_id, merged.event_id) == (knowing.usage, "chatcmpl-1", "chatcmpl-1")
    other = make_event(usage={"input_tokens": 1300, "cache_read_tokens": 1000, "output_tokens": 300})
    assert merge_reports(event, plain, [(other, rich)]).usage == event.usage


# --- anything at all ---

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=20) | st.binary(),
    lambda values: st.lists(values, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(
    [
        *(name for row in ROLES for name in row[0]), *(name for row in PROVIDERS for name in row[0]),
        *(name for row in USAGES for name in row.values[0]), "gen_ai.response.id", "gen_ai.response.model",
        "gen_ai.response.finish_reasons", "tokenledger.tag.a", "tokenledger.usage.b", "tokenledger.tenant",
        "gen_ai.usage.cost.amount", "gen_ai.usage.cost.source", "llm.invocation_parameters", "error.type",
    ]
)  # fmt: skip


@given(st.dictionaries(NAMES, VALUES, max_size=12), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
@settings(max_examples=300, deadline=None)
def test_no_span_breaks_the_reading(attributes, started_ns, ended_ns):
    span = make_span(attributes=attributes, started_ns=started_ns, ended_ns=ended_ns)
    reading = read_span(as_sent(span))
    assert reading.role in (CALL, SUMMARY, OTHER)
    assert isinstance(reading.tenant, str)
    if reading.fields and not reading.problem:
        msgspec.json.encode({name: value for name, value in reading.fields.items() if name != "tags"})
        assert all(isinstance(quantity, int | Decimal) for quantity in reading.fields["usage"].values())


COUNTS = st.integers(0, 10**6)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_the_conventions_and_the_raw_figures_of_anthropic_mean_the_same(fresh, read, written, output, extra):
    raw = {
        f"{G}.input_tokens": fresh, f"{G}.cache_read_input_tokens": read, f"{G}.cache_creation_input_tokens": written,
        f"{G}.output_tokens": output, f"{G}.total_tokens": fresh + read + written + output,
    }  # fmt: skip
    summed = raw | {f"{G}.input_tokens": fresh + read + written}
    assert read_usage(gather(raw), provider="anthropic").wire == read_usage(gather(summed), provider="anthropic").wire
