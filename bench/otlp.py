"""Calls of models a second over the traces' door, beside the same events over the JSON door in the same rounds.

A request holds 1,000 calls on either side. As spans, in protobuf, they come in traces of four calls below a root
(1,250 spans), as instrumented clients make them; and of four calls and a step of another kind below an agent that
repeats their tokens (1,500 spans). Entries are counted afterwards.
Alone: `python -m bench.otlp`.
"""

import http.client
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from bench.events import EventMaker
from bench.ingest import check_rows
from bench.setting import Setting, describe_database, describe_machine, make_result, post_batches, run_setting
from tests.installation import HOST

ROUNDS = 7
BATCHES = 16  # a round, of each door
BATCH_SIZE = 1_000
CALLS_PER_TRACE = 4
CONNECTIONS = 4


def run() -> list[dict[str, Any]]:
    """`traces ingest` and `traces ingest, agents`."""
    with run_setting() as setting:
        json_maker, span_maker = EventMaker(setting.models, seed=1), EventMaker(setting.models, seed=2)
        post_batches(setting, [json_maker.make_batch(BATCH_SIZE) for _ in range(4)], connections=CONNECTIONS)
        post_spans(setting, [make_spans(span_maker, agents=agents) for agents in (False, True) * 2])
        print("\n".join(describe_database(setting)), file=sys.stderr)
        return measure(setting, json_maker, span_maker)


def measure(
    setting: Setting, json_maker: EventMaker, span_maker: EventMaker, *, rounds: int = ROUNDS
) -> list[dict[str, Any]]:
    ours: dict[bool, list[float]] = {False: [], True: []}
    theirs = []
    sent = BATCHES * BATCH_SIZE
    for _ in range(rounds):
        bodies = [json_maker.make_batch(BATCH_SIZE) for _ in range(BATCHES)]
        start = time.perf_counter()
        accepted = post_batches(setting, bodies, connections=CONNECTIONS)
        theirs.append(accepted / (time.perf_counter() - start))
        for agents, rates in ours.items():
            bodies = [make_spans(span_maker, agents=agents) for _ in range(BATCHES)]
            before = setting.count_entries()
            start = time.perf_counter()
            post_spans(setting, bodies)
            rates.append(sent / (time.perf_counter() - start))
            check_rows(setting.count_entries() - before, acknowledged=sent, sent=sent)
    return [
        make_result("traces ingest", values=ours[False], unit="calls/s", yardsticks=theirs),
        make_result("traces ingest, agents", values=ours[True], unit="calls/s", yardsticks=theirs),
    ]


def post_spans(setting: Setting, bodies: Sequence[bytes]) -> None:
    """Send each body once, over persistent connections. Raises RuntimeError for any span that was refused."""
    waiting = iter(bodies)  # shared: next() of a list's iterator is one step
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda _: _post_while(setting, waiting), range(CONNECTIONS)))


def _post_while(setting: Setting, waiting: Iterator[bytes]) -> None:
    connection = http.client.HTTPConnection(HOST, setting.port)
    headers = {"Authorization": f"Bearer {setting.key}", "Content-Type": "application/x-protobuf"}
    for body in waiting:
        connection.request("POST", "/v1/traces", body, headers)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200 or said:  # an answer that has nothing to say is empty
            raise RuntimeError(f"answered {answer.status}: {said[:300]!r}")
    connection.close()


# --- spans ---


def make_spans(maker: EventMaker, *, agents: bool) -> bytes:
    """One export request of BATCH_SIZE calls."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(
        _write({"service.name": "gateway-eu-1", "deployment.environment.name": "production"})
    )
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "opentelemetry.instrumentation.openai_v2"
    for _ in range(BATCH_SIZE // CALLS_PER_TRACE):
        events = [json.loads(maker.make_event()) for _ in range(CALLS_PER_TRACE)]
        trace_id = bytes.fromhex(events[0]["trace_id"])
        root_id = maker.chance.randbytes(8)
        for event in events:
            _add_span(
                scope_spans, event, trace_id, root_id, span_id=maker.chance.randbytes(8),
                name=f"chat {event['model']}", attributes=_describe(event),
            )  # fmt: skip
        if not agents:
            root = {"http.request.method": "POST", "url.path": "/checkout"}
            _add_span(scope_spans, events[0], trace_id, b"", span_id=root_id, name="POST /checkout", attributes=root)
            continue
        step = {"http.request.method": "GET", "url.path": "/search"}
        _add_span(
            scope_spans, events[0], trace_id, root_id, span_id=maker.chance.randbytes(8), name="GET /search",
            attributes=step,
        )  # fmt: skip
        agent = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "helper",
            "gen_ai.request.model": events[0]["model"],
            "gen_ai.usage.input_tokens": sum(event["usage"]["input_tokens"] for event in events),
            "gen_ai.usage.output_tokens": sum(event["usage"]["output_tokens"] for event in events),
        }
        _add_span(scope_spans, events[0], trace_id, b"", span_id=root_id, name="invoke_agent helper", attributes=agent)
    return request.SerializeToString()


def _describe(event: dict[str, Any]) -> dict[str, Any]:
    usage = event["usage"]
    return {
        "gen_ai.operation.name": event["operation"],
        "gen_ai.provider.name": event["provider"],
        "gen_ai.request.model": event["model"],
        "gen_ai.response.model": event["model"],
        "gen_ai.response.id": event["response_id"],
        "gen_ai.response.finish_reasons": [event["finish_reason"]],
        "gen_ai.usage.input_tokens": usage["input_tokens"],
        "gen_ai.usage.cache_read.input_tokens": usage["cache_read_tokens"],
        "gen_ai.usage.output_tokens": usage["output_tokens"],
        "gen_ai.usage.reasoning.output_tokens": usage["reasoning_tokens"],
        "gen_ai.conversation.id": event["session_id"],
        "server.address": "gateway.example",
        "server.port": 443,
        "tokenledger.feature": event["feature"],
        "tokenledger.user": event["user"],
        "tokenledger.cost_center": event["cost_center"],
        "tokenledger.customer_tier": event["customer_tier"],
        "tokenledger.tag.plan": event["tags"]["plan"],
    }


def _add_span(
    scope_spans: Any,
    event: dict[str, Any],
    trace_id: bytes,
    parent_id: bytes,
    *,
    name: str,
    attributes: dict[str, Any],
    span_id: bytes,
) -> None:
    started_ns = int(datetime.fromisoformat(event["time"]).timestamp() * 1e6) * 1000
    scope_spans.spans.add(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=parent_id,
        name=name,
        kind=3,
        start_time_unix_nano=started_ns,
        end_time_unix_nano=started_ns + event["latency_ms"] * 1_000_000,
        attributes=_write(attributes),
    )


def _write(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_write_value(value)) for name, value in attributes.items()]


def _write_value(value: Any) -> AnyValue:
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_write_value(item) for item in value]))
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value)


if __name__ == "__main__":
    print("\n".join(describe_machine()))
    for result in run():
        print(
            f"{result['name']}: {result['value']} {result['unit']}, yardstick {result['yardstick']}: {result['ratio']}"
        )
        print(f"  runs {result['runs']}")
