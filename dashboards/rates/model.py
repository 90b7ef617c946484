"""One model's prices: now, as they were and as they will be, and where it is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from billing.core.changes import Change, compare_amounts
from billing.core.figures import write_exact
from billing.core.price_histories import Call, PriceStep, find_next_change, find_rate, list_price_steps
from billing.core.rate_words import (
    MAIN_METERS,
    TOKEN_METERS,
    MeterPrice,
    describe_conditions,
    describe_context_tiers,
    list_own_prices,
    list_prices,
    name_meter,
)
from billing.explanations import explain_reason
from billing.rates import load_rate_book
from billing.selectors import CostQuery, Quantities, get_costs, sum_costs_by_tenant
from billing.selectors.groups import Group, get_known_cost, sum_by, sum_quantities
from billing.selectors.rate_versions import (
    EVERY_TENANT,
    Alias,
    RateRecord,
    find_alias,
    list_model_aliases,
    list_rate_history,
    list_rates_to_come,
)
from dashboards.access import Seat
from dashboards.core.periods import Period
from dashboards.frame import ALL_ENVIRONMENTS, make_link
from dashboards.links import make_entry_links
from dashboards.rates.table import UnderWay, find_under_way
from tenants.selectors import list_api_keys

SERIES_COLORS = {"input": "1", "cache_read": "2", "cache_write": "3", "output": "5"}
SPARE_COLORS = ("1", "2", "3", "4", "5")
SERIES_MAX = 5
SHOWN_BEFORE = timedelta(days=90)  # of a first price that stood long before anything changed
SHOWN_AFTER = timedelta(days=30)
USES_MAX = 12
NO_WORDS = {"feature": "no feature", "key": "no key"}


@dataclass(frozen=True, slots=True)
class ShownVersion:
    """A version as a row. state: now, coming, past or replaced (in force at no time). tenant: a slug, '' for all.

    own_prices: without kinds of tokens that cost what contains them. impact_href: what it changes of what is booked,
    href: its own page; both '' for those who do not keep the rates.
    """

    record: RateRecord
    prices: Mapping[str, MeterPrice]
    own_prices: Mapping[str, MeterPrice]
    conditions: Sequence[str]
    state: str
    tenant: str
    change: Change | None
    impact_href: str
    href: str


@dataclass(frozen=True, slots=True)
class Use:
    """Where the model is used: calls and cost of one feature, key or tenant."""

    name: str
    under: str
    href: str
    calls: int
    unpriced_calls: int
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class UseTable:
    """The dearest uses by one dimension; other: those that are not shown, added up, None where all are."""

    word: str
    uses: Sequence[Use]
    other: Use | None
    total: Use


@dataclass(frozen=True, slots=True)
class Choice:
    """A service tier or a region that has prices of its own."""

    label: str
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class ModelPage:
    """in_force: the list that prices the chosen call now; None with its reason. means: what an alias makes of it."""

    provider: str
    model: str
    call: Call
    means: tuple[str, str] | None
    in_force: ShownVersion | None
    reason: str
    coming: PriceStep | None
    under_way: UnderWay | None
    conditions: Sequence[str]
    versions: Sequence[ShownVersion]
    agreed: Sequence[ShownVersion]
    tiers: Sequence[Choice]
    regions: Sequence[Choice]
    series: Sequence[Mapping[str, object]]
    steps: Sequence[PriceStep]
    totals: Quantities
    cost: Decimal | None
    uses: Sequence[UseTable]
    complete_to: datetime

    @property
    def is_known(self) -> bool:
        return bool(self.versions or self.agreed or any(table.uses for table in self.uses))

    @property
    def has_agreed_price(self) -> bool:
        """Whether this tenant itself pays an agreed price now."""
        return self.in_force is not None and bool(self.in_force.record.tenant_id)


def read_model_page(
    *,
    seat: Seat,
    provider: str,
    model: str,
    service_tier: str,
    region: str,
    period: Period,
    environment: str,
    now: datetime,
) -> ModelPage:
    """Read and compute the page with a fixed number of queries. service_tier: '' for the standard one."""
    tenant = seat.tenant
    book, aliases = load_rate_book(), list_model_aliases()
    call = Call(provider, model, service_tier or "standard", region, tenant.id)
    records = list_rate_history(
        [call], tenant_ids=None if seat.may_edit_rates else (EVERY_TENANT, tenant.id), aliases=aliases
    )
    ours = [record for record in records if record.tenant_id in (EVERY_TENANT, tenant.id)]
    moments = [moment for record in ours for moment in (record.effective_from, record.effective_to) if moment]
    steps = list_price_steps(book, call, moments)
    slugs = {each.id: each.slug for each in seat.tenants} | {tenant.id: tenant.slug}
    versions = [_show(record, records, slugs, seat, now) for record in records]
    current = find_rate(book, call, now)
    in_force = next((version for version in versions if version.record.id == current), None)
    meant = find_alias(aliases, provider, model)
    costs = get_costs(_ask_costs(seat, call, period, environment))
    by_feature, by_key = (sum_by(costs, lambda group, i=i: (group[i],)) for i in (0, 1))
    return ModelPage(
        provider=provider,
        model=model,
        call=call,
        means=None if meant == (provider, model) else meant,
        in_force=in_force,
        reason="" if in_force else explain_reason(
            book.tell_absence(provider, model, now, call.service_tier, region, tenant.id)
        ),
        coming=find_next_change(book, call, now=now, moments=moments),
        under_way=_find_under_way(seat, call, aliases),
        conditions=describe_conditions(in_force.record.content) if in_force else (),
        versions=[version for version in versions if not version.record.tenant_id],
        agreed=[version for version in versions if version.record.tenant_id],
        tiers=_list_choices(seat, call, "tier", {record.service_tier for record in ours} | {"standard"}),
        regions=_list_choices(seat, call, "region", {record.region for record in ours} | {""}),
        series=_make_series(steps, {record.id: record for record in records}, now=now),
        steps=steps,
        totals=costs.totals,
        cost=get_known_cost(costs.totals),
        uses=_list_uses(seat, call, by_feature, by_key, costs.totals, period, environment),
        complete_to=costs.complete_to,
    )  # fmt: skip


def _find_under_way(seat: Seat, call: Call, aliases: Mapping[Alias, Alias]) -> UnderWay | None:
    if not seat.may_edit_rates:
        return None
    tenant_ids = (EVERY_TENANT, seat.tenant.id)
    to_come = list_rates_to_come([call], tenant_ids=tenant_ids, aliases=aliases)
    return find_under_way(to_come, call, aliases, seat.link_query)


def _ask_costs(seat: Seat, call: Call, period: Period, environment: str) -> CostQuery:
    start, end = period.get_bounds(seat.tenant.timezone)
    filters = {"provider": (call.provider,), "model": (call.model,)}
    if environment:
        filters["environment"] = (environment,)
    return CostQuery(seat.tenant.id, start, end, "total", seat.tenant.timezone, ("feature", "key"), filters)


def _show(
    record: RateRecord, records: Sequence[RateRecord], slugs: Mapping[int, str], seat: Seat, now: datetime
) -> ShownVersion:
    if record.effective_from is None:
        state = "replaced"
    elif record.is_in_force(now):
        state = "now"
    else:
        state = "coming" if record.effective_from > now else "past"
    conditions = [
        record.service_tier if record.service_tier != "standard" else "",
        record.region and f"region {record.region}",
        record.time_window and f"{record.time_window} UTC",
        f"{record.match} {record.model}" if record.match != "exact" else "",
        *describe_context_tiers(record.content),
    ]
    prices, before = list_prices(record.content), _find_before(record, records)
    meter = next((name for name in ("output", "input", *prices) if name in prices), "")
    change = None
    if before and meter in (old := list_prices(before.content)):
        change = compare_amounts(prices[meter].price, old[meter].price)
    return ShownVersion(
        record=record,
        prices=prices,
        own_prices=list_own_prices(record.content),
        conditions=[part for part in conditions if part],
        state=state,
        tenant=slugs.get(record.tenant_id, "") or (f"tenant {record.tenant_id}" if record.tenant_id else ""),
        change=change,
        impact_href=make_link("rate_impact", seat.link_query, record.id) if seat.may_edit_rates else "",
        href=make_link("rate_draft", seat.link_query, record.id) if seat.may_edit_rates else "",
    )


def _find_before(record: RateRecord, records: Sequence[RateRecord]) -> RateRecord | None:
    """The version under the same conditions that ended where this one began."""
    if record.effective_from is None:
        return None
    same = ("match", "model", "tenant_id", "service_tier", "region", "time_window")
    return next(
        (
            other
            for other in records
            if other.effective_to == record.effective_from
            and all(getattr(other, name) == getattr(record, name) for name in same)
            and (other.origin == "genai-prices") == (record.origin == "genai-prices")
        ),
        None,
    )


def _list_choices(seat: Seat, call: Call, name: str, values: set[str]) -> list[Choice]:
    """None where there is nothing to choose."""
    if len(values) < 2:
        return []
    chosen = {"tier": call.service_tier, "region": call.region}
    plain = {"tier": "standard", "region": ""}

    def link(value: str) -> str:
        asked = {key: said for key, said in (chosen | {name: value}).items() if said != plain[key]}
        return make_link("rate_model", seat.link_query | asked, call.provider, call.model)

    first = sorted(values, key=lambda value: (value != plain[name], value))
    return [Choice(value or "every region", link(value), value == chosen[name]) for value in first]


def _make_series(
    steps: Sequence[PriceStep], records: Mapping[int, RateRecord], *, now: datetime
) -> list[dict[str, object]]:
    """A line per meter for the chart's script: exact prices as text, null where there is none.

    Of tokens, or of the other meters where there are no tokens: their units are not to be compared.
    """
    lists = [
        list_prices(records[step.rate_version_id].content) if step.rate_version_id in records else {} for step in steps
    ]
    names = list(dict.fromkeys(name for prices in lists for name in prices))
    tokens = [name for name in names if name in MAIN_METERS] or [name for name in names if name in TOKEN_METERS]
    chosen = sorted(tokens, key=TOKEN_METERS.index) if tokens else names
    shown = chosen[:SERIES_MAX]
    return [
        {
            "name": name_meter(name)[0].upper() + name_meter(name)[1:],
            "color": SERIES_COLORS.get(name, SPARE_COLORS[i]) if tokens else SPARE_COLORS[i],
            "prices": [write_exact(prices[name].price) if name in prices else None for prices in lists],
        }
        for i, name in enumerate(shown)
    ]


def make_chart_data(page: ModelPage, *, now: datetime) -> dict[str, object]:
    """What the chart's script reads. A first price that stood for years is shown from shortly before a change on."""
    first = page.steps[0].start
    changes = [step.start for step in page.steps[1:]]
    begin = max(first, min([*changes, now]) - SHOWN_BEFORE)
    end = max([now, *changes]) + SHOWN_AFTER
    return {
        "starts": [max(step.start, begin).isoformat() for step in page.steps],
        "begin": begin.isoformat(),
        "end": end.isoformat(),
        "now": now.isoformat(),
        "series": page.series,
    }


