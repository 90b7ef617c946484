"""A rule that is added while calls arrive: each call is booked wholly before it, or wholly by it."""

import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import connections, transaction

from billing.core.mapping import Term
from billing.core.mapping_terms import CostCenterTerms, RuleTerms
from billing.cost_centers import create_cost_center
from billing.ingestion import ingest_events
from billing.mapping import add_rule, end_rule
from ledger.selectors import EntryFilters, list_entries
from tests.factories import make_event, make_tenant, publish_test_rates

NOW = datetime.now(UTC)
RULE = RuleTerms(terms=(Term("feature", ("chat",)),), cost_center="growth")


@pytest.fixture
def acme(committed_db):
    publish_test_rates()
    acme = make_tenant("acme")
    create_cost_center(CostCenterTerms(code="growth"), **own(acme))
    return acme


def own(tenant):
    return {"tenant_id": tenant.id, "actor": "person 7", "now": NOW}


def book(tenant, number=1):
    events = list(enumerate(make_event(time=NOW, feature="chat") for _ in range(number)))
    return ingest_events(tenant_id=tenant.id, api_key_id="testkey", events=events, now=datetime.now(UTC))


def run_aside(work):
    def run():
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_booking_that_comes_while_a_rule_is_added_waits_and_goes_by_it(acme):
    book(acme)  # the process remembers that there is no rule
    with transaction.atomic():
        rule = add_rule(RULE, **own(acme))
        booking = run_aside(lambda: book(acme))
        time.sleep(0.5)
        assert booking.is_alive()
    booking.join(timeout=20)
    latest, first = list_entries(tenant_id=acme.id, filters=EntryFilters(kinds=("usage",)), limit=5).entries
    assert (first["cost_center"], latest["cost_center"]) == ("", "growth")
    assert latest["tags"] == {"tokenledger.mapping_rule": str(rule.id)}


def test_every_batch_that_is_booked_while_rules_change_goes_by_one_state_of_them(acme):
    stop = threading.Event()

    def book_on():
        while not stop.is_set():
            book(acme, number=40)

    bookings = [run_aside(book_on) for _ in range(2)]
    for _ in range(4):
        rule = add_rule(RULE, **own(acme))
        time.sleep(0.1)
        end_rule(rule.rule.valid_from or NOW.date(), rule_id=rule.id, **own(acme))
    stop.set()
    for booking in bookings:
        booking.join(timeout=30)
    by_batch = {}
    for entry in list_entries(tenant_id=acme.id, filters=EntryFilters(kinds=("usage",)), limit=500).entries:
        by_batch.setdefault(entry["batch_id"], set()).add(entry["tags"].get("tokenledger.mapping_rule"))
    assert len(by_batch) > 2
    assert all(len(rules) == 1 for rules in by_batch.values())
