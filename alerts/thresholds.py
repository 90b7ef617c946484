"""From where on a tenant is told what is out of the ordinary; set by a person or a key, each time as an act."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, connections

from alerts.core.anomalies import Thresholds
from alerts.core.watch_settings import Document, WatchSetting, change_document, read_setting
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope

DEFAULT = WatchSetting(Thresholds())


@dataclass(frozen=True, slots=True)
class KeptSetting:
    """A tenant's setting and its document. changed_by: '' and changed_at: None where it has the defaults."""

    setting: WatchSetting
    document: Mapping[str, Any]
    changed_by: str = ""
    changed_at: datetime | None = None


READ_SETTING_SQL = """
    SELECT thresholds, changed_by, changed_at FROM watch_setting WHERE tenant_id = %(tenant_id)s"""
LIST_SETTINGS_SQL = "SELECT tenant_id, thresholds FROM watch_setting"
LOCK_SETTING_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('watch setting ' || %(tenant_id)s::bigint, 0))"
KEEP_SETTING_SQL = """
    INSERT INTO watch_setting (tenant_id, thresholds, changed_by, changed_at)
    VALUES (%(tenant_id)s, %(thresholds)s::jsonb, %(actor)s, %(now)s)
    ON CONFLICT (tenant_id) DO UPDATE
    SET thresholds = excluded.thresholds, changed_by = excluded.changed_by, changed_at = excluded.changed_at"""


def get_setting(*, tenant_id: int, using: str = "default") -> KeptSetting:
    """What the tenant has set, the defaults where it has set nothing."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(READ_SETTING_SQL, {"tenant_id": tenant_id})
        row = cursor.fetchone()
    if row is None:
        return KeptSetting(DEFAULT, {})
    document = json.loads(row[0])
    return KeptSetting(read_setting(document), document, row[1], row[2])


def list_settings(*, using: str = "reader") -> dict[int, WatchSetting]:
    """Those of every tenant that has set something, as one reads them who sees every tenant."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_SETTINGS_SQL)
        return {tenant_id: read_setting(json.loads(document)) for tenant_id, document in cursor.fetchall()}


def change_setting(changes: Document, *, tenant_id: int, actor: str, now: datetime) -> KeptSetting:
    """Make changes, as `alerts.core.watch_settings.change_document` takes them; the same again are no act.

    They hold from the next run on. Raises ThresholdsRefused.
    """
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(LOCK_SETTING_SQL, {"tenant_id": tenant_id})
        kept = get_setting(tenant_id=tenant_id)
        document = change_document(kept.document, changes)
        if document == kept.document:
            return kept
        values = {"tenant_id": tenant_id, "thresholds": json.dumps(document), "actor": actor, "now": now}
        cursor.execute(KEEP_SETTING_SQL, values)
        facts = {"thresholds": json.dumps(document), "thresholds_before": json.dumps(dict(kept.document))}
        book_act(tenant_id=tenant_id, act=Act(name="watch.changed", actor=actor, facts=facts), now=now)
    return KeptSetting(read_setting(document), document, actor, now)
