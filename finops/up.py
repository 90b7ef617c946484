"""What `make up` does, from an empty folder to a page, and back.

servers -> roles -> migrations -> demo -> web, worker, sealer, beat; Ctrl-C takes them down the other way.
"""

import http.client
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from finops.embedded import EmbeddedServerRefused, Server, start_postgresql, start_redis, stop_server
from finops.environment import LOADED, ROOT, home, read_environment, write_environment
from finops.locks import IsHeld, hold_lock
from finops.roles import RolesRefused, derive_urls, ensure_roles
from finops.services import choose_roles, list_services, locate_program
from finops.supervisor import Console, Interrupted, Part, StepFailed, Supervisor

HOST = "127.0.0.1"
PORT_DEFAULT = 8000
DEMO_SUMMARY = "The demo holds"  # how the last part of what seed_demo says begins

HAS_TENANTS_SQL = "SELECT EXISTS (SELECT FROM tenant WHERE NOT is_operator)"


class UpRefused(RuntimeError):
    """Tokenledger cannot run like this; the text is one sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a person chose, as opposed to what an earlier start wrote down."""

    database_url: str
    redis_url: str
    port: int


def run_installation() -> None:
    """Run until a signal comes. Raises UpRefused."""
    given = read_given()
    folder = home()
    console = Console()
    supervisor = Supervisor(console)
    try:
        with ExitStack() as stack:
            stack.enter_context(_hold_home(folder, given.port))
            _check_port(given.port)
            supervisor.listen_to_signals()
            _run(stack, supervisor, given, folder)
    except Interrupted:
        pass
    except (EmbeddedServerRefused, RolesRefused) as error:
        raise UpRefused(str(error)) from None
    except StepFailed as error:
        raise UpRefused(f"The set-up stopped: {error}. What it said stands above.") from None
    console.print(f"Tokenledger has stopped; the data is in {folder}.")


def _run(stack: ExitStack, supervisor: Supervisor, given: Given, folder: Path) -> None:
    servers = _start_servers(stack, supervisor.console, given, folder)
    environment = _prepare_environment(given, folder, servers)
    manage = [sys.executable, str(ROOT / "manage.py")]
    supervisor.run_step("setup", [*manage, "setup_database", "--verbosity=0"], environment)
    logins = _seed_demo(supervisor, [*manage, "seed_demo"], environment, folder)
    greeting = _Greeting(supervisor.console, given.port, logins)
    stack.callback(greeting.show_logins)
    keepers = [server.as_part() for server in servers]
    services = [
        _service_part(supervisor, name, locate_program(command), environment | choose_roles(name, environment))
        for name, command in list_services(host=HOST, port=given.port).items()
    ]
    stack.callback(supervisor.stop, services)
    supervisor.keep([*keepers, *services], on_tick=greeting)
    supervisor.console.print("Stopping …")


def read_given() -> Given:
    """From the environment; what only the environment file says was generated, and not chosen."""
    chosen = {name: value for name, value in os.environ.items() if name not in LOADED}
    port = chosen.get("PORT") or str(PORT_DEFAULT)
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise UpRefused(f"PORT is {port!r}: set it to a number from 1 to 65535.")
    return Given(chosen.get("DATABASE_URL", ""), chosen.get("REDIS_URL", ""), int(port))


@contextmanager
def _hold_home(folder: Path, port: int) -> Iterator[None]:
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        with hold_lock(folder / "up.lock", as_whom=f"process {os.getpid()}, http://{HOST}:{port}"):
            yield
    except IsHeld as error:
        raise UpRefused(
            f"Tokenledger is running on {folder} already ({error.holder}): "
            "use that one, stop it, or set TOKENLEDGER_HOME to another folder."
        ) from None
    except OSError as error:
        if error.filename is None or not Path(error.filename).is_relative_to(folder):
            raise
        raise UpRefused(
            f"{error.filename} cannot be used ({error.strerror}): set TOKENLEDGER_HOME to a folder of yours."
        ) from None


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UpRefused(
                f"Port {port} is not free ({error.strerror}): "
                f"stop what uses it, or choose another: PORT={port % 65535 + 1} make up."
            ) from None


