"""The bytes of a bill as they are sent: unpacked within bounds, CSV and JSON as they are, Parquet by its library."""

import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from chargeback.core.bills import BillProblem, BillRefused, Mapping, ReadBill, Table, read_bill, read_rows, read_table
from chargeback.core.bills.tables import COLUMNS_MAX, FILE_BYTES_MAX, LINES_MAX

GZIP_MAGIC = b"\x1f\x8b"
GZIP_WINDOW_BITS = 31
PARQUET_MAGIC = b"PAR1"

FindMapping = Callable[[Sequence[str]], Mapping | None]


def read_bill_file(content: bytes, *, find_mapping: FindMapping) -> ReadBill:
    """The bill of a file: CSV, JSON or Parquet, packed by gzip or not. Raises BillRefused, LayoutUnknown."""
    content = unpack(content)
    if content.startswith(PARQUET_MAGIC):
        return read_rows(_read_parquet(content), find_mapping=find_mapping)
    return read_bill(content, find_mapping=find_mapping)


def look_at_table(content: bytes, *, rows_max: int) -> Table:
    """The columns and first rows of a file whose columns are not known. Raises BillRefused."""
    content = unpack(content)
    table = _read_parquet(content) if content.startswith(PARQUET_MAGIC) else read_table(content)
    return Table(table.columns, table.rows[:rows_max])


def unpack(content: bytes) -> bytes:
    """The bytes, unpacked where they are gzip; no more than the bound, so that a small bomb stays small."""
    if not content.startswith(GZIP_MAGIC):
        return _check_size(content)
    unpacker = zlib.decompressobj(GZIP_WINDOW_BITS)
    try:
        unpacked = unpacker.decompress(content, FILE_BYTES_MAX + 1)
    except zlib.error:
        raise BillRefused([BillProblem(0, "", "says gzip and is not; send it again, or unpacked")]) from None
    if len(unpacked) <= FILE_BYTES_MAX and not unpacker.eof:
        raise BillRefused([BillProblem(0, "", "ends before its end; send it again")])
    return _check_size(unpacked)


def _check_size(content: bytes) -> bytes:
    if len(content) > FILE_BYTES_MAX:
        raise BillRefused([BillProblem(0, "", f"has more than {FILE_BYTES_MAX:,} bytes; send its days in parts")])
    return content


def _read_parquet(content: bytes) -> Table:
    """The rows of a Parquet file as those of a CSV: the heading would be line 1."""
    import pyarrow as pa  # as in `audit.formats.parquet`: it takes a while to load
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(io.BytesIO(content))
        columns = tuple(file.schema_arrow.names)
        if file.metadata.num_rows > LINES_MAX or len(columns) > COLUMNS_MAX:
            told = f"has more than {LINES_MAX:,} rows or {COLUMNS_MAX:,} columns; send the days in parts"
            raise BillRefused([BillProblem(0, "", told)])
        return Table(columns, tuple(_list_rows(file, columns)))
    except pa.ArrowException:
        raise BillRefused([BillProblem(0, "", "is no Parquet that can be read; send it again, or as CSV")]) from None


def _list_rows(file: Any, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    line = 1
    for batch in file.iter_batches():
        for row in batch.to_pylist():
            line += 1
            yield line, {name: _write_cell(row[name]) for name in columns}


def _write_cell(value: object) -> str:
    """A value as CSV would have it. A binary fraction as its shortest text, which is what it was written from."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)
