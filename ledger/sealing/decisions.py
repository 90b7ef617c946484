"""What an operator decides where the sealer refuses: to accept what the database holds, to queue what was taken off.

Each decision is an act of the operator's ledger first, so that who comes later reads who accepted what, and why.
"""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import connections

from ledger.acts import book_act
from ledger.core.acts import Act
from ledger.core.announcements import AnnouncementInvalid, check_announcement, read_announcement
from ledger.core.merkle import LeafRange, hash_range, list_subtrees
from ledger.key_files import load_key, verify
from ledger.sealing import SEALER
from ledger.sealing.alarms import NOBODY, end_alarm
from ledger.sealing.checks import find_missed
from ledger.sealing.keys import (
    RECEIPT,
    SEAL_KEY_PLACE,
    KeyRing,
    announce_key,
    list_announced_keys,
)
from ledger.sealing.keys import SEAL as SEAL_PURPOSE
from ledger.sealing.log import hold_log
from ledger.sealing.memory import LOG, LOG_HEAD, NOTHING, Memory, Remembered, name_tree
from ledger.sealing.proofs import TreeTorn, get_head, get_log_head, hash_tree, read_log_subtrees
from ledger.sealing.tenant_trees import TreeRefused, check_checkpoint, hold_tree
from ledger.topics import SEAL
from tenants.scope import tenant_scope


class NotAcceptable(RuntimeError):
    """What is stored does not even agree with itself: bring a backup back first. The text says what."""


def accept_tree(tenant_id: int, *, memory: Memory, ring: KeyRing, reason: str, actor: str, now: datetime) -> Remembered:
    """Go on from the tenant's tree as it is stored, whatever was signed before: after a backup was brought back.

    The act stands in the tenant's own ledger. Raises NotAcceptable unless batches, checkpoint and log agree.
    """
    tree = _read_tree(tenant_id, ring=ring)
    before = memory.recall(name_tree(tenant_id))
    facts = _write_facts("tree", before, tree, reason)
    with tenant_scope(tenant_id):
        book_act(tenant_id=tenant_id, act=Act("seal.accepted", actor, facts), now=now)
    memory.accept(name_tree(tenant_id), tree)
    end_alarm(tenant_id=tenant_id, subject="tree", detail=f"accepted by {actor}: {reason}")
    return tree


def _write_facts(subject: str, before: Remembered, after: Remembered, reason: str) -> Mapping[str, str]:
    return {
        "subject": subject,
        "signed_size": str(before.size),
        "signed_root": before.root.hex(),
        "accepted_size": str(after.size),
        "accepted_root": after.root.hex(),
        "reason": reason,
    }


READ_LOGGED_SQL = "SELECT coalesce(max(size), 0) FROM log_leaf WHERE tenant_id = %(tenant_id)s"
COUNT_LEAVES_SQL = "SELECT coalesce(max(leaf_index) + 1, 0) FROM seal_leaf WHERE tenant_id = %(tenant_id)s"


def _read_tree(tenant_id: int, *, ring: KeyRing) -> Remembered:
    with tenant_scope(tenant_id, using=SEALER), connections[SEALER].cursor() as cursor:
        hold_tree(tenant_id)
        head = get_head(tenant_id=tenant_id, using=SEALER)
        cursor.execute(COUNT_LEAVES_SQL, {"tenant_id": tenant_id})
        (leaf_count,) = cursor.fetchone()
        cursor.execute(READ_LOGGED_SQL, {"tenant_id": tenant_id})
        (logged,) = cursor.fetchone()
        size = head.size if head else 0
        if leaf_count != size:
            raise NotAcceptable(f"there are {leaf_count} leaves and a checkpoint over {size}")
        if logged > size:
            raise NotAcceptable(f"the log names a checkpoint over {logged}, and the newest here is over {size}")
        if head is None:
            return NOTHING
        try:
            check_checkpoint(head, origin=ring.name_origin(tenant_id), ring=ring)
            root = hash_tree(tenant_id=tenant_id, size=size, using=SEALER)
        except (TreeRefused, TreeTorn) as error:
            raise NotAcceptable(str(error)) from None
    if root != head.root:
        raise NotAcceptable(f"the batches do not give the root of the checkpoint over {size}")
    return Remembered(size, root)


COUNT_LOG_LEAVES_SQL = "SELECT coalesce(max(log_index) + 1, 0) FROM log_leaf"


def accept_log(*, memory: Memory, operator_id: int, reason: str, actor: str, now: datetime) -> Remembered:
    """The same for the log of all trees."""
    log = _read_log()
    _book(operator_id, Act("seal.accepted", actor, _write_facts("log", memory.recall(LOG), log, reason)), now=now)
    _keep_log(memory, log)
    end_alarm(tenant_id=NOBODY, subject="log", detail=f"accepted by {actor}: {reason}")
    return log


