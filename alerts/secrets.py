"""What a channel needs to be reached, encrypted at rest: AES-128-CBC with HMAC-SHA256 (cryptography's Fernet).

The first key of `CHANNEL_KEYS` encrypts, each of them decrypts: put a new one first, and leave the old one until every
channel has been saved again. Without the variable a key is made once, in `keys/channel.key`.
"""

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class SecretsUnreadable(RuntimeError):
    """What is kept was encrypted with a key that is not given any more."""


def encrypt_settings(channel_settings: Mapping[str, Any], *, tenant_id: int) -> bytes:
    """As they are kept; another tenant's row does not open with them."""
    text = json.dumps({"tenant_id": tenant_id, "settings": dict(channel_settings)})
    return load_cipher().encrypt(text.encode())


def decrypt_settings(kept: bytes, *, tenant_id: int) -> dict[str, Any]:
    """Raises SecretsUnreadable."""
    try:
        found = json.loads(load_cipher().decrypt(bytes(kept)))
    except InvalidToken:
        raise SecretsUnreadable("the channel's settings were encrypted with another key: see CHANNEL_KEYS") from None
    if found["tenant_id"] != tenant_id:
        raise SecretsUnreadable("the channel's settings are those of another tenant")
    return found["settings"]


@cache
def load_cipher() -> MultiFernet:
    """The installation's keys."""
    given = os.environ.get("CHANNEL_KEYS") or ""
    keys = [key.strip() for key in given.split(",") if key.strip()]
    return MultiFernet([Fernet(key) for key in keys or [_read_or_make_key(settings.HOME / "keys" / "channel.key")]])


def _read_or_make_key(path: Path) -> bytes:
    """The key in the file; of processes and threads that make it at once, all end up with the same."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}.{get_ident()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key() + b"\n")
        try:
            os.link(draft, path)  # fails where another was first
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes().strip()
