"""The demo of a first start: booked through the door that everybody uses, and safe to run again."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from billing.core.demo import TENANTS
from billing.cost_centers import list_cost_centers
from billing.mapping import list_rules
from billing.selectors import get_trace
from tenants.keys import find_api_key
from tenants.models import User
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
DAYS = 11  # with the spike, the late calls and the refused ones
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


def seed(now=YESTERDAY):
    out = StringIO()
    call_command("seed_demo", days=DAYS, now=now, stdout=out)
    return json.loads(out.getvalue().splitlines()[-1])


def read(slug, query):
    with tenant_scope(get_tenant(slug).id), connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


@pytest.fixture(scope="module")
def demo(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        return seed()


def test_a_first_start_has_five_tenants_and_those_that_still_send_have_priced_calls(demo):
    for slug in TENANTS.keys() - {"veltra"}:
        assert get_tenant(slug).is_demo
        [(entries, cost)] = read(slug, "SELECT count(*), sum(billed_cost) FROM ledger_entry WHERE calls = 1")
        assert entries > 100
        assert cost > Decimal("0.1")
    assert read("veltra", "SELECT count(*) FROM ledger_entry WHERE calls = 1") == [(0,)]
    booked = sum(read(slug, "SELECT count(*) FROM ledger_entry WHERE calls = 1")[0][0] for slug in TENANTS)
    assert demo["events"] == booked


def test_only_the_model_without_a_rate_is_unpriced(demo):
    rows = read("acme", "SELECT DISTINCT model FROM ledger_entry WHERE pricing_status = 'unpriced'")
    assert rows == [("inhouse-vl-2",)]


def test_the_rollups_hold_what_the_ledger_holds(demo):
    for slug in TENANTS:
        ledger = read(slug, "SELECT count(*), sum(billed_cost) FROM ledger_entry WHERE calls = 1")
        assert read(slug, "SELECT sum(calls)::bigint, sum(billed_cost) FROM cost_hour") in (ledger, [(None, None)])


def test_acmes_support_chat_has_a_contracts_price_from_its_first_day_on(demo):
    """Luna costs what the list says, the contract's model 15 % less: 2.125, 0.2125 and 12.75 USD a million tokens."""
    [(wrong, right)] = read(
        "acme",
        """SELECT count(*) FILTER (WHERE billed_cost <> (input_tokens * 2.125 + cache_read_tokens * 0.2125
                                                         + output_tokens * 12.75) / 1000000),
                  count(*) FILTER (WHERE list_cost = billed_cost / 0.85)
           FROM ledger_entry
           WHERE model = 'gpt-5.4-2026-03-05' AND status = 'ok' AND NOT cache_hit""",
    )
    assert (wrong, right > 100) == (0, True)


def test_calls_are_booked_when_their_day_ends_and_some_of_them_days_late(demo):
    lags = dict(
        read(
            "acme",
            """SELECT coalesce(tags ->> 'delivery', ''), max(recorded_at - charge_period_start) FROM ledger_entry
               WHERE calls = 1 GROUP BY 1""",
        )
    )
    assert lags[""] < timedelta(hours=24, minutes=3)
    assert lags["late"] > timedelta(days=3)


def test_refused_events_wait_for_their_replay(demo):
    rows = dict(read("acme", "SELECT code, count(*) FROM rejected_event WHERE replayed_at IS NULL GROUP BY 1"))
    assert rows.keys() == {"usage_inconsistent", "time_out_of_window"}
    assert demo["rejected"] == sum(read(slug, "SELECT count(*) FROM rejected_event")[0][0] for slug in TENANTS)


