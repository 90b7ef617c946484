"""A statement as a file: which formats there are, and one that is made whole before it is sent.

It stands in a temporary file that nobody else can open: a client that is slow, hangs or goes away holds no connection
to the database, and can take up where it was.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from django.conf import settings

from audit.core.focus import CHARGEBACK, FocusParties, Row, list_rows, round_invoice
from audit.core.prices import RowSums
from audit.core.statement import Statement, add_up, number_statement, round_to_cent
from audit.core.statement_lines import RateContent
from audit.formats.csv import write_csv
from audit.formats.focus import write_focus_csv
from audit.formats.jsonl import write_jsonl
from audit.formats.parquet import write_focus_parquet, write_parquet
from audit.formats.pdf import TooManyPages, write_pdf
from audit.formats.xlsx import TooManyLines, write_xlsx
from audit.statements import get_statement, list_place_sums, read_contents, snapshot_scope
from tenants.selectors import TenantInfo

MEMORY_MAX = 4_000_000  # bytes that need no file
CHUNK = 1 << 20
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PARQUET = "application/vnd.apache.parquet"


@dataclass(frozen=True, slots=True)
class Format:
    """content_type and extension of a file; is_focus: has rows of FOCUS, in a view."""

    content_type: str
    extension: str
    is_focus: bool = False


FORMATS = {
    "csv": Format("text/csv; charset=utf-8", "csv"),
    "jsonl": Format("application/jsonl", "jsonl"),
    "parquet": Format(PARQUET, "parquet"),
    "xlsx": Format(XLSX, "xlsx"),
    "pdf": Format("application/pdf", "pdf"),
    "focus": Format("text/csv; charset=utf-8", "csv", is_focus=True),
    "focus_parquet": Format(PARQUET, "parquet", is_focus=True),
}
WRITERS = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet, "xlsx": write_xlsx}


class FileRefused(ValueError):
    """A file that is not made; the text says which to take instead."""


@dataclass(frozen=True, slots=True)
class StatementFile:
    """A whole file, to be read from its beginning; who has it closes it. sha256: hexadecimal."""

    name: str
    content_type: str
    content: BinaryIO
    size: int
    sha256: str


def make_statement_file(
    *,
    tenant: TenantInfo,
    period: date,
    format_name: str,
    now: datetime,
    view: str = CHARGEBACK,
    using: str = "default",
) -> StatementFile:
    """The month in one of FORMATS; view: of `audit.core.focus.VIEWS`, for FOCUS alone. Raises FileRefused."""
    kind = FORMATS[format_name]
    # Who is given it closes it.
    content = cast(BinaryIO, SpooledTemporaryFile(max_size=MEMORY_MAX))  # noqa: SIM115
    try:
        if kind.is_focus:
            _write_focus(content, tenant, period, view=view, as_parquet=format_name != "focus", using=using)
        else:
            statement = get_statement(tenant=tenant, period=period, now=now, using=using)
            _write_statement(content, statement, format_name)
    except (TooManyLines, TooManyPages) as fault:
        content.close()
        raise FileRefused(str(fault)) from fault
    except BaseException:
        content.close()
        raise
    name = f"focus-{view}" if kind.is_focus else "statement"
    return StatementFile(
        name=f"{name}-{tenant.slug}-{period:%Y-%m}.{kind.extension}",
        content_type=kind.content_type,
        content=content,
        size=content.tell(),
        sha256=_hash(content),
    )


def _write_statement(out: BinaryIO, statement: Statement, format_name: str) -> None:
    if format_name == "pdf":
        write_pdf(statement, out, ledger_address=f"{settings.PUBLIC_URL}/ledger")
    else:
        WRITERS[format_name](statement, out)
    out.seek(0, 2)


def _hash(content: BinaryIO) -> str:
    content.seek(0)
    digest = hashlib.sha256()
    while chunk := content.read(CHUNK):
        digest.update(chunk)
    content.seek(0)
    return digest.hexdigest()


# --- FOCUS ---


def _write_focus(out: BinaryIO, tenant: TenantInfo, period: date, *, view: str, as_parquet: bool, using: str) -> None:
    with snapshot_scope(tenant.id, using=using):
        rows = list_focus_rows(tenant=tenant, period=period, view=view, using=using)
        (write_focus_parquet if as_parquet else write_focus_csv)(rows, out)
    out.seek(0, 2)


def list_focus_rows(
    *, tenant: TenantInfo, period: date, view: str, booked_on: date | None = None, using: str = "default"
) -> Iterator[Row]:
    """The month's FOCUS rows, a few thousand in memory, within `snapshot_scope`. Of the chargeback view they sum to
    what is payable: the last one is the rounding to the cent. booked_on: see `list_place_sums`; a part of a month is
    payable by nobody, so it goes with the provider's view alone.
    """
    parties = FocusParties(
        tenant_slug=tenant.slug,
        tenant_name=tenant.name,
        issuer=settings.STATEMENT_ISSUER,
        statement_number=number_statement(tenant.slug, period),
    )
    rates: dict[int, RateContent] = {}
    total = Fraction(0)
    for sums in list_place_sums(tenant_id=tenant.id, period=period, booked_on=booked_on, using=using):
        total += Fraction(sums.billed_cost)
        yield from list_rows(sums, _find_rate(sums, rates), period=period, view=view, parties=parties)
    amount = Decimal(round(total * 10**12)).scaleb(-12)
    if view == CHARGEBACK and (left := add_up([round_to_cent(amount), -amount])):
        yield round_invoice(left, period=period, parties=parties)


def _find_rate(sums: RowSums, rates: dict[int, RateContent]) -> RateContent | None:
    version_id = sums.rate_version_id
    if version_id is None:
        return None
    if version_id not in rates:
        rates |= read_contents([version_id])
    return rates.get(version_id)
