"""One alert: what was expected and what came, who moved, what was told to whom, and what people did."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from alerts.core.budget_alerts import write_percents
from alerts.core.facts import Facts, Mover, Point
from alerts.inbox import AlertInfo, AttemptInfo, DeliveryInfo, EventInfo
from billing.core.figures import write_exact
from dashboards.core.periods import Period
from dashboards.core.shares import split_shares
from dashboards.frame import ALL_ENVIRONMENTS, make_link

TICKS_MAX, TICK_HOURS = 12, 6
WITHOUT_CENTS_FROM = 100
TIMES_MAX = 1_000  # more is no figure that says something
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
    """Who moved. share: of its dimension's whole difference, in tenths of a percent that add up to 100."""

    name: str
    mover: Mover
    difference: Decimal
    share: Decimal | None
    href: str


@dataclass(frozen=True, slots=True)
class Movers:
    """groups: by dimension, its rows. is_cast: those of each add up to the impact, and to the other sums."""

    groups: Mapping[str, Sequence[MoverRow]]
    expected: Decimal
    actual: Decimal
    difference: Decimal
    is_cast: bool

    @property
    def times(self) -> Decimal | None:
        """How many times the expected came, to a tenth; None where next to nothing was expected, or nobody knows."""
        if not self.is_cast or self.expected <= 0 or self.actual > TIMES_MAX * self.expected:
            return None
        return round(self.actual / self.expected, 1)


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
    if facts.points_are == "hour" and len({point.at.astimezone(zone).date() for point in facts.points}) > 1:
        shape = "%-d %b %H:%M"
    return [_make_point(point, f"{point.at.astimezone(zone):{shape}}") for point in facts.points]


def _make_point(point: Point, label: str) -> PointRow:
    if point.low is None or point.high is None:
        return PointRow(label, point, "", False)
    if point.actual > point.high:
        return PointRow(label, point, "above", True)
    return PointRow(label, point, "below" if point.actual < point.low else "within", False)


def is_of_peak(facts: Facts) -> bool:
    """Whether what was expected is so of the worst hour or day alone, and not of all that the alert has come to."""
    if facts.start is None or facts.end is None:
        return False
    return facts.end - facts.start > (timedelta(hours=1) if facts.points_are == "hour" else timedelta(hours=25))


def write_range(facts: Facts) -> str:
    """“408 – 624”; with cents where they count."""
    if facts.expected is None:
        return ""
    decimals = 0 if facts.expected.high >= WITHOUT_CENTS_FROM else 2
    return f"{facts.expected.low:,.{decimals}f} – {facts.expected.high:,.{decimals}f}"


def make_chart_data(facts: Facts, rows: Sequence[PointRow], *, timezone: str) -> dict[str, object] | None:
    """What `chart.js` reads: what came, apart where it lies above its range, and the band that was expected. None for
    what is not money."""
    if len(rows) < 2 or (facts.expected and facts.expected.unit != "USD"):
        return None
    bars = (("was spent", "5", False), ("was spent, above its range", "none", True))
    return {
        "days": [row.point.at.date().isoformat() for row in rows],
        "labels": [row.label for row in rows],
        "is_range": True,
        "ticks": _list_ticks(facts, rows, zone=ZoneInfo(timezone)),
        "series": [
            {
                "name": name,
                "color": color,
                "amounts": [write_exact(row.point.actual) if row.is_above == is_above else "0" for row in rows],
                "link": None,
            }
            for name, color, is_above in bars
        ],
        "forecast": {
            name: [_write(getattr(row.point, side)) for row in rows]
            for name, side in (("expected", "middle"), ("low", "low"), ("high", "high"))
        },
    }


def _list_ticks(facts: Facts, rows: Sequence[PointRow], *, zone: ZoneInfo) -> list[dict[str, object]]:
    """Hours by their clock, and midnights by their day."""
    if facts.points_are == "day":
        step = -(-len(rows) // TICKS_MAX)
        return [{"index": i, "label": rows[i].label} for i in range(0, len(rows), step)]
    clocks = [row.point.at.astimezone(zone) for row in rows]
    return [
        {"index": i, "label": f"{clock:%H:%M}" if clock.hour else f"{clock.day} {clock:%b}"}
        for i, clock in enumerate(clocks)
        if clock.hour % TICK_HOURS == 0
    ]


def _write(amount: Decimal | None) -> str | None:
    return None if amount is None else write_exact(amount)


def make_movers(alert: AlertInfo, *, timezone: str, now: datetime, link_query: Mapping[str, str]) -> Movers | None:
    """Who moved, with a link to the entries of each; None where nobody was named."""
    if not alert.facts.movers:
        return None

    def link(mover: Mover) -> str:
        if not mover.value:
            return ""
        return link_entries(alert, timezone=timezone, now=now, link_query=link_query, mover=mover)

    groups: dict[str, list[Mover]] = {}
    for mover in alert.facts.movers:
        groups.setdefault(mover.dimension, []).append(mover)
    sums = [
        (sum((one.expected for one in group), Decimal(0)), sum((one.actual for one in group), Decimal(0)))
        for group in groups.values()
    ]
    expected, actual = sums[0]
    return Movers(
        groups={name: _list_movers(group, link) for name, group in groups.items()},
        expected=expected,
        actual=actual,
        difference=actual - expected,
        is_cast=len(set(sums)) == 1 and alert.impact is not None and actual - expected == alert.impact,
    )


def _list_movers(movers: Sequence[Mover], link: Callable[[Mover], str]) -> list[MoverRow]:
    differences = [mover.actual - mover.expected for mover in movers]
    return [
        MoverRow(
            name=mover.value or "Others",
            mover=mover,
            difference=difference,
            share=share,
            href=link(mover),
        )
        for mover, difference, share in zip(movers, differences, split_shares(differences), strict=True)
    ]


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
    if " " in (thresholds := event.facts.get("thresholds", "")):
        return f"it reached {write_percents(map(int, thresholds.split()))} of its limit at once"
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
        case "delivered" if last and last.detail:
            return f"✓ {last.detail}{f', {tries}' if failures else ''}"
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
