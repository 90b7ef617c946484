"""One round of the sealer: keys, every tenant that waits, the log, and then its memory."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import DatabaseError, connections, transaction

from ledger.sealing import SEALER
from ledger.sealing.alarms import NOBODY, end_alarm, list_standing, raise_alarm
from ledger.sealing.checks import FAULTS_MAX, HISTORY, KINDS_OF_BATCHES, Fault, check_recent, check_tree, list_tenants
from ledger.sealing.keys import KeyRefused, KeyRing, MemoryLost, settle_keys
from ledger.sealing.log import log_keys, log_tree, publish_head
from ledger.sealing.memory import LOG, Memory, Remembered, name_tree, open_memory
from ledger.sealing.tenant_trees import SealedTree, TreeRefused, seal_tenant

logger = logging.getLogger(__name__)

ROUND_SECONDS_MAX = 20
TENANTS_PER_ROUND_MAX = 1_000
RETRY_REFUSED = timedelta(minutes=1)
WHOLE_CHECK, WHOLE_CHECK_EVERY = "whole check", timedelta(hours=23)
PAUSE_EVERY_SECONDS = 2.0


@dataclass
class Round:
    """What a round did. batches: that were sealed; refused: trees and batches that were not."""

    batches: int = 0
    tenants: int = 0
    refused: int = 0
    is_published: bool = False
    has_more: bool = False  # batches wait that this round had no room for
    trees: list[tuple[str, Remembered]] = field(default_factory=list)
    log: Remembered | None = None  # as it is now; None: it was refused


def seal_round(*, now: datetime, at_once: bool = False) -> Round:
    """Seal what waits, as far as a round's time goes. Any number of sealers may do it at once.

    at_once: publish the log's head whatever the time. What cannot be sealed is told as an alarm and waits; nothing of
    it keeps anything else from being sealed.
    """
    with open_memory() as memory:
        ring = _settle(memory, now=now)
        if ring is None:
            return Round(refused=1)
        done = Round(log=memory.recall(LOG))
        with _keep_in_mind(memory, done):
            _log_keys(done, ring=ring)
            give_way_at = time.monotonic() + ROUND_SECONDS_MAX
            for tenant_id in _list_due_tenants(memory, now=now):
                _seal_one(tenant_id, memory=memory, ring=ring, done=done, now=now)
                if time.monotonic() > give_way_at:
                    done.has_more = True
                    break
        _publish(memory, ring=ring, done=done, now=now, at_once=at_once)
        return done


@contextmanager
def _keep_in_mind(memory: Memory, done: Round) -> Iterator[None]:
    """Remember what was committed, in one transaction at the end, also where the round ends early."""
    try:
        yield
    finally:
        memory.remember([*done.trees, *([(LOG, done.log)] if done.log else [])])


def _settle(memory: Memory, *, now: datetime) -> KeyRing | None:
    try:
        ring, faults = settle_keys(memory, now=now)
    except (MemoryLost, KeyRefused) as error:
        kind = "memory_lost" if isinstance(error, MemoryLost) else "key_refused"
        raise_alarm(tenant_id=NOBODY, subject="sealer", kind=kind, detail=str(error))
        return None
    for fault in faults:
        raise_alarm(tenant_id=NOBODY, subject=f"key {fault.key_id}", kind=fault.kind, detail=fault.detail)
    wrong = {f"key {fault.key_id}" for fault in faults}
    for subject in list_standing(NOBODY):
        if subject == "sealer" or (subject.startswith("key ") and subject not in wrong):
            end_alarm(tenant_id=NOBODY, subject=subject)
    return ring


LIST_DUE_TENANTS_SQL = """
    SELECT tenant_id FROM outbox
    WHERE topic = 'seal' AND not_before <= %(now)s AND tenant_id <> ALL(%(refused)s::bigint[])
    GROUP BY tenant_id ORDER BY min(id)
    LIMIT %(limit)s"""


def _list_due_tenants(memory: Memory, *, now: datetime) -> list[int]:
    """Whose batches wait, the longest-waiting first; not those whose tree was refused a moment ago."""
    refused = [int(name.partition(" ")[2]) for name in memory.list_refused(now=now) if name.startswith("tenant ")]
    with connections[SEALER].cursor() as cursor:
        cursor.execute(LIST_DUE_TENANTS_SQL, {"now": now, "refused": refused, "limit": TENANTS_PER_ROUND_MAX})
        return [tenant_id for (tenant_id,) in cursor.fetchall()]


def _seal_one(tenant_id: int, *, memory: Memory, ring: KeyRing, done: Round, now: datetime) -> None:
    try:
        with transaction.atomic(using=SEALER):
            tree = seal_tenant(tenant_id, memory=memory, ring=ring, now=now)
            log = _log_tree(tree, ring=ring, done=done) if tree and tree.sealed else done.log
    except TreeRefused as refusal:
        memory.refuse(name_tree(tenant_id), retry_at=now + RETRY_REFUSED)
        raise_alarm(tenant_id=tenant_id, subject="tree", kind=refusal.kind, detail=refusal.detail)
        done.refused += 1
        return
    except DatabaseError:
        if not connections[SEALER].is_usable():
            raise
        logger.exception("sealing of tenant %d will be tried again", tenant_id)
        return
    if tree is None:
        return
    done.log = log
    done.trees.append((name_tree(tenant_id), tree.tree))
    done.tenants += 1
    done.batches += len(tree.sealed)
    done.has_more |= tree.has_more
    _tell(tree, done=done)


def _log_tree(tree: SealedTree, *, ring: KeyRing, done: Round) -> Remembered | None:
    """The log with the tree's new checkpoint; a log that is refused keeps no tenant from being sealed."""
    if done.log is None:
        return None
    try:
        return log_tree(tree, last=done.log, ring=ring)
    except TreeRefused as refusal:
        _refuse_log(refusal, done=done)
        return None


