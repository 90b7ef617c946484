"""Evidence archives as files: made once, kept for some hours, sent from there.

A client that is slow, hangs or goes away holds a file and nothing of the database, and can take up where it was: the
file is named by what is in it, and a part of it is asked for like a part of any other.
"""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from audit.bundles import locate_verifier, stream_bundle
from audit.sealed_months import SealedMonth

KEPT_FOR = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Export:
    """A whole file, to be read from its beginning; who has it closes it. sha256: hexadecimal."""

    name: str
    content: BinaryIO
    size: int
    sha256: str


def open_bundle(
    month: SealedMonth, *, using: str = "default", tell: Callable[[int], None] = lambda entries: None
) -> Export:
    """The month's archive, from the file where there is one, else made now. tell: hears of the entries written."""
    found = find_bundle(month)
    if found is None:
        forget_old_files()
        _make_bundle(month, using=using, tell=tell)
        found = find_bundle(month)
    assert found is not None  # it was made a moment ago
    return found


def find_bundle(month: SealedMonth) -> Export | None:
    """The file that was made of this very month; None where there is none, or no longer."""
    for path in _folder(month).glob(f"{_name_contents(month)}.*.zip"):
        try:
            content = path.open("rb")
        except FileNotFoundError:  # it was forgotten meanwhile
            return None
        return Export(
            name=f"evidence-{month.name}.zip",
            content=content,
            size=os.fstat(content.fileno()).st_size,
            sha256=path.name.split(".")[1],
        )
    return None


def _make_bundle(month: SealedMonth, *, using: str, tell: Callable[[int], None]) -> None:
    """Whole or not at all: another process, or this one after it was killed, begins anew."""
    folder = _folder(month)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = folder / f"{os.getpid()}-{time.monotonic_ns()}.draft"
    digest = hashlib.sha256()
    try:
        with draft.open("xb") as file:
            for piece in stream_bundle(month, using=using, tell=tell):
                digest.update(piece)
                file.write(piece)
        draft.replace(folder / f"{_name_contents(month)}.{digest.hexdigest()}.zip")
    finally:
        draft.unlink(missing_ok=True)


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


def _folder(month: SealedMonth) -> Path:
    return settings.HOME / "exports" / str(month.tenant.id)


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
