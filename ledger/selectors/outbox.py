"""The work that waits for a job."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connections


@dataclass(frozen=True, slots=True)
class WaitingWork:
    """What waits in the outbox under one topic."""

    topic: str
    batches: int
    entries: int
    oldest_at: datetime  # when the longest-waiting batch was booked


MEASURE_OUTBOX_SQL = """
    SELECT topic, count(*), sum(entry_count), min(recorded_at)
    FROM outbox
    GROUP BY topic
    ORDER BY topic"""


def measure_outbox(*, using: str = "default") -> list[WaitingWork]:
    """The work that waits, by topic, of all tenants: ids and counts, nothing that a tenant owns."""
    with connections[using].cursor() as cursor:
        cursor.execute(MEASURE_OUTBOX_SQL)
        return [WaitingWork(*row) for row in cursor.fetchall()]
