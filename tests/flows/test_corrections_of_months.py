"""A late event, a refund and a wrong rate, each of this month, of the last one that is open, and of one that is closed.

A call of 400 input and 200 output tokens costs 0.003 USD at 2.50 and 10 USD a million, and 0.0012 at 1 and 4.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from audit.bundles import stream_bundle
from audit.core.focus import PROVIDER, write_field
from audit.core.focus_check import check_focus
from audit.files import list_focus_rows
from audit.recomputing import recompute_statement
from audit.sealed_months import find_sealed_month
from audit.statements import get_statement, snapshot_scope
from billing.adjustments import Adjustment, book_adjustment
from billing.ingestion import ingest_events
from billing.models import RateVersion
from billing.month_fees import book_month_fees
from billing.periods import close_month, compare_closed_periods, review_month
from billing.reratings import start_rerating, work_job
from billing.rollups import apply_batches, reconcile_rollups
from tests.audit.months import publish, write_rate
from tests.audit.verifying import find_faults
from tests.factories import make_event, make_tenant, name_maker
from tests.ledger.sealing import seal

pytestmark = pytest.mark.usefixtures("fresh_rate_book")

NOW = datetime.now(UTC)
THIS_MONTH = NOW.date().replace(day=1)
LAST_MONTH = (THIS_MONTH - timedelta(days=1)).replace(day=1)
MEANT = datetime(LAST_MONTH.year, LAST_MONTH.month, 14, 9, 30, tzinfo=UTC)
JUST_NOW = NOW - timedelta(minutes=5)
USED = {"input_tokens": 400, "output_tokens": 200}
BEFORE, AFTER, NOTHING = Decimal("0.003"), Decimal("0.0012"), Decimal(0)


@dataclass(frozen=True)
class Case:
    """When a call was used, whether its month is closed before it is made right, and where that is charged."""

    used_at: datetime
    closes: bool
    charged: date


CASES = {
    "this month": Case(JUST_NOW, closes=False, charged=THIS_MONTH),
    "last month, open": Case(MEANT, closes=False, charged=LAST_MONTH),
    "last month, closed": Case(MEANT, closes=True, charged=THIS_MONTH),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture
def acme(db):
    return make_tenant("acme")


def publish_price(price_in, price_out, *, start="2026-01-01T00:00:00Z", provider="mill"):
    publish(write_rate("plain", {"input": price_in, "output": price_out}, start=start, provider=provider), now=NOW)


def book(tenant, used_at, provider="mill", **fields):
    """One call; its entry's id."""
    event = make_event(provider=provider, model="plain", usage=USED, time=used_at, cost_center="retail", **fields)
    receipt = ingest_events(tenant_id=tenant.id, api_key_id="testkey", events=[(0, event)], now=NOW)
    return receipt.results[0].entry_id


def close(tenant, period=LAST_MONTH):
    own = {"tenant_id": tenant.id, "period": period, "actor": "person 7", "now": NOW}
    review_month(**own)
    return close_month(**own)


def rerate(provider="mill"):
    rate = RateVersion.objects.filter(provider=provider, state="published").latest("id")
    job_id = start_rerating(rate.pk, reason="the price of plain was wrong", requested_by="bob", now=NOW)
    while work_job(job_id, now=NOW):
        pass


def read_statement(tenant, period):
    """What a statement says, but for when it was made."""
    statement = get_statement(tenant=tenant, period=period, now=NOW)
    return [(line.section, line.charge_month, line.rows, line.amount) for line in statement.lines], statement.amount


def list_focus(tenant, period, view=PROVIDER):
    """(month of use, month of charge, class, category, cost) of the FOCUS rows that cost something."""
    with snapshot_scope(tenant.id):
        rows = list(list_focus_rows(tenant=tenant, period=period, view=view))
    written = [{name: write_field(value) for name, value in row.items()} for row in rows]
    assert check_focus(list(written[0]) if written else [], written).problems == ()
    return [
        (row["ChargePeriodStart"].date().replace(day=1), row["BillingPeriodStart"].date(), row["ChargeClass"],
         row["ChargeCategory"], row["BilledCost"])
        for row in rows if row["BilledCost"]
    ]  # fmt: skip


def sum_focus(tenant, case):
    """The cost of what is charged in the case's month, by the class that FOCUS gives it."""
    sums = {"Correction": NOTHING, None: NOTHING}
    for used_in, charged_in, charge_class, _, cost in list_focus(tenant, case.charged):
        assert charged_in == case.charged
        assert used_in == case.used_at.date().replace(day=1)
        sums[charge_class] += cost
    return sums


def check_books(tenant):
    """Statement, rollups and what was kept at the close agree."""
    apply_batches(now=NOW)
    assert reconcile_rollups(tenant_id=tenant.id, now=NOW).count == 0
    assert compare_closed_periods(tenant_id=tenant.id) == []
    for period in (LAST_MONTH, THIS_MONTH):
        assert recompute_statement(tenant=tenant, period=period, now=NOW).difference == 0


# --- each of them, in each state of the month ---


@every_case
def test_a_late_event_is_charged_where_its_month_is_open_and_says_when_it_was_used(acme, case):
    publish_price("2.5", "10")
    book(acme, case.used_at)
    if case.closes:
        close(acme)
    closed = read_statement(acme, LAST_MONTH)
    book(acme, case.used_at)
    _, amount = read_statement(acme, case.charged)
    if case.closes:
        assert read_statement(acme, LAST_MONTH) == closed and closed[1] == BEFORE
        assert amount == BEFORE
        assert sum_focus(acme, case) == {"Correction": BEFORE, None: NOTHING}
    else:
        assert amount == 2 * BEFORE
        assert sum_focus(acme, case) == {"Correction": NOTHING, None: 2 * BEFORE}
    check_books(acme)


