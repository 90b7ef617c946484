"""/v1/bills and /v1/reconciliation: a bill is sent, mapped, restated, explained and signed with a key."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.api.conftest import Machine
from tests.factories import make_event, make_key

pytestmark = pytest.mark.django_db

LAST = datetime.now(UTC).replace(day=1) - timedelta(days=1)  # a day of the last month, which is over
MONTH = f"{LAST:%Y-%m}"
CALL = datetime(LAST.year, LAST.month, 3, 12, tzinfo=UTC)
MODEL = "gpt-4o-2024-08-06"


@pytest.fixture
def admin(acme):
    return Machine(make_key(acme, "admin,read"))


def send(machine, method, path, body=None):
    return machine.client.generic(
        method, path, "" if body is None else json.dumps(body), "application/json", headers=machine.headers
    )


def write_bill(*lines):
    rows = [f'{MONTH}-{day:02}T00:00:00Z,{amount},usd,"{item}"\n' for day, amount, item in lines]
    return "start_time_iso,amount_value,amount_currency,line_item\n" + "".join(rows)


def upload(machine, text, query="filename=costs.csv"):
    return machine.post(f"/v1/bills?{query}", text, content_type="text/csv")


def test_a_bill_is_sent_told_again_and_restated_with_its_differences(admin):
    first = upload(admin, write_bill((3, "1", MODEL), (4, "2e-9", f"{MODEL}, input")))
    assert first.status_code == 201, first.content
    bill = first.json()["bill"]
    assert (bill["filename"], bill["format"], bill["charges"], bill["totals"]) == (
        "costs.csv", "openai_csv", 2, {"USD": "1.000000002"},
    )  # fmt: skip
    again = upload(admin, write_bill((3, "1", MODEL), (4, "2e-9", f"{MODEL}, input")))
    assert (again.status_code, again.json()["is_new"], again.json()["bill"]) == (200, False, bill)
    newer = upload(admin, write_bill((3, "1.5", MODEL), (4, "2e-9", f"{MODEL}, input"))).json()
    assert newer["restated"] == [
        {"provider": "openai", "account": "", "day": f"{MONTH}-03", "currency": "USD", "before": "1", "after": "1.5",
         "difference": "0.5"}
    ]  # fmt: skip
    assert [each["id"] for each in admin.get("/v1/bills").json()["bills"]] == [newer["bill"]["id"], bill["id"]]
    gone = send(admin, "DELETE", f"/v1/bills/{newer['bill']['id']}")
    assert gone.status_code == 200 and gone.json()["withdrawn_by"].startswith("key ")
    assert admin.get(f"/v1/bills/{newer['bill']['id']}").json() == gone.json()
    assert send(admin, "DELETE", f"/v1/bills/{newer['bill']['id']}").json()["code"] == "bill_unknown"


def test_everything_wrong_with_a_bill_is_told_at_once_with_its_lines(admin):
    refused = upload(admin, write_bill((3, "1,5", MODEL), (4, "?", MODEL)).replace("1,5", '"1,5"'))
    assert (refused.status_code, refused.json()["code"], refused.json()["count"]) == (422, "bill_invalid", 2)
    assert [(each["line"], each["field"]) for each in refused.json()["problems"]] == [
        (2, "amount_value"), (3, "amount_value"),
    ]  # fmt: skip
    assert admin.get("/v1/bills").json() == {"bills": []}


def test_a_file_of_one_s_own_is_read_once_its_columns_are_told(admin):
    text = f"when;sum\n{MONTH}-03;1.234,5\n"
    unknown = upload(admin, text)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "bill_layout_unknown")
    assert unknown.json()["columns"] == ["when", "sum"]
    mapping = {
        "columns": {"day": "when", "amount": "sum"}, "constants": {"provider": "OpenAI", "currency": "USD"},
        "thousands": ".", "decimal": ",",
    }  # fmt: skip
    wrong = send(admin, "POST", "/v1/bills/mappings", {"file_columns": ["when", "sum"], "mapping": {"columns": {}}})
    assert wrong.json()["code"] == "bill_mapping_invalid"
    assert [each["field"] for each in wrong.json()["problems"]] == [
        "columns.day", "columns.amount", "constants.provider", "constants.currency",
    ]  # fmt: skip
    kept = send(admin, "POST", "/v1/bills/mappings", {"file_columns": ["when", "sum"], "mapping": mapping})
    assert kept.status_code == 200, kept.content
    assert admin.get("/v1/bills/mappings").json() == {"mappings": [kept.json()]}
    assert upload(admin, text).json()["bill"]["totals"] == {"USD": "1234.5"}


def test_a_month_is_compared_explained_and_signed(acme, admin, book):
    book(acme, make_event(time=CALL), make_event(time=CALL))  # 2 × 0.00475
    upload(admin, write_bill((3, "3.0095", MODEL), (3, "0.19", "tax")))
    month = admin.get(f"/v1/reconciliation?period={MONTH}").json()
    # 3.1995 on the bill, 0.0095 in the ledger, of which 0.19 is tax.
    assert month["total"] == {
        "bill": "3.1995", "ledger": "0.0095", "variance": "3.19", "percent": "99.70", "explained": {"tax": "0.19"},
        "unexplained": "3",
    }  # fmt: skip
    assert [(row["model"], row["variance"], row["hint"]) for row in month["rows"]] == [
        ("", "0.19", ""), (MODEL, "3", "rate"),
    ]  # fmt: skip
    assert sum(Decimal(row["variance"]) for row in month["rows"]) == Decimal(month["total"]["variance"])
    assert month["blockers"] == [f"OpenAI {MODEL}: 3 USD is not explained"]
    sign = {"period": MONTH, "comment": "looks right"}
    refused = send(admin, "POST", "/v1/reconciliation/sign-off", sign)
    assert (refused.status_code, refused.json()["reason"]) == (409, "unexplained")
    reason = {"period": MONTH, "provider": "openai", "reason": "not_in_ledger", "comment": "a notebook"}
    told = send(admin, "POST", "/v1/reconciliation/reasons", reason | {"model": MODEL, "day": f"{MONTH}-03"})
    assert (told.status_code, told.json()["amount"]) == (201, "3")
    signed = send(admin, "POST", "/v1/reconciliation/sign-off", sign)
    assert (signed.status_code, signed.json()["open"]) == (201, 0), signed.content
    after = admin.get(f"/v1/reconciliation?period={MONTH}").json()
    assert after["is_signed"] and after["sign_off"] == signed.json() and after["reasons"] == [told.json()]
    assert send(admin, "DELETE", f"/v1/reconciliation/reasons/{told.json()['decision']}").json()["amount"] == "-3"
    assert not admin.get(f"/v1/reconciliation?period={MONTH}").json()["is_signed"]
    accepted = send(admin, "POST", "/v1/reconciliation/sign-off", sign | {"accept_unexplained": True})
    assert (accepted.json()["open"], accepted.json()["unexplained"]) == (1, "3")


def test_what_nothing_explains_is_booked_and_the_month_is_even(acme, admin, book):
    book(acme, make_event(time=CALL))
    upload(admin, write_bill((3, "3.00475", MODEL)))
    body = {"period": MONTH, "provider": "openai", "model": MODEL, "comment": "as billed", "cost_center": "research"}
    booked = send(admin, "POST", "/v1/reconciliation/true-up", body)
    assert booked.status_code == 201, booked.content
    entry = admin.get(f"/v1/entries/{booked.json()['entry']}").json()["entry"]
    assert (entry["kind"], entry["billed_cost"], entry["cost_center"]) == ("adjustment", "3.000000000000", "research")
    assert admin.get(f"/v1/reconciliation?period={MONTH}").json()["blockers"] == []
    again = send(admin, "POST", "/v1/reconciliation/true-up", body)
    assert (again.status_code, again.json()["reason"]) == (409, "row_unknown")


def test_a_tolerance_is_set_and_told(admin):
    assert admin.get(f"/v1/reconciliation?period={MONTH}").json()["tolerance"] == {"absolute": "1", "percent": "0.5"}
    wider = {"absolute": "5.5", "percent": "2"}
    assert send(admin, "PUT", "/v1/reconciliation/tolerance", wider).json() == wider
    assert admin.get(f"/v1/reconciliation?period={MONTH}").json()["tolerance"] == wider
    wrong = send(admin, "PUT", "/v1/reconciliation/tolerance", {"absolute": 5, "percent": "101"})
    assert [each["field"] for each in wrong.json()["problems"]] == ["absolute", "percent"]


def test_all_that_is_wrong_with_a_reason_is_told_at_once(admin):
    wrong = send(admin, "POST", "/v1/reconciliation/reasons", {"period": "soon", "amount": 3, "day": "x", "who": "me"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "variance_reason_invalid")
    assert sorted(each["field"] for each in wrong.json()["problems"]) == [
        "amount", "comment", "day", "period", "provider", "reason", "who",
    ]  # fmt: skip


def test_reading_needs_read_changing_needs_admin_and_another_tenant_finds_nothing(acme, globex, admin):
    bill_id = upload(admin, write_bill((3, "1", MODEL))).json()["bill"]["id"]
    reader = Machine(make_key(acme, "read"))
    assert reader.get(f"/v1/bills/{bill_id}").status_code == 200
    assert upload(reader, write_bill((3, "2", MODEL))).json()["code"] == "scope_missing"
    assert send(reader, "DELETE", f"/v1/bills/{bill_id}").json()["code"] == "scope_missing"
    for path in ("sign-off", "reasons", "tolerance"):
        method = "PUT" if path == "tolerance" else "POST"
        assert send(reader, method, f"/v1/reconciliation/{path}", {}).json()["code"] == "scope_missing"
    other = Machine(make_key(globex, "admin,read"))
    assert other.get(f"/v1/bills/{bill_id}").json()["code"] == "bill_unknown"
    assert other.get("/v1/bills").json() == {"bills": []}
    assert other.get(f"/v1/reconciliation?period={MONTH}").json()["rows"] == []
