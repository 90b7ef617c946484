"""Tenants made, and what is set for them: each an act of the tenant's own ledger."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.limits import Limits, set_limits
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo
from tenants.tenants import create_tenant, set_fiscal_month


def open_tenant(
    *,
    slug: str,
    name: str = "",
    timezone: str = "UTC",
    fiscal_month: int = 1,
    is_demo: bool = False,
    actor: str,
    now: datetime,
) -> TenantInfo:
    """Make a tenant. Its ledger begins with that. Raises as `create_tenant` does."""
    with transaction.atomic():
        tenant = create_tenant(slug=slug, name=name, timezone=timezone, fiscal_month=fiscal_month, is_demo=is_demo)
        facts = {"slug": slug, "name": tenant.name, "timezone": timezone, "fiscal_month": str(fiscal_month)}
        _record("tenant.created", facts, tenant_id=tenant.id, actor=actor, now=now)
    return tenant


def change_fiscal_month(*, tenant: TenantInfo, month: int, actor: str, now: datetime) -> None:
    """Begin the tenant's fiscal years with this month; the same again is no act. Raises TenantRefused."""
    with transaction.atomic():
        set_fiscal_month(tenant_id=tenant.id, month=month)
        if month != tenant.fiscal_month:
            facts = {"fiscal_month": str(month), "fiscal_month_before": str(tenant.fiscal_month)}
            _record("tenant.changed", facts, tenant_id=tenant.id, actor=actor, now=now)


def change_limits(
    *, tenant_id: int, key_id: str | None = None, changes: Mapping[str, int | None], actor: str, now: datetime
) -> Limits:
    """Set limits as `set_limits` does; those that are set now. What changes none is no act. Raises LimitRefused."""
    with tenant_scope(tenant_id):
        before = set_limits(tenant_id=tenant_id, key_id=key_id, changes={})
        after = set_limits(tenant_id=tenant_id, key_id=key_id, changes=changes)
        if after != before:
            facts = {"limits": _write_limits(after), "limits_before": _write_limits(before)}
            whose = {"key": key_id} if key_id else {}
            _record("limits.changed", whose | facts, tenant_id=tenant_id, actor=actor, now=now)
    return after


def _write_limits(limits: Limits) -> str:
    """`requests 50, events 500`: those that are set, a second."""
    return ", ".join(f"{resource} {number}" for resource, number in limits._asdict().items() if number is not None)


def _record(name: str, facts: Mapping[str, str], *, tenant_id: int, actor: str, now: datetime) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    with tenant_scope(tenant_id):
        book_act(tenant_id=tenant_id, act=Act(name=name, actor=actor, facts=facts), now=now)
