"""Rules by version: added, changed from a month on, ended; what cannot be is refused with its field and cure."""

from datetime import date

import psycopg
import pytest
from django.db import ProgrammingError, connection, transaction

from billing.periods import close_month, review_month
from billing.rates import forget_rate_book
from chargeback.core.rule_fields import RuleRefused
from chargeback.core.rule_terms import read_allocation, read_charge
from chargeback.rules import RuleUnknown, change_rule, end_rule, find_in_force, get_rule, list_versions
from ledger.act_lists import ActFilters, list_acts
from tenants.scope import tenant_scope
from tests.chargeback.months import (
    ANN,
    NOVEMBER,
    NOW,
    OCTOBER,
    OVERHEAD,
    PLATFORM,
    SEPTEMBER,
    add_rule,
    make_centers,
    spend,
)
from tests.factories import make_tenant, publish_test_rates

DECEMBER = date(2026, 12, 1)


@pytest.fixture
def acme(db):
    publish_test_rates()
    acme = make_tenant("acme")
    make_centers(acme, "platform", "sales", "legal")
    yield acme
    forget_rate_book()


def change(tenant, rule, document, *, month, **said):
    read = read_charge if "kind" in document else read_allocation
    named = {"rule_id": rule.rule_id, "valid_from": month, "tenant_id": tenant.id, "actor": ANN, "now": NOW}
    return change_rule(read(document), **named, **said)


def end(tenant, rule, month, family="charge"):
    return end_rule(family, rule_id=rule.rule_id, month=month, tenant_id=tenant.id, actor=ANN, now=NOW)


def refuse(made):
    with pytest.raises(RuleRefused) as refused:
        made()
    return [(problem.field, problem.code) for problem in refused.value.problems]


def list_in_force(tenant, month, family="charge"):
    versions = list_versions(family, tenant_id=tenant.id)
    return [(rule.rule_id, rule.version) for rule in find_in_force(versions, month)]


def test_a_change_is_another_version_and_months_before_it_keep_theirs(acme):
    rule = add_rule(acme, OVERHEAD)
    changed = change(acme, rule, OVERHEAD | {"percent": "12"}, month=NOVEMBER)
    assert (rule.rule_id, rule.version, changed.rule_id, changed.version) == (1, 1, 1, 2)
    assert [list_in_force(acme, month) for month in (SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER)] == [
        [], [(1, 1)], [(1, 2)], [(1, 2)],
    ]  # fmt: skip
    assert change(acme, rule, OVERHEAD | {"percent": "12"}, month=NOVEMBER) == changed
    earlier = change(acme, rule, OVERHEAD | {"percent": "8"}, month=SEPTEMBER)
    assert [list_in_force(acme, month) for month in (SEPTEMBER, NOVEMBER)] == [[(1, 3)], [(1, 3)]]
    assert get_rule("charge", rule_id=1, tenant_id=acme.id) == earlier


def test_a_rule_counts_until_before_the_month_in_which_it_ends(acme):
    rule = add_rule(acme, OVERHEAD, valid_to=DECEMBER)
    assert [list_in_force(acme, month) for month in (OCTOBER, NOVEMBER, DECEMBER)] == [[(1, 1)], [(1, 1)], []]
    ended = end(acme, rule, NOVEMBER)
    assert ended.is_ended and ended.version == 2
    assert [list_in_force(acme, month) for month in (OCTOBER, NOVEMBER)] == [[(1, 1)], []]
    assert end(acme, rule, NOVEMBER) == ended
    add_rule(acme, OVERHEAD, month=NOVEMBER)  # its name is free again
    assert list_in_force(acme, NOVEMBER) == [(2, 1)]


def test_the_same_again_is_the_rule_that_there_is(acme):
    assert add_rule(acme, OVERHEAD) == add_rule(acme, OVERHEAD)
    assert refuse(lambda: add_rule(acme, OVERHEAD | {"percent": "11"})) == [("name", "taken")]


