"""Where other apps read tenants."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from tenants.limits import Limits
from tenants.models import OPERATOR_SLUG, ApiKey, Tenant, User
from tenants.scope import tenant_scope


@dataclass(frozen=True, slots=True)
class TenantInfo:
    """A tenant, as other apps see it."""

    id: int
    slug: str
    name: str
    timezone: str
    is_operator: bool
    is_demo: bool
    limits: Limits
    content_kept_days: int  # of prompts and completions; 0: none are kept
    fiscal_month: int = 1  # with which its fiscal year begins


@dataclass(frozen=True, slots=True)
class ApiKeyInfo:
    """A key without its secret."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str  # as whom its maker acts, '' for a command
    revoked_at: datetime | None
    limits: Limits

    def is_live(self, now: datetime) -> bool:
        """Whether it opens anything: a key may be told to end later."""
        return self.revoked_at is None or self.revoked_at > now


def describe_tenant(tenant: Tenant) -> TenantInfo:
    """A tenant's row as a value."""
    limits = Limits(tenant.requests_per_second, tenant.bytes_per_second, tenant.events_per_second)
    return TenantInfo(
        tenant.pk,
        tenant.slug,
        tenant.name,
        tenant.timezone,
        tenant.is_operator,
        tenant.is_demo,
        limits,
        tenant.content_kept_days,
        tenant.fiscal_month,
    )


def get_tenant(slug: str) -> TenantInfo | None:
    """The tenant of this slug, the operator's own included."""
    tenant = Tenant.objects.filter(slug=slug).first()
    return describe_tenant(tenant) if tenant else None


def get_tenant_by_id(tenant_id: int) -> TenantInfo | None:
    """The tenant of this id."""
    tenant = Tenant.objects.filter(pk=tenant_id).first()
    return describe_tenant(tenant) if tenant else None


def list_tenants() -> list[TenantInfo]:
    """Every tenant that is charged, by slug: without the operator's own."""
    return [describe_tenant(tenant) for tenant in Tenant.objects.filter(is_operator=False).order_by("slug")]


def list_api_keys(tenant_id: int) -> list[ApiKeyInfo]:
    """The tenant's keys, newest first, revoked ones included."""
    with tenant_scope(tenant_id):
        keys = ApiKey.objects.filter(tenant_id=tenant_id).order_by("-created_at")
        return [_describe_key(key) for key in keys]


def _describe_key(key: ApiKey) -> ApiKeyInfo:
    limits = Limits(key.requests_per_second, key.bytes_per_second, key.events_per_second)
    return ApiKeyInfo(key.key_id, key.name, tuple(key.scopes), key.created_at, key.created_by, key.revoked_at, limits)


def get_member_home(user_id: int) -> int:
    """The tenant whose person this is; the operator's own for an operator's."""
    tenant_id: int | None = User.objects.values_list("tenant_id", flat=True).get(pk=user_id)
    return tenant_id or Tenant.objects.get(slug=OPERATOR_SLUG).pk


def name_people(user_ids: Collection[int], *, tenant_id: int | None = None) -> dict[int, str]:
    """What to call these people: by name, else by e-mail address; of one tenant alone where it is given."""
    if not user_ids:
        return {}
    people = User.objects.filter(pk__in=user_ids)
    if tenant_id is not None:
        people = people.filter(tenant_id=tenant_id)
    return {user_id: name or email for user_id, name, email in people.values_list("pk", "name", "email")}


def find_mail_addresses(user_ids: Collection[int], *, tenant_id: int) -> dict[int, str]:
    """Where these people get mail about the tenant; who was deactivated, or may not look at it, has none."""
    people = User.objects.filter(pk__in=user_ids, is_active=True) if user_ids else ()
    return {person.pk: person.email for person in people if person.is_operator or person.tenant_id == tenant_id}
