"""Whether a tenant's tree still says what was signed: the newest checkpoint, its place in the log, every batch in it.

What is compared here is what is stored, with keys that are stored too: it finds what broke, and convinces who trusts
this installation. Who does not takes the evidence archive, and checks that elsewhere.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from django.db import connections

from billing.job_runs import record_run
from ledger.core.merkle import hash_leaf, hash_root, is_included
from ledger.core.notes import NoteInvalid, verify_checkpoint
from ledger.key_files import verify
from ledger.receipts import ReceiptInvalid, open_receipt
from ledger.sealing.keys import AnnouncedKey, list_announced_keys
from ledger.sealing.proofs import (
    LogHead,
    LogLeaf,
    SignedCheckpoint,
    TreeTorn,
    get_head,
    get_log_head_over,
    get_log_leaf,
    hash_tree,
    prove_log_inclusion,
)
from tenants.scope import reading_scope

RECEIPT, SEAL = "receipt", "seal"
ROWS_PER_FETCH = 2_000
FAULTS_MAX = 20
CHAIN_JOB = "verify chain {tenant_id}"


@dataclass(frozen=True, slots=True)
class SealedHead:
    """The newest checkpoint, and what was found of it just now. log_head: None while the log has not published it."""

    checkpoint: SignedCheckpoint
    is_signed: bool
    is_rooted: bool
    log_leaf: LogLeaf | None
    log_head: LogHead | None
    is_logged: bool

    @property
    def is_right(self) -> bool:
        """Whether nothing speaks against it; that the log does not have it yet does not."""
        return self.is_signed and self.is_rooted and (self.log_head is None or self.is_logged)


def read_sealed_head(*, tenant_id: int, using: str = "default") -> SealedHead | None:
    """The newest checkpoint, its signature verified, its root made again of stored hashes; None before the first."""
    head = get_head(tenant_id=tenant_id, using=using)
    if head is None:
        return None
    keys = list_announced_keys(using=using)
    leaf = get_log_leaf(tenant_id=tenant_id, size=head.size, using=using)
    log_head = get_log_head_over(size=leaf.log_index + 1, using=using) if leaf else None
    return SealedHead(
        checkpoint=head,
        is_signed=_is_signed(head, keys),
        is_rooted=_is_rooted(tenant_id, head, using),
        log_leaf=leaf,
        log_head=log_head,
        is_logged=leaf is not None and log_head is not None and _is_logged(leaf, log_head, using),
    )


def _is_signed(head: SignedCheckpoint, keys: list[AnnouncedKey]) -> bool:
    try:
        said = verify_checkpoint(
            head.note, origin=head.origin, public_keys=list_keys(keys, SEAL).values(), verify=verify
        )
    except NoteInvalid:
        return False
    return (said.size, said.root) == (head.size, head.root)


def _is_rooted(tenant_id: int, head: SignedCheckpoint, using: str) -> bool:
    try:
        return hash_tree(tenant_id=tenant_id, size=head.size, using=using) == head.root
    except TreeTorn:
        return False


def _is_logged(leaf: LogLeaf, head: LogHead, using: str) -> bool:
    try:
        path = prove_log_inclusion(log_index=leaf.log_index, size=head.size, using=using)
    except TreeTorn:
        return False
    return is_included(
        leaf=hash_leaf(leaf.data.encode()), index=leaf.log_index, size=head.size, path=path, root=head.root
    )


def list_keys(keys: list[AnnouncedKey], purpose: str) -> dict[str, bytes]:
    """The announced public keys of a purpose, by id."""
    return {key.key_id: key.public_key for key in keys if key.purpose == purpose}


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What going through every sealed batch found. faults: in words, at most FAULTS_MAX of `wrong`."""

    checked_at: datetime
    batches: int
    size: int
    wrong: int
    faults: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        return not self.wrong


LIST_SEALED_RECEIPTS_SQL = """
    SELECT leaf.leaf_index, leaf.batch_id, leaf.leaf, batch.receipt, batch.root
    FROM seal_leaf AS leaf
    LEFT JOIN ledger_batch AS batch ON batch.tenant_id = leaf.tenant_id AND batch.batch_id = leaf.batch_id
    WHERE leaf.tenant_id = %(tenant_id)s AND leaf.leaf_index < %(size)s
    ORDER BY leaf.leaf_index"""


def verify_chain(*, tenant_id: int, now: datetime, using: str = "default") -> ChainCheck | None:
    """Go through every batch under the newest checkpoint: its receipt's signature, its leaf, the root over all leaves.

    Keeps that it was done. None before the first checkpoint. Takes some 100 µs a batch.
    """
    head = get_head(tenant_id=tenant_id, using=using)
    if head is None:
        return None
    keys = list_announced_keys(using=using)
    leaves: list[bytes] = []
    wrong, faults = 0, []
    for fault in _list_faults(tenant_id, head, keys, leaves, using):
        wrong += 1
        faults += [fault] if wrong <= FAULTS_MAX else []
    check = ChainCheck(now, len(leaves), head.size, wrong, tuple(faults))
    facts = asdict(check) | {"checked_at": now.isoformat()}
    record_run(job=CHAIN_JOB.format(tenant_id=tenant_id), slot=now, result=json.dumps(facts))
    return check


