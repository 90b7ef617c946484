"""What takes long to make, as files: made once, kept for some hours, sent from there.

A client that is slow, hangs or goes away holds a file and nothing of the database, and can take up where it was: the
file is named by what is in it, and a part of it is asked for like a part of any other.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from audit.bundles import locate_verifier, stream_bundle
from audit.sealed_months import SealedMonth

KEPT_FOR = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Export:
    """A whole file, to be read from its beginning; who has it closes it. kept_as: its name here."""

    name: str
    content: BinaryIO
    size: int
    sha256: str
    kept_as: str
    expires_at: datetime


def open_bundle(
    month: SealedMonth, *, using: str = "default", tell: Callable[[int], None] = lambda entries: None
) -> Export:
    """The month's archive, from the file where there is one, else made now. tell: hears of the entries written."""
    found = find_bundle(month)
    if found is None:
        forget_old_files()
        keep_file(
            stream_bundle(month, using=using, tell=tell),
            tenant_id=month.tenant.id,
            stem=_name_contents(month),
            suffix="zip",
        )
        found = find_bundle(month)
    assert found is not None  # it was made a moment ago
    return found


def find_bundle(month: SealedMonth) -> Export | None:
    """The file that was made of this very month; None where there is none, or no longer."""
    for path in _folder(month.tenant.id).glob(f"{_name_contents(month)}.*.zip"):
        return open_file(path.name, tenant_id=month.tenant.id, name=f"evidence-{month.name}.zip")
    return None


def open_file(kept_as: str, *, tenant_id: int, name: str) -> Export | None:
    """A tenant's file, to be saved as `name`; None where it was forgotten meanwhile."""
    try:
        content = (_folder(tenant_id) / Path(kept_as).name).open("rb")
    except FileNotFoundError:
        return None
    facts = os.fstat(content.fileno())
    return Export(
        name=name,
        content=content,
        size=facts.st_size,
        sha256=kept_as.split(".")[1],
        kept_as=kept_as,
        expires_at=datetime.fromtimestamp(facts.st_mtime, tz=UTC) + KEPT_FOR,
    )


def keep_file(pieces: Iterable[bytes], *, tenant_id: int, stem: str, suffix: str) -> str:
    """Write a file, whole or not at all: another process, or this one after it was killed, begins anew. Its name."""
    folder = _folder(tenant_id)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f"{os.getpid()}-{time.monotonic_ns()}.draft"
    digest = hashlib.sha256()
    try:
        with draft.open("xb") as file:
            for piece in pieces:
                digest.update(piece)
                file.write(piece)
        kept_as = f"{stem}.{digest.hexdigest()}.{suffix}"
        draft.replace(folder / kept_as)
    finally:
        draft.unlink(missing_ok=True)
    return kept_as


def forget_old_files(*, now: float | None = None) -> int:
    """Delete what was made KEPT_FOR ago, of every tenant; how many files that was. now: seconds since 1970."""
    until = (time.time() if now is None else now) - KEPT_FOR.total_seconds()
    gone = 0
    for path in (settings.HOME / "exports").glob("*/*"):
        try:
            if path.stat().st_mtime < until:
                path.unlink()
                gone += 1
        except FileNotFoundError:
            continue
    return gone


def _folder(tenant_id: int) -> Path:
    return settings.HOME / "exports" / str(tenant_id)


def _name_contents(month: SealedMonth) -> str:
    """A name for what the archive holds: where the month stands in the tree and the log, and what comes with it."""
    facts = (
        month.tenant.id, month.tenant.slug, month.tenant.name, month.period, month.first, month.end,
        month.checkpoint.note, month.log_head.note, month.statement.rows, month.statement.acts,
        month.statement.amount, _hash_verifier(),
    )  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


@cache
def _hash_verifier() -> str:
    return hashlib.sha256(locate_verifier().read_bytes()).hexdigest()
