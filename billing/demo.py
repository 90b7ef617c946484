"""The demo of a first start: five companies, people and keys, and 120 days of simulated calls.

The companies came to Tokenledger thirty days ago and booked what they had logged until then; since that day each day's
calls are booked when it ends, except for some that come late.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from random import Random
from typing import Any

import msgspec
from django.db import connections

from billing.core.demo import (
    CONTRACT,
    CONTRACT_DAYS_AGO,
    LATE_TAGS,
    TENANTS,
    Slip,
    make_agent_runs,
    make_day,
    make_slips,
)
from billing.core.drivers import DriverValue
from billing.core.rate_documents import read_rates
from billing.core.spans import OTHER, SentSpan, SpanReading, read_span
from billing.core.usage import UsageEvent, split_usage
from billing.drivers import keep_drivers
from billing.genai_prices_import import read_genai_prices
from billing.ingestion import RejectedItem, ingest_events
from billing.keys import end_api_key, make_api_key
from billing.members import add_member
from billing.rates import IMPORTED, list_published_rates, publish_rates
from billing.rollups.batches import apply_batches, apply_claim
from billing.spans import TakenSpan, book_spans
from billing.tenants import open_tenant
from tenants.keys import make_key_id
from tenants.people import PersonRefused
from tenants.selectors import TenantInfo, get_tenant, list_api_keys

DAYS = 120
JOINED_DAYS_AGO = 30
NOW_AGO_MAX = timedelta(days=9)  # with the thirty it makes 39: the ledger books nothing as made over 40 days ago
SENT_AFTER = timedelta(minutes=2)  # a day's end
KEY_NAME = "demo"
ACTOR = "the demo"
EVENTS_PER_BATCH_MAX = 1_000
BOOKED_AT_ONCE = 2  # tenants: one's Python beside the other's PostgreSQL
PEOPLE = (
    ("admin@demo.example", "admin", None),
    ("finance@demo.example", "finance", None),
    ("owner@acme.example", "owner", "acme"),
    ("owner@globex.example", "owner", "globex"),
)


@dataclass(frozen=True, slots=True)
class Login:
    """A person of the demo; no password where the person was there before."""

    email: str
    role: str
    tenant: str
    password: str


@dataclass(frozen=True, slots=True)
class Demo:
    """What was made. rejected: events that could not be booked. api_keys: whole, by tenant; shown this once."""

    events: int
    unpriced: int
    rejected: int
    logins: tuple[Login, ...]
    api_keys: dict[str, str]


class DemoRefused(ValueError):
    """A tenant of the demo's name that is a real one."""


def seed_demo(
    *, now: datetime, days: int = DAYS, seed: int = 1, say: Callable[[str], None] = lambda line: None
) -> Demo:
    """Fill an installation with a demo whose last day is that of `now`.

    Safe to repeat after an interruption, and on a later day: what stands already is left, the days since are added, the
    keys are made anew. People come last, so that nobody's password is made and not shown. Raises DemoRefused.
    """
    tenants = [_ensure_tenant(slug, now) for slug in TENANTS]
    published = list_published_rates()
    if not any(rate.imported for rate in published):
        say("importing rates")
        _import_rates(now)
    last_day = _find_last_day(tenants[0]) or _publish_contract(now)
    api_keys = {tenant.slug: _issue_key(tenant, now) for tenant in tenants}
    first_day = now.date() - timedelta(days=days - 1)

    def book(tenant: TenantInfo) -> _Counts:
        say(f"booking {days} days of {tenant.slug}")
        history = _History(tenant, api_keys[tenant.slug].split("_")[1], seed, first_day, last_day, now)
        try:
            return history.book()
        finally:
            connections.close_all()  # of this thread

    with ThreadPoolExecutor(BOOKED_AT_ONCE) as threads:
        counts = list(threads.map(book, tenants))
    say("adding up")
    while apply_batches(now=now):
        pass
    _keep_drivers(tenants[0], first_day=first_day, end_day=now.date(), seed=seed, now=now)
    logins = tuple(_create_person(*person, now=now) for person in PEOPLE)
    return Demo(*(sum(column) for column in zip(*counts, strict=True)), logins, api_keys)


