"""A day's files and their manifest, made in a folder of one's own: the same day again is the same bytes."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from audit.core.focus import PROVIDER, Row, write_field
from audit.core.statement import add_up
from audit.files import list_focus_rows
from audit.formats.parquet import write_focus_parquet, write_records
from audit.statements import snapshot_scope
from chargeback.core.exports import FOCUS, ROWS, FileFacts, PeriodTotals, name_file, write_manifest
from chargeback.exports.places import Keep
from chargeback.exports.rows import BATCH, BILLED, LEAF, LINE, make_schema, read_pages, sum_day
from tenants.selectors import TenantInfo

ROWS_PER_BREATH = 1_000


class DayBroken(RuntimeError):
    """A day's files are not what PostgreSQL adds up; the text says by what. Nothing of it is sent."""


@dataclass(frozen=True, slots=True)
class DayFiles:
    """A whole day. files: each with where it stands here."""

    manifest: bytes
    files: tuple[tuple[FileFacts, Path], ...]
    totals: tuple[PeriodTotals, ...]

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.totals)

    @property
    def size(self) -> int:
        return sum(facts.size for facts, _ in self.files)

    @property
    def billed_cost(self) -> Decimal:
        return add_up([each.billed_cost for each in self.totals])


@dataclass(slots=True)
class _Count:
    """What went into a file."""

    rows: int = 0
    billed_cost: Decimal = Decimal(0)
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, rows: int, costs: Iterable[Decimal], content: bytes) -> None:
        self.rows += rows
        self.billed_cost = add_up([self.billed_cost, *costs])
        self.digest.update(content)


def make_day(*, tenant: TenantInfo, day: date, folder: Path, keep: Keep, using: str = "default") -> DayFiles:
    """Write the files of a settled day. keep: see Keep. Raises DayBroken."""
    totals = sum_day(tenant_id=tenant.id, day=day, using=using)
    files = (
        _make_file(tenant, ROWS, day, folder, lambda out, count: _write_rows(out, count, tenant, day, keep, using)),
        _make_file(
            tenant, FOCUS, day, folder, lambda out, count: _write_focus(out, count, tenant, day, totals, keep, using)
        ),
    )
    _compare(totals, *(facts for facts, _ in files))
    manifest = write_manifest(
        tenant=tenant.slug, day=day, files=[facts for facts, _ in files], totals=totals, written_by=_name_writer()
    )
    return DayFiles(manifest, files, tuple(totals))


def _make_file(
    tenant: TenantInfo, dataset: str, day: date, folder: Path, write: Callable[[BinaryIO, _Count], None]
) -> tuple[FileFacts, Path]:
    path, count = folder / f"{dataset}.parquet", _Count()
    with path.open("xb") as out:
        write(out, count)
    with path.open("rb") as made:
        sha256 = hashlib.file_digest(made, "sha256").hexdigest()
    facts = FileFacts(
        name=name_file(tenant.slug, dataset, day),
        dataset=dataset,
        rows=count.rows,
        size=path.stat().st_size,
        sha256=sha256,
        content=count.digest.hexdigest(),
        billed_cost=count.billed_cost,
    )
    return facts, path


def _write_rows(out: BinaryIO, count: _Count, tenant: TenantInfo, day: date, keep: Keep, using: str) -> None:
    write_records(out, make_schema(), _list_records(count, tenant, day, keep, using))


def _list_records(count: _Count, tenant: TenantInfo, day: date, keep: Keep, using: str) -> Iterator[tuple[Any, ...]]:
    """The rows; their content is the ledger's own hash of each, in order."""
    for page in read_pages(tenant_id=tenant.id, day=day, using=using):
        keep()
        content = "".join(f"{row[BATCH]}.{row[LINE]} {row[LEAF]}\n" for row in page)
        count.add(len(page), (row[BILLED] for row in page if row[BILLED] is not None), content.encode())
        yield from page


def _write_focus(
    out: BinaryIO,
    count: _Count,
    tenant: TenantInfo,
    day: date,
    totals: Iterable[PeriodTotals],
    keep: Keep,
    using: str,
) -> None:
    with snapshot_scope(tenant.id, using=using):
        write_focus_parquet(_list_focus(count, tenant, day, totals, keep, using), out)


def _list_focus(
    count: _Count, tenant: TenantInfo, day: date, totals: Iterable[PeriodTotals], keep: Keep, using: str
) -> Iterator[Row]:
    """A period after the other, in the provider's view: a day is no invoice, so it names none and rounds to no cent."""
    for each in totals:
        rows = list_focus_rows(tenant=tenant, period=each.period, view=PROVIDER, booked_on=day, using=using)
        for row in rows:
            if count.rows % ROWS_PER_BREATH == 0:
                keep()
            cost = row["BilledCost"]
            assert isinstance(cost, Decimal)
            count.add(1, [cost], "\x1f".join(map(write_field, row.values())).encode() + b"\n")
            yield row


def _compare(totals: Iterable[PeriodTotals], rows: FileFacts, focus: FileFacts) -> None:
    totals = list(totals)
    expected, billed = sum(each.rows for each in totals), add_up([each.billed_cost for each in totals])
    if rows.rows != expected:
        raise DayBroken(f"{rows.rows} rows were read, and {expected} are booked")
    for facts in (rows, focus):
        if facts.billed_cost != billed:
            raise DayBroken(f"{facts.dataset} comes to {facts.billed_cost} USD, and {billed} is booked")


def _name_writer() -> str:
    import pyarrow as pa

    return f"pyarrow {pa.__version__}"
