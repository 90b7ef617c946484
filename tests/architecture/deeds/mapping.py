"""Cost centres and the rules that give them to calls."""

from datetime import date, timedelta

from billing.core.mapping import Term
from billing.core.mapping_terms import CostCenterTerms, RuleTerms
from billing.cost_centers import change_cost_center, create_cost_center, retire_cost_center
from billing.mapping import add_rule, end_rule, move_rule, replace_rule
from billing.reratings import start_reallocation
from tests.architecture.deeds.scenario import ME, NOW, scenario

GROWTH = CostCenterTerms(code="growth", name="Growth", owner="Mia Wolf", gl_account="6420")
RULE = RuleTerms(terms=(Term("feature", ("chat",)), Term("user", ("mia@acme.example",))), cost_center="growth")


def make_center(world):
    center, _ = create_cost_center(GROWTH, **world.own)
    return center.id


def make_rule(world):
    make_center(world)
    return add_rule(RULE, **world.own).id


@scenario(create_cost_center, "cost_center.created")
def _(world):
    return lambda: create_cost_center(GROWTH, **world.own)


@scenario(change_cost_center, "cost_center.changed")
def _(world):
    center_id = make_center(world)
    renamed = CostCenterTerms(code="growth", name="Growth and more")
    return lambda: change_cost_center(renamed, center_id=center_id, **world.own)


@scenario(retire_cost_center, "cost_center.retired")
def _(world):
    center_id = make_center(world)
    return lambda: retire_cost_center(center_id=center_id, **world.own)


@scenario(add_rule, "mapping_rule.added")
def _(world):
    make_center(world)
    return lambda: add_rule(RULE, **world.own)


@scenario(replace_rule, "mapping_rule.replaced")
def _(world):
    rule_id = make_rule(world)
    other = RuleTerms(terms=(Term("feature", ("search",)),), cost_center="growth", valid_from=date(2026, 12, 1))
    return lambda: replace_rule(other, rule_id=rule_id, **world.own)


@scenario(end_rule, "mapping_rule.ended")
def _(world):
    rule_id = make_rule(world)
    return lambda: end_rule(date(2026, 12, 1), rule_id=rule_id, **world.own)


@scenario(move_rule, "mapping_rule.moved")
def _(world):
    make_rule(world)
    rule_id = add_rule(RULE, **world.own).id
    return lambda: move_rule(1, rule_id=rule_id, **world.own)


@scenario(start_reallocation, "reallocation.started")
def _(world):
    days = {"used_from": NOW - timedelta(days=30), "used_to": NOW}
    return lambda: start_reallocation(tenant_id=world.id, **days, reason="rules came late", requested_by=ME, now=NOW)