def test_runs_of_an_agent_are_traces_with_what_each_call_cost(demo):
    [(trace_id, calls)] = read(
        "acme",
        """SELECT trace_id, count(*) FROM ledger_entry WHERE feature = 'incident-agent'
           GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1""",
    )
    trace = get_trace(tenant_id=get_tenant("acme").id, trace_id=trace_id)
    assert trace.is_complete and trace.billed_cost > 0
    assert trace.spans[0].name == "invoke_agent incident-helper"
    assert sum(span.billing == "booked" for span in trace.spans) == calls
    assert {span.parent_span_id for span in trace.spans[1:]} == {trace.spans[0].span_id}


def test_the_people_can_sign_in_and_the_keys_are_live(demo):
    assert [(login["role"], login["tenant"]) for login in demo["logins"]] == [
        ("admin", "operator"),
        ("finance", "operator"),
        ("owner", "acme"),
        ("owner", "globex"),
    ]
    for tenant, key in demo["api_keys"].items():
        assert find_api_key(key).slug == tenant
    for login in demo["logins"]:
        person = User.objects.get(email=login["email"])
        assert person.check_password(login["password"])
        assert (person.tenant.slug if person.tenant else "operator") == login["tenant"]


def test_the_codes_that_acmes_calls_name_are_cost_centres_with_owners_and_rules_wait_for_the_rest(demo):
    acme = get_tenant("acme")
    centers = {center.code: center for center in list_cost_centers(tenant_id=acme.id)}
    named = {code for (code,) in read("acme", "SELECT DISTINCT cost_center FROM ledger_entry WHERE cost_center <> ''")}
    assert named <= set(centers)
    assert all(center.owner and center.gl_account for center in centers.values())
    assert [rule.rule.cost_center for rule in list_rules(tenant_id=acme.id)] == ["retail", "strategy"]


def test_a_second_run_books_nothing_and_hands_out_new_keys(demo):
    before = count_rows()
    again = seed()
    assert count_rows() == before
    assert [login["password"] for login in again["logins"]] == ["", "", "", ""]
    assert (again["events"], again["rejected"]) == (0, 0)
    assert find_api_key(demo["api_keys"]["acme"]) is None
    assert find_api_key(again["api_keys"]["acme"]).scopes == {"ingest", "read"}


def test_a_run_on_a_later_day_tells_the_same_tale_and_adds_that_day(demo):
    before = count_rows()
    again = seed(now=datetime.now(UTC))
    after = count_rows()
    assert again["events"] > 0
    assert after["calls"] > before["calls"]
    told = ("calls until then", "late", "rejected", "contracts")
    assert [after[name] for name in told] == [before[name] for name in told]


def count_rows():
    """Of acme, by what they are."""
    questions = {
        "calls": "SELECT count(*) FROM ledger_entry WHERE calls = 1",
        # Without runs of the agent that had begun and were not over.
        "calls until then": f"""SELECT count(*) FROM ledger_entry WHERE calls = 1 AND trace_id = ''
                                AND charge_period_start <= '{YESTERDAY}'""",
        "late": "SELECT count(*) FROM ledger_entry WHERE tags ? 'delivery'",
        "rejected": "SELECT count(*) FROM rejected_event",
        "contracts": "SELECT count(*) FROM rate_version WHERE origin = 'custom' AND tenant_id <> 0",
    }
    return {name: read("acme", question)[0][0] for name, question in questions.items()}


def test_a_demo_of_long_ago_is_refused(demo):
    with pytest.raises(CommandError, match="--now lies more than 9 days back"):
        seed(now=datetime.now(UTC) - timedelta(days=10))


def test_a_real_tenant_of_the_demos_name_is_left_alone(demo, monkeypatch):
    real = replace(get_tenant("globex"), is_demo=False)
    monkeypatch.setattr("billing.demo.get_tenant", lambda slug: real)
    with pytest.raises(CommandError, match="the tenant 'acme' is a real one"):
        seed()


def test_nothing_lies_in_the_future(django_db_setup):
    [(latest,)] = read("pebble", "SELECT max(recorded_at - charge_period_start) FROM ledger_entry")
    assert latest > timedelta(0)
