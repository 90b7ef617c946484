"""One subject of Showback: its days, what a unit of it costs, how well it is used, and what it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from billing.core.changes import Change, compare_amounts
from billing.selectors import (
    CostQuery,
    PercentilesBy,
    Quantities,
    QueryRefused,
    get_costs,
    get_percentiles,
    get_percentiles_by,
)
from billing.selectors.groups import count_input, get_cost_per_call, get_known_cost, get_share
from billing.selectors.quantities import sum_quantities
from dashboards.core.shares import split_shares
from dashboards.core.spreads import Spread, measure_spread
from dashboards.dimensions import NAMELESS
from dashboards.showback.drivers import DriverCost, read_driver_costs
from dashboards.showback.question import DIMENSIONS, MEASURED, Question, list_values
from dashboards.showback.subjects import read_days, refuse_users
from ledger.selectors import name_users
from ledger.truncations import Truncation, count_truncated

ENTRIES_READ_MAX = 50_000  # calls of the tenant among which the truncated ones are counted
DEAREST_USERS = 10
ENVIRONMENT = "environment"
# What a subject is made of, by what it is one of.
SPLITS = {
    "cost_center": ("feature", "model"),
    "feature": ("model", "cost_center"),
    "user": ("feature", "model"),
    "model": ("feature", "cost_center"),
}
WORDS = DIMENSIONS | {ENVIRONMENT: "Environment"}
NOTHING = Quantities()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a subject. cost: None where unknown. is_shown: the environment that the page is about."""

    name: str
    href: str
    entries_href: str
    calls: int
    unpriced_calls: int
    cost: Decimal | None
    share: Decimal | None
    per_call: Decimal | None
    percentiles: Mapping[int, Decimal]
    is_shown: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """A subject in parts. is_cast: their sum was compared with another way's and is the same, to the last digit.

    has_spread: whether what a call costs is told, with its percentiles.
    """

    dimension: str
    word: str
    parts: Sequence[Part]
    total: Part
    is_cast: bool
    has_spread: bool


@dataclass(frozen=True, slots=True)
class Users:
    """The subject's users. spread: of what each cost; refusal: why they are not told."""

    spread: Spread | None
    dearest: Sequence[Part]
    other: Part | None
    total: Part | None
    refusal: str = ""
    is_cast: bool = False


@dataclass(frozen=True, slots=True)
class Day:
    """A day's figures. cost: None where unknown."""

    day: date
    href: str
    calls: int
    tokens: int
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class Efficiency:
    """How tokens are used. Spreads: of a call's; None where they are not kept. Shares in percent; None of nothing.

    fresh: input tokens that came from no cache, which is what the spread is of. truncation: None where not counted.
    """

    input_tokens: int
    fresh: Spread | None
    output: Spread | None
    output_tokens: int
    ratio: Decimal | None
    cache_share: Decimal | None
    saved: Decimal
    error_share: Decimal | None
    errors: int
    truncation: Truncation | None
    truncated_share: Decimal | None

    @property
    def spreads(self) -> list[tuple[str, Spread | None]]:
        """A call's tokens by what they are."""
        return [("In, from no cache", self.fresh), ("Out", self.output)]


@dataclass(frozen=True, slots=True)
class Subject:
    """days: every one of the period; daily: their quantities. per_call: None where calls' spread is not kept."""

    question: Question
    value: str
    name: str
    cost: Decimal | None
    share: Decimal | None
    before: Decimal | None
    change: Change | None
    totals: Quantities
    days: Sequence[Day]
    per_call: Spread | None
    per_day: Spread
    users: Users
    efficiency: Efficiency
    environments: Split
    splits: Sequence[Split]
    drivers: Sequence[DriverCost]
    complete_to: datetime

    @property
    def tokens(self) -> int:
        return sum(each.tokens for each in self.days)

    @property
    def filters(self) -> dict[str, str]:
        """The parameters that ask other pages for the subject."""
        return {self.question.by: self.value}


