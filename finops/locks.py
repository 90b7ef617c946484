"""One process at a time: locks that the kernel lets go of, however their holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


class IsHeld(RuntimeError):
    """Another process holds this lock."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{holder} holds {path}")
        self.path, self.holder = path, holder


@contextmanager
def hold_lock(path: Path, *, as_whom: str = "") -> Iterator[None]:
    """Hold `path` until the block ends or this process dies; raises IsHeld, with the holder's `as_whom`."""
    with take_lock(path, as_whom=as_whom):
        yield


def take_lock(path: Path, *, as_whom: str = "") -> TextIO:
    """Like `hold_lock`, until the returned file is closed."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = file.read(200).strip()
        file.close()
        raise IsHeld(path, holder or "another process") from None
    file.truncate(0)
    file.write(as_whom or f"process {os.getpid()}")
    file.flush()
    return file
