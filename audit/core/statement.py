"""A tenant's statement of one month, before any chargeback rule: lines, coverage and control totals. Pure.

Every amount is exact, at 12 decimals, and its lines add up to the rows beneath them. A figure that is shown is its own
exact amount, rounded half-even to the cent, once; so figures that are shown may differ from the sum of others that are
shown, and the statement says by how much. What is charged is the exact total, rounded once.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from itertools import groupby
from typing import Any, NamedTuple

from audit.core.prices import NO_USAGE, REMAINDER, REPORTED, Part, RowSums, is_rounding, split_costs
from ledger.core.entries import PICO

CENT = Decimal("0.01")
DIGITS_MAX = 60  # more than any sum of amounts has: adding them up rounds nothing
USAGE, CORRECTION, FEE, CREDIT, ADJUSTMENT, UNPRICED = SECTIONS = (
    "usage", "correction", "fee", "credit", "adjustment", "unpriced",
)  # fmt: skip
SECTION_BY_KIND = {"rating": CORRECTION, "correction": CORRECTION, "fee": FEE, "credit": CREDIT}
ROUNDING = "shown to the cent, each figure rounded once, half-even; charged is the exact total, rounded once"
FIRST_METERS = (
    "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", REPORTED,
)  # fmt: skip
LAST_METERS = (NO_USAGE, REMAINDER)


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


class RateContent(NamedTuple):
    """A published price list: its document, and the hash that the rows' leaves name."""

    content: Mapping[str, Any]
    content_hash: str


def make_statement(
    sums: Iterable[RowSums],
    *,
    rates: Mapping[int, RateContent],
    tenant_slug: str,
    tenant_name: str,
    period: date,
    acts: int,
    now: datetime,
    checkpoint: Checkpoint | None = None,
    is_simulated: bool = False,
) -> Statement:
    """The statement of a month from the sums of its rows. now says only whether the month is over."""
    sums = list(sums)
    start, end = find_bounds(period)
    groups = _number_lines(_group_lines(_merge_lines(sums, rates, period=period), sums, period=period))
    return Statement(
        number=number_statement(tenant_slug, period),
        tenant_slug=tenant_slug,
        tenant_name=tenant_name,
        period=period,
        start=start,
        end=end,
        currency="USD",
        is_over=now >= end,
        groups=groups,
        sections=tuple(_total_sections(groups)),
        rows=sum(each.rows for each in sums),
        calls=sum(each.calls for each in sums),
        unpriced_calls=sum(each.calls for each in sums if each.pricing_status == "unpriced"),
        acts=acts,
        amount=add_up(each.billed_cost for each in sums),
        list_amount=add_up(each.list_cost for each in sums),
        saved_amount=add_up(each.saved_cost for each in sums),
        booked_until=max((each.booked_until for each in sums), default=None),
        checkpoint=checkpoint,
        is_simulated=is_simulated,
    )


def find_section(sums: RowSums, *, period: date) -> str:
    """What was used in another month than it is charged in is a correction, whatever booked it."""
    if sums.pricing_status == "unpriced":
        return UNPRICED
    if sums.kind == "usage":
        return USAGE if sums.charge_month == period else CORRECTION
    return SECTION_BY_KIND.get(sums.kind, ADJUSTMENT)


class _Key(NamedTuple):
    """What makes two parts one line."""

    section: str
    feature: str
    provider: str
    model: str
    usage: str
    price: Decimal | None
    list_price: Decimal | None
    per: int
    rate_version_id: int | None
    context_tier: int
    cache_hit: bool
    charge_month: date
    subject: tuple[tuple[str, str], ...]
    pricing_status: str


def _make_key(sums: RowSums, part: Part, *, period: date) -> _Key:
    return _Key(
        find_section(sums, period=period), sums.feature, sums.provider, sums.model, part.usage, part.price,
        part.list_price, part.per, sums.rate_version_id, sums.context_tier, sums.cache_hit, sums.charge_month,
        () if sums.pricing_status == "unpriced" else tuple(sorted(sums.subject.items())), sums.pricing_status,
    )  # fmt: skip


