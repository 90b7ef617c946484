"""/v1/budgets: made, read, changed and retired with a key; everything wrong at once; nobody else's."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.api.conftest import Machine
from tests.factories import make_event, make_key

pytestmark = pytest.mark.django_db

CHAT = {
    "name": "Chat",
    "scope": {"feature": "chat"},
    "window": "month",
    "amount": "3000.00",
    "currency": "USD",
    "actions": [
        {"at_percent": 80, "on": "actual", "do": "notify"},
        {"at_percent": 100, "on": "actual", "do": "throttle"},
    ],
    "per_request": {"input_tokens": 32000, "output_tokens": 4096, "cost": "1.00"},
}


@pytest.fixture
def admin(acme):
    return Machine(make_key(acme, "admin,read"))


def send(machine, method, path, body=None):
    return machine.client.generic(
        method, path, "" if body is None else json.dumps(body), "application/json", headers=machine.headers
    )


def test_a_budget_is_made_read_and_told_with_what_was_spent(acme, admin, book):
    made = send(admin, "POST", "/v1/budgets", CHAT)
    assert made.status_code == 201, made.content
    assert CHAT.items() <= made.json().items()
    assert (made.json()["parent"], made.json()["rollover"], made.json()["retired_at"]) == (None, False, None)
    book(acme, make_event(feature="chat", time=datetime.now(UTC)), make_event(feature="other", time=datetime.now(UTC)))
    told = admin.get(f"/v1/budgets/{made.json()['id']}").json()
    # 200 tokens at 2.50, 1,000 from the cache at 1.25 and 300 at 10.00 a million.
    assert told["now"]["spent"] == "0.004750000000"
    assert (told["now"]["limit"], told["now"]["remaining"]) == ("3000.000000000000", "2999.995250000000")
    assert [one["name"] for one in admin.get("/v1/budgets").json()["budgets"]] == ["Chat"]


def test_the_same_again_is_the_budget_that_there_is(admin):
    first, again = (send(admin, "POST", "/v1/budgets", CHAT) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    other = send(admin, "POST", "/v1/budgets", CHAT | {"amount": "5"})
    assert other.status_code == 422
    assert [(one["field"], one["code"]) for one in other.json()["problems"]] == [("name", "taken")]


def test_everything_wrong_is_told_at_once(admin):
    answer = send(admin, "POST", "/v1/budgets", CHAT | {"window": "moon", "amount": "-5", "scope": {"team": "x"}})
    assert answer.status_code == 422
    assert answer.json()["code"] == "budget_invalid"
    assert [one["field"] for one in answer.json()["problems"]] == ["window", "amount", "scope.team"]


def test_what_is_named_is_changed_and_everything_else_stays(admin):
    budget_id = send(admin, "POST", "/v1/budgets", CHAT).json()["id"]
    changed = send(admin, "PATCH", f"/v1/budgets/{budget_id}", {"amount": "4000", "owner": "Support"}).json()
    assert {name: changed[name] for name in (*CHAT, "owner")} == CHAT | {"amount": "4000.00", "owner": "Support"}
    wrong = send(admin, "PATCH", f"/v1/budgets/{budget_id}", {"amout": "1"})
    assert (wrong.status_code, wrong.json()["problems"][0]["field"]) == (422, "amout")


def test_a_retired_budget_is_told_by_its_id_alone(admin):
    budget_id = send(admin, "POST", "/v1/budgets", CHAT).json()["id"]
    assert send(admin, "DELETE", f"/v1/budgets/{budget_id}").json()["retired_at"] is not None
    assert admin.get("/v1/budgets").json() == {"budgets": []}
    assert admin.get(f"/v1/budgets/{budget_id}").status_code == 200
    for method in ("DELETE", "PATCH"):
        assert send(admin, method, f"/v1/budgets/{budget_id}", {}).json()["code"] == "budget_unknown"


def test_a_key_that_reads_changes_nothing(admin, machine):
    budget_id = send(admin, "POST", "/v1/budgets", CHAT).json()["id"]
    assert machine.get("/v1/budgets").status_code == 200
    for method, path in (("POST", ""), ("PATCH", f"/{budget_id}"), ("DELETE", f"/{budget_id}")):
        answer = send(machine, method, f"/v1/budgets{path}", CHAT)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_another_tenants_budget_is_unknown(admin, globex):
    budget_id = send(admin, "POST", "/v1/budgets", CHAT).json()["id"]
    stranger = Machine(make_key(globex, "admin,read"))
    assert stranger.get("/v1/budgets").json() == {"budgets": []}
    for method in ("GET", "PATCH", "DELETE"):
        answer = send(stranger, method, f"/v1/budgets/{budget_id}", None if method == "GET" else {})
        assert (answer.status_code, answer.json()["code"]) == (404, "budget_unknown")


def test_a_budget_is_tried_on_the_past_and_not_kept(acme, admin, book):
    now = datetime.now(UTC)
    for days, calls in ((3, 3), (2, 1), (0, 5)):
        book(acme, *(make_event(feature="chat", time=now - timedelta(days=days)) for _ in range(calls)))
    # A call costs 0.00475: three and five of them reach 0.01 within their day.
    terms = CHAT | {"window": "day", "amount": "0.010", "actions": [{"at_percent": 100, "do": "notify"}]}
    answer = send(admin, "POST", "/v1/budgets/try?days=90", terms)
    assert answer.status_code == 200, answer.content
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    assert [(one["reached_at"][:10], one["at_percent"], one["spent"]) for one in answer.json()["firings"]] == [
        (f"{midnight - timedelta(days=3):%Y-%m-%d}", 100, "0.014250000000"),
        (f"{midnight:%Y-%m-%d}", 100, "0.023750000000"),
    ]
    assert admin.get("/v1/budgets").json() == {"budgets": []}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/budgets", r'{"name": "a\ud800"}', "name"),
        ("/v1/budgets", r'{"scope": {"\udfff": "x"}}', r"scope.\udfff"),
        ("/v1/alert-channels", r'{"settings": {"to": ["a@b.example", "\ud83d"]}}', "settings.to.1"),
        ("/v1/forecast/events", r'{"cost_center": "\ud800"}', "cost_center"),
        ("/v1/alerts/1/feedback", r'{"comment": "\ud800\ud800"}', "comment"),
        ("/v1/watch-settings", r'{"\ud800": 1}', r"\ud800"),
    ],
)
def test_half_a_surrogate_pair_is_refused_by_the_name_of_its_field(admin, path, body, field):
    method = "PATCH" if "settings" in path else "POST"
    answer = admin.client.generic(method, path, body, "application/json", headers=admin.headers)
    assert answer.status_code == 422, answer.content
    assert [(one["field"], one["detail"]) for one in answer.json()["problems"]] == [
        (field, "holds half of a surrogate pair")
    ]


def test_a_body_that_is_no_budget_is_told_what_is_wrong_with_it(admin):
    def told(body, kind="application/json"):
        answer = admin.client.generic("POST", "/v1/budgets", body, kind, headers=admin.headers)
        return answer.status_code, answer.json()["code"], answer.json()["detail"]

    assert told(" ") == (400, "body_empty", "The body is empty.")
    assert told("x" * 64_001) == (413, "body_too_large", "At most 64,000 bytes here.")
    assert told("name=Chat", "text/plain") == (
        415, "content_type_unknown", "Content-Type 'text/plain' is not read here; send application/json.",
    )  # fmt: skip
    assert told("[]") == (422, "budget_invalid", "a budget is an object")