def _list_uses(
    seat: Seat,
    call: Call,
    by_feature: Mapping[Group, Quantities],
    by_key: Mapping[Group, Quantities],
    totals: Quantities,
    period: Period,
    environment: str,
) -> list[UseTable]:
    names = {"model": call.model, "provider": call.provider}
    base = {"environment": environment or ALL_ENVIRONMENTS}
    links = make_entry_links({**seat.link_query, **base}, period)
    keys = {key.key_id: key.name for key in list_api_keys(seat.tenant.id)}
    total = _make_use("Total", "", links.make(**names), totals)
    tables = [
        _make_uses(
            "Feature",
            [
                _make_use(name or NO_WORDS["feature"], "", links.make(**names, feature=name), quantities)
                for (name,), quantities in by_feature.items()
            ],
            total,
        ),
        _make_uses(
            "Key",
            [
                _make_use(keys.get(key) or key or NO_WORDS["key"], key if keys.get(key) else "",
                          links.make(**names, key=key), quantities)
                for (key,), quantities in by_key.items()
            ],
            total,
        ),
    ]  # fmt: skip
    if not seat.is_operator:
        return tables
    of_tenants = sum_costs_by_tenant(
        period=period.get_bounds("UTC"),
        filters={"provider": (call.provider,), "model": (call.model,)}
        | ({"environment": (environment,)} if environment else {}),
        using="reader",
    )
    uses = [
        _make_use(row.slug, "", make_link("ledger", {"tenant": row.slug} | base | period.get_dates() | names),
                  row.quantities)
        for row in of_tenants
    ]  # fmt: skip
    together = _make_use("Total", "", "", sum_quantities([row.quantities for row in of_tenants] or [Quantities()]))
    return [_make_uses("Tenant", uses, together), *tables]


def _make_use(name: str, under: str, href: str, quantities: Quantities) -> Use:
    return Use(name, under, href, quantities.calls, quantities.unpriced_calls, get_known_cost(quantities))


def _make_uses(word: str, uses: Sequence[Use], total: Use) -> UseTable:
    ordered = sorted(uses, key=lambda use: (-(use.cost or 0), -use.calls, use.name))
    shown, rest = ordered, []
    if len(ordered) > USES_MAX + 1:  # one line alone is not worth an Other
        shown, rest = ordered[:USES_MAX], ordered[USES_MAX:]
    other = None
    if rest:
        known = [use.cost for use in rest if use.cost is not None]
        other = Use(
            f"Other, {len(rest)} more", "", "", sum(use.calls for use in rest),
            sum(use.unpriced_calls for use in rest), sum(known, Decimal(0)) if known else None,
        )  # fmt: skip
    return UseTable(word, shown, other, total)
