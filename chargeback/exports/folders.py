"""A folder below the operator's root. A file is written under another name, synced, and given its name at the end."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from django.conf import settings

from chargeback.exports.places import DayChanged, Keep, PlaceFailed, Standing

CHUNK = 1 << 20
DRAFT = ".draft-"
PROBE = "tokenledger-test.json"
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Folder:
    """See `chargeback.exports.places.Place`."""

    def __init__(self, place: str) -> None:
        if not settings.EXPORT_ROOT:
            raise PlaceFailed("the operator has named no root for folders: see EXPORT_ROOT")
        root = Path(settings.EXPORT_ROOT).resolve()
        if not root.is_dir():
            raise PlaceFailed("the operator's root for folders is not there: see EXPORT_ROOT")
        self.root, self.folder = root, (root / place)

    def read(self, name: str) -> bytes | None:
        with _tell_failures():
            path = self._locate(name)
            return path.read_bytes() if path.exists() else None

    def find(self, name: str) -> Standing | None:
        with _tell_failures():
            path = self._locate(name)
            return Standing(path.stat().st_size, _hash_file(path)) if path.exists() else None

    def put(self, name: str, path: Path, *, sha256: str, keep: Keep) -> None:
        with _tell_failures():
            final = self._locate(name)
            final.parent.mkdir(parents=True, exist_ok=True)
            for left in final.parent.glob(f"{DRAFT}*"):
                left.unlink(missing_ok=True)
            draft = final.with_name(f"{DRAFT}{uuid4().hex}")
            try:
                _copy(path, draft, keep)
                _give_name(draft, final)
                _sync_folder(final.parent)
            except FileExistsError:
                raise DayChanged(f"{name} is there already") from None
            finally:
                draft.unlink(missing_ok=True)

    def probe(self, content: bytes) -> None:
        with _tell_failures():
            path = self._locate(PROBE)
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{DRAFT}{uuid4().hex}")
            draft.write_bytes(content)
            draft.replace(path)
            if path.read_bytes() != content:
                raise PlaceFailed("what was written is not what is read again")

    def _locate(self, name: str) -> Path:
        """Where a file stands: links of a folder may lead nowhere but below the root."""
        path = self.folder / name
        if not path.parent.resolve().is_relative_to(self.root) or path.is_symlink():
            raise PlaceFailed("the folder leads out of the operator's root")
        return path


@contextmanager
def _tell_failures() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PlaceFailed(f"the folder could not be written: {error.strerror or type(error).__name__}") from error


def _copy(source: Path, draft: Path, keep: Keep) -> None:
    with source.open("rb") as given, draft.open("xb") as out:
        while chunk := given.read(CHUNK):
            out.write(chunk)
            keep()
        out.flush()
        os.fsync(out.fileno())


def _give_name(draft: Path, final: Path) -> None:
    """Raises FileExistsError. A link is refused where the name is taken; some file systems have none."""
    try:
        os.link(draft, final)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if final.exists():
            raise FileExistsError(errno.EEXIST, "is there", str(final)) from None
        draft.rename(final)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot: the file itself is synced
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
