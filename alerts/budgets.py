"""Budgets of a tenant: made, changed and retired by a person or a key, each time as an act of the tenant's ledger."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from alerts.channels import list_channels
from alerts.core.budget_terms import load_terms, write_terms
from alerts.core.budgets import Budget, BudgetProblem, BudgetRefused, BudgetTerms, find_parent_problems
from alerts.core.windows import find_window
from alerts.models import Budget as BudgetRow
from billing.core.periods import has_whole_hours
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope
from tenants.selectors import get_tenant_by_id

JSON_COLUMNS = ("scope", "actions", "per_request")
BUDGETS_MAX = 1_000  # of a tenant, that are not retired


class BudgetUnknown(LookupError):
    """The tenant has no budget of this id, or it is retired."""


# Whoever checks what stands above and below a budget must be the only one who changes it.
LOCK_BUDGETS_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('budget ' || %(tenant_id)s::bigint, 0))"
ADD_BUDGET_SQL = """
    INSERT INTO budget (tenant_id, name, scope, time_window, amount, currency, actions, per_request, parent_id,
                        rollover, owner, channel_ids, created_by, created_at, changed_at)
    VALUES (%(tenant_id)s, %(name)s, %(scope)s, %(time_window)s, %(amount)s, %(currency)s, %(actions)s,
            %(per_request)s, %(parent_id)s, %(rollover)s, %(owner)s, %(channel_ids)s, %(actor)s, %(now)s, %(now)s)
    RETURNING id"""


def create_budget(terms: BudgetTerms, *, tenant_id: int, actor: str, now: datetime) -> tuple[Budget, bool]:
    """The budget, and whether it is new: the same terms again are the budget that there is. Raises BudgetRefused."""
    with lock_budgets(tenant_id=tenant_id):
        budgets = list_budgets(tenant_id=tenant_id)
        for budget in budgets:
            if write_terms(budget) == write_terms(terms):
                return budget, False
        if problems := check_terms(terms, tenant_id=tenant_id, budgets=budgets, now=now):
            raise BudgetRefused(problems)
        values = {"tenant_id": tenant_id, "actor": actor, "now": now, **_write_columns(terms)}
        values |= {name: json.dumps(values[name]) for name in JSON_COLUMNS}
        with connection.cursor() as cursor:
            cursor.execute(ADD_BUDGET_SQL, values)
            (budget_id,) = cursor.fetchone()
        budget = get_budget(tenant_id=tenant_id, budget_id=budget_id)
        _record("budget.created", budget, actor=actor, now=now)
    return budget, True


def change_budget(terms: BudgetTerms, *, tenant_id: int, budget_id: int, actor: str, now: datetime) -> Budget:
    """Give a budget other terms, from now on and for the window that is running. Raises BudgetRefused, BudgetUnknown.

    The same terms change nothing, and are no act.
    """
    with lock_budgets(tenant_id=tenant_id):
        before = get_budget(tenant_id=tenant_id, budget_id=budget_id)
        if write_terms(before) == write_terms(terms):
            return before
        budgets = list_budgets(tenant_id=tenant_id)
        if problems := check_terms(terms, tenant_id=tenant_id, budgets=budgets, now=now, budget_id=budget_id):
            raise BudgetRefused(problems)
        own = BudgetRow.objects.filter(tenant_id=tenant_id, id=budget_id)
        own.update(**_write_columns(terms), changed_at=now)
        budget = get_budget(tenant_id=tenant_id, budget_id=budget_id)
        _record("budget.changed", budget, actor=actor, now=now, before=before)
    return budget


def retire_budget(*, tenant_id: int, budget_id: int, actor: str, now: datetime) -> None:
    """Let a budget count no more; what it was stays on record. Raises BudgetUnknown, and BudgetRefused for a parent."""
    with lock_budgets(tenant_id=tenant_id):
        budget = get_budget(tenant_id=tenant_id, budget_id=budget_id)
        children = [one.name for one in list_budgets(tenant_id=tenant_id) if one.parent_id == budget_id]
        if children:
            cure = f"is of {', '.join(children)}: give those another parent, or none, first"
            raise BudgetRefused([BudgetProblem("parent", "has_children", cure)])
        BudgetRow.objects.filter(tenant_id=tenant_id, id=budget_id).update(retired_at=now)
        _record("budget.retired", budget, actor=actor, now=now)


def get_budget(*, tenant_id: int, budget_id: int, with_retired: bool = False, using: str = "default") -> Budget:
    """One budget. Raises BudgetUnknown."""
    with reading_scope(tenant_id, using=using):
        row = BudgetRow.objects.using(using).filter(tenant_id=tenant_id, id=budget_id).first()
    if row is None or (row.retired_at and not with_retired):
        raise BudgetUnknown(f"there is no budget {budget_id}")
    return _read_row(row)


def list_budgets(*, tenant_id: int, with_retired: bool = False, using: str = "default") -> list[Budget]:
    """The tenant's budgets, by name."""
    with reading_scope(tenant_id, using=using):
        rows = BudgetRow.objects.using(using).filter(tenant_id=tenant_id).order_by("name", "id")
        return [_read_row(row) for row in rows if with_retired or row.retired_at is None]


