"""Checking what the ledger keeps: a row against its leaf, a receipt against the key that signed it."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ledger.core.merkle import hash_leaf
from ledger.core.rows import encode_row, rebuild_entry, write_place
from ledger.receipts import ReceiptInvalid, load_receipt_key, open_receipt
from ledger.sealing.keys import RECEIPT, list_announced_keys


@dataclass(frozen=True, slots=True)
class ReceiptCheck:
    """key_id: of the key that signed; is_own_key: whether it is today's; is_valid: None where that key is unknown.

    root: hexadecimal, as the receipt says it.
    """

    key_id: str
    is_own_key: bool
    is_valid: bool | None
    root: str


def check_leaf(entry: Mapping[str, Any], *, rate_version_hash: str) -> bool:
    """Whether the stored row still hashes to its leaf. rate_version_hash: '' of an entry without a rate."""
    row = write_canonical_row(entry, rate_version_hash=rate_version_hash)
    return hash_leaf(row).hex() == entry["leaf"]


def write_canonical_row(entry: Mapping[str, Any], *, rate_version_hash: str) -> bytes:
    """The bytes that were hashed when the entry was booked, as what is stored gives them now."""
    place = write_place(
        tenant_id=entry["tenant_id"],
        batch_id=entry["batch_id"],
        recorded_at=entry["recorded_at"],
        api_key_id=entry["api_key_id"],
    )
    return encode_row(rebuild_entry(entry, rate_version_hash=rate_version_hash), place=place)


def check_receipt(receipt: str) -> ReceiptCheck:
    """Verify a receipt (a compact JWS, EdDSA) by the key that this server signs with, or that was announced."""
    try:
        protected, payload, _ = receipt.split(".")
        key_id = json.loads(_decode(protected)).get("kid", "")
        root = json.loads(_decode(payload)).get("root", "")
    except (ValueError, binascii.Error, AttributeError):
        return ReceiptCheck("", False, False, "")
    own = load_receipt_key()
    public_key = own.public_key if key_id == own.key_id else _find_announced(key_id)
    if public_key is None:
        return ReceiptCheck(key_id, False, None, root)
    try:
        open_receipt(receipt, keys={key_id: public_key})
    except ReceiptInvalid:
        return ReceiptCheck(key_id, key_id == own.key_id, False, root)
    return ReceiptCheck(key_id, key_id == own.key_id, True, root)


def _find_announced(key_id: str) -> bytes | None:
    keys = {key.key_id: key.public_key for key in list_announced_keys() if key.purpose == RECEIPT}
    return keys.get(key_id)


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
