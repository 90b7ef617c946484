"""What a place must be able to do so that days can be put there, and what may go wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Keep = Callable[[], None]  # called every few seconds of work: it raises where somebody else took it over


class PlaceFailed(RuntimeError):
    """A file was not put or not read; the text says why in words. Trying again may mend it."""


class DayChanged(RuntimeError):
    """What stands at the place is another content than ours: nothing is overwritten, and trying again mends nothing."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A file that is there whole. sha256: hexadecimal, '' where the place does not say."""

    size: int
    sha256: str


class Place(Protocol):
    """A folder or a bucket with its prefix. A file appears there whole or not at all, and is never written over."""

    def read(self, name: str) -> bytes | None:
        """A small file; None where there is none. Raises PlaceFailed."""
        ...

    def find(self, name: str) -> Standing | None:
        """Raises PlaceFailed."""
        ...

    def put(self, name: str, path: Path, *, sha256: str, keep: Keep) -> None:
        """Raises PlaceFailed, and DayChanged where the name is taken by something else."""
        ...

    def probe(self, content: bytes) -> None:
        """Write a small file of a name of its own and read it again. Raises PlaceFailed."""
        ...
        ...
