"""What a price of one model would change, asked of a ledger of 1 and of 10 million rows, through the product's reader.

The model is the busiest of 501, some two per cent of a tenant's calls, over 90 days. The yardstick is the same question
answered by a count alone, of the model's rows by their index. Alone: `python -m bench.reratings [ROWS …]`.
"""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

import psycopg

from bench.ledger_rows import fill_history
from bench.rollups import SLUGS, _find_url, _list_tenant_ids, _prepare_months
from tests.installation import run_installation

LEDGER_ROWS = (1_000_000, 10_000_000)
ROUNDS = 3
FIND_BUSIEST_SQL = """
    SELECT provider, model, count(*) FROM ledger_entry WHERE tenant_id = %s
    GROUP BY provider, model ORDER BY count(*) DESC LIMIT 1"""
# Run inside the product, because what is measured is its own way.
PREVIEW = """
import json, time
from datetime import datetime, UTC
from billing.core.rate_documents import read_rates
from billing.reratings import preview_rate
from ledger.calls import CallsOf, count_calls
from tenants.scope import tenant_scope
rate = {{"provider": {provider!r}, "model": {model!r}, "currency": "USD", "effective_from": "2020-01-01T00:00:00Z",
         "meters": {{name: {{"price": "1", "per": 1000000}} for name in ("input", "cache_read", "output")}},
         "source": {{"name": "bench"}}}}
(document,) = read_rates({{"rates": [rate]}})
preview_rate(document, now=datetime.now(UTC))
runs = [preview_rate(document, now=datetime.now(UTC)) for _ in range({rounds})]
began = time.monotonic()
with tenant_scope({tenant_id}, using="reader"):
    calls = CallsOf({tenant_id}, {provider!r}, {model!r}, document.effective_from, None)
    counted = count_calls(calls, using="reader")
counting = time.monotonic() - began
assert all(run.calls == counted for run in runs), (runs[0].calls, counted)
print(json.dumps({{"ms": [run.duration_ms for run in runs], "calls": counted, "counting_ms": counting * 1000,
                  "changed": runs[0].impact.total.entries}}))
"""


def run(ledger_rows: Sequence[int] = LEDGER_ROWS) -> list[dict[str, Any]]:
    """`preview of one model, … rows in the ledger`."""
    results = []
    with run_installation() as installation:
        for slug in SLUGS:
            installation.manage("create_tenant", slug)
        _prepare_months(installation)
        tenant_ids = _list_tenant_ids(installation)
        filled = 0
        for rows in ledger_rows:
            fill_history(_find_url(installation), tenant_ids, rows=rows - filled, now=datetime.now(UTC))
            filled = rows
            with psycopg.connect(_find_url(installation), autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE ledger_entry")
                provider, model, _ = connection.execute(FIND_BUSIEST_SQL, [tenant_ids[0]]).fetchone()
            script = PREVIEW.format(provider=provider, model=model, tenant_id=tenant_ids[0], rounds=ROUNDS)
            measured = json.loads(installation.manage("shell", "--verbosity=0", "--command", script))
            seconds = median(measured["ms"]) / 1000
            results.append(
                {
                    "name": f"preview of one model, {measured['calls']:,} calls, {rows:,} rows in the ledger",
                    "value": round(seconds, 2),
                    "unit": "s",
                    "yardstick": round(measured["counting_ms"] / 1000, 3),
                    "ratio": round(seconds * 1000 / measured["counting_ms"], 1),
                    "runs": [round(milliseconds / 1000, 2) for milliseconds in measured["ms"]],
                }
            )
            print(results[-1], flush=True)
    return results


if __name__ == "__main__":
    run([int(rows) for rows in sys.argv[1:]] or LEDGER_ROWS)
