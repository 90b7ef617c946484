"""Channels of a tenant: made, changed, given a new secret and removed, each time as an act of the tenant's ledger.

An act never holds what is secret: not an address's path, not a key. Settings leave the database for the sender alone.
"""

import base64
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from alerts.core.channels import ChannelProblem, ChannelRefused, ChannelTerms, name_target, write_terms
from alerts.core.messages import make_test, write_message
from alerts.models import AlertChannel, AlertDelivery
from alerts.outbox import queue_delivery
from alerts.secrets import decrypt_settings, encrypt_settings
from ledger.acts import book_act
from ledger.core.acts import Act
from ledger.core.identity import make_uuid7
from tenants.scope import reading_scope, tenant_scope
from tenants.selectors import get_tenant_by_id

CHANNELS_MAX = 100
SECRET_BYTES = 32
OLD_SECRET_KEPT = timedelta(hours=24)


class ChannelUnknown(LookupError):
    """The tenant has no channel of this id, or it was removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel(ChannelTerms):
    """A channel as it is kept. target: what may be shown of where it leads; settings: empty but for the sender."""

    tenant_id: int
    id: int
    target: str
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    created_by: str
    created_at: datetime
    changed_at: datetime


ADD_CHANNEL_SQL = """
    INSERT INTO alert_channel (tenant_id, kind, name, target, settings, owner, scope, severity_min, quiet_from,
                               quiet_to, digest_hour, is_enabled, created_by, created_at, changed_at)
    VALUES (%(tenant_id)s, %(kind)s, %(name)s, %(target)s, %(settings)s, %(owner)s, %(scope)s::jsonb, %(severity_min)s,
            %(quiet_from)s, %(quiet_to)s, %(digest_hour)s, %(is_enabled)s, %(actor)s, %(now)s, %(now)s)
    RETURNING id"""


def create_channel(terms: ChannelTerms, *, tenant_id: int, actor: str, now: datetime) -> tuple[Channel, str]:
    """Make a channel; it, and a webhook's secret: shown this once. '' for the other kinds. Raises ChannelRefused."""
    secret = make_secret() if terms.kind == "webhook" else ""
    kept = {**terms.settings, "secrets": [{"secret": secret, "until": None}]} if secret else dict(terms.settings)
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        if len(list_channels(tenant_id=tenant_id)) >= CHANNELS_MAX:
            cure = f"a tenant has at most {CHANNELS_MAX} channels; remove one first"
            raise ChannelRefused([ChannelProblem("", "too_many", cure)])
        values = _write_columns(terms) | {
            "tenant_id": tenant_id,
            "scope": json.dumps(dict(terms.scope)),
            "settings": encrypt_settings(kept, tenant_id=tenant_id),
            "actor": actor,
            "now": now,
        }
        with _refuse_taken_name():
            cursor.execute(ADD_CHANNEL_SQL, values)
        channel = get_channel(tenant_id=tenant_id, channel_id=cursor.fetchone()[0])
        _record("created", channel, actor=actor, now=now)
    return channel, secret


def change_channel(terms: ChannelTerms, *, tenant_id: int, channel_id: int, actor: str, now: datetime) -> Channel:
    """Give a channel other terms; without settings it keeps its own. Raises ChannelRefused, ChannelUnknown.

    Its kind stays. What waits for a channel that is disabled is withheld.
    """
    with tenant_scope(tenant_id):
        before = _lock_channel(tenant_id, channel_id)
        if terms.kind != before.kind:
            cure = f"of a channel stays: this one is {before.kind}; make another one"
            raise ChannelRefused([ChannelProblem("kind", "wrong_value", cure)])
        columns = _write_columns(terms) | {"changed_at": now, "scope": dict(terms.scope)}
        if terms.settings:
            whole = {**decrypt_settings(before.settings, tenant_id=tenant_id), **terms.settings}
            columns["settings"] = encrypt_settings(whole, tenant_id=tenant_id)
        else:
            columns["target"] = before.target
        with _refuse_taken_name():
            AlertChannel.objects.filter(tenant_id=tenant_id, id=channel_id).update(**columns)
        if before.is_enabled and not terms.is_enabled:
            _withhold_waiting(tenant_id, channel_id, reason="the channel was disabled", now=now)
        channel = get_channel(tenant_id=tenant_id, channel_id=channel_id)
        _record("changed", channel, actor=actor, now=now, has_new_settings=bool(terms.settings))
    return channel


def rotate_secret(*, tenant_id: int, channel_id: int, actor: str, now: datetime) -> str:
    """A webhook's new secret, shown this once; for a day messages are signed with the old one too.

    Raises ChannelUnknown, and ChannelRefused for a kind that has none.
    """
    with tenant_scope(tenant_id):
        before = _lock_channel(tenant_id, channel_id)
        if before.kind != "webhook":
            raise ChannelRefused([ChannelProblem("kind", "wrong_value", "has no secret; only a webhook is signed")])
        kept = decrypt_settings(before.settings, tenant_id=tenant_id)
        secret = make_secret()
        ends = (now + OLD_SECRET_KEPT).isoformat()
        newest = [{**one, "until": ends} for one in kept["secrets"] if one["until"] is None]
        kept["secrets"] = [{"secret": secret, "until": None}, *newest]
        AlertChannel.objects.filter(tenant_id=tenant_id, id=channel_id).update(
            settings=encrypt_settings(kept, tenant_id=tenant_id), changed_at=now
        )
        _record("secret_rotated", _describe(before), actor=actor, now=now)
    return secret


