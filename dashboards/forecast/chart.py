"""The chart's data: the same amounts as in the table of days, as text."""

from billing.core.figures import write_exact
from dashboards.forecast.page import ForecastPage
from dashboards.overview.days import TICK_DAYS, TICKS_MAX


def make_chart_data(page: ForecastPage) -> dict[str, object]:
    """What `chart.js` reads: bars of what is booked, and from today on a path with its band."""
    days = page.days
    step = next((step for step in TICK_DAYS if len(days) / step <= TICKS_MAX), 7)
    return {
        "days": [day.day.isoformat() for day in days],
        "labels": [f"{day.day:%a} {day.day.day} {day.day:%b}" for day in days],
        "ticks": [{"index": i, "label": f"{days[i].day.day} {days[i].day:%b}"} for i in range(0, len(days), step)],
        "series": [
            {
                "name": "booked",
                "color": "1",
                "amounts": [write_exact(day.booked or 0) for day in days],
                "link": page.links.make(),
            }
        ],
        "forecast": {name: [_write(getattr(day, name)) for day in days] for name in ("expected", "low", "high")}
        if page.figures
        else None,
    }


def _write(amount: object) -> str | None:
    return None if amount is None else write_exact(amount)
