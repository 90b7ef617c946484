"""A tenant's keys made, rotated and revoked by people: each an act in its ledger, and never the secret."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.keys import issue_api_key, revoke_api_key
from tenants.scope import tenant_scope
from tenants.selectors import ApiKeyInfo, list_api_keys

# For how long the old key of a rotation may stay live.
OVERLAPS = (timedelta(0), timedelta(hours=1), timedelta(hours=24), timedelta(days=7))


class KeyUnknown(LookupError):
    """The tenant has no such live key."""


def make_api_key(*, tenant_id: int, key_id: str, name: str, scopes: Iterable[str], actor: str, now: datetime) -> str:
    """Make a key and return it whole, this once. Raises as `issue_api_key` does."""
    with tenant_scope(tenant_id):
        token = issue_api_key(tenant_id=tenant_id, scopes=scopes, name=name, now=now, key_id=key_id, created_by=actor)
        [made] = [key for key in list_api_keys(tenant_id) if key.key_id == key_id]
        _record("key.made", made, tenant_id=tenant_id, actor=actor, now=now)
    return token


def rotate_api_key(
    *, tenant_id: int, key_id: str, new_key_id: str, overlap: timedelta, actor: str, now: datetime
) -> str:
    """Make a key of the same name, scopes and limits, whole, and let the old one end after `overlap`, one of OVERLAPS.

    Raises KeyUnknown, ValueError for another overlap, and as `issue_api_key` does.
    """
    if overlap not in OVERLAPS:
        raise ValueError(f"an overlap is one of {', '.join(map(str, OVERLAPS))}, not {overlap}")
    ends_at = now + overlap
    with tenant_scope(tenant_id):
        old = _find_live(tenant_id=tenant_id, key_id=key_id, now=now)
        if not overlap:
            revoke_api_key(tenant_id=tenant_id, key_id=key_id, now=now)
        token = issue_api_key(
            tenant_id=tenant_id,
            scopes=old.scopes,
            name=old.name,
            now=now,
            key_id=new_key_id,
            created_by=actor,
            limits=old.limits,
        )
        if overlap:
            revoke_api_key(tenant_id=tenant_id, key_id=key_id, now=now, ends_at=ends_at)
            ends_at = min(ends_at, old.revoked_at or ends_at)
        facts = {"new_key": new_key_id, "ends_at": ends_at.isoformat()}
        _record("key.rotated", old, tenant_id=tenant_id, actor=actor, now=now, **facts)
    return token


def end_api_key(*, tenant_id: int, key_id: str, actor: str, now: datetime) -> None:
    """Refuse the key from now on. Raises KeyUnknown, a second time as well."""
    with tenant_scope(tenant_id):
        key = _find_live(tenant_id=tenant_id, key_id=key_id, now=now)
        if not revoke_api_key(tenant_id=tenant_id, key_id=key_id, now=now):
            raise KeyUnknown(key_id)
        _record("key.revoked", key, tenant_id=tenant_id, actor=actor, now=now)


def _find_live(*, tenant_id: int, key_id: str, now: datetime) -> ApiKeyInfo:
    for key in list_api_keys(tenant_id):
        if key.key_id == key_id and key.is_live(now):
            return key
    raise KeyUnknown(key_id)


def _record(name: str, key: ApiKeyInfo, *, tenant_id: int, actor: str, now: datetime, **facts: str) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    told = {"key": key.key_id, "name": key.name, "scopes": ",".join(key.scopes), **facts}
    book_act(tenant_id=tenant_id, act=Act(name=name, actor=actor, facts=told), now=now)
