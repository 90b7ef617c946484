"""What was kept of a budget's windows, and what was told of them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from alerts.models import Alert, BudgetWindow
from tenants.scope import reading_scope

ALERTS_MAX = 50


@dataclass(frozen=True, slots=True)
class BudgetAlert:
    """An alert of a budget. resolved_at: None while it goes on."""

    id: int
    severity: str
    state: str
    title: str
    opened_at: datetime
    resolved_at: datetime | None


def list_past_limits(*, tenant_id: int, budget_id: int, using: str = "default") -> dict[datetime, Decimal]:
    """The limit of each window that was looked at, by its start: as it was at its end."""
    with reading_scope(tenant_id, using=using):
        windows = BudgetWindow.objects.using(using).filter(tenant_id=tenant_id, budget_id=budget_id)
        return dict(windows.order_by("-window_start").values_list("window_start", "limit_amount")[:400])


def list_budget_alerts(*, tenant_id: int, budget_id: int, using: str = "default") -> list[BudgetAlert]:
    """The newest alerts of a budget, at most ALERTS_MAX."""
    with reading_scope(tenant_id, using=using):
        rows = Alert.objects.using(using).filter(tenant_id=tenant_id, budget_id=budget_id).order_by("-opened_at", "-id")
        return [
            BudgetAlert(row.id, row.severity, row.state, row.title, row.opened_at, row.resolved_at)
            for row in rows[:ALERTS_MAX]
        ]
