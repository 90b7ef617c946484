"""Rollups, exactly once: what was booked is added to its hour, day, user, minute and histograms, and to no other.

A batch leaves the outbox in the transaction that adds its entries, so it is in the one or in the other and never in
both; whoever wants a total reads the rollups and the outbox's batches in one snapshot (`billing.selectors`). Read
first: `batches.py` (`apply_batches`), then `tables.py`.
"""

from billing.rollups.batches import apply_batches, find_last_waiting, retry_failed_batches
from billing.rollups.intake import fold_intake
from billing.rollups.reconciliation import (
    Difference,
    Reconciliation,
    change_reporting_timezone,
    rebuild_rollups,
    reconcile_rollups,
)
from billing.rollups.retention import prune_calls_minute

__all__ = [
    "Difference",
    "Reconciliation",
    "apply_batches",
    "change_reporting_timezone",
    "find_last_waiting",
    "fold_intake",
    "prune_calls_minute",
    "rebuild_rollups",
    "reconcile_rollups",
    "retry_failed_batches",
]