def _read_log() -> Remembered:
    """The log as it is stored. Raises NotAcceptable where it does not give the root of its own newest head."""
    with hold_log(), connections[SEALER].cursor() as cursor:
        cursor.execute(COUNT_LOG_LEAVES_SQL)
        (size,) = cursor.fetchone()
        head = get_log_head(using=SEALER)
        whole, published = LeafRange(0, size), LeafRange(0, head.size if head else 0)
        if published.end > size:
            raise NotAcceptable(f"the log has {size} leaves and a head over {published.end}")
        try:
            nodes = read_log_subtrees(places=list_subtrees([whole, published]), using=SEALER)
        except TreeTorn as error:
            raise NotAcceptable(str(error)) from None
    if head and hash_range(published, nodes) != head.root:
        raise NotAcceptable(f"the leaves do not give the root of the head over {head.size}")
    return Remembered(size, hash_range(whole, nodes))


def _keep_log(memory: Memory, log: Remembered) -> None:
    head = get_log_head(using=SEALER)
    memory.accept(LOG, log)
    memory.accept(LOG_HEAD, Remembered(head.size, head.root) if head else NOTHING)


def accept_key(key_id: str, *, memory: Memory, operator_id: int, reason: str, actor: str, now: datetime) -> None:
    """Believe a key that no known key has signed for: the one before was lost. Raises NotAcceptable."""
    own = load_key(SEAL_KEY_PLACE)
    announced = {key.key_id: key for key in list_announced_keys(using=SEALER)}
    if key_id == own.key_id and key_id not in announced:
        announce_key(purpose=SEAL_PURPOSE, pair=own, installation=memory.installation, now=now, using=SEALER)
        announced = {key.key_id: key for key in list_announced_keys(using=SEALER)}
    if key_id not in announced:
        raise NotAcceptable(f"no key {key_id} was announced: start the process that signs with it")
    key = announced[key_id]
    try:
        check_announcement(key.announcement, known={}, verify=verify)
    except AnnouncementInvalid as error:
        raise NotAcceptable(str(error)) from None
    facts = {"subject": f"key {key_id}", "purpose": key.purpose, "reason": reason}
    _book(operator_id, Act("seal.accepted", actor, facts), now=now)
    memory.pin_key(key_id=key_id, purpose=key.purpose, public_key=key.public_key, now=now)
    end_alarm(tenant_id=NOBODY, subject=f"key {key_id}", detail=f"accepted by {actor}: {reason}")


def accept_memory(*, memory: Memory, operator_id: int, reason: str, actor: str, now: datetime) -> str:
    """Begin again from what the database holds: the sealer's memory was lost. The installation's number.

    Every tenant's tree is believed at its next round, because its checkpoints carry our signatures; the log as it is.
    Raises NotAcceptable where the database holds no seals, or those of another key.
    """
    own = load_key(SEAL_KEY_PLACE)
    announced = list_announced_keys(using=SEALER)
    first = next((key for key in announced if key.purpose == SEAL_PURPOSE), None)
    if memory.installation or first is None:
        raise NotAcceptable("nothing is lost: the sealer remembers, or nothing was sealed yet")
    if own.key_id not in {key.key_id for key in announced if key.purpose == SEAL_PURPOSE}:
        raise NotAcceptable(f"the sealer's key {own.key_id} is none that sealed this database: bring its file back")
    log = _read_log()
    installation = read_announcement(first.announcement).installation
    facts = _write_facts("memory", NOTHING, log, reason) | {"installation": installation}
    _book(operator_id, Act("seal.accepted", actor, facts), now=now)
    memory.begin(now=now, installation=installation)
    for purpose in (RECEIPT, SEAL_PURPOSE):
        for key in (one for one in announced if one.purpose == purpose):
            try:
                check_announcement(key.announcement, known=memory.list_keys(purpose), verify=verify)
            except AnnouncementInvalid:
                continue
            memory.pin_key(key_id=key.key_id, purpose=purpose, public_key=key.public_key, now=now)
    _keep_log(memory, log)
    end_alarm(tenant_id=NOBODY, subject="sealer", detail=f"accepted by {actor}: {reason}")
    return installation


def _book(operator_id: int, act: Act, *, now: datetime) -> None:
    with tenant_scope(operator_id):
        book_act(tenant_id=operator_id, act=act, now=now)


QUEUE_SQL = """
    INSERT INTO outbox (topic, tenant_id, batch_id, recorded_at, entry_count)
    SELECT %(topic)s, tenant_id, batch_id, recorded_at, entry_count FROM ledger_batch
    WHERE tenant_id = %(tenant_id)s AND batch_id = ANY(%(batch_ids)s)"""


def queue_missed(tenant_id: int, *, ring: KeyRing, reason: str, actor: str, now: datetime) -> list[UUID]:
    """Let the batches that were taken off the sealer's list wait for their seal again; which these are."""
    with tenant_scope(tenant_id, using=SEALER):
        missed, _ = find_missed(tenant_id, until=now, ring=ring)
    if not missed:
        return []
    with tenant_scope(tenant_id), connections["default"].cursor() as cursor:
        facts = {"subject": "batches", "batches": str(len(missed)), "first": str(missed[0]), "reason": reason}
        book_act(tenant_id=tenant_id, act=Act("seal.queued", actor, facts), now=now)
        cursor.execute(QUEUE_SQL, {"topic": SEAL, "tenant_id": tenant_id, "batch_ids": missed})
    for batch_id in missed:
        end_alarm(tenant_id=tenant_id, subject=f"batch {batch_id}", detail=f"queued by {actor}: {reason}")
    return missed
