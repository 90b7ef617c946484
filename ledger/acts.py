"""Acts of people on what decides a price: booked like everything else, so that nobody can take them back."""

import os
from datetime import datetime

from django.db import connection

from ledger.append import append_batches
from ledger.core.acts import Act, make_act_entry
from ledger.core.entries import NewBatch
from ledger.core.identity import make_uuid7
from ledger.topics import ACT_TOPICS

READ_CLOCK_SQL = "SELECT clock_timestamp()"


def book_act(*, tenant_id: int, act: Act, now: datetime, rate_version_hash: str = "") -> str:
    """Book an act of `now` in the tenant's ledger; its entry's id. Call it inside the tenant's scope.

    It stands or falls with the caller's transaction. Booked by the database's clock: `now` may be any moment.
    """
    with connection.cursor() as cursor:
        cursor.execute(READ_CLOCK_SQL)
        (recorded_at,) = cursor.fetchone()
    batch_id = make_uuid7(recorded_at, os.urandom(8))
    entry = make_act_entry(act, place=str(batch_id), now=now, rate_version_hash=rate_version_hash)
    batch = NewBatch(batch_id=batch_id, recorded_at=recorded_at, api_key_id="", kind="admin_act", entries=[entry])
    append_batches(tenant_id=tenant_id, batches=[batch], topics=ACT_TOPICS)
    return f"{batch_id}.0"
