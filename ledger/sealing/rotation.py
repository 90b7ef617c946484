"""A new key in place of the old one: announced by both, then put where the old one was.

The old private key is gone afterwards; its public key stays, for what it signed.
"""

import base64
import os
from datetime import datetime
from pathlib import Path

from ledger.acts import book_act
from ledger.core.acts import Act
from ledger.core.announcements import Purpose
from ledger.key_files import SEED_BYTES, KeyPair, KeyPlace, load_key, make_pair, write_seed
from ledger.sealing.keys import announce_key
from tenants.scope import tenant_scope


def replace_key(
    *, purpose: Purpose, place: KeyPlace, installation: str, operator_id: int, actor: str, now: datetime, using: str
) -> tuple[KeyPair, str]:
    """Rotate a key, and keep that as an act of the operator's; what `rotate_key` gives."""
    pair, secret = rotate_key(purpose=purpose, place=place, installation=installation, now=now, using=using)
    with tenant_scope(operator_id):
        act = Act("key.rotated", actor, {"purpose": purpose, "key": pair.key_id})
        book_act(tenant_id=operator_id, act=act, now=now)
    return pair, secret


def rotate_key(
    *, purpose: Purpose, place: KeyPlace, installation: str, now: datetime, using: str
) -> tuple[KeyPair, str]:
    """Announce a new key, and put it into the old one's file; the key, and its base64 where it comes from the
    environment, whose owner puts it there: '' otherwise.

    A rotation that died between the two is finished by the next: the same new key, announced once.
    """
    old = load_key(place)
    if place.given:
        seed = os.urandom(SEED_BYTES)
        new = make_pair(seed)
        announce_key(purpose=purpose, pair=new, previous=old, installation=installation, now=now, using=using)
        return new, base64.b64encode(seed).decode()
    draft = place.path.with_name(f"{place.path.name}.next")
    new = make_pair(_read_or_draft(draft))
    announce_key(purpose=purpose, pair=new, previous=old, installation=installation, now=now, using=using)
    draft.replace(place.path)
    return new, ""


def _read_or_draft(draft: Path) -> bytes:
    if not draft.exists():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            file.write(write_seed(os.urandom(SEED_BYTES)))
            file.flush()
            os.fsync(file.fileno())
    return base64.b64decode(draft.read_bytes())
