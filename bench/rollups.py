"""Rolling up 100,000 new rows, and reading 90 days, with 1 million and with 10 million rows in the ledger.

The yardstick of the first is the same sums as bare queries over the same rows, run just after and answered to nobody
(EXPLAIN ANALYZE), but for the slices, which are sums of sums: so the ratio is the price of claiming, of looking rows
up, of slicing and of writing. Both run as the application role, under row security, and are committed with fsync on.
Costs, changes and pages are asked for over HTTP from the product's own web server, with as much in the 90 days
before; in the end they are asked for again with as many rollup rows as 100 million entries would make. Takes half an
hour. Alone: `python -m bench.rollups [ROWS …]`.
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from psycopg.conninfo import make_conninfo

from bench.ledger_rows import fill_history, fill_waiting
from finops.environment import ROOT
from tests.installation import DATABASE, HOST, Installation, run_installation

LEDGER_ROWS = (1_000_000, 10_000_000)
NEW_ROWS = 100_000
ROUNDS = 5
SLUGS = ("acme", "globex", "initech")
BERLIN = ZoneInfo("Europe/Berlin")
DAYS = 90
READS = 50  # of each question
# Of the last 90 days, by what they are reported under. Pages and changes read the 90 days before as well.
COSTS, CHANGES = "GET /v1/costs", "GET /v1/costs/changes"
PAGES = {"Overview": "/", "Explore": "/explore", "Showback": "/showback", "Showback of one": "/showback/one"}
OVERVIEW, EXPLORE, SHOWBACK, SUBJECT = PAGES
QUESTIONS = {
    "total by day": (COSTS, {"granularity": "day"}),
    "by day and feature": (COSTS, {"granularity": "day", "group_by": "feature"}),
    "by day and feature, in production": (
        COSTS,
        {"granularity": "day", "group_by": "feature", "environment": "production"},
    ),
    "by cost centre": (COSTS, {"granularity": "total", "group_by": "cost_center"}),
    "by model": (COSTS, {"granularity": "total", "group_by": "model"}),
    "by feature and model": (COSTS, {"granularity": "total", "group_by": ("feature", "model")}),
    "by provider and key": (COSTS, {"granularity": "total", "group_by": ("provider", "key")}),
    "by day, key and cost centre": (COSTS, {"granularity": "day", "group_by": ("key", "cost_center")}),
    "one feature by day and model": (COSTS, {"granularity": "day", "group_by": "model", "feature": "feature-0"}),
    "one key by day and provider": (COSTS, {"granularity": "day", "group_by": "provider", "key": "key1"}),
    "what changed, by feature": (CHANGES, {"group_by": "feature"}),
    "what changed in production, by model": (CHANGES, {"group_by": "model", "environment": "production"}),
    "the Overview": (OVERVIEW, {}),
    "the Overview in production": (OVERVIEW, {"environment": "production"}),
    "Explore by feature": (EXPLORE, {"by": "feature"}),
    "Explore by model": (EXPLORE, {"by": "model"}),
    "Showback by feature": (SHOWBACK, {"by": "feature"}),
    "Showback by model": (SHOWBACK, {"by": "model"}),
    "Showback of a feature": (SUBJECT, {"by": "feature", "value": "feature-0"}),
}
KINDS = (COSTS, CHANGES, *PAGES)


class RowsMissing(AssertionError):
    """The rollups do not hold what was added to them."""


def run(ledger_rows: Sequence[int] = LEDGER_ROWS) -> list[dict[str, Any]]:
    """`rollup`, `rollup at … rows`, and each of KINDS, at 100 million rows' worth of rollups too."""
    with run_installation() as installation:
        for slug in SLUGS:
            installation.manage("create_tenant", slug, "--timezone", BERLIN.key)
        key = installation.manage("create_api_key", SLUGS[0], "--scopes", "read")
        _prepare_months(installation)
        tenant_ids = _list_tenant_ids(installation)
        installation.start_service("web")
        installation.wait_for_web()
        headers = ({"Authorization": f"Bearer {key}"}, {"Cookie": _run_within(installation, "sign-in")})
        rollups, reads, filled = [], [], 0
        for rows in ledger_rows:
            now = datetime.now(UTC)
            fill_history(_find_url(installation), tenant_ids, rows=rows - filled, now=now)
            filled = rows
            _make_rollups(installation)
            _print(f"{_count_entries(installation):,} entries in the ledger")
            rollups.append([_measure_rollup(installation, tenant_ids) for _ in range(ROUNDS)])
            filled += ROUNDS * NEW_ROWS
            _make_days_before(installation)
            reads.append(_measure_reads(installation.port, headers))
        _make_rollups_of_many_more_rows(installation)
        reads.append(_measure_reads(installation.port, headers))
        _check_rollups(installation)
    return _write_results(ledger_rows, rollups, reads)


