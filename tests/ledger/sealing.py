"""Builders for tests of seals: batches that wait, rounds of the sealer, and a superuser who changes what is stored."""

import os
import shutil
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
from django.conf import settings
from msgspec import structs
from psycopg.conninfo import make_conninfo

from ledger.append import append_batches
from ledger.core.entries import NewBatch
from ledger.core.identity import make_uuid7
from ledger.core.rows import first_of_month
from ledger.partitions import ensure_partition
from ledger.sealing.proofs import SealedBatch, get_head, list_sealed_batches
from ledger.sealing.rounds import Round, seal_round
from ledger.topics import TOPICS
from tenants.scope import tenant_scope
from tests.conftest import DATABASE
from tests.ledger.core.strategies import make_plain_entry

TREE_TABLES = ("seal_tree", "seal_leaf", "seal_node", "checkpoint", "seal_alarm")
LOG_TABLES = ("log_leaf", "log_node", "log_head", "signing_key")


def book_batches(tenant_id: int, count: int = 1, *, entries: int = 2) -> list[UUID]:
    """Book `count` batches of so many entries each; their ids, in the order in which they will be sealed."""
    batch_ids = []
    for _ in range(count):
        now = datetime.now(UTC)
        ensure_partition(now)
        batch = NewBatch(
            batch_id=make_uuid7(now, os.urandom(8)),
            recorded_at=now,
            api_key_id="ab12CD34ef56",
            kind="usage",
            entries=[
                structs.replace(make_plain_entry(key=os.urandom(16)), line=line, billing_period=first_of_month(now))
                for line in range(entries)
            ],
        )
        with tenant_scope(tenant_id):
            append_batches(tenant_id=tenant_id, batches=[batch], topics=TOPICS)
        batch_ids.append(batch.batch_id)
    return batch_ids


def seal(**options) -> Round:
    """One round, now."""
    return seal_round(now=datetime.now(UTC), **options)


class Tamperer:
    """A superuser at work on the append-only tables."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def change(self, table: str, statement: str, values: Sequence | dict = ()) -> int:
        """Run a statement against a table whose triggers are off meanwhile; how many rows it changed."""
        with self.connection.transaction():
            self.connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            done = self.connection.execute(statement, values)
            for name in ("refuse_change", "refuse_truncate"):
                self.connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")
        return done.rowcount

    @contextmanager
    def keep(self, *tables: str):
        """Put these tables and the sealer's memory back as they were, at the end."""
        memory, kept = Path(settings.SEAL_MEMORY), Path(f"{settings.SEAL_MEMORY}.kept")
        _copy_memory(memory, kept)
        for table in tables:
            self.connection.execute(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}")
        try:
            yield
        finally:
            for table in tables:
                self.change(table, f"DELETE FROM {table}")
                self.change(table, f"INSERT INTO {table} SELECT * FROM kept_{table}")
                self.connection.execute(f"DROP TABLE kept_{table}")
            _copy_memory(kept, memory)
            # What was sealed meanwhile waits again.
            self.connection.execute("""
                INSERT INTO outbox (topic, tenant_id, batch_id, recorded_at, entry_count)
                SELECT 'seal', tenant_id, batch_id, recorded_at, entry_count FROM ledger_batch
                WHERE batch_id NOT IN (SELECT batch_id FROM seal_leaf)
                  AND batch_id NOT IN (SELECT batch_id FROM outbox WHERE topic = 'seal')""")


@contextmanager
def tampering(administrator_url: str):
    """What a database administrator can do, past row security and triggers."""
    with psycopg.connect(make_conninfo(administrator_url, dbname=DATABASE), autocommit=True) as connection:
        yield Tamperer(connection)


def list_leaves(tenant_id: int) -> list[SealedBatch]:
    """Every batch of the tenant's newest checkpoint."""
    head = get_head(tenant_id=tenant_id)
    return list_sealed_batches(tenant_id=tenant_id, start=0, end=head.size) if head else []


def _copy_memory(source: Path, target: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{target}{suffix}").unlink(missing_ok=True)
        if Path(f"{source}{suffix}").exists():
            shutil.copy(f"{source}{suffix}", f"{target}{suffix}")
