"""A month is charged from what is booked: rolled up or waiting, by the rules, drivers and rates of that month."""

from datetime import date
from decimal import Decimal

import pytest

from billing.core.drivers import DriverValue
from billing.drivers import keep_drivers
from billing.rates import forget_rate_book
from chargeback.billing_currency import set_billing_currency
from chargeback.charging import charge_month, dry_run
from chargeback.core.charging import list_lines
from chargeback.core.exchange import FxRate
from chargeback.core.rule_fields import RuleRefused
from chargeback.core.rule_terms import read_allocation, read_charge
from chargeback.exchange_rates import enter_rates
from chargeback.rules import RuleUnknown, change_rule, list_versions
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
    read_charges,
    spend,
    write,
    write_charges,
)
from tests.factories import make_tenant, publish_test_rates


@pytest.fixture
def acme(db):
    publish_test_rates()
    acme = make_tenant("acme")
    make_centers(acme, "platform", "sales", "legal", "support")
    yield acme
    forget_rate_book()


@pytest.fixture
def october(acme):
    """100 of the platform, 300 of sales, 100 of legal, 50 that is nobody's."""
    spend(acme, {"platform": 100, "sales": 300, "legal": 100, "": 50})
    return acme


def test_without_rules_everybody_is_charged_what_they_cost_and_nobodys_stays_nobodys(october):
    charged = charge_month(tenant_id=october.id, period=OCTOBER)
    assert write_charges(charged) == {"legal": "100", "platform": "100", "sales": "300"}
    proof = charged.charge.conservation
    assert (write(proof.cost), write(proof.charged), write(proof.unallocated)) == ("550", "500", "50")
    assert proof.difference == 0
    assert read_charges(october, NOVEMBER) == {}


def test_what_waits_to_be_rolled_up_is_charged_as_it_will_be(acme):
    spend(acme, {"sales": 3, "legal": 2})
    spend(acme, {"sales": 4}, is_rolled_up=False)
    waiting = charge_month(tenant_id=acme.id, period=OCTOBER)
    spend(acme, {}, is_rolled_up=True)
    assert write_charges(waiting) == {"legal": "2", "sales": "7"}
    assert charge_month(tenant_id=acme.id, period=OCTOBER) == waiting


def test_a_month_is_charged_by_the_versions_that_count_in_it(october):
    spend(october, {"platform": 10, "sales": 10}, month=NOVEMBER)
    rule = add_rule(october, PLATFORM)
    add_rule(october, OVERHEAD, month=NOVEMBER)
    half = read_allocation(PLATFORM | {"percent": "50"})
    change_rule(half, rule_id=rule.rule_id, valid_from=NOVEMBER, tenant_id=october.id, actor=ANN, now=NOW)
    # Platform's 100 by 300 and 100; then 5 of its 10 to sales, and 10 % on all.
    assert read_charges(october) == {"legal": "125", "platform": "0", "sales": "375"}
    assert read_charges(october, NOVEMBER) == {"platform": "5.5", "sales": "16.5"}
    charged = charge_month(tenant_id=october.id, period=NOVEMBER)
    lines = list_lines(charged.get_center("sales"), charged.charge.exchange)
    assert [(line.kind, line.rule_id, line.rule_version, write(line.amount_usd)) for line in lines] == [
        ("direct", None, None, "10"), ("allocated_in", 1, 2, "5"), ("markup", 1, 1, "1.5"),
    ]  # fmt: skip


def test_a_driver_counts_by_the_days_of_the_month(october):
    values = [
        DriverValue("seats sales", date(2026, 10, 1), Decimal("2.5")),
        DriverValue("seats sales", date(2026, 10, 31), Decimal("0.5")),
        DriverValue("seats sales", date(2026, 11, 1), Decimal("100")),
        DriverValue("seats legal", date(2026, 10, 7), Decimal("1")),
    ]
    keep_drivers(values, tenant_id=october.id, actor=ANN, now=NOW)
    drivers = {"sales": "seats sales", "legal": "seats legal"}
    add_rule(
        october, {"name": "Seats", "source": {"cost_centers": ["platform"]}, "method": "driver", "drivers": drivers}
    )
    assert read_charges(october) == {"legal": "125", "platform": "0", "sales": "375"}  # 1 and 3 of 4


