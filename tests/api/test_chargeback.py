"""/v1/chargeback: what is charged, by which rules, in which currency; nobody else's, and rules by operators alone."""

import json
from datetime import date
from decimal import Decimal

import pytest

from tenants.selectors import get_tenant
from tests.api.conftest import Machine
from tests.chargeback.months import OVERHEAD, PLATFORM, make_centers, spend
from tests.factories import make_key, publish_test_rates

pytestmark = pytest.mark.django_db
RULES = "/v1/chargeback/rules"


@pytest.fixture
def october(acme):
    """100 of the platform, 300 of sales, 100 of legal, 50 that is nobody's."""
    publish_test_rates()
    make_centers(acme, "platform", "sales", "legal")
    spend(acme, {"platform": 100, "sales": 300, "legal": 100, "": 50})
    return acme


@pytest.fixture
def finance(acme):
    """An operator's key that acts for *acme*."""
    return Machine(make_key(get_tenant("operator"), "read,admin"), **{"X-Tenant": acme.slug})


def send(machine, method, path, document=None):
    return machine.client.generic(
        method, path, json.dumps(document), content_type="application/json", headers=machine.headers
    )


def add(machine, document, family="allocation"):
    answer = send(machine, "POST", f"{RULES}/{family}", document)
    assert answer.status_code == 201, answer.content
    return answer.json()


def get(machine, **query):
    answer = machine.get("/v1/chargeback", {"period": "2026-10"} | query)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_month_is_told_by_cost_centre_with_the_proof_that_nothing_is_lost(finance, october):
    add(finance, PLATFORM | {"valid_from": "2026-10"})
    add(finance, OVERHEAD | {"valid_from": "2026-10"}, "charge")
    told = get(finance, cost_center="sales")
    charged = {center["cost_center"]: Decimal(center["charged"]) for center in told["cost_centers"]}
    assert charged == {"legal": Decimal("137.5"), "platform": 0, "sales": Decimal("412.5")}
    proof = {name: Decimal(amount) for name, amount in told["conservation"].items()}
    assert proof == {
        "charged": 550, "unallocated": 50, "cost": 550, "markups": 50, "fees": 0, "minimums": 0, "discounts": 0,
        "credits": 0, "difference": 0,
    }  # fmt: skip
    assert (told["currency"], told["billing_currency"], told["fx_rate"], told["fx_day"]) == ("USD", "USD", "1", None)
    assert Decimal(told["totals"]["charged_usd"]) == 550 and Decimal(told["unallocated"]["direct"]) == 50
    (sales,) = [center for center in told["cost_centers"] if "lines" in center]
    told_of_lines = ("number", "kind", "rule", "amount_usd", "words")
    assert [tuple(line[name] for name in told_of_lines) for line in sales["lines"]] == [
        (1, "direct", None, "300.000000000000", "1 call, 30,000,000 tokens"),
        (2, "allocated_in", 1, "75.000000000000", "Platform: 100.00 USD × 300.00 USD of 400.00 USD by direct cost"),
        (3, "markup", 1, "37.500000000000", "Overhead: 10 % of 375.00 USD"),
    ]  # fmt: skip


def test_a_rule_is_added_once_changed_from_a_month_on_and_ended(finance, october):
    rule = add(finance, PLATFORM | {"valid_from": "2026-10"})
    again = send(finance, "POST", f"{RULES}/allocation", PLATFORM | {"valid_from": "2026-10"})
    assert (again.status_code, again.json()) == (200, rule)
    path = f"{RULES}/allocation/{rule['rule']}"
    changed = send(finance, "PATCH", path, {"method": "even", "targets": ["sales"], "valid_from": "2026-11"}).json()
    assert (changed["version"], changed["valid_from"]) == (2, "2026-11")
    assert changed["terms"] == rule["terms"] | {"method": "even", "targets": ["sales"]}
    ended = send(finance, "DELETE", f"{path}?from=2026-12").json()
    assert (ended["version"], ended["valid_from"], ended["valid_to"]) == (3, "2026-12", "2026-12")
    assert [one["version"] for one in finance.get(path).json()["rules"]] == [1, 2, 3]
    for month, versions in (("2026-09", []), ("2026-10", [1]), ("2026-11", [2]), ("2026-12", [])):
        listed = finance.get(f"{RULES}/allocation", {"period": month}).json()["rules"]
        assert [one["version"] for one in listed] == versions
    assert [one["version"] for one in finance.get(f"{RULES}/allocation").json()["rules"]] == [3]


def test_a_dry_run_tells_every_cost_centre_beside_what_stands_and_keeps_nothing(machine, october):
    answer = send(machine, "POST", f"{RULES}/allocation/try?period=2026-10", PLATFORM)
    assert answer.status_code == 200, answer.content
    changes = {one["cost_center"]: Decimal(one["change_usd"]) for one in answer.json()["cost_centers"]}
    assert changes == {"": 0, "legal": 25, "platform": -100, "sales": 75}
    assert machine.get(f"{RULES}/allocation").json() == {"rules": []}
    nobody = PLATFORM | {"source": {"cost_centers": ["legal"]}, "percent": "50", "method": "cost", "targets": ["x"]}
    refused = send(machine, "POST", f"{RULES}/allocation/try?period=2026-10", nobody).json()
    assert [(one["field"], one["code"]) for one in refused["problems"]] == [("targets", "unknown_cost_center")]
    missing = send(machine, "POST", f"{RULES}/allocation/try?period=2026-10&rule=9", PLATFORM)
    assert missing.json()["code"] == "chargeback_rule_unknown"


