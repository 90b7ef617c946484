"""Keeping prompts and completions: taken in redacted, given out for a while, deleted."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import connection, transaction

from content.core.messages import (
    DIGEST_PREFIX,
    Message,
    digest_content,
    read_salt,
    redact_content,
    write_content,
)
from content.selectors import DIGEST_PATTERN, LoggedContent, get_content, get_content_of_event
from tenants.prepared import prepared_cursor
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant_by_id
from tenants.tenants import set_content_kept_days

SALT_BYTES = 16
ROWS_AT_ONCE = 500  # a content is up to a megabyte


class ContentOff(PermissionError):
    """The tenant keeps no prompts and completions."""


class ContentConflict(ValueError):
    """Another content is kept for the same event."""


class ContentDeleted(LookupError):
    """The event's content was deleted on request, and is not taken again."""


@dataclass(frozen=True, slots=True)
class KeptContent:
    """What became of a content. is_new: false for one that was kept before."""

    content: LoggedContent
    is_new: bool


# Its parameters go apart from the text: a statement that fails is written to PostgreSQL's log, and this one without
# what it would have kept.
KEEP_CONTENT_SQL = """
    INSERT INTO content (tenant_id, event_source, event_id, digest, received_at, kept_until, api_key_id, redactions,
                         body)
    SELECT %(tenant_id)s::bigint, %(event_source)s::text, %(event_id)s::text, %(digest)s::bytea,
           %(now)s::timestamptz, %(kept_until)s::timestamptz, %(api_key_id)s::text, %(redactions)s::jsonb,
           %(body)s::text
    WHERE NOT EXISTS (
        SELECT FROM content_act
        WHERE tenant_id = %(tenant_id)s AND event_source = %(event_source)s AND event_id = %(event_id)s
          AND act = 'deleted')
    ON CONFLICT (tenant_id, event_source, event_id) DO NOTHING"""


def keep_content(
    *,
    tenant_id: int,
    api_key_id: str,
    event_source: str,
    event_id: str,
    input: Sequence[Message],
    output: Sequence[Message],
    now: datetime,
) -> KeptContent:
    """Redact a prompt and its completion and keep them for as long as the tenant says.

    Safe to repeat: the same content of the same event is kept once, and has the digest that it had. Raises ContentOff,
    ContentConflict, ContentDeleted.
    """
    tenant = get_tenant_by_id(tenant_id)
    if tenant is None or not tenant.content_kept_days:
        raise ContentOff
    redacted = redact_content(input=input, output=output)
    body = write_content(redacted, salt=secrets.token_hex(SALT_BYTES))
    with tenant_scope(tenant_id):
        with prepared_cursor() as cursor:
            cursor.execute(
                KEEP_CONTENT_SQL,
                {
                    "tenant_id": tenant_id,
                    "event_source": event_source,
                    "event_id": event_id,
                    "digest": bytes.fromhex(digest_content(body).removeprefix(DIGEST_PREFIX)),
                    "now": now,
                    "kept_until": now + timedelta(days=tenant.content_kept_days),
                    "api_key_id": api_key_id,
                    "redactions": json.dumps(redacted.redactions),
                    "body": body.decode(),
                },
            )
            is_new = cursor.rowcount == 1
        kept = get_content_of_event(tenant_id=tenant_id, event_source=event_source, event_id=event_id)
    if kept is None:
        raise ContentDeleted
    if not is_new and write_content(redacted, salt=read_salt(kept.body)) != kept.body:
        raise ContentConflict
    return KeptContent(kept, is_new)


RECORD_READ_SQL = """
    INSERT INTO content_act (tenant_id, id, acted_at, act, actor, event_source, event_id, digest)
    SELECT tenant_id, %(id)s, %(now)s, 'read', %(reader)s, event_source, event_id, digest
    FROM content
    WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND kept_until > %(now)s"""


def read_content(*, tenant_id: int, digest: str, reader: str, now: datetime) -> LoggedContent | None:
    """The tenant's content of this digest, and the fact that `reader` saw it is kept; None where there is none."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        content = get_content(tenant_id=tenant_id, digest=digest, now=now)
        if content is not None:
            cursor.execute(
                RECORD_READ_SQL,
                {"tenant_id": tenant_id, "id": uuid4(), "now": now, "reader": reader, "digest": _read_digest(digest)},
            )
    return content


DELETE_CONTENT_SQL = """
    WITH deleted AS (
        DELETE FROM content WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s
        RETURNING event_source, event_id, digest)
    INSERT INTO content_act (tenant_id, id, acted_at, act, actor, event_source, event_id, digest)
    SELECT %(tenant_id)s, %(id)s, %(now)s, 'deleted', %(actor)s, event_source, event_id, digest FROM deleted"""


def delete_content(*, tenant_id: int, digest: str, actor: str, now: datetime) -> bool:
    """Delete a content before its time, and keep who did; false where there is none. It is not taken again."""
    if not DIGEST_PATTERN.fullmatch(digest):
        return False
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            DELETE_CONTENT_SQL,
            {"tenant_id": tenant_id, "digest": _read_digest(digest), "id": uuid4(), "now": now, "actor": actor},
        )
        return cursor.rowcount == 1


PRUNE_CONTENTS_SQL = """
    DELETE FROM content
    WHERE tenant_id = %(tenant_id)s AND (event_source, event_id) IN (
        SELECT event_source, event_id FROM content
        WHERE tenant_id = %(tenant_id)s AND kept_until <= %(now)s
        ORDER BY kept_until
        LIMIT %(limit)s)"""


def prune_contents(*, tenant_id: int, now: datetime) -> int:
    """Delete what the tenant's time is over for, some at a time; how many. A second call deletes none."""
    count = 0
    while True:
        with tenant_scope(tenant_id), connection.cursor() as cursor:
            cursor.execute(PRUNE_CONTENTS_SQL, {"tenant_id": tenant_id, "now": now, "limit": ROWS_AT_ONCE})
            deleted = cursor.rowcount
        count += deleted
        if deleted < ROWS_AT_ONCE:
            return count


SHORTEN_RETENTION_SQL = """
    UPDATE content SET kept_until = received_at + make_interval(days => %(days)s)
    WHERE tenant_id = %(tenant_id)s AND kept_until > received_at + make_interval(days => %(days)s)"""


def change_retention(*, tenant_id: int, days: int) -> None:
    """Keep the tenant's prompts and completions for `days` from now on; 0 takes and shows none.

    What is kept already is kept no longer than that, and never longer than was said when it came; at 0 it is deleted
    when its time is over, and `delete_all_contents` deletes it now. Raises tenants.tenants.KeptDaysRefused.
    """
    with transaction.atomic(), tenant_scope(tenant_id), connection.cursor() as cursor:
        set_content_kept_days(tenant_id=tenant_id, days=days)
        if days:
            cursor.execute(SHORTEN_RETENTION_SQL, {"tenant_id": tenant_id, "days": days})


END_RETENTION_SQL = """
    UPDATE content SET kept_until = %(now)s WHERE tenant_id = %(tenant_id)s AND kept_until > %(now)s"""


def delete_all_contents(*, tenant_id: int, now: datetime) -> int:
    """Delete whatever is kept for the tenant; how many contents."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(END_RETENTION_SQL, {"tenant_id": tenant_id, "now": now})
    return prune_contents(tenant_id=tenant_id, now=now)


def _read_digest(digest: str) -> bytes:
    return bytes.fromhex(digest.removeprefix(DIGEST_PREFIX))
