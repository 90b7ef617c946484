"""Whether and how long prompts and completions are kept, and their end before that: each an act of the ledger."""

from datetime import datetime

from content.contents import change_retention, delete_all_contents, delete_content
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant_by_id


def change_content_days(*, tenant_id: int, days: int, actor: str, now: datetime) -> None:
    """Keep prompts and completions for `days`, 0 for none; the same again is no act. Raises KeptDaysRefused."""
    with tenant_scope(tenant_id):
        tenant = get_tenant_by_id(tenant_id)
        before = tenant.content_kept_days if tenant else 0
        change_retention(tenant_id=tenant_id, days=days)
        if days != before:
            facts = {"days": str(days), "days_before": str(before)}
            book_act(tenant_id=tenant_id, act=Act("content.retention_changed", actor, facts), now=now)


def discard_content(*, tenant_id: int, digest: str, actor: str, now: datetime) -> bool:
    """Delete one content before its time; False where none of this digest is kept."""
    with tenant_scope(tenant_id):
        if not delete_content(tenant_id=tenant_id, digest=digest, actor=actor, now=now):
            return False
        book_act(tenant_id=tenant_id, act=Act("content.deleted", actor, {"digest": digest}), now=now)
    return True


def discard_all_contents(*, tenant_id: int, actor: str, now: datetime) -> int:
    """Delete whatever is kept for the tenant; how many contents. Where none was, it is no act."""
    with tenant_scope(tenant_id):
        count = delete_all_contents(tenant_id=tenant_id, now=now)
        if count:
            book_act(tenant_id=tenant_id, act=Act("content.all_deleted", actor, {"contents": str(count)}), now=now)
    return count
