"""Bills are kept as they came: the newest word on a day counts, the older ones stay, the ledger stands beside."""

import gzip
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import psycopg
import pytest
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from billing.aliases import add_alias
from billing.core.alias_rules import NewAlias
from billing.rates import forget_rate_book
from chargeback.bill_mappings import find_mapping, keep_mapping, list_mappings
from chargeback.bill_sums import RestatedDay, sum_billed
from chargeback.bill_tolerances import get_tolerance, set_tolerance
from chargeback.bills import BillUnknown, get_bill, import_bill, list_bills, withdraw_bill
from chargeback.core.bills import LayoutUnknown, MappingRefused, read_mapping
from chargeback.core.exchange import FxRate
from chargeback.core.reconciliation import Tolerance
from chargeback.exchange_rates import enter_rates
from chargeback.reconciliation import explain, reconcile, sign_off
from chargeback.true_ups import book_true_up
from chargeback.variance_decisions import ReconciliationRefused, list_decisions, take_back_decision
from ledger.act_lists import ActFilters, list_acts
from ledger.selectors import get_entry
from tenants.scope import tenant_scope
from tests.dashboards.bookings import book, on
from tests.factories import make_tenant, publish_test_rates

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
NOVEMBER = date(2026, 11, 1)
MODEL = "gpt-4o-2024-08-06"


@pytest.fixture
def acme(db):
    """Two calls on 3 November and one on the 4th, of 0.00475 each."""
    publish_test_rates()
    tenant = make_tenant("acme")
    book(tenant, {"time": on(3)}, {"time": on(3, hour=23)}, {"time": on(4)})
    yield tenant
    forget_rate_book()


def write_bill(*lines):
    """OpenAI's export; a line is (day of November, amount, line item)."""
    rows = [
        f'2026-11-{day:02}T00:00:00+00:00,2026-11-{day + 1:02}T00:00:00+00:00,{amount},usd,"{item}"\n'
        for day, amount, item in lines
    ]
    return ("start_time_iso,end_time_iso,amount_value,amount_currency,line_item\n" + "".join(rows)).encode()


def send(tenant, content, filename="costs.csv", **named):
    return import_bill(content, filename=filename, tenant_id=tenant.id, actor="person 7", now=NOW, **named)


def read_sums(tenant):
    found = sum_billed(tenant_id=tenant.id, first=NOVEMBER, after=date(2026, 12, 1))
    return [(each.day.day, each.model, str(each.amount)) for each in found]


def read_rows(tenant):
    rows = reconcile(tenant_id=tenant.id, period=NOVEMBER).comparison.rows
    return [(row.model, row.day.day, str(row.sums.bill), str(row.sums.ledger), row.hint) for row in rows]


def list_names(tenant):
    return [act.name for act in list_acts(tenant_id=tenant.id, filters=ActFilters(), limit=100)]


def test_a_bill_is_kept_with_all_its_digits_and_an_act(acme):
    done = send(acme, write_bill((3, "0.0090000000000000000000000000000001234", f"{MODEL}, input"), (4, "1e-9", MODEL)))
    assert done.is_new and done.restated == ()
    assert (done.bill.format, done.bill.charges, done.bill.first_day.day, done.bill.last_day.day) == (
        "openai_csv", 2, 3, 4,
    )  # fmt: skip
    assert done.bill.totals == {"USD": Decimal("0.0090000010000000000000000000000001234")}
    assert read_sums(acme) == [(3, MODEL, "0.0090000000000000000000000000000001234"), (4, MODEL, "1E-9")]
    assert list_names(acme) == ["bill.imported"]


def test_the_same_file_twice_is_told_and_changes_nothing(acme):
    first = send(acme, write_bill((3, "1", MODEL)))
    again = send(acme, write_bill((3, "1", MODEL)), filename="other name.csv")
    assert (again.is_new, again.bill) == (False, first.bill)
    assert len(list_bills(tenant_id=acme.id)) == 1 and list_names(acme) == ["bill.imported"]


def test_a_newer_file_restates_its_days_and_the_difference_is_told_by_day(acme):
    send(acme, write_bill((3, "1", MODEL), (4, "2", MODEL), (5, "3", MODEL)))
    newer = send(acme, write_bill((4, "2.5", MODEL), (5, "3", MODEL)))
    assert newer.restated == (RestatedDay("openai", "", date(2026, 11, 4), "USD", Decimal(2), Decimal("2.5")),)
    assert newer.restated[0].difference == Decimal("0.5")
    assert get_bill(tenant_id=acme.id, bill_id=newer.bill.id).restated == newer.restated
    assert read_sums(acme) == [(3, MODEL, "1"), (4, MODEL, "2.5"), (5, MODEL, "3")]
    withdraw_bill(tenant_id=acme.id, bill_id=newer.bill.id, actor="person 7", now=NOW)
    assert read_sums(acme) == [(3, MODEL, "1"), (4, MODEL, "2"), (5, MODEL, "3")]
    with pytest.raises(BillUnknown):
        withdraw_bill(tenant_id=acme.id, bill_id=newer.bill.id, actor="person 7", now=NOW)
    assert list_names(acme) == ["bill.withdrawn", "bill.imported", "bill.imported"]
    assert send(acme, write_bill((4, "2.5", MODEL), (5, "3", MODEL))).is_new  # what was withdrawn may come again


