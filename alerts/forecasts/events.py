"""What is known of a day beforehand: added and taken back by a person or a key, each an act of the tenant's ledger."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import connection, connections

from alerts.core.outlooks import Event
from alerts.forecasts.days import to_pico
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope

EVENTS_MAX = 500  # of a tenant, that are not removed
DAYS_BACK_MAX, DAYS_AHEAD_MAX = 56, 400  # what lies further back says nothing of the days ahead any more
NOTE_LENGTH_MAX = 200
NAME_LENGTH_MAX = 512
AMOUNT_PATTERN = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,6})?")
FIELDS = ("day", "amount", "note", "cost_center", "feature")


@dataclass(frozen=True, slots=True)
class EventTerms:
    """What is said of a day. amount: in USD, negative for a credit; 0 says only that an earlier day was unusual."""

    day: date
    amount: Decimal
    note: str
    cost_center: str = ""
    feature: str = ""


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """An event that counts. added_by: as acts name an actor."""

    id: int
    terms: EventTerms
    added_by: str
    added_at: datetime

    @property
    def known(self) -> Event:
        """As the outlook takes it."""
        terms = self.terms
        return Event(terms.day, to_pico(terms.amount), terms.cost_center, terms.feature)


@dataclass(frozen=True, slots=True)
class EventProblem:
    """What is wrong with a field, and what to write instead."""

    field: str
    code: str
    detail: str


class EventRefused(ValueError):
    """An event that is not added, with all that is wrong."""

    def __init__(self, problems: list[EventProblem]) -> None:
        super().__init__("; ".join(f"{problem.field} {problem.detail}" for problem in problems))
        self.problems = problems


class EventUnknown(LookupError):
    """The tenant has no event of this id, or it is removed."""


def read_event_terms(document: Mapping[str, object], *, today: date) -> EventTerms:
    """The terms of a form or a request, in which everything is text. Raises EventRefused."""
    problems = [
        EventProblem(str(name), "unknown_field", f"is none of {', '.join(FIELDS)}")
        for name in document
        if name not in FIELDS
    ]
    texts: dict[str, str] = {}
    for name in FIELDS:
        value = document.get(name, "")
        if not isinstance(value, str) or "\0" in value:
            problems.append(EventProblem(name, "wrong_type", "is text"))
        texts[name] = value.strip() if isinstance(value, str) else ""
    day = _read_day(texts["day"])
    first, last = today - timedelta(days=DAYS_BACK_MAX), today + timedelta(days=DAYS_AHEAD_MAX)
    if day is None or not first <= day <= last:
        problems.append(EventProblem("day", "wrong_value", f"is a day from {first} to {last}, such as {today}"))
    if not AMOUNT_PATTERN.fullmatch(texts["amount"]):
        cure = "is USD with at most six decimals, such as 1500.00, or -200 for a credit"
        problems.append(EventProblem("amount", "wrong_value", cure))
    if not texts["note"] or len(texts["note"]) > NOTE_LENGTH_MAX or not texts["note"].isprintable():
        cure = f"says what it is, in 1 to {NOTE_LENGTH_MAX} characters"
        problems.append(EventProblem("note", "wrong_value", cure))
    problems += [
        EventProblem(name, "too_long", f"has at most {NAME_LENGTH_MAX} characters")
        for name in ("cost_center", "feature")
        if len(texts[name]) > NAME_LENGTH_MAX
    ]
    if problems:
        raise EventRefused(problems)
    return EventTerms(day, Decimal(texts["amount"]), texts["note"], texts["cost_center"], texts["feature"])


def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


# The same again is the event that there is, whoever sends it twice.
ADD_EVENT_SQL = """
    INSERT INTO forecast_event (tenant_id, day, amount, cost_center, feature, note, added_by, added_at)
    VALUES (%(tenant_id)s, %(day)s, %(amount)s, %(cost_center)s, %(feature)s, %(note)s, %(actor)s, %(now)s)
    ON CONFLICT (tenant_id, day, amount, cost_center, feature, note) WHERE removed_at IS NULL DO NOTHING
    RETURNING id"""


def add_event(terms: EventTerms, *, tenant_id: int, actor: str, now: datetime) -> tuple[KeptEvent, bool]:
    """The event, and whether it is new: the same terms again are the event that there is. Raises EventRefused."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            ADD_EVENT_SQL,
            {
                "tenant_id": tenant_id,
                "day": terms.day,
                "amount": terms.amount,
                "cost_center": terms.cost_center,
                "feature": terms.feature,
                "note": terms.note,
                "actor": actor,
                "now": now,
            },
        )
        is_new = cursor.rowcount == 1
        events = list_events(tenant_id=tenant_id)
        if len(events) > EVENTS_MAX:
            raise EventRefused([EventProblem("day", "too_many", f"is one of more than {EVENTS_MAX}; remove one first")])
        event = next(event for event in events if event.terms == terms)
        if is_new:
            _record("forecast.event_added", event, tenant_id=tenant_id, actor=actor, now=now)
    return event, is_new


REMOVE_EVENT_SQL = """
    UPDATE forecast_event SET removed_by = %(actor)s, removed_at = %(now)s
    WHERE tenant_id = %(tenant_id)s AND id = %(event_id)s AND removed_at IS NULL"""


def remove_event(*, tenant_id: int, event_id: int, actor: str, now: datetime) -> KeptEvent:
    """Let an event count no more; that it was there stays on record. Raises EventUnknown."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        event = next((event for event in list_events(tenant_id=tenant_id) if event.id == event_id), None)
        cursor.execute(REMOVE_EVENT_SQL, {"tenant_id": tenant_id, "event_id": event_id, "actor": actor, "now": now})
        if event is None or not cursor.rowcount:
            raise EventUnknown(f"there is no event {event_id}")
        _record("forecast.event_removed", event, tenant_id=tenant_id, actor=actor, now=now)
    return event


LIST_EVENTS_SQL = """
    SELECT id, day, amount, note, cost_center, feature, added_by, added_at FROM forecast_event
    WHERE tenant_id = %(tenant_id)s AND removed_at IS NULL
    ORDER BY day, id"""


def list_events(*, tenant_id: int, using: str = "default") -> list[KeptEvent]:
    """The tenant's events that count, by day."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_EVENTS_SQL, {"tenant_id": tenant_id})
        return [
            KeptEvent(event_id, EventTerms(day, amount, note, cost_center, feature), added_by, added_at)
            for event_id, day, amount, note, cost_center, feature, added_by, added_at in cursor.fetchall()
        ]


def _record(name: str, event: KeptEvent, *, tenant_id: int, actor: str, now: datetime) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    terms = event.terms
    facts = {
        "event": str(event.id),
        "day": terms.day.isoformat(),
        "amount": f"{terms.amount:f}",
        "note": terms.note,
        "cost_center": terms.cost_center,
        "feature": terms.feature,
    }
    book_act(tenant_id=tenant_id, act=Act(name=name, actor=actor, facts=facts), now=now)
