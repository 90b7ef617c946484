"""Making a tenant, and what it chose."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db import IntegrityError, transaction

from tenants.models import CONTENT_KEPT_DAYS_MAX, Tenant
from tenants.selectors import TenantInfo, describe_tenant

SLUG_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,38}[a-z0-9]")


class TenantRefused(ValueError):
    """A slug that is malformed or taken, or a time zone or a month that does not exist."""


def create_tenant(
    *, slug: str, name: str = "", timezone: str = "UTC", fiscal_month: int = 1, is_demo: bool = False
) -> TenantInfo:
    """Make a tenant whose days and months are those of `timezone`. Raises TenantRefused."""
    if not SLUG_PATTERN.fullmatch(slug):
        raise TenantRefused(
            f"slug {slug!r} must be 2 to 40 lower-case letters, digits or hyphens, with none at either end"
        )
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise TenantRefused(f"timezone {timezone!r} is not in the IANA time zone database") from error
    _check_fiscal_month(fiscal_month)
    try:
        with transaction.atomic():
            tenant = Tenant.objects.create(
                slug=slug, name=name or slug, timezone=timezone, fiscal_month=fiscal_month, is_demo=is_demo
            )
    except IntegrityError as error:
        raise TenantRefused(f"a tenant {slug!r} exists already") from error
    return describe_tenant(tenant)


def set_fiscal_month(*, tenant_id: int, month: int) -> None:
    """Begin the tenant's fiscal years, and so its quarters, with this month. Raises TenantRefused."""
    _check_fiscal_month(month)
    Tenant.objects.filter(pk=tenant_id).update(fiscal_month=month)


def _check_fiscal_month(month: int) -> None:
    if not 1 <= month <= 12:
        raise TenantRefused(f"a fiscal year begins with a month of 1 to 12; got {month}")


class KeptDaysRefused(ValueError):
    """A number of days for which no content is kept."""


def set_content_kept_days(*, tenant_id: int, days: int) -> None:
    """How long the tenant's prompts and completions are kept from now on; 0 keeps none. Raises KeptDaysRefused.

    `content.contents.change_retention` calls it, and sees to what is kept already.
    """
    if not 0 <= days <= CONTENT_KEPT_DAYS_MAX:
        raise KeptDaysRefused(f"content is kept for 1 to {CONTENT_KEPT_DAYS_MAX} days, or not at all; got {days}")
    Tenant.objects.filter(pk=tenant_id).update(content_kept_days=days)
