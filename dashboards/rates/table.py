"""The models in use with their prices now: what stands in a row, how rows are chosen, and what they add up to."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.core.changes import Change, compare_amounts
from billing.core.nearest_models import Suggestion, suggest_model
from billing.core.price_histories import STANDARD, Call, PriceStep, find_next_change, find_rate, may_match
from billing.core.price_lists import ALWAYS
from billing.core.rate_words import (
    MAIN_METERS,
    MeterPrice,
    estimate_cost,
    list_own_prices,
    list_prices,
    name_meter,
    write_price,
)
from billing.core.rates import RateBook
from billing.explanations import explain_reason
from billing.rates import load_rate_book
from billing.selectors import CostQuery, Quantities, get_costs
from billing.selectors.groups import get_known_cost, sum_quantities
from billing.selectors.rate_versions import (
    EVERY_TENANT,
    Alias,
    RateRecord,
    count_rates_under_way,
    find_alias,
    list_coming_rates,
    list_model_aliases,
    list_priced_names,
    list_rates_to_come,
    read_rate_versions,
)
from dashboards.core.periods import Period
from dashboards.frame import ALL_ENVIRONMENTS, make_link
from dashboards.links import EntryLinks, make_entry_links
from tenants.selectors import TenantInfo

UNPRICED, PARTLY, PRICED = "unpriced", "partly", "priced"
STATES = {
    UNPRICED: "without a price",
    PARTLY: "with some calls unpriced",
    PRICED: "priced",
    "changing": "about to change",
}
ORIGIN_WORDS = {"genai-prices": "genai-prices", "file": "a file", "custom": "written here"}
NEXT_PRICES_MAX = 2
TOLD_FIRST = ("output", "input", "cache_read", "cache_write")


@dataclass(frozen=True, slots=True)
class Coming:
    """The next change of a price: when, and to what in words."""

    start: datetime
    words: str


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The newest version that is drafted or in review."""

    id: int
    words: str
    href: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a model's unpriced calls would have cost as another model's. cost: None where that cannot be said."""

    suggestion: Suggestion
    href: str
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class RateRow:
    """A model as it is sent. record: the list that prices a call of `service_tier` now, None where none does.

    cost: None where no call has a price. change: of the output price, or where it has none the input price, against
    the list before; None for the first list.
    """

    provider: str
    model: str
    service_tier: str
    state: str
    reason: str
    record: RateRecord | None
    prices: Mapping[str, MeterPrice]
    others: Sequence[str]
    conditions: Sequence[str]
    change: Change | None
    coming: Coming | None
    under_way: UnderWay | None
    quantities: Quantities
    cost: Decimal | None
    estimate: Estimate | None
    href: str
    new_href: str
    entries_href: str
    unpriced_href: str

    @property
    def input(self) -> MeterPrice | None:
        return self.prices.get("input")

    @property
    def cache_read(self) -> MeterPrice | None:
        return self.prices.get("cache_read")

    @property
    def cache_write(self) -> MeterPrice | None:
        return self.prices.get("cache_write")

    @property
    def output(self) -> MeterPrice | None:
        return self.prices.get("output")

    @property
    def origin(self) -> str:
        return self.record.origin if self.record else ""

    @property
    def source_name(self) -> str:
        """Where its prices were read, in words."""
        if self.record is None:
            return ""
        return self.record.source.get("name") or ORIGIN_WORDS.get(self.record.origin, self.record.origin)


@dataclass(frozen=True, slots=True)
class RateTable:
    """rows: those that the filters leave, in their order; all_rows: every one, the unpriced first, then the dearest."""

    rows: Sequence[RateRow]
    all_rows: Sequence[RateRow]
    total: Quantities
    total_cost: Decimal | None
    estimated: Decimal | None
    complete_to: datetime
    in_review: int
    drafts: int
    links: EntryLinks

    def count(self, state: str) -> int:
        return sum(row.state == state for row in self.all_rows)

    @property
    def under_way(self) -> int:
        return self.in_review + self.drafts

    @property
    def unpriced(self) -> int:
        return self.count(UNPRICED)

    @property
    def partly(self) -> int:
        return self.count(PARTLY)

    @property
    def priced(self) -> int:
        return self.count(PRICED)

    @property
    def providers(self) -> list[str]:
        return sorted({row.provider for row in self.all_rows})

    @property
    def origins(self) -> list[str]:
        return sorted({row.origin for row in self.all_rows if row.origin})


@dataclass(frozen=True, slots=True)
class RateFilters:
    """What an address chooses; '' for all. text: part of a provider's or a model's name."""

    text: str = ""
    provider: str = ""
    state: str = ""
    origin: str = ""
    sort: str = ""

    def chooses(self, row: RateRow) -> bool:
        return (
            self.text.casefold() in f"{row.provider} {row.model}".casefold()
            and self.provider in ("", row.provider)
            and self.origin in ("", row.origin)
            and (self.state in ("", row.state) or (self.state == "changing" and row.coming is not None))
        )


def _read_output(row: RateRow) -> Decimal:
    return row.output.price if row.output else Decimal(-1)


# What a heading sorts by; the unpriced stand first unless one is named.
SORTS: Mapping[str, Callable[[RateRow], object]] = {
    "": lambda row: (row.state != UNPRICED, -(row.cost or 0), row.model),
    "name": lambda row: (row.model.casefold(), row.provider),
    "output": lambda row: -_read_output(row),
    "since": lambda row: -(row.record.effective_from.timestamp() if row.record and row.record.effective_from else 0),
    "spend": lambda row: -(row.cost or 0),
}


def read_rate_table(
    *,
    tenant: TenantInfo,
    period: Period,
    environment: str,
    link_query: Mapping[str, str],
    filters: RateFilters,
    tells_under_way: bool = False,
    now: datetime,
) -> RateTable:
    """Read and compute the page with a fixed number of queries, however many models there are."""
    start, end = period.get_bounds(tenant.timezone)
    costs = get_costs(
        CostQuery(
            tenant.id, start, end, "total", tenant.timezone, ("provider", "model", "service_tier"),
            {"environment": (environment,)} if environment else {},
        )
    )  # fmt: skip
    by_model: dict[tuple[str, str], dict[str, Quantities]] = defaultdict(dict)
    for row in costs.rows:
        provider, model, tier = row.group
        if provider and model:  # a fee or an act names none
            by_model[provider, model][tier or STANDARD] = row.quantities
    tenant_ids = (EVERY_TENANT, tenant.id)
    links = make_entry_links({**link_query, "environment": environment or ALL_ENVIRONMENTS}, period)
    rows = _make_rows(
        by_model, tenant_ids=tenant_ids, links=links, link_query=link_query, tells_under_way=tells_under_way, now=now
    )
    chosen = sorted((row for row in rows if filters.chooses(row)), key=SORTS.get(filters.sort, SORTS[""]))
    under_way = count_rates_under_way(tenant_ids=None)
    total = sum_quantities([row.quantities for row in chosen]) if chosen else Quantities()
    estimates = [row.estimate.cost for row in chosen if row.estimate and row.estimate.cost is not None]
    return RateTable(
        rows=chosen,
        all_rows=rows,
        total=total,
        total_cost=get_known_cost(total),
        estimated=sum(estimates, Decimal(0)) if estimates else None,
        complete_to=costs.complete_to,
        in_review=under_way["in_review"],
        drafts=under_way["draft"],
        links=links,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What the rate book says of a model: ids of versions, now, before and next, and of the nearest model's."""

    call: Call
    now: int | None
    before: int | None
    coming: PriceStep | None
    suggestion: Suggestion | None
    suggested: int | None