def test_every_version_is_an_act_with_its_terms(acme):
    rule = add_rule(acme, OVERHEAD)
    change(acme, rule, OVERHEAD | {"percent": "12"}, month=NOVEMBER)
    end(acme, rule, DECEMBER)
    with tenant_scope(acme.id):
        acts = [
            act
            for act in list_acts(tenant_id=acme.id, filters=ActFilters(), limit=20)
            if act.name.startswith("charge_rule")
        ]
    assert [act.name for act in acts] == ["charge_rule.ended", "charge_rule.changed", "charge_rule.created"]
    facts = acts[1].facts
    assert (facts["rule"], facts["version"], facts["valid_from"], facts["valid_to"]) == ("1", "2", "2026-11-01", "")
    assert '"percent": "12"' in facts["terms"] and '"percent": "10"' in facts["terms_before"]


def test_a_cost_centre_that_nobody_knows_is_a_problem_of_its_field(acme):
    unknown = PLATFORM | {"targets": ["sales", "nowhere"]}
    assert refuse(lambda: add_rule(acme, unknown)) == [("targets", "unknown_cost_center")]
    spend(acme, {"nowhere": 1})  # something is booked under this code by now
    assert add_rule(acme, unknown).version == 1
    credit = {"kind": "credit", "name": "Outage", "amount": "5", "cost_center": "nobody"}
    assert refuse(lambda: add_rule(acme, credit)) == [("cost_center", "unknown_cost_center")]


def test_rules_that_would_send_cost_round_are_refused_with_the_way_in_the_months_in_which_they_meet(acme):
    add_rule(acme, PLATFORM | {"targets": ["sales"]}, valid_to=NOVEMBER)
    back = {"name": "Back", "source": {"cost_centers": ["sales"]}, "method": "even", "targets": ["platform"]}
    with pytest.raises(RuleRefused) as refused:
        add_rule(acme, back)
    (problem,) = refused.value.problems
    assert (problem.field, problem.code) == ("targets", "circle")
    assert problem.detail == (
        "would send cost round in 2026-10: sales → platform (“Back”) → sales (“Platform”); change one of these rules"
    )
    rule = add_rule(acme, back, month=NOVEMBER)
    assert refuse(lambda: change(acme, rule, back, month=OCTOBER)) == [("targets", "circle")]
    ahead = PLATFORM | {"name": "Again", "targets": ["sales"]}
    assert refuse(lambda: add_rule(acme, ahead, month=OCTOBER, valid_to=DECEMBER)) == [("targets", "circle")]


def test_a_kind_stays_what_it_is_and_an_end_comes_after_the_beginning(acme):
    rule = add_rule(acme, OVERHEAD)
    other = {"kind": "discount", "name": "Overhead", "percent": "10"}
    assert refuse(lambda: change(acme, rule, other, month=NOVEMBER)) == [("kind", "wrong_value")]
    assert refuse(lambda: change(acme, rule, OVERHEAD, month=NOVEMBER, valid_to=OCTOBER)) == [
        ("valid_to", "wrong_value")
    ]


def test_nothing_of_a_closed_month_is_changed(acme):
    rule = add_rule(acme, OVERHEAD, month=SEPTEMBER)
    for step in (review_month, close_month):
        step(tenant_id=acme.id, period=OCTOBER, actor=ANN, now=NOW)
    assert refuse(lambda: change(acme, rule, OVERHEAD | {"percent": "12"}, month=OCTOBER)) == [
        ("valid_from", "month_closed")
    ]
    assert refuse(lambda: end(acme, rule, SEPTEMBER)) == [("valid_from", "month_closed")]
    of_september = OVERHEAD | {"name": "Once"}
    assert refuse(lambda: add_rule(acme, of_september, month=SEPTEMBER)) == [("valid_from", "month_closed")]
    assert add_rule(acme, of_september, month=SEPTEMBER, valid_to=OCTOBER).version == 1
    assert end(acme, rule, NOVEMBER).is_ended


def test_a_rule_of_another_tenant_is_unknown(acme):
    rule, globex = add_rule(acme, OVERHEAD), make_tenant("globex")
    assert list_versions("charge", tenant_id=globex.id) == []
    with pytest.raises(RuleUnknown):
        end(globex, rule, NOVEMBER)
    assert add_rule(globex, OVERHEAD).rule_id == 1


def test_a_version_is_never_changed(acme, owner_connection):
    add_rule(acme, OVERHEAD)
    with tenant_scope(acme.id), connection.cursor() as cursor:
        for statement in ("UPDATE charge_rule SET version = 9", "DELETE FROM charge_rule"):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                cursor.execute(statement)
    with pytest.raises(psycopg.Error, match="never changed|append|refuse"):
        owner_connection.execute("TRUNCATE charge_rule")
