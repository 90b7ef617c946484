"""One request's spans: decided on under their traces' locks, booked and kept in one transaction."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from django.db import InterfaceError, OperationalError, connection

from billing.core.spans import (
    BOOKED,
    CALL,
    INSIDE,
    OTHER,
    REFUSED,
    WAITING,
    SentSpan,
    SpanNode,
    SpanReading,
    decide_spans,
)
from billing.core.spans.leaves import DEPTH_MAX
from billing.core.spans.reading import NS_MAX
from billing.core.spans.reports import find_contradictions, merge_reports
from billing.core.usage import UsageEvent
from billing.ingestion import (
    PASSING_SQLSTATES,
    TRIES_MAX,
    WIRE_NAMES,
    ItemResult,
    Receipt,
    RejectedItem,
    ingest_events,
)
from billing.spans.kept import KeptSpan, keep_spans, load_nodes, note_waiting, settle_spans, touch_traces
from ledger.partitions import ensure_partition
from ledger.rejected import keep_rejected
from ledger.selectors import get_entries
from tenants.scope import tenant_scope

USAGE_MISSING = "usage_missing"
USAGE_MISSING_DETAIL = (
    "the call succeeded and its span counts no tokens; a streamed call reports them where the client asks for them "
    "(OpenAI: stream_options.include_usage)"
)
_encode = msgspec.json.Encoder(decimal_format="number").encode
encode_event = msgspec.json.Encoder().encode

Key = tuple[str, str]  # trace id, span id


class TakenSpan(msgspec.Struct, frozen=True, gc=False):
    """A span that was read; `event` where it is one that can be booked, else the `problems` that it has, if any."""

    span: SentSpan
    reading: SpanReading
    event: UsageEvent | None
    problems: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class RefusedSpan:
    """A span that should have been booked and was not, and why."""

    index: int
    span_id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class SpanReceipt:
    """What became of a request's spans. booked, duplicates: entries; waiting: summaries that are not decided yet."""

    booked: int = 0
    duplicates: int = 0
    waiting: int = 0
    refused: tuple[RefusedSpan, ...] = ()


def book_spans(
    *,
    tenant_id: int,
    api_key_id: str,
    spans: Sequence[TakenSpan],
    unreadable: Sequence[RejectedItem] = (),
    now: datetime,
) -> SpanReceipt:
    """Book the calls among `spans`, keep all of them, and keep what could not be read as rejected.

    Returns after the commit. A span that came before changes nothing. Raises Django's OperationalError when the
    database is away: the same call may be made again.
    """
    ensure_partition(now)  # has a transaction of its own, which the booking's may not hold
    for attempt in range(1, TRIES_MAX + 1):
        try:
            return _book_once(tenant_id, api_key_id, spans, unreadable, now)
        except (OperationalError, InterfaceError) as error:
            deadlocked = getattr(error.__cause__, "sqlstate", None) in PASSING_SQLSTATES
            if connection.in_atomic_block or attempt == TRIES_MAX or not deadlocked:
                raise
            time.sleep(0.02 * attempt * (1 + random.random()))
    raise AssertionError("the last attempt returns or raises")


@dataclass(slots=True)
class _Plan:
    """What is to be done with each span of a request, by its index."""

    states: dict[int, str] = field(default_factory=dict)  # of new spans
    settled: list[Key] = field(default_factory=list)  # waited before, and wait no longer
    waiting_traces: set[str] = field(default_factory=set)  # whose waiting begins or may end
    merged: dict[int, TakenSpan] = field(default_factory=dict)  # booked spans with what other spans know of their calls