def read_subject(question: Question, value: str) -> Subject:
    """Read the page, with as many statements whatever there is. value: '' for what names none. Raises QueryRefused."""
    only = {question.by: list_values(question, value)}
    daily, complete_to = read_days(question, only)
    totals = sum_quantities(daily.values())
    before = _sum(question.ask(question.previous, filters=only))
    everywhere = _group(question.ask(question.period, groups=(ENVIRONMENT,), everywhere=True))
    whole = (
        everywhere.get(question.environment, NOTHING) if question.environment else sum_quantities(everywhere.values())
    )
    cost, cost_before = get_known_cost(totals), get_known_cost(before)
    days = [_make_day(question, value, day, daily.get(day, NOTHING)) for day in question.period.list_days()]
    return Subject(
        question=question,
        value=value,
        name=value or NAMELESS[question.by],
        cost=cost,
        share=get_share(cost, whole.billed_cost) if cost is not None else None,
        before=cost_before,
        change=None if cost is None or cost_before is None else compare_amounts(cost, cost_before),
        totals=totals,
        days=days,
        per_call=_read_spread(question, only, "billed_cost", mean=get_cost_per_call(totals), count=totals.priced_calls),
        per_day=measure_spread([each.cost for each in days if each.cost is not None]),
        users=_read_users(question, value, only, totals, whole),
        efficiency=_read_efficiency(question, only, totals, all_calls=sum(each.calls for each in everywhere.values())),
        environments=_read_environments(question, value, only, totals),
        splits=[_read_split(question, value, only, dimension, totals) for dimension in SPLITS[question.by]],
        drivers=read_driver_costs(question, daily),
        complete_to=complete_to,
    )


def _make_day(question: Question, value: str, day: date, sums: Quantities) -> Day:
    href = question.link("ledger", {question.by: value}, day=day) if sums.calls else ""
    return Day(day, href, sums.calls, count_input(sums) + sums.output_tokens, get_known_cost(sums))


def _read_spread(
    question: Question, only: Mapping[str, tuple[str, ...]], measure: str, *, mean: Decimal | None, count: int
) -> Spread | None:
    """The mean beside its percentiles; None where these are not kept, for then the mean would stand alone."""
    if question.by not in MEASURED:
        return None
    found = get_percentiles(
        tenant_id=question.tenant.id,
        start_day=question.period.first,
        end_day=question.period.after,
        measure=measure,
        filters={**question.environment_filter, **only},
    )
    if not found:
        return None
    if measure != "billed_cost":  # a token is whole, and the buckets' middles are not
        found = {percent: value.quantize(Decimal(1)) for percent, value in found.items()}
    return Spread(count, mean, found[50], found[95], found[99])


def _read_efficiency(
    question: Question, only: Mapping[str, tuple[str, ...]], totals: Quantities, *, all_calls: int
) -> Efficiency:
    calls, sent = totals.calls, count_input(totals)
    truncation = None
    if all_calls <= ENTRIES_READ_MAX:
        start, end = question.bounds
        truncation = count_truncated(
            tenant_id=question.tenant.id, start=start, end=end, filters={**question.environment_filter, **only}
        )
    return Efficiency(
        input_tokens=sent,
        fresh=_read_spread(
            question, only, "input_tokens", mean=_divide(totals.input_tokens, calls), count=totals.input_tokens
        ),
        output=_read_spread(
            question, only, "output_tokens", mean=_divide(totals.output_tokens, calls), count=totals.output_tokens
        ),
        output_tokens=totals.output_tokens,
        ratio=_divide(totals.output_tokens, sent, places="0.001"),
        cache_share=get_share(totals.cache_read_tokens, sent),
        saved=totals.saved_cost,
        error_share=get_share(totals.error_calls, calls),
        errors=totals.error_calls,
        truncation=truncation,
        truncated_share=get_share(truncation.truncated, truncation.told) if truncation else None,
    )


def _divide(part: int, whole: int, *, places: str = "0.1") -> Decimal | None:
    return (Decimal(part) / Decimal(whole)).quantize(Decimal(places)) if whole else None


def _read_users(
    question: Question,
    value: str,
    only: Mapping[str, tuple[str, ...]],
    totals: Quantities,
    whole: Quantities,
) -> Users:
    """What each user of the subject cost; no user named is told apart and is none of them."""
    if refusal := refuse_users(question, whole):
        return Users(None, [], None, None, refusal)
    try:
        found = _group(question.ask(question.period, groups=("user",), filters=only))
    except QueryRefused as refused:
        return Users(None, [], None, None, f"{str(refused)[:1].upper()}{str(refused)[1:]}.")
    ordered = sorted(found, key=lambda reference: (-found[reference].billed_cost, reference))
    named = [reference for reference in ordered if reference and found[reference].calls > 0]
    shown = named[:DEAREST_USERS] + ([""] if "" in found else [])
    rest = [reference for reference in ordered if reference not in shown]
    names = name_users(tenant_id=question.tenant.id, user_refs=named[:DEAREST_USERS])
    other = sum_quantities(found[reference] for reference in rest) if rest else None
    sums = [found[reference] for reference in shown] + ([other] if other else [])
    shares = split_shares([each.billed_cost for each in sums]) if sums else []
    parts = [
        _make_part(question, value, "user", names.get(reference, reference), found[reference], share=share)
        for reference, share in zip(shown, shares, strict=False)
    ]
    spread = measure_spread(
        [cost for reference in named if (cost := get_known_cost(found[reference])) is not None],
    )
    return Users(
        spread=spread if spread.count else None,
        dearest=parts,
        other=_make_sum(f"Other, {len(rest)} more", other, share=shares[-1]) if other else None,
        total=_make_sum("Total", totals, share=Decimal(100) if shares and shares[0] is not None else None),
        refusal="" if named else "No call names its user.",
        is_cast=sum_quantities(found.values()) == totals,
    )


