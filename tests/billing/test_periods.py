"""Months on their way: open, in review, closed, open again; what is kept of them, and who is told what."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest
from django.db import ProgrammingError, connection

from billing.core.month_totals import MonthSums, MonthTotals
from billing.ingestion import ingest_events
from billing.periods import (
    PeriodStepRefused,
    approve_reopening,
    close_month,
    compare_closed_periods,
    decline_reopening,
    reopen_month,
    return_month,
    review_month,
)
from billing.rates import forget_rate_book
from billing.rates.book import read_version
from billing.rollups import apply_batches, reconcile_rollups
from billing.selectors.months import find_totals, get_month, list_month_steps, list_months
from billing.tenant_rules import TenantRules
from ledger.act_lists import ActFilters, list_acts
from ledger.selectors import EntryFilters, list_entries
from tenants.scope import tenant_scope
from tests.billing.ledger_rows import book_entries, make_entry
from tests.factories import make_event, make_tenant, publish_test_rates

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SEPTEMBER, OCTOBER, NOVEMBER = date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)
IN_OCTOBER = datetime(2026, 10, 14, 9, 30, tzinfo=UTC)
ANN, BOB = "person 1", "person 2"
CALL = Decimal("0.00475")  # 200 fresh tokens at 2.50, 1,000 cached at 1.25 and 300 out at 10 USD a million


@pytest.fixture(autouse=True)
def no_remembered_rate_book(db):
    publish_test_rates()
    yield
    forget_rate_book()


@pytest.fixture
def acme(db):
    return make_tenant("acme")


def take(step, tenant, *, period=OCTOBER, actor=ANN, **said):
    return step(tenant_id=tenant.id, period=period, actor=actor, now=said.pop("now", NOW), **said)


def close(tenant, **said):
    take(review_month, tenant, **said)
    return take(close_month, tenant, **said)


def book(tenant, *, time=IN_OCTOBER, now=NOW, **fields):
    event = make_event(time=time, **fields)
    return ingest_events(tenant_id=tenant.id, api_key_id="testkey", events=[(0, event)], now=now)


def list_usage(tenant):
    return list_entries(tenant_id=tenant.id, filters=EntryFilters(kinds=("usage",))).entries


def list_act_names(tenant):
    return [act.name for act in reversed(list_acts(tenant_id=tenant.id, filters=ActFilters(), limit=100))]


# --- states ---


def test_a_month_that_nobody_touched_is_open(acme):
    month = get_month(tenant_id=acme.id, period=OCTOBER)
    assert (month.state, month.changed_by, month.changed_at) == ("open", "", None)


def test_a_month_goes_from_open_over_review_to_closed_and_each_step_is_an_act(acme):
    take(review_month, acme, reason="all bills are in")
    assert get_month(tenant_id=acme.id, period=OCTOBER).state == "in_review"
    take(close_month, acme, actor=BOB)
    month = get_month(tenant_id=acme.id, period=OCTOBER)
    assert (month.state, month.changed_by, month.changed_at) == ("closed", BOB, NOW)
    assert list_act_names(acme) == ["period.reviewed", "period.closed"]
    steps = list_month_steps(tenant_id=acme.id, period=OCTOBER)
    assert [(step.step, step.actor, step.reason) for step in steps] == [
        ("reviewed", ANN, "all bills are in"), ("closed", BOB, ""),
    ]  # fmt: skip


def test_a_review_can_end_without_a_close(acme):
    take(review_month, acme)
    take(return_month, acme, reason="a bill is missing")
    assert get_month(tenant_id=acme.id, period=OCTOBER).state == "open"
    assert list_act_names(acme) == ["period.reviewed", "period.returned"]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (close_month, "October 2026 is open; it cannot be closed"),
        (return_month, "October 2026 is open; it cannot be returned"),
        (reopen_month, "October 2026 is open; it cannot be reopened"),
        (approve_reopening, "October 2026 is open; it cannot be reopened"),
        (decline_reopening, "October 2026 is open; it cannot be reopened"),
    ],
)
def test_an_open_month_takes_no_step_but_its_review(acme, step, words):
    with pytest.raises(PeriodStepRefused, match=words) as refused:
        take(step, acme, reason="because")
    assert refused.value.code == "period_state"
    assert list_months(tenant_id=acme.id) == [] and list_act_names(acme) == []


@pytest.mark.parametrize("period", [NOVEMBER, date(2027, 1, 1)])
def test_a_month_that_is_not_over_cannot_be_closed(acme, period):
    with pytest.raises(PeriodStepRefused) as refused:
        take(review_month, acme, period=period)
    assert refused.value.code == "period_not_over"


def test_a_month_is_over_when_it_is_over_in_utc(acme):
    midnight = datetime(2026, 11, 1, tzinfo=UTC)
    ahead = (midnight - timedelta(minutes=1)).astimezone().replace(microsecond=0)
    with pytest.raises(PeriodStepRefused):
        take(review_month, acme, now=ahead)
    take(review_month, acme, now=midnight)
    assert get_month(tenant_id=acme.id, period=OCTOBER).state == "in_review"


def test_who_closes_second_is_told_who_was_first(acme):
    close(acme)
    with pytest.raises(PeriodStepRefused, match=f"closed since 2026-11-23 12:00 UTC, by {ANN}; it cannot be closed"):
        take(close_month, acme, actor=BOB)
    assert list_act_names(acme).count("period.closed") == 1


def test_a_day_in_the_month_is_no_month(acme):
    with pytest.raises(Exception, match="billing_period_is_a_month"):
        take(review_month, acme, period=date(2026, 10, 2))


# --- reopening ---


def test_a_closed_month_is_reopened_by_another_person_than_who_asked(acme, settings):
    settings.RATES_FOUR_EYES = True
    close(acme)
    assert take(reopen_month, acme, reason="a bill came late") is False
    assert get_month(tenant_id=acme.id, period=OCTOBER).reopen_asked_by == ANN
    with pytest.raises(PeriodStepRefused) as refused:
        take(approve_reopening, acme, actor=ANN)
    assert refused.value.code == "period_needs_another"
    take(approve_reopening, acme, actor=BOB)
    month = get_month(tenant_id=acme.id, period=OCTOBER)
    assert (month.state, month.changed_by, month.reopen_asked_by) == ("open", BOB, "")
    reopened = list_acts(tenant_id=acme.id, filters=ActFilters(), limit=1)[0]
    assert (reopened.name, reopened.actor) == ("period.reopened", BOB)
    assert reopened.facts == {"period": "2026-10", "reason": "a bill came late", "asked_by": ANN}


def test_a_closed_month_waits_for_an_answer_and_stays_closed(acme, settings):
    settings.RATES_FOUR_EYES = True
    close(acme)
    take(reopen_month, acme, reason="a bill came late")
    book(acme)
    (entry,) = list_usage(acme)
    assert entry["billing_period"] == NOVEMBER
    with pytest.raises(PeriodStepRefused, match=f"{ANN} asked for it already"):
        take(reopen_month, acme, actor=BOB, reason="me too")


def test_a_question_can_be_declined_and_asked_again(acme, settings):
    settings.RATES_FOUR_EYES = True
    close(acme)
    take(reopen_month, acme, reason="a bill came late")
    take(decline_reopening, acme, actor=BOB, reason="book it in November")
    assert get_month(tenant_id=acme.id, period=OCTOBER).state == "closed"
    with pytest.raises(PeriodStepRefused, match="nobody asked to reopen October 2026"):
        take(approve_reopening, acme, actor=BOB)
    take(reopen_month, acme, reason="the auditor asks for it")
    assert list_act_names(acme)[2:] == ["period.reopen_asked", "period.reopen_declined", "period.reopen_asked"]


def test_one_person_reopens_where_four_eyes_are_not_asked_for(acme, settings):
    settings.RATES_FOUR_EYES = False
    close(acme)
    assert take(reopen_month, acme, reason="a bill came late") is True
    assert get_month(tenant_id=acme.id, period=OCTOBER).state == "open"


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "two\nlines"])
def test_reopening_says_why(acme, reason):
    close(acme)
    with pytest.raises(PeriodStepRefused) as refused:
        take(reopen_month, acme, reason=reason)
    assert refused.value.code == "reason_missing"


# --- where things are charged ---


def test_an_event_of_a_closed_month_is_charged_in_the_first_month_that_is_open(acme):
    close(acme, period=SEPTEMBER)
    close(acme)
    book(acme, time=datetime(2026, 9, 3, tzinfo=UTC))
    book(acme)
    book(acme, time=NOW)
    assert {(entry["charge_period_start"].month, entry["billing_period"]) for entry in list_usage(acme)} == {
        (9, NOVEMBER), (10, NOVEMBER), (11, NOVEMBER),
    }  # fmt: skip


def test_the_month_after_december_is_january():
    rules = TenantRules(closed=frozenset({date(2026, 11, 1), date(2026, 12, 1)}))
    assert rules.find_open_month(date(2026, 11, 1)) == date(2027, 1, 1)
    assert rules.find_open_month(date(2026, 10, 1)) == date(2026, 10, 1)


def test_a_reopened_month_takes_entries_again(acme, settings):
    settings.RATES_FOUR_EYES = False
    close(acme)
    book(acme)
    take(reopen_month, acme, reason="a bill came late")
    book(acme)
    assert sorted(entry["billing_period"] for entry in list_usage(acme)) == [OCTOBER, NOVEMBER]


def test_a_closed_month_of_acme_is_open_for_globex(acme):
    globex = make_tenant("globex")
    close(acme)
    book(globex)
    (entry,) = list_usage(globex)
    assert entry["billing_period"] == OCTOBER


def test_a_review_stops_no_booking_and_lets_every_process_keep_its_rate_book(acme):
    before = read_version()
    take(review_month, acme)
    assert read_version() == before
    book(acme)
    (entry,) = list_usage(acme)
    assert entry["billing_period"] == OCTOBER


def test_the_months_of_a_tenant_are_read_once_and_again_when_a_month_changed(acme, monkeypatch):
    read = []
    monkeypatch.setattr("billing.tenant_rules._read_rules", lambda tenant_id: read.append(tenant_id) or TenantRules())
    for _ in range(3):
        book(acme)
    assert read == [acme.id]
    close(acme)
    for _ in range(3):
        book(acme)
    assert read == [acme.id] * 2


def test_a_retry_after_the_close_is_a_duplicate_in_the_month_where_it_was_booked(acme):
    event = make_event(time=IN_OCTOBER)
    sent = {"tenant_id": acme.id, "api_key_id": "testkey", "events": [(0, event)], "now": NOW}
    assert ingest_events(**sent).accepted == 1
    close(acme)
    assert ingest_events(**sent).duplicates == 1
    (entry,) = list_usage(acme)
    assert entry["billing_period"] == OCTOBER


# --- what is kept ---


def test_the_close_keeps_what_stands_in_the_month_in_all_and_by_cost_centre(acme):
    book(acme, cost_center="retail")
    book(acme, cost_center="retail")
    book(acme, cost_center="")
    book(acme, model="unheard-of", cost_center="")
    book(acme, time=NOW, cost_center="retail")
    totals = close(acme)
    assert dict(totals.by_cost_center) == {
        "": MonthSums(2, 2, 1, CALL, CALL),
        "retail": MonthSums(2, 2, 0, 2 * CALL, 2 * CALL),
    }
    assert totals.total == MonthSums(4, 4, 1, Decimal("0.01425"), Decimal("0.01425"))
    (_, step) = list_month_steps(tenant_id=acme.id, period=OCTOBER)
    assert step.totals == totals
    assert step.totals_hash == totals.digest.hex()


def test_the_totals_are_canonical_text_whose_hash_the_act_holds(acme):
    book(acme, cost_center="retail")
    totals = close(acme)
    assert totals.write() == (
        '{"billed_cost":"0.004750000000","by_cost_center":{"retail":{"billed_cost":"0.004750000000","calls":1,'
        '"entries":1,"list_cost":"0.004750000000","unpriced_calls":0}},"calls":1,"entries":1,'
        '"list_cost":"0.004750000000","period":"2026-10-01","tree_root":"","tree_size":0,"unpriced_calls":0}'
    )
    assert MonthTotals.read(totals.write()) == totals
    act = list_acts(tenant_id=acme.id, filters=ActFilters(), limit=1)[0]
    assert act.facts == {
        "period": "2026-10", "entries": "1", "calls": "1", "unpriced_calls": "0", "billed_cost": "0.004750000000",
        "tree_size": "0", "totals_sha256": totals.digest.hex(),
    }  # fmt: skip


def test_the_close_of_an_empty_month_keeps_zeros(acme):
    assert close(acme).total == MonthSums()


def test_what_is_booked_by_an_older_clock_while_a_close_sums_is_in_its_totals(acme, monkeypatch):
    book(acme)
    book(acme)
    from billing.periods import steps

    summed = steps.sum_settled

    def sum_and_book(**what):
        settled = summed(**what)
        book(acme, now=NOW - timedelta(days=20))
        book(acme, now=datetime.now(UTC))
        return settled

    monkeypatch.setattr("billing.periods.steps.sum_settled", sum_and_book)
    assert close(acme).total == MonthSums(4, 4, 0, 4 * CALL, 4 * CALL)


def test_what_stood_on_a_date_can_be_asked_after_a_month_was_opened_and_closed_again(acme, settings):
    settings.RATES_FOUR_EYES = False
    book(acme)
    first = close(acme, now=NOW)
    take(reopen_month, acme, now=NOW + timedelta(days=1), reason="a bill came late")
    book(acme)
    second = close(acme, now=NOW + timedelta(days=2))

    def ask(**after):
        return find_totals(tenant_id=acme.id, period=OCTOBER, at=NOW + timedelta(**after))

    assert ask(hours=-1) is None
    assert ask(hours=1) == first and first.total.calls == 1
    assert ask(days=1, hours=1) is None
    assert ask(days=3) == second and second.total.calls == 2


def test_what_was_kept_cannot_be_changed(acme):
    close(acme)
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        tenant_scope(acme.id),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE billing_period_step SET totals = 'x'")


def test_not_even_the_owner_changes_what_was_kept(owner_connection):
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"), owner_connection.transaction():
        owner_connection.execute("TRUNCATE billing_period_step")


def test_a_row_that_appears_in_a_closed_month_is_a_difference_that_is_told(acme):
    book(acme, cost_center="retail")
    totals = close(acme)
    apply_batches(now=NOW)
    assert compare_closed_periods(tenant_id=acme.id) == []
    book_entries(acme, make_entry(time=IN_OCTOBER, cost="2", cost_center="retail"))  # past the door
    apply_batches(now=NOW)
    (difference,) = reconcile_rollups(tenant_id=acme.id, now=NOW).month_differences
    assert difference.kept == totals.by_cost_center["retail"]
    assert str(difference) == (
        "closed month 2026-10 cost_center='retail': entries is 2 in the ledger, was 1 at the close, "
        "calls is 2 in the ledger, was 1 at the close, "
        "billed_cost is 2.004750000000 in the ledger, was 0.004750000000 at the close, "
        "list_cost is 2.004750000000 in the ledger, was 0.004750000000 at the close"
    )


def test_a_cost_centre_that_was_not_there_at_the_close_is_a_difference_too(acme):
    close(acme)
    book_entries(acme, make_entry(time=IN_OCTOBER, cost=None, cost_center="new"))
    (difference,) = compare_closed_periods(tenant_id=acme.id)
    assert (difference.cost_center, difference.ledger, difference.kept) == (
        "new", replace(MonthSums(), entries=1, calls=1, unpriced_calls=1), MonthSums(),
    )  # fmt: skip


def test_months_that_are_charged_or_were_touched_are_listed(acme):
    book(acme, time=NOW)
    apply_batches(now=NOW)
    take(review_month, acme, period=SEPTEMBER)
    assert [(month.period, month.state) for month in list_months(tenant_id=acme.id)] == [
        (SEPTEMBER, "in_review"), (NOVEMBER, "open"),
    ]  # fmt: skip


def test_globex_sees_nothing_of_acmes_months(acme):
    close(acme)
    globex = make_tenant("globex")
    assert list_months(tenant_id=globex.id) == [] == list_month_steps(tenant_id=globex.id)
