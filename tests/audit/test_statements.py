"""A month's statement: what its lines are, and that it is the rows, the rollups and the pages to the last digit."""

from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.http import QueryDict

from audit.core.statement import link_rows
from audit.recomputing import recompute_statement
from audit.statements import get_statement
from billing.rollups import apply_batches
from billing.selectors import CostQuery, get_costs
from dashboards.entries import read_entry_query
from ledger.append import append_batches
from ledger.selectors import list_entries
from tenants.scope import tenant_scope
from tests.audit.months import NOW, OCTOBER, book, book_october, publish, write_rate
from tests.billing.ledger_rows import book_entries, make_batch, make_entry
from tests.factories import make_event, make_tenant
from tests.rows import read

pytestmark = pytest.mark.usefixtures("fresh_rate_book")


@pytest.fixture
def acme(db):
    tenant = make_tenant("acme")
    book_october(tenant)
    return tenant


def list_lines(statement, *, model, section="usage"):
    """(meter, quantity, price, per, rows, exact amount) of a model's lines, as they stand."""
    return [
        (
            line.meter,
            f"{line.quantity:f}",
            None if line.price is None else f"{line.price:f}",
            line.per,
            line.rows,
            f"{line.amount:f}",
        )
        for line in statement.lines
        if (line.model, line.section, line.feature) in ((model, section, "summarizer"), (model, section, ""))
    ]


def test_a_price_that_changed_within_the_month_gives_a_line_for_each(acme):
    # 3 pairs of calls until 15 October and 2 pairs after it, of 200 input, 1,000 cached and 300 output tokens each;
    # one pair of the first three writes 100 tokens to the cache besides, and one was answered by a cache of responses.
    assert list_lines(get_statement(tenant=acme, period=OCTOBER, now=NOW), model="plain") == [
        ("input", "1000", "2.5", 1_000_000, 6, "0.002500000000"),
        ("input", "800", "2", 1_000_000, 4, "0.001600000000"),
        ("cache_read", "6000", "1.25", 1_000_000, 6, "0.007500000000"),
        ("cache_read", "4000", "1", 1_000_000, 4, "0.004000000000"),
        ("cache_write", "200", "3.125", 1_000_000, 2, "0.000625000000"),
        ("output", "1800", "10", 1_000_000, 6, "0.018000000000"),
        ("output", "1200", "8", 1_000_000, 4, "0.009600000000"),
        ("input", "400", "0", 1_000_000, 2, "0.000000000000"),
        ("cache_read", "2000", "0", 1_000_000, 2, "0.000000000000"),
        ("output", "600", "0", 1_000_000, 2, "0.000000000000"),
    ]


def test_each_way_of_charging_has_its_quantity_and_its_price(acme):
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    assert list_lines(statement, model="thinker") == [
        ("input", "800", "1", 1_000_000, 2, "0.000800000000"),
        ("output", "100", "4", 1_000_000, 2, "0.000400000000"),
        ("reasoning", "300", "6", 1_000_000, 2, "0.001800000000"),
    ]
    # Above 1,000 the whole request has the tier's price, or the part above it alone.
    assert [line[1:3] for line in list_lines(statement, model="tiered")][:2] == [("1000", "1"), ("3000", "2")]
    assert sorted(line[1:3] for line in list_lines(statement, model="marginal") if line[0] == "input") == [
        ("1000", "2"), ("2000", "1"), ("666", "1"),
    ]  # fmt: skip
    # Two calls of 3.7 s are charged 10 s each, two of 12.25 s as they are: 44.5 s at 0.04 an hour.
    assert list_lines(statement, model="ear") == [("audio_second", "44.50", "0.04", 3600, 4, "0.000494444444")]
    # 2 × (1.1 + 7) s at 1 an hour; one request a call, three where the event says so, none of one that failed at once.
    assert list_lines(statement, model="gpu") == [
        ("gpu_second", "16.2", "1", 3600, 4, "0.004500000000"),
        ("request", "8", "0.001", 1, 4, "0.008000000000"),
    ]
    assert list_lines(statement, model="router") == [("reported_cost", "2", None, 1, 2, "0.002460000000")]


