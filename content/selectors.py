"""Where other apps read what is kept, and what was done with it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connections

from content.core.messages import DIGEST_PREFIX
from tenants.scope import tenant_scope

DIGEST_PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LoggedContent:
    """A kept prompt and completion. body: the canonical bytes; redactions: how many of each kind were taken out."""

    event_source: str
    event_id: str
    digest: str  # as an entry keeps it
    received_at: datetime
    kept_until: datetime
    api_key_id: str
    redactions: Mapping[str, int]
    body: bytes

    @property
    def is_intact(self) -> bool:
        """Whether what is stored still hashes to its digest."""
        return DIGEST_PREFIX + hashlib.sha256(self.body).hexdigest() == self.digest

    @property
    def document(self) -> dict[str, Any]:
        """`input` and `output`: messages, each with `role` and `parts`."""
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass(frozen=True, slots=True)
class ContentAct:
    """Somebody read a content, or deleted it. act: read, deleted."""

    act: str
    actor: str
    acted_at: datetime
    digest: str


GET_CONTENT_SQL = """
    SELECT event_source, event_id, digest, received_at, kept_until, api_key_id, redactions, body
    FROM content
    WHERE tenant_id = %(tenant_id)s AND digest = %(digest)s AND kept_until > %(now)s"""


def get_content(*, tenant_id: int, digest: str, now: datetime, using: str = "default") -> LoggedContent | None:
    """The tenant's content of this digest, while its time lasts; None for every other digest."""
    if not DIGEST_PATTERN.fullmatch(digest):
        return None
    asked = {"tenant_id": tenant_id, "digest": bytes.fromhex(digest.removeprefix(DIGEST_PREFIX)), "now": now}
    return _fetch_content(tenant_id, GET_CONTENT_SQL, asked, using)


GET_CONTENT_OF_EVENT_SQL = """
    SELECT event_source, event_id, digest, received_at, kept_until, api_key_id, redactions, body
    FROM content
    WHERE tenant_id = %(tenant_id)s AND event_source = %(event_source)s AND event_id = %(event_id)s
      AND (%(now)s::timestamptz IS NULL OR kept_until > %(now)s)"""


def get_content_of_event(
    *, tenant_id: int, event_source: str, event_id: str, now: datetime | None = None, using: str = "default"
) -> LoggedContent | None:
    """What is kept for this event: while its time lasts where `now` is given, else until it is deleted."""
    asked = {"tenant_id": tenant_id, "event_source": event_source, "event_id": event_id, "now": now}
    return _fetch_content(tenant_id, GET_CONTENT_OF_EVENT_SQL, asked, using)


LIST_ACTS_SQL = """
    SELECT act, actor, acted_at, digest
    FROM content_act
    WHERE tenant_id = %(tenant_id)s AND event_source = %(event_source)s AND event_id = %(event_id)s
    ORDER BY acted_at"""


def list_acts(*, tenant_id: int, event_source: str, event_id: str, using: str = "default") -> list[ContentAct]:
    """Who read or deleted what was kept for this event, oldest first."""
    with tenant_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_ACTS_SQL, {"tenant_id": tenant_id, "event_source": event_source, "event_id": event_id})
        return [ContentAct(*rest, _write_digest(digest)) for *rest, digest in cursor.fetchall()]


def _fetch_content(tenant_id: int, statement: str, asked: Mapping[str, Any], using: str) -> LoggedContent | None:
    with tenant_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(statement, asked)
        row: Sequence[Any] | None = cursor.fetchone()
    if row is None:
        return None
    source, event_id, digest, received_at, kept_until, api_key_id, redactions, body = row
    return LoggedContent(
        source,
        event_id,
        _write_digest(digest),
        received_at,
        kept_until,
        api_key_id,
        json.loads(redactions) if isinstance(redactions, str) else redactions,
        body.encode(),
    )


def _write_digest(digest: Any) -> str:
    return DIGEST_PREFIX + bytes(digest).hex()
