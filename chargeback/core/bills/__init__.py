"""Bills of providers as they come: one reader a format, all of them pure. docs/reconciliation.md names the sources.

A reader takes a file's bytes or rows and gives a `ReadBill`, or raises `BillRefused` with all that is wrong with it.
"""

from chargeback.core.bills.charges import (
    ADJUSTMENT,
    CATEGORIES,
    CREDIT,
    DISCOUNT,
    FEE,
    OTHER_SERVICE,
    TAX,
    USAGE,
    BillCharge,
    BillNote,
    BillProblem,
    BillRefused,
    Coverage,
    ReadBill,
)
from chargeback.core.bills.formats import FORMATS, MAPPED, find_format, read_bill, read_rows
from chargeback.core.bills.mappings import Mapping, MappingProblem, MappingRefused, read_mapping, write_mapping
from chargeback.core.bills.tables import LayoutUnknown, Table, read_table

__all__ = [
    "ADJUSTMENT",
    "CATEGORIES",
    "CREDIT",
    "DISCOUNT",
    "FEE",
    "FORMATS",
    "MAPPED",
    "OTHER_SERVICE",
    "TAX",
    "USAGE",
    "BillCharge",
    "BillNote",
    "BillProblem",
    "BillRefused",
    "Coverage",
    "LayoutUnknown",
    "Mapping",
    "MappingProblem",
    "MappingRefused",
    "ReadBill",
    "Table",
    "find_format",
    "read_bill",
    "read_mapping",
    "read_rows",
    "read_table",
    "write_mapping",
]