def _write_results(
    ledger_rows: Sequence[int],
    rollups: Sequence[Sequence[Mapping[str, float]]],
    reads: Sequence[Mapping[str, float]],
) -> list[dict[str, Any]]:
    results = []
    first = median(turn["seconds"] for turn in rollups[0])
    for rows, turns in zip(ledger_rows, rollups, strict=True):
        ratios = [round(turn["seconds"] / turn["yardstick"], 2) for turn in turns]
        results.append(
            {
                "name": f"rollup of {NEW_ROWS:,} rows, {rows:,} in the ledger",
                "value": round(median(turn["seconds"] for turn in turns), 2),
                "unit": "s",
                "yardstick": round(median(turn["yardstick"] for turn in turns), 2),
                "ratio": median(ratios),
                "runs": ratios,
            }
        )
    last = [turn["seconds"] for turn in rollups[-1]]
    results.append(
        {
            "name": f"rollup at {ledger_rows[-1]:,} rows beside {ledger_rows[0]:,}",
            "value": round(median(last), 2),
            "unit": "s",
            "yardstick": round(first, 2),
            "ratio": round(median(last) / first, 2),
            "runs": [round(seconds / first, 2) for seconds in last],
        }
    )
    sizes = [*(f"{rows:,} rows in the ledger" for rows in ledger_rows), "rollups of 100,000,000 rows"]
    results += [
        {
            "name": f"{kind}, {DAYS} days, p95, {size}",
            "value": round(times[kind], 1),
            "unit": "ms",
            "yardstick": round(reads[0][kind], 1),
            "ratio": round(times[kind] / reads[0][kind], 2),
            "runs": [round(times[kind], 1)],
        }
        for kind in KINDS
        for size, times in zip(sizes, reads, strict=True)
    ]
    return results


def _print(line: str) -> None:
    print(f"rollups: {line}", file=sys.stderr, flush=True)


# --- the ledger ---


def _find_url(installation: Installation) -> str:
    return make_conninfo(installation.postgresql.url, dbname=DATABASE)


def _prepare_months(installation: Installation) -> None:
    with installation.connect() as connection:
        connection.execute("SELECT ensure_partition(now() - interval '38 days')")


def _list_tenant_ids(installation: Installation) -> list[int]:
    with installation.connect() as connection:
        rows = connection.execute("SELECT id FROM tenant WHERE NOT is_operator ORDER BY slug").fetchall()
    return [tenant_id for (tenant_id,) in rows]


def _count_entries(installation: Installation) -> int:
    with installation.connect() as connection:
        return connection.execute("SELECT count(*) FROM ledger_entry WHERE kind = 'usage'").fetchone()[0]


def _make_rollups(installation: Installation) -> None:
    """Of the rows that were filled in; with statistics as autovacuum would have made them by then."""
    start = time.perf_counter()
    _run_within(installation, "rebuild")
    _print(f"rollups made from the ledger in {time.perf_counter() - start:.0f} s")
    with installation.connect() as connection:
        connection.execute("VACUUM ANALYZE")


# As much as now; thirteen weeks, so that a Monday stays one.
COPY_DAYS_SQL = """
    INSERT INTO cost_day
    SELECT tenant_id, day - 91, date_trunc('month', day - 91)::date, environment, feature, cost_center, provider, model,
           operation, service_tier, api_key_id, calls,
           unpriced_calls, error_calls, input_tokens, cache_read_tokens, cache_write_tokens,
           cache_write_1h_tokens, output_tokens, reasoning_tokens, input_cost, cache_read_cost, cache_write_cost,
           output_cost, other_cost, billed_cost, list_cost, saved_cost, reported_cost
    FROM cost_day WHERE day > current_date - 91
    ORDER BY tenant_id, day
    ON CONFLICT DO NOTHING"""
# Every day holds every combination that occurs in any: more days would not make more rows.
FILL_DAYS_SQL = """
    INSERT INTO cost_day
    SELECT tenant_id, day::date, date_trunc('month', day)::date, environment, feature, cost_center, provider, model,
           operation, service_tier, api_key_id, 10, 0, 0, 10, 0, 0, 0, 10, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0
    FROM (SELECT DISTINCT tenant_id, environment, feature, cost_center, provider, model, operation, service_tier,
                 api_key_id FROM cost_day) AS used
    CROSS JOIN generate_series(current_date - 2 * %s::int, current_date, interval '1 day') AS day
    ORDER BY tenant_id, day
    ON CONFLICT DO NOTHING"""