def identify_line(sums: RowSums, part: Part, *, period: date) -> str:
    """The id of the line that a part belongs to: the same in every file of the month, whatever else is booked."""
    return _hash_key(_make_key(sums, part, period=period))


def _hash_key(key: _Key) -> str:
    """16 hexadecimal digits of the SHA-256 of all that tells one line from another."""
    return hashlib.sha256(_encode_key(key).encode()).hexdigest()[:16]


_encode_key = json.JSONEncoder(default=str).encode


def _merge_lines(sums: Iterable[RowSums], rates: Mapping[int, RateContent], *, period: date) -> Iterator[StatementLine]:
    """Each line, and after the lines of a price list what they leave of its rows' costs."""
    parts: dict[_Key, list[tuple[RowSums, Part]]] = defaultdict(list)
    booked: dict[_Key, list[RowSums]] = defaultdict(list)
    for each in sums:
        rate = rates.get(each.rate_version_id or 0)
        for part in split_costs(each, rate.content if rate else None):
            key = _make_key(each, part, period=period)
            parts[key].append((each, part))
        booked[_without_price(key)].append(each)
    lines: dict[_Key, list[StatementLine]] = defaultdict(list)
    for key, found in parts.items():
        line = _make_line(key, found, rates)
        lines[_without_price(key)].append(line)
        yield line
    for key, rows in booked.items():
        yield from _list_remainder(key, rows, lines[key], rates)


def _without_price(key: _Key) -> _Key:
    return key._replace(usage=REMAINDER, price=None, list_price=None, per=1)


def _list_remainder(
    key: _Key, rows: Sequence[RowSums], lines: Sequence[StatementLine], rates: Mapping[int, RateContent]
) -> Iterator[StatementLine]:
    if key.section == UNPRICED:
        return
    left = add_up(each.billed_cost for each in rows) - add_up(line.amount for line in lines)
    left_at_list = add_up(each.list_cost for each in rows) - add_up(line.list_amount for line in lines)
    if left or left_at_list:
        count = sum(each.rows for each in rows)
        is_small = all(is_rounding(Fraction(each), rows=count) for each in (left, left_at_list))
        note = "each row rounded at 12 decimals" if is_small else "the rows differ from their price list"
        part = Part(REMAINDER, Decimal(0), None, None, 1, Fraction(left), Fraction(left_at_list), count, note=note)
        yield _make_line(key, [(each, part) for each in rows[:1]], rates)


def _make_line(key: _Key, found: Sequence[tuple[RowSums, Part]], rates: Mapping[int, RateContent]) -> StatementLine:
    has_price = key.section != UNPRICED
    amount = sum((part.amount for _, part in found), Fraction(0))
    at_list = sum((part.list_amount for _, part in found), Fraction(0))
    quantity = add_up(part.quantity for _, part in found)
    rate = rates.get(key.rate_version_id or 0)
    return StatementLine(
        number=0,
        id=_hash_key(key),
        section=key.section,
        feature=key.feature,
        provider=key.provider,
        model=key.model,
        meter=found[0][1].meter,
        usage=key.usage,
        quantity=quantity,
        price=key.price,
        list_price=key.list_price,
        per=key.per,
        amount=_write_pico(amount) if has_price else None,
        list_amount=_write_pico(at_list) if has_price else None,
        rows=sum(part.rows for _, part in found),
        rate_version_id=key.rate_version_id,
        rate_hash=rate.content_hash if rate else "",
        context_tier=key.context_tier,
        cache_hit=key.cache_hit,
        charge_month=key.charge_month,
        subject=dict(key.subject),
        kinds=tuple(sorted({each.kind for each, _ in found})),
        pricing_status=key.pricing_status,
        note=_describe(key, found[0][1], quantity=quantity),
    )


