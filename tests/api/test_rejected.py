"""What could not be booked is kept whole, and can be corrected and booked after all."""

import json

import pytest
from django.test import Client

from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def key():
    publish_test_rates()
    return make_key(make_tenant("acme"), "ingest,read")


def call(method, path, key, body=None):
    data = b"" if body is None else json.dumps(body).encode()
    return Client().generic(method, path, data, content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {key}")


def reject(key, **change):
    event = make_wire_event(**change)
    assert call("POST", "/v1/events", key, event).status_code == 207
    [rejected] = call("GET", "/v1/rejected", key).json()["rejected"]
    return event, rejected


def test_a_rejected_event_is_listed_as_it_was_sent_with_the_reason(key):
    event, rejected = reject(key, usage={"input_tokens": 100, "cache_read_tokens": 900})
    assert json.loads(rejected["body"]) == event
    assert (rejected["code"], rejected["detail"]) == (
        "usage_inconsistent", "cache_read_tokens 900 exceed input_tokens 100",
    )  # fmt: skip
    assert rejected["replayed_at"] is None


def test_a_corrected_event_is_booked_once_however_often_it_is_replayed(key):
    event, rejected = reject(key, usage={"input_tokens": 100, "cache_read_tokens": 900})
    path = f"/v1/rejected/{rejected['id']}/replay"
    assert call("POST", path, key).json()["code"] == "event_invalid"
    corrected = event | {"usage": {"input_tokens": 900, "cache_read_tokens": 100}}
    first = call("POST", path, key, corrected)
    assert (first.status_code, first.json()["status"]) == (200, "accepted")
    again = call("POST", path, key, corrected).json()
    assert (again["status"], again["entry_id"]) == ("duplicate", first.json()["entry_id"])
    assert call("GET", "/v1/rejected", key).json()["rejected"][0]["replayed_at"]


def test_another_tenants_rejected_event_is_not_there(key):
    _, rejected = reject(key, status="fine")
    globex = make_key(make_tenant("globex"), "ingest,read")
    assert call("GET", "/v1/rejected", globex).json() == {"rejected": [], "next": None}
    answer = call("POST", f"/v1/rejected/{rejected['id']}/replay", globex, make_wire_event())
    assert (answer.status_code, answer.json()["code"]) == (404, "rejected_unknown")


def test_pages_follow_one_another_without_gaps(key):
    for _ in range(5):
        call("POST", "/v1/events", key, make_wire_event(status="fine"))
    seen, cursor = [], ""
    while cursor is not None:
        page = call("GET", f"/v1/rejected?limit=2{cursor and '&cursor='}{cursor}", key).json()
        seen += [event["id"] for event in page["rejected"]]
        cursor = page["next"]
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)
