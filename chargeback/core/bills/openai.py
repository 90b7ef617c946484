"""OpenAI: the Costs API's answer, and the costs export of its dashboard. Pure.

https://platform.openai.com/docs/api-reference/usage/costs : buckets of a day, amounts in a currency's major unit.
The export has the same facts flat: start_time_iso, end_time_iso, amount_value, amount_currency, line_item, and the
project's and organisation's ids. Neither has an id for a line: what is alike is counted, and told.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from chargeback.core.bills.cells import read_amount, read_currency, read_moment, read_text
from chargeback.core.bills.charges import CREDIT, TAX, USAGE, BillCharge, Coverage, ReadBill, end_of_day, finish_bill
from chargeback.core.bills.documents import list_buckets, tell_pages, write_cell
from chargeback.core.bills.providers import read_line_item
from chargeback.core.bills.rows import RowReader, read_charges
from chargeback.core.bills.tables import Row, Table

FORMAT_CSV, FORMAT_JSON = "openai_csv", "openai_json"
PROVIDER = "openai"
NEEDED = ("amount_value", "amount_currency")
RESULT = "organization.costs.result"


def is_table(columns: Iterable[str]) -> bool:
    return {*NEEDED} <= set(columns) and bool({"start_time", "start_time_iso"} & set(columns))


def is_document(pages: list[Any]) -> bool:
    buckets = [bucket for page in pages for _, bucket in list_buckets(page)]
    results = [result for bucket in buckets for result in bucket["results"]]
    return all("start_time" in bucket for bucket in buckets) and all(
        result.get("object") == RESULT for result in results
    )


def read_costs_table(table: Table) -> ReadBill:
    """The charges of the export. Raises BillRefused."""
    return finish_bill(FORMAT_CSV, read_charges(table.rows, _read_row))


def read_costs_document(pages: list[Any]) -> ReadBill:
    """The charges of the API's pages; a bucket without a result is a day without a charge. Raises BillRefused."""
    charges = read_charges(_list_results(pages), _read_row)
    return finish_bill(FORMAT_JSON, charges, stated=list(_list_covered(pages)), notes=tell_pages(pages))


def _list_results(pages: list[Any]) -> Iterator[tuple[int, Row]]:
    """Each result as the row that the export would have, by its number."""
    number = 0
    for page in pages:
        for _, bucket in list_buckets(page):
            for result in bucket["results"]:
                number += 1
                amount = result.get("amount") or {}
                yield (
                    number,
                    {
                        "start_time": write_cell(bucket.get("start_time")),
                        "end_time": write_cell(bucket.get("end_time")),
                        "amount_value": write_cell(amount.get("value")),
                        "amount_currency": write_cell(amount.get("currency")),
                        **{
                            name: write_cell(result.get(name))
                            for name in ("line_item", "project_id", "organization_id")
                        },
                    },
                )


def _list_covered(pages: list[Any]) -> Iterator[Coverage]:
    for page in pages:
        for _, bucket in list_buckets(page):
            try:
                day = read_moment(write_cell(bucket.get("start_time"))).date()
            except ValueError:
                continue  # told where its results are read
            yield Coverage(PROVIDER, "", day, day)


def _read_row(reader: RowReader) -> BillCharge | None:
    # A day without a charge stands in the export as a row of its times alone.
    if not read_text(reader.get("amount_value")) and not read_text(reader.get("line_item")):
        return None
    start = reader.read_text("start_time", reader.get("start_time_iso", "start_time"), read_moment)
    line_item = read_text(reader.get("line_item"))
    return BillCharge(
        line=reader.line,
        start=start,
        end=_read_end(reader, start),
        provider=PROVIDER,
        account=read_text(reader.get("organization_id")),
        model=read_line_item(line_item),
        description=line_item,
        amount=reader.read("amount_value", read_amount),
        currency=reader.read("amount_currency", read_currency),
        category=_find_category(line_item),
    )


def _read_end(reader: RowReader, start: datetime) -> datetime:
    text = reader.get("end_time_iso", "end_time")
    return reader.read_text("end_time", text, read_moment) if text else end_of_day(start)


def _find_category(line_item: str) -> str:
    words = line_item.lower().split()
    if "tax" in words:
        return TAX
    return CREDIT if "credit" in words or "credits" in words else USAGE
