"""Subscriptions to reports by mail."""

from chargeback.core.reports.terms import read_terms
from chargeback.reports.subscriptions import end_subscription, send_test, subscribe
from tests.architecture.deeds.scenario import scenario

TERMS = {"cadence": "weekly", "address": "finance@acme.example"}


@scenario(subscribe, "report_subscription.created")
def _(world):
    return lambda: subscribe(read_terms(TERMS), **world.own)


@scenario(end_subscription, "report_subscription.ended")
def _(world):
    subscription, _ = subscribe(read_terms(TERMS), **world.own)
    return lambda: end_subscription(subscription_id=subscription.id, **world.own)


@scenario(send_test, "report_subscription.tested")
def _(world):
    subscription, _ = subscribe(read_terms(TERMS), **world.own)
    return lambda: send_test(subscription_id=subscription.id, **world.own)
