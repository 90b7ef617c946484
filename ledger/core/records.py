"""Entries as PostgreSQL reads an array of rows in binary (array_recv and record_recv in its source).

Written out by hand: a row costs a third of what psycopg's own adaptation of it would.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from struct import Struct
from typing import NamedTuple
from uuid import UUID

import msgspec

from ledger.core.entries import NewEntry

# In the order of the table: a row has no names.
COLUMNS = (
    "tenant_id", "batch_id", "line", "recorded_at", "charge_period_start", "billing_period", "latency_ms",
    "rate_version_id", "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_tokens", "reasoning_tokens", "calls", "context_tier", "cache_hit", "kind", "corrects", "event_source",
    "event_id", "response_id", "api_key_id", "environment", "feature", "user_ref", "cost_center", "customer_tier",
    "session_id", "trace_id", "span_id", "parent_span_id", "tags", "operation", "provider", "model",
    "requested_model", "service_tier", "region", "status", "finish_reason", "prompt_hash", "content_digest",
    "other_usage", "currency", "pricing_status", "pricing_reason", "input_cost", "cache_read_cost",
    "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost", "saved_cost", "reported_cost", "leaf",
)  # fmt: skip


def _field(oid: int, length: int) -> int:
    """What stands before a value: its type's number in pg_type, and its length, -1 for a null; as one number."""
    return oid << 32 | length & 0xFFFFFFFF


_BOOLEAN = _field(16, 1)
_DATE = _field(1082, 4)
_INT2 = _field(21, 2)
_INT4 = _field(23, 4)
_INT8 = _field(20, 8)
_TIME = _field(1184, 8)
_UUID = _field(2950, 16)
_TEXT_TYPE, _JSON_TYPE, _NUMERIC_TYPE = 25, 3802, 1700
_FRACTION, _SMALL = _field(1700, 14), _field(1700, 16)

