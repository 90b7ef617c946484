"""Parquet: decimals as decimals, days as days. The library takes a while to load, so it is loaded when it is needed."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, BinaryIO

from audit.core import focus
from audit.core.records import (
    CENTS,
    DAY,
    LINE_COLUMNS,
    MONEY,
    PRICE,
    QUANTITY,
    WHOLE,
    YES,
    canonical_json,
    list_records,
    write_head,
)
from audit.core.statement import Statement

ROWS_PER_GROUP = 10_000
COMPRESSION = "zstd"


def write_parquet(statement: Statement, out: BinaryIO) -> None:
    """The statement's lines; its head is the file's metadata, under `tokenledger.statement`."""
    write_records(
        out,
        _make_schema(LINE_COLUMNS, {"tokenledger.statement": canonical_json(write_head(statement))}),
        list_records(statement),
    )


def write_focus_parquet(rows: Iterable[focus.Row], out: BinaryIO) -> None:
    """FOCUS rows as they come, some thousands in memory."""
    records = (tuple(row[name] for name in focus.COLUMNS) for row in rows)
    write_records(out, _make_schema(focus.COLUMNS, {}), records)


def _make_schema(columns: Mapping[str, str], metadata: Mapping[str, bytes]) -> Any:
    import pyarrow as pa

    money, exact = pa.decimal128(38, 12), pa.decimal128(38, focus.DECIMALS_MAX)
    types = {
        WHOLE: pa.int64(), QUANTITY: money, PRICE: exact, MONEY: money, CENTS: pa.decimal128(38, 2), DAY: pa.date32(),
        YES: pa.bool_(), focus.NUMBER: exact, focus.MOMENT: pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    return pa.schema([(name, types.get(kind, pa.string())) for name, kind in columns.items()], metadata or None)


def write_records(out: BinaryIO, schema: Any, records: Iterable[Sequence[Any]]) -> None:
    """Records in the order of the schema's columns, ROWS_PER_GROUP in memory."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    records = iter(records)
    with ParquetWriter(out, schema, compression=COMPRESSION) as writer:
        while page := list(islice(records, ROWS_PER_GROUP)):
            columns = [
                pa.array(values, type=column.type)
                for values, column in zip(zip(*page, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