def _make_days_before(installation: Installation) -> None:
    """Of the 90 days before, in days and slices alone: the ledger has none of it."""
    _change_days(installation, COPY_DAYS_SQL)


def _make_rollups_of_many_more_rows(installation: Installation) -> None:
    _change_days(installation, FILL_DAYS_SQL)


def _change_days(installation: Installation, statement: str) -> None:
    """Add days by hand, and make the slices from all days again."""
    with installation.connect() as connection:
        added = connection.execute(statement, [DAYS] if "%s" in statement else None).rowcount
        _run_within(installation, "slice")
        connection.execute("VACUUM ANALYZE cost_day")
        connection.execute("VACUUM ANALYZE cost_slice")
        days, slices = connection.execute(
            "SELECT (SELECT count(*) FROM cost_day), (SELECT count(*) FROM cost_slice)"
        ).fetchone()
    _print(f"{added:,} rows added to cost_day, which has {days:,} now, and cost_slice {slices:,}")


def _check_rollups(installation: Installation) -> None:
    """The hours, which nothing was added to by hand, hold exactly the ledger's calls. Raises RowsMissing."""
    with installation.connect() as connection:
        ledger, rollups, waiting = connection.execute("""
            SELECT (SELECT (count(*), sum(billed_cost))::text FROM ledger_entry WHERE kind = 'usage'),
                   (SELECT (sum(calls), sum(billed_cost))::text FROM cost_hour),
                   (SELECT count(*) FROM outbox WHERE topic = 'rollup')
            """).fetchone()
    if ledger != rollups or waiting:
        raise RowsMissing(f"ledger {ledger}, rollups {rollups}, {waiting} batches waiting")


# --- rolling up ---


def _measure_rollup(installation: Installation, tenant_ids: Sequence[int]) -> dict[str, float]:
    """Seconds that NEW_ROWS rows took to be added, and the bare sums over them."""
    fill_waiting(_find_url(installation), tenant_ids, rows=NEW_ROWS, now=datetime.now(UTC), spread=timedelta(hours=1))
    turn = json.loads(_run_within(installation, "apply"))
    _print(f"{turn['entries']:,} rows in {turn['seconds']:.2f} s, bare sums in {turn['yardstick']:.2f} s")
    if turn["entries"] != NEW_ROWS:
        raise RowsMissing(f"{turn['entries']} rows were added")
    return turn


def _run_within(installation: Installation, work: str) -> str:
    """Run a part of this file in a process of the installation, as the application role; its last line."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.rollups", f"--{work}"],
        env=installation.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return (done.stdout.splitlines() or [""])[-1]


def rebuild_all() -> None:
    """Within an installation: make every tenant's rollups from the ledger."""
    from billing.rollups import rebuild_rollups
    from tenants.selectors import list_tenants

    for tenant in list_tenants():
        rebuild_rollups(tenant_id=tenant.id, now=datetime.now(UTC))


def slice_all() -> None:
    """Within an installation: make every tenant's slices from its days, whatever the ledger says."""
    from django.db import connection
    from psycopg.sql import SQL

    from billing.rollups.batches import SET_WORK_MEMORY_SQL
    from billing.rollups.tables import (
        COST_SLICE,
        HISTOGRAM_SLICE,
        clear_rows_of,
        list_names,
        sum_histogram_slices,
        sum_slices,
    )
    from tenants.scope import tenant_scope
    from tenants.selectors import list_tenants

    days = SQL("SELECT * FROM {} WHERE tenant_id = %(tenant_id)s")
    for table, sums in (
        (COST_SLICE, sum_slices(days.format(SQL("cost_day")))),
        (HISTOGRAM_SLICE, sum_histogram_slices(days.format(SQL("histogram")))),
    ):
        columns = list_names(table.columns)
        fill = SQL("INSERT INTO {} (tenant_id, {}) SELECT %(tenant_id)s, {} FROM ({}) AS summed ORDER BY {}").format(
            SQL(table.name), columns, columns, sums, list_names(table.keys)
        )
        for tenant in list_tenants():
            with tenant_scope(tenant.id), connection.cursor() as cursor:
                cursor.execute(SET_WORK_MEMORY_SQL)
                for statement in (clear_rows_of(table), fill):
                    cursor.execute(statement, {"tenant_id": tenant.id})


