"""Which format a file has, found by what it holds and not by its name. Pure."""

from collections.abc import Callable, Sequence

from chargeback.core.bills import anthropic, aws, focus, mappings, openai
from chargeback.core.bills.charges import BillProblem, BillRefused, ReadBill
from chargeback.core.bills.documents import read_pages
from chargeback.core.bills.mappings import Mapping, read_mapped
from chargeback.core.bills.tables import LayoutUnknown, Table, read_table

MAPPED = mappings.FORMAT
# In the order in which they are tried: CUR and FOCUS have columns that no other has.
_TABLES: dict[str, tuple[Callable[[Sequence[str]], bool], Callable[[Table], ReadBill]]] = {
    aws.FORMAT: (aws.is_table, aws.read_report),
    focus.FORMAT: (focus.is_table, focus.read_focus),
    openai.FORMAT_CSV: (openai.is_table, openai.read_costs_table),
    anthropic.FORMAT_CSV: (anthropic.is_table, anthropic.read_costs_table),
}
FORMATS = {
    openai.FORMAT_CSV: "OpenAI costs export",
    openai.FORMAT_JSON: "OpenAI Costs API",
    anthropic.FORMAT_CSV: "Anthropic console",
    anthropic.FORMAT_JSON: "Anthropic cost report",
    aws.FORMAT: "AWS Cost and Usage Report",
    focus.FORMAT: "FOCUS",
    MAPPED: "CSV by a mapping",
}


def find_format(columns: Sequence[str]) -> str | None:
    """The format of a table with these columns; None where only a mapping can tell."""
    return next((name for name, (is_table, _) in _TABLES.items() if is_table(columns)), None)


def read_bill(content: bytes, *, find_mapping: Callable[[Sequence[str]], Mapping | None]) -> ReadBill:
    """The bill of a file, CSV or JSON. find_mapping: the mapping that is remembered for columns, if one.

    A mapping goes before the formats: whoever wrote one for these columns meant it. Raises BillRefused, LayoutUnknown.
    """
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return _read_document(content)
    return read_rows(read_table(content), find_mapping=find_mapping)


def read_rows(table: Table, *, find_mapping: Callable[[Sequence[str]], Mapping | None]) -> ReadBill:
    """The bill of a table, from whatever kind of file. Raises BillRefused, LayoutUnknown."""
    if (mapping := find_mapping(table.columns)) is not None:
        return read_mapped(table, mapping)
    name = find_format(table.columns)
    if name is None:
        raise LayoutUnknown(table)
    return _TABLES[name][1](table)


def _read_document(content: bytes) -> ReadBill:
    pages = read_pages(content)
    if openai.is_document(pages):
        return openai.read_costs_document(pages)
    if anthropic.is_document(pages):
        return anthropic.read_costs_document(pages)
    raise BillRefused(
        [BillProblem(0, "", "is JSON of no bill that is known: OpenAI's costs, or Anthropic's cost report")]
    )
