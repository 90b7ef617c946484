"""Entries as PostgreSQL's binary COPY reads them (PostgreSQL documentation, COPY, "Binary Format").

Written out by hand: psycopg's own row writer took three times as long for the same bytes.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from struct import Struct
from typing import NamedTuple
from uuid import UUID

import msgspec

from ledger.core.entries import NewEntry

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"

COLUMNS = (
    "tenant_id", "batch_id", "line", "recorded_at", "charge_period_start", "billing_period",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens", "calls", "context_tier", "cache_hit", "latency_ms", "rate_version_id", "leaf",
    "kind", "corrects", "event_source", "event_id", "response_id", "api_key_id", "environment", "feature",
    "user_ref", "cost_center", "customer_tier", "session_id", "trace_id", "span_id", "parent_span_id", "tags",
    "operation", "provider", "model", "requested_model", "service_tier", "region", "status", "finish_reason",
    "prompt_hash", "content_digest", "other_usage", "currency", "pricing_status", "pricing_reason",
    "input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost",
    "saved_cost", "reported_cost",
)  # fmt: skip

_FIXED = Struct(">h iq i16s ii iq iq ii iq iq iq iq iq iq ih ih i?".replace(" ", ""))
_INT8 = Struct(">iq")
_LENGTH = Struct(">i")
_NUMERIC_FRACTION = Struct(">ihhHhhhh")
_NUMERIC_SMALL = Struct(">ihhHhhhhh")
_NULL = b"\xff\xff\xff\xff"
_POSTGRESQL_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_POSTGRESQL_DATE_EPOCH = date(2000, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_EMPTY_OBJECT = _LENGTH.pack(3) + b"\x01{}"
CACHED_TEXTS_MAX = 20_000


class _TextCache(dict[str, bytes]):
    """Length-prefixed UTF-8 of texts that come again and again; emptied when full, so memory stays bounded."""

    def __missing__(self, text: str) -> bytes:
        if len(self) >= CACHED_TEXTS_MAX:
            self.clear()
        data = self[text] = _encode_text(text)
        return data


def _encode_text(text: str) -> bytes:
    data = text.encode()
    return _LENGTH.pack(len(data)) + data


_cached = _TextCache()


class CopyPlace(NamedTuple):
    """Where entries stand, encoded: the same bytes for a whole batch."""

    tenant_id: int
    batch_id: bytes
    recorded_at: int  # microseconds since 2000
    api_key_id: bytes


def encode_place(*, tenant_id: int, batch_id: UUID, recorded_at: datetime, api_key_id: str) -> CopyPlace:
    return CopyPlace(tenant_id, batch_id.bytes, _microseconds(recorded_at), _encode_text(api_key_id))


def encode_copy_row(entry: NewEntry, *, place: CopyPlace, leaf: bytes) -> bytes:
    """One row of COLUMNS, ready to be sent."""
    e = entry
    text = _cached
    tenant_id, batch_id, recorded_at, api_key_id = place
    billed_cost = _encode_numeric(e.billed_cost)
    return b"".join((
        _FIXED.pack(
            57, 8, tenant_id, 16, batch_id, 4, e.line, 8, recorded_at,
            8, _microseconds(e.charge_period_start), 4, (e.billing_period - _POSTGRESQL_DATE_EPOCH).days,
            8, e.input_tokens, 8, e.cache_read_tokens, 8, e.cache_write_tokens, 8, e.cache_write_1h_tokens,
            8, e.output_tokens, 8, e.reasoning_tokens, 2, e.calls, 2, e.context_tier, 1, e.cache_hit,
        ),
        _NULL if e.latency_ms is None else _INT8.pack(8, e.latency_ms),
        _NULL if e.rate_version_id is None else _INT8.pack(8, e.rate_version_id),
        b"\x00\x00\x00\x20", leaf,
        text[e.kind],
        _NULL if e.corrects is None else _encode_text(e.corrects),
        text[e.event_source], _encode_text(e.event_id), _encode_text(e.response_id), api_key_id,
        text[e.environment], text[e.feature], text[e.user_ref], text[e.cost_center], text[e.customer_tier],
        _encode_text(e.session_id), _encode_text(e.trace_id), _encode_text(e.span_id),
        _encode_text(e.parent_span_id),
        _encode_object(e.tags) if e.tags else _EMPTY_OBJECT,
        text[e.operation], text[e.provider], text[e.model], text[e.requested_model], text[e.service_tier],
        text[e.region], text[e.status], text[e.finish_reason], _encode_text(e.prompt_hash),
        _encode_text(e.content_digest),
        _encode_object(e.other_usage) if e.other_usage else _EMPTY_OBJECT,
        text[e.currency], text[e.pricing_status], text[e.pricing_reason],
        _encode_numeric(e.input_cost), _encode_numeric(e.cache_read_cost), _encode_numeric(e.cache_write_cost),
        _encode_numeric(e.output_cost), _encode_numeric(e.other_cost), billed_cost,
        billed_cost if e.list_cost == e.billed_cost else _encode_numeric(e.list_cost),
        _encode_numeric(e.saved_cost), _encode_numeric(e.reported_cost),
    ))  # fmt: skip


def _microseconds(moment: datetime) -> int:
    return (moment - _POSTGRESQL_EPOCH) // _MICROSECOND


def _encode_object(members: Mapping[str, object]) -> bytes:
    """A jsonb value: version byte 1, then the text. Quantities stay numbers, exactly as written."""
    data = b"\x01" + _json.encode(members)
    return _LENGTH.pack(len(data)) + data


_json = msgspec.json.Encoder(decimal_format="number")


def _encode_numeric(picos: int | None) -> bytes:
    """NUMERIC(24,12) of a whole number of 10^-12 units: base-10,000 digits, scale 12."""
    if picos is None:
        return _NULL
    if picos == 0:
        return _ZERO
    sign = 0
    if picos < 0:
        sign, picos = 0x4000, -picos
    high = picos // 10**8
    rest = picos - high * 10**8
    middle = rest // 10**4
    low = rest - middle * 10**4
    if high < 10_000:
        return _NUMERIC_FRACTION.pack(14, 3, -1, sign, 12, high, middle, low)
    whole = high // 10_000
    high -= whole * 10_000
    if whole < 10_000:
        return _NUMERIC_SMALL.pack(16, 4, 0, sign, 12, whole, high, middle, low)
    digits = []
    while whole:
        whole, digit = divmod(whole, 10_000)
        digits.append(digit)
    digits.reverse()
    layout = Struct(f">ihhHh{len(digits) + 3}h")
    return layout.pack(
        8 + 2 * (len(digits) + 3), len(digits) + 3, len(digits) - 1, sign, 12, *digits, high, middle, low
    )


_ZERO = Struct(">ihhHh").pack(8, 0, 0, 0, 12)
