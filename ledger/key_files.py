"""Signing keys as files: made once, readable by their owner alone, replaced whole.

The database never holds one. A key may come from the environment instead, where a secret store puts it.
"""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from threading import get_ident

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where a key is: the variable that holds it (base64), the one that names its file, the file's name in `keys/`."""

    variable: str
    file_variable: str
    file_name: str

    @property
    def given(self) -> str:
        """The key itself, where the environment holds it; '' where a file does."""
        return os.environ.get(self.variable) or ""

    @property
    def path(self) -> Path:
        return Path(os.environ.get(self.file_variable) or settings.HOME / "keys" / self.file_name)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An Ed25519 key. key_id: the first 8 bytes of the public key's SHA-256, hexadecimal."""

    key_id: str
    public_key: bytes
    private_key: Ed25519PrivateKey

    def sign(self, data: bytes) -> bytes:
        return self.private_key.sign(data)


def name_key(public_key: bytes) -> str:
    """The id of a public key."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def make_pair(seed: bytes) -> KeyPair:
    private_key = Ed25519PrivateKey.from_private_bytes(seed)
    public_key = private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return KeyPair(name_key(public_key), public_key, private_key)


def load_key(place: KeyPlace) -> KeyPair:
    """The key of this place, read anew each time; its file is made when missing."""
    given = place.given
    return make_pair(base64.b64decode(given) if given else read_or_make_seed(place.path))


def read_or_make_seed(path: Path) -> bytes:
    """The seed in the file; of processes and threads that make it at once, all end up with the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{get_ident()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            file.write(write_seed(os.urandom(SEED_BYTES)))
        try:
            os.link(draft, path)  # fails where another was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return base64.b64decode(path.read_bytes())


def write_seed(seed: bytes) -> bytes:
    """A seed as its file holds it."""
    return base64.b64encode(seed) + b"\n"


def verify(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the holder of this Ed25519 key signed `data`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True
