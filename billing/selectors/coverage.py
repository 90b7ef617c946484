"""How much of a total is priced, and what is not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from billing.selectors.costs import get_costs
from billing.selectors.queries import CostQuery


@dataclass(frozen=True, slots=True)
class Coverage:
    """Calls with a price and calls without one."""

    priced: int
    unpriced: int

    @property
    def priced_share(self) -> Decimal | None:
        """From 0 to 1; None where there was no call."""
        calls = self.priced + self.unpriced
        return Decimal(self.priced) / calls if calls else None


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """A model with calls that have no price."""

    provider: str
    model: str
    unpriced_calls: int
    calls: int
    input_tokens: int  # of all its calls, caches included
    output_tokens: int


def get_coverage(
    *,
    tenant_id: int,
    start: datetime,
    end: datetime,
    timezone: str = "UTC",
    filters: Mapping[str, tuple[str, ...]] | None = None,
    using: str = "default",
) -> Coverage:
    """Coverage of the calls between two full hours. The totals of `get_costs` have it as well."""
    query = CostQuery(tenant_id, start, end, "total", timezone, filters=filters or {})
    totals = get_costs(query, using=using).totals
    return Coverage(totals.priced_calls, totals.unpriced_calls)


def list_unpriced_models(
    *, tenant_id: int, start: datetime, end: datetime, timezone: str = "UTC", using: str = "default"
) -> list[UnpricedModel]:
    """The models with unpriced calls between two full hours, most calls first."""
    query = CostQuery(tenant_id, start, end, "total", timezone, group_by=("provider", "model"))
    models = [
        UnpricedModel(
            *row.group,
            row.quantities.unpriced_calls,
            row.quantities.calls,
            row.quantities.input_tokens
            + row.quantities.cache_read_tokens
            + row.quantities.cache_write_tokens
            + row.quantities.cache_write_1h_tokens,
            row.quantities.output_tokens,
        )
        for row in get_costs(query, using=using).rows
        if row.quantities.unpriced_calls
    ]
    return sorted(models, key=lambda model: (-model.unpriced_calls, model.provider, model.model))
