"""The processes of an installation, each by its command: what `make up` and docker-compose.yml both run."""

import sys
from collections.abc import Mapping
from pathlib import Path

# One Python process is bound by its lock, so threads add no speed to work. They wait: for slow clients, and for the
# commit that small requests share, which is the fuller the more of them wait.
WEB_PROCESSES = 2
WEB_THREADS = 32
WORKER_PROCESSES = 2

WORKER_COMMAND = [
    "celery",
    "--quiet",
    "--app=finops",
    "worker",
    "--loglevel=INFO",
    f"--concurrency={WORKER_PROCESSES}",
    "--prefetch-multiplier=1",
    "--without-gossip",
    "--without-mingle",
]
# One process with one database role and the only copy of its key: it seals, and does nothing else.
SEALER_COMMAND = [
    "celery",
    "--quiet",
    "--app=finops",
    "worker",
    "--loglevel=INFO",
    "--pool=solo",
    "--queues=seal",
    "--hostname=sealer@%h",
    "--prefetch-multiplier=1",
    "--without-gossip",
    "--without-mingle",
]
BEAT_COMMAND = ["celery", "--quiet", "--app=finops", "beat", "--loglevel=INFO"]


def web_command(*, host: str, port: int) -> list[str]:
    """The web server. A worker that dies is replaced; a restart waits for requests in flight."""
    return [
        "granian",
        "--interface=wsgi",
        f"--host={host}",
        f"--port={port}",
        f"--workers={WEB_PROCESSES}",
        f"--blocking-threads={WEB_THREADS}",
        "--respawn-failed-workers",
        "--workers-kill-timeout=20",
        "--no-ws",
        "--no-access-log",
        "finops.wsgi:application",
    ]


def list_services(*, host: str, port: int) -> dict[str, list[str]]:
    """Every process of ours by its name, in the order in which they start."""
    return {
        "web": web_command(host=host, port=port),
        "worker": WORKER_COMMAND,
        "sealer": SEALER_COMMAND,
        "beat": BEAT_COMMAND,
    }


def choose_roles(name: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What changes in `environment` for the service called `name`: each holds its own database role and no other's.

    Nobody holds the owner, who may alter tables. Empty, so that the environment file does not fill it in.
    """
    if name == "sealer":
        sealer_url = environment["DATABASE_SEALER_URL"]
        return {"DATABASE_OWNER_URL": "", "DATABASE_APP_URL": sealer_url, "DATABASE_READER_URL": sealer_url}
    return {"DATABASE_OWNER_URL": "", "DATABASE_SEALER_URL": ""}


def locate_program(command: list[str]) -> list[str]:
    """`command` with its program from beside this Python, whatever the PATH."""
    return [str(Path(sys.executable).parent / command[0]), *command[1:]]
