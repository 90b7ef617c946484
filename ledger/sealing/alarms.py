"""What the sealer tells: a row when something is refused, another when it is over, and a line in the log of each."""

import logging
from dataclasses import dataclass
from datetime import datetime

from django.db import connections

from ledger.sealing import SEALER
from tenants.scope import tenant_scope

logger = logging.getLogger(__name__)

NOBODY = 0  # the tenant of what concerns no single one


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that the sealer refused and nobody has put right yet.

    subject: `tree`, `history` (of a tree, behind its edge), `batch <id>`, `key <id>`, `log`, `sealer`.
    detail: in words.
    """

    tenant_id: int
    subject: str
    raised_at: datetime
    kind: str
    detail: str


READ_LATEST_SQL = """
    SELECT kind, detail, is_over FROM seal_alarm
    WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s
    ORDER BY raised_at DESC LIMIT 1"""
ADD_ALARM_SQL = """
    INSERT INTO seal_alarm (tenant_id, subject, raised_at, kind, detail, is_over)
    VALUES (%(tenant_id)s, %(subject)s, clock_timestamp(), %(kind)s, %(detail)s, %(is_over)s)"""


def raise_alarm(*, tenant_id: int, subject: str, kind: str, detail: str) -> None:
    """Tell, once, for as long as the same is wrong with the same."""
    _tell(tenant_id, subject, kind=kind, detail=detail, is_over=False)


def end_alarm(*, tenant_id: int, subject: str, detail: str = "") -> None:
    """Tell that it is over, if it was told that it is not. detail: by whom and why, where somebody decided it."""
    _tell(tenant_id, subject, kind="", detail=detail, is_over=True)


def _tell(tenant_id: int, subject: str, *, kind: str, detail: str, is_over: bool) -> None:
    values = {"tenant_id": tenant_id, "subject": subject, "kind": kind, "detail": detail}
    with tenant_scope(tenant_id, using=SEALER), connections[SEALER].cursor() as cursor:
        cursor.execute(READ_LATEST_SQL, values)
        latest = cursor.fetchone()
        was_over = latest is None or latest[2]
        if was_over if is_over else latest == (kind, detail, False):
            return
        cursor.execute(ADD_ALARM_SQL, values | {"kind": kind or latest[0], "is_over": is_over})
    if is_over:
        logger.warning("seal_alarm_over tenant=%d subject=%r %s", tenant_id, subject, detail)
    else:
        logger.error("seal_alarm tenant=%d subject=%r kind=%s %s", tenant_id, subject, kind, detail)


LIST_STANDING_SQL = """
    SELECT subject, kind
    FROM (SELECT DISTINCT ON (subject) subject, kind, is_over FROM seal_alarm
          WHERE tenant_id = %(tenant_id)s ORDER BY subject, raised_at DESC) AS latest
    WHERE NOT is_over"""


def list_standing(tenant_id: int) -> dict[str, str]:
    """A tenant's alarms that are not over, kind by subject, for the sealer itself."""
    with tenant_scope(tenant_id, using=SEALER), connections[SEALER].cursor() as cursor:
        cursor.execute(LIST_STANDING_SQL, {"tenant_id": tenant_id})
        return dict(cursor.fetchall())


LIST_ALARMS_SQL = """
    SELECT tenant_id, subject, raised_at, kind, detail
    FROM (SELECT DISTINCT ON (tenant_id, subject) tenant_id, subject, raised_at, kind, detail, is_over
          FROM seal_alarm ORDER BY tenant_id, subject, raised_at DESC) AS latest
    WHERE NOT is_over
    ORDER BY raised_at"""


def list_alarms(*, using: str = "reader") -> list[Alarm]:
    """What stands refused, of all tenants, through the reader."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_ALARMS_SQL)
        return [Alarm(*row) for row in cursor.fetchall()]
