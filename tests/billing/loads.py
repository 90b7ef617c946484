"""What became of a file that was loaded."""

from billing.file_loads import LoadSummary


def count(summary: LoadSummary) -> tuple[int, ...]:
    return (summary.read, summary.booked, summary.duplicates, summary.conflicts, summary.rejected, summary.unpriced)
