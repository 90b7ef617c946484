"""Bills of providers, what is said of their differences, and who signed."""

from datetime import date
from decimal import Decimal

from chargeback.bill_mappings import keep_mapping
from chargeback.bill_tolerances import set_tolerance
from chargeback.bills import import_bill, withdraw_bill
from chargeback.core.bills import read_mapping
from chargeback.core.reconciliation import Tolerance
from chargeback.reconciliation import explain, sign_off
from chargeback.true_ups import book_true_up
from chargeback.variance_decisions import take_back_decision
from tests.architecture.deeds.scenario import scenario

BILL = b"usage_date_utc,model,cost_usd\n2026-10-03,Claude Haiku 4.5,7.50\n"
OCTOBER = date(2026, 10, 1)


def send_bill(world):
    return import_bill(BILL, filename="october.csv", **world.own).bill


@scenario(import_bill, "bill.imported")
def _(world):
    return lambda: import_bill(BILL, filename="october.csv", **world.own)


@scenario(withdraw_bill, "bill.withdrawn")
def _(world):
    bill = send_bill(world)
    return lambda: withdraw_bill(bill_id=bill.id, **world.own)


@scenario(keep_mapping, "bill.mapping_kept")
def _(world):
    mapping = read_mapping(
        {"columns": {"day": "when", "amount": "sum"}, "constants": {"provider": "openai", "currency": "USD"}}
    )
    return lambda: keep_mapping(mapping, ("when", "sum"), **world.own)


@scenario(set_tolerance, "reconciliation.tolerance_set")
def _(world):
    return lambda: set_tolerance(Tolerance(Decimal(3), Decimal(2)), **world.own)


def explain_bill(world):
    send_bill(world)
    return explain(period=OCTOBER, provider="anthropic", reason="not_in_ledger", comment="a notebook", **world.own)


@scenario(explain, "reconciliation.explained")
def _(world):
    send_bill(world)
    return lambda: explain(
        period=OCTOBER, provider="anthropic", reason="not_in_ledger", comment="a notebook", **world.own
    )


@scenario(take_back_decision, "reconciliation.explained")
def _(world):
    decision = explain_bill(world).decision
    return lambda: take_back_decision(decision=decision, **world.own)


@scenario(sign_off, "reconciliation.signed")
def _(world):
    explain_bill(world)
    return lambda: sign_off(period=OCTOBER, comment="as it should be", **world.own)


@scenario(book_true_up, "adjustment.booked")
def _(world):
    send_bill(world)
    named = {"period": OCTOBER, "provider": "anthropic", "model": "claude haiku 4.5", "comment": "as billed"}
    return lambda: book_true_up(**named, **world.own)