def test_rounding_row_by_row_stands_on_a_line_of_its_own(db):
    tenant = make_tenant("acme")
    publish(write_rate("third", {"gpu_second": {"price": "1", "per": 3}}))
    event = {
        "provider": "mill",
        "model": "third",
        "usage": {"gpu_seconds": 1},
        "time": datetime(2026, 10, 5, tzinfo=UTC),
    }
    book(tenant, [make_event(**event) for _ in range(4)])
    statement = get_statement(tenant=tenant, period=OCTOBER, now=NOW)
    # Four rows of 0.333333333333 make 1.333333333332, and 4 s × 1 / 3 is 1.333333333333.
    assert [(line.meter, f"{line.amount:f}") for line in statement.lines] == [
        ("gpu_second", "1.333333333333"),
        ("remainder", "-0.000000000001"),
    ]
    assert f"{statement.amount:f}" == "1.333333333332"
    assert statement.lines[1].note == "each row rounded at 12 decimals"


def test_rows_that_their_price_list_does_not_explain_are_named(db):
    tenant = make_tenant("acme")
    book_entries(tenant, make_entry(time=datetime(2026, 10, 5, tzinfo=UTC), cost="0.5"))
    (tokens, generated, rest) = get_statement(tenant=tenant, period=OCTOBER, now=NOW).lines
    assert [tokens.amount, generated.amount, rest.amount] == [0, 0, Decimal("0.5")]
    assert rest.note == "the rows differ from their price list"


def test_corrections_and_fees_are_lines_of_their_own_with_the_reason(acme):
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    assert {line.note for line in statement.lines if line.model == "unheard-of" and line.section == "correction"} == {
        "the price of unheard-of came late"
    }
    # 2 × 1,000 and 2 × 3,000 input tokens at 1 and 2 are taken back, and 4,000 stated anew at 0.5.
    assert list_lines(statement, model="tiered", section="correction")[:3] == [
        ("input", "-1000", "1", 1_000_000, 2, "-0.001000000000"),
        ("input", "-3000", "2", 1_000_000, 2, "-0.006000000000"),
        ("input", "4000", "0.5", 1_000_000, 4, "0.002000000000"),
    ]
    assert list_lines(statement, model="cluster", section="fee") == [("days", "3", "240", 1, 3, "720.000000000000")]
    # 1,800 tokens, 800 of them above the tier's 1,000 at 8 in place of 10 a million.
    assert list_lines(statement, model="ladder", section="fee") == [("output", "1", None, 1, 1, "-0.001600000000")]


def test_what_has_no_price_is_listed_and_not_charged(acme):
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    unpriced = [line for line in statement.lines if line.section == "unpriced"]
    assert {(line.model, line.meter, line.quantity, line.amount, line.shown) for line in unpriced} == {
        ("batcher", "input", 800, None, None),
        ("batcher", "output", 400, None, None),
        ("unheard-of", "input", 0, None, None),  # priced since
        ("unheard-of", "output", 0, None, None),
    }
    assert (statement.unpriced_calls, statement.calls, statement.priced_calls) == (2, 56, 54)


def test_the_costs_are_told_apart(acme):
    (line,) = [
        line
        for line in get_statement(tenant=acme, period=OCTOBER, now=NOW).lines
        if line.model == "agreed" and line.meter == "input"
    ]
    # 800 tokens at 2 a million, where the list says 2.5.
    amounts = (line.list_amount, line.contracted_amount, line.effective_amount, line.amount)
    assert [f"{amount:f}" for amount in amounts] == ["0.002000000000", *["0.001600000000"] * 3]


def test_the_month_is_that_of_utc_to_the_microsecond(acme):
    september = get_statement(tenant=acme, period=date(2026, 9, 1), now=NOW)
    november = get_statement(tenant=acme, period=date(2026, 11, 1), now=NOW)
    assert (september.calls, november.calls) == (1, 1)
    assert (september.is_over, november.is_over) == (True, False)