def _write_pico(amount: Fraction) -> Decimal:
    """A line's amount, which a remainder's line makes whole: it has 12 decimals, or was rounded row by row."""
    return Decimal(round(amount * PICO)).scaleb(-12)


def _describe(key: _Key, part: Part, *, quantity: Decimal) -> str:
    """What a reader would ask about this line. part: any of its own."""
    if key.usage == REMAINDER:
        return part.note
    if key.usage == NO_USAGE:
        return "calls that used nothing"
    if key.section == UNPRICED:
        return "no published price; not charged" if quantity else "priced since: see the corrections"
    if key.section == FEE:
        return _describe_fee(dict(key.subject))
    if key.cache_hit:
        return "answered from a cache of responses"
    if key.usage == REPORTED:
        return "as the provider reported it, call by call"
    words = [part.note or (f"context tier {part.tier}" if part.tier else "")]
    if key.section == CORRECTION:
        words.append(dict(key.subject).get("reason") or f"used in {key.charge_month:%B %Y}")
    return "; ".join(word for word in words if word)


def _describe_fee(subject: Mapping[str, str]) -> str:
    if subject.get("operation") == "day":
        return "daily fee, used or not"
    return f"tiers on the quantity of {subject.get('month', 'the month')}: difference to the price of each call"


def _group_lines(lines: Iterable[StatementLine], sums: Iterable[RowSums], *, period: date) -> list[StatementGroup]:
    """The groups in their order: by section, the dearest first, and then by name."""
    rows: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for each in sums:
        rows[find_section(each, period=period), each.feature, each.provider, each.model] += each.rows
    groups = []
    for (section, feature, provider, model), found in groupby(sorted(lines, key=_sort_in_group), key=_name_group):
        own = tuple(found)
        groups.append(
            StatementGroup(
                section=section,
                feature=feature,
                provider=provider,
                model=model,
                lines=own,
                rows=rows[section, feature, provider, model],
                amount=None if section == UNPRICED else add_up(line.amount for line in own),
                list_amount=None if section == UNPRICED else add_up(line.list_amount for line in own),
            )
        )
    return sorted(groups, key=_sort_group)


def _name_group(line: StatementLine) -> tuple[str, str, str, str]:
    return line.section, line.feature, line.provider, line.model


def _sort_in_group(line: StatementLine) -> tuple[Any, ...]:
    place = FIRST_METERS.index(line.meter) if line.meter in FIRST_METERS else len(FIRST_METERS)
    if line.meter in LAST_METERS:
        place = len(FIRST_METERS) + 1 + LAST_METERS.index(line.meter)
    return (
        *_name_group(line), line.charge_month, line.cache_hit, place, line.meter, line.rate_version_id or 0,
        line.context_tier, line.price or Decimal(0), line.list_price or Decimal(0), line.per,
        tuple(sorted(line.subject.items())), line.pricing_status,
    )  # fmt: skip


def _sort_group(group: StatementGroup) -> tuple[Any, ...]:
    return (
        SECTIONS.index(group.section), -(group.amount or Decimal(0)), -group.rows, group.feature, group.provider,
        group.model,
    )  # fmt: skip


def _number_lines(groups: Iterable[StatementGroup]) -> tuple[StatementGroup, ...]:
    numbered, before = [], 0
    for group in groups:
        lines = tuple(replace(line, number=before + place) for place, line in enumerate(group.lines, 1))
        before += len(lines)
        numbered.append(replace(group, lines=lines))
    return tuple(numbered)


def _total_sections(groups: Sequence[StatementGroup]) -> Iterator[SectionTotal]:
    for section in SECTIONS:
        own = [group for group in groups if group.section == section]
        if own:
            yield SectionTotal(
                section,
                sum(len(group.lines) for group in own),
                sum(group.rows for group in own),
                add_up(group.amount for group in own),
                add_up(group.list_amount for group in own),
            )


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
