"""The table of Reconciliation as a file: every row, with every digit."""

from collections.abc import Iterator

from chargeback.core.reconciliation import REASONS
from chargeback.reconciliation import Reconciliation

HEADING = (
    "provider", "model", "day_utc", "bill_usd", "ledger_usd", "variance_usd", "variance_percent", "explained_usd",
    "reasons", "unexplained_usd", "within_tolerance",
)  # fmt: skip


def list_file_rows(found: Reconciliation) -> Iterator[tuple[object, ...]]:
    """A line for each provider, model and day; they sum to the total."""
    for row in found.comparison.rows:
        sums = row.sums
        yield (
            row.provider, row.model, row.day, sums.bill, sums.ledger, sums.variance, sums.percent,
            sums.explanation, ", ".join(REASONS[reason] for reason in sums.explained),
            sums.unexplained, "yes" if row.is_within else "no",
        )  # fmt: skip
