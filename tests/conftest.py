"""Every test runs against a real PostgreSQL and Redis, as the role that the product runs as.

The servers are embedded throw-aways, started by the first test that needs one; DATABASE_URL and REDIS_URL name
others (use a PostgreSQL of its own: the passwords of the roles are set anew). Fixtures:

    db                 the application role; rolled back at the end of the test (also `@pytest.mark.django_db`)
    committed_db       the application role; what is committed stays, so such a test makes a tenant of its own
    reader             a psycopg connection that sees every tenant and writes nothing
    owner_connection   a psycopg connection that owns the tables, for what only a migration may do
    live_server_url    granian, as in production, on a free port of the loopback interface
    open_page          opens its pages in Chromium; such a test is skipped where there is none

Nothing is ever flushed: the ledger refuses TRUNCATE.

`make test` runs several processes (pytest-xdist), a file's tests in one of them; each has servers of its own. A test
that is marked `alone` has the machine for itself: the other processes wait between two tests.
"""

import atexit
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path

import psycopg
import pytest

from finops.embedded import get_socket_folder, redis_url, start_postgresql, start_redis, stop_server
from finops.roles import derive_urls, ensure_roles
from finops.services import list_services, locate_program
from finops.unprivileged import choose_account, start_as

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(tempfile.mkdtemp(prefix="tl-test-"))
# Where several processes test, the folder of the one that started them.
FIRST_HOME = os.environ.get("TOKENLEDGER_TEST_HOME", "")
GIVEN_DATABASE_URL = os.environ.pop("DATABASE_URL", "")
GIVEN_REDIS_URL = os.environ.get("REDIS_URL", "")
DATABASE = f"tokenledger_test_{os.getpid()}"

# A throw-away needs no disk's promise; whoever tests that promise starts a server of his own.
POSTGRESQL_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
}


def _export_environment() -> tuple[dict[str, str], frozenset[str]]:
    """Set what the settings read, before Django reads them; the servers may start later. The roles' URLs, all names."""
    administrator_url = GIVEN_DATABASE_URL or f"postgresql:///postgres?host={get_socket_folder(HOME)}&port=5432"
    urls = derive_urls(administrator_url=administrator_url, known={}, database=DATABASE)
    exported = {
        **urls,
        "DJANGO_SETTINGS_MODULE": "finops.settings",
        "REDIS_URL": GIVEN_REDIS_URL or redis_url(HOME),
        "SECRET_KEY": secrets.token_urlsafe(32),
        "TOKENLEDGER_HOME": str(HOME),
    }
    os.environ.update(exported)
    return urls, frozenset(exported)


# The database roles of this run, by the name of their variable.
URLS, EXPORTED = _export_environment()
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

import django  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

django.setup()

# What a test says is not how long its examples take to be made up on a machine that does something else besides.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


# Begun first: those with tests that are alone, one after the other, while nothing else has begun that they would wait
# for; then the longest, so that no process is at work long after the others.
FIRST_FILES = (
    "flows/test_chaos.py", "dashboards/test_explore.py", "flows/test_bad_days.py", "flows/test_memory.py",
    "dashboards/test_browser.py", "finops/test_up.py", "flows/test_rates_change.py", "api/test_contract.py",
    "flows/test_opentelemetry.py", "dashboards/test_rate_drafts_in_browser.py", "docs/test_snippets.py",
    "audit/test_tampering.py", "audit/test_verifier.py", "flows/test_evidence.py",
    "flows/test_watch_on_bad_days.py", "finops/test_compose.py", "alerts/test_quota.py", "api/test_quota.py",
)  # fmt: skip


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Two where there is a choice; servers that are given are for one."""
    if GIVEN_DATABASE_URL or GIVEN_REDIS_URL:
        return 0
    return min(2, os.cpu_count() or 1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config, specs):
    """The others export an environment of their own, and must not read this one before."""
    if GIVEN_DATABASE_URL or GIVEN_REDIS_URL:
        raise pytest.UsageError("DATABASE_URL and REDIS_URL name servers for one process: leave --numprocesses out")
    for name in EXPORTED:
        del os.environ[name]
    os.environ["TOKENLEDGER_TEST_HOME"] = str(HOME)
    choose_account(data_folder=HOME)  # made here, and not by two at once


def pytest_collection_modifyitems(items):
    if FIRST_HOME:
        places = {name: place for place, name in enumerate(FIRST_FILES)}
        items.sort(key=lambda item: places.get(item.path.relative_to(ROOT / "tests").as_posix(), len(places)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Outside of everything else, so that waiting counts for no test's timeout."""
    with _take_turn(is_alone=_is_alone(item), is_kept=_is_alone(item) and _is_alone(nextitem)):
        return (yield)


def _is_alone(item) -> bool:
    return item is not None and item.get_closest_marker("alone") is not None


_turns = []  # the descriptor by which this process has its turn


@contextlib.contextmanager
def _take_turn(*, is_alone: bool, is_kept: bool):
    """The machine, shared with the other processes or not. Who waits holds the gate, so that nobody overtakes.

    is_kept: for the next test as well. Tests that are alone would else take turns with the other process's, and both
    would wait all the time.
    """
    if not FIRST_HOME:
        yield
        return
    if not _turns:
        with Path(FIRST_HOME, "gate").open("w") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            _turns.append(os.open(Path(FIRST_HOME, "turn"), os.O_CREAT | os.O_RDWR))
            fcntl.flock(_turns[0], fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH)
    try:
        yield
    finally:
        if not is_kept:
            os.close(_turns.pop())


