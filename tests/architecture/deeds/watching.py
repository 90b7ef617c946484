"""Budgets, channels, thresholds, events of a forecast."""

from datetime import date
from decimal import Decimal

from alerts.budgets import change_budget, create_budget, retire_budget
from alerts.channels import change_channel, create_channel, remove_channel, rotate_secret, send_test
from alerts.core.budget_terms import read_terms as read_budget
from alerts.core.channels import read_terms as read_channel
from alerts.deliveries import retry_delivery
from alerts.forecasts.events import EventTerms, add_event, remove_event
from alerts.models import AlertDelivery
from alerts.thresholds import change_setting
from tenants.scope import tenant_scope
from tests.architecture.deeds.scenario import NOW, scenario

BUDGET = {"name": "chat", "scope": {"feature": "chat"}, "window": "month", "amount": 7}


@scenario(create_budget, "budget.created")
def _(world):
    return lambda: create_budget(read_budget(BUDGET), **world.own)


@scenario(change_budget, "budget.changed")
def _(world):
    budget, _ = create_budget(read_budget(BUDGET), **world.own)
    return lambda: change_budget(read_budget(BUDGET | {"amount": 8}), budget_id=budget.id, **world.own)


@scenario(retire_budget, "budget.retired")
def _(world):
    budget, _ = create_budget(read_budget(BUDGET), **world.own)
    return lambda: retire_budget(budget_id=budget.id, **world.own)


HOOK = {"name": "ops", "kind": "webhook", "settings": {"url": "https://hooks.example/secret-path"}}


def make_channel(world):
    channel, _ = create_channel(read_channel(HOOK), **world.own)
    return channel.id


@scenario(create_channel, "alert_channel.created")
def _(world):
    return lambda: create_channel(read_channel(HOOK), **world.own)


@scenario(change_channel, "alert_channel.changed")
def _(world):
    channel_id = make_channel(world)
    return lambda: change_channel(read_channel(HOOK | {"name": "other"}), channel_id=channel_id, **world.own)


@scenario(rotate_secret, "alert_channel.secret_rotated")
def _(world):
    channel_id = make_channel(world)
    return lambda: rotate_secret(channel_id=channel_id, **world.own)


@scenario(remove_channel, "alert_channel.removed")
def _(world):
    channel_id = make_channel(world)
    return lambda: remove_channel(channel_id=channel_id, **world.own)


@scenario(send_test, "alert_channel.tested")
def _(world):
    channel_id = make_channel(world)
    return lambda: send_test(channel_id=channel_id, **world.own)


@scenario(retry_delivery, "alert_delivery.retried")
def _(world):
    delivery_id = send_test(channel_id=make_channel(world), **world.own)
    with tenant_scope(world.id):
        AlertDelivery.objects.filter(tenant_id=world.id, id=delivery_id).update(state="dead", finished_at=NOW)
    return lambda: retry_delivery(delivery_id=delivery_id, **world.own)


@scenario(change_setting, "watch.changed")
def _(world):
    return lambda: change_setting({"new": {"cost_min": "25"}}, **world.own)


PARTY = EventTerms(date(2026, 11, 27), Decimal(100), "launch", "", "")


@scenario(add_event, "forecast.event_added")
def _(world):
    return lambda: add_event(PARTY, **world.own)


@scenario(remove_event, "forecast.event_removed")
def _(world):
    event, _ = add_event(PARTY, **world.own)
    return lambda: remove_event(event_id=event.id, **world.own)