# --- PostgreSQL and Redis ------------------------------------------------------------------------------


class _Kept:
    """An embedded server that is started again when it falls."""

    def __init__(self, start) -> None:
        self.start = start
        self.server: Server = start()

    def start_again(self):
        stop_server(self.server)
        self.server = self.start()
        return self.server.process

    def stop(self) -> None:
        stop_server(self.server)

    def as_part(self) -> Part:
        return Part(self.server.name, self.start_again, process=self.server.process, started_at=time.monotonic())


def _start_servers(stack: ExitStack, console: Console, given: Given, folder: Path) -> list[_Kept]:
    """The embedded ones among PostgreSQL and Redis; Redis is stopped first."""
    starts = []
    if not given.database_url:
        starts.append(lambda: start_postgresql(home=folder))
    if not given.redis_url:
        starts.append(lambda: start_redis(home=folder))
    kept = []
    for start in starts:
        server = _Kept(start)
        stack.callback(server.stop)
        console.say(server.server.name, "is ready")
        kept.append(server)
    return kept


def _prepare_environment(given: Given, folder: Path, servers: list[_Kept]) -> dict[str, str]:
    """Make the roles, and write down what other terminals need; returns the environment of the set-up."""
    embedded = {kept.server.name: kept.server.url for kept in servers}
    written = read_environment()
    administrator_url = given.database_url or embedded["PostgreSQL"]
    urls = derive_urls(administrator_url=administrator_url, known=written)
    ensure_roles(administrator_url=administrator_url, urls=urls)
    generated = {
        **written,
        **urls,
        "REDIS_URL": given.redis_url or embedded["Redis"],
        "SECRET_KEY": written.get("SECRET_KEY") or secrets.token_urlsafe(50),
        "PORT": str(given.port),
    }
    write_environment(generated)
    chosen = {name: value for name, value in os.environ.items() if name not in LOADED}
    # What is embedded, or derived, must win over a person's older export of the same name.
    settled = {**urls, "REDIS_URL": generated["REDIS_URL"], "DATABASE_URL": "", "PYTHONUNBUFFERED": "1"}
    return {**generated, **chosen, **settled}


# --- the rest ------------------------------------------------------------------------------------------


def _seed_demo(supervisor: Supervisor, command: list[str], environment: dict[str, str], folder: Path) -> list[str]:
    """Seed an empty database, or one whose seeding was interrupted; returns the lines with the logins."""
    unfinished = folder / "demo.unfinished"
    if environment.get("TOKENLEDGER_DEMO") == "0":
        return []
    with psycopg.connect(environment["DATABASE_APP_URL"]) as connection:
        (has_tenants,) = connection.execute(HAS_TENANTS_SQL).fetchone()
    if has_tenants and not unfinished.exists():
        return []
    unfinished.touch()
    # The last line repeats the others for scripts.
    *logins, _ = supervisor.run_step("demo", command, environment, keep_from=DEMO_SUMMARY)
    unfinished.unlink()
    return logins


def _service_part(supervisor: Supervisor, name: str, command: list[str], environment: dict[str, str]) -> Part:
    return Part(name, lambda: supervisor.start_child(name, command, environment))


class _Greeting:
    """Says once where the first page is, when it is there, and who may sign in after a seeding."""

    def __init__(self, console: Console, port: int, logins: list[str]) -> None:
        self.console, self.port, self.logins, self.is_said = console, port, logins, False

    def __call__(self) -> None:
        if not self.is_said and _answers(self.port):
            self.is_said = True
            self.console.print(f"\nTokenledger is up: http://{HOST}:{self.port}  (Ctrl-C stops it, the data stays)\n")
            self.show_logins()

    def show_logins(self) -> None:
        """Passwords and keys exist nowhere else: they are shown even where no page came up."""
        for line in self.logins:
            self.console.print(line)
        if self.logins:
            self.console.print()
        self.logins = []


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
