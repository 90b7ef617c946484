"""What every reader gives: the charges of a bill, what is told about them, and what is wrong with a file. Pure."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)

USAGE, TAX, CREDIT, DISCOUNT, FEE, ADJUSTMENT = "usage", "tax", "credit", "discount", "fee", "adjustment"
OTHER_SERVICE = "other_service"  # of the same provider, and none that runs models
CATEGORIES = (USAGE, TAX, CREDIT, DISCOUNT, FEE, ADJUSTMENT, OTHER_SERVICE)
PROBLEMS_MAX = 100
NOTES_MAX = 100
DIGITS_MAX = 80  # of a sum: 15 before the point, 40 behind it, and room


@dataclass(frozen=True, slots=True)
class BillCharge:
    """One charge as a bill says it.

    line: of the file, from 1, its heading among them; of JSON the number of the result. [start, end) in UTC.
    provider: the rate book's id. account: whose bill it is at the provider, '' where it says none. model: as the bill
    spells it, '' where the charge is of none. amount: in `currency`, every digit of the file. line_id: the provider's
    own, '' for none. filed: the day of the bill whose restatement restates it; None for the day of its beginning.
    """

    line: int
    start: datetime
    end: datetime
    provider: str
    account: str
    model: str
    description: str
    amount: Decimal
    currency: str
    category: str
    line_id: str = ""
    filed: date | None = None

    @property
    def day(self) -> date:
        """The day of UTC on which it is compared: that of its beginning, for a charge of a whole month too."""
        return self.start.date()

    @property
    def filed_day(self) -> date:
        """A correction of October in November's bill is of a day of October, and restated with November's bill."""
        return self.filed or self.day


@dataclass(frozen=True, slots=True)
class BillProblem:
    """What keeps a file from being read. line: 0 for the file; column: '' where it is none's alone."""

    line: int
    column: str
    detail: str

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else "file"
        return f"{place}, {self.column}: {self.detail}" if self.column else f"{place}: {self.detail}"


@dataclass(frozen=True, slots=True)
class BillNote:
    """What was read and is told, though nothing is wrong. code: duplicate_id, restated_id, identical_lines, empty."""

    code: str
    lines: tuple[int, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The days of which a file says what a provider charges an account, [first, last], those without a charge too."""

    provider: str
    account: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class ReadBill:
    """A file that was read."""

    format: str
    charges: tuple[BillCharge, ...]
    covers: tuple[Coverage, ...]
    notes: tuple[BillNote, ...]

    @property
    def totals(self) -> dict[str, Decimal]:
        """The exact sum of each currency."""
        return sum_amounts((charge.currency, charge.amount) for charge in self.charges)


class BillRefused(ValueError):
    """A file that is not read; `problems` holds the first hundred, in the order of lines. count: of all."""

    def __init__(self, problems: Sequence[BillProblem]) -> None:
        super().__init__("; ".join(map(str, problems[:3])))
        self.problems = tuple(problems[:PROBLEMS_MAX])
        self.count = len(problems)


def sum_amounts(amounts: Iterable[tuple[Name, Decimal]]) -> dict[Name, Decimal]:
    """Exact sums by name, in the order in which the names came."""
    sums: defaultdict[Name, Decimal] = defaultdict(Decimal)
    with localcontext(prec=DIGITS_MAX):
        for name, amount in amounts:
            sums[name] += amount
    return dict(sums)


def finish_bill(
    format_name: str, charges: Sequence[BillCharge], *, stated: Sequence[Coverage] = (), notes: Sequence[BillNote] = ()
) -> ReadBill:
    """Settle repeated lines, and say which days the file covers: from the first to the last day of each account.

    stated: days that the file itself says it is about. Raises BillRefused for a file without a charge or a day.
    """
    kept, told = settle_repeats(charges)
    covers = _find_coverage(kept, stated)
    if not covers:
        raise BillRefused([BillProblem(0, "", "holds no charge; export the days again with their costs")])
    return ReadBill(format_name, tuple(kept), covers, (*notes, *told)[:NOTES_MAX])


def settle_repeats(charges: Sequence[BillCharge]) -> tuple[list[BillCharge], list[BillNote]]:
    """Each line id once, the last line that has it; lines without one all stay, those that are alike are told.

    A provider gives an id to one charge: the same id again is the same charge, sent twice or corrected since. Lines
    without an id may well be two charges of the same amount, and a bill that is paid counts both.
    """
    last = {charge.line_id: charge for charge in charges if charge.line_id}
    kept = [charge for charge in charges if not charge.line_id or last[charge.line_id] is charge]
    by_id: defaultdict[str, list[BillCharge]] = defaultdict(list)
    alike: defaultdict[tuple[object, ...], list[int]] = defaultdict(list)
    for charge in charges:
        if charge.line_id:
            by_id[charge.line_id].append(charge)
        else:
            alike[_name_facts(charge)].append(charge.line)
    notes = [_tell_repeat(line_id, found) for line_id, found in by_id.items() if len(found) > 1]
    notes += [
        BillNote("identical_lines", tuple(lines), f"{len(lines)} lines say the same and have no id: all are counted")
        for lines in alike.values()
        if len(lines) > 1
    ]
    return kept, sorted(notes, key=lambda note: note.lines)


def _name_facts(charge: BillCharge) -> tuple[object, ...]:
    return (
        charge.start, charge.end, charge.provider, charge.account, charge.model, charge.description, charge.amount,
        charge.currency, charge.category,
    )  # fmt: skip


def _tell_repeat(line_id: str, found: Sequence[BillCharge]) -> BillNote:
    lines, last = tuple(charge.line for charge in found), found[-1]
    if len({_name_facts(charge) for charge in found}) == 1:
        return BillNote("duplicate_id", lines, f"the id {line_id} stands {len(found)} times: it is counted once")
    amounts = " then ".join(f"{charge.amount:f}" for charge in found)
    return BillNote("restated_id", lines, f"the id {line_id} is restated, {amounts}: line {last.line} counts")


def _find_coverage(charges: Sequence[BillCharge], stated: Sequence[Coverage]) -> tuple[Coverage, ...]:
    days: dict[tuple[str, str], tuple[date, date]] = {}

    def widen(provider: str, account: str, first: date, last: date) -> None:
        before = days.get((provider, account), (first, last))
        days[provider, account] = (min(before[0], first), max(before[1], last))

    for charge in charges:
        widen(charge.provider, charge.account, charge.filed_day, charge.filed_day)
    for cover in stated:
        # A provider that names accounts in its lines is covered account by account.
        accounts = [known for known in days if known[0] == cover.provider] or [(cover.provider, cover.account)]
        for provider, account in accounts:
            widen(provider, account, cover.first, cover.last)
    return tuple(Coverage(*place, *span) for place, span in sorted(days.items()))


def strip_zeros(amount: Decimal) -> Decimal:
    """The same amount without the zeros that a column of forty decimals adds."""
    with localcontext(prec=DIGITS_MAX):
        stripped = amount.normalize()
        return stripped if int(stripped.as_tuple().exponent) <= 0 else stripped.quantize(Decimal(1))


def end_of_day(day: datetime) -> datetime:
    """The moment at which the day that begins at `day` ends."""
    return day + timedelta(days=1)


def clamp_day(day: date, *, first: date, after: date) -> date:
    """The day, or the nearest one of the billing period [first, after)."""
    return min(max(day, first), after - timedelta(days=1))
