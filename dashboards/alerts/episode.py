"""One alert: what was expected and what came, who moved, what was told to whom, and what people did."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from alerts.core.facts import Facts, Mover, Point
from alerts.inbox import AlertInfo, AttemptInfo, DeliveryInfo, EventInfo
from dashboards.core.figures import write_exact
from dashboards.core.periods import Period
from dashboards.core.shares import split_shares
from dashboards.frame import ALL_ENVIRONMENTS, make_link

TICKS_MAX = 12
WITHOUT_CENTS_FROM = 100
POINT_WORDS = {"hour": "Hourly", "day": "Daily"}
EVENT_WORDS = {
    "opened": "Opened", "grown": "Grew", "acknowledged": "Acknowledged", "snoozed": "Snoozed", "woken": "Open again",
    "resolved": "Resolved", "feedback": "Judged",
}  # fmt: skip
EVENT_MARKS = {"opened": "look", "grown": "look", "woken": "look"}


@dataclass(frozen=True, slots=True)
class PointRow:
    """One hour or day. words: where it stands; is_above: of its range."""

    label: str
    point: Point
    words: str
    is_above: bool


@dataclass(frozen=True, slots=True)
class MoverRow:
    """Who moved. share: of the movers' whole difference, in tenths of a percent that add up to 100."""

    name: str
    mover: Mover
    difference: Decimal
    share: Decimal | None
    href: str


@dataclass(frozen=True, slots=True)
class Movers:
    """rows with their sums. is_cast: the differences are the alert's impact to the last cent."""

    rows: Sequence[MoverRow]
    expected: Decimal
    actual: Decimal
    difference: Decimal
    is_cast: bool


@dataclass(frozen=True, slots=True)
class EventRow:
    """A step, with who took it by name where one did."""

    event: EventInfo
    words: str
    mark: str
    actor: str
    note: str


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery with what became of it in words; is_bad: somebody should look."""

    delivery: DeliveryInfo
    sent_at: datetime
    result: str
    is_bad: bool


def list_points(facts: Facts, *, timezone: str) -> list[PointRow]:
    """The hours, or days, in the tenant's zone."""
    zone = ZoneInfo(timezone)
    shape = "%H:%M" if facts.points_are == "hour" else "%-d %b"
    days = {point.at.astimezone(zone).date() for point in facts.points}
    if facts.points_are == "hour" and len(days) > 1:
        shape = "%-d %b %H:%M"
    return [_make_point(point, f"{point.at.astimezone(zone):{shape}}") for point in facts.points]


def _make_point(point: Point, label: str) -> PointRow:
    if point.low is None or point.high is None:
        return PointRow(label, point, "nothing expected", False)
    if point.actual > point.high:
        return PointRow(label, point, "above", True)
    return PointRow(label, point, "below" if point.actual < point.low else "within", False)


def write_range(facts: Facts) -> str:
    """“408 – 624”; with cents where they count."""
    if facts.expected is None:
        return ""
    decimals = 0 if facts.expected.high >= WITHOUT_CENTS_FROM else 2
    return f"{facts.expected.low:,.{decimals}f} – {facts.expected.high:,.{decimals}f}"


