"""A tenant's statement of one month, before any chargeback rule: lines, coverage and control totals. Pure.

Every amount is exact, at 12 decimals, and its lines add up to the rows beneath them. A figure that is shown is its own
exact amount, rounded half-even to the cent, once; so figures that are shown may differ from the sum of others that are
shown, and the statement says by how much. What is charged is the exact total, rounded once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from audit.core.prices import NO_USAGE, REMAINDER, REPORTED

CENT = Decimal("0.01")
DIGITS_MAX = 60  # more than any sum of amounts has: adding them up rounds nothing
USAGE, CORRECTION, FEE, CREDIT, ADJUSTMENT, UNPRICED = SECTIONS = (
    "usage", "correction", "fee", "credit", "adjustment", "unpriced",
)  # fmt: skip
ROUNDING = "shown to the cent, each figure rounded once, half-even; charged is the exact total, rounded once"


class PeriodRefused(ValueError):
    """A month of which there is no statement; the text says why."""


def read_period(text: str, *, now: datetime) -> date:
    """The first day of a month, written 2026-10, that has begun in UTC. Raises PeriodRefused."""
    year, dash, month = text.partition("-")
    is_written = dash and len(year) == 4 and len(month) == 2 and (year + month).isascii() and (year + month).isdigit()
    if not is_written or not 1 <= int(month) <= 12 or not 2000 <= int(year) <= 2199:
        raise PeriodRefused("a period is a calendar month in UTC, written as 2026-10")
    first = date(int(year), int(month), 1)
    if first > now.astimezone(UTC).date():
        raise PeriodRefused(f"the period {text} has not begun")
    return first


def find_bounds(period: date) -> tuple[datetime, datetime]:
    """The month's first moment in UTC, and the first after it."""
    after = date(period.year + period.month // 12, period.month % 12 + 1, 1)
    return datetime(period.year, period.month, 1, tzinfo=UTC), datetime(after.year, after.month, 1, tzinfo=UTC)


def number_statement(tenant_slug: str, period: date) -> str:
    """What a tenant's statement of a month is called.

    >>> number_statement("acme", date(2026, 10, 1))
    'ACME-2026-10'
    """
    return f"{tenant_slug.upper()}-{period:%Y-%m}"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One meter of a feature and model at one price, or whatever else is charged.

    number: from 1, through the whole statement. id: the same however many other lines there are. meter: the price
    list's word; usage: the ledger's. quantity × price / per is the amount, where there is a price. amount, list_amount:
    exact; None of what has no price. rows: of the ledger, beneath it. charge_month: in which it was used. note: words.
    """

    number: int
    id: str
    section: str
    feature: str
    provider: str
    model: str
    meter: str
    usage: str
    quantity: Decimal
    price: Decimal | None
    list_price: Decimal | None
    per: int
    amount: Decimal | None
    list_amount: Decimal | None
    rows: int
    rate_version_id: int | None
    rate_hash: str
    context_tier: int
    cache_hit: bool
    charge_month: date
    subject: Mapping[str, str]
    kinds: tuple[str, ...]
    pricing_status: str
    note: str

    @property
    def shown(self) -> Decimal | None:
        """The amount as people read it."""
        return None if self.amount is None else round_to_cent(self.amount)

    @property
    def contracted_amount(self) -> Decimal | None:
        """At the agreed prices: what the ledger bills, until a rule of chargeback comes between."""
        return self.amount

    @property
    def effective_amount(self) -> Decimal | None:
        """After prepayments and commitments, of which there are none."""
        return self.amount


@dataclass(frozen=True, slots=True)
class StatementGroup:
    """The lines of a feature and a model. rows: all of the ledger beneath them."""

    section: str
    feature: str
    provider: str
    model: str
    lines: tuple[StatementLine, ...]
    rows: int
    amount: Decimal | None
    list_amount: Decimal | None

    @property
    def shown(self) -> Decimal | None:
        return None if self.amount is None else round_to_cent(self.amount)


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """Something to add up oneself: how many, and what they cost. A count or an amount may be unknown to it: None."""

    name: str
    count: int | None
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class SectionTotal:
    """What a section's lines come to."""

    section: str
    lines: int
    rows: int
    amount: Decimal
    list_amount: Decimal

    @property
    def shown(self) -> Decimal:
        return round_to_cent(self.amount)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The signed head of the tenant's tree that holds every row of the statement; hashes hexadecimal."""

    origin: str
    size: int
    root: str
    signed_at: datetime
    key_id: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What a tenant's calls of one month cost, as the ledger had it when it was read.

    groups: of every section, in the order of SECTIONS, the dearest first. rows, calls: all of them, the unpriced
    among them. booked_until: when the last of the rows was booked; None where there is none. acts: administrative
    entries of the month, which cost nothing. checkpoint: None where not everything is sealed yet.
    is_simulated: of a demo.
    """

    number: str
    tenant_slug: str
    tenant_name: str
    period: date
    start: datetime
    end: datetime
    currency: str
    is_over: bool
    groups: tuple[StatementGroup, ...]
    sections: tuple[SectionTotal, ...]
    rows: int
    calls: int
    unpriced_calls: int
    acts: int
    amount: Decimal
    list_amount: Decimal
    saved_amount: Decimal
    booked_until: datetime | None
    checkpoint: Checkpoint | None = None
    is_simulated: bool = False

    @property
    def lines(self) -> tuple[StatementLine, ...]:
        """All of them, in their order; those without a price last."""
        return tuple(line for group in self.groups for line in group.lines)

    @property
    def charged(self) -> Decimal:
        """The exact total, rounded once."""
        return round_to_cent(self.amount)

    @property
    def priced_calls(self) -> int:
        return self.calls - self.unpriced_calls

    @property
    def priced_share(self) -> Decimal | None:
        """From 0 to 1; None where there was no call."""
        return Decimal(self.priced_calls) / self.calls if self.calls else None

    @property
    def shown_total(self) -> Decimal:
        """What the lines come to as they are shown."""
        return add_up(line.shown for line in self.lines)

    @property
    def remainder(self) -> Decimal:
        """Of rounding each row at 12 decimals, and of rows that differ from their price list."""
        return add_up(line.amount for line in self.lines if line.meter == REMAINDER)

    def list_groups(self, section: str) -> tuple[StatementGroup, ...]:
        return tuple(group for group in self.groups if group.section == section)

    def list_controls(self) -> list[ControlTotal]:
        """What may be added up, from the lines down to the rows."""
        priced = [line for line in self.lines if line.amount is not None]
        shown = self.shown_total
        return [
            ControlTotal("Lines, as shown", len(priced), shown),
            ControlTotal("Rounding of the lines shown", None, self.charged - shown),
            ControlTotal("Charged", None, self.charged),
            ControlTotal("Ledger rows, exact", self.rows, self.amount),
            ControlTotal("Rounding of the total, shown and not charged", None, self.charged - self.amount),
            ControlTotal("Quantities × prices, exact", None, self.amount - self.remainder),
            ControlTotal("At list prices, exact", None, self.list_amount),
            ControlTotal("Calls without a price, not charged", self.unpriced_calls, None),
        ]


def round_to_cent(amount: Decimal) -> Decimal:
    with localcontext() as context:
        context.prec = DIGITS_MAX
        return amount.quantize(CENT, ROUND_HALF_EVEN) + Decimal(0)  # which leaves no sign to a zero


def add_up(amounts: Iterable[Decimal | None]) -> Decimal:
    """The exact sum; None adds nothing."""
    with localcontext() as context:
        context.prec = DIGITS_MAX
        return sum((amount for amount in amounts if amount is not None), Decimal(0))


# --- the rows beneath a figure ---


def link_rows(
    period: date, *, line: StatementLine | None = None, group: StatementGroup | None = None
) -> tuple[tuple[str, str], ...]:
    """The ledger's filters, name and value, that find the rows beneath a line, a group, or the whole month."""
    filters = [("billing_period", f"{period:%Y-%m}")]
    about = line or group
    if about is not None:
        filters += [("feature", about.feature), ("provider", about.provider), ("model", about.model)]
    if group is not None:
        filters += [("kind", kind) for kind in sorted({kind for each in group.lines for kind in each.kinds})]
        statuses = {each.pricing_status for each in group.lines}
        filters += [("pricing_status", status) for status in sorted(statuses)]
    if line is not None:
        filters += [("kind", kind) for kind in line.kinds]
        filters.append(("pricing_status", line.pricing_status))
        filters.append(("rate_version", str(line.rate_version_id or "")))
        filters.append(("cache_hit", "yes" if line.cache_hit else "no"))
        if line.usage not in (REPORTED, NO_USAGE, REMAINDER) and line.section not in (FEE, CREDIT, ADJUSTMENT):
            filters.append(("context_tier", str(line.context_tier)))
            if line.usage != "requests":  # which a call is without saying so
                filters.append(("usage", line.usage))
    return tuple(filters)
