"""Looking at 10,000 budgets of 1,000 tenants at once, as the job does each minute, through the product's reader.

A tenant has 10 budgets: of all it uses by the hour, day and month, and by the week or month of features, a cost centre,
a model, a key and a user; a third of the tenants in each of three zones. Rollups hold 60 days of six kinds of calls.
The yardstick is the sums alone: one bare GROUP BY for each kind of budget, over everybody's rollups, answered to the
same process. Measured when every window has changed, so that all of it is written, and when nothing has.
Alone: `python -m bench.budgets [TENANTS]`.
"""

import json
import sys
from typing import Any

from psycopg.sql import SQL

from bench.setting import make_result
from billing.rollups.tables import COST_SLICE, list_names, sum_slices
from tests.installation import Installation, run_installation

TENANTS = 1_000
ROUNDS = 5
ADD_TENANTS_SQL = """
    INSERT INTO tenant (slug, name, timezone, is_operator, is_demo, created_at)
    SELECT 'tenant-' || n, 'Tenant ' || n, (ARRAY['UTC', 'Europe/Berlin', 'America/New_York'])[n %% 3 + 1], false,
           false, now() - interval '1 year'
    FROM generate_series(1, %(tenants)s) AS n"""
# Six kinds of calls each hour: what else a rollup holds is nothing.
KINDS = """
    (SELECT 'feature-' || k % 3 AS feature, 'centre-' || k % 2 AS cost_center, 'model-' || k % 2 AS model,
            'key-' || k % 2 AS api_key_id, k * 0.01 AS cost
     FROM generate_series(1, 6) AS k) AS kind"""
ADD_HOURS_SQL = f"""
    INSERT INTO cost_hour ({{columns}})
    SELECT tenant.id, hour, date_trunc('month', hour)::date, 'production', feature, cost_center, 'maker', model, 'chat',
           'standard', api_key_id, {{values}}
    FROM tenant, generate_series(date_trunc('hour', now()) - interval '1 day', now(), interval '1 hour') AS hour,
         {KINDS}
    WHERE NOT is_operator"""
ADD_DAYS_SQL = f"""
    INSERT INTO cost_day ({{columns}})
    SELECT tenant.id, day::date, date_trunc('month', day)::date, 'production', feature, cost_center, 'maker', model,
           'chat', 'standard', api_key_id, {{values}}
    FROM tenant, generate_series(now()::date - 60, now()::date, interval '1 day') AS day, {KINDS}
    WHERE NOT is_operator"""
ADD_USERS_SQL = """
    INSERT INTO cost_user_hour ({columns})
    SELECT tenant.id, day + hour * interval '1 hour', 'production', 'feature-0', 'model-0', user_ref, {values}
    FROM tenant, generate_series(date_trunc('month', now()), now(), interval '1 day') AS day,
         generate_series(8, 17) AS hour, unnest(ARRAY['ada', 'bob', 'eve']) AS user_ref
    WHERE NOT is_operator"""
ADD_SLICES = SQL(
    "INSERT INTO cost_slice (tenant_id, {columns}) SELECT %(tenant_id)s, {columns} FROM ({sums}) AS summed"
)
ADD_BUDGETS_SQL = """
    INSERT INTO budget (tenant_id, name, scope, time_window, amount, currency, actions, per_request, rollover, owner,
                        channel_ids, created_by, created_at, changed_at)
    SELECT tenant.id, time_window || scope, scope::jsonb, time_window, 1000000, 'USD',
           '[{"at_percent": 80, "do": "notify"}, {"at_percent": 100, "do": "throttle"}]',
           '{}', false, '', '{}', 'bench', now() - interval '1 year', now() - interval '1 year'
    FROM tenant, (VALUES
        ('month', '{}'), ('month', '{"feature": "feature-0"}'), ('month', '{"feature": "feature-1"}'),
        ('month', '{"cost_center": "centre-0"}'), ('month', '{"model": "model-1"}'), ('month', '{"key": "key-1"}'),
        ('month', '{"user": "ada"}'), ('week', '{"feature": "feature-2"}'), ('day', '{}'), ('hour', '{}'))
        AS wanted (time_window, scope)
    WHERE NOT is_operator"""