def make_chart_data(facts: Facts, rows: Sequence[PointRow]) -> dict[str, object] | None:
    """What `chart.js` reads: what came, and the two ends of what was expected. None for what is not money."""
    if len(rows) < 2 or (facts.expected and facts.expected.unit != "USD"):
        return None
    step = -(-len(rows) // TICKS_MAX) or 1
    lines = (
        ("was spent", "1", [row.point.actual for row in rows]),
        ("at most expected", "none", [row.point.high for row in rows]),
        ("at least expected", "none", [row.point.low for row in rows]),
    )
    return {
        "kind": "lines",
        "adds_up": False,
        "days": [row.point.at.date().isoformat() for row in rows],
        "labels": [row.label for row in rows],
        "ticks": [{"index": i, "label": rows[i].label} for i in range(0, len(rows), step)],
        "series": [
            {
                "name": name,
                "color": color,
                "amounts": [None if amount is None else write_exact(amount) for amount in amounts],
                "link": None,
            }
            for name, color, amounts in lines
            if any(amount is not None for amount in amounts)
        ],
    }


def make_movers(alert: AlertInfo, *, timezone: str, now: datetime, link_query: Mapping[str, str]) -> Movers | None:
    """Who moved, with a link to the entries of each; None where nobody was named."""
    movers = alert.facts.movers
    if not movers:
        return None
    differences = [mover.actual - mover.expected for mover in movers]
    whole = sum(differences, Decimal(0))
    shares = split_shares(differences)
    rows = [
        MoverRow(
            name=mover.value or "Others",
            mover=mover,
            difference=difference,
            share=share,
            href=link_entries(alert, timezone=timezone, now=now, link_query=link_query, mover=mover)
            if mover.value
            else "",
        )
        for mover, difference, share in zip(movers, differences, shares, strict=True)
    ]
    return Movers(
        rows=rows,
        expected=sum((mover.expected for mover in movers), Decimal(0)),
        actual=sum((mover.actual for mover in movers), Decimal(0)),
        difference=whole,
        is_cast=alert.impact is not None and round(whole, 2) == round(alert.impact, 2),
    )


def link_entries(
    alert: AlertInfo, *, timezone: str, now: datetime, link_query: Mapping[str, str], mover: Mover | None = None
) -> str:
    """The ledger's entries of the days that are judged, of the alert's scope."""
    zone = ZoneInfo(timezone)
    start, end = alert.facts.start or alert.opened_at, alert.facts.end or alert.resolved_at or now
    last = max(start, min(end, now) - timedelta(microseconds=1)).astimezone(zone).date()
    period = Period(start.astimezone(zone).date(), last + timedelta(days=1))
    scope = dict(alert.scope) | ({mover.dimension: mover.value} if mover and mover.dimension else {})
    place = {"environment": scope.pop("environment", ALL_ENVIRONMENTS)}
    return make_link("ledger", {**link_query, **place, **period.get_dates(), **scope})


def list_event_rows(events: Iterable[EventInfo], names: Mapping[str, str]) -> list[EventRow]:
    return [
        EventRow(
            event=event,
            words=EVENT_WORDS[event.event],
            mark=EVENT_MARKS.get(event.event, "done"),
            actor=names.get(event.actor, event.actor),
            note=_write_note(event),
        )
        for event in events
    ]


def _write_note(event: EventInfo) -> str:
    """What a step says besides: until when, how much, how it was judged."""
    if until := event.facts.get("until"):
        return f"until {datetime.fromisoformat(until).astimezone(UTC):%-d %b %H:%M} UTC"
    if impact := event.facts.get("impact"):
        return f"the impact has come to ${Decimal(impact):,.2f}; a reminder was sent"
    return event.facts.get("feedback", "")


def list_delivery_rows(deliveries: Iterable[DeliveryInfo]) -> list[DeliveryRow]:
    return [make_delivery_row(delivery) for delivery in deliveries]


def make_delivery_row(delivery: DeliveryInfo) -> DeliveryRow:
    last = delivery.attempts[-1] if delivery.attempts else None
    return DeliveryRow(
        delivery=delivery,
        sent_at=last.started_at if last else delivery.queued_at,
        result=_write_result(delivery, last),
        is_bad=delivery.state == "dead"
        or (delivery.state == "waiting" and bool(delivery.last_error) and not delivery.held_for),
    )


def _write_result(delivery: DeliveryInfo, last: AttemptInfo | None) -> str:
    failures = sum(attempt.outcome in ("failed", "refused", "lost") for attempt in delivery.attempts)
    tries = f"after {failures} failed attempt{'s' if failures > 1 else ''}"
    match delivery.state:
        case "delivered" if failures:
            return f"✓ delivered {tries}"
        case "delivered" if last and last.duration_ms is not None:
            return f"✓ accepted, {last.status} in {last.duration_ms:,} ms"
        case "delivered":
            return "✓ accepted"
        case "collected":
            return "✓ in the day’s digest"
        case "withheld":
            return f"not sent: {delivery.last_error}"
        case "dead":
            return f"✕ given up: {delivery.last_error}"
    if delivery.held_for:
        return f"waits for the end of {delivery.held_for}" if delivery.held_for != "digest" else "waits for the digest"
    return f"{delivery.last_error}; tried again" if delivery.last_error else "on its way"
