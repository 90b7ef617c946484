"""Bills of providers: imported as they come, restated by newer ones, withdrawn by who sent the wrong one.

A file says of a span of days all that a provider charges an account; the newest file of a day counts. A file that is a
part adds to its days instead. Nothing is ever changed or deleted: what counted before can be read again.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from chargeback.bill_files import read_bill_file
from chargeback.bill_mappings import find_mapping
from chargeback.bill_sums import RestatedDay, find_restated_days
from chargeback.core.bills import BillCharge, BillProblem, BillRefused, ReadBill
from chargeback.models import ProviderBill
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope

DAYS_MAX = 800  # from the first to the last day of a file, of one account
FILENAME_LENGTH_MAX = 200
RESTATED_MAX = 1_000
CHARGES_PER_STATEMENT = 5_000


class BillUnknown(LookupError):
    """The tenant has no bill of this id, or it is withdrawn already."""


@dataclass(frozen=True, slots=True)
class Bill:
    """An imported file. totals: of all its lines by currency. notes: code, lines and words of what was told of them.

    restated: days that others had told otherwise when it came, the first thousand.
    """

    id: int
    filename: str
    format: str
    sha256: str
    size_bytes: int
    is_part: bool
    first_day: date
    last_day: date
    charges: int
    providers: tuple[str, ...]
    totals: Mapping[str, Decimal]
    notes: tuple[Mapping[str, Any], ...]
    restated: tuple[RestatedDay, ...]
    imported_by: str
    imported_at: datetime
    withdrawn_by: str
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class Importing:
    """What became of a file. is_new: False where the same bytes were imported before, and nothing was changed.

    restated: days that another file had told otherwise.
    """

    bill: Bill
    is_new: bool
    restated: tuple[RestatedDay, ...]


LOCK_BILLS_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('bills ' || %(tenant_id)s::bigint, 0))"
FIND_SAME_SQL = """
    SELECT id FROM provider_bill
    WHERE tenant_id = %(tenant_id)s AND sha256 = %(sha256)s AND withdrawn_at IS NULL"""


def import_bill(
    content: bytes, *, filename: str, tenant_id: int, actor: str, now: datetime, is_part: bool = False
) -> Importing:
    """Keep a file. The same bytes again are the bill that there is. Raises BillRefused, LayoutUnknown."""
    sha256 = hashlib.sha256(content).hexdigest()
    with lock_bills(tenant_id=tenant_id):
        if (known := _find_same(sha256, tenant_id=tenant_id)) is not None:
            return Importing(known, False, ())
        read = read_bill_file(content, find_mapping=lambda columns: _find_mapping(columns, tenant_id=tenant_id))
        _check_days(read)
        restated = find_restated_days(read, tenant_id=tenant_id, is_part=is_part)
        bill_id = _add_bill(
            read,
            tenant_id=tenant_id,
            facts={
                "filename": filename.strip()[-FILENAME_LENGTH_MAX:] or "bill",
                "sha256": sha256,
                "size_bytes": len(content),
                "is_part": is_part,
                "restated": json.dumps([_write_restated(each) for each in restated[:RESTATED_MAX]]),
                "actor": actor,
                "now": now,
            },
        )
        bill = get_bill(tenant_id=tenant_id, bill_id=bill_id)
        _record("bill.imported", bill, actor=actor, now=now, tenant_id=tenant_id, restated=len(restated))
    return Importing(bill, True, restated)


WITHDRAW_BILL_SQL = """
    UPDATE provider_bill SET withdrawn_by = %(actor)s, withdrawn_at = %(now)s
    WHERE tenant_id = %(tenant_id)s AND id = %(bill_id)s AND withdrawn_at IS NULL"""


def withdraw_bill(*, tenant_id: int, bill_id: int, actor: str, now: datetime) -> Bill:
    """Let a file count no more: its days are again what they were before it. Raises BillUnknown."""
    with lock_bills(tenant_id=tenant_id), connection.cursor() as cursor:
        values = {"tenant_id": tenant_id, "bill_id": bill_id, "actor": actor, "now": now}
        cursor.execute(WITHDRAW_BILL_SQL, values)
        if not cursor.rowcount:
            raise BillUnknown(f"there is no bill {bill_id} that counts")
        bill = get_bill(tenant_id=tenant_id, bill_id=bill_id)
        _record("bill.withdrawn", bill, actor=actor, now=now, tenant_id=tenant_id)
    return bill


def get_bill(*, tenant_id: int, bill_id: int, using: str = "default") -> Bill:
    """One bill, a withdrawn one too. Raises BillUnknown."""
    with reading_scope(tenant_id, using=using):
        row = ProviderBill.objects.using(using).filter(tenant_id=tenant_id, id=bill_id).first()
    if row is None:
        raise BillUnknown(f"there is no bill {bill_id}")
    return _read_row(row)


def list_bills(
    *, tenant_id: int, first: date | None = None, after: date | None = None, limit: int = 200, using: str = "default"
) -> list[Bill]:
    """The newest first, those that are withdrawn too; of [first, after) where these are named."""
    with reading_scope(tenant_id, using=using):
        rows = ProviderBill.objects.using(using).filter(tenant_id=tenant_id).order_by("-id")
        if first is not None:
            rows = rows.filter(last_day__gte=first)
        if after is not None:
            rows = rows.filter(first_day__lt=after)
        return [_read_row(row) for row in rows[:limit]]


@contextmanager
def lock_bills(*, tenant_id: int) -> Iterator[None]:
    """Be the only one who imports bills of the tenant or signs on them, for a block."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LOCK_BILLS_SQL, {"tenant_id": tenant_id})
        yield


