"""PostgreSQL 18 and Redis for a machine that has neither, from the wheels that carry their programs.

Both listen on sockets in a private folder and nowhere else. Nothing here needs Django:

    with run_servers(home=Path(".tokenledger")) as servers:
        servers.postgresql.url      postgresql://postgres:…@/postgres?host=…   (an administrator)
        servers.redis.url           unix:///…/redis.sock

`start_postgresql` and `start_redis` may be called again after a server was killed: they clear up after it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from finops.embedded.postgresql import start_postgresql
from finops.embedded.redis import redis_url, start_redis
from finops.embedded.server import EmbeddedServerRefused, Server, get_socket_folder, stop_server

__all__ = [
    "EmbeddedServerRefused",
    "Server",
    "Servers",
    "get_socket_folder",
    "redis_url",
    "run_servers",
    "start_postgresql",
    "start_redis",
    "stop_server",
]


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
