"""Which raw strings mean which model, and by which rule; those that nobody knows first."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.aliases import AliasExamination, examine_alias
from billing.core.alias_rules import NewAlias
from billing.core.nearest_models import Suggestion, suggest_model
from billing.core.price_histories import Call, find_rate
from billing.core.rate_words import list_prices, tell_rule, write_price
from billing.explanations import explain_reason
from billing.rates import load_rate_book
from billing.selectors import CostQuery, Quantities, get_costs, sum_costs_by_tenant
from billing.selectors.groups import get_known_cost, sum_quantities
from billing.selectors.rate_versions import (
    EVERY_TENANT,
    Alias,
    RateRecord,
    find_alias,
    list_model_aliases,
    list_priced_names,
    read_rate_versions,
)
from dashboards.access import Seat
from dashboards.core.periods import Period
from dashboards.frame import make_link

MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class SeenString:
    """A raw pair of strings. rule: in words, '' where no rate is found, and then `reason`. tenants: who sends it."""

    provider: str
    model: str
    rule: str
    reason: str
    record: RateRecord | None
    alias: Alias | None  # the key of the alias that it goes by
    suggestion: Suggestion | None
    quantities: Quantities
    cost: Decimal | None
    tenants: Sequence[str]
    href: str
    map_href: str

    @property
    def is_known(self) -> bool:
        return self.record is not None


@dataclass(frozen=True, slots=True)
class KnownAlias:
    """One row of the alias table, with the calls that went by it."""

    sent: Alias
    means: Alias
    calls: int
    href: str


@dataclass(frozen=True, slots=True)
class AliasPage:
    """strings: by state, then the most calls first. covers_all: of every tenant, for the operator's people."""

    unknown: Sequence[SeenString]
    known: Sequence[SeenString]
    aliases: Sequence[KnownAlias]
    covers_all: bool
    days: int

    @property
    def unpriced_calls(self) -> int:
        return sum(each.quantities.unpriced_calls for each in self.unknown)

    @property
    def unknown_calls(self) -> int:
        return sum(each.quantities.calls for each in self.unknown)

    @property
    def known_calls(self) -> int:
        return sum(each.quantities.calls for each in self.known)

    @property
    def known_cost(self) -> Decimal:
        """Of the calls that have a price."""
        return sum((each.cost for each in self.known if each.cost is not None), Decimal(0))


@dataclass(frozen=True, slots=True)
class AliasPreview:
    """What adding an alias would do. calls: that were sent so in the page's days; per_month: at the same pace."""

    examination: AliasExamination
    calls: int
    per_month: int
    strings: Sequence[SeenString]
    before: str
    after: str


def read_alias_page(*, seat: Seat, period: Period, now: datetime) -> AliasPage:
    """Read and compute the page with a fixed number of queries."""
    seen = _read_strings(seat, period)
    book, aliases = load_rate_book(), list_model_aliases()
    found = {name: find_rate(book, _make_call(seat, name), now) for name in seen}
    records = read_rate_versions({each for each in found.values() if each is not None})
    priced = list_priced_names(at=now, tenant_ids=(EVERY_TENANT, seat.tenant.id))
    strings = []
    for name, by_tenant in seen.items():
        meant = find_alias(aliases, *name)
        record = records.get(found[name]) if found[name] else None
        quantities = sum_quantities(list(by_tenant.values()))
        suggestion = None if record else suggest_model(*meant, priced)
        call = _make_call(seat, name)
        strings.append(
            SeenString(
                provider=name[0],
                model=name[1],
                rule=_tell_rule(name, meant, record),
                reason="" if record else explain_reason(
                    book.tell_absence(*name, now, call.service_tier, call.region, call.tenant_id)
                ),
                record=record,
                alias=_find_key(aliases, name),
                suggestion=suggestion,
                quantities=quantities,
                cost=get_known_cost(quantities),
                tenants=sorted(by_tenant),
                href=make_link("rate_model", seat.link_query, *name),
                map_href=_make_map_link(seat, name, suggestion),
            )
        )  # fmt: skip
    strings.sort(key=lambda each: (-each.quantities.unpriced_calls, -each.quantities.calls, each.model))
    return AliasPage(
        unknown=[each for each in strings if not each.is_known],
        known=sorted(
            (each for each in strings if each.is_known), key=lambda each: (-each.quantities.calls, each.model)
        ),
        aliases=_list_aliases(seat, aliases, strings),
        covers_all=seat.is_operator,
        days=period.days,
    )


