"""The review of an import: which lists differ from what is published, and what may be accepted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.http import QueryDict

from billing.core.changes import Change, compare_amounts
from billing.core.import_differences import CHANGED, CONFLICT, GONE, KINDS, NEW, Difference
from billing.core.rate_checks import PriceDiff
from billing.core.rate_words import TOKEN_METERS, WHOLE_METERS, name_meter, write_price
from billing.rates import IMPORTED, ImportSource, Waiting, find_waiting, list_source_differences
from dashboards.access import Seat
from dashboards.frame import make_link
from dashboards.rates.actors import name_actors
from dashboards.rates.impact import name_tenant

ROWS_PER_PAGE = 40
PRICES_SHOWN = 4
KIND_WORDS = {NEW: "new", CHANGED: "changed", GONE: "gone", CONFLICT: "conflicting"}
_ORDER = {meter: place for place, meter in enumerate(TOKEN_METERS)}
WAITING = "waiting"  # for a second person: a filter beside the kinds


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One price that differs, in words; change: None where one side is missing."""

    name: str
    words: str
    change: Change | None


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """A difference. verb: of its button, '' where this person has done his part. more: prices that are not shown."""

    difference: Difference
    kind_word: str
    tenant: str
    conditions: str
    lines: Sequence[PriceLine]
    more: int
    waiting: Waiting | None
    waits_for: str
    verb: str
    href: str
    draft_href: str

    @property
    def is_gone(self) -> bool:
        return self.difference.kind == GONE