def _log_keys(done: Round, *, ring: KeyRing) -> None:
    assert done.log is not None
    try:
        done.log = log_keys(last=done.log, ring=ring)
    except TreeRefused as refusal:
        _refuse_log(refusal, done=done)


def _refuse_log(refusal: TreeRefused, *, done: Round) -> None:
    raise_alarm(tenant_id=NOBODY, subject="log", kind=refusal.kind, detail=refusal.detail)
    done.log = None
    done.refused += 1


def _tell(tree: SealedTree, *, done: Round) -> None:
    """What was refused of a tenant, and what no longer is."""
    well = {"tree", *(f"batch {batch_id}" for batch_id in tree.sealed)}
    for subject in list_standing(tree.tenant_id):
        if subject in well:
            end_alarm(tenant_id=tree.tenant_id, subject=subject)
    for batch in tree.refused:
        done.refused += 1
        raise_alarm(tenant_id=tree.tenant_id, subject=f"batch {batch.batch_id}", kind="batch", detail=batch.detail)


def _publish(memory: Memory, *, ring: KeyRing, done: Round, now: datetime, at_once: bool) -> None:
    if done.log is None:
        return
    try:
        done.is_published = publish_head(memory, last=done.log, ring=ring, now=now, at_once=at_once)
    except TreeRefused as refusal:
        _refuse_log(refusal, done=done)
    else:
        end_alarm(tenant_id=NOBODY, subject="log")


# --- comparing ---


def check_seals(*, now: Callable[[], datetime]) -> int:
    """Look for batches that were taken off the list, and once a day compare all of it; how many faults were told.

    now: asked again and again, because sealing goes on between two pages of a comparison.
    """
    with open_memory() as memory:
        ring = _settle(memory, now=now())
        if ring is None:
            return 1
        is_whole = memory.claim(WHOLE_CHECK, due_after=now() - WHOLE_CHECK_EVERY, now=now())
        faults = 0
        for tenant_id in list_tenants():
            if is_whole:
                found = check_tree(tenant_id, memory=memory, ring=ring, now=now(), pause=_Pause(now)).faults
            else:
                found = check_recent(tenant_id, ring=ring, now=now())
            _tell_faults(tenant_id, found, is_whole=is_whole)
            faults += len(found)
        return faults


def _tell_faults(tenant_id: int, faults: Sequence[Fault], *, is_whole: bool) -> None:
    """What was found; and, when everything was compared and all of it is told, what is over."""
    found: dict[str, list[Fault]] = {}
    for fault in faults:
        found.setdefault(fault.subject, []).append(fault)
    for subject, (first, *more) in found.items():
        detail = first.detail + (f", and {len(more)} faults more" if more else "")
        raise_alarm(tenant_id=tenant_id, subject=subject, kind=first.kind, detail=detail)
    if not is_whole or len(faults) >= FAULTS_MAX:
        return
    for subject, kind in list_standing(tenant_id).items():
        if subject not in found and (subject == HISTORY or kind in KINDS_OF_BATCHES):
            end_alarm(tenant_id=tenant_id, subject=subject)


class _Pause:
    """A round of sealing, every two seconds of a long comparison."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now, self.last = now, time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self.last > PAUSE_EVERY_SECONDS:
            seal_round(now=self.now())
            self.last = time.monotonic()