def _read_environments(
    question: Question, value: str, only: Mapping[str, tuple[str, ...]], totals: Quantities
) -> Split:
    """The subject in every environment, that of the page among them."""
    found = _group(question.ask(question.period, groups=(ENVIRONMENT,), filters=only, everywhere=True))
    whole = sum_quantities(found.values())
    here = found.get(question.environment, NOTHING) if question.environment else whole
    return _make_split(
        question, value, ENVIRONMENT, found, whole, is_cast=here == totals,
        percentiles=_read_part_spreads(question, only, ENVIRONMENT),
    )  # fmt: skip


def _read_split(
    question: Question, value: str, only: Mapping[str, tuple[str, ...]], dimension: str, totals: Quantities
) -> Split:
    found = _group(question.ask(question.period, groups=(dimension,), filters=only))
    return _make_split(
        question, value, dimension, found, totals, is_cast=sum_quantities(found.values()) == totals,
        percentiles=_read_part_spreads(question, {**question.environment_filter, **only}, dimension),
    )  # fmt: skip


def _read_part_spreads(
    question: Question, filters: Mapping[str, tuple[str, ...]], dimension: str
) -> PercentilesBy | None:
    """Of a call's cost in each part; None where they are not kept."""
    if question.by not in MEASURED or dimension not in (ENVIRONMENT, *MEASURED):
        return None
    return get_percentiles_by(
        dimension,
        tenant_id=question.tenant.id,
        start_day=question.period.first,
        end_day=question.period.after,
        measure="billed_cost",
        filters=filters,
        percents=(50, 95),
    )


def _make_split(
    question: Question,
    value: str,
    dimension: str,
    found: Mapping[str, Quantities],
    totals: Quantities,
    *,
    is_cast: bool,
    percentiles: PercentilesBy | None,
) -> Split:
    ordered = sorted(found, key=lambda name: (-found[name].billed_cost, name))
    shares = split_shares([found[name].billed_cost for name in ordered]) if ordered else []
    spreads = percentiles.values if percentiles else {}
    parts = [
        _make_part(question, value, dimension, name, found[name], share=share, percentiles=spreads.get(name, {}))
        for name, share in zip(ordered, shares, strict=True)
    ]
    whole = Decimal(100) if shares and shares[0] is not None else None
    total = _make_sum("Total", totals, share=whole, percentiles=percentiles.whole if percentiles else {})
    return Split(dimension, WORDS[dimension], parts, total, is_cast, has_spread=percentiles is not None)


def _make_part(
    question: Question,
    value: str,
    dimension: str,
    name: str,
    sums: Quantities,
    *,
    share: Decimal | None,
    percentiles: Mapping[int, Decimal] | None = None,
) -> Part:
    shown = name or NAMELESS.get(dimension, "none")
    if dimension == ENVIRONMENT:
        href = question.link("showback_subject", {"by": question.by, "value": value, ENVIRONMENT: name})
    else:
        href = question.link("showback_subject", {"by": dimension, "value": name})
    return replace(
        _make_sum(shown, sums, share=share, percentiles=percentiles),
        href=href,
        entries_href=question.link("ledger", {question.by: value, dimension: name}) if sums.calls else "",
        is_shown=dimension == ENVIRONMENT and name == question.environment,
    )


def _make_sum(
    name: str, sums: Quantities, *, share: Decimal | None, percentiles: Mapping[int, Decimal] | None = None
) -> Part:
    """A mean is told beside its percentiles alone."""
    cost = get_known_cost(sums)
    return Part(
        name=name,
        href="",
        entries_href="",
        calls=sums.calls,
        unpriced_calls=sums.unpriced_calls,
        cost=cost,
        share=None if cost is None else share,
        per_call=get_cost_per_call(sums) if percentiles and cost is not None else None,
        percentiles=percentiles or {},
    )


def _group(query: CostQuery) -> dict[str, Quantities]:
    return {row.group[0]: row.quantities for row in get_costs(query).rows}


def _sum(query: CostQuery) -> Quantities:
    return get_costs(query).totals
