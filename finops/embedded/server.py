"""What both embedded servers have in common: folders, locks, a start that ends when the server answers, a stop."""

import hashlib
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil

from finops.locks import IsHeld, take_lock
from finops.unprivileged import Account, make_folder, reach_folder, start_as

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
SOCKET_PATH_BYTES_MAX = 100
LOG_BYTES_MAX = 10_000_000


class EmbeddedServerRefused(RuntimeError):
    """An embedded server cannot run here; the text is one sentence with the cure."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded server."""

    name: str
    url: str
    process: subprocess.Popen
    lock: TextIO  # closed when the server has been stopped
    stop_signal: signal.Signals


@contextmanager
def hold_data(home: Path, name: str) -> Iterator[TextIO]:
    """The lock of one server's data while it starts; stays held when the start succeeds."""
    _make_home(home)
    lock = _take_server_lock(home, name)
    try:
        yield lock
    except BaseException:
        lock.close()
        raise


def launch_server(
    name: str,
    *,
    home: Path,
    data: Path,
    account: Account | None,
    lock: TextIO,
    make_command: Callable[[str, str], list[str]],
    url: str,
    is_ready: Callable[[], bool],
    stop_signal: signal.Signals,
) -> Server:
    """Start a server and return when `is_ready`; raises EmbeddedServerRefused with what it complained of.

    make_command: (data folder, socket folder), by the names under which `account` reaches them -> command.
    """
    log = home / "logs" / f"{name.lower()}.log"
    with (
        reach_folder(data, account=account) as (data_name, data_handles),
        reach_folder(get_socket_folder(home), account=account) as (socket_name, socket_handles),
        _open_log(log) as file,
    ):
        process = start_as(
            account,
            make_command(data_name, socket_name),
            last_signal=stop_signal,
            stdout=file,
            stderr=file,
            env=plain_environment(),
            pass_fds=(*data_handles, *socket_handles),
        )
    server = Server(name, url, process, lock, stop_signal)
    _wait_until_ready(server, is_ready, log=log)
    return server


def stop_server(server: Server) -> None:
    """Stop a server cleanly (PostgreSQL: fast shutdown); one that is gone already is no error."""
    _end_process(server.process, server.stop_signal)
    server.lock.close()


def _end_process(process: subprocess.Popen, stop_signal: signal.Signals) -> None:
    if process.poll() is not None:
        return
    process.send_signal(stop_signal)
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_stranger(pid: int, stop_signal: signal.Signals) -> None:
    try:
        process = psutil.Process(pid)
        process.send_signal(stop_signal)
        process.wait(STOP_SECONDS_MAX)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired:
        process.kill()
        process.wait()


def _make_home(home: Path) -> None:
    try:
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        (home / "logs").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise EmbeddedServerRefused(
            f"{home} cannot be written ({error.strerror}): set TOKENLEDGER_HOME to a folder of yours."
        ) from None
    if not os.access(home / "logs", os.W_OK):
        raise belongs_to_another(home)


def belongs_to_another(folder: Path) -> EmbeddedServerRefused:
    return EmbeddedServerRefused(
        f"{folder} belongs to another account: run as that one, or set TOKENLEDGER_HOME to a folder of yours."
    )


def _take_server_lock(home: Path, name: str) -> TextIO:
    try:
        return take_lock(home / f"{name.lower()}.lock")
    except PermissionError:
        raise belongs_to_another(home) from None
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


def make_socket_folder(home: Path, *, account: Account | None) -> Path:
    folder = get_socket_folder(home)
    make_folder(folder, account=account)
    found = folder.lstat()
    expected = os.geteuid() if account is None else account.uid
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != expected or found.st_mode & 0o077:
        raise EmbeddedServerRefused(f"{folder} is not a private folder of ours: remove it and start again.")
    return folder


def _open_log(path: Path):
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def plain_environment() -> dict[str, str]:
    """Without PGPORT, PGDATA and their like, which would change what the programs do."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _wait_until_ready(server: Server, is_ready: Callable[[], bool], *, log: Path) -> None:
    try:
        if wait_for(lambda: server.process.poll() is not None or is_ready(), seconds=START_SECONDS_MAX) and (
            server.process.poll() is None
        ):
            return
    except BaseException:
        _end_process(server.process, server.stop_signal)
        raise
    _end_process(server.process, server.stop_signal)
    raise EmbeddedServerRefused(f"{server.name} did not start: {_last_complaint(log)} (all of it: {log})")


def wait_for(condition: Callable[[], bool], *, seconds: float) -> bool:
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
