"""/v1/audit/log: what a tenant reads of who changed what, its own and the operator's."""

import json
from datetime import UTC, datetime

import pytest

from audit.acts import write_printable
from billing.core.rate_documents import read_rates
from billing.drivers import keep_drivers, take_back_driver
from billing.rates import approve_rate, draft_rate, publish_rates, submit_rate
from billing.tenants import change_limits
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import tenant_scope
from tests.api.conftest import Machine
from tests.factories import RATES_DOCUMENT, make_key, make_tenant

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ME = "person 7"


@pytest.fixture
def machine(acme):
    return Machine(make_key(acme, "audit"))


def act(tenant, name, actor=ME, **facts):
    with tenant_scope(tenant.id):
        return book_act(tenant_id=tenant.id, act=Act(name, actor, facts), now=NOW)


def read_log(machine, **query):
    answer = machine.get("/v1/audit/log", query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def list_own(machine, **query):
    return [each for each in read_log(machine, **query)["acts"] if each["ledger"] == "tenant"]


def test_an_act_says_who_when_what_and_what_was_before(acme, machine):
    change_limits(tenant_id=acme.id, changes={"events": 500}, actor=ME, now=NOW)
    change_limits(tenant_id=acme.id, changes={"events": 50, "bytes": 7}, actor=ME, now=NOW)
    change_limits(tenant_id=acme.id, changes={"events": 50}, actor=ME, now=NOW)  # that it has
    latest, first = list_own(machine)
    assert latest == {
        "id": latest["id"],
        "recorded_at": latest["recorded_at"],
        "acted_at": "2026-11-22T12:00:00.000000Z",
        "name": "limits.changed",
        "actor": "person 7",
        "facts": {"limits": "bytes 7, events 50", "limits_before": "events 500"},
        "ledger": "tenant",
    }
    assert first["facts"] == {"limits": "events 500", "limits_before": ""}
    reader = Machine(make_key(acme, "read"))
    entry = reader.get(f"/v1/entries/{latest['id']}").json()["entry"]
    assert (entry["kind"], entry["operation"]) == ("admin_act", "limits.changed")


def test_acts_are_found_by_name_family_actor_and_time(acme, machine):
    act(acme, "budget.created")
    act(acme, "budget.changed", actor="key abc")
    act(acme, "key.made")
    assert [each["name"] for each in list_own(machine, name="budget")] == ["budget.changed", "budget.created"]
    assert [each["name"] for each in list_own(machine, name=["budget.changed", "key"])] == [
        "key.made",
        "budget.changed",
    ]
    assert [each["name"] for each in list_own(machine, actor="key abc")] == ["budget.changed"]
    assert list_own(machine, actor="key") == []
    assert len(list_own(machine, **{"from": "2020-01-01", "to": "2199-01-01"})) == 3
    assert list_own(machine, to="2020-01-01") == list_own(machine, **{"from": "2199-01-01"}) == []


def test_pages_follow_one_another_without_a_gap_and_without_one_twice(acme, machine):
    ids = [act(acme, "key.made", number=str(number)) for number in range(7)]
    found, cursor = [], {}
    while True:
        page = read_log(machine, limit=2, name="key", **cursor)
        found += [each["id"] for each in page["acts"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == ids[::-1]


def write_rate(model, **fields):
    (rate,) = RATES_DOCUMENT["rates"]
    return rate | {"provider": "logmaker", "model": model} | fields


def publish_one(document):
    (read,) = read_rates({"rates": [document]})
    rate_id = draft_rate(read, author="person 1", now=NOW, comment="between us")
    from billing.rates import RateStepRefused

    try:
        submit_rate(rate_id, actor="person 1", now=NOW, comment="between us")
    except RateStepRefused as refused:
        submit_rate(rate_id, actor="person 1", now=NOW, confirmed={one.id for one in refused.findings})
    approve_rate(rate_id, actor="person 2", now=NOW, comment="between us")


def test_the_operators_acts_on_everybodys_prices_are_told_without_its_talk(acme, machine):
    publish_one(write_rate("everybodys"))
    acts = [each for each in read_log(machine)["acts"] if each["facts"].get("model") == "everybodys"]
    assert [(each["name"], each["actor"], each["ledger"]) for each in acts] == [
        ("rate.published", "person 2", "operator")
    ]
    assert "between us" not in json.dumps(read_log(machine))


def test_a_price_agreed_with_one_tenant_is_told_to_it_once_and_to_no_other(acme, globex, machine):
    before = {each["id"] for each in read_log(machine)["acts"]}
    publish_one(write_rate("agreed", tenant=acme.slug))
    publish_rates(
        read_rates({"rates": [write_rate("agreed-too", tenant=acme.slug)]}), origin="file", created_by="person 1",
        approved_by="person 2", now=NOW,
    )  # fmt: skip
    told = [(each["name"], each["ledger"]) for each in read_log(machine)["acts"] if each["id"] not in before]
    assert told.count(("rate.published", "tenant")) == 1
    assert told.count(("rates.published", "tenant")) == 1
    assert ("rates.published", "operator") not in told
    stranger = Machine(make_key(globex, "audit"))
    assert "agreed" not in json.dumps([each["facts"] for each in read_log(stranger)["acts"]])


def test_a_price_of_ones_own_among_many_hides_nothing_that_was_done_before(acme, machine):
    for number in range(3):
        publish_one(write_rate(f"everybodys-{number}"))
    rates = [write_rate("all"), write_rate("agreed", tenant=acme.slug)]
    publish_rates(read_rates({"rates": rates}), origin="file", created_by="person 1", approved_by="person 2", now=NOW)
    expected = [each["id"] for each in read_log(machine, limit=500)["acts"]][:4]
    found, cursor = [], {}
    while len(found) < 4 and cursor.get("cursor", "") is not None:
        page = read_log(machine, limit=1, **cursor)
        found += [each["id"] for each in page["acts"]]
        cursor = {"cursor": page["next"]}
    assert found == expected


def test_what_somebody_named_something_begins_no_line_and_turns_nothing_round(acme, machine):
    forged = "orders\n2026-11-22 person 1 key.made \u202egpj.exe\x1b[2K\u2028\x00".replace("\x00", "")
    act(acme, "drivers.taken_back", names=forged)
    body = machine.get("/v1/audit/log").content.decode()
    (said,) = list_own(machine)
    assert said["facts"]["names"] == "orders\\n2026-11-22 person 1 key.made \\u202egpj.exe\\x1b[2K\\u2028"
    assert not [one for one in body.rstrip("\n") if not one.isprintable()]
    assert write_printable("Zürich “x” \\n") == "Zürich “x” \\n"


def test_a_key_needs_the_scope_and_the_question_is_read_strictly(acme):
    assert Machine(make_key(acme, "read")).get("/v1/audit/log").json()["code"] == "scope_missing"
    answer = Machine(make_key(acme, "audit")).get("/v1/audit/log", {"limit": "501", "names": "x", "cursor": "y"})
    assert sorted(each["field"] for each in answer.json()["problems"]) == ["cursor", "limit", "names"]


def test_what_changes_nothing_is_no_act(acme, machine):
    from billing.core.drivers import DriverValue

    value = DriverValue("orders", NOW.date(), 5)
    for _ in range(2):
        keep_drivers([value], tenant_id=acme.id, actor=ME, now=NOW)
    assert take_back_driver("seats", tenant_id=acme.id, actor=ME, now=NOW) == 0
    (kept,) = list_own(machine)
    assert kept["facts"] == {
        "names": "orders", "kept": "1", "unchanged": "0", "first_day": "2026-11-22", "last_day": "2026-11-22",
    }  # fmt: skip
    assert make_tenant("other").id != acme.id
