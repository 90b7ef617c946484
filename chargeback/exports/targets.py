"""Targets of a tenant: added, changed and removed, each time as an act of the ledger, without what is secret."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from alerts.secrets import SecretsUnreadable, decrypt_settings, encrypt_settings
from chargeback.core.export_targets import Kind, TargetProblem, TargetRefused, TargetTerms, write_terms
from chargeback.core.exports import find_settling
from chargeback.exports.buckets import Bucket
from chargeback.exports.folders import Folder
from chargeback.exports.places import Place, PlaceFailed
from chargeback.models import ExportTarget
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope

TARGETS_MAX = 20
TRY_SECONDS = 5.0  # somebody waits before the page
PROBE = b'{"tokenledger": "a test: days are written beside this file"}\n'


class TargetUnknown(LookupError):
    """The tenant has no target of this id, or it was removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(TargetTerms):
    """A target as it is kept, without its credentials."""

    tenant_id: int
    id: int
    created_by: str
    created_at: datetime
    changed_at: datetime

    @property
    def is_operators(self) -> bool:
        """Whether it is the operator's alone to change: a folder stands on the operator's machine."""
        return self.kind == "folder"


def list_kinds(*, is_operator: bool) -> tuple[Kind, ...]:
    """What somebody may add: a folder is the operator's own machine, and needs a root that the operator set."""
    return ("s3", "folder") if is_operator and settings.EXPORT_ROOT else ("s3",)


ADD_TARGET_SQL = """
    INSERT INTO export_target (tenant_id, name, kind, place, region, endpoint, is_path_style, first_day, is_enabled,
                               settings, created_by, created_at, changed_at)
    VALUES (%(tenant_id)s, %(name)s, %(kind)s, %(place)s, %(region)s, %(endpoint)s, %(is_path_style)s, %(first_day)s,
            %(is_enabled)s, %(settings)s, %(actor)s, %(now)s, %(now)s)
    RETURNING id"""


BEGIN_DAYS_SQL = """
    INSERT INTO export_run (tenant_id, target_id, day, state, due_at)
    VALUES (%(tenant_id)s, %(target_id)s, %(first_day)s, 'waiting', %(due_at)s)"""


def add_target(terms: TargetTerms, *, tenant_id: int, actor: str, now: datetime) -> Target:
    """Send days there from now on. Raises TargetRefused."""
    with tenant_scope(tenant_id):
        if len(list_targets(tenant_id=tenant_id)) >= TARGETS_MAX:
            cure = f"a tenant has at most {TARGETS_MAX} targets; remove one first"
            raise TargetRefused([TargetProblem("", "too_many", cure)])
        values = _write_columns(terms) | {
            "tenant_id": tenant_id,
            "settings": encrypt_settings(terms.credentials, tenant_id=tenant_id),
            "actor": actor,
            "now": now,
        }
        with _refuse_taken_name(), connection.cursor() as cursor:
            cursor.execute(ADD_TARGET_SQL, values)
            target_id = cursor.fetchone()[0]
            first = {"target_id": target_id, "due_at": find_settling(terms.first_day)}
            cursor.execute(BEGIN_DAYS_SQL, values | first)
        target = get_target(tenant_id=tenant_id, target_id=target_id)
        _record("added", target, actor=actor, now=now)
    return target


def change_target(terms: TargetTerms, *, tenant_id: int, target_id: int, actor: str, now: datetime) -> Target:
    """Give a target other terms; without credentials it keeps its own. Raises TargetRefused, TargetUnknown.

    Credentials go to the address that they were given for: another bucket or endpoint asks for them again.
    """
    with tenant_scope(tenant_id):
        before = _lock_target(tenant_id, target_id)
        if terms.kind != before.kind:
            cure = f"of a target stays: this one is {before.kind}; add another one"
            raise TargetRefused([TargetProblem("kind", "wrong_value", cure)])
        leads_elsewhere = (terms.endpoint, terms.region, terms.place) != (before.endpoint, before.region, before.place)
        if terms.kind == "s3" and leads_elsewhere and not terms.credentials:
            cure = "is required where the target leads elsewhere than before"
            raise TargetRefused([TargetProblem("secret_access_key", "missing_field", cure)])
        columns = _write_columns(terms) | {"changed_at": now}
        if terms.credentials:
            columns["settings"] = encrypt_settings(terms.credentials, tenant_id=tenant_id)
        with _refuse_taken_name():
            ExportTarget.objects.filter(tenant_id=tenant_id, id=target_id).update(**columns)
        target = get_target(tenant_id=tenant_id, target_id=target_id)
        _record("changed", target, actor=actor, now=now, has_new_keys=bool(terms.credentials))
    return target