def test_figures_are_rounded_once_and_the_rounding_is_stated(acme):
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    controls = {control.name: control for control in statement.list_controls()}
    assert statement.charged == Decimal("720.28")
    assert controls["Lines, as shown"].amount + controls["Rounding of the lines shown"].amount == Decimal("720.28")
    assert controls["Ledger rows, exact"].amount + controls["Rounding of the total, shown and not charged"].amount == (
        Decimal("720.28")
    )
    assert sum(line.amount for line in statement.lines if line.amount is not None) == statement.amount
    assert sum(group.rows for group in statement.groups) == statement.rows == controls["Ledger rows, exact"].count


def test_recomputing_shows_no_difference_before_and_after_the_rollups_are_made(acme):
    for _ in range(2):
        found = recompute_statement(tenant=acme, period=OCTOBER, now=NOW)
        assert [check for check in found.checks if check.difference] == []
        assert (found.agrees, found.differing, found.difference) == (True, (), 0)
        assert found.groups == 18  # 12 models of one feature, 3 features with one, and 3 models without a feature
        apply_batches(now=NOW)


def test_recomputing_names_the_group_that_a_rollup_has_wrong(acme):
    apply_batches(now=NOW)
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute("UPDATE cost_day SET billed_cost = billed_cost + 1 WHERE model = 'gpu' AND day = '2026-10-05'")
    found = recompute_statement(tenant=acme, period=OCTOBER, now=NOW)
    assert found.differing == (("summarizer", "mill", "gpu"),)
    assert (found.agrees, found.difference) == (False, 1)


def test_a_month_with_nothing_has_an_empty_statement(db):
    tenant = make_tenant("acme")
    statement = get_statement(tenant=tenant, period=OCTOBER, now=NOW)
    assert (statement.lines, statement.rows, statement.charged, statement.booked_until) == ((), 0, 0, None)
    assert statement.priced_share is None
    assert recompute_statement(tenant=tenant, period=OCTOBER, now=NOW).agrees


def test_another_tenant_sees_nothing_of_it(acme):
    globex = make_tenant("globex")
    assert get_statement(tenant=globex, period=OCTOBER, now=NOW).lines == ()


def test_administrative_acts_cost_nothing_and_are_counted(db):
    tenant = make_tenant("acme")
    act = make_entry(time=datetime(2026, 10, 5, tzinfo=UTC), cost="0", kind="admin_act", calls=0)
    with tenant_scope(tenant.id):
        append_batches(tenant_id=tenant.id, batches=[make_batch(act)], topics=())
    statement = get_statement(tenant=tenant, period=OCTOBER, now=NOW)
    assert (statement.acts, statement.rows, statement.lines) == (1, 0, ())


def list_rows_of(tenant, filters):
    query = QueryDict(urlencode([("environment", "all"), *filters]))
    asked = read_entry_query(query, timezone="UTC", today=NOW.date())
    return list_entries(tenant_id=tenant.id, filters=asked.filters, limit=1000).entries


def test_every_figure_leads_to_the_rows_beneath_it(acme):
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    for line in statement.lines:
        if line.meter in ("request", "no_usage", "remainder") or line.model in ("marginal",):
            continue  # a call is a request without saying so; of a marginal list's parts each row has several
        rows = list_rows_of(acme, link_rows(OCTOBER, line=line))
        assert len(rows) == line.rows, line
    for group in statement.groups:
        rows = list_rows_of(acme, link_rows(OCTOBER, group=group))
        assert len(rows) == group.rows, group
        assert sum(row["billed_cost"] or 0 for row in rows) == (group.amount or 0)
    assert len(list_rows_of(acme, link_rows(OCTOBER))) == statement.rows


def test_the_total_is_that_of_explore_of_the_api_and_of_sql(acme):
    start, end = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    statement = get_statement(tenant=acme, period=OCTOBER, now=NOW)
    rows = read(acme, "SELECT sum(billed_cost), sum(list_cost), sum(saved_cost) FROM ledger_entry"
                      " WHERE billing_period = '2026-10-01'")  # fmt: skip
    for _ in range(2):
        totals = get_costs(CostQuery(acme.id, start, end, "total")).totals
        assert rows == [(totals.billed_cost, totals.list_cost, totals.saved_cost)]
        assert rows == [(statement.amount, statement.list_amount, statement.saved_amount)]
        assert (totals.calls, totals.unpriced_calls) == (statement.calls, statement.unpriced_calls)
        apply_batches(now=NOW)
