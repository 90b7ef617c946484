"""Two who change one rule at once: both changes are kept, each as a version of its own."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from chargeback.core.rule_terms import read_charge
from chargeback.rules import change_rule, create_rule, get_rule, list_versions, lock_rules, write_terms
from tests.chargeback.months import ANN, NOVEMBER, NOW, OCTOBER, OVERHEAD, add_rule
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")


def test_changes_of_different_fields_at_once_are_both_kept_as_versions_without_a_gap():
    acme = make_tenant("acme")
    rule = add_rule(acme, OVERHEAD)

    def change(fields):
        try:
            with lock_rules(tenant_id=acme.id):
                before = get_rule("charge", rule_id=rule.rule_id, tenant_id=acme.id)
                terms = read_charge(write_terms(before.terms) | fields)
                named = {"rule_id": rule.rule_id, "tenant_id": acme.id, "actor": ANN, "now": NOW}
                change_rule(terms, valid_from=NOVEMBER, **named)
        finally:
            connection.close()

    changes = [{"percent": str(number)} for number in range(11, 16)]
    changes += [{"match": {"features": [f"feature {number}"]}} for number in range(5)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, changes))
    versions = list_versions("charge", tenant_id=acme.id)
    assert [one.version for one in versions] == list(range(1, 12))
    last = versions[-1].terms
    assert last.percent in range(11, 16) and last.match.features[0].startswith("feature ")


def test_the_same_rule_sent_by_several_at_once_is_added_once():
    acme = make_tenant("acme")

    def add(_):
        try:
            named = {"tenant_id": acme.id, "actor": ANN, "now": NOW}
            return create_rule(read_charge(OVERHEAD), valid_from=OCTOBER, **named)[1]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(add, range(8))) == [False] * 7 + [True]
    assert len(list_versions("charge", tenant_id=acme.id)) == 1
