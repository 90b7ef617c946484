"""A month of one tenant's entries: as a statement, as FOCUS, and row by row as CSV; time, and memory of the process.

The yardstick of the rows is PostgreSQL's own `COPY … TO STDOUT` of the same rows, every column as it stands, read by
the same client in the same run and thrown away; that of the statement one bare sum over them. Each is asked for once
before it is measured. Alone: `python -m bench.audit [ROWS [PART …]]`; 5 million take a quarter of an hour.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import psycopg

from bench.ledger_rows import fill_month
from bench.rollups import _find_url
from tests.installation import run_installation

ROWS = 5_000_000
ROUNDS = 3
MEMORY_MB_MAX = 150
COPY_MONTH = """COPY (SELECT * FROM ledger_entry WHERE tenant_id = {tenant_id} AND billing_period = '{period}')
    TO STDOUT (FORMAT csv)"""
SUM_MONTH = "SELECT sum(billed_cost) FROM ledger_entry WHERE tenant_id = {tenant_id} AND billing_period = '{period}'"

# Run inside the product, because what is measured is its own way; each in a process of its own, whose memory counts.
ROWS_SCRIPT = """
from audit.rows import stream_rows
size = sum(len(data) for data in stream_rows(tenant_id={tenant_id}, period=period))
"""
STATEMENT_SCRIPT = """
from audit.statements import get_statement
statement = get_statement(tenant=get_tenant_by_id({tenant_id}), period=period, now=datetime.now(UTC))
size = len(statement.lines)
"""
RECOMPUTE_SCRIPT = """
from audit.recomputing import recompute_statement
found = recompute_statement(tenant=get_tenant_by_id({tenant_id}), period=period, now=datetime.now(UTC))
size = found.groups
"""
FOCUS_SCRIPT = """
from audit.files import make_statement_file
tenant = get_tenant_by_id({tenant_id})
file = make_statement_file(tenant=tenant, period=period, format_name="focus", now=datetime.now(UTC))
size = file.size
"""
SCRIPT = """
import json, resource, time
from datetime import date, datetime, UTC
from tenants.selectors import get_tenant_by_id
period = date.fromisoformat("{period}")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.monotonic()
{script}
seconds = time.monotonic() - began
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({{"seconds": seconds, "size": size, "mb": after / 1000, "grown_mb": (after - before) / 1000}}))
"""
PARTS = {
    "rows as CSV": (ROWS_SCRIPT, "copy"),
    "statement": (STATEMENT_SCRIPT, "sum"),
    "recomputing": (RECOMPUTE_SCRIPT, "sum"),
    "FOCUS as CSV": (FOCUS_SCRIPT, "sum"),
}


def run(rows: int = ROWS, parts: Sequence[str] = tuple(PARTS)) -> list[dict[str, Any]]:
    """`rows as CSV`, `statement`, `recomputing` and `FOCUS as CSV` of a month, and the memory of the greatest."""
    results, peaks = [], []
    with run_installation() as installation:
        installation.manage("create_tenant", "acme")
        url = _find_url(installation)
        now = datetime.now(UTC)
        period = now.date().replace(day=1)
        with psycopg.connect(url, autocommit=True) as connection:
            (tenant_id,) = connection.execute("SELECT id FROM tenant WHERE slug = 'acme'").fetchone()
            start = datetime(now.year, now.month, 1, tzinfo=UTC)
            fill_month(url, tenant_id, rows=rows, start=start, end=min(now, start + timedelta(days=27)))
            connection.execute("VACUUM ANALYZE ledger_entry")
        place = {"tenant_id": tenant_id, "period": period.isoformat()}
        for name, (script, against) in [(name, PARTS[name]) for name in parts]:
            runs = []
            for _ in range(ROUNDS):
                yardstick = _copy(url, place) if against == "copy" else _sum(url, place)
                measured = _measure(installation, script, place)
                runs.append((measured["seconds"], yardstick))
                peaks.append(measured["mb"])
                print(
                    f"{name}: {measured}, yardstick {yardstick:.2f} s, load {os.getloadavg()[0]:.1f}", file=sys.stderr
                )
            # A speed of the rows, a time of the others.
            ratios = [y / s if against == "copy" else s / y for s, y in runs]
            results.append(
                {
                    "name": f"{name} of a month of {rows:,} entries",
                    "value": round(median(seconds for seconds, _ in runs), 2),
                    "unit": "s",
                    "yardstick": round(median(yardstick for _, yardstick in runs), 2),
                    "ratio": round(median(ratios), 2),
                    "runs": [round(ratio, 2) for ratio in ratios],
                }
            )
    results.append(
        {
            "name": f"memory of a process that writes a month of {rows:,} entries",
            "value": round(max(peaks)),
            "unit": "MB",
            "yardstick": MEMORY_MB_MAX,
            "ratio": round(max(peaks) / MEMORY_MB_MAX, 2),
            "runs": [round(peak) for peak in peaks],
        }
    )
    return results


def _measure(installation: Any, script: str, place: Mapping[str, Any]) -> dict[str, float]:
    text = SCRIPT.format(script=script.format(**place), **place)
    return json.loads(installation.manage("shell", "--verbosity=0", "--command", text))


def _copy(url: str, place: Mapping[str, Any]) -> float:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        began = time.monotonic()
        with cursor.copy(COPY_MONTH.format(**place)) as copy:
            for _ in copy:
                pass
        return time.monotonic() - began


def _sum(url: str, place: Mapping[str, Any]) -> float:
    with psycopg.connect(url) as connection:
        began = time.monotonic()
        connection.execute(SUM_MONTH.format(**place)).fetchone()
        return time.monotonic() - began


if __name__ == "__main__":
    for result in run(int((sys.argv[1:] or [ROWS])[0]), sys.argv[2:] or tuple(PARTS)):
        print(result)
