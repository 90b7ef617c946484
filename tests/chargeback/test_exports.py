"""Days as files: whole or not there, the same bytes twice, and together what the statement and SQL say."""

import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow.parquet as pq
import pytest
from django.db import connection, connections
from psycopg.sql import SQL

from audit.core.focus import COLUMNS, write_field
from audit.core.focus_check import check_focus
from audit.statements import get_statement, name_day
from chargeback.core.export_targets import TargetRefused, read_terms
from chargeback.core.exports import DATASETS, name_file, name_manifest
from chargeback.exports.days import DayBroken, make_day
from chargeback.exports.rows import READ_PAGE_SQL
from chargeback.exports.runs import claim_day, export_due, queue_days
from chargeback.exports.standing import RunUnknown, list_runs, run_again, sum_runs
from chargeback.exports.targets import TargetUnknown, add_target, get_target, try_target
from chargeback.models import ExportTarget
from tenants.scope import tenant_scope
from tests.audit.months import NOW, OCTOBER, book, book_october, publish, write_rate
from tests.factories import make_event, make_tenant, name_maker

DAY = date(2026, 11, 22)
NOBODYS_BATCH = "019a8f00-0000-7000-8000-000000000001"
SETTLED = datetime(2026, 11, 23, 0, 15, tzinfo=UTC)
METERS = {"input": "2.5", "cache_read": "1.25", "cache_write": "3.125", "output": "10"}
# 200 × 2.50 + 1,000 × 1.25 + 300 × 10.00 USD a million = 0.00475.
USAGE = {"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300}


@pytest.fixture
def root(tmp_path, settings):
    settings.EXPORT_ROOT = str(tmp_path / "out")
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def acme(committed_db, root):
    """Two calls booked on 21 November and one on the 22nd, of 0.00475 each. Other tests' targets are put aside."""
    put_aside()
    tenant = make_tenant("acme")
    book_calls(tenant, 21, 21, 22)
    yield tenant
    put_aside()


def put_aside():
    with connections["reader"].cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id FROM export_run")
        tenant_ids = [tenant_id for (tenant_id,) in cursor.fetchall()]
    for tenant_id in tenant_ids:
        with tenant_scope(tenant_id):
            ExportTarget.objects.filter(tenant_id=tenant_id).update(is_enabled=False)


def book_calls(tenant, *days):
    """A call each, used and booked on a day of November; the price list is the tenant's own."""
    provider = name_maker(tenant)
    publish(write_rate("plain", METERS) | {"provider": provider})
    for day in days:
        moment = datetime(2026, 11, day, 12, tzinfo=UTC)
        call = make_event(provider=provider, model="plain", time=moment, usage=USAGE)
        book(tenant, [call], now=moment)


def add_folder(tenant, **fields):
    document = {
        "name": "finance",
        "kind": "folder",
        "place": f"finance/{tenant.id}",
        "first_day": "2026-11-21",
    } | fields
    terms = read_terms(document, kinds=("s3", "folder"), schemes=("https",), today=DAY)
    return add_target(terms, tenant_id=tenant.id, actor="person 1", now=NOW)


def export(now=SETTLED):
    return export_due(clock=lambda: now, seconds=60)


def list_states(tenant, target):
    runs = list_runs(tenant_id=tenant.id, target_id=target.id, now=SETTLED)
    return {run.day.day: (run.state, run.rows, run.last_error) for run in runs}


def read_folder(folder):
    """Every file below it, by name, and its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_settled_day_is_there_with_its_manifest_and_the_next_round_sends_nothing(acme, root):
    target = add_folder(acme)
    assert export() == 2
    found = read_folder(root / "finance" / str(acme.id))
    assert sorted(found) == sorted(
        name for day in (DAY - timedelta(days=1), DAY)
        for name in (*(name_file(acme.slug, each, day) for each in DATASETS), name_manifest(acme.slug, day))
    )  # fmt: skip
    manifest = json.loads(found[name_manifest(acme.slug, DAY - timedelta(days=1))])
    assert manifest["totals"] == [{
        "billing_period": "2026-11", "rows": 2, "calls": 2, "unpriced_rows": 0, "billed_cost": "0.009500000000",
        "list_cost": "0.009500000000",
    }]  # fmt: skip
    for each in manifest["files"]:
        assert hashlib.sha256(found[each["name"]]).hexdigest() == each["sha256"], each["name"]
        assert (len(found[each["name"]]), each["billed_cost"]) == (each["bytes"], "0.009500000000")
    assert list_states(acme, target) == {21: ("sent", 2, ""), 22: ("sent", 1, "")}
    assert export(SETTLED + timedelta(hours=1)) == 0


def test_a_day_is_not_sent_before_it_is_settled(acme):
    target = add_folder(acme)
    assert export(SETTLED - timedelta(minutes=1)) == 1
    assert list_states(acme, target) == {21: ("sent", 2, "")}


def test_days_that_an_outage_missed_are_caught_up_an_empty_one_too(acme, root):
    target = add_folder(acme, first_day="2026-11-18")
    assert export() == 5
    assert [rows for _, rows, _ in list_states(acme, target).values()] == [1, 2, 0, 0, 0]
    empty = root / "finance" / str(acme.id) / name_file(acme.slug, "focus", date(2026, 11, 19))
    assert pq.read_table(empty).num_rows == 0 and pq.read_schema(empty).names == list(COLUMNS)


def test_the_same_day_again_is_the_same_bytes_and_what_was_lost_is_put_again(acme, root):
    target = add_folder(acme)
    export()
    folder = root / "finance" / str(acme.id)
    before = read_folder(folder)
    lost = folder / name_file(acme.slug, "rows", DAY)
    kept = folder / name_file(acme.slug, "focus", DAY)
    stamp = kept.stat().st_mtime_ns
    lost.unlink()
    run_again(tenant_id=acme.id, target_id=target.id, day=DAY, actor="person 1", now=SETTLED)
    assert export() == 1
    assert read_folder(folder) == before
    assert kept.stat().st_mtime_ns == stamp
    with pytest.raises(RunUnknown):
        run_again(tenant_id=acme.id, target_id=target.id, day=DAY + timedelta(days=9), actor="person 1", now=SETTLED)


def test_what_differs_is_told_and_never_overwritten(acme, root):
    target = add_folder(acme)
    export()
    book_calls(acme, 22, 22)  # as if a day's rows could change
    folder = root / "finance" / str(acme.id)
    before = read_folder(folder)
    run_again(tenant_id=acme.id, target_id=target.id, day=DAY, actor="person 1", now=SETTLED)
    export()
    state, _, error = list_states(acme, target)[22]
    assert (state, error) == (
        "changed", "the day's rows are others than those that were sent: nothing was overwritten",
    )  # fmt: skip
    assert read_folder(folder) == before


def test_a_file_that_somebody_else_put_there_stays_and_no_manifest_comes(acme, root):
    target = add_folder(acme)
    path = root / "finance" / str(acme.id) / name_file(acme.slug, "focus", DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not ours")
    export()
    assert list_states(acme, target)[22][0] == "changed"
    assert path.read_bytes() == b"not ours"
    assert not (root / "finance" / str(acme.id) / name_manifest(acme.slug, DAY)).exists()


def test_a_day_has_one_worker_and_one_that_was_killed_gives_it_back_after_its_lease(acme):
    add_folder(acme, first_day="2026-11-22")
    queue_days(tenant_id=acme.id, now=SETTLED)
    first = claim_day(tenant_id=acme.id, now=SETTLED, without=set())
    assert (first.day, first.number) == (DAY, 1)
    assert claim_day(tenant_id=acme.id, now=SETTLED, without=set()) is None
    late = SETTLED + timedelta(minutes=10)
    assert claim_day(tenant_id=acme.id, now=late, without=set()).number == 2


def test_a_place_that_fails_is_tried_again_ever_later_until_the_day_is_given_up(acme, root, settings):
    target = add_folder(acme, first_day="2026-11-22")
    root.rmdir()
    now, waits = SETTLED, []
    for _ in range(9):
        assert export(now) == 1
        (run,) = list_runs(tenant_id=acme.id, target_id=target.id, now=now)[-1:]
        waits.append(round((run.due_at - now) / timedelta(minutes=1)))
        now = max(run.due_at, now)
    assert waits[:8] == [1, 5, 15, 60, 180, 360, 720, 1440]
    last = list_runs(tenant_id=acme.id, target_id=target.id, now=now)[-1]
    words = "the operator's root for folders is not there: see EXPORT_ROOT"
    assert (last.day, last.state, last.last_error) == (DAY, "dead", words)
    assert sum_runs(tenant_id=acme.id)[target.id].failing >= 1
    root.mkdir()
    run_again(tenant_id=acme.id, target_id=target.id, day=DAY, actor="person 1", now=now)
    export(now)
    assert list_states(acme, target)[22] == ("sent", 1, "")


def test_a_folder_leads_nowhere_but_below_the_operators_root(acme, root, tmp_path):
    for place in ("../elsewhere", "/etc", "a/../../b", "a//b", ".hidden", ""):
        with pytest.raises(TargetRefused):
            add_folder(acme, place=place)
    (tmp_path / "elsewhere").mkdir()
    (root / "way-out").symlink_to(tmp_path / "elsewhere")
    target = add_folder(acme, place="way-out")
    assert (
        try_target(tenant_id=acme.id, target_id=target.id, clock=lambda: NOW)
        == "the folder leads out of the operator's root"
    )
    export()
    assert {state for state, *_ in list_states(acme, target).values()} == {"waiting"}
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_tenants_days_and_targets_are_its_own(acme, root):
    globex = make_tenant("globex")
    add_folder(globex, place="globex")
    target = add_folder(acme)
    export()
    assert {path.split("/")[0] for path in read_folder(root / "globex")} == {f"tenant={globex.slug}"}
    rows = pq.read_table(root / "globex" / name_file(globex.slug, "rows", DAY))
    assert rows.num_rows == 0
    with pytest.raises(TargetUnknown):
        get_target(tenant_id=globex.id, target_id=target.id)
    with pytest.raises(TargetUnknown):
        run_again(tenant_id=globex.id, target_id=target.id, day=DAY, actor="person 2", now=SETTLED)


def test_targets_terms_are_refused_with_all_that_is_wrong(acme):
    document = {
        "name": "", "kind": "s3", "place": "Bucket", "endpoint": "http://10.0.0.1/path", "first_day": "2026-11-23",
        "access_key_id": "key", "color": "red",
    }  # fmt: skip
    with pytest.raises(TargetRefused) as refused:
        read_terms(document, kinds=("s3",), schemes=("https",), today=DAY)
    assert [(problem.field, problem.code) for problem in refused.value.problems] == [
        ("color", "unknown_field"), ("name", "missing_field"), ("first_day", "out_of_range"), ("place", "wrong_value"),
        ("endpoint", "wrong_value"), ("secret_access_key", "missing_field"),
    ]  # fmt: skip
    with pytest.raises(TargetRefused):
        read_terms({"name": "x", "kind": "folder", "place": "a"}, kinds=("s3",), schemes=("https",), today=DAY)


# --- a month of every kind of row ---


@pytest.mark.usefixtures("fresh_rate_book")
def test_a_months_files_come_to_its_statement_and_to_sql_to_the_last_digit(db, tmp_path):
    tenant = make_tenant("acme")
    book_october(tenant)
    made, again = (make(tenant, DAY, tmp_path / name) for name in ("first", "again"))
    assert made.manifest == again.manifest
    rows, focus = (pq.read_table(path) for _, path in made.files)
    statement = get_statement(tenant=tenant, period=OCTOBER, now=NOW)
    billed = {
        "rows": [row["billed_cost"] for row in rows.to_pylist() if row["billing_period"] == OCTOBER],
        "focus": [row["BilledCost"] for row in focus.to_pylist() if row["BillingPeriodStart"].date() == OCTOBER],
    }
    expected = Decimal("720.282907444444")
    assert sum(filter(None, billed["rows"])) == sum(billed["focus"]) == sum_ledger(tenant) == expected
    assert sum(line.amount or 0 for line in statement.lines) == expected
    assert rows.num_rows == sum(each.rows for each in made.totals)


@pytest.mark.usefixtures("fresh_rate_book")
def test_the_focus_file_of_a_day_breaks_no_rule_and_names_no_invoice(db, tmp_path):
    tenant = make_tenant("acme")
    book_october(tenant)
    table = pq.read_table(make(tenant, DAY, tmp_path / "day").files[1][1])
    rows = [{name: write_field(value) for name, value in row.items()} for row in table.to_pylist()]
    result = check_focus(table.column_names, rows)
    assert result.problems == () and result.rows == len(rows) > 50
    assert {row["InvoiceId"] for row in rows} == {""}


@pytest.mark.usefixtures("fresh_rate_book")
def test_files_that_do_not_come_to_what_is_booked_are_not_sent(db, tmp_path, monkeypatch):
    tenant = make_tenant("acme")
    book_october(tenant)
    monkeypatch.setattr("chargeback.exports.days.read_pages", lambda **named: iter(()))
    with pytest.raises(DayBroken, match="0 rows were read"):
        make(tenant, DAY, tmp_path / "day")


def test_a_page_of_rows_is_read_in_the_order_of_the_key_and_sorts_nothing(db):
    tenant = make_tenant("acme")
    values = {
        "tenant_id": tenant.id, "batch_id": NOBODYS_BATCH, "line": -1, "last_batch_id": NOBODYS_BATCH, "rows": 10_000,
        **name_day(DAY),
    }  # fmt: skip
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(SQL("EXPLAIN ") + READ_PAGE_SQL, values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Index Scan" in plan and "Sort" not in plan


def make(tenant, day, folder):
    folder.mkdir()
    return make_day(tenant=tenant, day=day, folder=folder, keep=lambda: None)


def sum_ledger(tenant):
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(billed_cost) FROM ledger_entry WHERE tenant_id = %s AND billing_period = %s",
            [tenant.id, OCTOBER],
        )
        return cursor.fetchone()[0]
