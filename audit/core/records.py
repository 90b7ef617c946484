"""A statement as records: the columns that every file of it has, and the JSON document. Pure."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from audit.core.statement import ROUNDING, Statement, StatementLine

VERSION = "tokenledger/statement/1"
TEXT, WHOLE, QUANTITY, PRICE, MONEY, CENTS, DAY, YES = (
    "text", "whole", "quantity", "price", "money", "cents", "day", "yes",
)  # fmt: skip

Value = str | int | bool | Decimal | date | None

# A line's columns, in the order of every file, and the kind of their values.
LINE_COLUMNS = {
    "statement": TEXT, "tenant": TEXT, "period": DAY, "line": WHOLE, "line_id": TEXT, "section": TEXT, "feature": TEXT,
    "provider": TEXT, "model": TEXT, "meter": TEXT, "usage": TEXT, "quantity": QUANTITY, "price": PRICE,
    "list_price": PRICE, "per": WHOLE, "ledger_rows": WHOLE, "list_cost": MONEY, "contracted_cost": MONEY,
    "effective_cost": MONEY, "billed_cost": MONEY, "billed_cost_shown": CENTS, "currency": TEXT,
    "charge_month": DAY, "rate_version_id": WHOLE, "rate_version_hash": TEXT, "context_tier": WHOLE, "cache_hit": YES,
    "pricing_status": TEXT, "note": TEXT,
}  # fmt: skip


def list_records(statement: Statement) -> Iterator[tuple[Value, ...]]:
    """A tuple for each line, in the order of LINE_COLUMNS; None is what is not known."""
    for line in statement.lines:
        yield _write_line(line, statement)


def _write_line(line: StatementLine, statement: Statement) -> tuple[Value, ...]:
    return (
        statement.number, statement.tenant_slug, statement.period, line.number, line.id, line.section, line.feature,
        line.provider, line.model, line.meter, line.usage, line.quantity, line.price, line.list_price, line.per,
        line.rows, line.list_amount, line.contracted_amount, line.effective_amount, line.amount, line.shown,
        statement.currency, line.charge_month, line.rate_version_id, line.rate_hash, line.context_tier,
        line.cache_hit, line.pricing_status, line.note,
    )  # fmt: skip


def write_exactly(value: Value, kind: str) -> str | None:
    """A value as text with every digit: money with 12 decimals, cents with 2, other numbers without an exponent.

    >>> write_exactly(Decimal("0.0036"), MONEY), write_exactly(Decimal("1E+3"), QUANTITY), write_exactly(None, PRICE)
    ('0.003600000000', '1000', None)
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:.12f}" if kind == MONEY else f"{value:.2f}" if kind == CENTS else f"{value:f}"
    return value.isoformat() if isinstance(value, date) else str(value)


def write_head(statement: Statement) -> dict[str, Any]:
    """Everything about a statement but its lines: texts, and null for what is not known."""
    checkpoint = statement.checkpoint
    return {
        "v": VERSION,
        "statement": statement.number,
        "tenant": statement.tenant_slug,
        "tenant_name": statement.tenant_name,
        "period": f"{statement.period:%Y-%m}",
        "start": _write_time(statement.start),
        "end": _write_time(statement.end),
        "currency": statement.currency,
        "rounding": ROUNDING,
        "booked_until": _write_time(statement.booked_until),
        "totals": write_totals(statement),
        "checkpoint": None
        if checkpoint is None
        else {
            "origin": checkpoint.origin,
            "size": str(checkpoint.size),
            "root": checkpoint.root,
            "signed_at": _write_time(checkpoint.signed_at),
            "key_id": checkpoint.key_id,
        },
    }


def write_totals(statement: Statement) -> dict[str, str]:
    """The control totals, as text."""
    return {
        "lines": str(len(statement.lines)),
        "ledger_rows": str(statement.rows),
        "acts": str(statement.acts),
        "calls": str(statement.calls),
        "unpriced_calls": str(statement.unpriced_calls),
        "list_cost": f"{statement.list_amount:.12f}",
        "contracted_cost": f"{statement.amount:.12f}",
        "effective_cost": f"{statement.amount:.12f}",
        "billed_cost": f"{statement.amount:.12f}",
        "saved_cost": f"{statement.saved_amount:.12f}",
        "lines_shown": f"{statement.shown_total:.2f}",
        "charged": f"{statement.charged:.2f}",
    }


def write_lines(statement: Statement) -> Iterator[dict[str, str | None]]:
    """Each line as an object of texts; null for what is not known."""
    for record in list_records(statement):
        yield {
            name: write_exactly(value, kind) for (name, kind), value in zip(LINE_COLUMNS.items(), record, strict=True)
        }


def write_document(statement: Statement) -> dict[str, Any]:
    """The whole statement as one JSON object: its head, with its lines."""
    return write_head(statement) | {"lines": list(write_lines(statement))}


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """RFC 8785 of what has no number in it: sorted names, no white space, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _write_time(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
