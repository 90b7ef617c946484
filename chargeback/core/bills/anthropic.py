"""Anthropic: the cost report of the Admin API, and the CSV of the console's cost page. Pure.

https://platform.claude.com/docs/en/api/admin/cost_report : buckets of a day, `amount` in cents with decimals ("123.45"
is 1.2345 USD). The console's file has usage_date_utc, model (its display name), workspace, token_type, cost_usd rounded
to the cent. Neither has an id for a line.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Any

from chargeback.core.bills.cells import check_amount, read_amount, read_currency, read_moment, read_text
from chargeback.core.bills.charges import (
    DIGITS_MAX,
    USAGE,
    BillCharge,
    Coverage,
    ReadBill,
    end_of_day,
    finish_bill,
)
from chargeback.core.bills.documents import list_buckets, tell_pages, write_cell
from chargeback.core.bills.rows import RowReader, read_charges
from chargeback.core.bills.tables import Row, Table

FORMAT_CSV, FORMAT_JSON = "anthropic_csv", "anthropic_json"
PROVIDER = "anthropic"
CENTS = Decimal("0.01")
WHAT = ("token_type", "cost_type", "service_tier", "context_window", "inference_geo", "speed")


def is_table(columns: Iterable[str]) -> bool:
    return {"usage_date_utc", "cost_usd"} <= set(columns)


def is_document(pages: list[Any]) -> bool:
    return all(
        "starting_at" in bucket and "ending_at" in bucket for page in pages for _, bucket in list_buckets(page)
    ) and any(page["data"] for page in pages)


def read_costs_table(table: Table) -> ReadBill:
    """The charges of the console's file. Raises BillRefused."""
    return finish_bill(FORMAT_CSV, read_charges(table.rows, _read_row))


def read_costs_document(pages: list[Any]) -> ReadBill:
    """The charges of the API's pages. Raises BillRefused."""
    charges = read_charges(_list_results(pages), _read_result)
    return finish_bill(FORMAT_JSON, charges, stated=list(_list_covered(pages)), notes=tell_pages(pages))


def _read_row(reader: RowReader) -> BillCharge:
    start = reader.read("usage_date_utc", read_moment)
    return BillCharge(
        line=reader.line,
        start=start,
        end=end_of_day(start),
        provider=PROVIDER,
        account="",
        model=read_text(reader.get("model")),
        description=_describe(reader.row),
        amount=reader.read("cost_usd", read_amount),
        currency="USD",
        category=USAGE,
    )


def _list_results(pages: list[Any]) -> Iterator[tuple[int, Row]]:
    number = 0
    for page in pages:
        for _, bucket in list_buckets(page):
            for result in bucket["results"]:
                number += 1
                facts = {name: write_cell(value) for name, value in result.items() if not isinstance(value, Mapping)}
                ends = {name: write_cell(bucket.get(name)) for name in ("starting_at", "ending_at")}
                yield number, facts | ends


def _list_covered(pages: list[Any]) -> Iterator[Coverage]:
    for page in pages:
        for _, bucket in list_buckets(page):
            try:
                day = read_moment(write_cell(bucket.get("starting_at"))).date()
            except ValueError:
                continue  # told where its results are read
            yield Coverage(PROVIDER, "", day, day)


def _read_result(reader: RowReader) -> BillCharge:
    return BillCharge(
        line=reader.line,
        start=reader.read("starting_at", read_moment),
        end=reader.read("ending_at", read_moment),
        provider=PROVIDER,
        account="",
        model=read_text(reader.get("model")),
        description=read_text(reader.get("description")) or _describe(reader.row),
        amount=reader.read("amount", _read_cents),
        currency=reader.read("currency", _read_dollars),
        category=USAGE,
    )


def _describe(row: Row) -> str:
    return ", ".join(text for name in WHAT if (text := read_text(row.get(name, ""))))


def _read_cents(text: str) -> Decimal:
    with localcontext(prec=DIGITS_MAX):
        return check_amount(read_amount(text) * CENTS)


def _read_dollars(text: str) -> str:
    if read_currency(text) != "USD":
        raise ValueError("is not USD: how much of another currency its smallest unit is, is not known here")
    return "USD"
