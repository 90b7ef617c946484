"""Ingest over HTTP, in batches and one by one, each beside its yardstick in the same minute.

Batches: 1,000 events a request, beside a binary COPY of the same rows, ready made, into the same table: one backend,
a superuser, a commit every 1,000 rows. Singles: 64 connections, beside the same server answering a view that does
nothing. Rows are counted afterwards. Alone: `python -m bench.ingest`.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

import psycopg

from bench.events import EventMaker
from bench.setting import Setting, describe_database, describe_machine, make_result, post_batches, run_setting

ROUNDS = 7
BATCHES = 40  # a round
BATCH_SIZE = 1_000
BATCH_CONNECTIONS = 4
SINGLE_CONNECTIONS = 64
SINGLE_SECONDS = 4
YARDSTICK_TENANT_ID = 900_000


class RowsMissing(AssertionError):
    """The ledger does not hold what was acknowledged."""


def run() -> list[dict[str, Any]]:
    """`batch ingest`, `single ingest` and the latter's 99th percentile."""
    with run_setting() as setting:
        maker = EventMaker(setting.models, seed=1)
        post_batches(setting, [maker.make_batch(BATCH_SIZE) for _ in range(8)], connections=BATCH_CONNECTIONS)
        print("\n".join(describe_database(setting)), file=sys.stderr)
        return [*measure_batches(setting, maker), *measure_singles(setting)]


# --- batches ---


