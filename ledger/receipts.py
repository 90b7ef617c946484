"""Signed receipts: a promise, given with the answer, that a batch will be in the tenant's tree.

A receipt is a JWS in compact form (RFC 7515, EdDSA with Ed25519, RFC 8037) over the batch's header. Its key
belongs to the web tier and is never in the database.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ledger.key_files import KeyPair, KeyPlace, load_key, verify


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """The key that signs receipts, and the header of every JWS of its."""

    pair: KeyPair
    protected: str  # encoded

    @property
    def key_id(self) -> str:
        return self.pair.key_id

    @property
    def public_key(self) -> bytes:
        return self.pair.public_key


KEY_VARIABLE = "RECEIPT_KEY"
FILE_VARIABLE = "RECEIPT_KEY_FILE"
RECEIPT_KEY_PLACE = KeyPlace(KEY_VARIABLE, FILE_VARIABLE, "receipt.key")


@cache
def load_receipt_key() -> ReceiptKey:
    """The installation's receipt key, as this process found it at its first receipt."""
    pair = load_key(RECEIPT_KEY_PLACE)
    protected = _encode(json.dumps({"alg": "EdDSA", "kid": pair.key_id}, separators=(",", ":")).encode())
    return ReceiptKey(pair, protected)


def sign_receipt(header: bytes) -> str:
    """The receipt of a batch. header: its bytes (`ledger.core.headers`), which stand in it as they are."""
    key = load_receipt_key()
    signed = f"{key.protected}.{_encode(header)}"
    return f"{signed}.{_encode(key.pair.sign(signed.encode()))}"


def _encode(data: bytes) -> str:
    """Base64url without padding, as JWS has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class ReceiptInvalid(ValueError):
    """Not a receipt, or none that a known key signed; the text says which."""


def open_receipt(receipt: str, *, keys: Mapping[str, bytes]) -> bytes:
    """The header that a receipt signs, as its bytes. keys: public keys by their id. Raises ReceiptInvalid."""
    protected, payload, signature = _split(receipt)
    try:
        stated = json.loads(_decode(protected))
    except ValueError:
        raise ReceiptInvalid("the receipt is no JWS") from None
    if not isinstance(stated, dict) or stated.get("alg") != "EdDSA":
        raise ReceiptInvalid("the receipt is not signed with EdDSA")
    public_key = keys.get(str(stated.get("kid")))
    if public_key is None:
        raise ReceiptInvalid(f"the receipt is signed by key {str(stated.get('kid'))[:32]}, which is not known")
    if not verify(public_key, _decode(signature), f"{protected}.{payload}".encode()):
        raise ReceiptInvalid("the receipt's signature is wrong")
    return _decode(payload)


def _split(receipt: str) -> tuple[str, str, str]:
    parts = receipt.split(".")
    if len(parts) != 3:
        raise ReceiptInvalid("the receipt is no JWS")
    return parts[0], parts[1], parts[2]


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise ReceiptInvalid("the receipt is no JWS") from None
