"""What each tenant cost, for the operator: read as one who sees every tenant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.core.changes import Change, compare_amounts
from billing.selectors import Quantities, sum_costs_by_tenant
from billing.selectors.groups import get_known_cost
from dashboards.core.periods import Period, find_previous_period
from dashboards.core.shares import split_shares
from dashboards.frame import ALL_ENVIRONMENTS, make_link
from tenants.selectors import list_tenants


@dataclass(frozen=True, slots=True)
class TenantCharges:
    """A tenant's row. cost: None where no call has a price. share: in percent."""

    slug: str
    name: str
    is_demo: bool
    href: str
    calls: int
    unpriced_calls: int
    cost: Decimal | None
    share: Decimal | None
    before: Decimal
    change: Change


def list_charges(*, period: Period, environment: str) -> list[TenantCharges]:
    """Every tenant, those without a call included, the dearest first. environment: '' for all."""
    now, before = (_read(days, environment) for days in (period, find_previous_period(period)))
    tenants = list_tenants()
    costs = [now.get(tenant.slug, Quantities()).billed_cost for tenant in tenants]
    query = {**period.get_query(), "environment": environment or ALL_ENVIRONMENTS}
    charges = [
        _describe(tenant.slug, tenant.name, tenant.is_demo, now, before, share=share, query=query)
        for tenant, share in zip(tenants, split_shares(costs) if costs else (), strict=True)
    ]
    return sorted(charges, key=lambda charge: (-(charge.cost or 0), charge.slug))


def add_up_charges(charges: Sequence[TenantCharges]) -> TenantCharges:
    """The total of the table."""
    cost = sum((charge.cost for charge in charges if charge.cost is not None), Decimal(0))
    before = sum((charge.before for charge in charges), Decimal(0))
    is_unknown = any(charge.calls for charge in charges) and all(
        charge.cost is None for charge in charges if charge.calls
    )
    return TenantCharges(
        slug="Total",
        name="",
        is_demo=False,
        href="",
        calls=sum(charge.calls for charge in charges),
        unpriced_calls=sum(charge.unpriced_calls for charge in charges),
        cost=None if is_unknown else cost,
        share=Decimal(100) if cost > 0 else None,
        before=before,
        change=compare_amounts(cost, before),
    )


def _read(period: Period, environment: str) -> dict[str, Quantities]:
    rows = sum_costs_by_tenant(
        period=period.get_bounds("UTC"),
        filters={"environment": (environment,)} if environment else {},
        using="reader",
    )
    return {row.slug: row.quantities for row in rows}


def _describe(
    slug: str,
    name: str,
    is_demo: bool,
    now: Mapping[str, Quantities],
    before: Mapping[str, Quantities],
    *,
    share: Decimal | None,
    query: Mapping[str, str],
) -> TenantCharges:
    sums, cost_before = now.get(slug, Quantities()), before.get(slug, Quantities()).billed_cost
    cost = get_known_cost(sums)
    return TenantCharges(
        slug=slug,
        name=name,
        is_demo=is_demo,
        href=make_link("overview", {"tenant": slug, **query}),
        calls=sums.calls,
        unpriced_calls=sums.unpriced_calls,
        cost=cost,
        share=None if cost is None else share,
        before=cost_before,
        change=compare_amounts(sums.billed_cost, cost_before),
    )
