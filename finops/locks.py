"""One process at a time: locks that the kernel lets go of, however their holder ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class IsHeld(RuntimeError):
    """Another process holds this lock."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{holder} holds {path}")
        self.path, self.holder = path, holder


@contextmanager
def hold_lock(path: Path, *, as_whom: str = "") -> Iterator[None]:
    """Hold `path` until the block ends or this process dies; raises IsHeld, with the holder's `as_whom`."""
    handle = take_lock(path, as_whom=as_whom)
    try:
        yield
    finally:
        os.close(handle)


def take_lock(path: Path, *, as_whom: str = "") -> int:
    """Like `hold_lock`, until the returned file descriptor is closed."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 200).decode().strip()
        os.close(handle)
        raise IsHeld(path, holder or "another process") from None
    os.ftruncate(handle, 0)
    os.write(handle, (as_whom or f"process {os.getpid()}").encode())
    return handle
