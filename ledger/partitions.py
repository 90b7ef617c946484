"""The ledger's months: a partition is there before the first entry that needs it."""

from datetime import UTC, datetime

from django.db import connection, transaction

# Months known to have their partition, in this process: partitions are never dropped while it runs.
_known_months: set[tuple[int, int]] = set()

ENSURE_PARTITION_SQL = "SELECT ensure_partition(%(moment)s)"


def ensure_partition(moment: datetime) -> None:
    """Make the partition of the month that holds `moment`, in a transaction of its own, unless it is there.

    Costs a look into a set after the first time. Must not be called inside a transaction: the locks of a new
    partition would be held until that ends. Raises django.db.DataError for a month that is not about now.
    """
    month = _month_of(moment)
    if month in _known_months:
        return
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute(ENSURE_PARTITION_SQL, {"moment": moment})
    _known_months.add(month)


def ensure_partitions(*, now: datetime, months_ahead: int = 3) -> None:
    """Make the partitions of this month and the next ones. A second call changes nothing."""
    year, month = _month_of(now)
    for ahead in range(months_ahead + 1):
        years, month_index = divmod(month - 1 + ahead, 12)
        ensure_partition(datetime(year + years, month_index + 1, 1, tzinfo=UTC))


def _month_of(moment: datetime) -> tuple[int, int]:
    moment = moment.astimezone(UTC)
    return moment.year, moment.month