def sign_in() -> str:
    """Within an installation: the cookie of a person of the first tenant."""
    from django.conf import settings

    from tenants.selectors import list_tenants
    from tests.dashboards import pages

    (tenant,) = [tenant for tenant in list_tenants() if tenant.slug == SLUGS[0]]
    cookie = pages.sign_in(tenant).cookies[settings.SESSION_COOKIE_NAME]
    return f"{cookie.key}={cookie.value}"


def apply_all() -> dict[str, float]:
    """Within an installation: add what waits, and the same sums bare, tenant by tenant."""
    from django.db import connection

    from billing.rollups.batches import apply_claim

    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT tenant_id, array_agg(batch_id), min(recorded_at), max(recorded_at), sum(entry_count)
            FROM outbox WHERE topic = 'rollup' GROUP BY tenant_id ORDER BY tenant_id""")
        claims = cursor.fetchall()
    now = datetime.now(UTC)
    turn = {"seconds": 0.0, "yardstick": 0.0, "entries": 0}
    for tenant_id, batch_ids, first, last, entries in claims:
        start = time.perf_counter()
        while apply_claim(tenant_id=tenant_id, now=now):
            pass
        between = time.perf_counter()
        _sum_bare(tenant_id, batch_ids, first, last, now=now)
        turn["seconds"] += between - start
        turn["yardstick"] += time.perf_counter() - between
        turn["entries"] += int(entries)
    return turn


def _sum_bare(tenant_id: int, batch_ids: Sequence[object], first: datetime, last: datetime, *, now: datetime) -> None:
    """Each rollup's GROUP BY as a plain query over the rows of these batches."""
    from django.db import connection
    from psycopg.sql import SQL

    from billing.rollups.batches import SET_WORK_MEMORY_SQL
    from billing.rollups.retention import first_minute_kept
    from billing.rollups.tables import COST_SLICE, HISTOGRAM_SLICE, TABLES
    from tenants.scope import tenant_scope

    bare = SQL("""
        EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF)
        WITH entry AS (
            SELECT * FROM ledger_entry
            WHERE tenant_id = %(tenant_id)s AND batch_id = ANY(%(batch_ids)s)
              AND recorded_at BETWEEN %(first)s AND %(last)s)
        {sums}""")
    values = {
        "tenant_id": tenant_id,
        "batch_ids": batch_ids,
        "first": first,
        "last": last,
        "minutes_from": first_minute_kept(now),
    }
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(SET_WORK_MEMORY_SQL)
        for table in TABLES:
            if table not in (COST_SLICE, HISTOGRAM_SLICE):
                cursor.execute(bare.format(sums=table.sums), values)


# --- reading ---


def _measure_reads(port: int, headers: tuple[Mapping[str, str], Mapping[str, str]]) -> dict[str, float]:
    """The 95th percentile of the questions of each kind, in milliseconds. headers: a program's, and a person's."""
    today = datetime.now(BERLIN).date()
    first, after = str(today - timedelta(days=DAYS - 1)), str(today + timedelta(days=1))
    connection = http.client.HTTPConnection(HOST, port)
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for name, (kind, question) in QUESTIONS.items():
        # The last day of a page's address belongs to the period.
        is_page = kind in PAGES
        to, path = (str(today), PAGES[kind]) if is_page else (after, kind.removeprefix("GET "))
        address = f"{path}?{urlencode({'from': first, 'to': to, **question}, doseq=True)}"
        taken = [_ask(connection, address, headers[is_page]) for _ in range(READS + 5)][5:]
        times[kind] += taken
        _print(f"{name}: p50 {median(taken):.0f} ms, p95 {quantiles(taken, n=20)[-1]:.0f} ms")
    connection.close()
    return {kind: quantiles(taken, n=20)[-1] for kind, taken in times.items()}


def _ask(connection: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> float:
    start = time.perf_counter()
    connection.request("GET", path, headers=dict(headers))
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"answered {answer.status}: {body[:300]!r}")
    return (time.perf_counter() - start) * 1000


# What the processes of an installation do, by the option that asks for it.
WORKS = {"--apply": apply_all, "--rebuild": rebuild_all, "--slice": slice_all, "--sign-in": sign_in}

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in WORKS:
        import django

        django.setup()
        done = WORKS[sys.argv[1]]()
        print(done if isinstance(done, str) else json.dumps(done))
    else:
        for result in run(tuple(int(argument.replace("_", "")) for argument in sys.argv[1:]) or LEDGER_ROWS):
            print(json.dumps(result))