def _list_faults(
    tenant_id: int, head: SignedCheckpoint, keys: list[AnnouncedKey], leaves: list[bytes], using: str
) -> Iterator[str]:
    """What is wrong with each batch and with the whole, in words; every leaf that is there is added to `leaves`."""
    receipt_keys = list_keys(keys, RECEIPT)
    expected = 0
    for index, batch_id, leaf, receipt, root in _list_sealed(tenant_id, head.size, using):
        yield from (f"batch {missing} of the tree is missing" for missing in range(expected, index))
        expected = index + 1
        leaves.append(leaf)
        if fault := _find_fault(leaf, receipt, root, receipt_keys):
            yield f"batch {index} of the tree, {batch_id}: {fault}"
    yield from (f"batch {missing} of the tree is missing" for missing in range(expected, head.size))
    if len(leaves) != head.size or hash_root(leaves) != head.root:
        yield f"the root over {len(leaves):,} batches is not the one that was signed for {head.size:,}"
    if not _is_signed(head, keys):
        yield "the checkpoint is not signed by a key that was announced"


def _list_sealed(tenant_id: int, size: int, using: str) -> Iterator[tuple[int, UUID, bytes, str | None, bytes | None]]:
    with reading_scope(tenant_id, using=using), connections[using].chunked_cursor() as cursor:
        cursor.execute(LIST_SEALED_RECEIPTS_SQL, {"tenant_id": tenant_id, "size": size})
        while rows := cursor.fetchmany(ROWS_PER_FETCH):
            for index, batch_id, leaf, receipt, root in rows:
                yield index, batch_id, bytes(leaf), receipt, None if root is None else bytes(root)


def _find_fault(leaf: bytes, receipt: str | None, root: bytes | None, keys: Mapping[str, bytes]) -> str:
    """What is wrong with a sealed batch, in words; '' where nothing is."""
    if receipt is None or root is None:
        return "it is gone from the ledger"
    try:
        header = open_receipt(receipt, keys=keys)
    except ReceiptInvalid as error:
        return str(error)
    if hash_leaf(header) != leaf:
        return "its receipt is not the one that was sealed"
    if json.loads(header)["root"] != root.hex():
        return "its root is not the one that its receipt signs"
    return ""


GET_LAST_CHECK_SQL = """
    SELECT result FROM job_run
    WHERE job = %(job)s AND finished_at IS NOT NULL
    ORDER BY slot DESC LIMIT 1"""


def get_last_chain_check(*, tenant_id: int, using: str = "default") -> ChainCheck | None:
    """What was found when somebody last went through every batch; None where nobody did."""
    with connections[using].cursor() as cursor:
        cursor.execute(GET_LAST_CHECK_SQL, {"job": CHAIN_JOB.format(tenant_id=tenant_id)})
        row = cursor.fetchone()
    if row is None:
        return None
    facts = json.loads(row[0])
    return ChainCheck(
        datetime.fromisoformat(facts["checked_at"]),
        facts["batches"],
        facts["size"],
        facts["wrong"],
        tuple(facts["faults"]),
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something of the tenant's that the sealer does not sign for, since when, and why, in its words."""

    subject: str
    since: datetime
    detail: str


LIST_REFUSALS_SQL = """
    SELECT subject, raised_at, detail
    FROM (SELECT DISTINCT ON (subject) subject, raised_at, detail, is_over FROM seal_alarm
          WHERE tenant_id = %(tenant_id)s ORDER BY subject, raised_at DESC) AS latest
    WHERE NOT is_over
    ORDER BY raised_at"""


def list_refusals(*, tenant_id: int, using: str = "default") -> list[Refusal]:
    """What the sealer refuses of the tenant's and nobody has put right, the oldest first."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_REFUSALS_SQL, {"tenant_id": tenant_id})
        return [Refusal(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class SealQueue:
    """What waits for its seal. oldest_at: when the longest-waiting batch was booked; None where none waits."""

    batches: int
    entries: int
    oldest_at: datetime | None


MEASURE_QUEUE_SQL = """
    SELECT count(*), coalesce(sum(entry_count), 0)::bigint, min(recorded_at)
    FROM outbox WHERE topic = 'seal' AND tenant_id = %(tenant_id)s"""


def measure_queue(*, tenant_id: int, using: str = "default") -> SealQueue:
    """The tenant's batches that the sealer has not signed for yet."""
    with connections[using].cursor() as cursor:
        cursor.execute(MEASURE_QUEUE_SQL, {"tenant_id": tenant_id})
        return SealQueue(*cursor.fetchone())