def test_everything_wrong_with_a_rule_is_told_at_once_its_months_too(finance, october):
    wrong = PLATFORM | {"percent": True, "valid_from": "2026-13", "valid_to": 7}
    refused = send(finance, "POST", f"{RULES}/allocation", wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "chargeback_rule_invalid")
    assert [(one["field"], one["code"]) for one in refused.json()["problems"]] == [
        ("valid_from", "wrong_value"), ("valid_to", "wrong_value"), ("percent", "wrong_type"),
    ]  # fmt: skip
    assert send(finance, "POST", f"{RULES}/charge", [1]).json()["code"] == "chargeback_rule_invalid"
    assert finance.get(f"{RULES}/gifts").json()["code"] == "path_unknown"


def test_rules_rates_and_currency_are_the_operators_to_set_and_the_tenants_to_read(acme, october, finance):
    owner = Machine(make_key(acme, "read,admin"))
    rule = add(finance, OVERHEAD | {"valid_from": "2026-10"}, "charge")
    for method, path, document in (
        ("POST", f"{RULES}/charge", OVERHEAD | {"valid_from": "2026-11"}),
        ("PATCH", f"{RULES}/charge/{rule['rule']}", {"percent": "1", "valid_from": "2026-11"}),
        ("DELETE", f"{RULES}/charge/{rule['rule']}?from=2026-12", None),
        ("POST", "/v1/fx-rates", []),
        ("PUT", "/v1/chargeback/currency", {"currency": "EUR", "valid_from": "2026-11"}),
    ):
        answer = send(owner, method, path, document)
        assert (answer.status_code, answer.json()["code"]) == (403, "operators_only"), path
    assert owner.get(f"{RULES}/charge").json()["rules"] == [rule]
    assert len(get(owner)["cost_centers"]) == 3


def test_nothing_of_another_tenant_is_told(finance, october, stranger):
    rule = add(finance, OVERHEAD | {"valid_from": "2026-10"}, "charge")
    told = get(stranger)
    assert told["cost_centers"] == [] and Decimal(told["conservation"]["cost"]) == 0
    assert stranger.get(f"{RULES}/charge").json() == {"rules": []}
    assert stranger.get(f"{RULES}/charge/{rule['rule']}").json()["code"] == "chargeback_rule_unknown"


def test_in_another_currency_amounts_have_the_rate_and_its_day(finance, october):
    rates = [
        {"currency": "ISK", "day": "2026-10-30", "rate": "121.5", "source": "Central Bank"},
        {"currency": "ISK", "day": "2026-11-02", "rate": "99"},
    ]
    assert send(finance, "POST", "/v1/fx-rates", rates).json() == {"entered": 2, "unchanged": 0}
    assert send(finance, "POST", "/v1/fx-rates", rates).json() == {"entered": 0, "unchanged": 2}
    put = send(finance, "PUT", "/v1/chargeback/currency", {"currency": "ISK", "valid_from": "2026-10"}).json()
    assert (put["currency"], put["valid_from"]) == ("ISK", "2026-10")
    told = get(finance, cost_center="legal")
    assert (told["currency"], told["fx_rate"], told["fx_day"]) == ("ISK", "121.5", "2026-10-30")
    legal = told["cost_centers"][0]
    assert (legal["charged"], legal["payable"], legal["direct"]) == (
        "12150.000000000000", "12150.000000000000", "100.000000000000",
    )  # fmt: skip
    assert finance.get("/v1/chargeback/currency", {"period": "2026-09"}).json()["currency"] == "USD"
    listed = finance.get("/v1/fx-rates", {"from": "2026-10-01", "to": "2026-11-01", "currency": "ISK"}).json()["rates"]
    assert [(one["day"], one["rate"], one["source"], one["corrections"]) for one in listed] == [
        ("2026-10-30", "121.5", "Central Bank", 0)
    ]


def test_a_file_of_rates_is_taken_whole_or_refused_with_every_line(finance):
    good = b"currency;day;rate\nISK;2026-10-30;121.5\nISK;2026-10-31;121.6\n"
    assert finance.post("/v1/fx-rates", good, "text/csv").json() == {"entered": 2, "unchanged": 0}
    refused = finance.post("/v1/fx-rates", b"ISC,2026-10-30,1,5\nUSD,soon,1\n", "text/csv").json()
    assert [one["field"] for one in refused["problems"]] == ["1.currency", "2.currency", "2.day"]
    for wrong in ([], {"currency": "ISK"}, [{"currency": 5}], [1]):
        assert send(finance, "POST", "/v1/fx-rates", wrong).json()["code"] == "fx_rate_invalid"


def test_a_currency_that_is_none_is_refused(finance):
    for wrong in (
        [],
        {"currency": "EUR"},
        {"currency": 5, "valid_from": "soon"},
        {"currency": "EURO", "valid_from": "2026-10"},
    ):
        answer = send(finance, "PUT", "/v1/chargeback/currency", wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "billing_currency_invalid")


def test_a_month_is_asked_for_as_a_month(machine):
    for query in ({}, {"period": "2026-10-01"}, {"period": "october"}):
        assert machine.get("/v1/chargeback", query).json()["code"] == "query_invalid"
    assert get(machine, period="2031-01")["cost_centers"] == []


def test_the_calendar_of_the_first_and_last_day_is_kept(machine):
    query = {"from": date(2026, 1, 1).isoformat(), "to": date(2027, 12, 31).isoformat()}
    assert machine.get("/v1/fx-rates", query).json()["code"] == "query_invalid"