def _make_rows(
    by_model: Mapping[tuple[str, str], Mapping[str, Quantities]],
    *,
    tenant_ids: tuple[int, int],
    links: EntryLinks,
    link_query: Mapping[str, str],
    tells_under_way: bool,
    now: datetime,
) -> list[RateRow]:
    book, aliases = load_rate_book(), list_model_aliases()
    calls = {name: Call(*name, _choose_tier(tiers), "", tenant_ids[1]) for name, tiers in by_model.items()}
    current = {name: find_rate(book, call, now) for name, call in calls.items()}
    priced = list_priced_names(at=now, tenant_ids=tenant_ids) if None in current.values() else []
    coming = list_coming_rates(after=now, tenant_ids=tenant_ids)
    found = {name: _ask_book(book, call, now, coming, aliases, priced) for name, call in calls.items()}
    ids = {one for each in found.values() for one in _list_ids(each) if one is not None}
    records = read_rate_versions(ids)
    to_come = (
        list_rates_to_come(list(calls.values()), tenant_ids=tenant_ids, aliases=aliases) if tells_under_way else []
    )
    rows = [
        _make_row(each, by_model[name], book, records, links=links, link_query=link_query, now=now,
                  under_way=find_under_way(to_come, each.call, aliases, link_query))
        for name, each in found.items()
    ]  # fmt: skip
    return sorted(rows, key=SORTS[""])


