"""What the sealer remembers outside the database: what it signed last, and whose keys it knows.

A SQLite file on the sealer's own disk. Whoever puts the database back to an older state, or writes another history into
it, does not reach this file; the sealer then refuses to sign.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from django.conf import settings

from ledger.core.rows import format_time

LOG, LOG_HEAD = "log", "log head"
BUSY_SECONDS = 10

OPEN = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"  # on disk at each commit
MAKE_TABLES = """
    CREATE TABLE IF NOT EXISTS installation (id TEXT NOT NULL, begun_at TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS tree (name TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL);
    CREATE TABLE IF NOT EXISTS known_key (
        key_id TEXT PRIMARY KEY, purpose TEXT NOT NULL, public_key BLOB NOT NULL, pinned_at TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS refused (name TEXT PRIMARY KEY, retry_at TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS done (name TEXT PRIMARY KEY, at TEXT NOT NULL);
"""
BEGIN = "BEGIN IMMEDIATE"
READ_INSTALLATION = "SELECT id FROM installation"
BEGIN_INSTALLATION = "INSERT INTO installation SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM installation)"
READ_TREE = "SELECT size, root FROM tree WHERE name = ?"
LIST_TREES = "SELECT name, size, root FROM tree ORDER BY name"
# A size that another sealer has passed meanwhile stays passed.
KEEP_TREE = """
    INSERT INTO tree VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE
    SET size = excluded.size, root = excluded.root WHERE excluded.size > tree.size"""
REPLACE_TREE = "INSERT OR REPLACE INTO tree VALUES (?, ?, ?)"
LIST_KEYS = "SELECT key_id, public_key FROM known_key WHERE purpose = ? ORDER BY pinned_at, rowid"
ADD_KEY = "INSERT OR IGNORE INTO known_key VALUES (?, ?, ?, ?)"
REFUSE = "INSERT OR REPLACE INTO refused VALUES (?, ?)"
FORGET_REFUSAL = "DELETE FROM refused WHERE name = ?"
LIST_REFUSED = "SELECT name FROM refused WHERE retry_at > ?"
CLAIM = "INSERT INTO done VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at WHERE done.at <= ?"


@dataclass(frozen=True, slots=True)
class Remembered:
    """A tree as it was when it was last signed."""

    size: int
    root: bytes


NOTHING = Remembered(0, sha256(b"").digest())


def name_tree(tenant_id: int) -> str:
    """What a tenant's tree is called here."""
    return f"tenant {tenant_id}"


class Memory:
    """An open memory. Each method that changes something is one transaction, on disk when it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        path.chmod(0o600)
        self._connection.executescript(OPEN)
        self._connection.executescript(MAKE_TABLES)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute(BEGIN)
        with self._connection:
            yield self._connection

    # --- the installation ---

    @property
    def installation(self) -> str:
        """The installation's number, 12 hexadecimal digits; '' in a memory that has not begun."""
        row = self._connection.execute(READ_INSTALLATION).fetchone()
        return row[0] if row else ""

    def begin(self, *, now: datetime, installation: str = "") -> None:
        """Begin to remember, under a new number or, where one was lost, the old one; a second time does nothing."""
        with self._change() as connection:
            connection.execute(BEGIN_INSTALLATION, (installation or secrets.token_hex(6), format_time(now)))

    # --- trees ---

    def recall(self, name: str) -> Remembered:
        row = self._connection.execute(READ_TREE, (name,)).fetchone()
        return Remembered(*row) if row else NOTHING

    def list_trees(self) -> dict[str, Remembered]:
        return {name: Remembered(size, root) for name, size, root in self._connection.execute(LIST_TREES)}

    def remember(self, trees: Iterable[tuple[str, Remembered]]) -> None:
        """Keep what was signed."""
        rows = [(name, tree.size, tree.root) for name, tree in trees]
        if not rows:
            return
        with self._change() as connection:
            connection.executemany(KEEP_TREE, rows)

    def accept(self, name: str, tree: Remembered) -> None:
        """Remember another history than before, because an operator said so."""
        with self._change() as connection:
            connection.execute(REPLACE_TREE, (name, tree.size, tree.root))
            connection.execute(FORGET_REFUSAL, (name,))

    # --- keys ---

    def list_keys(self, purpose: str) -> dict[str, bytes]:
        """The public keys that are known for a purpose, by their id, in the order in which they became so."""
        return dict(self._connection.execute(LIST_KEYS, (purpose,)).fetchall())

    def pin_key(self, *, key_id: str, purpose: str, public_key: bytes, now: datetime) -> None:
        with self._change() as connection:
            connection.execute(ADD_KEY, (key_id, purpose, public_key, format_time(now)))

    # --- what waits ---

    def refuse(self, name: str, *, retry_at: datetime) -> None:
        """Leave a tree alone until then."""
        with self._change() as connection:
            connection.execute(REFUSE, (name, format_time(retry_at)))

    def list_refused(self, *, now: datetime) -> list[str]:
        return [name for (name,) in self._connection.execute(LIST_REFUSED, (format_time(now),))]

    def claim(self, name: str, *, due_after: datetime, now: datetime) -> bool:
        """Whether something was last done at or before `due_after`; it counts as done now."""
        with self._change() as connection:
            return connection.execute(CLAIM, (name, format_time(now), format_time(due_after))).rowcount == 1


@contextmanager
def open_memory() -> Iterator[Memory]:
    """The sealer's memory, made when missing."""
    with closing(Memory(settings.SEAL_MEMORY)) as memory:
        yield memory