def test_a_day_that_a_newer_file_leaves_out_is_restated_to_nothing(acme):
    send(acme, write_bill((3, "1", MODEL), (4, "2", MODEL), (5, "3", MODEL)))
    newer = send(acme, write_bill((3, "1", MODEL), (5, "3", MODEL)))
    assert [(each.day.day, each.before, each.after) for each in newer.restated] == [(4, 2, 0)]
    assert read_sums(acme) == [(3, MODEL, "1"), (5, MODEL, "3")]


def test_a_part_adds_to_its_days_and_restates_none(acme):
    send(acme, write_bill((3, "1", MODEL)))
    part = send(acme, write_bill((3, "0.25", MODEL)), is_part=True)
    assert [(each.before, each.after) for each in part.restated] == [(1, Decimal("1.25"))]
    assert read_sums(acme) == [(3, MODEL, "1.25")]


def test_another_account_s_file_restates_nothing(acme):
    def write(account, amount):
        return (
            "BilledCost,BillingCurrency,ChargePeriodStart,ChargeCategory,ProviderName,BillingAccountId,x_Model\n"
            f"{amount},USD,2026-11-03T00:00:00Z,Usage,OpenAI,{account},{MODEL}\n"
        ).encode()

    send(acme, write("one", 1))
    assert send(acme, write("two", 2)).restated == ()
    assert read_sums(acme) == [(3, MODEL, "3")]
    assert len(send(acme, write("one", 5)).restated) == 1
    assert read_sums(acme) == [(3, MODEL, "7")]


def test_a_packed_file_and_parquet_are_read_like_csv(acme):
    import pyarrow as pa
    import pyarrow.parquet as pq

    assert send(acme, gzip.compress(write_bill((3, "1", MODEL)))).bill.charges == 1
    columns = {
        "BilledCost": pa.array([Decimal("0.000000000001")], pa.decimal128(38, 12)),
        "BillingCurrency": ["USD"],
        "ChargePeriodStart": pa.array([datetime(2026, 11, 4, 5, tzinfo=UTC)], pa.timestamp("us", tz="UTC")),
        "ChargeCategory": ["Usage"],
        "ProviderName": [None],
        "ServiceProviderName": ["OpenAI"],
    }
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    done = send(acme, out.getvalue(), filename="focus.parquet")
    assert (done.bill.format, done.bill.totals) == ("focus", {"USD": Decimal("1E-12")})


GERMAN = b"Datum;Betrag;Modell\n03.11.2026;1.234,50;gpt-5\n"
MAPPING = {
    "columns": {"day": "Datum", "amount": "Betrag", "model": "Modell"},
    "constants": {"provider": "OpenAI", "currency": "USD"},
    "thousands": ".", "decimal": ",", "day_order": "day_month_year",
}  # fmt: skip


def test_a_mapping_is_remembered_by_the_columns_and_for_its_tenant_alone(acme):
    columns = ("Datum", "Betrag", "Modell")
    own = {"tenant_id": acme.id, "actor": "person 7", "now": NOW}
    with pytest.raises(LayoutUnknown):
        send(acme, GERMAN)
    with pytest.raises(MappingRefused):
        keep_mapping(read_mapping(MAPPING), ("Datum", "Betrag"), **own)
    kept = keep_mapping(read_mapping(MAPPING), columns, **own)
    assert keep_mapping(read_mapping(MAPPING), columns, **own) == kept
    assert send(acme, GERMAN).bill.totals == {"USD": Decimal("1234.50")}
    assert find_mapping(("Modell", "Datum", "Betrag"), tenant_id=acme.id).id == kept.id
    globex = make_tenant("globex")
    assert list_mappings(tenant_id=globex.id) == [] and list_bills(tenant_id=globex.id) == []
    with pytest.raises(LayoutUnknown):
        send(globex, GERMAN)
    assert list_names(acme) == ["bill.imported", "bill.mapping_kept"]


def test_a_bill_of_another_tenant_is_none(acme):
    bill = send(acme, write_bill((3, "1", MODEL))).bill
    globex = make_tenant("globex")
    for take in (get_bill, withdraw_bill):
        named = {} if take is get_bill else {"actor": "person 9", "now": NOW}
        with pytest.raises(BillUnknown):
            take(tenant_id=globex.id, bill_id=bill.id, **named)
    assert reconcile(tenant_id=globex.id, period=NOVEMBER).comparison.rows == ()