def list_budgets_of_every_tenant(*, using: str = "reader") -> list[Budget]:
    """Every budget that is not retired, as one sees them who sees every tenant."""
    return [
        _read_row(row) for row in BudgetRow.objects.using(using).filter(retired_at=None).order_by("tenant_id", "id")
    ]


def check_terms(
    terms: BudgetTerms, *, tenant_id: int, budgets: Iterable[Budget], now: datetime, budget_id: int | None = None
) -> list[BudgetProblem]:
    """What is wrong with terms among the tenant's budgets, and with its calendar. budget_id: whose terms they are."""
    others = {budget.id: budget for budget in budgets}
    problems = find_parent_problems(terms, budget_id=budget_id, budgets=others)
    if any(other.name == terms.name and other.id != budget_id for other in others.values()):
        problems.append(BudgetProblem("name", "taken", "is that of another budget; choose another one, or change that"))
    if budget_id is None and len(others) >= BUDGETS_MAX:
        problems.append(
            BudgetProblem("", "too_many", f"a tenant has at most {BUDGETS_MAX:,} budgets; retire one first")
        )
    if terms.channel_ids and not set(terms.channel_ids) <= {one.id for one in list_channels(tenant_id=tenant_id)}:
        problems.append(BudgetProblem("channels", "unknown_channel", "names one that the tenant does not have"))
    if "user" in terms.scope and terms.window != "hour":
        tenant = get_tenant_by_id(tenant_id)
        start, end = find_window(terms.window, now, timezone=tenant.timezone, fiscal_month=tenant.fiscal_month)
        if not has_whole_hours(start, end, ZoneInfo(tenant.timezone)):
            cure = f"is summed by hours of UTC, which are not those of {tenant.timezone}: take the window hour"
            problems.append(BudgetProblem("scope.user", "wrong_value", cure))
    return problems


@contextmanager
def lock_budgets(*, tenant_id: int) -> Iterator[None]:
    """Be the only one who changes the tenant's budgets, for a block; for whoever reads one to change it."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LOCK_BUDGETS_SQL, {"tenant_id": tenant_id})
        yield


def _record(name: str, budget: Budget, *, actor: str, now: datetime, before: Budget | None = None) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    facts = {"budget": str(budget.id), "terms": json.dumps(write_terms(budget))}
    if before is not None:
        facts["terms_before"] = json.dumps(write_terms(before))
    book_act(tenant_id=budget.tenant_id, act=Act(name=name, actor=actor, facts=facts), now=now)


def _write_columns(terms: BudgetTerms) -> dict[str, Any]:
    document = write_terms(terms)
    kept = ("name", "scope", "amount", "currency", "actions", "per_request", "rollover", "owner")
    renamed = {"time_window": "window", "parent_id": "parent", "channel_ids": "channels"}
    return {name: document[name] for name in kept} | {column: document[name] for column, name in renamed.items()}


def _read_row(row: BudgetRow) -> Budget:
    terms = load_terms(
        {
            "name": row.name,
            "scope": row.scope,
            "window": row.time_window,
            "amount": row.amount,
            "currency": row.currency,
            "actions": row.actions,
            "per_request": row.per_request,
            "parent": row.parent_id,
            "rollover": row.rollover,
            "owner": row.owner,
            "channels": row.channel_ids,
        }
    )
    return Budget(
        **{field.name: getattr(terms, field.name) for field in fields(terms)},
        tenant_id=row.tenant_id,
        id=row.id,
        created_by=row.created_by,
        created_at=row.created_at,
        changed_at=row.changed_at,
        retired_at=row.retired_at,
    )
