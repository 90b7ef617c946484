"""A mapping: which column of somebody's CSV is what, said once by a person and remembered by the columns. Pure."""

import hashlib
import json
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from chargeback.core.bills.cells import (
    DAY_ORDERS,
    read_currency,
    read_local_amount,
    read_local_day,
    read_moment,
    read_text,
)
from chargeback.core.bills.charges import CATEGORIES, USAGE, BillCharge, ReadBill, end_of_day, finish_bill
from chargeback.core.bills.providers import find_provider
from chargeback.core.bills.rows import RowReader, read_charges
from chargeback.core.bills.tables import Table

FORMAT = "mapped"
FIELDS = ("day", "amount", "provider", "model", "description", "currency", "category", "account", "line_id")
REQUIRED = ("day", "amount")
CONSTANTS = ("provider", "currency", "account")  # that may be the same for every line
THOUSANDS = ("", ",", ".", " ", "'")
DECIMALS = (".", ",")
TEXT_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class MappingProblem:
    """What is wrong with a mapping, by its member."""

    field: str
    detail: str
    code: str = "invalid_value"


class MappingRefused(ValueError):
    """A mapping that cannot be; `problems` holds all that is wrong."""

    def __init__(self, problems: Sequence[MappingProblem]) -> None:
        super().__init__("; ".join(f"{problem.field}: {problem.detail}" for problem in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Mapping:
    """columns: of FIELDS, each with the name of its column. constants: provider, currency and account of every line.

    thousands: what stands between thousands, '' for nothing; decimal: what stands before decimals; day_order: iso,
    day_month_year or month_day_year.
    """

    columns: AnyMapping[str, str]
    constants: AnyMapping[str, str]
    thousands: str = ""
    decimal: str = "."
    day_order: str = "iso"


def read_mapping(document: Any) -> Mapping:
    """The mapping that a JSON object says. Raises MappingRefused with all of its problems."""
    if not isinstance(document, dict):
        raise MappingRefused([MappingProblem("", "must be an object")])
    problems = [
        MappingProblem(str(name)[:80], "is none of columns, constants, thousands, decimal, day_order", "unknown_field")
        for name in document
        if name not in ("columns", "constants", "thousands", "decimal", "day_order")
    ]
    columns = _read_texts("columns", document.get("columns", {}), FIELDS, problems)
    constants = _read_texts("constants", document.get("constants", {}), CONSTANTS, problems)
    for name in REQUIRED:
        if name not in columns:
            problems.append(MappingProblem(f"columns.{name}", "is required: name its column", "missing_field"))
    for name in ("provider", "currency"):
        if name not in columns and name not in constants:
            told = "is required: name its column, or what it is for every line"
            problems.append(MappingProblem(f"constants.{name}", told, "missing_field"))
    thousands = _read_choice("thousands", document.get("thousands", ""), THOUSANDS, problems)
    decimal = _read_choice("decimal", document.get("decimal", "."), DECIMALS, problems)
    order = _read_choice("day_order", document.get("day_order", "iso"), DAY_ORDERS, problems)
    if thousands == decimal:
        problems.append(MappingProblem("thousands", "is what stands before decimals too"))
    if currency := constants.get("currency"):
        try:
            constants["currency"] = read_currency(currency)
        except ValueError as error:
            problems.append(MappingProblem("constants.currency", str(error)))
    if problems:
        raise MappingRefused(problems)
    return Mapping(columns, constants, thousands, decimal, order)


def write_mapping(mapping: Mapping) -> dict[str, Any]:
    """The object that `read_mapping` reads."""
    return {
        "columns": dict(mapping.columns),
        "constants": dict(mapping.constants),
        "thousands": mapping.thousands,
        "decimal": mapping.decimal,
        "day_order": mapping.day_order,
    }


def hash_columns(columns: Sequence[str]) -> str:
    """What a mapping is remembered by: the columns' names in any order, SHA-256."""
    return hashlib.sha256(json.dumps(sorted(columns)).encode()).hexdigest()


def find_missing_columns(mapping: Mapping, columns: Sequence[str]) -> list[MappingProblem]:
    """The columns that the mapping names and the file does not have."""
    return [
        MappingProblem(f"columns.{name}", f"names {column!r}, which the file does not have")
        for name, column in mapping.columns.items()
        if column not in columns
    ]


def read_mapped(table: Table, mapping: Mapping) -> ReadBill:
    """The charges of a file whose columns the mapping names. Raises BillRefused, MappingRefused."""
    if missing := find_missing_columns(mapping, table.columns):
        raise MappingRefused(missing)

    def read_row(reader: RowReader) -> BillCharge:
        return _read_row(reader, mapping)

    return finish_bill(FORMAT, read_charges(table.rows, read_row))


def _read_row(reader: RowReader, mapping: Mapping) -> BillCharge:
    def get(field: str) -> str:
        column = mapping.columns.get(field)
        said = read_text(reader.row[column]) if column else ""
        return said or mapping.constants.get(field, "")

    def read_day(text: str) -> datetime:
        return read_local_day(text, order=mapping.day_order) if mapping.day_order != "iso" else read_moment(text)

    def read_amount(text: str) -> Decimal:
        return read_local_amount(text, thousands=mapping.thousands, decimal=mapping.decimal)

    start = reader.read(mapping.columns["day"], read_day)
    return BillCharge(
        line=reader.line,
        start=start,
        end=end_of_day(start),
        provider=find_provider(reader.read_text(mapping.columns.get("provider", ""), get("provider"), _require)),
        account=get("account"),
        model=get("model"),
        description=get("description"),
        amount=reader.read(mapping.columns["amount"], read_amount),
        currency=reader.read_text(mapping.columns.get("currency", ""), get("currency"), read_currency),
        category=_find_category(get("category")),
        line_id=get("line_id"),
    )


def _find_category(said: str) -> str:
    """One of ours where the word is one; usage where it is not, for every bill has categories of its own."""
    word = said.strip().lower()
    return word if word in CATEGORIES else USAGE


def _require(text: str) -> str:
    if not text:
        raise ValueError("is empty; say the provider in each line, or in the mapping for all of them")
    return text


def _read_texts(member: str, document: Any, names: Sequence[str], problems: list[MappingProblem]) -> dict[str, str]:
    if not isinstance(document, dict):
        problems.append(MappingProblem(member, "must be an object", "wrong_type"))
        return {}
    found: dict[str, str] = {}
    for name, text in document.items():
        if name not in names:
            problems.append(
                MappingProblem(f"{member}.{str(name)[:80]}", f"is none of {', '.join(names)}", "unknown_field")
            )
        elif not isinstance(text, str) or not 0 < len(text.strip()) <= TEXT_LENGTH_MAX or "\0" in text:
            problems.append(MappingProblem(f"{member}.{name}", f"must be text of 1 to {TEXT_LENGTH_MAX} characters"))
        else:
            found[name] = text.strip()
    return found


def _read_choice(member: str, said: Any, choices: Sequence[str], problems: list[MappingProblem]) -> str:
    if isinstance(said, str) and said in choices:
        return said
    problems.append(MappingProblem(member, f"must be one of {', '.join(repr(choice) for choice in choices)}"))
    return choices[0]
