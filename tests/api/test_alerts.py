"""/v1/alerts and /v1/alert-channels: read, answered, told where; everything wrong at once; nobody else's."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from alerts.core.facts import Facts, Figure
from alerts.episodes import open_alert
from tests.api.conftest import Machine
from tests.factories import make_key

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOOK = {"name": "Pipeline", "kind": "webhook", "settings": {"url": "https://hooks.acme.example/very/secret"}}


@pytest.fixture
def admin(acme):
    return Machine(make_key(acme, "admin,read"))


def send(machine, method, path, body=None):
    return machine.client.generic(
        method, path, "" if body is None else json.dumps(body), "application/json", headers=machine.headers
    )


def open_one(tenant, number=0, **fields):
    given = {
        "rule": "budget", "scope": {"feature": "chat"}, "episode": str(number), "severity": "high",
        "title": f"Chat {number}", "impact": Decimal("80"), "now": NOW + timedelta(minutes=number),
        "facts": Facts(sentence="It grew.", figures=(Figure("Spent", "$80.00"),)),
    }  # fmt: skip
    return open_alert(tenant_id=tenant.id, **(given | fields))


def test_alerts_come_latest_first_page_by_page_and_filtered(acme, admin):
    ids = [open_one(acme, number, severity="high" if number % 2 else "info") for number in range(5)]
    first = admin.get("/v1/alerts", {"limit": 2}).json()
    assert ([one["id"] for one in first["alerts"]], first["next"]) == ([ids[4], ids[3]], ids[3])
    rest = admin.get("/v1/alerts", {"limit": 3, "cursor": first["next"]}).json()
    assert ([one["id"] for one in rest["alerts"]], rest["next"]) == ([ids[2], ids[1], ids[0]], None)
    high = admin.get("/v1/alerts", {"severity": "high", "state": ["open", "snoozed"], "rule": "budget"}).json()
    assert [one["id"] for one in high["alerts"]] == [ids[3], ids[1]]
    assert admin.get("/v1/alerts", {"state": "resolved"}).json()["alerts"] == []
    since = admin.get("/v1/alerts", {"from": "2026-11-22T12:04:00Z", "to": "2026-11-23"}).json()
    assert [one["id"] for one in since["alerts"]] == [ids[4]]
    told = first["alerts"][0]
    assert (told["impact"], told["scope"], told["facts"]) == (
        "80.000000000000",
        {"feature": "chat"},
        {"sentence": "It grew.", "figures": [{"label": "Spent", "value": "$80.00"}]},
    )


def test_a_cursor_of_no_page_is_wrong(admin):
    answer = admin.get("/v1/alerts", {"cursor": 999999999})
    assert (answer.status_code, answer.json()["problems"][0]["field"]) == (422, "cursor")


def test_steps_are_taken_and_stand_in_the_history_under_the_key(acme, admin):
    alert_id = open_one(acme)
    path = f"/v1/alerts/{alert_id}"
    assert send(admin, "POST", f"{path}/acknowledge", {"comment": "On it."}).json()["state"] == "acknowledged"
    until = (datetime.now(UTC) + timedelta(hours=5)).isoformat()
    assert send(admin, "POST", f"{path}/snooze", {"until": until}).json()["state"] == "snoozed"
    assert send(admin, "POST", f"{path}/resolve").json()["state"] == "resolved"
    told = send(admin, "POST", f"{path}/feedback", {"feedback": "planned"}).json()
    assert told["feedback"] == "planned"
    assert [event["event"] for event in told["events"]] == [
        "opened", "acknowledged", "snoozed", "resolved", "feedback",
    ]  # fmt: skip
    assert told["events"][1]["comment"] == "On it."
    assert {event["actor"].split(" ")[0] for event in told["events"][1:]} == {"key"}
    again = send(admin, "POST", f"{path}/acknowledge")
    assert (again.status_code, again.json()["code"]) == (409, "alert_refused")


@pytest.mark.parametrize(
    ("step", "body", "fields"),
    [
        ("snooze", {}, ["until"]),
        ("snooze", {"until": "tomorrow"}, ["until"]),
        ("feedback", {"feedback": "maybe"}, ["feedback"]),
        ("acknowledge", {"comment": 5, "by": "me"}, ["by", "comment"]),
    ],
)
def test_all_that_is_wrong_with_a_step_is_told(acme, admin, step, body, fields):
    answer = send(admin, "POST", f"/v1/alerts/{open_one(acme)}/{step}", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "alert_step_invalid")
    assert [one["field"] for one in answer.json()["problems"]] == fields


def test_a_snooze_of_a_year_is_refused(acme, admin):
    until = (datetime.now(UTC) + timedelta(days=365)).isoformat()
    answer = send(admin, "POST", f"/v1/alerts/{open_one(acme)}/snooze", {"until": until})
    assert (answer.status_code, answer.json()["code"]) == (409, "alert_refused")


def test_anothers_alert_and_nobodys_are_answered_alike(acme, stranger):
    alert_id = open_one(acme)
    for found in (alert_id, 999_999_999, 10**30):
        assert stranger.get(f"/v1/alerts/{found}").json()["code"] == "alert_unknown"


def test_a_channel_is_made_read_changed_tested_and_removed_and_its_secret_shown_once(acme, admin):
    made = send(admin, "POST", "/v1/alert-channels", HOOK)
    assert made.status_code == 201, made.content
    assert made.json()["secret"].startswith("whsec_")
    path = f"/v1/alert-channels/{made.json()['id']}"
    assert made.json() | {"secret": None} == admin.get(path).json() | {"secret": None}
    assert (made.json()["target"], "secret" in admin.get(path).json()) == ("hooks.acme.example", False)
    changed = send(admin, "PATCH", path, {"severity_min": "high", "quiet_hours": {"from": "22:00", "to": "07:00"}})
    assert (changed.json()["severity_min"], changed.json()["name"]) == ("high", "Pipeline")
    assert send(admin, "POST", f"{path}/secret").json()["secret"] != made.json()["secret"]
    test = send(admin, "POST", f"{path}/test")
    assert (test.status_code, test.json()["kind"], test.json()["state"]) == (202, "test", "waiting")
    assert admin.get(f"/v1/alert-deliveries/{test.json()['id']}").json() == test.json()
    retry = send(admin, "POST", f"/v1/alert-deliveries/{test.json()['id']}/retry")
    assert (retry.status_code, retry.json()["code"]) == (404, "delivery_unknown")  # it is not dead
    assert send(admin, "DELETE", path).json()["enabled"] is False
    assert admin.get("/v1/alert-channels").json() == {"channels": []}
    assert admin.get(path).json()["code"] == "channel_unknown"
    for answer in (made, changed, test):
        assert "very/secret" not in answer.content.decode()


def test_everything_wrong_with_a_channel_is_told_at_once(admin):
    wrong = {"name": "", "kind": "webhook", "settings": {"url": "http://10.0.0.1/"}, "digest_hour": 99}
    answer = send(admin, "POST", "/v1/alert-channels", wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "channel_invalid")
    assert [one["field"] for one in answer.json()["problems"]] == ["name", "settings.url", "digest_hour"]


def test_a_key_that_reads_takes_no_step_and_makes_no_channel(acme, machine):
    alert_id = open_one(acme)
    assert machine.get(f"/v1/alerts/{alert_id}").status_code == 200
    assert send(machine, "POST", f"/v1/alerts/{alert_id}/resolve").status_code == 403
    assert send(machine, "POST", "/v1/alert-channels", HOOK).status_code == 403
