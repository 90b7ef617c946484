"""Looking for anomalies in the hour that is over, of 1,000 tenants with 20 series each, as the job does.

A tenant spends with 10 features, 5 models and 4 keys in every hour of 15 days: with the sum of all, 20 series of
337 hours. The yardstick is the read alone: one bare GROUP BY of those two weeks by tenant, hour and each dimension,
counted and not answered. Alone: `python -m bench.watching [TENANTS]`.
"""

import json
import sys
from typing import Any

from bench.budgets import ADD_TENANTS_SQL
from bench.setting import make_result
from tests.installation import Installation, run_installation

TENANTS = 1_000
ROUNDS = 3
# An hour costs between 1 and 1.4 USD, as a hash of it says: none is a spike.
ADD_HOURS_SQL = """
    INSERT INTO cost_hour ({columns})
    SELECT tenant.id, hour, date_trunc('month', hour)::date, 'production', 'feature-' || k, '', 'maker',
           'model-' || k %% 5, 'chat', 'standard', 'key-' || k %% 4, {values}
    FROM tenant, generate_series(date_trunc('hour', now()) - interval '15 days', now(), interval '1 hour') AS hour,
         generate_series(1, 10) AS k
    WHERE NOT is_operator"""
COST = "0.1 + mod(abs(hashint4(tenant.id::integer * 10 + k) + extract(hour FROM hour)::integer), 5) * 0.01"
MEASURE = """
import json, time
from datetime import UTC, datetime
from django.db import connections
from alerts.anomalies.runs import watch_hours
now = datetime.now(UTC)
began = time.monotonic()
told = watch_hours(now=now)
took = time.monotonic() - began
bare = '''
    SELECT count(*) FROM (
        SELECT tenant_id, feature, model, api_key_id, hour, sum(billed_cost) FROM cost_hour
        WHERE hour >= date_trunc('hour', now()) - interval '338 hours'
        GROUP BY tenant_id, hour, GROUPING SETS ((), (feature), (model), (api_key_id))) AS summed'''
began = time.monotonic()
with connections["reader"].cursor() as cursor:
    cursor.execute(bare)
print(json.dumps({"took": took, "bare": time.monotonic() - began, "found": told.found}))
"""


def run(tenants: int = TENANTS) -> list[dict[str, Any]]:
    """`an hour of 20,000 series of 1,000 tenants`."""
    with run_installation() as installation:
        _fill(installation, tenants)
        runs = [_measure(installation) for _ in range(ROUNDS + 1)][1:]  # the first reads what nobody has read yet
    return [
        make_result(
            f"an hour of {20 * tenants:,} series of {tenants:,} tenants",
            values=[one["took"] for one in runs],
            unit="s",
            yardsticks=[one["bare"] for one in runs],
        ),
    ]


def _fill(installation: Installation, tenants: int) -> None:
    with installation.connect() as connection:
        connection.execute(ADD_TENANTS_SQL, {"tenants": tenants})
        rows = connection.execute(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = 'cost_hour'::regclass AND attnum > 0"
            " AND NOT attisdropped ORDER BY attnum"
        ).fetchall()
        columns = [name for (name,) in rows]
        values = [COST if name == "billed_cost" else "1" if name == "calls" else "0" for name in columns[11:]]
        connection.execute(ADD_HOURS_SQL.format(columns=", ".join(columns), values=", ".join(values)), {})
        connection.execute("ANALYZE cost_hour")


def _measure(installation: Installation) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(installation.manage("shell", "--verbosity=0", "--command", MEASURE))
    return found


if __name__ == "__main__":
    for result in run(*map(int, sys.argv[1:2])):
        print(json.dumps(result))
