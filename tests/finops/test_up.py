"""`make up`, for real: a whole installation in a folder of its own, on a port of its own."""

import os
import signal
import stat
import subprocess
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from finops.up import Given, UpRefused, read_given
from tests.conftest import ROOT, Service, find_free_port

# What the test run has set for itself, and a person's terminal has not.
TEST_VARIABLES = (
    "DATABASE_APP_URL", "DATABASE_OWNER_URL", "DATABASE_READER_URL", "DATABASE_URL", "REDIS_URL", "SECRET_KEY",
    "TOKENLEDGER_HOME", "PORT",
)  # fmt: skip
MANAGE = [sys.executable, str(ROOT / "manage.py")]


def make_environment(home: Path, port: int | str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in TEST_VARIABLES}
    return {**plain, "TOKENLEDGER_HOME": str(home), "PORT": str(port), "TOKENLEDGER_DEMO": "0"}


def run_manage(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*MANAGE, *arguments], env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


class Installation:
    """A folder, a port, and `manage.py up` on them."""

    def __init__(self, folder: Path) -> None:
        self.home, self.port, self.starts = folder / "home", find_free_port(), 0
        self.environment = make_environment(self.home, self.port)
        self.up: Service | None = None

    def start(self) -> None:
        self.starts += 1
        log = self.home.parent / f"log-{self.starts}"
        self.up = Service([*MANAGE, "up"], log, self.environment, inherit=False)
        self.up.wait_until(lambda log: "Tokenledger is up" in log)

    def get(self, path: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.status

    def find_processes(self) -> dict[str, psutil.Process]:
        """The children of the supervisor: web, worker, sealer, beat, PostgreSQL and Redis."""
        marks = {
            "web": "granian",
            "worker": "--concurrency=",
            "sealer": "--queues=seal",
            "beat": "beat",
            "postgresql": "postgres",
            "redis": "redis-server",
        }
        lines = {}
        for child in psutil.Process(self.up.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # or a zombie, which is one: it fell a moment ago
                lines[child] = " ".join(child.cmdline()[:9])
        return {name: child for name, mark in marks.items() for child, line in lines.items() if mark in line}


@pytest.fixture(scope="module")
def installation(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("up"))
    installation.start()
    yield installation
    installation.up.stop()


def test_the_first_start_ends_with_a_page(installation):
    assert f"Tokenledger is up: http://127.0.0.1:{installation.port}" in installation.up.read_log()
    assert installation.get("/healthz") == 200
    assert set(installation.find_processes()) == {"web", "worker", "sealer", "beat", "postgresql", "redis"}


def test_what_was_generated_is_readable_by_its_owner_alone(installation):
    file = installation.home / "environment"
    names = {line.split("=")[0] for line in file.read_text().splitlines()}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert names == {
        "DATABASE_APP_URL", "DATABASE_OWNER_URL", "DATABASE_READER_URL", "DATABASE_SEALER_URL", "PORT", "REDIS_URL",
        "SECRET_KEY",
    }  # fmt: skip


def test_web_and_worker_do_not_hold_what_may_alter_tables(installation):
    processes = installation.find_processes()
    for name in ("web", "worker", "beat"):
        variables = processes[name].environ()
        assert variables["DATABASE_OWNER_URL"] == "" and variables["DATABASE_URL"] == ""
        assert "tokenledger_app" in variables["DATABASE_APP_URL"]
        assert variables["DATABASE_SEALER_URL"] == ""


def test_the_sealer_holds_its_own_role_and_no_other(installation):
    variables = installation.find_processes()["sealer"].environ()
    roles = {name: url.split("//")[1].split(":")[0] for name, url in variables.items() if "postgresql://" in url}
    assert set(roles.values()) == {"tokenledger_sealer"}
    assert variables["DATABASE_OWNER_URL"] == "" and variables["DATABASE_URL"] == ""


def test_a_second_start_on_the_same_folder_says_so(installation):
    done = run_manage({**installation.environment, "PORT": str(find_free_port())}, "up")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"CommandError: Tokenledger is running on {installation.home} already (process {installation.up.process.pid}, "
        f"http://127.0.0.1:{installation.port}): use that one, stop it, or set TOKENLEDGER_HOME to another folder."
    )


def test_a_busy_port_is_named_with_the_next_one(installation, tmp_path):
    done = run_manage(make_environment(tmp_path, installation.port), "up")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"CommandError: Port {installation.port} is not free (Address already in use): "
        f"stop what uses it, or choose another: PORT={installation.port + 1} make up."
    )


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_a_port_that_is_none_is_refused(monkeypatch, port):
    monkeypatch.setenv("PORT", port)
    with pytest.raises(UpRefused, match=f"PORT is '{port}': set it to a number from 1 to 65535"):
        read_given()


def test_what_an_earlier_start_wrote_down_is_not_what_a_person_chose(monkeypatch):
    for name, value in {"PORT": "9000", "REDIS_URL": "redis://a", "DATABASE_URL": "postgresql://b"}.items():
        monkeypatch.setenv(name, value)
    assert read_given() == Given(database_url="postgresql://b", redis_url="redis://a", port=9000)
    monkeypatch.setattr("finops.up.LOADED", {"PORT", "REDIS_URL"})
    assert read_given() == Given(database_url="postgresql://b", redis_url="", port=8000)


def test_a_server_that_is_not_there_is_named(tmp_path):
    environment = make_environment(tmp_path, find_free_port())
    done = run_manage({**environment, "DATABASE_URL": "postgresql://boss:secret@127.0.0.1:1/costs"}, "up")
    assert done.returncode == 1
    assert "CommandError: DATABASE_URL does not reach a PostgreSQL server" in done.stderr
    assert "Traceback" not in done.stderr and "secret" not in done.stderr


def test_who_falls_is_started_again(installation):
    fallen = installation.find_processes()
    for process in fallen.values():
        process.kill()
    installation.up.wait_until(
        lambda log: (
            log.count("starting it again") >= 6
            and len(installation.find_processes()) == 6
            and answers(installation, "/readyz")
        )
    )
    assert not {process.pid for process in fallen.values()} & {
        process.pid for process in installation.find_processes().values()
    }


def answers(installation: Installation, path: str) -> bool:
    try:
        return installation.get(path) == 200
    except OSError:
        return False


def test_a_killed_supervisor_leaves_nothing_behind_and_the_next_start_keeps_the_data(installation):
    done = run_manage(installation.environment, "create_tenant", "acme")
    assert done.returncode == 0, done.stderr
    family = psutil.Process(installation.up.process.pid).children(recursive=True)
    installation.up.process.kill()
    installation.up.process.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []

    installation.start()
    done = run_manage(installation.environment, "create_tenant", "acme")
    assert done.returncode != 0 and "acme" in done.stderr


def test_an_interrupt_stops_all_of_it(installation):
    family = psutil.Process(installation.up.process.pid).children(recursive=True)
    os.kill(installation.up.process.pid, signal.SIGINT)
    assert installation.up.process.wait(40) == 0
    _, alive = psutil.wait_procs(family, timeout=1)
    log = installation.up.read_log()
    assert alive == []
    assert log.splitlines()[-1] == f"Tokenledger has stopped; the data is in {installation.home}."
    assert "database system is shut down" in (installation.home / "logs" / "postgresql.log").read_text()
    assert "Traceback" not in log