# As if every window had moved since the last run.
MOVE_WINDOWS_SQL = "UPDATE budget_window SET spent = spent + 1"
MEASURE = """
import json, time
from datetime import UTC, datetime
from django.db import connections
from alerts.evaluation import evaluate_budgets
now = datetime.now(UTC)
began = time.monotonic()
done = evaluate_budgets(now=now, since=now)
took = time.monotonic() - began
month = "day >= date_trunc('month', now())::date"
slices = (
    "SELECT tenant_id, {0} sum(billed_cost) FROM cost_slice"
    " WHERE slice = '{1}' AND span = 'day' AND {2} GROUP BY {3}"
)
bare = [
    slices.format("", "total", month, "1"), slices.format("feature,", "feature", month, "1, 2"),
    slices.format("cost_center,", "cost_center", month, "1, 2"), slices.format("model,", "model", month, "1, 2"),
    slices.format("api_key_id,", "key", month, "1, 2"), slices.format("", "total", "day = now()::date", "1"),
    slices.format("feature,", "feature", "day >= date_trunc('week', now())::date", "1, 2"),
    "SELECT tenant_id, sum(billed_cost) FROM cost_hour WHERE hour = date_trunc('hour', now()) GROUP BY 1",
    "SELECT tenant_id, user_ref, sum(billed_cost) FROM cost_user_hour"
    " WHERE hour >= date_trunc('month', now()) AND user_ref = 'ada' GROUP BY 1, 2",
]
began = time.monotonic()
with connections["reader"].cursor() as cursor:
    for statement in bare:
        cursor.execute(statement)
        cursor.fetchall()
print(json.dumps({"took": took, "bare": time.monotonic() - began, "windows": done.windows, "changed": done.changed}))
"""


class BudgetsMissed(AssertionError):
    """The run did not look at every budget, or did not write what had changed."""


def run(tenants: int = TENANTS) -> list[dict[str, Any]]:
    """`10,000 budgets, all changed` and `… none changed`."""
    with run_installation() as installation:
        _fill(installation, tenants)
        _measure(installation, changed_min=10 * tenants)  # which also reads what nobody has read yet
        moved, still = [], []
        for _ in range(ROUNDS):
            with installation.connect() as connection:
                connection.execute(MOVE_WINDOWS_SQL)
            moved.append(_measure(installation, changed_min=10 * tenants))
            still.append(_measure(installation, changed_min=0))
    return [
        make_result(
            f"{10 * tenants:,} budgets of {tenants:,} tenants, {what}",
            values=[run["took"] for run in runs],
            unit="s",
            yardsticks=[run["bare"] for run in runs],
        )
        for what, runs in (("all changed", moved), ("none changed", still))
    ]


def _fill(installation: Installation, tenants: int) -> None:
    with installation.connect() as connection:
        connection.execute(ADD_TENANTS_SQL, {"tenants": tenants})
        for table, statement in (
            ("cost_hour", ADD_HOURS_SQL), ("cost_day", ADD_DAYS_SQL), ("cost_user_hour", ADD_USERS_SQL),
        ):  # fmt: skip
            columns, cost = _list_columns(connection, table), {"cost_user_hour": "0.01"}.get(table, "cost")
            keys = {"cost_user_hour": 6}.get(table, 11)
            values = [cost if name == "billed_cost" else "0" for name in columns[keys:]]
            connection.execute(statement.format(columns=", ".join(columns), values=", ".join(values)))
        for (tenant_id,) in connection.execute("SELECT id FROM tenant WHERE NOT is_operator").fetchall():
            days = SQL("SELECT * FROM cost_day WHERE tenant_id = %(tenant_id)s")
            columns = list_names(COST_SLICE.columns)
            connection.execute(ADD_SLICES.format(columns=columns, sums=sum_slices(days)), {"tenant_id": tenant_id})
        connection.execute(ADD_BUDGETS_SQL)
        connection.execute("VACUUM ANALYZE")


def _list_columns(connection: Any, table: str) -> list[str]:
    listed = "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"
    return [name for (name,) in connection.execute(listed, [table]).fetchall()]


def _measure(installation: Installation, *, changed_min: int) -> dict[str, Any]:
    """One run. Just after an hour or a day there are the windows before as well."""
    measured = json.loads(installation.manage("shell", "--verbosity=0", "--command", MEASURE))
    if measured["changed"] < changed_min or (not changed_min and measured["changed"]):
        raise BudgetsMissed(measured)
    return measured


if __name__ == "__main__":
    for result in run(*map(int, sys.argv[1:2])):
        print(result)
