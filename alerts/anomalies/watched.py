"""Who is watched, and by which thresholds: read once a run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from zoneinfo import ZoneInfo

from alerts.budgets import list_budgets_of_every_tenant
from alerts.core.budgets import Budget
from alerts.core.watch_settings import WatchSetting
from alerts.thresholds import DEFAULT, list_settings
from ledger.core.entries import PICO
from tenants.selectors import TenantInfo, list_tenants

# How many days a budget is for, where a day of it is asked for.
DAYS_OF = {"hour": Decimal(1) / 24, "day": Decimal(1), "week": Decimal(7), "month": Decimal(30),
           "quarter": Decimal(91), "year": Decimal(365)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Watched:
    """Every tenant that is charged, its setting, and its budgets for all that it spends."""

    tenants: Mapping[int, TenantInfo]
    settings: Mapping[int, WatchSetting]
    budgets: Mapping[int, list[Budget]]

    def get_setting(self, tenant_id: int) -> WatchSetting:
        return self.settings.get(tenant_id, DEFAULT)

    def list_tenants_for(self, kind: str) -> list[int]:
        """The tenants for whom a kind is looked for."""
        return [tenant_id for tenant_id in self.tenants if kind not in self.get_setting(tenant_id).off]

    def get_zone(self, tenant_id: int) -> ZoneInfo:
        return ZoneInfo(self.tenants[tenant_id].timezone)

    def get_daily_budget(self, tenant_id: int) -> int | None:
        """A day of the tightest of the budgets for all that a tenant spends, in pico-USD; None without one."""
        return measure_daily_budget(self.budgets.get(tenant_id, ()))

    def get_month_budget(self, tenant_id: int) -> int | None:
        """The tightest budget of a month, in pico-USD."""
        amounts = [budget.amount for budget in self.budgets.get(tenant_id, ()) if budget.window == "month"]
        return int(min(amounts) * PICO) if amounts else None


def measure_daily_budget(budgets: Iterable[Budget]) -> int | None:
    """A day of the tightest of some budgets, in pico-USD; None without one."""
    days = [budget.amount / DAYS_OF[budget.window] for budget in budgets]
    return int(min(days) * PICO) if days else None


def read_watched() -> Watched:
    """In three statements."""
    budgets: dict[int, list[Budget]] = {}
    for budget in list_budgets_of_every_tenant():
        if not budget.scope:
            budgets.setdefault(budget.tenant_id, []).append(budget)
    return Watched({tenant.id: tenant for tenant in list_tenants()}, list_settings(), budgets)
