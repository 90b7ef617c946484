"""The processes of an installation, each by its command: what `make up` and docker-compose.yml both run."""

import sys
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
    return {"web": web_command(host=host, port=port), "worker": WORKER_COMMAND, "beat": BEAT_COMMAND}


def locate_program(command: list[str]) -> list[str]:
    """`command` with its program from beside this Python, whatever the PATH."""
    return [str(Path(sys.executable).parent / command[0]), *command[1:]]
