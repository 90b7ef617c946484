"""The demo of a first start: booked through the door that everybody uses, and safe to run again."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tenants.keys import find_api_key
from tenants.models import User
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant

pytestmark = pytest.mark.usefixtures("committed_db")


def seed(**options):
    out = StringIO()
    call_command("seed_demo", days=3, stdout=out, **options)
    return json.loads(out.getvalue().splitlines()[-1])


def read(slug, query):
    with tenant_scope(get_tenant(slug).id), connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


@pytest.fixture(scope="module")
def demo(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        return seed()


def test_a_first_start_has_two_tenants_with_priced_calls(demo):
    for slug in ("acme", "globex"):
        assert get_tenant(slug).is_demo
        [(entries, cost, features)] = read(
            slug, "SELECT count(*), sum(billed_cost), count(DISTINCT feature) FROM ledger_entry"
        )
        assert entries > 100
        assert cost > Decimal("0.1")
        assert features >= 3
    booked = sum(read(slug, "SELECT count(*) FROM ledger_entry")[0][0] for slug in ("acme", "globex"))
    assert demo["events"] == booked


def test_only_the_model_without_a_rate_is_unpriced(demo):
    rows = read("acme", "SELECT DISTINCT model FROM ledger_entry WHERE pricing_status = 'unpriced'")
    assert rows == [("inhouse-vl-2",)]


def test_the_rollups_hold_what_the_ledger_holds(demo):
    for slug in ("acme", "globex"):
        ledger = read(slug, "SELECT count(*), sum(billed_cost) FROM ledger_entry")
        assert read(slug, "SELECT sum(calls), sum(billed_cost) FROM cost_hour") == ledger


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


def test_a_second_run_books_nothing_twice_and_hands_out_new_keys(demo):
    before = read("acme", "SELECT count(*) FROM ledger_entry WHERE charge_period_start < date_trunc('day', now())")
    again = seed()
    after = read("acme", "SELECT count(*) FROM ledger_entry WHERE charge_period_start < date_trunc('day', now())")
    assert before == after
    assert [login["password"] for login in again["logins"]] == ["", "", "", ""]
    assert find_api_key(demo["api_keys"]["acme"]) is None
    assert find_api_key(again["api_keys"]["acme"]).scopes == {"ingest", "read"}


def test_a_real_tenant_of_the_demos_name_is_left_alone(demo, monkeypatch):
    real = replace(get_tenant("globex"), is_demo=False)
    monkeypatch.setattr("billing.demo.get_tenant", lambda slug: real)
    with pytest.raises(CommandError, match="the tenant 'acme' is a real one"):
        seed()


def test_nothing_lies_in_the_future(demo):
    [(latest,)] = read("acme", "SELECT max(charge_period_start) FROM ledger_entry")
    assert latest <= datetime.now(UTC)
