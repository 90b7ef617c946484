"""The canonical row: the bytes whose hash is an entry's leaf. `docs/proof.md` states the format.

A subset of RFC 8785: one JSON object, keys sorted, no white space, no floats; numbers are strings, money is a
whole number of 10^-12 units, times are UTC with six decimals. The first member in meaning, `v`, separates this
kind of row from every other that is hashed.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from ledger.core.entries import NewEntry

ROW_VERSION = "tokenledger/entry/1"


class CanonicalRow(msgspec.Struct, frozen=True, gc=False):
    """The members of a row, in the order of their names: the encoder writes them as they stand."""

    api_key_id: str
    batch_id: str
    billed_cost: str | None
    billing_period: date
    cache_hit: bool
    cache_read_cost: str | None
    cache_read_tokens: str
    cache_write_1h_tokens: str
    cache_write_cost: str | None
    cache_write_tokens: str
    calls: str
    charge_period_start: datetime | str
    content_digest: str
    context_tier: str
    corrects: str | None
    cost_center: str
    currency: str
    customer_tier: str
    environment: str
    event_id: str
    event_source: str
    feature: str
    finish_reason: str
    input_cost: str | None
    input_tokens: str
    kind: str
    latency_ms: str | None
    line: str
    list_cost: str | None
    model: str
    operation: str
    other_cost: str | None
    other_usage: dict[str, str]
    output_cost: str | None
    output_tokens: str
    parent_span_id: str
    pricing_reason: str
    pricing_status: str
    prompt_hash: str
    provider: str
    rate_version_hash: str
    rate_version_id: str | None
    reasoning_tokens: str
    recorded_at: str
    region: str
    reported_cost: str | None
    requested_model: str
    response_id: str
    saved_cost: str | None
    service_tier: str
    session_id: str
    span_id: str
    status: str
    tags: dict[str, str]
    tenant_id: str
    trace_id: str
    user_ref: str
    v: str


_encode = msgspec.json.Encoder().encode


class Place(msgspec.Struct, frozen=True):
    """Where entries stand: the part of a row that is the same for a whole batch, written out once."""

    tenant_id: str
    batch_id: str
    recorded_at: str
    api_key_id: str


def write_place(*, tenant_id: int, batch_id: UUID, recorded_at: datetime, api_key_id: str) -> Place:
    return Place(str(tenant_id), str(batch_id), format_time(recorded_at), api_key_id)


def encode_row(entry: NewEntry, *, place: Place) -> bytes:
    """The canonical bytes of an entry in its batch."""
    e = entry
    return _encode(
        CanonicalRow(
            place.api_key_id,
            place.batch_id,
            None if e.billed_cost is None else str(e.billed_cost),
            e.billing_period,
            e.cache_hit,
            None if e.cache_read_cost is None else str(e.cache_read_cost),
            str(e.cache_read_tokens),
            str(e.cache_write_1h_tokens),
            None if e.cache_write_cost is None else str(e.cache_write_cost),
            str(e.cache_write_tokens),
            str(e.calls),
            e.charge_period_start if e.charge_period_start.microsecond else format_time(e.charge_period_start),
            e.content_digest,
            str(e.context_tier),
            e.corrects,
            e.cost_center,
            e.currency,
            e.customer_tier,
            e.environment,
            e.event_id,
            e.event_source,
            e.feature,
            e.finish_reason,
            None if e.input_cost is None else str(e.input_cost),
            str(e.input_tokens),
            e.kind,
            None if e.latency_ms is None else str(e.latency_ms),
            str(e.line),
            None if e.list_cost is None else str(e.list_cost),
            e.model,
            e.operation,
            None if e.other_cost is None else str(e.other_cost),
            _write_object(e.other_usage) if e.other_usage else {},
            None if e.output_cost is None else str(e.output_cost),
            str(e.output_tokens),
            e.parent_span_id,
            e.pricing_reason,
            e.pricing_status,
            e.prompt_hash,
            e.provider,
            e.rate_version_hash,
            None if e.rate_version_id is None else str(e.rate_version_id),
            str(e.reasoning_tokens),
            place.recorded_at,
            e.region,
            None if e.reported_cost is None else str(e.reported_cost),
            e.requested_model,
            e.response_id,
            None if e.saved_cost is None else str(e.saved_cost),
            e.service_tier,
            e.session_id,
            e.span_id,
            e.status,
            _write_object(e.tags) if e.tags else {},
            place.tenant_id,
            e.trace_id,
            e.user_ref,
            ROW_VERSION,
        )
    )


def format_time(moment: datetime) -> str:
    """An aware UTC moment as `2026-11-22T05:00:00.123456Z`."""
    text = moment.isoformat()
    return f"{text[:26]}Z" if moment.microsecond else f"{text[:19]}.000000Z"


def _write_object(members: Mapping[str, object]) -> dict[str, str]:
    """A flat object of texts; quantities become texts. Names sort by UTF-16 code units, as RFC 8785 says."""
    names = sorted(members, key=lambda name: name.encode("utf-16-be")) if len(members) > 1 else members
    return {name: _write_value(members[name]) for name in names}


def _write_value(value: object) -> str:
    if type(value) is str:
        return value
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def rebuild_entry(row: Mapping[str, object], *, rate_version_hash: str) -> NewEntry:
    """The entry that a stored row was made from, as far as the leaf goes: what a proof hashes again.

    row: the columns of `ledger_entry`, money as Decimal. Key and fingerprint are no part of a leaf and stay empty.
    """
    values = {
        name: pico(row[name]) if name.endswith("_cost") else row[name]
        for name in NewEntry.__struct_fields__
        if name not in ("key", "fingerprint", "rate_version_hash")
    }
    return NewEntry(key=b"", fingerprint=b"", rate_version_hash=rate_version_hash, **values)  # type: ignore[arg-type]


def pico(money: object) -> int | None:
    """Money with at most 12 decimals as a whole number of 10^-12 units."""
    return None if money is None else int(Decimal(str(money)).scaleb(12))


def first_of_month(moment: datetime) -> date:
    """The billing period, a UTC calendar month, that holds `moment`."""
    return date(moment.year, moment.month, 1)
