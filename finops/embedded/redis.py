"""The embedded Redis."""

import signal
from pathlib import Path

import redis

from finops.embedded.programs import find_redis_programs
from finops.embedded.server import (
    Server,
    end_stranger,
    get_socket_folder,
    hold_data,
    launch_server,
    make_socket_folder,
)
from finops.unprivileged import choose_account, make_folder


def start_redis(*, home: Path) -> Server:
    """Start Redis on `home`/redis; returns when it answers. Raises EmbeddedServerRefused."""
    data = home / "redis"
    with hold_data(home, "Redis") as lock:
        account = choose_account(data_folder=data)
        programs = find_redis_programs(account)
        make_folder(data, account=account)
        make_socket_folder(home, account=account)
        url = redis_url(home)
        _end_leftover_redis(url)
        return launch_server(
            "Redis",
            home=home,
            data=data,
            account=account,
            lock=lock,
            make_command=lambda folder, sockets: _make_command(programs, folder, sockets),
            url=url,
            is_ready=lambda: _answers_ping(url),
            stop_signal=signal.SIGTERM,
        )


def _make_command(programs: Path, folder: str, sockets: str) -> list[str]:
    command = [str(programs / "bin" / "redis-server"), "--port", "0", "--dir", folder]
    command += ["--unixsocket", f"{sockets}/redis.sock", "--unixsocketperm", "700"]
    command += ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    return [*command, "--maxmemory-policy", "noeviction"]


def redis_url(home: Path) -> str:
    """Where the embedded Redis of `home` listens, running or not."""
    return f"unix://{get_socket_folder(home)}/redis.sock"


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
    end_stranger(pid, signal.SIGTERM)
