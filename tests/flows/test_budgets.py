"""Five departments share a month's money: each is told at 80 %, slowed down at 100 %, and never denied."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from alerts.evaluation import evaluate_budgets
from alerts.models import Alert
from billing.ingestion import ingest_events
from billing.rollups import apply_batches
from tenants.scope import tenant_scope
from tests.factories import make_event, make_key, make_tenant, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")

AMOUNTS = {"support": 3_000, "engineering": 5_000, "sales": 2_000, "marketing": 2_000, "legal": 500}
ACTIONS = [{"at_percent": 80, "on": "actual", "do": "notify"}, {"at_percent": 100, "on": "actual", "do": "throttle"}]
TOKENS_PER_DOLLAR = 100_000  # of output, at 10 USD a million
STANDINGS_SECONDS_MAX = 1.0  # so old may be what a check goes by


class Company:
    """*acme*, by its keys alone; the minutes go by as the job would see them."""

    def __init__(self):
        publish_test_rates()
        self.tenant = make_tenant("acme")
        self.client, self.minute = Client(), 0
        self.headers = {"Authorization": f"Bearer {make_key(self.tenant, 'admin,read,quota,ingest')}"}

    def post(self, path, body):
        answer = self.client.post(path, json.dumps(body), "application/json", headers=self.headers)
        assert answer.status_code < 300, answer.content  # a throttled call is an answer, and no refusal
        return answer.json()

    def spend(self, department, dollars):
        """In one call, rolled up and looked at as it would be within the minute."""
        event = make_event(
            cost_center=department, feature="assistant", user=f"{department}-bot", time=datetime.now(UTC),
            usage={"input_tokens": 0, "output_tokens": dollars * TOKENS_PER_DOLLAR},
        )  # fmt: skip
        ingest_events(tenant_id=self.tenant.id, api_key_id="testkey", events=[(0, event)], now=datetime.now(UTC))
        while apply_batches(now=datetime.now(UTC)):
            pass
        self.minute += 1
        evaluate_budgets(now=datetime.now(UTC) + timedelta(seconds=self.minute))

    def list_alerts(self):
        with tenant_scope(self.tenant.id):
            alerts = Alert.objects.filter(tenant_id=self.tenant.id).order_by("id")
            return [(alert.scope["cost_center"], alert.episode.split(":")[1], alert.severity) for alert in alerts]

    def ask(self, department):
        """What a call of the department is answered before it is made."""
        question = {"provider": "openai", "model": "gpt-4o-2024-08-06", "cost_center": department,
                    "estimated_input_tokens": 100, "max_output_tokens": 100}  # fmt: skip
        return self.post("/v1/quota/check", question)


def test_five_departments_are_told_at_eighty_percent_and_slowed_down_at_a_hundred():
    acme = Company()
    for department, amount in AMOUNTS.items():
        acme.post(
            "/v1/budgets",
            {"name": department.capitalize(), "scope": {"cost_center": department}, "window": "month",
             "amount": f"{amount}.00", "currency": "USD", "actions": ACTIONS},
        )  # fmt: skip
    for department, dollars in {"support": 2_399, "engineering": 4_100, "sales": 100, "legal": 399}.items():
        acme.spend(department, dollars)
    assert acme.list_alerts() == [("engineering", "80", "warning")]  # the others are below four fifths
    acme.spend("support", 1)
    acme.spend("legal", 101)
    assert acme.list_alerts()[1:] == [("support", "80", "warning"), ("legal", "100", "high")]  # 80 and 100 at once
    time.sleep(STANDINGS_SECONDS_MAX)
    assert {department: acme.ask(department)["decision"] for department in AMOUNTS} == {
        "support": "allow", "engineering": "allow", "sales": "allow", "marketing": "allow", "legal": "throttle",
    }  # fmt: skip
    acme.spend("legal", 5_000)  # ten times its budget: still slowed down, and nothing more is told
    assert len(acme.list_alerts()) == 3
    time.sleep(STANDINGS_SECONDS_MAX)
    answer = acme.ask("legal")
    assert (answer["decision"], answer["budget"]["name"]) == ("throttle", "Legal")
    assert answer["retry_after_seconds"] > 0
    budgets = {one["name"]: one for one in acme.client.get("/v1/budgets", headers=acme.headers).json()["budgets"]}
    assert {name: one["now"]["spent"] for name, one in budgets.items()} == {
        "Support": "2400.000000000000", "Engineering": "4100.000000000000", "Sales": "100.000000000000",
        "Marketing": "0.000000000000", "Legal": "5500.000000000000",
    }  # fmt: skip