def _choose_tier(tiers: Mapping[str, Quantities]) -> str:
    """The service tier whose price a row tells: the standard one where it is used, else the most used."""
    if STANDARD in tiers:
        return STANDARD
    return max(tiers, key=lambda tier: (tiers[tier].calls, tier))


def _ask_book(
    book: RateBook,
    call: Call,
    now: datetime,
    coming: Sequence[RateRecord],
    aliases: Mapping[Alias, Alias],
    priced: Sequence[tuple[str, str]],
) -> _Found:
    rate = book.find(call.provider, call.model, now, call.service_tier, call.region, call.tenant_id)
    meant = find_alias(aliases, call.provider, call.model)
    moments = [
        record.effective_from
        for record in coming
        if may_match(call, provider=record.provider, model=record.model, match=record.match, alias=meant)
    ]
    suggestion = None
    if rate is None:
        suggestion = suggest_model(*meant, priced)
    else:
        moments.append(rate.end)
    before = None
    if rate is not None and rate.window is None:
        before = find_rate(book, call, _just_before(rate.start))
    return _Found(
        call=call,
        now=rate.rate_version_id if rate else None,
        before=before,
        coming=find_next_change(book, call, now=now, moments=[each for each in moments if each and each != ALWAYS]),
        suggestion=suggestion,
        suggested=find_rate(book, Call(suggestion.provider, suggestion.model), now) if suggestion else None,
    )


def _just_before(moment: datetime) -> datetime:
    return moment - datetime.resolution


def find_under_way(
    to_come: Sequence[RateRecord], call: Call, aliases: Mapping[Alias, Alias], link_query: Mapping[str, str]
) -> UnderWay | None:
    """The newest of these versions that may price the call; before drafts what waits for a second person."""
    meant = find_alias(aliases, call.provider, call.model)
    own = [
        record
        for record in to_come
        if may_match(call, provider=record.provider, model=record.model, match=record.match, alias=meant)
    ]
    newest = min(own, key=lambda record: (record.state != "in_review", -record.id), default=None)
    if newest is None:
        return None
    words = "in review" if newest.state == "in_review" else "draft"
    return UnderWay(newest.id, words, make_link("rate_draft", link_query, newest.id))


def _list_ids(found: _Found) -> list[int | None]:
    return [found.now, found.before, found.coming.rate_version_id if found.coming else None, found.suggested]


def _make_row(
    found: _Found,
    tiers: Mapping[str, Quantities],
    book: RateBook,
    records: Mapping[int, RateRecord],
    *,
    links: EntryLinks,
    link_query: Mapping[str, str],
    under_way: UnderWay | None,
    now: datetime,
) -> RateRow:
    call, quantities = found.call, sum_quantities(tiers.values())
    record = records.get(found.now) if found.now else None
    prices = list_prices(record.content) if record else {}
    own = list_own_prices(record.content) if record else {}
    before = records.get(found.before) if found.before else None
    names = {"model": call.model, "provider": call.provider}
    reason = ""
    if record is None:
        reason = explain_reason(
            book.tell_absence(call.provider, call.model, now, call.service_tier, call.region, call.tenant_id)
        )
    return RateRow(
        provider=call.provider,
        model=call.model,
        service_tier=call.service_tier,
        state=UNPRICED if record is None else PARTLY if quantities.unpriced_calls else PRICED,
        reason=reason,
        record=record,
        prices=prices,
        others=[price.words for meter, price in own.items() if meter not in MAIN_METERS],
        conditions=_say_conditions(record, call) if record else (),
        change=_compare_prices(prices, list_prices(before.content)) if before else None,
        coming=_say_coming(found.coming, prices, records),
        under_way=under_way,
        quantities=quantities,
        cost=get_known_cost(quantities),
        estimate=_make_estimate(found, quantities, records, link_query),
        href=make_link("rate_model", link_query, call.provider, call.model),
        new_href=_make_new_link(call, link_query),
        entries_href=links.make(**names),
        unpriced_href=links.make(**names, pricing_status=UNPRICED),
    )


