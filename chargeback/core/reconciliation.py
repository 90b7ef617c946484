"""A bill beside the ledger: what differs by provider, model and day, what explains it, and what nothing explains. Pure.

Every amount of either side stands in exactly one row, so the rows sum to bill − ledger to the last digit, whatever was
matched with what. Amounts are USD.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import TypeVar

from chargeback.core.bills.charges import CREDIT, DIGITS_MAX, DISCOUNT, OTHER_SERVICE, TAX

TIMING, ROUNDING, DISCOUNTED, TAXED, NOT_IN_LEDGER = "timing", "rounding", "discount", "tax", "not_in_ledger"
NOT_ON_BILL, RATE, EXCHANGE, ANOTHER_SERVICE, OTHER = "not_on_bill", "rate", "exchange", "other_service", "other"
REASONS = {
    TIMING: "timing",
    ROUNDING: "rounding",
    DISCOUNTED: "discount or credit",
    TAXED: "tax",
    NOT_IN_LEDGER: "not in the ledger (unmetered use)",
    NOT_ON_BILL: "not on the bill",
    RATE: "rate differs",
    EXCHANGE: "exchange",
    ANOTHER_SERVICE: "another service of the provider",
    OTHER: "other",
}
# What a bill itself says that the ledger cannot hold.
REASON_OF_CATEGORY = {TAX: TAXED, CREDIT: DISCOUNTED, DISCOUNT: DISCOUNTED, OTHER_SERVICE: ANOTHER_SERVICE}
HUNDRED = Decimal(100)
PICO = Decimal("0.000000000001")
PERCENT_STEP = Decimal("0.01")

Place = tuple[str, str, date]  # provider, model, day
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Billed:
    """What bills charge for one place and category."""

    place: Place
    category: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Booked:
    """What the ledger holds for one place."""

    place: Place
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Decision:
    """How much of a row's variance a person explains, and by what."""

    place: Place
    reason: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What may stay unexplained: up to `absolute` USD, or up to `percent` of the bill."""

    absolute: Decimal
    percent: Decimal

    def covers(self, amount: Decimal, *, bill: Decimal) -> bool:
        with localcontext(prec=DIGITS_MAX):
            return abs(amount) <= self.absolute or abs(amount) * HUNDRED <= self.percent * abs(bill)


DEFAULT_TOLERANCE = Tolerance(Decimal("1.00"), Decimal("0.5"))


@dataclass(frozen=True, slots=True)
class Sums:
    """Both sides of some rows. explained: by reason; what a bill says itself and what people decided."""

    bill: Decimal = Decimal(0)
    ledger: Decimal = Decimal(0)
    explained: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def variance(self) -> Decimal:
        with localcontext(prec=DIGITS_MAX):
            return self.bill - self.ledger

    @property
    def explanation(self) -> Decimal:
        """How much of the variance has a reason."""
        with localcontext(prec=DIGITS_MAX):
            return sum(self.explained.values(), Decimal(0))

    @property
    def unexplained(self) -> Decimal:
        with localcontext(prec=DIGITS_MAX):
            return self.variance - self.explanation

    @property
    def percent(self) -> Decimal | None:
        """The variance in percent of the bill, to two decimals; None where nothing is billed."""
        if not self.bill:
            return None
        with localcontext(prec=DIGITS_MAX):
            return (self.variance * HUNDRED / abs(self.bill)).quantize(PERCENT_STEP)


@dataclass(frozen=True, slots=True)
class Row:
    """One provider, model and day. hint: the reason that its figures suggest, '' where it is within tolerance."""

    provider: str
    model: str
    day: date
    sums: Sums
    is_on_bill: bool
    is_in_ledger: bool
    is_within: bool
    hint: str = ""

    @property
    def place(self) -> Place:
        return self.provider, self.model, self.day


@dataclass(frozen=True, slots=True)
class Group:
    """The days of a provider and model, by which a month is judged: a call of midnight is no difference of a month."""

    provider: str
    model: str
    sums: Sums
    is_within: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """rows by provider, model and day; groups by provider and model; total of all."""

    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    total: Sums
    tolerance: Tolerance

    @property
    def open_groups(self) -> tuple[Group, ...]:
        """What stands in the way of a sign-off."""
        return tuple(group for group in self.groups if not group.is_within)


def to_ledger_currency(amount: Decimal, *, rate: Decimal) -> Decimal:
    """USD of an amount of which one USD is worth `rate`, to the ledger's twelve decimals, half-even."""
    with localcontext(prec=DIGITS_MAX):
        return (amount / rate).quantize(PICO, ROUND_HALF_EVEN)