def remove_target(*, tenant_id: int, target_id: int, actor: str, now: datetime) -> None:
    """Send nothing there any more, and forget its credentials; what was sent stays there. Raises TargetUnknown."""
    with tenant_scope(tenant_id):
        target = _describe(_lock_target(tenant_id, target_id))
        ExportTarget.objects.filter(tenant_id=tenant_id, id=target_id).update(
            removed_at=now, changed_at=now, is_enabled=False, settings=b""
        )
        _record("removed", target, actor=actor, now=now)


def try_target(*, tenant_id: int, target_id: int, clock: Callable[[], datetime]) -> str:
    """Write a small file there and read it again; '' where that went well, else why not. Raises TargetUnknown."""
    with reading_scope(tenant_id):
        target = get_target(tenant_id=tenant_id, target_id=target_id)
        kept = _load_settings(tenant_id, target_id)
    try:
        open_place(target, kept, clock=clock, seconds=TRY_SECONDS).probe(PROBE)
    except (PlaceFailed, SecretsUnreadable) as failed:
        return str(failed)
    return ""


def open_place(target: Target, kept: bytes, *, clock: Callable[[], datetime], seconds: float | None = None) -> Place:
    """kept: the encrypted credentials. seconds: of each request. Raises PlaceFailed, SecretsUnreadable."""
    if target.kind == "folder":
        return Folder(target.place)
    return Bucket(target, decrypt_settings(kept, tenant_id=target.tenant_id), clock=clock, seconds=seconds)


def get_target(*, tenant_id: int, target_id: int) -> Target:
    """Raises TargetUnknown."""
    with reading_scope(tenant_id):
        row = ExportTarget.objects.filter(tenant_id=tenant_id, id=target_id, removed_at=None).first()
    if row is None:
        raise TargetUnknown(f"there is no target {target_id}")
    return _describe(row)


def list_targets(*, tenant_id: int) -> list[Target]:
    """The tenant's targets, by name."""
    with reading_scope(tenant_id):
        rows = ExportTarget.objects.filter(tenant_id=tenant_id, removed_at=None).order_by("name", "id")
        return [_describe(row) for row in rows]


@contextmanager
def lock_target(*, tenant_id: int, target_id: int) -> Iterator[Target]:
    """A target that nobody else changes, for a block. Raises TargetUnknown."""
    with tenant_scope(tenant_id):
        yield _describe(_lock_target(tenant_id, target_id))


def _load_settings(tenant_id: int, target_id: int) -> bytes:
    return bytes(ExportTarget.objects.filter(tenant_id=tenant_id, id=target_id).values_list("settings", flat=True)[0])


def _lock_target(tenant_id: int, target_id: int) -> ExportTarget:
    found = ExportTarget.objects.select_for_update().filter(tenant_id=tenant_id, id=target_id, removed_at=None)
    row = found.first()
    if row is None:
        raise TargetUnknown(f"there is no target {target_id}")
    return row


def _write_columns(terms: TargetTerms) -> dict[str, Any]:
    return {
        "name": terms.name,
        "kind": terms.kind,
        "place": terms.place,
        "region": terms.region,
        "endpoint": terms.endpoint,
        "is_path_style": terms.is_path_style,
        "first_day": terms.first_day,
        "is_enabled": terms.is_enabled,
    }


def _describe(row: ExportTarget) -> Target:
    return Target(
        tenant_id=row.tenant_id,
        id=row.id,
        name=row.name,
        kind=row.kind,
        place=row.place,
        region=row.region,
        endpoint=row.endpoint,
        is_path_style=row.is_path_style,
        first_day=row.first_day,
        is_enabled=row.is_enabled,
        created_by=row.created_by,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


@contextmanager
def _refuse_taken_name() -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "export_target_name_once" not in str(error):
            raise
        cure = "is that of another target; choose another one, or change that"
        raise TargetRefused([TargetProblem("name", "taken", cure)]) from None


def _record(name: str, target: Target, *, actor: str, now: datetime, has_new_keys: bool = False) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    facts: Mapping[str, str] = {"target": str(target.id), "terms": json.dumps(write_terms(target))}
    if has_new_keys:
        facts = {**facts, "credentials": "replaced"}
    book_act(tenant_id=target.tenant_id, act=Act(name=f"export_target.{name}", actor=actor, facts=facts), now=now)
