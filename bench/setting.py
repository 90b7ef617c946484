"""Where ingest is measured: an installation of its own, as in production, and the facts that make a figure worth it."""

import http.client
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from finops.services import web_command
from tests.installation import HOST, Installation, run_installation

MODELS_MIN = 500
LIST_PRICED_MODELS_SQL = """
    SELECT DISTINCT provider, model FROM rate_version
    WHERE state = 'published' AND match = 'exact' AND service_tier = 'standard' AND now() <@ effective
      AND document -> 'meters' ?& ARRAY['input', 'cache_read', 'output'] AND model !~ '["\\\\]'
    ORDER BY provider, model"""


@dataclass(frozen=True, slots=True)
class Setting:
    """A running web server with rates, one tenant and its key."""

    installation: Installation
    tenant_id: int
    key: str
    models: Sequence[tuple[str, str]]

    @property
    def port(self) -> int:
        return self.installation.port

    def count_entries(self) -> int:
        """Of usage, by the administrator, past the product."""
        with self.installation.connect() as connection:
            statement = "SELECT count(*) FROM ledger_entry WHERE tenant_id = %s AND kind = 'usage'"
            return connection.execute(statement, [self.tenant_id]).fetchone()[0]


@contextmanager
def run_setting(*, web: Sequence[str] | None = None) -> Iterator[Setting]:
    """The web server by the product's own command, with one view beside its own that does nothing: `/empty`.

    web: changes of that command, such as ("--workers=1",); the last of two equal options counts.
    """
    with run_installation() as installation:
        *_, key = installation.manage_in_turn(
            ("import_rates", "genai-prices", "--approve"),
            ("create_tenant", "acme"),
            ("create_api_key", "acme", "--scopes", "ingest"),
        )
        with installation.connect() as connection:
            (tenant_id,) = connection.execute("SELECT id FROM tenant WHERE slug = 'acme'").fetchone()
            models = connection.execute(LIST_PRICED_MODELS_SQL).fetchall()
        if len(models) < MODELS_MIN:
            raise RuntimeError(f"{len(models)} models have a price; {MODELS_MIN} are asked for")
        *options, _ = web_command(host=HOST, port=installation.port)
        installation.start_service("web", [*options, *(web or ()), "bench.wsgi:application"])
        installation.wait_for_web()
        yield Setting(installation, tenant_id, key, models)


def describe_machine() -> list[str]:
    """Lines on the machine, and on what runs on it."""
    model = next(
        (line.partition(":")[2].strip() for line in _read("/proc/cpuinfo").splitlines() if "model name" in line), "?"
    )
    packages = ", ".join(f"{name} {version(name)}" for name in ("Django", "djangorestframework", "granian", "psycopg"))
    return [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} × {model}, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB, load {os.getloadavg()[0]:.1f}",
        f"Python {platform.python_version()}, {packages}",
        f"command: {' '.join([Path(sys.executable).name, *sys.orig_argv[1:]])}",
    ]


DESCRIBE_DATABASE_SQL = """
    SELECT version(), current_setting('fsync'), current_setting('synchronous_commit'),
           current_setting('full_page_writes'), current_setting('shared_buffers'), current_setting('max_wal_size')"""
DESCRIBE_WRITERS_SQL = """
    SELECT DISTINCT usename, rolsuper, rolbypassrls FROM pg_stat_activity JOIN pg_roles ON rolname = usename
    WHERE datname = current_database() AND application_name = 'tokenledger'"""
DESCRIBE_LEDGER_SQL = """
    SELECT relrowsecurity AND relforcerowsecurity, pg_get_userbyid(relowner),
           (SELECT count(*) FROM pg_index WHERE indrelid = pg_class.oid),
           (SELECT count(*) FROM pg_constraint WHERE conrelid = pg_class.oid AND contype = 'c')
    FROM pg_class WHERE oid = 'ledger_entry'::regclass"""


def describe_database(setting: Setting) -> list[str]:
    """Lines on what the database promises, and to whom. Ask when the web server has connected."""
    with setting.installation.connect() as connection:
        server, fsync, commit, pages, buffers, wal = connection.execute(DESCRIBE_DATABASE_SQL).fetchone()
        writers = connection.execute(DESCRIBE_WRITERS_SQL).fetchall()
        secured, owner, indexes, checks = connection.execute(DESCRIBE_LEDGER_SQL).fetchone()
    return [
        f"{server.split(' on ')[0]}, fsync {fsync}, synchronous_commit {commit}, full_page_writes {pages}, "
        f"shared_buffers {buffers}, max_wal_size {wal}",
        *(
            f"writes as {name}: superuser {_say(strong)}, bypasses row security {_say(b)}"
            for name, strong, b in writers
        ),
        f"ledger_entry: row security forced {_say(secured)}, owner {owner}, {indexes} indexes, {checks} checks; "
        f"{len(setting.models)} priced models",
    ]


def _say(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


# --- load ---


def post_batches(setting: Setting, bodies: Sequence[bytes], *, connections: int) -> int:
    """Send each body once, over persistent connections; how many events were accepted."""
    waiting = iter(bodies)  # shared: next() of a list's iterator is one step
    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(lambda _: _post_while(setting, waiting), range(connections)))


def _post_while(setting: Setting, waiting: Iterator[bytes]) -> int:
    connection = http.client.HTTPConnection(HOST, setting.port)
    headers = {"Authorization": f"Bearer {setting.key}", "Content-Type": "application/json"}
    accepted = 0
    for body in waiting:
        connection.request("POST", "/v1/events", body, headers)
        answer = connection.getresponse()
        accepted += _count_accepted(answer.status, answer.read())
    connection.close()
    return accepted


def _count_accepted(status: int, answer: bytes) -> int:
    if status != 200 or not answer.startswith(b'{"accepted":'):
        raise RuntimeError(f"answered {status}: {answer[:300]!r}")
    return int(answer[12 : answer.index(b",")])


# --- results ---


def make_result(name: str, *, values: Sequence[float], unit: str, yardsticks: Sequence[float]) -> dict[str, Any]:
    """One line of the table: medians, and the median of the ratios that were taken in the same round."""
    ratios = [value / yardstick for value, yardstick in zip(values, yardsticks, strict=True)]
    return {
        "name": name,
        "value": round(median(values), 1),
        "unit": unit,
        "yardstick": round(median(yardsticks), 1),
        "ratio": round(median(ratios), 3),
        "runs": [round(ratio, 3) for ratio in ratios],
    }
