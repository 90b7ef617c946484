"""What budgets have spent: those of one tenant at this very moment, or everybody's at once for the job that watches."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from alerts.core.budgets import DIMENSIONS, Budget
from alerts.core.spending import Spending, carry_over
from alerts.core.windows import find_window, find_window_before
from billing.selectors import ScopeCost, ScopesQuery, list_scope_costs, list_scope_costs_of_tenants
from tenants.selectors import TenantInfo, get_tenant_by_id


class BudgetWindow(NamedTuple):
    """A budget in one window of its own."""

    budget: Budget
    start: datetime
    end: datetime


class _Question(NamedTuple):
    """What one statement answers for every budget that asks it. timezone: as in ScopesQuery."""

    start: datetime
    end: datetime
    timezone: str
    dimensions: tuple[str, ...]


Tenants = Mapping[int, TenantInfo]
Read = Callable[[ScopesQuery, Sequence[int]], list[ScopeCost]]


def read_spending(
    *, tenant_id: int, budgets: Sequence[Budget], now: datetime, using: str = "default"
) -> dict[int, Spending]:
    """How each of a tenant's budgets stands in the window of `now`, by its id: all that is booked, rolled up or not."""
    if not budgets:
        return {}
    tenant = get_tenant_by_id(tenant_id)
    windows = [find_budget_window(budget, now, tenant=tenant) for budget in budgets]
    found = read_windows(windows, tenant=tenant, using=using)
    return {budget.id: spending for budget, spending in zip(budgets, found, strict=True)}


def read_windows(windows: Sequence[BudgetWindow], *, tenant: TenantInfo, using: str = "default") -> list[Spending]:
    """How one tenant's budgets stand, or stood, in these windows.

    A statement for each period and set of dimensions, whatever the number of budgets.
    """
    return _read_windows(
        windows, {tenant.id: tenant}, lambda query, _: list_scope_costs(query, tenant_id=tenant.id, using=using)
    )


def read_windows_of_tenants(
    windows: Sequence[BudgetWindow], *, tenants: Tenants, using: str = "reader"
) -> list[Spending]:
    """The same of many tenants, from the rollups alone: a statement for each zone besides, whatever their number."""
    return _read_windows(
        windows, tenants, lambda query, ids: list_scope_costs_of_tenants(query, tenant_ids=ids, using=using)
    )


def find_budget_window(budget: Budget, at: datetime, *, tenant: TenantInfo) -> BudgetWindow:
    """The budget's window that `at` lies in, by the tenant's calendar."""
    found = find_window(budget.window, at, timezone=tenant.timezone, fiscal_month=tenant.fiscal_month)
    return BudgetWindow(budget, *found)


def _read_windows(windows: Sequence[BudgetWindow], tenants: Tenants, read: Read) -> list[Spending]:
    before = [_find_carried_from(window, tenants[window.budget.tenant_id]) for window in windows]
    asked = [*windows, *(window for window in before if window)]
    costs = iter(_sum_windows(asked, tenants, read))
    spent = [next(costs) for _ in windows]
    carried = [
        carry_over(amount=window.budget.amount, spent_before=next(costs)) if window else Decimal(0) for window in before
    ]
    return [
        Spending(window.start, window.end, window.budget.amount + more, cost, more)
        for window, cost, more in zip(windows, spent, carried, strict=True)
    ]


def _find_carried_from(window: BudgetWindow, tenant: TenantInfo) -> BudgetWindow | None:
    """The window before, where what it left is carried over: nothing is from before the budget was made."""
    budget = window.budget
    if not budget.rollover or (budget.created_at and budget.created_at >= window.start):
        return None
    calendar = {"timezone": tenant.timezone, "fiscal_month": tenant.fiscal_month}
    return BudgetWindow(budget, *find_window_before(budget.window, window.start, **calendar))


def _sum_windows(windows: Sequence[BudgetWindow], tenants: Tenants, read: Read) -> list[Decimal]:
    """What was spent in each."""
    asking: dict[_Question, list[int]] = defaultdict(list)
    for number, window in enumerate(windows):
        asking[_ask(window, tenants[window.budget.tenant_id])].append(number)
    sums = [Decimal(0)] * len(windows)
    for question, numbers in asking.items():
        budgets = [windows[number].budget for number in numbers]
        costs = _read_question(question, budgets, read)
        for number, budget in zip(numbers, budgets, strict=True):
            place = (budget.tenant_id, *(budget.scope[name] for name in question.dimensions))
            sums[number] = costs.get(place, Decimal(0))
    return sums


def _ask(window: BudgetWindow, tenant: TenantInfo) -> _Question:
    dimensions = tuple(name for name in DIMENSIONS if name in window.budget.scope)
    return _Question(window.start, window.end, "" if window.budget.window == "hour" else tenant.timezone, dimensions)


def _read_question(question: _Question, budgets: Sequence[Budget], read: Read) -> dict[tuple[int | str, ...], Decimal]:
    """By tenant and values of the question's dimensions."""
    values = {name: sorted({budget.scope[name] for budget in budgets}) for name in question.dimensions}
    query = ScopesQuery(question.start, question.end, question.timezone, question.dimensions, values)
    tenant_ids = sorted({budget.tenant_id for budget in budgets})
    return {(cost.tenant_id, *cost.values): cost.billed_cost for cost in read(query, tenant_ids)}