def _book_once(
    tenant_id: int,
    api_key_id: str,
    spans: Sequence[TakenSpan],
    unreadable: Sequence[RejectedItem],
    now: datetime,
) -> SpanReceipt:
    sent: dict[str, dict[str, TakenSpan]] = {}
    for taken in spans:
        sent.setdefault(taken.span.trace_id, {}).setdefault(taken.span.span_id, taken)
    with tenant_scope(tenant_id):
        known = _load_known(tenant_id, sent, now)
        plan = _plan(sent, known)
        _merge_reports(sent, plan)
        new = [taken for of_trace in sent.values() for taken in of_trace.values() if taken.span.index in plan.states]
        again = [
            taken
            for trace_id, of_trace in sent.items()
            for span_id, taken in of_trace.items()
            if (node := known.get(trace_id, {}).get(span_id)) and node.state == BOOKED and taken.event
        ]
        refused = [_refuse(taken) for taken in new if plan.states[taken.span.index] == REFUSED]
        booked = [
            plan.merged.get(taken.span.index, taken) for taken in new if plan.states[taken.span.index] == BOOKED
        ] + again
        receipt = _ingest(tenant_id, api_key_id, booked, [*refused, *unreadable], now)
        contradictions = _find_contradictions(tenant_id, booked, receipt)
        keep_rejected(
            tenant_id=tenant_id,
            api_key_id=api_key_id,
            events=[(item.event_id, item.code, item.detail, item.body) for item in contradictions],
            now=now,
        )
        entry_ids = {item.index: item.entry_id for item in receipt.results} if receipt else {}
        keep_spans(
            tenant_id=tenant_id,
            api_key_id=api_key_id,
            spans=[_describe_kept(taken, plan.states[taken.span.index], entry_ids, now) for taken in new],
            now=now,
        )
        settle_spans(tenant_id=tenant_id, settled=[(*key, INSIDE, "") for key in plan.settled])
        note_waiting(tenant_id=tenant_id, trace_ids=sorted(plan.waiting_traces))
    return SpanReceipt(
        booked=receipt.accepted if receipt else 0,
        duplicates=receipt.duplicates + receipt.conflicts - len(contradictions) if receipt else 0,
        waiting=sum(state == WAITING for state in plan.states.values()),
        refused=tuple(
            RefusedSpan(item.index, item.event_id, item.code, item.detail)
            for item in sorted([*refused, *unreadable, *contradictions], key=lambda item: item.index)
        ),
    )


def _load_known(
    tenant_id: int, sent: Mapping[str, Mapping[str, TakenSpan]], now: datetime
) -> dict[str, dict[str, SpanNode]]:
    """The spans that came before, of the traces in this request; the traces are locked from here on."""
    if not sent:
        return {}
    has_call = {
        trace_id: any(taken.reading.role != OTHER for taken in of_trace.values()) for trace_id, of_trace in sent.items()
    }
    met = touch_traces(tenant_id=tenant_id, has_call=has_call, now=now)
    return load_nodes(tenant_id=tenant_id, trace_ids=met)


def _plan(sent: Mapping[str, Mapping[str, TakenSpan]], known: Mapping[str, Mapping[str, SpanNode]]) -> _Plan:
    plan = _Plan()
    for trace_id, of_trace in sent.items():
        nodes = dict(known.get(trace_id, {}))
        waited = [node.span_id for node in nodes.values() if node.state == WAITING]
        for span_id, taken in of_trace.items():
            if span_id not in nodes:
                node = nodes[span_id] = _make_node(taken)
                plan.states[taken.span.index] = node.state
        decided = decide_spans(nodes)
        for span_id, state in decided.items():
            if (taken := of_trace.get(span_id)) and taken.span.index in plan.states:
                plan.states[taken.span.index] = state
        plan.settled += [(trace_id, span_id) for span_id in waited if span_id in decided]
        if waited or WAITING in decided.values():
            plan.waiting_traces.add(trace_id)
    return plan


def _merge_reports(sent: Mapping[str, Mapping[str, TakenSpan]], plan: _Plan) -> None:
    """Of the spans of one request that report one call, book the nearest to the wire with what all of them know.

    They do when one is above the other with no other call below it, and when they name one response: then the shortest
    is the nearest, because the others waited for it.
    """
    by_response: dict[Key, list[TakenSpan]] = {}
    for of_trace in sent.values():
        booked = [taken for taken in of_trace.values() if taken.event and plan.states.get(taken.span.index) == BOOKED]
        for taken, others in _pair_with_calls_above(booked, of_trace, plan).values():
            plan.merged[taken.span.index] = _merge(taken, others)
        for taken in booked:
            event = plan.merged.get(taken.span.index, taken).event
            if event and event.response_id:
                by_response.setdefault((event.provider, event.response_id), []).append(taken)
    for reports in by_response.values():
        if len(reports) > 1:
            nearest, *others = sorted(reports, key=lambda taken: taken.span.duration_us)
            plan.merged[nearest.span.index] = _merge(plan.merged.get(nearest.span.index, nearest), others)
            plan.states.update((other.span.index, INSIDE) for other in others)


def _pair_with_calls_above(
    booked: Sequence[TakenSpan], of_trace: Mapping[str, TakenSpan], plan: _Plan
) -> dict[int, tuple[TakenSpan, list[TakenSpan]]]:
    """Each booked call with the calls above it that are inside it and it alone."""
    if INSIDE not in [plan.states.get(taken.span.index) for taken in of_trace.values()]:
        return {}
    below: dict[str, list[TakenSpan]] = {}
    for taken in booked:
        parent_id = taken.span.parent_span_id
        for _ in range(DEPTH_MAX):
            parent = of_trace.get(parent_id)
            if parent is None or parent is taken:
                break
            if parent.reading.role == CALL and parent.event and plan.states.get(parent.span.index) == INSIDE:
                below.setdefault(parent_id, []).append(taken)
            parent_id = parent.span.parent_span_id
    pairs: dict[int, tuple[TakenSpan, list[TakenSpan]]] = {}
    for span_id, calls in below.items():
        if len(calls) == 1:
            pairs.setdefault(calls[0].span.index, (calls[0], []))[1].append(of_trace[span_id])
    return pairs


