"""Who asks: the API key of a request, the tenant it acts for, and the scope that a view requires."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from api.problems import Problem
from tenants.keys import ApiKeyHolder, find_api_key, recall_api_key
from tenants.limits import Limits
from tenants.selectors import get_tenant

REALM = 'Bearer realm="tokenledger"'
BRIEFLY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """A live key, and the tenant for which this request acts: its own, or the one an operator named."""

    key_id: str
    key_name: str
    scopes: frozenset[str]
    is_operator: bool
    tenant_id: int
    slug: str
    timezone: str  # in which the tenant's days and months are reported
    limits: Limits  # of that tenant
    key_limits: Limits

    @property
    def actor(self) -> str:
        """As whom a key acts; two keys are two people."""
        return f"key {self.key_id}"


def find_access(
    request: HttpRequest | Request, *, find_holder: Callable[[str], ApiKeyHolder | None] = find_api_key
) -> Access | None:
    """Whom the Authorization and X-Tenant headers speak for; None without a key.

    Nothing is remembered between requests, so a revoked key is refused at once. Raises Problem: key_invalid,
    tenant_forbidden, tenant_unknown.
    """
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "bearer":
        raise Problem(
            "key_invalid",
            "Send the key as “Authorization: Bearer <key>”.",
            headers={"WWW-Authenticate": REALM},
        )
    holder = find_holder(token.strip())
    if holder is None:
        raise refuse_key()
    named = request.META.get("HTTP_X_TENANT")
    return act_for(holder, slug=holder.slug if named is None else named.strip())


def refuse_key() -> Problem:
    """The answer to a key that does not exist, or no longer."""
    return Problem("key_invalid", headers={"WWW-Authenticate": f'{REALM}, error="invalid_token"'})


def act_for(holder: ApiKeyHolder, *, slug: str) -> Access:
    """The access of a key that acts for the tenant `slug`. A header that is sent and empty names nobody."""
    tenant_id, timezone, limits = holder.tenant_id, holder.timezone, holder.limits
    if slug != holder.slug:
        if not holder.is_operator:
            raise Problem("tenant_forbidden", "Only an operator's key may name a tenant other than its own.")
        tenant = get_tenant(slug) if slug.isprintable() else None
        if tenant is None:
            raise Problem("tenant_unknown", "X-Tenant names no tenant.")
        tenant_id, timezone, limits = tenant.id, tenant.timezone, tenant.limits
    return Access(
        key_id=holder.key_id,
        key_name=holder.name,
        scopes=holder.scopes,
        is_operator=holder.is_operator,
        tenant_id=tenant_id,
        slug=slug,
        timezone=timezone,
        limits=limits,
        key_limits=holder.key_limits,
    )


def require_scope(access: Access | None, scope: str | None) -> Access:
    """The access, if there is one and it has `scope`; None asks for any live key. Raises Problem."""
    if access is None:
        raise Problem(
            "key_missing",
            "Send the key as “Authorization: Bearer <key>”; manage.py create_api_key makes one.",
            headers={"WWW-Authenticate": REALM},
        )
    if scope is not None and scope not in access.scopes:
        raise Problem(
            "scope_missing",
            f"This needs a key with the scope “{scope}”.",
            headers={"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'},
            scope=scope,
        )
    return access


class ApiKeyAuthentication(BaseAuthentication):
    """Puts an `Access` on `request.auth`."""

    find_holder = staticmethod(find_api_key)

    def authenticate(self, request: Request) -> tuple[None, Access] | None:
        access = find_access(request, find_holder=self.find_holder)
        return None if access is None else (None, access)

    def authenticate_header(self, request: Request) -> str:
        return REALM


class RememberedKeyAuthentication(ApiKeyAuthentication):
    """For a view that books: it need not ask for the key, because the booking confirms that the key is live."""

    find_holder = staticmethod(recall_api_key)


class BrieflyRememberedKeyAuthentication(ApiKeyAuthentication):
    """For a view that answers faster than the database: a revoked key is refused within BRIEFLY_SECONDS."""

    find_holder = staticmethod(partial(recall_api_key, seconds=BRIEFLY_SECONDS))


class HasScope(BasePermission):
    """The view says what it takes: `required_scope`, a scope's name, or None for any live key."""

    def has_permission(self, request: Request, view: Any) -> bool:
        require_scope(request.auth, view.required_scope)
        return True
