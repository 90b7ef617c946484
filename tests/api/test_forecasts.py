"""/v1/forecast: what the month comes to, what was said each night, and what is known beforehand."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from alerts.forecasts import make_forecasts
from tests.api.conftest import Machine
from tests.factories import make_event, make_key

pytestmark = pytest.mark.django_db
# A call of make_event costs 0.00475 USD.


@pytest.fixture
def keeper(acme):
    return Machine(make_key(acme, "read,admin"))


@pytest.fixture
def month(book, acme):
    """Two calls on each of the last 21 days of UTC, and today one: all of chat and of retail."""
    now = datetime.now(UTC).replace(hour=0, minute=0, second=1, microsecond=0)
    days = [*range(1, 22)] * 2 + [0]
    book(acme, *(make_event(time=now - timedelta(days=day), feature="chat", cost_center="retail") for day in days))
    return now.date()


def add(machine, **fields):
    event = {"day": datetime.now(UTC).date().isoformat(), "amount": "1500.00", "note": "launch"} | fields
    return machine.post("/v1/forecast/events", json.dumps(event))


def get(machine, **query):
    answer = machine.get("/v1/forecast", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_month_is_told_with_range_days_and_record(keeper, month):
    told = get(keeper)
    forecast = told["forecast"]
    assert (told["today"], told["timezone"], told["reason"]) == (month.isoformat(), "UTC", "")
    assert told["spent_today"] == "0.004750000000"
    assert {day["expected"] for day in forecast["days"]} == {"0.009500000000"}
    assert forecast["days"][0]["day"] == month.isoformat()
    assert forecast["method"] == "weekday_level" and forecast["growth"] == 0
    assert float(forecast["low"]) < float(forecast["expected"]) < float(forecast["high"])
    assert told["track_record"] == {"forecasts": 0, "bias": None, "coverage": None, "skill": None, "days": []}
    assert get(keeper, feature="chat", cost_center="retail")["forecast"] == forecast


def test_where_there_is_too_little_to_go_by_it_is_said_why(keeper):
    told = get(keeper, feature="chat")
    assert told["forecast"] is None and told["feature"] == "chat" and told["cost_center"] is None
    assert told["reason"] == "A forecast needs 3 complete days; there are none yet."


def test_an_event_is_added_once_counts_and_is_removed_once(keeper, month):
    before = get(keeper)["forecast"]["days"][0]["expected"]
    answer = add(keeper, feature="chat")
    assert answer.status_code == 201, answer.content
    event = answer.json()
    assert (event["amount"], event["feature"], event["cost_center"]) == ("1500.000000", "chat", "")
    assert add(keeper, feature="chat").json() == event and add(keeper, feature="chat").status_code == 200
    assert before == "0.009500000000"
    assert get(keeper)["forecast"]["days"][0]["expected"] == "1500.009500000000"
    assert get(keeper)["events"] == get(keeper, feature="chat")["events"] == [event]
    assert get(keeper, cost_center="retail")["events"] == []
    path = f"/v1/forecast/events/{event['id']}"
    removed = keeper.client.delete(path, headers=keeper.headers)
    assert (removed.status_code, removed.json()) == (200, event)
    assert keeper.client.delete(path, headers=keeper.headers).json()["code"] == "forecast_event_unknown"
    assert get(keeper)["forecast"]["days"][0]["expected"] == before


def test_everything_wrong_with_an_event_is_told_at_once(keeper):
    answer = add(keeper, day="soon", amount=12, why="")
    assert (answer.status_code, answer.json()["code"]) == (422, "forecast_event_invalid")
    assert {(problem["field"], problem["code"]) for problem in answer.json()["problems"]} == {
        ("why", "unknown_field"), ("day", "wrong_value"), ("amount", "wrong_type"), ("amount", "wrong_value"),
    }  # fmt: skip
    for body in ("[]", "7", "{"):
        assert keeper.post("/v1/forecast/events", body).status_code == 422


def test_who_only_reads_adds_no_event_and_globex_removes_none_of_ours(machine, keeper, stranger, month, globex):
    assert add(machine).status_code == 403
    event = add(keeper).json()
    theirs = Machine(make_key(globex, "read,admin"))
    removed = theirs.client.delete(f"/v1/forecast/events/{event['id']}", headers=theirs.headers)
    assert removed.status_code == 404
    told = get(stranger)
    assert told["forecast"] is None and told["events"] == [] and told["spent"] == "0.000000000000"


def test_nights_are_listed_as_they_were_told(machine, keeper, stranger, acme, month):
    make_forecasts(tenant=acme, now=datetime.now(UTC))
    period = {"from": month.isoformat(), "to": (month + timedelta(days=1)).isoformat()}
    (run,) = machine.get("/v1/forecast/runs", period).json()["runs"]
    assert (run["made_on"], run["actual"], run["method"]) == (month.isoformat(), None, "weekday_level")
    (chat,) = machine.get("/v1/forecast/runs", period | {"feature": "chat"}).json()["runs"]
    assert chat["expected"] == run["expected"]
    assert stranger.get("/v1/forecast/runs", period).json() == {"runs": []}
    both = machine.get("/v1/forecast/runs", period | {"feature": "chat", "environment": ""})
    assert both.json()["code"] == "query_refused"
    long = machine.get("/v1/forecast/runs", {"from": "2020-01-01", "to": "2022-01-01"})
    assert long.json()["code"] == "query_invalid"
