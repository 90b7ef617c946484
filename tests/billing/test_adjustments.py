"""Amounts that people book: what is given back, and what a bill makes up for."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from billing.adjustments import Adjustment, AdjustmentRefused, book_adjustment
from billing.explanations import explain_entry
from billing.ingestion import ingest_events
from billing.periods import close_month, review_month
from billing.rates import forget_rate_book
from billing.rollups import apply_batches, reconcile_rollups
from ledger.act_lists import ActFilters, list_acts
from ledger.proofs import check_leaf
from ledger.selectors import get_entry
from tests.factories import make_event, make_tenant, publish_test_rates

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
IN_OCTOBER = datetime(2026, 10, 14, 9, 30, tzinfo=UTC)
OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
BILL = Adjustment("bill-2026-10", "adjustment", Decimal("12.345678901234"), "the bill says so", cost_center="retail")
ANN = "person 1"


@pytest.fixture(autouse=True)
def no_remembered_rate_book(db):
    publish_test_rates()
    yield
    forget_rate_book()


@pytest.fixture
def acme(db):
    return make_tenant("acme")


def adjust(tenant, adjustment, *, actor=ANN):
    return book_adjustment(adjustment, tenant_id=tenant.id, actor=actor, now=NOW)


def read(tenant, entry_id):
    return get_entry(tenant_id=tenant.id, entry_id=entry_id)


def test_an_adjustment_is_an_entry_without_a_call_that_says_who_and_why(acme):
    entry = read(acme, adjust(acme, replace(BILL, time=IN_OCTOBER)))
    assert (entry["kind"], entry["calls"], entry["billed_cost"], entry["list_cost"]) == (
        "adjustment", 0, Decimal("12.345678901234"), 0,
    )  # fmt: skip
    assert (entry["cost_center"], entry["charge_period_start"], entry["billing_period"]) == (
        "retail", IN_OCTOBER, OCTOBER,
    )  # fmt: skip
    assert entry["tags"] == {"tokenledger.reason": "the bill says so", "tokenledger.author": ANN}


def test_an_adjustment_comes_with_an_act_that_names_it(acme):
    entry_id = adjust(acme, BILL)
    (act,) = list_acts(tenant_id=acme.id, filters=ActFilters(), limit=10)
    assert (act.name, act.actor) == ("adjustment.booked", ANN)
    assert act.facts == {
        "entry": entry_id, "id": "bill-2026-10", "amount": "12.345678901234", "reason": "the bill says so",
        "billing_period": "2026-11",
    }  # fmt: skip


def test_a_credit_has_the_attribution_and_the_time_of_the_entry_that_it_corrects(acme):
    event = make_event(time=IN_OCTOBER, feature="chat", cost_center="retail", region="eu")
    receipt = ingest_events(tenant_id=acme.id, api_key_id="testkey", events=[(0, event)], now=NOW)
    corrected = receipt.results[0].entry_id
    own = {"tenant_id": acme.id, "period": OCTOBER, "actor": ANN, "now": NOW}
    review_month(**own)
    close_month(**own)
    credit = Adjustment("dispute-1", "credit", Decimal("-0.001"), "failed twice", corrects=corrected)
    entry = read(acme, adjust(acme, credit))
    assert (entry["kind"], entry["corrects"], entry["billed_cost"]) == ("credit", corrected, Decimal("-0.001"))
    assert (entry["feature"], entry["cost_center"], entry["region"]) == ("chat", "retail", "eu")
    assert (entry["charge_period_start"], entry["billing_period"]) == (IN_OCTOBER, NOVEMBER)


def test_a_credit_for_a_credit_hangs_on_the_same_call(acme):
    receipt = ingest_events(tenant_id=acme.id, api_key_id="testkey", events=[(0, make_event(time=NOW))], now=NOW)
    call = receipt.results[0].entry_id
    first = adjust(acme, Adjustment("one", "credit", Decimal("-0.001"), "failed twice", corrects=call))
    second = adjust(acme, Adjustment("two", "adjustment", Decimal("0.0005"), "failed once", corrects=first))
    assert read(acme, second)["corrects"] == call


def test_the_same_again_is_the_entry_that_there_is(acme):
    first = adjust(acme, BILL)
    assert adjust(acme, BILL, actor="person 2") == first
    assert len(list_acts(tenant_id=acme.id, filters=ActFilters(), limit=10)) == 1


@pytest.mark.parametrize("other", [{"amount": Decimal(1)}, {"reason": "another"}, {"cost_center": "r&d"}])
def test_an_id_stands_for_one_amount(acme, other):
    adjust(acme, BILL)
    with pytest.raises(AdjustmentRefused) as refused:
        adjust(acme, replace(BILL, **other))
    assert refused.value.code == "adjustment_conflict"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kind": "usage"}, "a kind is one of credit, adjustment"),
        ({"kind": "credit"}, "a credit gives something back: its amount is below zero"),
        ({"amount": Decimal(0)}, "an amount is not zero"),
        ({"amount": Decimal("NaN")}, "an amount is not zero"),
        ({"amount": Decimal("1E-13")}, "at most 12 decimals"),
        ({"amount": Decimal("1E12")}, "12 digits"),
        ({"id": ""}, "id has 1 to 64 printable characters"),
        ({"reason": " "}, "reason has 1 to 500 printable characters"),
        ({"reason": "x" * 501}, "reason has 1 to 500 printable characters"),
        ({"corrects": "nothing"}, "no entry nothing is charged"),
    ],
)
def test_what_is_wrong_with_an_adjustment_is_told_and_nothing_is_booked(acme, wrong, words):
    with pytest.raises(AdjustmentRefused, match=words):
        adjust(acme, replace(BILL, **wrong))
    assert list_acts(tenant_id=acme.id, filters=ActFilters(), limit=10) == []


def test_nobody_corrects_anothers_entry(acme):
    globex = make_tenant("globex")
    theirs = adjust(globex, BILL)
    with pytest.raises(AdjustmentRefused) as refused:
        adjust(acme, replace(BILL, corrects=theirs))
    assert refused.value.code == "entry_unknown"


def test_an_adjustment_is_rolled_up_proved_and_explained_like_every_entry(acme):
    entry_id = adjust(acme, BILL)
    apply_batches(now=NOW)
    assert reconcile_rollups(tenant_id=acme.id, now=NOW).count == 0
    assert check_leaf(read(acme, entry_id), rate_version_hash="")
    assert explain_entry(entry=read(acme, entry_id)).difference == 0