# --- beside the ledger ---


def test_each_model_and_day_stands_beside_the_ledger_to_the_last_digit(acme):
    send(
        acme, write_bill((3, "0.0095", f"{MODEL}, input"), (4, "2", MODEL), (4, "1.9", "tax"), (5, "7", "gpt-5, input"))
    )
    assert read_rows(acme) == [
        ("", 4, "1.9", "0", ""),
        (MODEL, 3, "0.0095", "0.0095", ""),
        (MODEL, 4, "2", "0.00475", "rate"),
        ("gpt-5", 5, "7", "0", "not_in_ledger"),
    ]
    found = reconcile(tenant_id=acme.id, period=NOVEMBER)
    # 10.9095 on the bill, 0.01425 in the ledger; the tax is explained by itself.
    assert (found.comparison.total.variance, found.comparison.total.unexplained) == (
        Decimal("10.89525"), Decimal("8.99525"),
    )  # fmt: skip
    assert [(group.model, group.is_within) for group in found.comparison.groups] == [
        ("", True), (MODEL, False), ("gpt-5", False),
    ]  # fmt: skip


def test_an_alias_of_the_installation_names_a_bill_s_model_too(acme):
    send(acme, write_bill((3, "0.0095", "our-gpt-4o")))
    assert [row[:2] for row in read_rows(acme)] == [(MODEL, 3), (MODEL, 4), ("our-gpt-4o", 3)]
    add_alias(NewAlias(("openai", "our-gpt-4o"), ("openai", MODEL)), actor="person 7", now=NOW)
    assert [row[:4] for row in read_rows(acme)] == [
        (MODEL, 3, "0.0095", "0.0095"), (MODEL, 4, "0", "0.00475"),
    ]  # fmt: skip


def own_steps(tenant):
    return {"tenant_id": tenant.id, "period": NOVEMBER, "actor": "person 7", "now": NOW}


def test_what_is_explained_stays_so_until_it_is_restated_or_taken_back(acme):
    send(acme, write_bill((3, "3.0095", MODEL), (4, "2.00475", MODEL)))
    named = own_steps(acme) | {"provider": "openai", "model": MODEL}
    part = explain(**named, day=date(2026, 11, 3), reason="rate", comment="old price", amount=Decimal(1))
    rest = explain(**named, reason="not_in_ledger", comment="a notebook without a key")
    assert [(each.rows, each.amount) for each in (part, rest)] == [(1, 1), (2, 4)]
    assert reconcile(tenant_id=acme.id, period=NOVEMBER).comparison.total.unexplained == 0
    with pytest.raises(ReconciliationRefused, match="nothing there is unexplained"):
        explain(**named, reason="other", comment="again")
    take_back_decision(tenant_id=acme.id, decision=part.decision, actor="person 7", now=NOW)
    with pytest.raises(ReconciliationRefused, match="taken back already"):
        take_back_decision(tenant_id=acme.id, decision=part.decision, actor="person 7", now=NOW)
    assert [each.decision for each in list_decisions(tenant_id=acme.id, period=NOVEMBER)] == [rest.decision]
    assert reconcile(tenant_id=acme.id, period=NOVEMBER).comparison.total.unexplained == 1
    send(acme, write_bill((3, "4.0095", MODEL), (4, "2.00475", MODEL)))
    assert reconcile(tenant_id=acme.id, period=NOVEMBER).comparison.total.unexplained == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": "because"}, "reason_unknown"),
        ({"comment": " "}, "comment_missing"),
        ({"model": "o3"}, "row_unknown"),
        ({"amount": Decimal(1)}, "row_unknown"),
    ],
)
def test_a_reason_that_cannot_be_is_refused(acme, changes, code):
    send(acme, write_bill((3, "3", MODEL), (4, "2", MODEL)))
    named = own_steps(acme) | {"provider": "openai", "reason": "rate", "comment": "old price"} | changes
    with pytest.raises(ReconciliationRefused) as caught:
        explain(**named)
    assert caught.value.code == code


