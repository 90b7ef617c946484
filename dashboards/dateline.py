"""What stands over a page about a period: whose, of which days, and how far it can be believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.http import HttpRequest

from billing.selectors import LastReconciliation, Quantities, get_last_reconciliation
from dashboards.access import Seat
from dashboards.core.periods import Period, find_previous_period
from dashboards.frame import Option, list_environment_options, list_hidden_fields, list_period_options


@dataclass(frozen=True, slots=True)
class Dateline:
    """complete_to, calls, priced_share: None where there is no answer that they could be of. priced_share: percent."""

    path: str
    environment: str
    environment_options: Sequence[Option]
    timezone: str
    period: Period
    period_options: Sequence[Option]
    period_fields: Sequence[tuple[str, str]]
    previous: Period
    complete_to: datetime | None
    calls: int | None
    priced_share: Decimal | None
    unpriced_href: str
    reconciliation: LastReconciliation | None


def make_dateline(
    request: HttpRequest,
    seat: Seat,
    *,
    period: Period,
    environment: str,
    totals: Quantities | None = None,
    complete_to: datetime | None = None,
    unpriced_href: str = "",
    environment_costs: Mapping[str, Decimal | None] | None = None,
) -> Dateline:
    """The dateline of a page. totals: of the page's own answer, where it has one."""
    return Dateline(
        path=request.path,
        environment=environment,
        environment_options=list_environment_options(
            request.path, request.GET, current=environment, costs=environment_costs or {}
        ),
        timezone=seat.tenant.timezone,
        period=period,
        period_options=list_period_options(request.path, request.GET, current=period),
        period_fields=list_hidden_fields(request.GET, without=("period", "from", "to")),
        previous=find_previous_period(period),
        complete_to=complete_to,
        calls=totals.calls if totals else None,
        priced_share=Decimal(totals.priced_calls) * 100 / totals.calls if totals and totals.unpriced_calls else None,
        unpriced_href=unpriced_href,
        reconciliation=get_last_reconciliation(tenant_id=seat.tenant.id),
    )
