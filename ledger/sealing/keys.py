"""Whose signatures count: the sealer's own key, and every key that was announced and believed.

A key is announced in `signing_key` by a statement that it and the key before it signed (`ledger.core.announcements`).
The sealer believes what it remembers, never the table: the first key of each purpose is believed on first use, each
later one when a key that is believed has signed for it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connections

from ledger.core.announcements import (
    AnnouncementInvalid,
    Purpose,
    check_announcement,
    write_announcement,
    write_statement,
)
from ledger.core.notes import Checkpoint, sign_checkpoint
from ledger.key_files import KeyPair, KeyPlace, load_key, name_key, verify
from ledger.receipts import load_receipt_key
from ledger.sealing import SEALER
from ledger.sealing.memory import Memory

logger = logging.getLogger(__name__)

KEY_VARIABLE = "SEAL_KEY"
FILE_VARIABLE = "SEAL_KEY_FILE"
SEAL_KEY_PLACE = KeyPlace(KEY_VARIABLE, FILE_VARIABLE, "seal.key")
RECEIPT: Purpose = "receipt"
SEAL: Purpose = "seal"


class MemoryLost(RuntimeError):
    """The database was sealed before and the sealer remembers nothing of it."""


class KeyRefused(RuntimeError):
    """The sealer's own key was never announced: it is not the one that signed before."""


@dataclass(frozen=True, slots=True)
class AnnouncedKey:
    """A row of `signing_key`."""

    key_id: str
    purpose: str
    public_key: bytes
    announced_at: datetime
    announcement: str


@dataclass(frozen=True, slots=True)
class KeyFault:
    """A key that is not believed, or no longer there, and why."""

    key_id: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class KeyRing:
    """What one round signs and checks with. Public keys by their id."""

    installation: str
    own: KeyPair
    receipt_keys: Mapping[str, bytes]
    seal_keys: Mapping[str, bytes]

    def name_origin(self, tenant_id: int) -> str:
        return f"tokenledger/{self.installation}/{tenant_id}"

    @property
    def log_origin(self) -> str:
        return f"tokenledger/{self.installation}/log"

    def sign(self, checkpoint: Checkpoint) -> str:
        return sign_checkpoint(checkpoint, public_key=self.own.public_key, sign=self.own.sign)


LIST_KEYS_SQL = """
    SELECT key_id, purpose, public_key, announced_at, announcement FROM signing_key
    ORDER BY announced_at, key_id"""


def list_announced_keys(*, using: str = "default") -> list[AnnouncedKey]:
    """Every key that was announced, believed or not, in the order of their announcements."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_KEYS_SQL)
        return [AnnouncedKey(key_id, purpose, bytes(key), at, text) for key_id, purpose, key, at, text in cursor]


ADD_KEY_SQL = """
    INSERT INTO signing_key (key_id, purpose, public_key, announced_at, announcement)
    VALUES (%(key_id)s, %(purpose)s, %(public_key)s, %(announced_at)s, %(announcement)s)
    ON CONFLICT DO NOTHING"""


def announce_key(
    *,
    purpose: Purpose,
    pair: KeyPair,
    previous: KeyPair | None = None,
    installation: str = "",
    now: datetime,
    using: str = "default",
) -> None:
    """Announce a key under its own signature and that of the one before; a second time changes nothing."""
    statement = write_statement(
        purpose=purpose,
        key_id=pair.key_id,
        public_key=pair.public_key,
        previous=previous.key_id if previous else "",
        installation=installation,
        announced_at=now,
    )
    signers = [pair] + ([previous] if previous else [])
    values = {
        "key_id": pair.key_id,
        "purpose": purpose,
        "public_key": pair.public_key,
        "announced_at": now,
        "announcement": write_announcement(statement, {one.key_id: one.sign(statement.encode()) for one in signers}),
    }
    with connections[using].cursor() as cursor:
        cursor.execute(ADD_KEY_SQL, values)


def announce_receipt_key(*, now: datetime) -> None:
    """What whoever signs receipts does when it begins: without it no batch of its own can be sealed."""
    announce_key(purpose=RECEIPT, pair=load_receipt_key().pair, now=now)


def settle_keys(memory: Memory, *, now: datetime) -> tuple[KeyRing, list[KeyFault]]:
    """The keys of a round, and what is wrong with others. Raises MemoryLost, KeyRefused.

    Announces the sealer's own first key, and believes what may be believed.
    """
    own = load_key(SEAL_KEY_PLACE)
    announced = list_announced_keys(using=SEALER)
    if not memory.installation:
        if any(key.purpose == SEAL for key in announced):
            raise MemoryLost(
                "the database was sealed before and the sealer's memory is empty: bring the file back, or accept the "
                "database as it is by `manage.py seal --accept memory`"
            )
        memory.begin(now=now)
    known = memory.list_keys(SEAL)
    if known and own.key_id not in known and own.key_id not in {key.key_id for key in announced}:
        raise KeyRefused(
            f"the sealer's key {own.key_id} was never announced: bring the file of {list(known)[-1]} back, or accept "
            f"the new one by `manage.py seal --accept {own.key_id}`"
        )
    if not known:
        announce_key(purpose=SEAL, pair=own, installation=memory.installation, now=now, using=SEALER)
        announced = list_announced_keys(using=SEALER)
    faults = _pin_keys(memory, announced, own=own, now=now)
    seal_keys = memory.list_keys(SEAL)
    if own.key_id not in seal_keys:
        raise KeyRefused(f"the sealer's key {own.key_id} was announced without the signature of the one before it")
    return KeyRing(memory.installation, own, memory.list_keys(RECEIPT), seal_keys), faults


def _pin_keys(memory: Memory, announced: list[AnnouncedKey], *, own: KeyPair, now: datetime) -> list[KeyFault]:
    faults = []
    pinned = {key_id: key for purpose in (RECEIPT, SEAL) for key_id, key in memory.list_keys(purpose).items()}
    for key in announced:
        if (stored := pinned.pop(key.key_id, None)) is not None:
            if stored != key.public_key:
                faults.append(KeyFault(key.key_id, "key_changed", "its public key is another than it was"))
            continue
        known = memory.list_keys(key.purpose)
        try:
            _check_announced(key, known=known, own=own)
        except AnnouncementInvalid as error:
            faults.append(KeyFault(key.key_id, "key_unknown", f"its announcement is not believed: {error}"))
            continue
        memory.pin_key(key_id=key.key_id, purpose=key.purpose, public_key=key.public_key, now=now)
        logger.warning("believing %s key %s%s", key.purpose, key.key_id, "" if known else ", the first of its kind")
    faults += [KeyFault(key_id, "key_gone", "its announcement is no longer in the database") for key_id in pinned]
    return faults


def _check_announced(key: AnnouncedKey, *, known: Mapping[str, bytes], own: KeyPair) -> None:
    """Raises AnnouncementInvalid."""
    statement = check_announcement(key.announcement, known=known, verify=verify)
    said = (statement.key_id, statement.purpose, statement.public_key)
    if said != (key.key_id, key.purpose, key.public_key.hex()) or name_key(key.public_key) != key.key_id:
        raise AnnouncementInvalid("it announces another key")
    if key.purpose == SEAL and not known and key.key_id != own.key_id:
        raise AnnouncementInvalid("it is not the key of this sealer")
