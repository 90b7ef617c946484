"""GET /v1/audit/bundle, /v1/audit/entries, /v1/audit/verifier: a month's evidence, or why there is none."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client

from audit import exports
from audit.export_jobs import work_exports
from billing.rates import forget_rate_book
from tests.audit.months import book_october
from tests.audit.verifying import VERIFIER, find_faults
from tests.factories import make_key, make_tenant, name_maker
from tests.ledger.sealing import book_batches, seal

BUNDLE, ENTRIES = "/v1/audit/bundle", "/v1/audit/entries"


@pytest.fixture(autouse=True)
def no_remembered_rate_book():
    forget_rate_book()
    yield
    forget_rate_book()


@pytest.fixture
def acme(committed_db):
    tenant = make_tenant("acme")
    book_october(tenant, provider=name_maker(tenant))
    seal(at_once=True)
    return tenant


def get(path, tenant, **headers):
    key = make_key(tenant, "audit")
    return Client(raise_request_exception=False).get(path, HTTP_AUTHORIZATION=f"Bearer {key}", **headers)


def test_a_months_archive_is_a_file_that_is_verified_and_taken_up_again(acme, tmp_path):
    answer = get(f"{BUNDLE}?period=2026-10", acme)
    data = answer.getvalue()
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/zip"
    assert answer["Content-Disposition"] == f'attachment; filename="evidence-{acme.slug}-2026-10.zip"'
    assert answer["ETag"] == f'"{hashlib.sha256(data).hexdigest()}"'
    assert find_faults(tmp_path, data) == []
    rest = get(f"{BUNDLE}?period=2026-10", acme, HTTP_RANGE="bytes=100-", HTTP_IF_RANGE=answer["ETag"])
    assert (rest.status_code, rest.getvalue()) == (206, data[100:])
    assert get(f"{BUNDLE}?period=2026-10", acme, HTTP_IF_NONE_MATCH=answer["ETag"]).status_code == 304


def test_the_archive_is_made_anew_when_its_file_is_gone_and_is_the_same(acme):
    first = get(f"{BUNDLE}?period=2026-10", acme).getvalue()
    assert exports.forget_old_files(now=datetime.now(UTC).timestamp() + 7 * 3600) >= 1
    assert get(f"{BUNDLE}?period=2026-10", acme).getvalue() == first


def test_every_row_comes_with_its_leaf_byte_for_byte(acme):
    answer = get(f"{ENTRIES}?period=2026-10", acme)
    lines = answer.getvalue().splitlines()
    for line in lines:
        told = json.loads(line)
        row = line[len('{"leaf":"') + 64 + len('","row":') : -1]
        assert json.loads(row) == told["row"]
        assert hashlib.sha256(b"\0" + row).hexdigest() == told["leaf"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant_id', %s, false)", [str(acme.id)])
        cursor.execute(
            "SELECT encode(leaf, 'hex') FROM ledger_entry WHERE tenant_id = %s AND billing_period = '2026-10-01'",
            [acme.id],
        )
        stored = {leaf for (leaf,) in cursor.fetchall()}
        cursor.execute("SELECT set_config('app.tenant_id', '', false)")
    assert len(lines) == len(stored) >= 60
    assert {json.loads(line)["leaf"] for line in lines} == stored


@pytest.mark.parametrize("path", [BUNDLE, ENTRIES])
def test_a_month_that_has_not_begun_or_is_none_is_refused_in_words(committed_db, path):
    acme = make_tenant("acme")
    for period, words in (("2199-01", "the period 2199-01 has not begun"), ("October", "a period is a calendar month")):
        answer = get(f"{path}?period={period}", acme)
        assert (answer.status_code, answer.json()["code"]) == (422, "query_invalid")
        assert words in answer.json()["detail"]
    assert get(path, acme).json()["code"] == "query_invalid"


@pytest.mark.parametrize("path", [BUNDLE, ENTRIES])
def test_a_month_with_nothing_has_no_archive(acme, path):
    globex = make_tenant("globex")
    for tenant, period in ((acme, "2026-05"), (globex, "2026-10")):
        answer = get(f"{path}?period={period}", tenant)
        assert (answer.status_code, answer.json()["code"]) == (404, "period_empty")
        assert answer.json()["detail"] == f"Nothing is charged in {period}."


@pytest.mark.parametrize("path", [BUNDLE, ENTRIES])
def test_a_month_that_is_not_sealed_says_how_many_batches_wait(committed_db, path):
    acme = make_tenant("acme")
    book_batches(acme.id, 3)
    answer = get(f"{path}?period={datetime.now(UTC):%Y-%m}", acme)
    assert (answer.status_code, answer.json()["code"], answer.json()["waiting"]) == (409, "period_unsealed", 3)
    assert "3 of the 3 batches" in answer.json()["detail"]


def test_a_key_without_the_scope_gets_nothing(committed_db):
    key = make_key(make_tenant("acme"), "ingest,read")
    for path in (BUNDLE, ENTRIES):
        answer = Client().get(f"{path}?period=2026-10", HTTP_AUTHORIZATION=f"Bearer {key}")
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_anybody_may_have_the_verifier():
    answer = Client().get("/v1/audit/verifier")
    assert answer.getvalue() == VERIFIER.read_bytes()
    assert answer["Content-Type"] == "text/x-python; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="verify_tokenledger.py"'


def test_a_client_that_hangs_or_goes_away_holds_no_transaction(acme, monkeypatch, reader):
    monkeypatch.setattr("audit.entries.PIECE_BYTES", 1)
    answer = get(f"{ENTRIES}?period=2026-10", acme)
    pieces = iter(answer)
    assert next(pieces)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    state = reader.execute("SELECT state, xact_start FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    assert not connection.in_atomic_block
    assert state in ((None, None), ("idle", None))
    answer.close()
    assert list(pieces) == []


def post(path, tenant):
    key = make_key(tenant, "audit")
    return Client(raise_request_exception=False).post(path, HTTP_AUTHORIZATION=f"Bearer {key}")


def test_a_long_months_file_is_asked_for_told_and_taken_in_parts_until_it_expires(acme):
    answer = post("/v1/audit/exports?period=2026-10&file=rows", acme)
    asked = answer.json()
    assert (answer.status_code, answer["Location"]) == (202, "/v1/audit/exports/2026-10-rows")
    assert (asked["id"], asked["state"], asked["entries_expected"], asked["download"]) == (
        "2026-10-rows", "waiting", None, None
    )  # fmt: skip
    early = get(f"{asked['href']}/file", acme)
    assert (early.status_code, early.json()["code"]) == (409, "export_unmade")
    work_exports(clock=lambda: datetime.now(UTC))
    told = get(asked["href"], acme).json()
    assert (told["state"], told["entries"]) == ("done", told["entries_expected"])
    link = told["download"]
    whole = get(link["href"], acme).getvalue()
    assert (len(whole), hashlib.sha256(whole).hexdigest()) == (link["bytes"], link["sha256"])
    assert link["name"] == f"rows-{acme.slug}-2026-10.csv"
    rest = get(link["href"], acme, HTTP_RANGE="bytes=1000-")
    assert (rest.status_code, rest.getvalue()) == (206, whole[1000:])
    exports.forget_old_files(now=datetime.now(UTC).timestamp() + 7 * 3600)
    assert get(asked["href"], acme).json()["state"] == "expired"
    assert "made again" in get(link["href"], acme).json()["detail"]


def test_a_job_is_its_tenants_and_one_that_failed_says_why(acme):
    post("/v1/audit/exports?period=2026-10", acme)
    globex = make_tenant("globex")
    for export_id in ("2026-10-bundle", "2026-10-rows", "2026-13-rows", "bundle", "2026-10-receipts"):
        assert get(f"/v1/audit/exports/{export_id}", globex).json()["code"] == "job_unknown"
    post("/v1/audit/exports?period=2026-10", globex)
    work_exports(clock=lambda: datetime.now(UTC))
    told = get("/v1/audit/exports/2026-10-bundle", globex).json()
    assert (told["state"], told["error"]) == ("failed", "nothing is charged in 2026-10")
    assert get("/v1/audit/exports/2026-10-bundle", acme).json()["state"] == "done"
    assert post("/v1/audit/exports?period=2999-01", acme).json()["code"] == "query_invalid"
