"""Contents, drivers, and events that were rejected."""

from datetime import date
from decimal import Decimal

from billing.contents import change_content_days, discard_all_contents, discard_content
from billing.core.drivers import DriverValue
from billing.drivers import keep_drivers, take_back_driver
from billing.ingestion import RejectedItem, ingest_events
from billing.replays import replay_many, replay_rejected
from content.contents import change_retention, keep_content
from content.core.messages import Message
from ledger.rejected import RejectedFilters, list_rejected
from tests.architecture.deeds.scenario import ME, NOW, scenario


def keep_prompt(world):
    change_retention(tenant_id=world.id, days=30)
    return keep_content(
        tenant_id=world.id, api_key_id=world.key_id, event_source="checkout", event_id="one",
        input=[Message("user", [{"type": "text", "content": "hello"}])], output=[], now=NOW,
    ).content.digest  # fmt: skip


@scenario(change_content_days, "content.retention_changed")
def _(world):
    return lambda: change_content_days(**world.own, days=7)


@scenario(discard_content, "content.deleted")
def _(world):
    digest = keep_prompt(world)
    return lambda: discard_content(**world.own, digest=digest)


@scenario(discard_all_contents, "content.all_deleted")
def _(world):
    keep_prompt(world)
    return lambda: discard_all_contents(**world.own)


ORDERS = [DriverValue("orders", date(2026, 11, 3), Decimal(1250))]


@scenario(keep_drivers, "drivers.kept")
def _(world):
    return lambda: keep_drivers(ORDERS, **world.own)


@scenario(take_back_driver, "drivers.taken_back")
def _(world):
    keep_drivers(ORDERS, **world.own)
    return lambda: take_back_driver("orders", **world.own)


def reject_event(world):
    text = (
        '{"id": "late", "time": "2026-11-22T11:00:00Z", "provider": "openai", "model": "gpt-4o-2024-08-06",'
        ' "usage": {"input_tokens": 1}}'
    )
    ingest_events(
        tenant_id=world.id, api_key_id=world.key_id, events=[], now=NOW,
        rejected=[RejectedItem(0, "late", "wrong_type", "was text", text)],
    )  # fmt: skip
    (rejected,) = list_rejected(tenant_id=world.id)
    return rejected


@scenario(replay_rejected, "rejected.replayed")
def _(world):
    rejected = reject_event(world)
    return lambda: replay_rejected(tenant=world.acme, rejected_id=rejected.id, text=rejected.body, actor=ME, now=NOW)


@scenario(replay_many, "rejected.replayed")
def _(world):
    reject_event(world)
    return lambda: replay_many(tenant=world.acme, filters=RejectedFilters(), after=None, actor=ME, now=NOW)
