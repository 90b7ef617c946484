"""Whoever changes what decides a price, a limit, an alert or who may do so leaves an act: every write is walked.

What there is to walk is read from the code (`writes.py`): a write that no act comes with fails here, and so does a new
deed of which no scenario (`deeds`) shows that it stands or falls with its act. What is no deed: `without_acts.py`.
"""

import re
from types import SimpleNamespace

import pytest
from django.core.management import get_commands
from django.db import connection
from django.urls import get_resolver

from billing.rates import forget_rate_book
from ledger.act_lists import ActFilters, list_acts
from tenants.models import OPERATOR_SLUG
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo, get_tenant
from tests.architecture.deeds import ME, NOW, PASSWORD, SCENARIOS
from tests.architecture.without_acts import (
    COMMANDS_WITHOUT_ACTS,
    COMPOSED,
    DOORS_WITHOUT_ACTS,
    IS_DEMO,
    NO_ACTS,
    NO_ACTS_BELOW,
)
from tests.architecture.writes import find_unkept_writes, list_deeds, list_outer_deeds
from tests.factories import make_key, make_tenant, publish_test_rates

# --- what is there ---


def test_every_write_comes_with_an_act_or_is_none_for_a_reason():
    found = {name for name in find_unkept_writes() if not name.startswith(tuple(NO_ACTS_BELOW))}
    assert sorted(found - set(NO_ACTS)) == [], "book an act with it, or say in NO_ACTS why it is none"
    assert sorted(set(NO_ACTS) - found) == [], "these come with an act by now, or are gone"


def list_api_doors():
    for pattern in get_resolver("api.urls").url_patterns:
        view = pattern.callback.view_class
        for method in ("post", "put", "patch", "delete"):
            if handler := getattr(view, method, None):
                yield f"{method.upper()} /{pattern.pattern}", f"{handler.__module__}.{view.__name__}.{method}"


def list_page_doors():
    for pattern in get_resolver("dashboards.urls").url_patterns:
        methods, view = read_methods(pattern.callback)
        if "POST" in methods:
            yield f"POST /{pattern.pattern}", f"{view.__module__}.{view.__qualname__}"


def read_methods(view):
    """What a view takes, by its `require_http_methods`, any where it has none, and the view without decorators."""
    methods = {"GET", "POST"}
    while True:
        for cell in getattr(view, "__closure__", None) or ():
            if isinstance(cell.cell_contents, list) and {"GET", "POST"} & set(map(str, cell.cell_contents)):
                methods = set(cell.cell_contents)
        if not hasattr(view, "__wrapped__"):
            return methods, view
        view = view.__wrapped__


def test_every_call_and_form_that_changes_something_comes_to_an_act_or_is_listed_with_a_reason():
    doors = dict([*list_api_doors(), *list_page_doors()])
    assert len(doors) > 50
    without = {door for door, name in doors.items() if name not in list_deeds()}
    assert sorted(without - set(DOORS_WITHOUT_ACTS)) == []
    assert sorted(set(DOORS_WITHOUT_ACTS) - set(doors)) == []


def test_every_command_comes_to_an_act_or_is_listed_with_a_reason():
    apps = {"alerts", "api", "audit", "billing", "chargeback", "content", "dashboards", "finops", "ledger", "tenants"}
    ours = {name: app for name, app in get_commands().items() if app in apps}
    deeds = list_deeds()
    without = {
        name
        for name, app in ours.items()
        if not any(deed.startswith(f"{app}.management.commands.{name}.") for deed in deeds)
    }
    assert without == set(COMMANDS_WITHOUT_ACTS)


@pytest.fixture
def world(db, settings):
    """*acme* with a key, a person, a budget, a channel and two rejected events; a rate and an alias of the operator."""
    settings.RATES_FOUR_EYES = True
    publish_test_rates()
    acme = make_tenant("acme")
    yield SimpleNamespace(
        acme=acme,
        id=acme.id,
        key_id=make_key(acme, name="pipeline").split("_")[1],
        settings=settings,
        own={"tenant_id": acme.id, "actor": ME, "now": NOW},
    )
    forget_rate_book()


# --- each of them ---


def test_every_deed_has_a_scenario():
    deeds = {name for name in list_outer_deeds() if not IS_DEMO.search(name)}
    assert sorted(deeds - set(COMPOSED)) == sorted(SCENARIOS)


# Every table that a deed may write, but for the ledger's own.
TABLES = (
    "bill_charge", "bill_day", "bill_mapping", "bill_sign_off", "bill_tolerance", "provider_bill", "variance_decision",
    "alert_channel", "alert_delivery", "api_key", "billing_period", "billing_period_step", "budget", "business_driver",
    "export_run", "export_target", "report_sent", "report_subscription",
    "content", "content_act", "cost_center", "forecast_event", "mapping_rule", "model_alias", "person", "rate_act",
    "rate_book", "rate_ending", "rate_job", "rate_version", "rejected_event", "tenant", "tenants_user", "watch_setting",
)  # fmt: skip
LEDGER = ("event_key", "ledger_batch", "ledger_entry", "outbox")


def read_tables(world):
    """What every table holds, as one hash each, as *acme* sees it and as the operator does."""
    found = {}
    for tenant_id in (world.id, get_tenant(OPERATOR_SLUG).id):
        with tenant_scope(tenant_id), connection.cursor() as cursor:
            for table in (*TABLES, *LEDGER):
                cursor.execute(f"SELECT count(*), md5(string_agg(row::text, '|' ORDER BY row::text)) FROM {table} row")
                found[tenant_id, table] = cursor.fetchone()
    return found


class NoAct(RuntimeError):
    """What a ledger says that takes no act."""


@pytest.mark.parametrize("deed", sorted(SCENARIOS))
def test_a_deed_stands_or_falls_with_its_act(world, monkeypatch, deed):
    perform = SCENARIOS[deed].prepare(world)
    before = read_tables(world)

    def refuse(**what):
        raise NoAct

    with monkeypatch.context() as patch:
        patch.setattr("ledger.acts.append_batches", refuse)
        with pytest.raises(NoAct):
            perform()
    assert read_tables(world) == before

    known = {act.entry_id for act in list_everything(world)}
    made = perform()
    assert read_tables(world) != before
    acts = [act for act in list_everything(world, made) if act.entry_id not in known]
    assert tuple(act.name for act in acts) == SCENARIOS[deed].acts
    for act in acts:
        assert act.actor == ME
        text = " ".join([act.actor, *act.facts, *act.facts.values()])
        assert "@" not in text and PASSWORD not in text
        assert not re.search(r"tl_\w+_|whsec_|hooks\.example/", text), "a secret"


def list_everything(world, made=None):
    """Acts of *acme*, of the operator and of a tenant that was made, in the order of booking."""
    tenants = [world.acme, get_tenant(OPERATOR_SLUG), *([made] if isinstance(made, TenantInfo) else [])]
    acts = [
        act
        for tenant_id in (tenant.id for tenant in tenants)
        for act in list_acts(tenant_id=tenant_id, filters=ActFilters(), limit=1_000)
    ]
    return sorted(acts, key=lambda act: act.batch_id)
