"""Spans as usage events: what `billing.core.spans` reads of them, judged by the rules of `POST /v1/events`."""

from datetime import datetime
from typing import Any

import msgspec

from billing.core.spans import OTHER, SentSpan, read_span
from billing.core.wire import WireEvent
from billing.core.wire_checks import ItemProblem, ItemRefused, check_fields
from billing.core.wire_events import make_event
from billing.spans import TakenSpan

NUL = b"\\u0000"  # as JSON writes it; a text may say the same with a backslash of its own, and is looked at as closely
_encode = msgspec.json.Encoder().encode


def take_span(span: SentSpan, *, now: datetime, may_backfill: bool) -> tuple[TakenSpan, str]:
    """A span as it is booked and kept, and the tenant that it names ('' for the key's own)."""
    reading = read_span(span)
    problems: tuple[ItemProblem, ...] = ()
    event = None
    if reading.problem:
        problems = (ItemProblem("usage", "usage_inconsistent", reading.problem),)
    elif reading.role != OTHER:
        try:
            event = make_event(_convert(reading.fields), now=now, may_backfill=may_backfill, time=reading.time)
        except ItemRefused as refused:
            problems = refused.problems
    return TakenSpan(span, reading, event, _describe(problems) if problems else ()), reading.tenant


def _convert(fields: dict[str, Any]) -> WireEvent:
    """Raises ItemRefused with all that is wrong. Attributes are any text: what the ledger cannot hold is refused."""
    try:
        wire = msgspec.convert(fields, WireEvent)
    except msgspec.ValidationError as error:
        unfit = ItemProblem("", "wrong_type", "the span's attributes make no event")
        raise ItemRefused(list(check_fields(fields)) or [unfit]) from error
    if NUL in _encode(fields) and (problems := list(check_fields(fields))):
        raise ItemRefused(problems)
    return wire


def _describe(problems: tuple[ItemProblem, ...]) -> tuple[dict[str, str], ...]:
    return tuple({"field": p.field, "code": p.code, "detail": p.detail} for p in problems)
