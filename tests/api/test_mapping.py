"""/v1/cost-centers, /v1/mapping-rules and /v1/re-allocations, over HTTP: who is charged, and by which rule."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from billing.reratings import work_job
from tests.api.conftest import Machine
from tests.factories import make_event, make_key

pytestmark = pytest.mark.django_db

GROWTH = {"code": "growth", "name": "Growth", "owner": "Mia Wolf", "gl_account": "6420"}
RULE = {"terms": [{"dimension": "feature", "values": ["Chat"]}], "cost_center": "growth"}
TODAY = datetime.now(UTC).date()
DAYS = {"from": str(TODAY - timedelta(days=5)), "to": str(TODAY + timedelta(days=1))}


@pytest.fixture
def admin(acme):
    return Machine(make_key(acme, "admin,read"))


def send(machine, method, path, body=None):
    return machine.client.generic(
        method, path, "" if body is None else json.dumps(body), "application/json", headers=machine.headers
    )


def list_problems(answer):
    assert answer.status_code == 422, answer.content
    return [(one["field"], one["code"]) for one in answer.json()["problems"]]


def make_rule(admin, **changes):
    send(admin, "POST", "/v1/cost-centers", GROWTH)
    made = send(admin, "POST", "/v1/mapping-rules", RULE | changes)
    assert made.status_code == 201, made.content
    return made.json()


def test_a_cost_centre_is_made_changed_and_retired(admin):
    made = send(admin, "POST", "/v1/cost-centers", GROWTH)
    assert made.status_code == 201, made.content
    assert made.json().items() >= (GROWTH | {"parent": None, "retired_at": None}).items()
    assert send(admin, "POST", "/v1/cost-centers", GROWTH).status_code == 200
    path = f"/v1/cost-centers/{made.json()['id']}"
    changed = send(admin, "PATCH", path, {"owner": "Noor Haddad"})
    assert (changed.json()["owner"], changed.json()["name"]) == ("Noor Haddad", "Growth")
    assert [one["code"] for one in admin.get("/v1/cost-centers").json()["cost_centers"]] == ["growth"]
    assert send(admin, "DELETE", path).json()["retired_at"]
    assert admin.get("/v1/cost-centers").json() == {"cost_centers": []}
    assert admin.get(path).json()["owner"] == "Noor Haddad"
    assert send(admin, "PATCH", path, {"owner": "x"}).json()["code"] == "cost_center_unknown"


def test_a_circle_of_cost_centres_is_refused_with_the_way_round(admin):
    top = send(admin, "POST", "/v1/cost-centers", {"code": "top"}).json()["id"]
    low = send(admin, "POST", "/v1/cost-centers", {"code": "low", "parent": top}).json()["id"]
    refused = send(admin, "PATCH", f"/v1/cost-centers/{top}", {"parent": low})
    assert list_problems(refused) == [("parent", "circular")]
    assert "top → low → top" in refused.json()["detail"]


def test_rules_are_added_moved_replaced_and_ended(admin):
    first = make_rule(admin)
    second = make_rule(admin, terms=[{"dimension": "tag", "name": "team", "values": ["web"]}], place=1)
    rules = admin.get("/v1/mapping-rules").json()["rules"]
    assert [(one["id"], one["place"]) for one in rules] == [(second["id"], 1), (first["id"], 2)]
    assert rules[0]["terms"] == [{"dimension": "tag", "name": "team", "values": ["web"]}]
    path = f"/v1/mapping-rules/{first['id']}"
    assert send(admin, "POST", f"{path}/move", {"place": 1}).json()["place"] == 1
    new = send(admin, "POST", f"{path}/replace", RULE | {"valid_from": "2026-12-01"}).json()
    assert (new["place"], new["valid_from"]) == (2, "2026-12-01")
    assert admin.get(path).json()["valid_to"] == "2026-12-01"
    assert send(admin, "POST", f"{path}/end", {"valid_to": "2026-11-01"}).json()["valid_to"] == "2026-11-01"
    assert list_problems(send(admin, "POST", f"{path}/end", {"valid_to": "2026-12-24"})) == [
        ("valid_to", "wrong_value")
    ]
    assert send(admin, "POST", f"{path}/forget", {}).json()["code"] == "path_unknown"


def test_everything_wrong_with_a_rule_is_told_at_once(admin):
    refused = send(admin, "POST", "/v1/mapping-rules", {"terms": [{"dimension": "model"}], "cost_center": " "})
    assert list_problems(refused) == [
        ("cost_center", "wrong_value"),
        ("terms.0.dimension", "wrong_value"),
        ("terms.0.values", "wrong_value"),
    ]
    assert list_problems(send(admin, "POST", "/v1/mapping-rules", RULE)) == [("cost_center", "unknown_cost_center")]
    for body in ([], "x", None, {"from": "soon"}, {"rule": {}}):
        assert send(admin, "POST", "/v1/mapping-rules/try", body).status_code in (400, 415, 422)
    for body in ({}, {"from": "2026-11-01"}, DAYS | {"reason": 7}):
        assert send(admin, "POST", "/v1/re-allocations", body).status_code == 422
    assert send(admin, "POST", "/v1/re-allocations", DAYS | {"reason": " "}).json()["reason"] == "reason_missing"


def test_a_rule_is_tried_and_then_booked_and_both_come_to_the_same(admin, acme, book):
    now = datetime.now(UTC)
    book(acme, make_event(feature="chat", time=now), make_event(feature="mail", time=now))
    send(admin, "POST", "/v1/cost-centers", GROWTH)
    tried = send(admin, "POST", "/v1/mapping-rules/try", {"rule": RULE, **DAYS}).json()
    share = {"calls": 1, "unpriced_calls": 0, "billed_cost": "0.004750000000"}
    assert tried["rules"] == [{"id": None, "cost_center": "growth", **share}]
    assert [(one["feature"], one["calls"]) for one in tried["left"]] == [("mail", 1)]
    assert (tried["left_total"], tried["read_from"], tried["counted_to"]) == (share, "rollups", tried["to"])
    assert admin.get("/v1/mapping-rules").json() == {"rules": []}

    make_rule(admin)
    started = send(admin, "POST", "/v1/re-allocations", DAYS | {"reason": "The rules came late."})
    assert started.status_code == 202, started.content
    job = started.json()
    assert send(admin, "POST", "/v1/re-allocations", DAYS | {"reason": "again"}).json()["reason"] == "job_under_way"
    path = f"/v1/re-allocations/{job['id']}"
    assert send(admin, "POST", f"{path}/pause").json()["state"] == "paused"
    assert send(admin, "POST", f"{path}/pause").json()["code"] == "reallocation_refused"
    assert send(admin, "POST", f"{path}/resume").json()["state"] == "waiting"
    while work_job(job["id"], now=datetime.now(UTC)):
        pass
    done = admin.get(path).json()
    assert (done["state"], done["calls_read"], done["calls_moved"]) == ("done", 2, 1)
    assert done["billed_cost_moved"] == share["billed_cost"]
    assert [one["id"] for one in admin.get("/v1/re-allocations").json()["reallocations"]] == [job["id"]]


def test_a_read_key_reads_and_changes_nothing(admin, acme):
    rule = make_rule(admin)
    reader = Machine(make_key(acme, "read"))
    assert reader.get("/v1/mapping-rules").json()["rules"][0]["id"] == rule["id"]
    for method, path in (
        ("POST", "/v1/cost-centers"),
        ("DELETE", "/v1/cost-centers/1"),
        ("POST", "/v1/mapping-rules"),
        ("POST", f"/v1/mapping-rules/{rule['id']}/end"),
        ("POST", "/v1/re-allocations"),
        ("POST", "/v1/re-allocations/1/cancel"),
    ):
        assert send(reader, method, path, {}).json()["code"] == "scope_missing"


def test_what_is_acmes_is_unknown_to_globex(admin, globex):
    rule = make_rule(admin)
    job = send(admin, "POST", "/v1/re-allocations", DAYS | {"reason": "late"}).json()
    theirs = Machine(make_key(globex, "admin,read"))
    assert theirs.get("/v1/cost-centers").json() == {"cost_centers": []}
    assert theirs.get(f"/v1/mapping-rules/{rule['id']}").json()["code"] == "mapping_rule_unknown"
    end = send(theirs, "POST", f"/v1/mapping-rules/{rule['id']}/end", {"valid_to": "2026-12-01"})
    assert end.json()["code"] == "mapping_rule_unknown"
    assert send(theirs, "POST", f"/v1/re-allocations/{job['id']}/cancel").json()["code"] == "job_unknown"
    assert theirs.get("/v1/re-allocations").json() == {"reallocations": []}
