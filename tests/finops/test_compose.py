"""docker-compose.yml without Docker: its commands are those of `make up`, and each of them comes up."""

import os
import re
import subprocess
import sys
import urllib.request

import pytest
import yaml
from psycopg.conninfo import make_conninfo

from finops.services import list_services, locate_program
from tests.conftest import DATABASE, ROOT, URLS, find_free_port

SECRETS = {
    "POSTGRES_PASSWORD", "OWNER_PASSWORD", "APP_PASSWORD", "READER_PASSWORD", "SEALER_PASSWORD", "SECRET_KEY",
}  # fmt: skip


class ComposeLoader(yaml.SafeLoader):
    """YAML with the tags that Compose adds."""


ComposeLoader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def load_compose(name: str) -> dict:
    return yaml.load((ROOT / name).read_text(), ComposeLoader)


COMPOSE = load_compose("docker-compose.yml")
SERVICES = COMPOSE["services"]


def test_the_commands_are_those_of_make_up():
    ours = list_services(host="0.0.0.0", port=8000)
    assert {name: SERVICES[name]["command"] for name in ours} == ours


def test_each_service_has_a_health_check_or_runs_once():
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == {"setup"}
    assert SERVICES["setup"]["restart"] == "no"


def test_only_the_set_up_holds_what_may_alter_tables():
    for name in ("web", "worker", "sealer", "beat"):
        assert not {"DATABASE_URL", "DATABASE_OWNER_URL"} & set(SERVICES[name]["environment"])
    assert {"DATABASE_URL", "DATABASE_OWNER_URL"} <= set(SERVICES["setup"]["environment"])


def test_each_service_connects_as_its_own_role():
    roles = {
        name: set(re.findall(r"postgresql://(\w+):", " ".join(map(str, SERVICES[name]["environment"].values()))))
        for name in ("web", "worker", "sealer", "beat")
    }
    plain = {"tokenledger_app", "tokenledger_reader"}
    assert roles == {"web": plain, "worker": plain, "sealer": {"tokenledger_sealer"}, "beat": plain}
    assert SERVICES["sealer"]["volumes"] == ["sealer:/sealer"] and "sealer:/sealer" not in SERVICES["web"]["volumes"]


def test_no_secret_has_a_default_and_nothing_else_is_published():
    text = (ROOT / "docker-compose.yml").read_text()
    assert {name for name in SECRETS if f"${{{name}:?}}" in text} == SECRETS
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "web": ["${LISTEN:-127.0.0.1:8000}:8000"]
    }


def test_every_named_volume_is_declared_and_every_dependency_exists():
    services = {**SERVICES, **load_compose("docker-compose.citus.yml")["services"]}
    volumes = {**COMPOSE["volumes"], **load_compose("docker-compose.citus.yml")["volumes"]}
    for service in services.values():
        assert {volume.split(":")[0] for volume in service.get("volumes", [])} <= set(volumes)
        assert set(service.get("depends_on", {})) <= set(services)


def test_the_image_runs_as_nobody_in_particular():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    assert "USER tokenledger" in lines
    assert SERVICES["web"]["cap_drop"] == ["ALL"] and SERVICES["web"]["read_only"]


def make_local(command: list[str], port: int) -> list[str]:
    """The same command on the loopback interface, so that a test opens nothing to the network."""
    swaps = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=8000": f"--port={port}"}
    return locate_program([swaps.get(word, word) for word in command])


def test_the_set_up_comes_to_its_end(django_db_setup, administrator_url):
    command = locate_program(SERVICES["setup"]["command"])
    environment = {**os.environ, **URLS, "DATABASE_URL": make_conninfo(administrator_url, dbname=DATABASE)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1:] == ["The database is up to date."], done.stderr


def test_web_answers_and_its_health_check_says_so(django_db_setup, start_service):
    port = find_free_port()
    service = start_service("compose-web", make_local(SERVICES["web"]["command"], port))
    service.wait_until(lambda log: "Started worker" in log)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
        assert answer.status == 200
    check = SERVICES["web"]["healthcheck"]["test"]
    assert check[:2] == ["CMD", "python"]
    code = check[3].replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    assert subprocess.run([sys.executable, "-c", code], timeout=10).returncode == 0


@pytest.fixture(scope="module")
def worker(django_db_setup, start_service):
    service = start_service("compose-worker", make_local(SERVICES["worker"]["command"], 0))
    service.wait_until(lambda log: " ready." in log)
    return service


def test_the_worker_becomes_ready_and_its_health_check_says_so(worker):
    check = SERVICES["worker"]["healthcheck"]["test"][1].replace("$$", "$")
    command = check.replace("celery ", f"{locate_program(['celery'])[0]} ", 1)
    done = subprocess.run(
        ["/bin/sh", "-c", command], env={**os.environ, "HOSTNAME": os.uname().nodename}, cwd=ROOT,
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0 and "pong" in done.stdout, done.stdout + done.stderr


def test_beat_starts_and_the_worker_does_what_it_says(worker, start_service, reader):
    before = read_heartbeat(reader)  # of another test
    service = start_service("compose-beat", make_local(SERVICES["beat"]["command"], 0))
    service.wait_until(lambda log: read_heartbeat(reader) != before)
    assert SERVICES["beat"]["healthcheck"]["test"] == ["CMD", "python", "manage.py", "doctor", "--only", "beat"]


def read_heartbeat(reader):
    return reader.execute("SELECT max(finished_at) FROM job_run WHERE job = 'heartbeat'").fetchone()[0]
