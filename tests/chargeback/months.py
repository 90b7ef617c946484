"""A month that is charged: calls of known cost, cost centres, and rules as documents."""

from datetime import UTC, date, datetime
from decimal import Decimal

from billing.core.mapping_terms import CostCenterTerms
from billing.cost_centers import create_cost_center
from billing.ingestion import ingest_events
from billing.rollups import apply_batches
from chargeback.charging import charge_month
from chargeback.core.rule_terms import read_allocation, read_charge
from chargeback.core.shares import to_money
from chargeback.rules import create_rule
from tests.factories import make_event

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SEPTEMBER, OCTOBER, NOVEMBER = date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)
ANN = "person 1"
TOKENS_PER_DOLLAR = 100_000  # of output, at 10 USD a million

PLATFORM = {"name": "Platform", "source": {"cost_centers": ["platform"]}, "method": "cost", "targets": "all"}
OVERHEAD = {"kind": "markup", "name": "Overhead", "percent": "10"}


def spend(tenant, dollars, *, month=OCTOBER, is_rolled_up=True, **facts):
    """Book one call of so many whole USD by cost centre, in the month."""
    time = datetime(month.year, month.month, 14, 9, 30, tzinfo=UTC)
    events = [
        make_event(
            cost_center=center,
            time=time,
            usage={"input_tokens": 0, "output_tokens": amount * TOKENS_PER_DOLLAR},
            **facts,
        )
        for center, amount in dollars.items()
    ]
    ingest_events(tenant_id=tenant.id, api_key_id="testkey", events=list(enumerate(events)), now=NOW)
    while is_rolled_up and apply_batches(now=NOW):
        pass


def make_centers(tenant, *codes):
    for code in codes:
        terms = CostCenterTerms(code=code, name=code.capitalize())
        create_cost_center(terms, tenant_id=tenant.id, actor=ANN, now=NOW)


def add_rule(tenant, document, *, month=OCTOBER, **said):
    read = read_charge if "kind" in document else read_allocation
    rule, _ = create_rule(read(document), valid_from=month, tenant_id=tenant.id, actor=ANN, now=NOW, **said)
    return rule


def read_charges(tenant, month=OCTOBER):
    """What each cost centre is charged in the billing currency, as it is written."""
    return write_charges(charge_month(tenant_id=tenant.id, period=month))


def write_charges(charged):
    return {center.cost_center: write(center.charged) for center in charged.charge.centers}


def write(pico):
    return f"{Decimal(to_money(pico)).normalize():f}"
