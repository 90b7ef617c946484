"""A tenant checks its month without us: the archive and the one file, in an empty folder, and nothing else."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from tests.installation import HOST, run_installation

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def installation():
    """Five days of the demo, seeded and sealed by the product's own processes."""
    with run_installation() as installation:
        until = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
        installation.manage("seed_demo", "--days=5", f"--now={until.isoformat()}")
        installation.keys = {
            slug: installation.manage("create_api_key", slug, "--scopes", "audit") for slug in ("acme", "globex")
        }
        for name in ("sealer", "worker", "beat", "web"):
            installation.start_service(name)
        installation.wait_for_web()
        installation.period = f"{until:%Y-%m}"
        yield installation


def ask(installation, path, key="", **headers):
    """(status, body) of a GET."""
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    request = urllib.request.Request(f"http://{HOST}:{installation.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def wait_for_bundle(installation, slug):
    """The tenant's archive, as soon as the sealer has published everything of the month."""
    import time

    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        status, body = ask(installation, f"/v1/audit/bundle?period={installation.period}", installation.keys[slug])
        if status == 200:
            return body
        assert json.loads(body)["code"] == "period_unsealed", body[:500]
        time.sleep(1)
    raise AssertionError(body)


def test_a_month_of_the_demo_is_verified_by_the_file_alone_in_an_empty_folder(installation, tmp_path):
    (tmp_path / "acme.zip").write_bytes(wait_for_bundle(installation, "acme"))
    (tmp_path / "verify.py").write_bytes(ask(installation, "/v1/audit/verifier")[1])
    (tmp_path / "keys.json").write_bytes(ask(installation, "/.well-known/tokenledger-keys")[1])
    # -I and -S: no path of ours, no package of the environment.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "verify.py", "acme.zip", "--keys", "keys.json"],
        cwd=tmp_path, capture_output=True, text=True, env={},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All agrees" in done.stdout
    print(done.stdout)


def test_the_same_month_is_the_same_bytes_and_parts_of_it_fit_together(installation):
    path, key = f"/v1/audit/bundle?period={installation.period}", installation.keys["acme"]
    whole = wait_for_bundle(installation, "acme")
    assert ask(installation, path, key)[1] == whole
    status, first = ask(installation, path, key, Range="bytes=0-999")
    assert (status, first) == (206, whole[:1000])
    assert ask(installation, path, key, Range="bytes=1000-")[1] == whole[1000:]


def test_another_tenants_archive_is_its_own(installation, tmp_path):
    acme, globex = (wait_for_bundle(installation, slug) for slug in ("acme", "globex"))
    for name, data in (("acme", acme), ("globex", globex)):
        (tmp_path / f"{name}.zip").write_bytes(data)
    (tmp_path / "verify.py").write_bytes(ask(installation, "/v1/audit/verifier")[1])
    done = subprocess.run(
        [sys.executable, "-I", "verify.py", "acme.zip", "globex.zip"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "they are of different tenants" in done.stdout