@pytest.fixture(scope="session")
def redis_server():
    """The URL of a Redis that is up."""
    if GIVEN_REDIS_URL:
        yield GIVEN_REDIS_URL
        return
    server = start_redis(home=HOME)
    yield server.url
    stop_server(server)


@pytest.fixture(scope="session")
def administrator_url():
    """The URL of a PostgreSQL that is up, as one who may make roles and databases."""
    if GIVEN_DATABASE_URL:
        yield GIVEN_DATABASE_URL
        return
    server = start_postgresql(home=HOME, settings=POSTGRESQL_SETTINGS)
    yield server.url
    stop_server(server)


@pytest.fixture(scope="session")
def django_db_setup(administrator_url, redis_server, django_db_blocker):
    """In place of pytest-django's: our own roles, and migrations as their owner, once."""
    from django.core.management import call_command
    from django.db import connections

    ensure_roles(administrator_url=administrator_url, urls=URLS)
    with django_db_blocker.unblock():
        call_command("setup_database", verbosity=0)
        yield
        connections.close_all()
    if GIVEN_DATABASE_URL:
        with psycopg.connect(administrator_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{DATABASE}" WITH (FORCE)')


@pytest.fixture
def committed_db(django_db_setup, django_db_blocker):
    """The database without a transaction around the test, under every alias."""
    with django_db_blocker.unblock():
        django.db.close_old_connections()  # a browser's thread has one of its own, and another test may have cut it
        yield


@pytest.fixture
def transactional_db():
    """Not offered: its flush at the end is a TRUNCATE, which the ledger refuses."""
    pytest.fail("use the fixture committed_db, and a tenant of the test's own")


@pytest.fixture
def fresh_rate_book():
    """For tests that publish rates and roll them back: nothing remembered of those before, nor by those after."""
    from billing.rates import forget_rate_book

    forget_rate_book()
    yield
    forget_rate_book()


@pytest.fixture
def owner_connection(django_db_setup):
    with psycopg.connect(URLS["DATABASE_OWNER_URL"], autocommit=True) as connection:
        yield connection


@pytest.fixture
def reader(django_db_setup):
    with psycopg.connect(URLS["DATABASE_READER_URL"], autocommit=True) as connection:
        yield connection


class Service:
    """A process of ours and what it said."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str], *, inherit: bool = True) -> None:
        self.log = log
        # Like the supervisor: web and worker hold neither the owner's nor the sealer's URL.
        inherited = {**os.environ, "DATABASE_OWNER_URL": "", "DATABASE_SEALER_URL": ""} if inherit else {}
        with log.open("wb") as file:
            # Ends with this process too, should it be killed.
            self.process = start_as(
                None,
                command,
                last_signal=signal.SIGTERM,
                stdout=file,
                stderr=file,
                env={**inherited, "PYTHONUNBUFFERED": "1", **environment},
                cwd=ROOT,
            )

    def wait_until(self, condition, *, seconds: float = 60) -> None:
        """Wait until `condition(log)`; fails with what the process said when it ends before, or takes too long."""
        deadline = time.monotonic() + seconds
        while not condition(self.read_log()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{self.process.args} (exit code {self.process.returncode}) said:\n{self.read_log()}")
            time.sleep(0.1)

    def read_log(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        """Ask it to end; its workers are gone afterwards, whatever it did."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(30)
        finally:
            # The group outlives its leader where a worker does.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def _keep_services(tmp_path_factory):
    started = []

    def start(name: str, command: list[str], **environment: str) -> Service:
        service = Service(command, tmp_path_factory.mktemp(name) / "log", environment)
        started.append(service)
        return service

    try:
        yield start
    finally:
        for service in reversed(started):
            service.stop()


@pytest.fixture(scope="module")
def start_service(tmp_path_factory):
    """Starts a process of ours, stopped after the module: start_service(name, command, **variables)."""
    with _keep_services(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def live_server_url(django_db_setup, tmp_path_factory):
    """The web server as in production, on the test's database; it sees what was committed."""
    port = find_free_port()
    command = locate_program(list_services(host="127.0.0.1", port=port)["web"])
    with _keep_services(tmp_path_factory) as start:
        service = start("web", command, PORT=str(port))
        service.wait_until(lambda log: "Started worker" in log and accepts_connections(port))
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    from tests.browsing import CHROMIUM, CHROMIUM_MISSING, launch_chromium

    if not CHROMIUM:
        pytest.skip(CHROMIUM_MISSING)
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop in this thread, which Django takes for asynchronous code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = launch_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, live_server_url, committed_db):
    """open_page(path, client=…, size=…, theme=…): a page, loaded; the console's and what it asked of other hosts stand
    in `page.complaints`.
    """
    from tests.browsing import WIDE

    contexts = []

    def open_(path, *, client=None, size=WIDE, theme="light", **options):
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=theme, base_url=live_server_url, **options
        )
        contexts.append(context)
        if client:
            session = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_server_url}])
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda m: page.complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        ours = (live_server_url, "data:")
        page.on("request", lambda r: None if r.url.startswith(ours) else page.complaints.append(f"asks {r.url}"))
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
