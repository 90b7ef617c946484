"""Usage events as `POST /v1/events` takes them: cut out of a body, one verdict an item."""

from datetime import datetime
from decimal import Decimal

import msgspec

from api.parsing.bodies import CLOUDEVENT, CLOUDEVENTS, NDJSON, check_event_count, cut_body
from billing.core.wire import WireEvent
from billing.core.wire_events import ParsedItem, encode_wire, judge_event, parse_event


def _read_fraction(text: str) -> Decimal:
    """Exact, and written as it was read. Raises ValueError for one with an exponent, which would not be."""
    if "e" in text or "E" in text:
        raise ValueError(text)
    return Decimal(text)


_decode_one = msgspec.json.Decoder(WireEvent, float_hook=_read_fraction)
_decode_many = msgspec.json.Decoder(list[WireEvent], float_hook=_read_fraction)


def parse_events(body: bytes, *, content_type: str, now: datetime, may_backfill: bool) -> list[ParsedItem]:
    """Every event of a body, in order, each with its verdict. Raises Problem when nothing could be read.

    may_backfill: whether an event may be older than AGE_MAX.
    """
    if content_type not in (CLOUDEVENT, CLOUDEVENTS) and (wires := _decode_clean(body, content_type=content_type)):
        check_event_count(len(wires))
        return [judge_event(index, wire, b"", now, may_backfill) for index, wire in enumerate(wires)]
    items = cut_body(body, content_type=content_type)
    is_cloudevent = content_type in (CLOUDEVENT, CLOUDEVENTS)
    return [
        parse_event(raw, now=now, may_backfill=may_backfill, index=index, is_cloudevent=is_cloudevent)
        for index, raw in enumerate(items)
    ]


def _decode_clean(body: bytes, *, content_type: str) -> list[WireEvent] | None:
    """All events at once, if nothing about the body asks for a closer look; else None.

    The decoder keeps the last of two equal names without a word. A body of events encodes again to as many bytes
    as it had, white space aside, exactly when no name was lost: what may become longer on the way, escapes and
    exponents, gets the closer look as well.
    """
    if b"\\" in body:
        return None
    try:
        if content_type == NDJSON:
            wires = _decode_one.decode_lines(body)
        elif body[:1] == b"[":
            wires = _decode_many.decode(body)
        else:
            wires = [_decode_one.decode(body)]
        encoded = encode_wire(wires)
    except (msgspec.MsgspecError, ValueError, RecursionError, TypeError):
        return None
    brackets = 0 if body[:1] == b"[" else 2 + (len(wires) - 1)  # the list's own, and its commas
    if len(body) == len(encoded) - brackets:
        return wires
    blanks = body.count(b" ") + body.count(b"\n") + body.count(b"\r") + body.count(b"\t")
    return wires if len(body) - blanks == len(encoded) - encoded.count(b" ") - brackets else None
