"""A budget of a cost centre counts, before the call and after it, what mapping rules give it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from alerts import quota, quota_mapping
from alerts.budgets import create_budget
from alerts.core.budget_terms import read_terms
from alerts.core.quota import Call
from alerts.counters import get_counters
from alerts.quota import check_quota
from billing.core.mapping import Term
from billing.core.mapping_terms import CostCenterTerms, RuleTerms
from billing.cost_centers import create_cost_center
from billing.ingestion import ingest_events
from billing.mapping import add_rule, end_rule, list_rules
from tests.factories import make_event, make_tenant, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def fresh_process(committed_db):
    publish_test_rates()
    quota._reads.clear()
    quota_mapping._known.clear()
    get_counters.cache_clear()
    yield
    get_counters.cache_clear()


@pytest.fixture
def acme():
    """With a budget of 1 USD a day for the cost centre *growth*, which is given to the feature *chat* and to Mia."""
    acme = make_tenant("acme")
    document = {"name": "growth", "window": "day", "amount": "1", "scope": {"cost_center": "growth"}}
    create_budget(read_terms(document | {"actions": [{"at_percent": 100, "do": "deny"}]}), **own(acme))
    create_cost_center(CostCenterTerms(code="growth"), **own(acme))
    add_rule(RuleTerms(terms=(Term("feature", ("chat",)),), cost_center="growth"), **own(acme))
    add_rule(RuleTerms(terms=(Term("user", ("mia",)),), cost_center="growth"), **own(acme))
    return acme


def own(tenant):
    return {"tenant_id": tenant.id, "actor": "person 7", "now": datetime.now(UTC)}


def check(tenant, cost="2", **fields):
    call = Call(provider="openai", model="gpt-4o-2024-08-06", cost=Decimal(cost), key="testkey", **fields)
    return check_quota(call, tenant_id=tenant.id, now=datetime.now(UTC))


def test_a_check_that_names_no_cost_centre_is_decided_by_the_budget_of_the_one_that_a_rule_gives(acme):
    assert check(acme, feature="Chat").decision == "deny"
    assert check(acme, user="mia").decision == "deny"
    assert check(acme, feature="search").standing is None
    assert check(acme, feature="chat", cost_center="sales").standing is None


def test_what_the_rule_gave_to_events_is_spent_when_the_next_call_is_checked(acme):
    event = make_event(time=datetime.now(UTC), feature="chat", usage={"input_tokens": 0, "output_tokens": 90_000})
    ingest_events(tenant_id=acme.id, api_key_id="testkey", events=[(0, event)], now=datetime.now(UTC))
    answer = check(acme, "0.05", feature="chat")
    assert (answer.decision, answer.standing.spent) == ("allow", Decimal("0.9"))
    assert check(acme, "0.11", feature="chat").decision == "deny"


def test_the_rules_of_acme_decide_nothing_for_globex(acme):
    assert check(make_tenant("globex"), feature="chat").standing is None


def test_rules_that_ended_are_asked_no_more_once_they_are_read_anew(acme, monkeypatch):
    assert check(acme, feature="chat").decision == "deny"
    for rule in list_rules(tenant_id=acme.id):
        end_rule(datetime.now(UTC).date(), rule_id=rule.id, **own(acme))
    assert check(acme, feature="chat").decision == "deny"  # as it was known a moment ago
    monkeypatch.setattr(quota_mapping, "STALE_SECONDS_MAX", 0.0)
    assert check(acme, feature="chat").standing is None


def test_a_retry_of_a_reservation_is_answered_as_it_was_whatever_the_rules_say_by_then(acme, monkeypatch):
    monkeypatch.setattr(quota_mapping, "STALE_SECONDS_MAX", 0.0)
    call = Call(provider="openai", model="m", cost=Decimal("0.4"), key="testkey", feature="chat")
    asked = {"tenant_id": acme.id, "reserves": True, "request_id": "one"}
    first = check_quota(call, now=datetime.now(UTC), **asked)
    create_cost_center(CostCenterTerms(code="sales"), **own(acme))
    add_rule(RuleTerms(terms=(Term("key", ("testkey",)),), cost_center="sales", place=1), **own(acme))
    again = check_quota(call, now=datetime.now(UTC), **asked)
    assert again.decision == first.decision == "allow"
    assert first.reservation_id
