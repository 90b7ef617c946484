"""A key's announcement: who follows whom, said by the new key and the one before it. Pure; signing is the caller's.

The statement is JSON by the rules of a row, and is signed as it stands. An announcement holds it as text, with a
signature by each key's id: the new key's, which proves that its holder wants it, and that of the one before it, which
proves that it is no stranger.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

import msgspec

from ledger.core.rows import format_time

KEY_VERSION = "tokenledger/key/1"

Purpose = Literal["receipt", "seal"]
Verify = Callable[[bytes, bytes, bytes], bool]  # public key, signature, data


class KeyStatement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The members in the order of their names. previous: the id of the key that it follows, '' of the first.

    installation: '' of a receipt key that was there before the sealer.
    """

    announced_at: str
    installation: str
    key_id: str
    previous: str
    public_key: str  # hexadecimal
    purpose: Purpose
    v: str


class _Announcement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    signatures: dict[str, str]  # by key id, base64url
    statement: str


class AnnouncementInvalid(ValueError):
    """Not an announcement, or not signed by whom it must be; the text says which."""


_encode = msgspec.json.Encoder().encode


def write_statement(
    *, purpose: Purpose, key_id: str, public_key: bytes, previous: str, installation: str, announced_at: datetime
) -> str:
    statement = KeyStatement(
        format_time(announced_at), installation, key_id, previous, public_key.hex(), purpose, KEY_VERSION
    )
    return _encode(statement).decode()


def write_announcement(statement: str, signatures: Mapping[str, bytes]) -> str:
    """signatures: over the statement's bytes, by the id of the key that made each."""
    texts = {
        key_id: base64.urlsafe_b64encode(signatures[key_id]).rstrip(b"=").decode() for key_id in sorted(signatures)
    }
    return _encode(_Announcement(texts, statement)).decode()


def read_announcement(text: str) -> KeyStatement:
    """What an announcement states, whoever signed it. Raises AnnouncementInvalid."""
    return _read(text)[1]


def check_announcement(text: str, *, known: Mapping[str, bytes], verify: Verify) -> KeyStatement:
    """What an announcement states, when the new key and the known one before it have signed it.

    known: public keys of the same purpose by their id; where there is none, the first is believed by its own signature.
    Raises AnnouncementInvalid.
    """
    announcement, statement = _read(text)
    if statement.v != KEY_VERSION:
        raise AnnouncementInvalid(f"the statement is none of {KEY_VERSION}")
    signers = {statement.key_id: bytes.fromhex(statement.public_key)}
    if known:
        if statement.previous not in known:
            raise AnnouncementInvalid("it follows no key that is known")
        signers[statement.previous] = known[statement.previous]
    for key_id, public_key in signers.items():
        signature = _decode(announcement.signatures.get(key_id, ""))
        if not verify(public_key, signature, announcement.statement.encode()):
            raise AnnouncementInvalid(f"key {key_id} has not signed it")
    return statement


def _read(text: str) -> tuple[_Announcement, KeyStatement]:
    try:
        announcement = msgspec.json.decode(text, type=_Announcement)
        return announcement, msgspec.json.decode(announcement.statement, type=KeyStatement)
    except msgspec.DecodeError as error:
        raise AnnouncementInvalid(f"it cannot be read: {error}") from None


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        return b""