def _keep_drivers(tenant: TenantInfo, *, first_day: date, end_day: date, seed: int, now: datetime) -> None:
    """Orders of every day, documents of working days; the same for a day whenever it is seeded. Today is not over."""
    values = []
    for number in range((end_day - first_day).days):
        day = first_day + timedelta(days=number)
        draw = Random(f"drivers {seed} {day}")
        is_working = day.weekday() < 5
        values.append(DriverValue("orders", day, Decimal(draw.randrange(1_050, 1_450) if is_working else 700)))
        if is_working:
            values.append(DriverValue("documents", day, Decimal(draw.randrange(220, 380))))
    values.sort(key=lambda value: (value.name, value.day))
    keep_drivers(values, tenant_id=tenant.id, actor=ACTOR, now=now)


def _ensure_tenant(slug: str, now: datetime) -> TenantInfo:
    tenant = get_tenant(slug)
    if tenant is None:
        company = TENANTS[slug]
        return open_tenant(slug=slug, name=company.name, timezone=company.timezone, is_demo=True, actor=ACTOR, now=now)
    if not tenant.is_demo:
        raise DemoRefused(f"the tenant {slug!r} is a real one; the demo leaves it alone")
    return tenant


def _import_rates(now: datetime) -> None:
    publish_rates(read_genai_prices().documents, origin=IMPORTED, created_by="seed_demo", approved_by=ACTOR, now=now)


def _find_last_day(acme: TenantInfo) -> date | None:
    """The first seeding's last day, by the contract it published: a demo that is seeded again tells the same tale."""
    starts = [
        rate.effective_from
        for rate in list_published_rates(provider=CONTRACT["provider"])
        if rate.tenant_id == acme.id and rate.model == CONTRACT["model"]
    ]
    return min(starts).date() + timedelta(days=CONTRACT_DAYS_AGO) if starts else None


def _publish_contract(now: datetime) -> date:
    """Acme's own price, as published a day before it began; the demo's last day, which is that of `now`."""
    start = datetime.combine(now.date() - timedelta(days=CONTRACT_DAYS_AGO), time(), UTC)
    documents = read_rates({"rates": [{**CONTRACT, "effective_from": start.isoformat()}]})
    publish_rates(documents, origin="custom", created_by="seed_demo", approved_by=ACTOR, now=start - timedelta(days=1))
    return now.date()


def _issue_key(tenant: TenantInfo, now: datetime) -> str:
    """A key to send and read with, in place of one that an interrupted seeding did not show."""
    for key in list_api_keys(tenant.id):
        if key.name == KEY_NAME and key.is_live(now):
            end_api_key(tenant_id=tenant.id, key_id=key.key_id, actor=ACTOR, now=now)
    return make_api_key(
        tenant_id=tenant.id, key_id=make_key_id(), name=KEY_NAME, scopes=("ingest", "read"), actor=ACTOR, now=now
    )


_Counts = tuple[int, int, int]  # booked, unpriced, rejected


