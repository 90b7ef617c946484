"""The demo of a first start: two tenants, their people and keys, and sixty days of simulated calls."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from billing.core.demo import WORKLOADS, make_day
from billing.core.usage import UsageEvent
from billing.genai_prices_import import read_genai_prices
from billing.ingestion import ingest_events
from billing.rates import IMPORTED, list_published_rates, publish_rates
from billing.rollups.batches import apply_batches
from tenants.keys import issue_api_key, revoke_api_key
from tenants.people import PersonRefused, create_user
from tenants.selectors import TenantInfo, get_tenant, list_api_keys
from tenants.tenants import create_tenant

KEY_NAME = "demo"
EVENTS_PER_BATCH_MAX = 1_000
NAMES = {"acme": "Acme (demo)", "globex": "Globex (demo)"}
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
    """What was made. api_keys: whole, by tenant; they are shown this once."""

    events: int
    unpriced: int
    logins: tuple[Login, ...]
    api_keys: dict[str, str]


class DemoRefused(ValueError):
    """A tenant of the demo's name that is a real one."""


def seed_demo(*, now: datetime, days: int = 60, seed: int = 1, say: Callable[[str], None] = lambda line: None) -> Demo:
    """Fill an installation with a demo whose last day is that of `now`.

    Safe to repeat after an interruption: what stands already is left, its keys are made anew. People come last, so
    that nobody's password is made and not shown. Raises DemoRefused.
    """
    tenants = [_ensure_tenant(slug) for slug in WORKLOADS]
    if not any(rate.imported for rate in list_published_rates()):
        say("importing rates")
        _import_rates(now)
    api_keys = {tenant.slug: _issue_key(tenant, now) for tenant in tenants}
    booked = unpriced = 0
    for tenant in tenants:
        say(f"booking {days} days of {tenant.slug}")
        events = _make_calls(tenant.slug, now=now, days=days, seed=seed)
        while chunk := list(islice(events, EVENTS_PER_BATCH_MAX)):
            counts = _book(tenant, chunk, key=api_keys[tenant.slug], now=now)
            booked, unpriced = booked + counts[0], unpriced + counts[1]
    say("adding up")
    while apply_batches(now=now):
        pass
    return Demo(booked, unpriced, tuple(_create_person(*person) for person in PEOPLE), api_keys)


def _ensure_tenant(slug: str) -> TenantInfo:
    tenant = get_tenant(slug)
    if tenant is None:
        return create_tenant(slug=slug, name=NAMES[slug], is_demo=True)
    if not tenant.is_demo:
        raise DemoRefused(f"the tenant {slug!r} is a real one; the demo leaves it alone")
    return tenant


def _import_rates(now: datetime) -> None:
    publish_rates(
        read_genai_prices().documents, origin=IMPORTED, created_by="seed_demo", approved_by="the demo", now=now
    )


def _issue_key(tenant: TenantInfo, now: datetime) -> str:
    """A key to send and read with, in place of one that an interrupted seeding did not show."""
    for key in list_api_keys(tenant.id):
        if key.name == KEY_NAME and key.revoked_at is None:
            revoke_api_key(tenant_id=tenant.id, key_id=key.key_id, now=now)
    return issue_api_key(tenant_id=tenant.id, scopes=("ingest", "read"), name=KEY_NAME, now=now)


def _make_calls(slug: str, *, now: datetime, days: int, seed: int) -> Iterator[UsageEvent]:
    """The calls of the last `days`, oldest first, up to `now`."""
    for ago in reversed(range(days)):
        for event in make_day(tenant=slug, day=(now - timedelta(days=ago)).date(), seed=seed):
            if event.time <= now:
                yield event


def _book(tenant: TenantInfo, events: Sequence[UsageEvent], *, key: str, now: datetime) -> tuple[int, int]:
    """(booked, unpriced)"""
    receipt = ingest_events(tenant_id=tenant.id, api_key_id=key.split("_")[1], events=list(enumerate(events)), now=now)
    return receipt.accepted, receipt.unpriced


def _create_person(email: str, role: str, tenant: str | None) -> Login:
    password = secrets.token_urlsafe(12)
    try:
        create_user(email=email, password=password, role=role, tenant_slug=tenant)
    except PersonRefused as refused:
        if "exists already" not in str(refused):
            raise
        password = ""
    return Login(email, role, tenant or "operator", password)