@dataclass(frozen=True, slots=True)
class ReviewFilters:
    """What is chosen: a kind or `waiting`, a provider, a text that the model contains; '' for all."""

    kind: str
    provider: str
    text: str

    @property
    def query(self) -> dict[str, str]:
        said = {"kind": self.kind, "provider": self.provider, "q": self.text}
        return {name: value for name, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Choice:
    """A filter that may be chosen instead, with how many it leaves."""

    label: str
    value: str
    count: int
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Review:
    """A page of the differences that the filters leave.

    acceptable: of those, ids that one click accepts; asked: those that it leaves out because each is a question.
    endable: ids of what is gone, that one click ends.
    """

    source: ImportSource
    filters: ReviewFilters
    total: int
    kinds: Sequence[Choice]
    providers: Sequence[Choice]
    rows: Sequence[ReviewRow]
    chosen: int
    first: int
    acceptable: frozenset[str]
    asked: frozenset[str]
    endable: frozenset[str]
    previous_href: str
    next_href: str
    asks_two: bool
    names: Mapping[str, str]

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1


def read_filters(query: QueryDict) -> ReviewFilters:
    """The filters of an address or of a form that repeats them."""
    kind = query.get("kind", "")
    return ReviewFilters(
        kind=kind if kind in (*KINDS, WAITING) else "",
        provider=query.get("provider", "").strip(),
        text=query.get("q", "").strip().lower(),
    )


def read_review(source: ImportSource, *, filters: ReviewFilters, page: int, seat: Seat, now: datetime) -> Review:
    """The page's differences; those who look see what waits for whom."""
    everything = list_source_differences(source, now=now)
    waiting = find_waiting(source, everything)
    of_text = [each for each in everything if _has_text(each, filters)]
    of_provider = [each for each in of_text if filters.provider in ("", each.provider)]
    chosen = [each for each in of_provider if _is_of_kind(each, filters.kind, waiting)]
    first = max(min(page - 1, (len(chosen) - 1) // ROWS_PER_PAGE), 0) * ROWS_PER_PAGE
    shown = chosen[first : first + ROWS_PER_PAGE]
    names = name_actors({each.by for each in waiting.values()} | {source.brought_by} - {""})
    mine = [each for each in chosen if _find_verb(each, waiting.get(each.id), seat.actor)]
    return Review(
        source=source,
        filters=filters,
        total=len(everything),
        kinds=_list_kinds(of_provider, waiting, filters, source, seat),
        providers=_list_providers([each for each in of_text if _is_of_kind(each, filters.kind, waiting)], filters),
        rows=[_make_row(each, waiting.get(each.id), names, source, seat) for each in shown],
        chosen=len(chosen),
        first=first + 1,
        acceptable=frozenset(each.id for each in mine if each.document and not each.questions),
        asked=frozenset(each.id for each in mine if each.document and each.questions),
        endable=frozenset(each.id for each in mine if each.kind == GONE),
        previous_href=_link(source, filters, seat, page=first // ROWS_PER_PAGE) if first else "",
        next_href=_link(source, filters, seat, page=first // ROWS_PER_PAGE + 2)
        if first + ROWS_PER_PAGE < len(chosen)
        else "",
        asks_two=settings.RATES_FOUR_EYES,
        names=names,
    )


def _link(source: ImportSource, filters: ReviewFilters, seat: Seat, **more: object) -> str:
    said = {} if source.key == IMPORTED else {"source": source.key}
    pages = {name: value for name, value in more.items() if value not in (1, "")}
    return make_link("rate_import", seat.link_query | said | filters.query | pages)


def _has_text(each: Difference, filters: ReviewFilters) -> bool:
    return filters.text in each.model.lower() or filters.text in each.provider.lower()


def _is_of_kind(each: Difference, kind: str, waiting: Mapping[str, Waiting]) -> bool:
    if kind == WAITING:
        return each.id in waiting and waiting[each.id].state != "draft"
    return kind in ("", each.kind)


def _list_kinds(
    differences: Sequence[Difference],
    waiting: Mapping[str, Waiting],
    filters: ReviewFilters,
    source: ImportSource,
    seat: Seat,
) -> list[Choice]:
    counts = Counter(each.kind for each in differences)
    waits = sum(_is_of_kind(each, WAITING, waiting) for each in differences)
    offered = [("all", "", len(differences)), *((KIND_WORDS[kind], kind, counts[kind]) for kind in KINDS)]
    offered.append(("waiting", WAITING, waits))
    return [
        Choice(
            label, kind, count, _link(source, ReviewFilters(kind, filters.provider, filters.text), seat),
            kind == filters.kind,
        )
        for label, kind, count in offered
    ]  # fmt: skip


def _list_providers(differences: Sequence[Difference], filters: ReviewFilters) -> list[Choice]:
    counts = Counter(each.provider for each in differences)
    if filters.provider:
        counts.setdefault(filters.provider, 0)
    return [
        Choice(provider, provider, count, "", provider == filters.provider)
        for provider, count in sorted(counts.items())
    ]


def _find_verb(each: Difference, waiting: Waiting | None, actor: str) -> str:
    """What this person may do with it; '' where it waits for somebody else."""
    verb = "End" if each.kind == GONE else "Accept"
    if waiting is None or waiting.state == "draft" or not settings.RATES_FOUR_EYES:
        return verb
    return "" if actor in waiting.people else {"End": "End too", "Accept": "Approve"}[verb]


def _make_row(
    each: Difference, waiting: Waiting | None, names: Mapping[str, str], source: ImportSource, seat: Seat
) -> ReviewRow:
    provider, model, match, tenant_id, service_tier, region, time_window = each.conditions
    lines = [_write_line(price) for price in _choose_prices(each.prices)]
    conditions = [
        "" if service_tier == "standard" else service_tier, region, time_window and f"{time_window} UTC",
        "" if match == "exact" else match,
    ]  # fmt: skip
    return ReviewRow(
        difference=each,
        kind_word=KIND_WORDS[each.kind],
        tenant=name_tenant(tenant_id, seat) if tenant_id else "",
        conditions=", ".join(filter(None, conditions)),
        lines=lines[:PRICES_SHOWN],
        more=len(lines[PRICES_SHOWN:]),
        waiting=waiting,
        waits_for=names.get(waiting.by, waiting.by) if waiting else "",
        verb=_find_verb(each, waiting, seat.actor),
        href=make_link("rate_model", seat.link_query, provider, model) if match == "exact" and each.before else "",
        draft_href=make_link("rate_draft", seat.link_query, waiting.rate_id) if waiting and waiting.rate_id else "",
    )


def _choose_prices(prices: Sequence[PriceDiff]) -> list[PriceDiff]:
    """Those that differ, the base list first; without kinds of tokens that change as what contains them does."""
    known = {(price.meter, price.tier): (price.before, price.after, price.per) for price in prices}
    chosen = [
        price
        for price in prices
        if price.kind != "same"
        and known.get((WHOLE_METERS.get(price.meter, ""), price.tier)) != (price.before, price.after, price.per)
    ]
    return sorted(chosen, key=lambda price: (bool(price.tier), _ORDER.get(price.meter, len(_ORDER))))


def _write_line(price: PriceDiff) -> PriceLine:
    """`output 10.00 → 8.00`; what stands on one side alone is told with `new` or `gone`."""
    name = f"{name_meter(price.meter)}{f', {price.tier}' if price.tier else ''}"
    per = "" if price.per == 1_000_000 else f" per {price.per:,}" if price.per != 1 else " each"
    if price.before is None or price.after is None:
        amount = price.after if price.before is None else price.before
        word = "" if price.before is None else "gone: "
        return PriceLine(name, f"{word}{write_price(amount or Decimal(0))}{per}", None)
    if price.kind == "list":
        return PriceLine(name, f"{write_price(price.after)}{per}, its list price changes", None)
    words = f"{write_price(price.before)} → {write_price(price.after)}{per}"
    return PriceLine(name, words, compare_amounts(price.after, price.before))
