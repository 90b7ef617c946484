"""The embedded PostgreSQL."""

import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import psutil
import psycopg

from finops.embedded.programs import POSTGRESQL_MAJOR, find_postgresql_programs
from finops.embedded.server import (
    EmbeddedServerRefused,
    Server,
    belongs_to_another,
    end_stranger,
    hold_data,
    launch_server,
    make_socket_folder,
    plain_environment,
    wait_for,
)
from finops.unprivileged import Account, choose_account, make_folder, reach_folder, run_as

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


def start_postgresql(*, home: Path, settings: Mapping[str, str] | None = None) -> Server:
    """Start PostgreSQL on `home`/postgresql, made first if need be; returns when it answers.

    settings: what shall differ from POSTGRESQL_SETTINGS, such as {"fsync": "off"} for a throw-away.
    Raises EmbeddedServerRefused.
    """
    data = home / "postgresql"
    with hold_data(home, "PostgreSQL") as lock:
        account = choose_account(data_folder=data)
        programs = find_postgresql_programs(account)
        if not (data / "PG_VERSION").exists():
            _make_cluster(data, programs=programs, account=account)
        _check_cluster(data)
        _end_leftover_postmaster(data)
        url = _make_url(home, make_socket_folder(home, account=account))
        effective = {**POSTGRESQL_SETTINGS, "shared_buffers": _shared_buffers(), **(settings or {})}
        return launch_server(
            "PostgreSQL",
            home=home,
            data=data,
            account=account,
            lock=lock,
            make_command=lambda folder, sockets: _make_command(programs, folder, sockets, effective),
            url=url,
            is_ready=lambda: _answers_sql(url),
            stop_signal=signal.SIGINT,
        )


def _make_command(programs: Path, folder: str, sockets: str, settings: Mapping[str, str]) -> list[str]:
    effective = {**settings, "unix_socket_directories": sockets}
    options = [part for name, value in effective.items() for part in ("-c", f"{name}={value}")]
    return [str(programs / "bin" / "postgres"), "-D", folder, *options]


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
        done = run_as(account, command, capture_output=True, text=True, pass_fds=handles, env=plain_environment())
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
        raise belongs_to_another(data) from None
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
        end_stranger(pid, signal.SIGINT)
    pid_file.unlink(missing_ok=True)
    # Backends that outlived a killed postmaster notice within a second, and keep its memory until then.
    wait_for(lambda: not any(_works_in(process.pid, data) for process in psutil.process_iter()), seconds=30)


def _works_in(pid: int, folder: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()) == folder.resolve()
    except (psutil.Error, OSError):
        return False


def _make_url(home: Path, sockets: Path) -> str:
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
