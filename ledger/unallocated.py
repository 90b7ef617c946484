"""Calls that stand in the ledger without a cost centre: each by the entry whose costs stand, in the order of use.

Read by key and never by offset, a page a statement: nothing is locked, and nothing is held open between two pages.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import connections

from ledger.calls import CallPlace


@dataclass(frozen=True, slots=True)
class UnallocatedCall:
    """What stands of a call: `entry_id`, which is `root_id` unless the call was corrected since. billed_cost: USD."""

    entry_id: str
    root_id: str
    place: CallPlace
    billing_period: date
    api_key_id: str
    feature: str
    user_ref: str
    tags: Mapping[str, str]
    billed_cost: Decimal | None


@dataclass(frozen=True, slots=True)
class UnallocatedPage:
    """Calls that stand so, of `read` entries that state one. `last` is None at the end."""

    calls: Sequence[UnallocatedCall]
    read: int
    last: CallPlace | None


# Those that another entry took back are sorted out afterwards: looked up here, all that the tenant ever corrected was
# read for each page. What was used at `start` was booked at most ten minutes earlier; older partitions go unread.
LIST_UNALLOCATED_CALLS_SQL = """
    SELECT batch_id, line, corrects, charge_period_start, billing_period, api_key_id, feature, user_ref, tags::text,
           billed_cost
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND cost_center = '' AND calls > 0 AND kind IN ('usage', 'rating', 'correction')
      AND charge_period_start >= greatest(%(start)s, %(after_time)s::timestamptz) AND charge_period_start < %(end)s
      AND recorded_at >= %(start)s::timestamptz - interval '10 minutes'
      AND (%(after_time)s::timestamptz IS NULL OR (charge_period_start, batch_id, line)
           > (%(after_time)s::timestamptz, %(after_batch_id)s::uuid, %(after_line)s::int))
    ORDER BY charge_period_start, batch_id, line
    LIMIT %(limit)s"""


def list_unallocated_calls(
    *, tenant_id: int, start: datetime, end: datetime, after: CallPlace | None, limit: int, using: str = "default"
) -> UnallocatedPage:
    """The next calls used in [start, end) that stand without a cost centre. Call it inside the tenant's scope."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            LIST_UNALLOCATED_CALLS_SQL,
            {
                "tenant_id": tenant_id,
                "start": start,
                "end": end,
                "after_time": after.time if after else None,
                "after_batch_id": after.batch_id if after else None,
                "after_line": after.line if after else None,
                "limit": limit,
            },
        )
        stated = [_read_row(row) for row in cursor.fetchall()]
    roots = [call.root_id for call in stated]
    taken_back = _find_taken_back(tenant_id=tenant_id, entry_ids=roots, start=start, using=using)
    calls = [call for call in stated if call.entry_id not in taken_back]
    return UnallocatedPage(calls, len(stated), stated[-1].place if len(stated) == limit else None)


FIND_TAKEN_BACK_SQL = """
    SELECT tags ->> 'tokenledger.reverses' FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND corrects = ANY(%(entry_ids)s) AND calls < 0
      AND recorded_at >= %(start)s::timestamptz - interval '10 minutes'"""


def _find_taken_back(*, tenant_id: int, entry_ids: Sequence[str], start: datetime, using: str) -> set[str]:
    """Of these calls, by their first entries, the entries that others took back."""
    with connections[using].cursor() as cursor:
        cursor.execute(FIND_TAKEN_BACK_SQL, {"tenant_id": tenant_id, "entry_ids": entry_ids, "start": start})
        return {entry_id for (entry_id,) in cursor.fetchall()}


def _read_row(row: Sequence[object]) -> UnallocatedCall:
    batch_id, line, corrects, time, billing_period, api_key_id, feature, user_ref, tags, billed_cost = row
    entry_id = f"{batch_id}.{line}"
    return UnallocatedCall(
        entry_id=entry_id,
        root_id=corrects or entry_id,
        place=CallPlace(time, batch_id, line),
        billing_period=billing_period,
        api_key_id=api_key_id,
        feature=feature,
        user_ref=user_ref,
        tags={} if tags == "{}" else json.loads(tags),
        billed_cost=billed_cost,
    )


COUNT_UNALLOCATED_CALLS_SQL = """
    SELECT count(*) FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND cost_center = '' AND kind = 'usage'
      AND charge_period_start >= %(start)s AND charge_period_start < %(end)s
      AND recorded_at >= %(start)s::timestamptz - interval '10 minutes'"""


def count_unallocated_calls(*, tenant_id: int, start: datetime, end: datetime, using: str = "default") -> int:
    """About how many there are: those that were given a cost centre since count too. Inside the tenant's scope."""
    with connections[using].cursor() as cursor:
        cursor.execute(COUNT_UNALLOCATED_CALLS_SQL, {"tenant_id": tenant_id, "start": start, "end": end})
        return cursor.fetchone()[0]