def next_month(period: date) -> date:
    """The first day of the month after."""
    return (period.replace(day=28) + timedelta(days=4)).replace(day=1)


def compare(
    billed: Iterable[Billed], booked: Iterable[Booked], decisions: Iterable[Decision], *, tolerance: Tolerance
) -> Comparison:
    """Put both sides beside each other. A decision about a place that neither side has any more is a row too."""
    bill: defaultdict[Place, Decimal] = defaultdict(Decimal)
    ledger: defaultdict[Place, Decimal] = defaultdict(Decimal)
    explained: defaultdict[Place, defaultdict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    with localcontext(prec=DIGITS_MAX):
        for one in billed:
            bill[one.place] += one.amount
            if reason := REASON_OF_CATEGORY.get(one.category):
                explained[one.place][reason] += one.amount
        for each in booked:
            ledger[each.place] += each.amount
        for decision in decisions:
            explained[decision.place][decision.reason] += decision.amount
    rows = []
    for place in sorted({*bill, *ledger, *explained}):
        reasons = {reason: amount for reason, amount in explained.get(place, {}).items() if amount}
        sums = Sums(bill.get(place, Decimal(0)), ledger.get(place, Decimal(0)), reasons)
        is_within = tolerance.covers(sums.unexplained, bill=sums.bill)
        rows.append(Row(*place, sums, place in bill, place in ledger, is_within))
    groups = [
        Group(*pair, sums, tolerance.covers(sums.unexplained, bill=sums.bill))
        for pair, sums in sum_by(rows, lambda row: (row.provider, row.model)).items()
    ]
    total = add_sums(row.sums for row in rows)
    return Comparison(tuple(_hint(rows, tolerance)), tuple(groups), total, tolerance)


def add_sums(parts: Iterable[Sums]) -> Sums:
    """The exact sum of both sides, and of each reason."""
    bill = ledger = Decimal(0)
    explained: defaultdict[str, Decimal] = defaultdict(Decimal)
    with localcontext(prec=DIGITS_MAX):
        for part in parts:
            bill += part.bill
            ledger += part.ledger
            for reason, amount in part.explained.items():
                explained[reason] += amount
    return Sums(bill, ledger, {reason: amount for reason, amount in sorted(explained.items()) if amount})


def sum_by(rows: Iterable[Row], name: Callable[[Row], Name]) -> dict[Name, Sums]:
    """The sums of the rows that have the same name, in the rows' order."""
    parts: defaultdict[Name, list[Sums]] = defaultdict(list)
    for row in rows:
        parts[name(row)].append(row.sums)
    return {each: add_sums(found) for each, found in parts.items()}


def explain_rest(rows: Sequence[Row], *, reason: str) -> list[Decision]:
    """What a person has to add to the reason for nothing of the rows to stay unexplained."""
    return [Decision(row.place, reason, row.sums.unexplained) for row in rows if row.sums.unexplained]


def _hint(rows: Sequence[Row], tolerance: Tolerance) -> Iterable[Row]:
    left = {row.place: row.sums.unexplained for row in rows}
    for row in rows:
        yield row if row.is_within else _with_hint(row, left, tolerance)


def _with_hint(row: Row, left: Mapping[Place, Decimal], tolerance: Tolerance) -> Row:
    own = row.sums.unexplained
    for step in (-1, 1):
        beside = left.get((row.provider, row.model, row.day + timedelta(days=step)), Decimal(0))
        if own * beside < 0 and tolerance.covers(own + beside, bill=row.sums.bill):
            return replace(row, hint=TIMING)
    if not row.is_in_ledger:
        return replace(row, hint=NOT_IN_LEDGER)
    return replace(row, hint=RATE if row.is_on_bill else NOT_ON_BILL)