@dataclass(slots=True)
class _History:
    """One tenant's calls, on their way into the ledger."""

    tenant: TenantInfo
    key_id: str
    seed: int
    first_day: date
    last_day: date
    now: datetime
    events: int = 0
    unpriced: int = 0
    rejected: int = 0

    def book(self) -> _Counts:
        """Book all of it, oldest first, and add it up."""
        joined_at = datetime.combine(self.last_day - timedelta(days=JOINED_DAYS_AGO), time(), UTC)
        late = []
        for sent_at, of_day in groupby(self._make_calls(), key=lambda event: self._send_at(event.time, joined_at)):
            calls = list(of_day)
            late += [event for event in calls if event.tags == LATE_TAGS]
            booked = self._book([event for event in calls if event.tags != LATE_TAGS], sent_at)
            if sent_at > joined_at:
                day = calls[0].time.date()
                self._book_agent_runs(day, sent_at)
                if booked:  # else they are kept already
                    self._keep_slips(day)
        self._book(late, self.now)
        while apply_claim(tenant_id=self.tenant.id, now=self.now):
            pass
        return self.events, self.unpriced, self.rejected

    def _send_at(self, moment: datetime, joined_at: datetime) -> datetime:
        """When a call of that moment was booked: on the first day here, or when its own day was over."""
        if moment < joined_at:
            return joined_at
        midnight = datetime.combine(moment.date() + timedelta(days=1), time(), UTC)
        return min(midnight + SENT_AFTER, self.now)

    def _make_calls(self) -> Iterator[UsageEvent]:
        """In order of time, up to `now`. The tenant's day may begin before that of UTC, and end after it."""
        day = self.first_day
        while day <= self.now.date() + timedelta(days=1):
            for event in make_day(tenant=self.tenant.slug, day=day, seed=self.seed, last_day=self.last_day):
                if event.time <= self.now:
                    yield event
            day += timedelta(days=1)

    def _book(self, events: Sequence[UsageEvent], sent_at: datetime) -> int:
        """How many were new."""
        new = 0
        for start in range(0, len(events), EVENTS_PER_BATCH_MAX):
            chunk = events[start : start + EVENTS_PER_BATCH_MAX]
            receipt = ingest_events(
                tenant_id=self.tenant.id, api_key_id=self.key_id, events=list(enumerate(chunk)), now=sent_at
            )
            new += receipt.accepted
            self.unpriced += receipt.unpriced
        self.events += new
        return new

    def _book_agent_runs(self, day: date, sent_at: datetime) -> None:
        runs = make_agent_runs(tenant=self.tenant.slug, day=day, seed=self.seed, last_day=self.last_day)
        until_ns = int(sent_at.timestamp()) * 10**9
        spans = [span for run in runs if run[0].ended_ns < until_ns for span in run]
        if spans:
            taken = [_take_span(span, index) for index, span in enumerate(spans)]
            receipt = book_spans(tenant_id=self.tenant.id, api_key_id=self.key_id, spans=taken, now=sent_at)
            self.events += receipt.booked

    def _keep_slips(self, day: date) -> None:
        for slip in make_slips(tenant=self.tenant.slug, day=day, seed=self.seed, last_day=self.last_day):
            ingest_events(
                tenant_id=self.tenant.id, api_key_id=self.key_id, events=[], rejected=[_reject(slip)],
                now=slip.received_at,
            )  # fmt: skip
            self.rejected += 1


def _take_span(span: SentSpan, index: int) -> TakenSpan:
    """As the door takes it, for what it carries is known to be right."""
    span = msgspec.structs.replace(span, index=index)
    reading = read_span(span)
    return TakenSpan(span, reading, None if reading.role == OTHER else _make_event(reading))


def _make_event(reading: SpanReading) -> UsageEvent:
    fields: dict[str, Any] = {**reading.fields, "time": reading.time, "usage": split_usage(reading.fields["usage"])}
    return UsageEvent(event_id=fields.pop("id"), **fields)


def _reject(slip: Slip) -> RejectedItem:
    problem = {"field": slip.field, "code": slip.code, "detail": slip.problem}
    return RejectedItem(0, slip.event_id, slip.code, slip.detail, slip.body, (problem,))


def _create_person(email: str, role: str, tenant: str | None, *, now: datetime) -> Login:
    password = secrets.token_urlsafe(12)
    try:
        add_member(email=email, password=password, role=role, tenant_slug=tenant, actor=ACTOR, now=now)
    except PersonRefused as refused:
        if "exists already" not in str(refused):
            raise
        password = ""
    return Login(email, role, tenant or "operator", password)