_HEAD = Struct(">i Qq Q16s Qi Qq Qq Qi".replace(" ", ""))
_COUNTS = Struct(">" + 6 * "Qq" + 2 * "Qh" + "Q?")
_BIGINT = Struct(">Qq")
_FIELD = Struct(">Q")
_NUMERIC_FRACTION = Struct(">QhhHhhhh")
_NUMERIC_SMALL = Struct(">QhhHhhhhh")
_SIZE = Struct(">i")
_ARRAY = Struct(">iiIii")
_NULL_INT8 = _FIELD.pack(_field(20, -1))
_NULL_TEXT = _FIELD.pack(_field(_TEXT_TYPE, -1))
_NULL_NUMERIC = _FIELD.pack(_field(_NUMERIC_TYPE, -1))
_ZERO = Struct(">QhhHh").pack(_field(_NUMERIC_TYPE, 8), 0, 0, 0, 12)
_LEAF = _FIELD.pack(_field(17, 32))
_EMPTY_OBJECT = _FIELD.pack(_field(_JSON_TYPE, 3)) + b"\x01{}"
_POSTGRESQL_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_POSTGRESQL_DATE_EPOCH = date(2000, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
CACHED_TEXTS_MAX = 20_000


class _TextCache(dict[str, bytes]):
    """Texts that come again and again, encoded; emptied when full, so memory stays bounded.

    What differs from entry to entry is not kept: it would lie scattered among what goes with the request, and keep that
    memory from being given back.
    """

    def __missing__(self, text: str) -> bytes:
        if len(self) >= CACHED_TEXTS_MAX:
            self.clear()
        data = self[text] = _encode_text(text)
        return data


def _encode_text(text: str) -> bytes:
    data = text.encode()
    return _FIELD.pack(_TEXT_TYPE << 32 | len(data)) + data


_cached = _TextCache()
_EMPTY_TEXT = _encode_text("")


def _encode_digest(text: str) -> bytes:
    return _encode_text(text) if text else _EMPTY_TEXT


class RecordPlace(NamedTuple):
    """Where entries stand, encoded: the same for a whole batch."""

    tenant_id: int
    batch_id: bytes
    recorded_at: int  # microseconds since 2000
    api_key_id: bytes


def encode_place(*, tenant_id: int, batch_id: UUID, recorded_at: datetime, api_key_id: str) -> RecordPlace:
    return RecordPlace(tenant_id, batch_id.bytes, _microseconds(recorded_at), _encode_text(api_key_id))


def encode_record(entry: NewEntry, *, place: RecordPlace, leaf: bytes) -> bytes:
    """One row of COLUMNS."""
    e = entry
    text = _cached
    tenant_id, batch_id, recorded_at, api_key_id = place
    billed_cost = _encode_numeric(e.billed_cost)
    return b"".join((
        _HEAD.pack(
            57, _INT8, tenant_id, _UUID, batch_id, _INT4, e.line, _TIME, recorded_at,
            _TIME, _microseconds(e.charge_period_start), _DATE, (e.billing_period - _POSTGRESQL_DATE_EPOCH).days,
        ),
        _NULL_INT8 if e.latency_ms is None else _BIGINT.pack(_INT8, e.latency_ms),
        _NULL_INT8 if e.rate_version_id is None else _BIGINT.pack(_INT8, e.rate_version_id),
        _COUNTS.pack(
            _INT8, e.input_tokens, _INT8, e.cache_read_tokens, _INT8, e.cache_write_tokens,
            _INT8, e.cache_write_1h_tokens, _INT8, e.output_tokens, _INT8, e.reasoning_tokens,
            _INT2, e.calls, _INT2, e.context_tier, _BOOLEAN, e.cache_hit,
        ),
        text[e.kind],
        _NULL_TEXT if e.corrects is None else _encode_text(e.corrects),
        text[e.event_source], _encode_text(e.event_id), _encode_text(e.response_id), api_key_id,
        text[e.environment], text[e.feature], _encode_text(e.user_ref), text[e.cost_center], text[e.customer_tier],
        _encode_text(e.session_id), _encode_text(e.trace_id), _encode_text(e.span_id),
        _encode_text(e.parent_span_id),
        _encode_object(e.tags) if e.tags else _EMPTY_OBJECT,
        text[e.operation], text[e.provider], text[e.model], text[e.requested_model], text[e.service_tier],
        text[e.region], text[e.status], text[e.finish_reason],
        _encode_digest(e.prompt_hash), _encode_digest(e.content_digest),
        _encode_object(e.other_usage) if e.other_usage else _EMPTY_OBJECT,
        text[e.currency], text[e.pricing_status], text[e.pricing_reason],
        _encode_numeric(e.input_cost), _encode_numeric(e.cache_read_cost), _encode_numeric(e.cache_write_cost),
        _encode_numeric(e.output_cost), _encode_numeric(e.other_cost), billed_cost,
        billed_cost if e.list_cost == e.billed_cost else _encode_numeric(e.list_cost),
        _encode_numeric(e.saved_cost), _encode_numeric(e.reported_cost),
        _LEAF, leaf,
    ))  # fmt: skip


def encode_records(records: Sequence[bytes], *, row_type: int) -> bytes:
    """Rows as one array. row_type: the number of the table's row type in pg_type."""
    sizes = [_SIZE.pack(len(record)) for record in records]
    rows = b"".join([part for row in zip(sizes, records, strict=True) for part in row])
    return _ARRAY.pack(1, 0, row_type, len(records), 1) + rows


def _microseconds(moment: datetime) -> int:
    return (moment - _POSTGRESQL_EPOCH) // _MICROSECOND


def _encode_object(members: Mapping[str, object]) -> bytes:
    """A jsonb value: version byte 1, then the text. Quantities stay numbers, exactly as written."""
    data = b"\x01" + _json.encode(members)
    return _FIELD.pack(_JSON_TYPE << 32 | len(data)) + data


_json = msgspec.json.Encoder(decimal_format="number")


def _encode_numeric(picos: int | None) -> bytes:
    """NUMERIC(24,12) of a whole number of 10^-12 units: base-10,000 digits, scale 12."""
    if picos is None:
        return _NULL_NUMERIC
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
        return _NUMERIC_FRACTION.pack(_FRACTION, 3, -1, sign, 12, high, middle, low)
    whole = high // 10_000
    high -= whole * 10_000
    if whole < 10_000:
        return _NUMERIC_SMALL.pack(_SMALL, 4, 0, sign, 12, whole, high, middle, low)
    digits = []
    while whole:
        whole, digit = divmod(whole, 10_000)
        digits.append(digit)
    digits.reverse()
    count = len(digits) + 3
    field = _field(_NUMERIC_TYPE, 8 + 2 * count)
    return Struct(f">QhhHh{count}h").pack(field, count, len(digits) - 1, sign, 12, *digits, high, middle, low)
