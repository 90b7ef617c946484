"""A walk through the rows of a bill that goes on past what is wrong, to tell all of it at once. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from chargeback.core.bills.charges import BillCharge, BillProblem, BillRefused
from chargeback.core.bills.tables import Row

T = TypeVar("T")


class CellWrong(Exception):
    """A field of the row is wrong, and is among the problems already."""


@dataclass(slots=True)
class RowReader:
    """One row; `read` keeps what is wrong with a field, and ends the row's reading where it is needed."""

    line: int
    row: Row
    problems: list[BillProblem] = field(default_factory=list)

    def get(self, *columns: str) -> str:
        """The first of the columns that says something, blanks dropped; '' where none does."""
        return next((text for name in columns if (text := self.row.get(name, "").strip())), "")

    def read(self, column: str, reader: Callable[[str], T]) -> T:
        """What a column's field means. Raises CellWrong."""
        return self.read_text(column, self.row.get(column, ""), reader)

    def read_text(self, column: str, text: str, reader: Callable[[str], T]) -> T:
        """What a text means that was found in the column, or made from it. Raises CellWrong."""
        try:
            return reader(text)
        except ValueError as error:
            self.problems.append(BillProblem(self.line, column, str(error)))
            raise CellWrong from None


def read_charges(
    rows: Iterable[tuple[int, Row]], read_row: Callable[[RowReader], BillCharge | None]
) -> list[BillCharge]:
    """A charge from each row that is one. Raises BillRefused with what is wrong in all of them."""
    charges: list[BillCharge] = []
    problems: list[BillProblem] = []
    for line, row in rows:
        try:
            charge = read_row(RowReader(line, row, problems))
        except CellWrong:
            continue
        if charge is not None:
            charges.append(charge)
    if problems:
        raise BillRefused(problems)
    return charges


def has_columns(columns: Sequence[str], needed: Iterable[str]) -> bool:
    """Whether each of the columns is there."""
    return set(needed) <= set(columns)