def remove_channel(*, tenant_id: int, channel_id: int, actor: str, now: datetime) -> None:
    """Let nothing be told by it any more, and forget its settings; its deliveries stay. Raises ChannelUnknown."""
    with tenant_scope(tenant_id):
        before = _lock_channel(tenant_id, channel_id)
        AlertChannel.objects.filter(tenant_id=tenant_id, id=channel_id).update(
            is_enabled=False, settings=b"", removed_at=now, changed_at=now
        )
        _withhold_waiting(tenant_id, channel_id, reason="the channel was removed", now=now)
        _record("removed", _describe(before), actor=actor, now=now)


def send_test(*, tenant_id: int, channel_id: int, actor: str, now: datetime) -> UUID:
    """Queue a message that says that it is one, quiet hours or not; the delivery's id. Raises ChannelUnknown."""
    with tenant_scope(tenant_id):
        channel = _describe(_lock_channel(tenant_id, channel_id))
        if not channel.is_enabled:
            raise ChannelRefused([ChannelProblem("enabled", "disabled", "is false; enable the channel first")])
        tenant = get_tenant_by_id(tenant_id)
        message = make_test(tenant=tenant.slug, tenant_name=tenant.name, channel_name=channel.name, happened_at=now)
        delivery_id = make_uuid7(now, secrets.token_bytes(8))
        queue_delivery(
            tenant_id=tenant_id,
            delivery_id=delivery_id,
            channel_id=channel_id,
            kind="test",
            body=write_message(message),
            due_at=now,
            now=now,
        )
        _record("tested", channel, actor=actor, now=now)
    return delivery_id


def get_channel(*, tenant_id: int, channel_id: int, using: str = "default") -> Channel:
    """One channel, without its settings. Raises ChannelUnknown."""
    with reading_scope(tenant_id, using=using):
        row = AlertChannel.objects.using(using).filter(tenant_id=tenant_id, id=channel_id, removed_at=None).first()
    if row is None:
        raise ChannelUnknown(f"there is no channel {channel_id}")
    return _describe(row)


def list_channels(*, tenant_id: int) -> list[Channel]:
    """The tenant's channels, by name, without their settings."""
    with reading_scope(tenant_id):
        rows = AlertChannel.objects.filter(tenant_id=tenant_id, removed_at=None).order_by("name", "id")
        return [_describe(row) for row in rows]


@contextmanager
def lock_channel(*, tenant_id: int, channel_id: int) -> Iterator[Channel]:
    """A channel that nobody else changes, for a block; for whoever reads one to change it. Raises ChannelUnknown."""
    with tenant_scope(tenant_id):
        yield _describe(_lock_channel(tenant_id, channel_id))


def name_channels(channel_ids: Iterable[int], *, tenant_id: int) -> dict[int, Channel]:
    """These channels by id, removed ones included."""
    with reading_scope(tenant_id):
        rows = AlertChannel.objects.filter(tenant_id=tenant_id, id__in=set(channel_ids))
        return {row.id: _describe(row) for row in rows}


def list_schemes() -> tuple[str, ...]:
    """Of the addresses of channels: plain http goes to one's own networks only."""
    return ("https", "http") if settings.ALERT_NETWORKS else ("https",)


def make_secret() -> str:
    """A secret as Standard Webhooks writes it: 32 random bytes."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


def _write_columns(terms: ChannelTerms) -> dict[str, Any]:
    return {
        "kind": terms.kind,
        "name": terms.name,
        "target": name_target(terms) if terms.settings else "",
        "owner": terms.owner,
        "severity_min": terms.severity_min,
        "quiet_from": terms.quiet_from,
        "quiet_to": terms.quiet_to,
        "digest_hour": terms.digest_hour,
        "is_enabled": terms.is_enabled,
    }


def _lock_channel(tenant_id: int, channel_id: int) -> AlertChannel:
    found = AlertChannel.objects.select_for_update().filter(tenant_id=tenant_id, id=channel_id, removed_at=None)
    row = found.first()
    if row is None:
        raise ChannelUnknown(f"there is no channel {channel_id}")
    return row


def _withhold_waiting(tenant_id: int, channel_id: int, *, reason: str, now: datetime) -> None:
    AlertDelivery.objects.filter(tenant_id=tenant_id, channel_id=channel_id, state="waiting").update(
        state="withheld", finished_at=now, last_error=reason, leased_until=None
    )


@contextmanager
def _refuse_taken_name() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "alert_channel_name_once" not in str(error):
            raise
        cure = "is that of another channel; choose another one, or change that"
        raise ChannelRefused([ChannelProblem("name", "taken", cure)]) from None


def _describe(row: AlertChannel) -> Channel:
    return Channel(
        tenant_id=row.tenant_id,
        id=row.id,
        kind=row.kind,
        name=row.name,
        target=row.target,
        owner=row.owner,
        scope=row.scope,
        severity_min=row.severity_min,
        quiet_from=row.quiet_from,
        quiet_to=row.quiet_to,
        digest_hour=row.digest_hour,
        is_enabled=row.is_enabled,
        created_by=row.created_by,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def _record(name: str, channel: Channel, *, actor: str, now: datetime, has_new_settings: bool = False) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction, without what is secret or may be forgotten."""
    target = "mailboxes" if channel.kind == "email" else channel.target  # an address is a person's
    facts = {"channel": str(channel.id), "target": target, "terms": json.dumps(write_terms(channel))}
    if has_new_settings:
        facts["settings"] = "replaced"
    book_act(tenant_id=channel.tenant_id, act=Act(name=f"alert_channel.{name}", actor=actor, facts=facts), now=now)
