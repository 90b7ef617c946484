"""The canonical row: the bytes whose hash is an entry's leaf. `docs/proof.md` states the format.

A subset of RFC 8785: one JSON object, keys sorted, no white space, no floats; numbers are strings, money is a
whole number of 10^-12 units, times are UTC with six decimals. The first member in meaning, `v`, separates this
kind of row from every other that is hashed.
"""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from json.encoder import encode_basestring as quote
from uuid import UUID

from ledger.core.entries import NewEntry

ROW_VERSION = "tokenledger/entry/1"


def encode_row(entry: NewEntry, *, tenant_id: int, batch_id: UUID, recorded_at: datetime, api_key_id: str) -> bytes:
    """The canonical bytes of an entry in its batch.

    Written out by hand: a generic encoder took three times as long, and each booked event pays for it.
    `tests/ledger/core/test_rows.py` holds it against RFC 8785 and against the row as PostgreSQL gives it back.
    """
    e = entry
    return (
        f'{{"api_key_id":{quote(api_key_id)},"batch_id":"{batch_id}","billed_cost":{_number(e.billed_cost)}'
        f',"billing_period":"{e.billing_period}","cache_hit":{"true" if e.cache_hit else "false"}'
        f',"cache_read_cost":{_number(e.cache_read_cost)},"cache_read_tokens":"{e.cache_read_tokens}"'
        f',"cache_write_1h_tokens":"{e.cache_write_1h_tokens}","cache_write_cost":{_number(e.cache_write_cost)}'
        f',"cache_write_tokens":"{e.cache_write_tokens}","calls":"{e.calls}"'
        f',"charge_period_start":"{format_time(e.charge_period_start)}","content_digest":{quote(e.content_digest)}'
        f',"context_tier":"{e.context_tier}","corrects":{"null" if e.corrects is None else quote(e.corrects)}'
        f',"cost_center":{quote(e.cost_center)},"currency":{quote(e.currency)}'
        f',"customer_tier":{quote(e.customer_tier)},"environment":{quote(e.environment)}'
        f',"event_id":{quote(e.event_id)},"event_source":{quote(e.event_source)},"feature":{quote(e.feature)}'
        f',"finish_reason":{quote(e.finish_reason)},"input_cost":{_number(e.input_cost)}'
        f',"input_tokens":"{e.input_tokens}","kind":{quote(e.kind)},"latency_ms":{_number(e.latency_ms)}'
        f',"line":"{e.line}","list_cost":{_number(e.list_cost)},"model":{quote(e.model)}'
        f',"operation":{quote(e.operation)},"other_cost":{_number(e.other_cost)}'
        f',"other_usage":{_object(e.other_usage)},"output_cost":{_number(e.output_cost)}'
        f',"output_tokens":"{e.output_tokens}","parent_span_id":{quote(e.parent_span_id)}'
        f',"pricing_reason":{quote(e.pricing_reason)},"pricing_status":{quote(e.pricing_status)}'
        f',"prompt_hash":{quote(e.prompt_hash)},"provider":{quote(e.provider)}'
        f',"rate_version_hash":"{e.rate_version_hash}","rate_version_id":{_number(e.rate_version_id)}'
        f',"reasoning_tokens":"{e.reasoning_tokens}","recorded_at":"{format_time(recorded_at)}"'
        f',"region":{quote(e.region)},"reported_cost":{_number(e.reported_cost)}'
        f',"requested_model":{quote(e.requested_model)},"response_id":{quote(e.response_id)}'
        f',"saved_cost":{_number(e.saved_cost)},"service_tier":{quote(e.service_tier)}'
        f',"session_id":{quote(e.session_id)},"span_id":{quote(e.span_id)},"status":{quote(e.status)}'
        f',"tags":{_object(e.tags)},"tenant_id":"{tenant_id}","trace_id":{quote(e.trace_id)}'
        f',"user_ref":{quote(e.user_ref)},"v":"{ROW_VERSION}"}}'
    ).encode()


def format_time(moment: datetime) -> str:
    """An aware UTC moment as `2026-11-22T05:00:00.123456Z`."""
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def _number(value: int | None) -> str:
    return "null" if value is None else f'"{value}"'


def _object(members: Mapping[str, object]) -> str:
    """A flat object of strings; quantities become strings. Keys sort by UTF-16 code units, as RFC 8785 says."""
    if not members:
        return "{}"
    names = sorted(members, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(f"{quote(name)}:{quote(_text(members[name]))}" for name in names) + "}"


def _text(value: object) -> str:
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
