"""The chart's data: the same amounts as in the table, as text."""

from billing.core.figures import write_exact
from dashboards.explore.page import Exploration

TICKS_MAX = 8


def make_chart_data(answer: Exploration) -> dict[str, object]:
    """What `chart.js` reads."""
    rows = answer.rows
    step = -(-len(rows) // TICKS_MAX) or 1
    return {
        "kind": answer.question.chart,
        "adds_up": answer.question.measure.adds_up,
        "whole": not answer.question.measure.is_money,
        "days": [row.bucket.days.first.isoformat() for row in rows],
        "ends": [row.bucket.days.last.isoformat() for row in rows],
        "labels": [row.bucket.label for row in rows],
        "ticks": [{"index": i, "label": rows[i].bucket.label} for i in range(0, len(rows), step)],
        "series": [
            {
                "name": series.name,
                "color": series.color,
                "amounts": [_write(row.cells[i].amount) for row in rows],
                "link": series.total.href,
            }
            for i, series in enumerate(answer.series)
        ],
    }


def _write(amount: object) -> str | None:
    return None if amount is None else write_exact(amount)