def measure_batches(setting: Setting, maker: EventMaker, *, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    ours, theirs = [], []
    for number in range(rounds):
        bodies = [maker.make_batch(BATCH_SIZE) for _ in range(BATCHES)]
        before = setting.count_entries()
        start = time.perf_counter()
        accepted = post_batches(setting, bodies, connections=BATCH_CONNECTIONS)
        ours.append(accepted / (time.perf_counter() - start))
        check_rows(setting.count_entries() - before, acknowledged=accepted, sent=BATCHES * BATCH_SIZE)
        theirs.append(_copy_rows(setting, YARDSTICK_TENANT_ID + number))
    return [make_result("batch ingest", values=ours, unit="events/s", yardsticks=theirs)]


READ_LAST_BATCHES_SQL = """
    SELECT batch_id, recorded_at FROM ledger_batch WHERE tenant_id = %s ORDER BY recorded_at DESC LIMIT %s"""
LIST_COLUMNS_SQL = """
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
    WHERE attrelid = 'ledger_entry'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'tenant_id'"""


def _copy_rows(setting: Setting, tenant_id: int) -> float:
    """Rows a second when the rows that were just booked are copied in again, for another tenant."""
    with setting.installation.connect() as connection:
        (columns,) = connection.execute(LIST_COLUMNS_SQL).fetchone()
        batches = connection.execute(READ_LAST_BATCHES_SQL, [setting.tenant_id, BATCHES]).fetchall()
        ready = [_read_rows(connection, columns, tenant_id, setting.tenant_id, *batch) for batch in batches]
        start = time.perf_counter()
        for rows in ready:
            with connection.cursor().copy(
                f"COPY ledger_entry (tenant_id, {columns}) FROM STDIN (FORMAT binary)"
            ) as copy:
                copy.write(rows)
        seconds = time.perf_counter() - start
        statement = "SELECT count(*) FROM ledger_entry WHERE tenant_id = %s"
        (count,) = connection.execute(statement, [tenant_id]).fetchone()
    if count != BATCHES * BATCH_SIZE:
        raise RowsMissing(f"{count} rows were copied")
    return count / seconds


def _read_rows(connection: psycopg.Connection, columns: str, new_id: int, *batch: object) -> bytes:
    query = f"""
        COPY (SELECT {new_id}::bigint, {columns} FROM ledger_entry
              WHERE tenant_id = %s AND batch_id = %s AND recorded_at = %s) TO STDOUT (FORMAT binary)"""
    with connection.cursor().copy(query, batch) as copy:
        return b"".join(copy)


def check_rows(booked: int, *, acknowledged: int, sent: int) -> None:
    """All that was acknowledged, and no more than was sent."""
    if not acknowledged <= booked <= sent:
        raise RowsMissing(f"{sent} sent, {acknowledged} acknowledged, {booked} booked")


# --- singles ---


@dataclass(frozen=True, slots=True)
class Load:
    """What a load generator counted."""

    requests: int
    per_second: float
    p99_ms: float
    refused: int


def measure_singles(setting: Setting, *, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    ours: list[Load] = []
    theirs: list[Load] = []
    for number in range(rounds):
        theirs.append(_load(setting, "/empty", number))
        before = setting.count_entries()
        ours.append(_load(setting, "/v1/events", number))
        booked = setting.count_entries() - before
        acknowledged = ours[-1].requests - ours[-1].refused
        # What was under way when the clock stopped may be booked without its answer being counted.
        check_rows(booked, acknowledged=acknowledged, sent=ours[-1].requests + SINGLE_CONNECTIONS)
        if ours[-1].refused:
            raise RowsMissing(f"{ours[-1].refused} requests were refused")
    rates = [load.per_second for load in ours]
    result = make_result(
        "single ingest", values=rates, unit="events/s", yardsticks=[load.per_second for load in theirs]
    )
    slowest = [load.p99_ms for load in ours]
    return [
        result,
        {
            "name": "single ingest, 99th percentile",
            "value": round(median(slowest), 1),
            "unit": "ms",
            "yardstick": 150,
            "ratio": round(median(slowest) / 150, 3),
            "runs": [round(value, 1) for value in slowest],
        },
    ]


# wrk calls request() for each request; the pieces are chosen so that no id comes twice in any round.
WRK_SCRIPT = """
local round = "%(round)s"
local models = {%(models)s}
local number = 0
math.randomseed(%(seed)d)
local head = {["Authorization"] = "Bearer %(key)s", ["Content-Type"] = "application/json"}
request = function()
  number = number + 1
  local total, output = math.random(200, 20000), math.random(1, 2000)
  local body = string.format(%(template)s, round, number, os.date("!%%Y-%%m-%%dT%%H:%%M:%%S"),
    number %% 1000000, models[math.random(#models)], round, number, total, math.random(0, total), output,
    math.random(0, output), math.random(2000), number, number)
  return wrk.format("POST", "/v1/events", head, body)
end
"""
WRK_TEMPLATE = (
    '{"id":"req-%s-%d","source":"gateway-eu-1","time":"%s.%06dZ",%s,"operation":"chat",'
    '"response_id":"chatcmpl-%s-%020d","usage":{"input_tokens":%d,"cache_read_tokens":%d,"output_tokens":%d,'
    '"reasoning_tokens":%d},"feature":"support-chat","environment":"production","user":"u-%d","cost_center":"retail",'
    '"customer_tier":"enterprise","session_id":"s-%08x","trace_id":"4bf92f3577b34da6a3ce%012x",'
    '"service_tier":"standard","latency_ms":812,"status":"ok","finish_reason":"stop","tags":{"plan":"gold"}}'
)


def _load(setting: Setting, path: str, number: int) -> Load:
    """wrk on one path for SINGLE_SECONDS."""
    command = [
        "wrk",
        "--threads=1",
        f"--connections={SINGLE_CONNECTIONS}",
        f"--duration={SINGLE_SECONDS}s",
        "--latency",
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if path != "/empty":
            models = ",".join(
                json.dumps(f'"provider":"{provider}","model":"{model}"') for provider, model in setting.models
            )
            script.write(
                WRK_SCRIPT
                % {
                    "round": f"{time.time_ns():x}-{number}",
                    "seed": number,
                    "models": models,
                    "key": setting.key,
                    "template": f"'{WRK_TEMPLATE}'",
                }
            )
            script.flush()
            command += [f"--script={script.name}"]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{setting.port}{path}"], capture_output=True, text=True, check=True
        )
    return _read_report(done.stdout)


TO_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def _read_report(report: str) -> Load:
    slowest = re.search(r"99%\s+([\d.]+)(us|ms|s)", report)
    requests = re.search(r"(\d+) requests in", report)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", report)
    per_second = re.search(r"Requests/sec:\s+([\d.]+)", report)
    return Load(
        int(requests[1]),
        float(per_second[1]),
        float(slowest[1]) * TO_MS[slowest[2]],
        int(refused[1]) if refused else 0,
    )


def can_measure_singles() -> bool:
    return shutil.which("wrk") is not None


if __name__ == "__main__":
    print("\n".join(describe_machine()))
    for result in run():
        print(
            f"{result['name']}: {result['value']} {result['unit']}, yardstick {result['yardstick']}: {result['ratio']}"
        )
        print(f"  runs {result['runs']}")