@every_case
def test_a_refund_is_a_credit_where_its_month_is_open_and_names_the_call(acme, case):
    publish_price("2.5", "10")
    entry_id = book(acme, case.used_at)
    if case.closes:
        close(acme)
    closed = read_statement(acme, LAST_MONTH)
    refund = Adjustment("dispute-7", "credit", -BEFORE, "the provider failed twice", corrects=entry_id)
    book_adjustment(refund, tenant_id=acme.id, actor="person 7", now=NOW)
    lines, amount = read_statement(acme, case.charged)
    assert [line[0] for line in lines if line[3] < 0] == ["credit"]
    credits = [row for row in list_focus(acme, case.charged) if row[3] == "Credit"]
    meant = case.used_at.date().replace(day=1)
    if case.closes:
        assert read_statement(acme, LAST_MONTH) == closed and closed[1] == BEFORE
        assert amount == -BEFORE
        assert credits == [(meant, THIS_MONTH, "Correction", "Credit", -BEFORE)]
    else:
        assert amount == 0
        assert credits == [(meant, case.charged, None, "Credit", -BEFORE)]
    check_books(acme)


@every_case
def test_a_wrong_rate_is_made_right_by_pairs_where_its_month_is_open(acme, case):
    publish_price("2.5", "10")
    book(acme, case.used_at)
    if case.closes:
        close(acme)
    closed = read_statement(acme, LAST_MONTH)
    publish_price("1", "4", start=f"{LAST_MONTH}T00:00:00Z")
    assert read_statement(acme, LAST_MONTH) == closed
    rerate()
    _, amount = read_statement(acme, case.charged)
    if case.closes:
        assert read_statement(acme, LAST_MONTH) == closed and closed[1] == BEFORE
        assert amount == AFTER - BEFORE
        assert sum_focus(acme, case) == {"Correction": AFTER - BEFORE, None: NOTHING}
    else:
        assert amount == AFTER
        assert sum_focus(acme, case) == {"Correction": NOTHING, None: AFTER}
    check_books(acme)


# --- several at once ---


def test_what_was_corrected_in_an_open_month_is_corrected_again_in_the_next_when_it_closed(acme):
    publish_price("2.5", "10")
    book(acme, MEANT)
    publish_price("1", "4", start=f"{LAST_MONTH}T00:00:00Z")
    rerate()
    close(acme)
    closed = read_statement(acme, LAST_MONTH)
    assert closed[1] == AFTER
    publish_price("5", "20", start=f"{LAST_MONTH}T00:00:00Z")
    rerate()
    assert read_statement(acme, LAST_MONTH) == closed
    assert read_statement(acme, THIS_MONTH)[1] == 2 * BEFORE - AFTER
    check_books(acme)


def test_a_months_tiers_go_on_counting_what_comes_late_and_their_difference_is_charged_where_it_is_open(acme):
    """1,000 output tokens at 10 USD a million and what is above at 8: of 900 and 900, 800 are 2 cheaper each."""
    ladder = [{"above": 1000, "scope": "graduated", "price": "8"}]
    publish(write_rate("plain", {"output": {"price": "10", "quantity_tiers": ladder}}), now=NOW)

    def use():
        event = make_event(provider="mill", model="plain", usage={"output_tokens": 900}, time=MEANT)
        ingest_events(tenant_id=acme.id, api_key_id="testkey", events=[(0, event)], now=NOW)

    use()
    close(acme)
    use()
    assert book_month_fees(now=NOW) == 1
    assert read_statement(acme, LAST_MONTH)[1] == Decimal("0.009")
    assert read_statement(acme, THIS_MONTH)[1] == Decimal("0.009") - Decimal("0.0016")
    assert {row[:3] for row in list_focus(acme, THIS_MONTH)} == {(LAST_MONTH, THIS_MONTH, "Correction")}
    assert book_month_fees(now=NOW) == 0
    check_books(acme)


@pytest.mark.usefixtures("committed_db")
def test_the_archives_of_both_months_are_verified_to_the_last_digit(tmp_path):
    acme = make_tenant("acme")
    maker = name_maker(acme)
    publish_price("2.5", "10", provider=maker)
    first = book(acme, MEANT, provider=maker)
    kept = close(acme)
    book(acme, MEANT, provider=maker)
    book(acme, JUST_NOW, provider=maker)
    own = {"tenant_id": acme.id, "actor": "person 7", "now": NOW}
    book_adjustment(Adjustment("d-1", "credit", -BEFORE, "failed twice", corrects=first), **own)
    book_adjustment(Adjustment("bill-1", "adjustment", Decimal("0.01"), "the bill says so", time=MEANT), **own)
    publish_price("1", "4", start=f"{LAST_MONTH}T00:00:00Z", provider=maker)
    rerate(maker)
    seal(at_once=True)
    for period, amount in (
        (LAST_MONTH, BEFORE),
        (THIS_MONTH, 2 * BEFORE - BEFORE + Decimal("0.01") - 3 * (BEFORE - AFTER)),
    ):
        month = find_sealed_month(tenant=acme, period=period, now=datetime.now(UTC))
        assert month.statement.amount == amount
        assert find_faults(tmp_path, b"".join(stream_bundle(month))) == []
    assert kept.total.billed_cost == BEFORE
    assert compare_closed_periods(tenant_id=acme.id) == []