def test_a_month_is_signed_once_nothing_beyond_the_tolerance_is_unexplained(acme):
    send(acme, write_bill((3, "3.0095", MODEL), (4, "0.00475", MODEL)))
    with pytest.raises(ReconciliationRefused, match=f"OpenAI {MODEL}: 3 USD is not explained") as caught:
        sign_off(**own_steps(acme), comment="looks right")
    assert caught.value.code == "unexplained"
    with pytest.raises(ReconciliationRefused) as caught:
        sign_off(**own_steps(acme) | {"now": datetime(2026, 11, 30, 23, 59, tzinfo=UTC)}, comment="early")
    assert caught.value.code == "month_running"
    explain(**own_steps(acme), provider="openai", reason="not_in_ledger", comment="a notebook without a key")
    sign_off(**own_steps(acme), comment="looks right")
    found = reconcile(tenant_id=acme.id, period=NOVEMBER)
    assert found.is_signed and (found.sign_off.open_groups, found.sign_off.unexplained) == (0, 0)
    send(acme, write_bill((3, "3.5095", MODEL), (4, "0.00475", MODEL)))
    assert not reconcile(tenant_id=acme.id, period=NOVEMBER).is_signed  # it was restated since
    assert list_names(acme)[1:3] == ["reconciliation.signed", "reconciliation.explained"]


def test_what_is_accepted_is_signed_with_its_reason_and_said_to_be_open(acme):
    send(acme, write_bill((3, "3.0095", MODEL)))
    signed = sign_off(**own_steps(acme), comment="the provider looks into it", accepts_unexplained=True)
    assert (signed.open_groups, signed.unexplained) == (1, Decimal("2.99525"))


def test_a_wider_tolerance_lets_a_month_be_signed_and_is_an_act(acme):
    send(acme, write_bill((3, "3.0095", MODEL), (4, "0.00475", MODEL)))
    tolerance = Tolerance(Decimal(3), Decimal("0.25"))
    own = {"tenant_id": acme.id, "actor": "person 7", "now": NOW}
    assert set_tolerance(tolerance, **own) and not set_tolerance(tolerance, **own)
    assert get_tolerance(tenant_id=acme.id) == tolerance
    assert sign_off(**own_steps(acme), comment="within bounds").open_groups == 0


def test_another_currency_is_told_apart_until_its_rate_is_known(acme):
    keep_mapping(
        read_mapping(MAPPING | {"constants": {"provider": "OpenAI", "currency": "EUR"}}), ("Datum", "Betrag", "Modell"),
        tenant_id=acme.id, actor="person 7", now=NOW,
    )  # fmt: skip
    send(acme, GERMAN)
    found = reconcile(tenant_id=acme.id, period=NOVEMBER)
    assert found.other_currencies == {"EUR": Decimal("1234.50")}
    assert found.blockers == ["1234.5 EUR is billed, and no rate of exchange is known for it"]
    # One USD is 0.8 EUR on the last rate of November: 1,234.50 / 0.8 = 1,543.125.
    rates = [
        FxRate("EUR", date(2026, 11, day), rate, "ECB") for day, rate in ((2, Decimal("0.9")), (27, Decimal("0.8")))
    ]
    enter_rates([*rates, FxRate("EUR", date(2026, 12, 1), Decimal("0.5"))], actor="person 7", now=NOW)
    found = reconcile(tenant_id=acme.id, period=NOVEMBER)
    assert found.other_currencies == {} and found.exchanges["EUR"].day == date(2026, 11, 27)
    assert found.comparison.total.bill == Decimal("1543.125")


def test_a_true_up_books_what_is_unexplained_once_and_the_month_is_even(acme):
    send(acme, write_bill((3, "3.0095000000004", MODEL), (4, "0.00475", MODEL)))
    named = own_steps(acme) | {"provider": "openai", "model": MODEL, "comment": "as billed"}
    entry_id = book_true_up(**named)
    entry = get_entry(tenant_id=acme.id, entry_id=entry_id)
    assert (entry["kind"], entry["billed_cost"], entry["charge_period_start"].date()) == (
        "adjustment", Decimal("3.000000000000"), date(2026, 11, 30),
    )  # fmt: skip
    found = reconcile(tenant_id=acme.id, period=NOVEMBER)
    assert found.comparison.open_groups == () and found.comparison.total.unexplained == Decimal("4E-13")
    with pytest.raises(ReconciliationRefused, match="nothing there is unexplained"):
        book_true_up(**named)
    with pytest.raises(ReconciliationRefused, match="not over"):
        book_true_up(**named | {"now": datetime(2026, 11, 30, 12, tzinfo=UTC)})


@pytest.mark.parametrize("table", ["provider_bill", "bill_charge", "bill_day", "variance_decision", "bill_sign_off"])
def test_nothing_that_was_kept_can_be_changed_or_deleted(acme, table):
    send(acme, write_bill((3, "1", MODEL)))
    column = {"provider_bill": "sha256", "bill_sign_off": "comment"}.get(table, "provider")
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = 'x'"):
        with pytest.raises(ProgrammingError) as caught, transaction.atomic(), tenant_scope(acme.id):
            connection.cursor().execute(statement)
        assert isinstance(caught.value.__cause__, psycopg.errors.InsufficientPrivilege)
