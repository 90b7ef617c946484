"""A whole installation in a folder of its own: PostgreSQL and Redis as in production, and each process of ours.

For what the session's shared throw-away servers cannot show: kills, restarts, and figures. Nothing of it touches this
process's own Django; it is reached by HTTP, and by psycopg as an administrator.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from finops.embedded import Server, start_postgresql, start_redis, stop_server
from finops.environment import ROOT
from finops.roles import derive_urls, ensure_roles
from finops.services import choose_roles, list_services, locate_program

DATABASE = "tokenledger"
HOST = "127.0.0.1"
START_SECONDS_MAX = 60
# What another installation may have set in the environment of this process.
FOREIGN_VARIABLES = (
    "DATABASE_URL", "DATABASE_APP_URL", "DATABASE_READER_URL", "DATABASE_OWNER_URL", "DATABASE_SEALER_URL", "REDIS_URL",
    "TOKENLEDGER_HOME", "PORT", "SECRET_KEY", "RECEIPT_KEY", "SEAL_KEY",
)  # fmt: skip

RUN_COMMANDS = """
import io, json, sys
import django
from django.core.management import call_command
django.setup()
for command in json.loads(sys.argv[1]):
    said = io.StringIO()
    call_command(*command, stdout=said)
    print((said.getvalue().splitlines() or [""])[-1])
"""
PUBLISH_TEST_RATES = ("shell", "--command", "from tests.factories import publish_test_rates; publish_test_rates()")


class InstallationFailed(RuntimeError):
    """A process of the installation did not do what it must; the text holds what it said."""


class Installation:
    """Servers, environment and services; `services` holds those that run, by name."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = _find_free_port()
        self.postgresql: Server = start_postgresql(home=home)
        self.redis: Server = start_redis(home=home)
        self.services: dict[str, subprocess.Popen] = {}
        self._owner_environment = self._make_environment()
        self.environment = {**self._owner_environment, "DATABASE_OWNER_URL": ""}
        self.manage("setup_database", "--verbosity=0")

    def _make_environment(self) -> dict[str, str]:
        urls = derive_urls(administrator_url=self.postgresql.url, known={}, database=DATABASE)
        ensure_roles(administrator_url=self.postgresql.url, urls=urls)
        plain = {name: value for name, value in os.environ.items() if name not in FOREIGN_VARIABLES}
        own = {
            "TOKENLEDGER_HOME": str(self.home),
            "REDIS_URL": self.redis.url,
            "SECRET_KEY": secrets.token_urlsafe(32),
            "PORT": str(self.port),
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "finops.settings",
        }
        return {**plain, **urls, **own}

    def manage(self, *arguments: str) -> str:
        """Run a command of ours as the owner; returns the last line that it printed."""
        return (self._run_python(str(ROOT / "manage.py"), *arguments) or [""])[-1]

    def manage_in_turn(self, *commands: Sequence[str]) -> list[str]:
        """Commands in one process, whose start takes longer than most of them do; the last line of each."""
        return self._run_python("-c", RUN_COMMANDS, json.dumps(commands))

    def _run_python(self, *arguments: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self._owner_environment, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise InstallationFailed(f"{' '.join(arguments)}:\n{done.stdout}{done.stderr}")
        return done.stdout.splitlines()

    def connect(self) -> psycopg.Connection:
        """As the administrator, past row security and past every line of the product."""
        return psycopg.connect(make_conninfo(self.postgresql.url, dbname=DATABASE), autocommit=True)

    # --- servers ---

    def start_postgresql_again(self) -> None:
        """After it was killed or stopped."""
        stop_server(self.postgresql)
        self.postgresql = start_postgresql(home=self.home)

    def start_redis_again(self) -> None:
        stop_server(self.redis)
        self.redis = start_redis(home=self.home)

    # --- services ---

    def start_service(self, name: str, command: list[str] | None = None, **variables: str) -> None:
        """Start web, worker, sealer or beat by the product's own command, or by another one."""
        command = command or list_services(host=HOST, port=self.port)[name]
        with (self.home / "logs" / f"{name}.log").open("ab") as log:
            self.services[name] = subprocess.Popen(
                locate_program(command),
                env={**self.environment, **choose_roles(name, self.environment), **variables},  # as the supervisor's
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for_web(self) -> None:
        """Wait until the port answers. Raises InstallationFailed with the log's end."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while not _accepts_connections(self.port):
            if self.services["web"].poll() is not None or time.monotonic() > deadline:
                raise InstallationFailed(self.read_log("web")[-3000:])
            time.sleep(0.05)

    def list_children(self, name: str) -> list[psutil.Process]:
        """The processes that a service has started to do its work."""
        with suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.services[name].pid).children()
            return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]
        return []

    def kill_service(self, name: str) -> None:
        """kill -9 of the service and all that it started."""
        process = self.services.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_service(self, name: str) -> None:
        """As the supervisor does: asked first, killed when it takes too long."""
        self.services[name].terminate()
        with suppress(subprocess.TimeoutExpired):
            self.services[name].wait(30)
        self.kill_service(name)

    def read_log(self, name: str) -> str:
        return (self.home / "logs" / f"{name}.log").read_text(errors="replace")

    def stop(self) -> None:
        for name in list(self.services):
            self.kill_service(name)
        stop_server(self.redis)
        stop_server(self.postgresql)


@contextmanager
def run_installation() -> Iterator[Installation]:
    """An installation that leaves nothing behind; its services are still to be started."""
    with tempfile.TemporaryDirectory(prefix="tl-own-", ignore_cleanup_errors=True) as folder:
        installation = Installation(Path(folder))
        try:
            yield installation
        finally:
            installation.stop()


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
