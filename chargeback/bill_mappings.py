"""Mappings of a tenant's own CSV bills: said once, and found again by the file's columns."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, connections

from chargeback.core.bills import Mapping, MappingRefused, read_mapping, write_mapping
from chargeback.core.bills.mappings import find_missing_columns, hash_columns
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope


@dataclass(frozen=True, slots=True)
class KeptMapping:
    """A mapping and the columns of the files that it reads."""

    id: int
    columns: tuple[str, ...]
    mapping: Mapping
    kept_by: str
    kept_at: datetime


KEEP_MAPPING_SQL = """
    INSERT INTO bill_mapping (tenant_id, columns_hash, columns, mapping, kept_by, kept_at)
    VALUES (%(tenant_id)s, %(columns_hash)s, %(columns)s, %(mapping)s, %(actor)s, %(now)s)
    RETURNING id"""


def keep_mapping(mapping: Mapping, columns: Sequence[str], *, tenant_id: int, actor: str, now: datetime) -> KeptMapping:
    """Read files with these columns so from now on; the same again keeps nothing. Raises MappingRefused."""
    if missing := find_missing_columns(mapping, columns):
        raise MappingRefused(missing)
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        known = find_mapping(columns, tenant_id=tenant_id)
        if known is not None and known.mapping == mapping:
            return known
        values = {
            "tenant_id": tenant_id,
            "columns_hash": hash_columns(columns),
            "columns": json.dumps(list(columns)),
            "mapping": json.dumps(write_mapping(mapping)),
            "actor": actor,
            "now": now,
        }
        cursor.execute(KEEP_MAPPING_SQL, values)
        (mapping_id,) = cursor.fetchone()
        facts = {"mapping": values["mapping"], "columns": values["columns"]}
        book_act(tenant_id=tenant_id, act=Act(name="bill.mapping_kept", actor=actor, facts=facts), now=now)
    return KeptMapping(mapping_id, tuple(columns), mapping, actor, now)


FIND_MAPPING_SQL = """
    SELECT id, columns::text, mapping::text, kept_by, kept_at FROM bill_mapping
    WHERE tenant_id = %(tenant_id)s AND columns_hash = %(columns_hash)s
    ORDER BY id DESC LIMIT 1"""


def find_mapping(columns: Sequence[str], *, tenant_id: int, using: str = "default") -> KeptMapping | None:
    """The mapping that counts for files with these columns, in whatever order."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(FIND_MAPPING_SQL, {"tenant_id": tenant_id, "columns_hash": hash_columns(columns)})
        row = cursor.fetchone()
    return None if row is None else _read_row(row)


LIST_MAPPINGS_SQL = """
    SELECT id, columns::text, mapping::text, kept_by, kept_at
    FROM (SELECT DISTINCT ON (columns_hash) * FROM bill_mapping
          WHERE tenant_id = %(tenant_id)s ORDER BY columns_hash, id DESC) AS current
    ORDER BY id DESC"""


def list_mappings(*, tenant_id: int, using: str = "default") -> list[KeptMapping]:
    """The mappings that count, the newest first."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_MAPPINGS_SQL, {"tenant_id": tenant_id})
        return [_read_row(row) for row in cursor.fetchall()]


def _read_row(row: tuple) -> KeptMapping:
    mapping_id, columns, mapping, kept_by, kept_at = row
    return KeptMapping(mapping_id, tuple(json.loads(columns)), read_mapping(json.loads(mapping)), kept_by, kept_at)
