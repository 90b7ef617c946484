"""Two who change different fields of one thing at once change both."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from tests.factories import make_key, make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
BUDGET = {"name": "Chat", "scope": {"feature": "chat"}, "window": "month", "amount": "1.00"}
CHANNEL = {"name": "Finance", "kind": "email", "settings": {"to": ["ann@acme.example"]}}


@pytest.mark.parametrize(
    ("path", "made", "one", "other"),
    [
        ("/v1/budgets", BUDGET, lambda turn: {"amount": f"{turn}.00"}, lambda turn: {"owner": f"team {turn}"}),
        ("/v1/alert-channels", CHANNEL, lambda turn: {"digest_hour": turn}, lambda turn: {"owner": f"team {turn}"}),
    ],
)
def test_changes_of_different_fields_at_once_are_both_kept(path, made, one, other):
    headers = {"Authorization": f"Bearer {make_key(make_tenant('acme'), 'admin,read')}"}

    def ask(method, place, body):
        try:
            answer = Client().generic(method, place, json.dumps(body), "application/json", headers=headers)
            assert answer.status_code in (200, 201), answer.content
            return answer.json()
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        place = f"{path}/{pool.submit(ask, 'POST', path, made).result()['id']}"
        for turn in range(2, 14):
            changes = [one(turn), other(turn)]
            list(pool.map(lambda change: ask("PATCH", place, change), changes))
            kept = pool.submit(ask, "PATCH", place, {}).result()
            assert changes[0].items() | changes[1].items() <= kept.items()
