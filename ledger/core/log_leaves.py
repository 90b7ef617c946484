"""A leaf of the log of all trees: a tenant's checkpoint, its tenant hidden under a salt."""

import hmac
from datetime import datetime

import msgspec

from ledger.core.rows import format_time

CHECKPOINT_VERSION = "tokenledger/checkpoint/1"


class CheckpointLeaf(msgspec.Struct, frozen=True):
    """The members in the order of their names. origin, root: hexadecimal."""

    origin: str
    root: str
    signed_at: str
    size: str
    v: str


_encode = msgspec.json.Encoder().encode


def hide_origin(origin: str, *, salt: bytes) -> str:
    """HMAC-SHA256 of a tree's origin under the tenant's salt, hexadecimal."""
    return hmac.new(salt, origin.encode(), "sha256").hexdigest()


def write_checkpoint_leaf(*, origin: str, salt: bytes, size: int, root: bytes, signed_at: datetime) -> str:
    """What is hashed of a tenant's checkpoint: the log's readers see that a tree grew, and not whose."""
    leaf = CheckpointLeaf(
        hide_origin(origin, salt=salt), root.hex(), format_time(signed_at), str(size), CHECKPOINT_VERSION
    )
    return _encode(leaf).decode()
