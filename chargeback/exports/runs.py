"""Which day is sent where and when: every settled day once, after an outage the days that were missed.

A day is claimed for some minutes, and claimed anew while it is worked on: a worker that is killed leaves a lease that
ends. Whoever comes after it finds what was put already by its hash, and puts the rest; the manifest comes last.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import connection, connections

from alerts.secrets import SecretsUnreadable
from chargeback.core.exports import (
    ManifestUnreadable,
    find_delay,
    find_settled_day,
    hash_content,
    name_manifest,
)
from chargeback.exports.days import DayBroken, DayFiles, make_day
from chargeback.exports.places import DayChanged, Keep, Place, PlaceFailed
from chargeback.exports.targets import Target, get_target, open_place
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo, get_tenant_by_id

LEASE = timedelta(minutes=10)
RENEW_SECONDS = 30
ERROR_LENGTH_MAX = 500
OVERWRITTEN = "what stands there was made of other rows: nothing was overwritten"

log = logging.getLogger(__name__)


class LeaseLost(RuntimeError):
    """Another worker took the day over."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A day that is ours until its lease ends. settings: the target's credentials, encrypted."""

    target: Target
    settings: bytes
    day: date
    number: int  # of this attempt
    retried_from: int
    content_sha256: str  # of what was sent before, '' where nothing was


def export_due(*, clock: Callable[[], datetime], seconds: float, using: str = "reader") -> int:
    """Send what is due, beginning no day after so many seconds; how many attempts were made.

    using: where rows are read, apart from where leases are kept.
    """
    began, attempts = monotonic(), 0
    failed: set[int] = set()
    for tenant_id in list_exporting_tenants(using=using):
        queue_days(tenant_id=tenant_id, now=clock())
        while monotonic() - began < seconds:
            claim = claim_day(tenant_id=tenant_id, now=clock(), without=failed)
            if claim is None:
                break
            attempts += 1
            if not _work(claim, clock=clock, using=using):
                failed.add(claim.target.id)  # its other days wait for the next round, and nobody waits for them
    return attempts


LIST_EXPORTING_TENANTS_SQL = "SELECT DISTINCT tenant_id FROM export_run"


def list_exporting_tenants(*, using: str) -> list[int]:
    """The tenants who have, or had, a target: each has its first day from its beginning."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_EXPORTING_TENANTS_SQL)
        return sorted(tenant_id for (tenant_id,) in cursor.fetchall())


QUEUE_DAYS_SQL = """
    INSERT INTO export_run (tenant_id, target_id, day, state, due_at)
    SELECT tenant_id, id, day::date, 'waiting', %(now)s
    FROM export_target CROSS JOIN generate_series(first_day::timestamp, %(last)s::timestamp, interval '1 day') AS day
    WHERE tenant_id = %(tenant_id)s AND removed_at IS NULL AND is_enabled
    ON CONFLICT (tenant_id, target_id, day) DO NOTHING"""


def queue_days(*, tenant_id: int, now: datetime) -> int:
    """Write down every settled day that no row is of; how many those are."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(QUEUE_DAYS_SQL, {"tenant_id": tenant_id, "now": now, "last": find_settled_day(now)})
        return cursor.rowcount


# --- whose turn it is ---


LOCK_DUE_SQL = """
    SELECT run.target_id, run.day, run.attempts + 1, run.retried_from, run.content_sha256, target.settings
    FROM export_run AS run JOIN export_target AS target
      ON target.tenant_id = run.tenant_id AND target.id = run.target_id
    WHERE run.tenant_id = %(tenant_id)s AND run.state = 'waiting' AND run.due_at <= %(now)s
      AND (run.leased_until IS NULL OR run.leased_until <= %(now)s)
      AND target.removed_at IS NULL AND target.is_enabled AND NOT run.target_id = ANY(%(without)s::bigint[])
    ORDER BY run.day, run.target_id
    LIMIT 1 FOR UPDATE OF run SKIP LOCKED"""
LEASE_RUN_SQL = """
    UPDATE export_run SET leased_until = %(until)s, attempts = %(number)s
    WHERE tenant_id = %(tenant_id)s AND target_id = %(target_id)s AND day = %(day)s"""


