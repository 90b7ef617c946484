"""Who is charged what: rules, rates of exchange, the currency that is billed."""

from datetime import date
from decimal import Decimal

from billing.core.mapping_terms import CostCenterTerms
from billing.cost_centers import create_cost_center
from chargeback.billing_currency import set_billing_currency
from chargeback.core.exchange import FxRate
from chargeback.core.rule_terms import read_allocation, read_charge
from chargeback.exchange_rates import enter_rates
from chargeback.rules import change_rule, create_rule, end_rule
from tests.architecture.deeds.scenario import ME, NOW, scenario

MONTH = date(2026, 11, 1)
PLATFORM = {"name": "Platform", "source": {"cost_centers": ["platform"]}, "method": "cost", "targets": "all"}
MARKUP = {"kind": "markup", "name": "Overhead", "percent": "5"}


def make_allocation(world):
    create_cost_center(CostCenterTerms(code="platform", name="Platform"), **world.own)
    rule, _ = create_rule(read_allocation(PLATFORM), valid_from=MONTH, **world.own)
    return rule.rule_id


@scenario(create_rule, "charge_rule.created")
def _(world):
    return lambda: create_rule(read_charge(MARKUP), valid_from=MONTH, **world.own)


@scenario(change_rule, "allocation_rule.changed")
def _(world):
    rule_id = make_allocation(world)
    terms = read_allocation(PLATFORM | {"percent": "50"})
    return lambda: change_rule(terms, rule_id=rule_id, valid_from=date(2026, 12, 1), **world.own)


@scenario(end_rule, "allocation_rule.ended")
def _(world):
    rule_id = make_allocation(world)
    return lambda: end_rule("allocation", rule_id=rule_id, month=date(2026, 12, 1), **world.own)


@scenario(set_billing_currency, "billing_currency.set")
def _(world):
    return lambda: set_billing_currency("EUR", month=MONTH, **world.own)


@scenario(enter_rates, "fx_rates.entered")
def _(world):
    rate = FxRate("EUR", date(1999, 1, 4), Decimal("0.8482"), "ECB")
    return lambda: enter_rates([rate], actor=ME, now=NOW)
