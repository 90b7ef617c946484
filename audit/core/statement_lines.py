"""How a statement's lines come about from the sums of its rows: parted by meter and price, merged, ordered. Pure."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any, NamedTuple

from audit.core.prices import NO_USAGE, REMAINDER, REPORTED, Part, RowSums, is_rounding, split_costs
from audit.core.statement import (
    ADJUSTMENT,
    CORRECTION,
    CREDIT,
    FEE,
    SECTIONS,
    UNPRICED,
    USAGE,
    Checkpoint,
    SectionTotal,
    Statement,
    StatementGroup,
    StatementLine,
    add_up,
    find_bounds,
    number_statement,
)
from ledger.core.entries import PICO

SECTION_BY_KIND = {"rating": CORRECTION, "correction": CORRECTION, "fee": FEE, "credit": CREDIT}
FIRST_METERS = (
    "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", REPORTED,
)  # fmt: skip
LAST_METERS = (NO_USAGE, REMAINDER)


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
