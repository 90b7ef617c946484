"""The people who sign in, made and given passwords: each an act of their tenant's ledger, or of the operator's.

An act names a person by number, for nobody can take it back: a name and an address can be deleted, an entry never.
"""

from datetime import datetime

from django.db import transaction

from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.people import create_user, set_password
from tenants.scope import tenant_scope
from tenants.selectors import get_member_home


def add_member(
    *,
    email: str,
    password: str,
    role: str,
    tenant_slug: str | None = None,
    name: str = "",
    actor: str,
    now: datetime,
) -> int:
    """Make a person who can sign in; the id. Raises as `create_user` does."""
    with transaction.atomic():
        user_id = create_user(email=email, password=password, role=role, tenant_slug=tenant_slug, name=name)
        _record("member.added", user_id, actor=actor, now=now, role=role)
    return user_id


def reset_password(*, email: str, password: str, actor: str, now: datetime) -> int:
    """Give a person another password; the id. Raises as `set_password` does."""
    with transaction.atomic():
        user_id = set_password(email=email, password=password)
        _record("member.password_set", user_id, actor=actor, now=now)
    return user_id


def _record(name: str, user_id: int, *, actor: str, now: datetime, **facts: str) -> None:
    """Keep the act in the ledger of who the person belongs to, in the caller's transaction."""
    home = get_member_home(user_id)
    with tenant_scope(home):
        act = Act(name=name, actor=actor, facts={"member": f"person {user_id}", **facts})
        book_act(tenant_id=home, act=act, now=now)
