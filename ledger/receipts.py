"""Signed receipts: a promise, given with the answer, that a batch will be in the tenant's tree.

A receipt is a JWS in compact form (RFC 7515, EdDSA with Ed25519, RFC 8037) over the batch's header. Its key
belongs to the web tier and is never in the database.
"""

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import get_ident
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from ledger.core.rows import format_time

BATCH_VERSION = "tokenledger/batch/1"
SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class ReceiptKey:
    """The key that signs receipts, and its id: the first 8 bytes of the public key's SHA-256, hexadecimal."""

    key_id: str
    public_key: bytes
    private_key: Ed25519PrivateKey
    protected: str  # the JWS header, encoded


@cache
def load_receipt_key() -> ReceiptKey:
    """The installation's receipt key: `RECEIPT_KEY` (base64 of 32 bytes), else a file that is made when missing."""
    given = os.environ.get("RECEIPT_KEY")
    seed = base64.b64decode(given) if given else _read_or_make_seed(settings.HOME / "keys" / "receipt.key")
    private_key = Ed25519PrivateKey.from_private_bytes(seed)
    public_key = private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key_id = hashlib.sha256(public_key).hexdigest()[:16]
    protected = _encode(json.dumps({"alg": "EdDSA", "kid": key_id}, separators=(",", ":")).encode())
    return ReceiptKey(key_id, public_key, private_key, protected)


def _read_or_make_seed(path: Path) -> bytes:
    """The seed in the file; of processes and threads that make it at once, all end up with the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{get_ident()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(os.urandom(SEED_BYTES)) + b"\n")
        try:
            os.link(draft, path)  # fails where another was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return base64.b64decode(path.read_bytes())


def sign_receipt(
    *,
    tenant_id: int,
    batch_id: UUID,
    recorded_at: datetime,
    api_key_id: str,
    kind: str,
    entry_count: int,
    unpriced_count: int,
    billed_cost: int,
    root: bytes,
) -> str:
    """The receipt of a batch. billed_cost: 10^-12 units, of the priced entries."""
    key = load_receipt_key()
    header = (
        f'{{"api_key_id":"{api_key_id}","batch_id":"{batch_id}","billed_cost":"{billed_cost}"'
        f',"entry_count":"{entry_count}","kind":"{kind}","recorded_at":"{format_time(recorded_at)}"'
        f',"root":"{root.hex()}","tenant_id":"{tenant_id}","unpriced_count":"{unpriced_count}"'
        f',"v":"{BATCH_VERSION}"}}'
    )
    signed = f"{key.protected}.{_encode(header.encode())}"
    return f"{signed}.{_encode(key.private_key.sign(signed.encode()))}"


def _encode(data: bytes) -> str:
    """Base64url without padding, as JWS has it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