def claim_day(*, tenant_id: int, now: datetime, without: set[int]) -> Claim | None:
    """Take the earliest day that is due, not of the targets `without`; None where there is none."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        while True:
            cursor.execute(LOCK_DUE_SQL, {"tenant_id": tenant_id, "now": now, "without": sorted(without)})
            row = cursor.fetchone()
            if row is None:
                return None
            target_id, day, number, retried_from, content, kept = row
            target = get_target(tenant_id=tenant_id, target_id=target_id)
            claim = Claim(target, bytes(kept), day, number, retried_from, content)
            if number - 1 > retried_from and find_delay(number - 1 - retried_from) is None:
                _end(claim, "dead", "no attempt came to its end", now=now)
                continue
            cursor.execute(LEASE_RUN_SQL, _name_run(claim) | {"until": now + LEASE, "number": number})
            return claim


RENEW_SQL = """
    UPDATE export_run SET leased_until = %(until)s
    WHERE tenant_id = %(tenant_id)s AND target_id = %(target_id)s AND day = %(day)s AND state = 'waiting'
      AND attempts = %(number)s"""


def _make_keep(claim: Claim, clock: Callable[[], datetime]) -> Keep:
    """Renews the lease now and then. It raises LeaseLost."""
    renewed = monotonic()

    def keep() -> None:
        nonlocal renewed
        if monotonic() - renewed < RENEW_SECONDS:
            return
        renewed = monotonic()
        with tenant_scope(claim.target.tenant_id), connection.cursor() as cursor:
            cursor.execute(RENEW_SQL, _name_run(claim) | {"until": clock() + LEASE, "number": claim.number})
            if not cursor.rowcount:
                raise LeaseLost

    return keep


# --- one attempt ---


def _work(claim: Claim, *, clock: Callable[[], datetime], using: str) -> bool:
    """Make and send a day, and keep what became of it; whether it is there now."""
    tenant, keep = get_tenant_by_id(claim.target.tenant_id), _make_keep(claim, clock)
    assert tenant is not None  # a tenant is never deleted
    try:
        place = open_place(claim.target, claim.settings, clock=clock)
        with _own_folder(claim) as folder:
            made = make_day(tenant=tenant, day=claim.day, folder=folder, keep=keep, using=using)
            _send_day(place, tenant, claim, made, folder, keep)
    except LeaseLost:
        return False
    except (DayChanged, ManifestUnreadable) as changed:
        _end(claim, "changed", str(changed), now=clock())
    except (PlaceFailed, DayBroken, SecretsUnreadable) as failed:
        _postpone(claim, str(failed), now=clock())
    except Exception as fault:
        log.exception("the day %s could not be exported to %s", claim.day, claim.target.name)
        _postpone(claim, f"{type(fault).__name__}: see the worker's log", now=clock())
    else:
        _end_sent(claim, made, now=clock())
        return True
    return False


def _send_day(place: Place, tenant: TenantInfo, claim: Claim, made: DayFiles, folder: Path, keep: Keep) -> None:
    """Put what is not there yet, the manifest last. Raises DayChanged, PlaceFailed, ManifestUnreadable."""
    content, name = hash_content(made.manifest), name_manifest(tenant.slug, claim.day)
    if claim.content_sha256 not in ("", content):
        raise DayChanged("the day's rows are others than those that were sent: nothing was overwritten")
    standing = place.read(name)
    if standing is not None and hash_content(standing) != content:
        raise DayChanged(f"{name}: {OVERWRITTEN}")
    if standing not in (None, made.manifest):
        return  # the same rows, written by another version of the library: what is there stays
    for facts, path in made.files:
        found = place.find(facts.name)
        if found is None:
            place.put(facts.name, path, sha256=facts.sha256, keep=keep)
        elif (found.size, found.sha256) != (facts.size, facts.sha256):
            raise DayChanged(f"{facts.name}: {OVERWRITTEN}")
    if standing is None:
        path = folder / "manifest.json"
        path.write_bytes(made.manifest)
        place.put(name, path, sha256=hashlib.sha256(made.manifest).hexdigest(), keep=keep)


@contextmanager
def _own_folder(claim: Claim) -> Iterator[Path]:
    """Where the files are made; those that an attempt before this one left are deleted first."""
    above = settings.HOME / "export-drafts"
    above.mkdir(parents=True, exist_ok=True, mode=0o700)
    stem = f"{claim.target.tenant_id}-{claim.target.id}-{claim.day}"
    for left in above.glob(f"{stem}.*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = above / f"{stem}.{claim.number}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- what became of it ---


# Whoever comes late, after the lease, says only that the day arrived.
END_RUN_SQL = """
    UPDATE export_run SET state = %(state)s, finished_at = %(now)s, leased_until = NULL, last_error = %(error)s
    WHERE tenant_id = %(tenant_id)s AND target_id = %(target_id)s AND day = %(day)s AND state = 'waiting'
      AND attempts <= %(number)s"""
END_SENT_SQL = """
    UPDATE export_run
    SET state = 'sent', finished_at = %(now)s, leased_until = NULL, last_error = '', rows = %(rows)s, bytes = %(bytes)s,
        billed_cost = %(billed_cost)s, content_sha256 = %(content)s, manifest_sha256 = %(manifest)s
    WHERE tenant_id = %(tenant_id)s AND target_id = %(target_id)s AND day = %(day)s AND state = 'waiting'"""
POSTPONE_RUN_SQL = """
    UPDATE export_run SET due_at = %(due_at)s, leased_until = NULL, last_error = %(error)s
    WHERE tenant_id = %(tenant_id)s AND target_id = %(target_id)s AND day = %(day)s AND state = 'waiting'
      AND attempts = %(number)s"""


def _end(claim: Claim, state: str, error: str, *, now: datetime) -> None:
    _write(END_RUN_SQL, claim, state=state, error=error[:ERROR_LENGTH_MAX], now=now)


def _end_sent(claim: Claim, made: DayFiles, *, now: datetime) -> None:
    _write(
        END_SENT_SQL,
        claim,
        now=now,
        rows=made.rows,
        bytes=made.size,
        billed_cost=made.billed_cost,
        content=hash_content(made.manifest),
        manifest=hashlib.sha256(made.manifest).hexdigest(),
    )


def _postpone(claim: Claim, error: str, *, now: datetime) -> None:
    delay = find_delay(claim.number - claim.retried_from)
    if delay is None:
        _end(claim, "dead", error, now=now)
    else:
        _write(POSTPONE_RUN_SQL, claim, due_at=now + delay, error=error[:ERROR_LENGTH_MAX])


def _write(statement: str, claim: Claim, **values: Any) -> None:
    with tenant_scope(claim.target.tenant_id), connection.cursor() as cursor:
        cursor.execute(statement, _name_run(claim) | {"number": claim.number} | values)


def _name_run(claim: Claim) -> dict[str, Any]:
    return {"tenant_id": claim.target.tenant_id, "target_id": claim.target.id, "day": claim.day}
