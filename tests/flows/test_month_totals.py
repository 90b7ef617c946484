"""The demo's months, tenant by tenant: statement, pages, `/v1/costs` and SQL say one number, to the last digit."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

from django.db import connection
from django.test import Client

from audit.core.statement import find_bounds
from audit.files import make_statement_file
from audit.recomputing import recompute_statement
from audit.statements import get_statement
from billing.selectors.periods import list_periods
from tenants.models import User
from tenants.people import create_user
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo, list_tenants
from tests.factories import make_key
from tests.installation import run_installation

DAYS = 40  # of two months at least
COMPARE = "from tests.flows.test_month_totals import print_months; print_months()"
SUM_MONTH = "SELECT sum(billed_cost) FROM ledger_entry WHERE billing_period = %s AND kind <> 'admin_act'"


def test_a_month_costs_the_same_wherever_one_looks():
    with run_installation() as installation:
        installation.manage("seed_demo", "--days", str(DAYS))
        months = json.loads(installation.manage("shell", "--verbosity=0", "--command", COMPARE))
    assert len({month["tenant"] for month in months}) >= 4
    assert len({month["period"] for month in months}) >= 2
    for month in months:
        sources = {name: Decimal(amount) for name, amount in month["sources"].items()}
        assert {"statement", "lines", "JSONL", "CSV", "FOCUS", "API", "SQL"} <= sources.keys()
        assert set(sources.values()) == {sources["SQL"]}, month
        assert month["recomputed"] == "0"
    assert [month for month in months if {"Explore", "Showback"} <= month["sources"].keys()]
    assert sum(Decimal(month["sources"]["SQL"]) for month in months) > 1


def print_months() -> None:
    """Every tenant's months by each source, as JSON; runs inside the installation."""
    email = "auditor@operator.example"
    create_user(email=email, password="correct horse battery staple", role="finance", tenant_slug=None)
    person = Client(SERVER_NAME="127.0.0.1")
    person.force_login(User.objects.get(email=email), backend="allauth.account.auth_backends.AuthenticationBackend")
    print(
        json.dumps(
            [
                read_month(tenant, period, person)
                for tenant in list_tenants()
                for period in list_periods(tenant_id=tenant.id)
            ]
        )
    )


def read_month(tenant: TenantInfo, period: date, person: Client) -> dict[str, object]:
    now = datetime.now(UTC)
    statement = get_statement(tenant=tenant, period=period, now=now)
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(SUM_MONTH, [period])
        (of_sql,) = cursor.fetchone()
    jsonl, lines, focus = (read_file(tenant, period, name) for name in ("jsonl", "csv", "focus"))
    sources = {
        "statement": statement.amount,
        "lines": sum(line.amount for line in statement.lines if line.amount is not None),
        "JSONL": json.loads(jsonl.splitlines()[0])["totals"]["billed_cost"],
        "CSV": sum(Decimal(line["billed_cost"]) for line in read_csv(lines) if line["billed_cost"]),
        "FOCUS": sum(Decimal(row["BilledCost"]) for row in read_csv(focus)),
        "API": ask_costs(tenant, period),
        "SQL": of_sql,
    }
    if tenant.timezone == "UTC":  # else a page's month is another than the statement's
        sources |= {name: ask_page(tenant, period, person, name) for name in ("Explore", "Showback")}
    recomputed = recompute_statement(tenant=tenant, period=period, now=now)
    return {
        "tenant": tenant.slug,
        "period": period.isoformat(),
        "sources": {name: str(amount) for name, amount in sources.items()},
        "recomputed": f"{recomputed.difference:f}" if not recomputed.differing else str(recomputed.differing),
    }


def read_file(tenant: TenantInfo, period: date, name: str) -> str:
    file = make_statement_file(tenant=tenant, period=period, format_name=name, view="provider", now=datetime.now(UTC))
    with file.content:
        return file.content.read().decode()


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def ask_costs(tenant: TenantInfo, period: date) -> str:
    start, end = find_bounds(period)
    key = make_key(tenant, "read")
    answer = Client(SERVER_NAME="127.0.0.1").get(
        "/v1/costs",
        {"from": start.date(), "to": end.date(), "granularity": "total", "timezone": "UTC"},
        headers={"Authorization": f"Bearer {key}"},
    )
    return answer.json()["totals"]["billed_cost"]


def ask_page(tenant: TenantInfo, period: date, person: Client, name: str) -> str:
    """The total of the page's table by feature, from its file: every digit that the page stands on."""
    _, end = find_bounds(period)
    last = date.fromordinal(end.date().toordinal() - 1)
    answer = person.get(
        f"/{name.lower()}/file",
        {
            "tenant": tenant.slug,
            "environment": "all",
            "from": period,
            "to": last,
            "by": "feature",
            "table": "groups" if name == "Explore" else "subjects",
        },
    )
    assert answer.status_code == 200, answer.content
    *_, total = read_csv(answer.content.decode())
    return total["cost"]
