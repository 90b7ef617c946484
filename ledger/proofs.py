"""Checking what the ledger keeps: a row against its leaf, a receipt against the key that signed it."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.core.merkle import hash_leaf
from ledger.core.rows import encode_row, rebuild_entry, write_place
from ledger.receipts import load_receipt_key


@dataclass(frozen=True, slots=True)
class ReceiptCheck:
    """key_id: of the key that signed; is_own_key: whether it is today's; is_valid: None where that key is not at hand.

    root: hexadecimal, as the receipt says it.
    """

    key_id: str
    is_own_key: bool
    is_valid: bool | None
    root: str


def check_leaf(entry: Mapping[str, Any], *, rate_version_hash: str) -> bool:
    """Whether the stored row still hashes to its leaf. rate_version_hash: '' of an entry without a rate."""
    place = write_place(
        tenant_id=entry["tenant_id"],
        batch_id=entry["batch_id"],
        recorded_at=entry["recorded_at"],
        api_key_id=entry["api_key_id"],
    )
    row = encode_row(rebuild_entry(entry, rate_version_hash=rate_version_hash), place=place)
    return hash_leaf(row).hex() == entry["leaf"]


def check_receipt(receipt: str) -> ReceiptCheck:
    """Verify a receipt (a compact JWS, EdDSA) by the key that this server signs with."""
    try:
        protected, payload, signature = receipt.split(".")
        key_id = json.loads(_decode(protected)).get("kid", "")
        root = json.loads(_decode(payload)).get("root", "")
    except (ValueError, binascii.Error, AttributeError):
        return ReceiptCheck("", False, False, "")
    key = load_receipt_key()
    if key_id != key.key_id:
        return ReceiptCheck(key_id, False, None, root)
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(_decode(signature), f"{protected}.{payload}".encode())
    except InvalidSignature:
        return ReceiptCheck(key_id, True, False, root)
    return ReceiptCheck(key_id, True, True, root)


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