def _find_same(sha256: str, *, tenant_id: int) -> Bill | None:
    with connection.cursor() as cursor:
        cursor.execute(FIND_SAME_SQL, {"tenant_id": tenant_id, "sha256": sha256})
        row = cursor.fetchone()
    return None if row is None else get_bill(tenant_id=tenant_id, bill_id=row[0])


def _find_mapping(columns: Sequence[str], *, tenant_id: int) -> Any:
    kept = find_mapping(columns, tenant_id=tenant_id)
    return kept and kept.mapping


def _check_days(read: ReadBill) -> None:
    problems = [
        BillProblem(0, "", f"spans {cover.first} to {cover.last}; a file has at most {DAYS_MAX} days: send it in parts")
        for cover in read.covers
        if (cover.last - cover.first).days >= DAYS_MAX
    ]
    if problems:
        raise BillRefused(problems)


ADD_BILL_SQL = """
    INSERT INTO provider_bill (tenant_id, filename, format, sha256, size_bytes, is_part, first_day, last_day, charges,
                               providers, totals, notes, restated, imported_by, imported_at)
    VALUES (%(tenant_id)s, %(filename)s, %(format)s, %(sha256)s, %(size_bytes)s, %(is_part)s, %(first)s, %(last)s,
            %(charges)s, %(providers)s, %(totals)s, %(notes)s, %(restated)s, %(actor)s, %(now)s)
    RETURNING id"""
ADD_CHARGES_SQL = """
    INSERT INTO bill_charge (tenant_id, bill_id, line, day, filed_day, starts_at, ends_at, provider, account, model,
                             description, amount, currency, category, line_id)
    SELECT %(tenant_id)s::bigint, %(bill_id)s::bigint, new.*
    FROM unnest(%(line)s::int[], %(day)s::date[], %(filed_day)s::date[], %(start)s::timestamptz[],
                %(end)s::timestamptz[], %(provider)s::text[], %(account)s::text[], %(model)s::text[],
                %(description)s::text[], %(amount)s::numeric[], %(currency)s::text[], %(category)s::text[],
                %(line_id)s::text[]) AS new"""
CHARGE_FIELDS = (
    "line", "day", "filed_day", "start", "end", "provider", "account", "model", "description", "amount", "currency",
    "category", "line_id",
)  # fmt: skip
ADD_DAYS_SQL = """
    INSERT INTO bill_day (tenant_id, provider, account, day, bill_id)
    SELECT %(tenant_id)s::bigint, %(provider)s::text, %(account)s::text, day::date, %(bill_id)s::bigint
    FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS day"""


def _add_bill(read: ReadBill, *, tenant_id: int, facts: Mapping[str, Any]) -> int:
    """The bill with its lines and, unless it is a part, the days that it restates; its id."""
    values = {
        **facts,
        "tenant_id": tenant_id,
        "format": read.format,
        "first": min(cover.first for cover in read.covers),
        "last": max(cover.last for cover in read.covers),
        "charges": len(read.charges),
        "providers": sorted({cover.provider for cover in read.covers}),
        "totals": json.dumps({currency: f"{total:f}" for currency, total in read.totals.items()}),
        "notes": json.dumps(
            [{"code": note.code, "lines": note.lines[:20], "detail": note.detail} for note in read.notes]
        ),
    }
    with connection.cursor() as cursor:
        cursor.execute(ADD_BILL_SQL, values)
        (bill_id,) = cursor.fetchone()
        for charges in _cut(read.charges):
            columns = {name: [getattr(charge, name) for charge in charges] for name in CHARGE_FIELDS}
            cursor.execute(ADD_CHARGES_SQL, {"tenant_id": tenant_id, "bill_id": bill_id, **columns})
        for cover in () if facts["is_part"] else read.covers:
            named = {"provider": cover.provider, "account": cover.account, "first": cover.first, "last": cover.last}
            cursor.execute(ADD_DAYS_SQL, {"tenant_id": tenant_id, "bill_id": bill_id, **named})
    return bill_id


def _cut(charges: Sequence[BillCharge]) -> Iterator[Sequence[BillCharge]]:
    for first in range(0, len(charges), CHARGES_PER_STATEMENT):
        yield charges[first : first + CHARGES_PER_STATEMENT]


def _record(name: str, bill: Bill, *, actor: str, now: datetime, tenant_id: int, restated: int | None = None) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    facts = {
        "bill": str(bill.id),
        "sha256": bill.sha256,
        "format": bill.format,
        "providers": ", ".join(bill.providers),
        "first_day": bill.first_day.isoformat(),
        "last_day": bill.last_day.isoformat(),
        "charges": str(bill.charges),
        "totals": ", ".join(f"{total:f} {currency}" for currency, total in bill.totals.items()),
    }
    if restated is not None:
        facts |= {"restated_days": str(restated), "is_part": "yes" if bill.is_part else "no"}
    book_act(tenant_id=tenant_id, act=Act(name=name, actor=actor, facts=facts), now=now)


def _read_row(row: ProviderBill) -> Bill:
    values = {field.name: getattr(row, field.name) for field in fields(Bill)}
    totals = {currency: Decimal(total) for currency, total in row.totals.items()}
    read = {
        "providers": tuple(row.providers),
        "totals": totals,
        "notes": tuple(row.notes),
        "restated": tuple(_read_restated(each) for each in row.restated),
    }
    return Bill(**values | read)


def _write_restated(each: RestatedDay) -> list[str]:
    return [each.provider, each.account, each.day.isoformat(), each.currency, f"{each.before:f}", f"{each.after:f}"]


def _read_restated(kept: Sequence[str]) -> RestatedDay:
    provider, account, day, currency, before, after = kept
    return RestatedDay(provider, account, date.fromisoformat(day), currency, Decimal(before), Decimal(after))
