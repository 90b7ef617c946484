import pytest
from django.test import Client

from tests.factories import make_key, make_tenant

pytestmark = pytest.mark.django_db
WEEKLY = {"cadence": "weekly", "address": "finance@acme.example", "scope": {"cost_center": "retail"}}


@pytest.fixture
def acme():
    return make_tenant("acme")


def call(tenant, method, path="", body=None, *, scopes="read,admin"):
    headers = {"Authorization": f"Bearer {make_key(tenant, scopes)}"}
    data = {"data": body, "content_type": "application/json"} if body is not None else {}
    return getattr(Client(), method)(f"/v1/report-subscriptions{path}", headers=headers, **data)


def test_a_subscription_is_made_once_read_tested_and_ended(acme):
    answer = call(acme, "post", body=WEEKLY)
    assert answer.status_code == 201
    made = answer.json()
    assert {name: made[name] for name in (*WEEKLY, "person", "last_sent", "waits_for")} == {
        **WEEKLY, "person": None, "last_sent": None, "waits_for": [],
    }  # fmt: skip
    assert call(acme, "post", body=WEEKLY).json()["id"] == made["id"]
    assert [one["id"] for one in call(acme, "get").json()["subscriptions"]] == [made["id"]]
    test = call(acme, "post", f"/{made['id']}/test")
    assert (test.status_code, test.json()["state"], test.json()["is_test"]) == (202, "waiting", True)
    assert call(acme, "get", f"/{made['id']}").json()["last_sent"] is None  # a test counts for nothing
    assert call(acme, "delete", f"/{made['id']}").json()["address"] == ""
    assert call(acme, "get", f"/{made['id']}").json()["code"] == "report_subscription_unknown"


def test_what_is_wrong_is_told_all_at_once(acme):
    answer = call(acme, "post", body={"cadence": "daily", "address": "nobody", "scope": {"key": "k"}, "more": 1})
    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["problems"]] == [
        ("more", "unknown_field"), ("cadence", "wrong_value"), ("address", "wrong_value"), ("scope", "wrong_value"),
    ]  # fmt: skip


def test_a_key_that_only_reads_makes_none_and_another_tenants_sees_none(acme):
    assert call(acme, "post", body=WEEKLY, scopes="read").status_code == 403
    number = call(acme, "post", body=WEEKLY).json()["id"]
    globex = make_tenant("globex")
    assert call(globex, "get").json() == {"subscriptions": []}
    assert call(globex, "delete", f"/{number}").status_code == 404
    assert len(call(acme, "get").json()["subscriptions"]) == 1