def test_what_is_left_of_a_credit_is_carried_on_until_it_is_used(acme):
    for month, dollars in ((SEPTEMBER, 30), (OCTOBER, 50), (NOVEMBER, 40)):
        spend(acme, {"sales": dollars}, month=month)
    credit = {"kind": "credit", "name": "Outage", "amount": "100", "cost_center": "sales"}
    rule = add_rule(acme, credit, month=SEPTEMBER)
    assert [read_charges(acme, month) for month in (SEPTEMBER, OCTOBER, NOVEMBER)] == [
        {"sales": "0"}, {"sales": "0"}, {"sales": "20"},
    ]  # fmt: skip
    raised = read_charge(credit | {"amount": "110"})
    change_rule(raised, rule_id=rule.rule_id, valid_from=NOVEMBER, tenant_id=acme.id, actor=ANN, now=NOW)
    assert read_charges(acme, NOVEMBER) == {"sales": "10"}


def test_in_the_billing_currency_each_line_tells_its_rate_and_day(october):
    # Of days before every other test's, lest one see the other's.
    enter_rates(
        [
            FxRate("ISK", date(2026, 9, 30), Decimal("120.5")),
            FxRate("ISK", date(2026, 10, 30), Decimal("121.12345678")),
            FxRate("ISK", date(2026, 11, 1), Decimal("1")),
        ],
        actor=ANN,
        now=NOW,
    )
    set_billing_currency("ISK", month=OCTOBER, tenant_id=october.id, actor=ANN, now=NOW)
    charged = charge_month(tenant_id=october.id, period=OCTOBER)
    center = charged.get_center("sales")
    (line,) = list_lines(center, charged.charge.exchange)
    assert (line.currency, line.fx_rate, line.fx_day) == ("ISK", Decimal("121.12345678"), date(2026, 10, 30))
    assert (write(line.amount_usd), write(line.amount)) == ("300", "36337.037034")
    assert (write(center.charged), write(center.payable), write(center.rounding)) == (
        "36337.037034",
        "36337",
        "-0.037034",
    )
    assert not charged.lacks_rate
    assert not charge_month(tenant_id=october.id, period=SEPTEMBER).lacks_rate  # in USD until October


def test_where_no_rate_is_known_it_is_charged_in_usd_and_said(october):
    set_billing_currency("XAF", month=OCTOBER, tenant_id=october.id, actor=ANN, now=NOW)
    charged = charge_month(tenant_id=october.id, period=OCTOBER)
    assert (charged.lacks_rate, charged.facts.currency, charged.charge.exchange.currency) == (True, "XAF", "USD")


def test_a_dry_run_tells_what_a_rule_would_change_and_keeps_nothing(october):
    trial = dry_run(read_allocation(PLATFORM), tenant_id=october.id, period=OCTOBER)
    assert [(one.cost_center, write(one.change)) for one in trial.differences] == [
        ("", "0"), ("legal", "25"), ("platform", "-100"), ("sales", "75"),
    ]  # fmt: skip
    assert list_versions("allocation", tenant_id=october.id) == []
    rule = add_rule(october, PLATFORM)
    half = read_allocation(PLATFORM | {"percent": "50"})
    trial = dry_run(half, tenant_id=october.id, period=OCTOBER, rule_id=rule.rule_id)
    assert [(one.cost_center, write(one.change)) for one in trial.differences] == [
        ("", "0"), ("legal", "-12.5"), ("platform", "50"), ("sales", "-37.5"),
    ]  # fmt: skip
    assert read_charges(october) == {"legal": "125", "platform": "0", "sales": "375"}


def test_a_dry_run_of_a_credit_tells_what_would_be_left_of_it(acme):
    spend(acme, {"sales": 30}, month=SEPTEMBER)
    spend(acme, {"sales": 50})
    credit = {"kind": "credit", "name": "Outage", "amount": "40", "cost_center": "sales"}
    rule = add_rule(acme, credit, month=SEPTEMBER)
    raised = read_charge(credit | {"amount": "60"})
    trial = dry_run(raised, tenant_id=acme.id, period=OCTOBER, rule_id=rule.rule_id)
    (sales,) = [one for one in trial.differences if one.cost_center == "sales"]
    # 30 of it were used in September: 10 are left, and would be 30.
    assert (write(sales.before.sums.credit), write(sales.after.sums.credit)) == ("-10", "-30")


def test_a_dry_run_refuses_what_could_not_be_saved(october):
    with pytest.raises(RuleRefused):
        dry_run(read_allocation(PLATFORM | {"targets": ["nowhere"]}), tenant_id=october.id, period=OCTOBER)
    with pytest.raises(RuleUnknown):
        dry_run(read_charge(OVERHEAD), tenant_id=october.id, period=OCTOBER, rule_id=7)


def test_another_tenants_rules_and_cost_are_none_of_ours(october):
    globex = make_tenant("globex")
    add_rule(globex, OVERHEAD)
    spend(globex, {"sales": 1})
    assert read_charges(october)["sales"] == "300"
    assert read_charges(globex) == {"sales": "1.1"}