def preview_alias(alias: NewAlias, *, page: AliasPage, now: datetime) -> AliasPreview:
    """What an alias would change, counted from the strings of the page."""
    examination = examine_alias(alias, now=now)
    table = {alias.sent: alias.means}
    strings = [each for each in (*page.unknown, *page.known) if _find_key(table, (each.provider, each.model))]
    calls = sum(each.quantities.calls for each in strings)
    ids = {one for one in (examination.version_before, examination.version_after) if one is not None}
    records = read_rate_versions(ids)
    return AliasPreview(
        examination=examination,
        calls=calls,
        per_month=round(Decimal(calls) * MONTH_DAYS / page.days),
        strings=strings,
        before=_say_prices(records, examination.version_before),
        after=_say_prices(records, examination.version_after),
    )


def _read_strings(seat: Seat, period: Period) -> dict[Alias, dict[str, Quantities]]:
    """Sums by raw pair and tenant: of every tenant for the operator's people, of their own for a tenant's."""
    sums: dict[Alias, dict[str, Quantities]] = defaultdict(dict)
    if seat.is_operator:
        rows = sum_costs_by_tenant(period=period.get_bounds("UTC"), group_by=("provider", "model"), using="reader")
        parts = [(row.group, row.slug, row.quantities) for row in rows]
    else:
        start, end = period.get_bounds(seat.tenant.timezone)
        query = CostQuery(seat.tenant.id, start, end, "total", seat.tenant.timezone, ("provider", "model"))
        parts = [(row.group, seat.tenant.slug, row.quantities) for row in get_costs(query).rows]
    for (provider, model), slug, quantities in parts:
        if provider and model:  # a fee or an act names none
            sums[provider, model][slug] = quantities
    return sums


def _make_call(seat: Seat, name: Alias) -> Call:
    """By everybody's prices for the operator's people, who see every tenant's strings; else by the tenant's own."""
    return Call(*name, tenant_id=EVERY_TENANT if seat.is_operator else seat.tenant.id)


def _tell_rule(name: Alias, meant: Alias, record: RateRecord | None) -> str:
    if record is None:
        return ""
    return tell_rule(*name, alias=None if meant == name else meant, match=record.match, name=record.model)


def _find_key(aliases: Mapping[Alias, Alias], name: Alias) -> Alias | None:
    """The alias by which a raw pair goes."""
    meant = find_alias(aliases, *name)
    if meant == name:
        return None
    return next((key for key, means in aliases.items() if means == meant and key[1] == name[1].strip().lower()), None)


def _list_aliases(seat: Seat, aliases: Mapping[Alias, Alias], strings: Sequence[SeenString]) -> list[KnownAlias]:
    """All of them for the operator's people; for a tenant's those that its own strings go by."""
    calls: dict[Alias, int] = defaultdict(int)
    for each in strings:
        if each.alias:
            calls[each.alias] += each.quantities.calls
    shown = aliases if seat.is_operator else {key: means for key, means in aliases.items() if key in calls}
    return [
        KnownAlias(key, means, calls[key], make_link("rate_model", seat.link_query, *means))
        for key, means in sorted(shown.items())
    ]


def _make_map_link(seat: Seat, name: Alias, suggestion: Suggestion | None) -> str:
    query = {"provider": name[0], "model": name[1]}
    if suggestion:
        query |= {"means_provider": suggestion.provider, "means_model": suggestion.model}
    return make_link("rate_aliases", seat.link_query | query) + "#new"


def _say_prices(records: Mapping[int, RateRecord], version: int | None) -> str:
    """`2.50 in, 10.00 out, version 12`."""
    record = records.get(version) if version else None
    if record is None:
        return "unpriced"
    prices = list_prices(record.content)
    words = [
        f"{write_price(prices[m].price)} {word}" for m, word in (("input", "in"), ("output", "out")) if m in prices
    ]
    said = words or [price.words for price in prices.values()][:2] or ["as reported"]
    return f"{', '.join(said)} (version {record.id})"
