"""A price cut in a whole installation: published while eight writers book, and re-rated by a worker that is killed.

Luna's cut of 2026-07-30: 100,000 input and 10,000 output tokens cost 0.16 USD before it and 0.032 after.
"""

import http.client
import json
import threading
import time
from contextlib import closing
from decimal import Decimal

import pytest

from tests.factories import make_wire_event
from tests.installation import HOST, run_installation

WRITERS = 8
CALLS_BEFORE = 12_000  # six pages of the job
CALLS_PER_REQUEST = 500
REFRESH_SECONDS_MAX = 2
BEFORE, AFTER = Decimal("0.16"), Decimal("0.032")

pytestmark = pytest.mark.timeout(240)


def write_rate(start, price_in, price_out):
    meters = {"input": {"price": price_in, "per": 1_000_000}, "output": {"price": price_out, "per": 1_000_000}}
    return {
        "provider": "openai", "model": "gpt-5.6-luna", "currency": "USD", "effective_from": start, "meters": meters,
        "source": {"name": "price page"},
    }  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An installation that runs; a key of acme's and two of the operator's."""
    with run_installation() as installation:
        path = tmp_path_factory.mktemp("rates") / "rates.json"
        path.write_text(json.dumps({"rates": [write_rate("2026-01-01T00:00:00Z", "1", "6")]}))
        *_, acme, ann, bob = installation.manage_in_turn(
            ("import_rates", str(path), "--approve"),
            ("create_tenant", "acme"),
            ("create_api_key", "acme", "--scopes", "ingest,backfill"),
            *[("create_api_key", "operator", "--scopes", "admin")] * 2,
        )
        for name in ("web", "worker", "beat"):
            installation.start_service(name)
        installation.wait_for_web()
        yield installation, (acme, ann, bob)


class Door:
    """One key's calls."""

    def __init__(self, installation, key):
        self.port, self.key = installation.port, key

    def ask(self, method, path, body=None):
        with closing(http.client.HTTPConnection(HOST, self.port, timeout=60)) as connection:
            text = None if body is None else json.dumps(body)
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request(method, path, text, headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        assert response.status < 300, answer
        return answer

    def book(self, count):
        """Calls of after the cut; the batch that holds them."""
        events = [
            make_wire_event(
                provider="openai", model="gpt-5.6-luna", time="2026-08-01T12:00:00Z",
                usage={"input_tokens": 100_000, "output_tokens": 10_000},
            )
            for _ in range(count)
        ]  # fmt: skip
        return self.ask("POST", "/v1/events", events)["batch_id"]


def read(installation, statement, *values):
    with installation.connect() as connection:
        return connection.execute(statement, values).fetchall()


def wait_until(condition, *, seconds=90):
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return answer


def test_a_cut_is_published_under_eight_writers_and_re_rated_though_the_worker_is_killed(place):
    installation, keys = place
    writer, ann, bob = (Door(installation, key) for key in keys)
    for _ in range(CALLS_BEFORE // CALLS_PER_REQUEST):
        writer.book(CALLS_PER_REQUEST)
    cut = write_rate("2026-07-30T00:00:00Z", "0.2", "1.2")
    rate_id = ann.ask("POST", "/v1/rates", {"rates": [cut]})["drafts"][0]["id"]
    ann.ask("POST", f"/v1/rates/{rate_id}/submit", {})

    published, stop, late = threading.Event(), threading.Event(), []

    def write():
        while not stop.is_set():
            is_late = published.is_set()
            batch_id = writer.book(20)
            if is_late:
                late.append(batch_id)

    writers = [threading.Thread(target=write) for _ in range(WRITERS)]
    for thread in writers:
        thread.start()
    time.sleep(1)
    assert bob.ask("POST", f"/v1/rates/{rate_id}/approve", {})["state"] == "published"
    approved_at = time.monotonic()
    published.set()
    wait_until(lambda: len(late) >= 4 * WRITERS)
    stop.set()
    for thread in writers:
        thread.join(60)
    assert time.monotonic() - approved_at < 60
    rows = read(
        installation,
        "SELECT DISTINCT billed_cost, rate_version_id = %s FROM ledger_entry WHERE kind = 'usage'", rate_id,
    )  # fmt: skip
    assert {(cost, is_new) for cost, is_new in rows} == {(BEFORE, False), (AFTER, True)}
    stale = read(
        installation,
        "SELECT count(*) FROM ledger_entry WHERE batch_id = ANY(%s::uuid[]) AND rate_version_id <> %s",
        late, rate_id,
    )  # fmt: skip
    assert stale == [(0,)]  # in every process, at once

    preview = finish(installation, ann, ann.ask("POST", f"/v1/rates/{rate_id}/previews", {})["id"])
    job = bob.ask("POST", f"/v1/rates/{rate_id}/reratings", {"reason": "the cut came late"})
    kills = 0
    for seen in (2_000, 6_000):
        wait_until(lambda: read_job(installation, job["id"])[1] >= seen)  # noqa: B023
        kills += read_job(installation, job["id"])[0] == "running"
        installation.kill_service("worker")
        installation.start_service("worker")
    done = finish(installation, bob, job["id"])
    assert kills, "the job was over before it could be killed"
    assert (done["total"], done["periods"]) == (preview["total"], preview["periods"])

    calls, net, twice = read(
        installation,
        """SELECT sum(calls), sum(billed_cost),
                  (SELECT count(*) FROM (SELECT tags ->> 'tokenledger.reverses' FROM ledger_entry
                                         WHERE calls < 0 GROUP BY 1 HAVING count(*) > 1) AS again)
           FROM ledger_entry WHERE kind IN ('usage', 'correction')""",
    )[0]  # fmt: skip
    assert (net, twice) == (calls * AFTER, 0)
    assert read(
        installation,
        "SELECT count(*) FROM ledger_entry WHERE kind = 'usage' AND billed_cost = %s", BEFORE,
    )[0][0] == done["total"]["entries"] >= CALLS_BEFORE  # fmt: skip
    wait_until(lambda: read(installation, "SELECT count(*) FROM outbox WHERE topic = 'rollup'") == [(0,)])
    assert installation.manage("reconcile") == "No difference."
    assert read(installation, "SELECT sum(calls), sum(billed_cost) FROM cost_day") == [(calls, net)]


def read_job(installation, job_id):
    return read(installation, "SELECT state, entries_read FROM rate_job WHERE id = %s", job_id)[0]


def finish(installation, door, job_id):
    wait_until(lambda: read_job(installation, job_id)[0] in ("done", "failed"))
    job = door.ask("GET", f"/v1/rates/jobs/{job_id}")
    assert job["state"] == "done", job["error"]
    return job
