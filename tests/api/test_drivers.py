"""/v1/drivers: what is kept, what is refused with every problem at once, and what comes back."""

import json

import pytest

from tests.api.conftest import Machine
from tests.factories import make_key, make_tenant

pytestmark = pytest.mark.django_db
ORDERS = {"name": "orders", "day": "2026-11-03", "quantity": 1250}
NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}


def post(machine, body, content_type="application/json"):
    return machine.post("/v1/drivers", body if isinstance(body, str) else json.dumps(body), content_type)


def list_kept(machine, **query):
    answer = machine.get("/v1/drivers", NOVEMBER | query)
    assert answer.status_code == 200, answer.content
    return [(each["name"], each["day"], each["quantity"]) for each in answer.json()["drivers"]]


def test_a_value_or_a_list_is_kept_once_and_the_newest_counts(machine):
    assert post(machine, ORDERS).json() == {"kept": 1, "unchanged": 0}
    seats = {"name": "seats", "day": "2026-11-03", "quantity": "12.5"}
    assert post(machine, [ORDERS, seats]).json() == {"kept": 1, "unchanged": 1}
    corrected = "\n".join(json.dumps(ORDERS | {"quantity": quantity, "day": day}) for quantity, day in (
        (1251.0, "2026-11-03"), (0, "2026-11-04")))  # fmt: skip
    assert post(machine, corrected, "application/x-ndjson").json() == {"kept": 2, "unchanged": 0}
    assert list_kept(machine) == [
        ("orders", "2026-11-03", "1251"), ("orders", "2026-11-04", "0"), ("seats", "2026-11-03", "12.5"),
    ]  # fmt: skip
    assert list_kept(machine, name="seats") == [("seats", "2026-11-03", "12.5")]
    kept = machine.get("/v1/drivers", NOVEMBER).json()["drivers"][0]
    assert kept["kept_by"].startswith("key ") and kept["kept_at"].endswith("Z")


def test_everything_wrong_is_told_at_once_with_field_and_cure_and_nothing_is_kept(machine):
    answer = post(
        machine,
        [
            ORDERS,
            {"name": "", "day": "3 Nov", "quantity": -1},
            ORDERS,
            {"nmae": "orders", "day": 20261103, "quantity": True},
            7,
            {"name": "orders", "day": "2026-11-05", "quantity": 1e300},
        ],
    )
    assert answer.status_code == 422
    document = answer.json()
    assert document["code"] == "driver_invalid"
    found = [(problem["field"], problem["code"]) for problem in document["problems"]]
    assert found == [
        ("[1].name", "invalid_value"), ("[1].day", "invalid_value"), ("[1].quantity", "invalid_value"),
        ("[2]", "duplicate_item"), ("[3].nmae", "unknown_field"), ("[3].name", "missing_field"),
        ("[3].day", "wrong_type"), ("[3].quantity", "wrong_type"), ("[4]", "wrong_type"),
        ("[5].quantity", "invalid_value"),
    ]  # fmt: skip
    assert "write it as 2026-11-03" in document["problems"][1]["detail"]
    assert list_kept(machine) == []


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        ("", "application/json", "body_empty"),
        ("[]", "application/json", "body_empty"),
        ("{", "application/json", "body_malformed"),
        ("name,day,quantity", "text/csv", "content_type_unknown"),
        (json.dumps(ORDERS), "application/cloudevents+json", "content_type_unknown"),
        ('{"name": "a", "name": "b", "day": "2026-11-03", "quantity": 1}', "application/json", "driver_invalid"),
        ('{"name": "a", "day": "2026-11-03", "quantity": NaN}', "application/json", "driver_invalid"),
    ],
)
def test_a_body_that_is_none_is_refused_by_its_code(machine, body, content_type, code):
    answer = post(machine, body, content_type)
    assert answer.json()["code"] == code, answer.content


def test_a_driver_too_many_is_refused(machine):
    answer = post(machine, [ORDERS | {"name": f"driver {number}"} for number in range(51)])
    assert (answer.status_code, answer.json()["code"]) == (409, "driver_refused")
    assert list_kept(machine) == []


def test_days_are_asked_for_strictly(machine):
    assert machine.get("/v1/drivers").json()["code"] == "query_invalid"
    for wrong in ({"to": "2026-10-01"}, {"to": "2029-01-01"}, {"from": "yesterday"}, {"nmae": "orders"}):
        assert machine.get("/v1/drivers", NOVEMBER | wrong).json()["code"] == "query_invalid", wrong


def test_a_key_reads_or_writes_as_its_scopes_say_and_of_its_own_tenant_alone(machine, acme):
    post(machine, ORDERS)
    reader, writer = Machine(make_key(acme, "read")), Machine(make_key(acme, "ingest"))
    assert list_kept(reader) and post(reader, ORDERS).status_code == 403
    assert post(writer, ORDERS).status_code == 200 and writer.get("/v1/drivers", NOVEMBER).status_code == 403
    assert list_kept(Machine(make_key(make_tenant("globex"), "read"))) == []