def _make_new_link(call: Call, link_query: Mapping[str, str]) -> str:
    """The form that gives such calls a price."""
    tier = {} if call.service_tier == STANDARD else {"tier": call.service_tier}
    return make_link("new_rate", link_query | {"provider": call.provider, "model": call.model} | tier)


def _say_conditions(record: RateRecord, call: Call) -> list[str]:
    """What a reader of one line must know besides its prices."""
    said = [] if call.service_tier == STANDARD else [f"service tier {call.service_tier}"]
    if record.time_window:
        said.append(f"at {record.time_window} UTC")
    if record.tenant_id:
        said.append("agreed for this tenant")
    return [*said, *_say_tiers(record)]


def _say_tiers(record: RateRecord) -> list[str]:
    """`output 22.50 above 272,000 input tokens`: the dearest meter of each context tier; its page says the rest."""
    said = []
    for tier in record.content.get("context_tiers", ()):
        prices = list_prices(tier)
        name = next((name for name in ("output", *prices) if name in prices), "")
        where = "above" if tier["compare"] == ">" else "from"
        if name:
            said.append(
                f"{name_meter(name)} {write_price(prices[name].price)} {where} {tier['input_tokens']:,} input tokens"
            )
    return said


def _compare_prices(now: Mapping[str, MeterPrice], before: Mapping[str, MeterPrice]) -> Change | None:
    meter = next((name for name in ("output", "input") if name in now and name in before), None)
    return compare_amounts(now[meter].price, before[meter].price) if meter else None


def _say_coming(
    step: PriceStep | None, prices: Mapping[str, MeterPrice], records: Mapping[int, RateRecord]
) -> Coming | None:
    if step is None:
        return None
    record = records.get(step.rate_version_id) if step.rate_version_id else None
    if record is None:
        return Coming(step.start, "no price any more")
    after = list_prices(record.content)
    changed = [name for name, price in after.items() if name not in prices or prices[name].price != price.price]
    if not changed:
        return Coming(step.start, "other conditions, the same base prices")
    own = list_own_prices(record.content)
    told = sorted([name for name in changed if name in own] or changed, key=_place_told)
    words = [f"{name_meter(name)} {write_price(after[name].price)}" for name in told]
    return Coming(step.start, ", ".join(words[:NEXT_PRICES_MAX]))


def _place_told(meter: str) -> int:
    """Output first, then input: the two that most of a bill is made of."""
    return TOLD_FIRST.index(meter) if meter in TOLD_FIRST else len(TOLD_FIRST)


def _make_estimate(
    found: _Found, quantities: Quantities, records: Mapping[int, RateRecord], link_query: Mapping[str, str]
) -> Estimate | None:
    """Only where no call has a price: else the rollups do not tell the unpriced calls' tokens from the others'."""
    suggestion, record = found.suggestion, records.get(found.suggested) if found.suggested else None
    if suggestion is None or record is None:
        return None
    cost = None
    if get_known_cost(quantities) is None:
        used = {
            "input": quantities.input_tokens,
            "cache_read": quantities.cache_read_tokens,
            "cache_write": quantities.cache_write_tokens,
            "cache_write_1h": quantities.cache_write_1h_tokens,
            "output": quantities.output_tokens,
        }
        cost = estimate_cost(used, record.content) if any(used.values()) else None
    return Estimate(suggestion, make_link("rate_model", link_query, suggestion.provider, suggestion.model), cost)