def _merge(taken: TakenSpan, others: Sequence[TakenSpan]) -> TakenSpan:
    known = [(other.event, other.reading) for other in others if other.event]
    return (
        msgspec.structs.replace(taken, event=merge_reports(taken.event, taken.reading, known)) if taken.event else taken
    )


def _make_node(taken: TakenSpan) -> SpanNode:
    span, reading = taken.span, taken.reading
    return SpanNode(
        span.span_id,
        span.parent_span_id,
        REFUSED if taken.problems else reading.role,
        reading.has_usage,
        taken.event is not None and taken.event.status == "error",
        span.started_ns // 1000,
        span.started_ns // 1000 + span.duration_us,
    )


def _refuse(taken: TakenSpan) -> RejectedItem:
    """A refused span as a rejected event: the body is the event, which can be corrected and replayed."""
    problems = taken.problems or ({"field": "usage", "code": USAGE_MISSING, "detail": USAGE_MISSING_DETAIL},)
    detail = "; ".join(f"{problem['field']}: {problem['detail']}" for problem in problems)
    return _reject(taken, problems[0]["code"], f"span {taken.span.span_id}: {detail}", problems)


def _reject(taken: TakenSpan, code: str, detail: str, problems: tuple[dict[str, str], ...] = ()) -> RejectedItem:
    fields = {name: value for name, value in taken.reading.fields.items() if value != ""}
    return RejectedItem(
        index=taken.span.index,
        event_id=taken.span.span_id,
        code=code,
        detail=detail[:4000].replace("\x00", "\\u0000"),
        body=_encode(fields).decode("utf-8", "backslashreplace"),
        problems=problems,
    )


def _ingest(
    tenant_id: int,
    api_key_id: str,
    booked: Sequence[TakenSpan],
    rejected: Sequence[RejectedItem],
    now: datetime,
) -> Receipt | None:
    if not booked and not rejected:
        return None
    return ingest_events(
        tenant_id=tenant_id,
        api_key_id=api_key_id,
        events=[(taken.span.index, taken.event) for taken in booked if taken.event],
        rejected=rejected,
        now=now,
    )


def _find_contradictions(tenant_id: int, booked: Sequence[TakenSpan], receipt: Receipt | None) -> list[RejectedItem]:
    """Of the calls that were reported before with other facts, those that say otherwise, and do not only say less."""
    conflicts = {item.index: item for item in receipt.results if item.status == "conflict"} if receipt else {}
    if not conflicts:
        return []
    entries = get_entries(tenant_id=tenant_id, entry_ids=[item.entry_id for item in conflicts.values()])
    found = []
    for taken in booked:
        item = conflicts.get(taken.span.index)
        if item is None or taken.event is None:
            continue
        stored = entries.get(item.entry_id)
        columns = find_contradictions(item.fields, event=taken.event, reading=taken.reading, stored=stored or {})
        if columns:
            found.append(_reject(taken, "event_conflict", _describe_contradiction(taken, item, columns)))
    return found


def _describe_contradiction(taken: TakenSpan, item: ItemResult, columns: Sequence[str]) -> str:
    return (
        f"span {taken.span.span_id}: this call was booked before as entry {item.entry_id} with another "
        f"{', '.join(WIRE_NAMES.get(column, column) for column in columns)}; the first report stands"
    )


def _describe_kept(taken: TakenSpan, state: str, entry_ids: Mapping[int, str], now: datetime) -> KeptSpan:
    span = taken.span
    service = span.attributes.get("service.name")
    return KeptSpan(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        started_us=span.started_ns // 1000 if 0 < span.started_ns <= NS_MAX else int(now.timestamp()) * 1_000_000,
        duration_us=span.duration_us,
        name=span.name,
        operation=taken.reading.operation[:64].replace("\x00", ""),
        service=service[:256].replace("\x00", "") if isinstance(service, str) else "",
        is_failed=span.is_failed,
        has_usage=taken.reading.has_usage,
        state=OTHER if state == CALL else state,
        entry_id=entry_ids.get(span.index, "") if state == BOOKED else "",
        event=encode_event(taken.event).decode() if state == WAITING and taken.event else "",
    )
