"""`manage.py simulate`: live calls over HTTP, each in the ledger once, whatever becomes of a request."""

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tenants.scope import tenant_scope
from tenants.selectors import get_tenant
from tests.conftest import ROOT
from tests.dashboards.pages import get_page, sign_in
from tests.factories import make_key, make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def acme(committed_db):
    return make_tenant("acme", is_demo=True)


def simulate(url, key, *arguments):
    """The lines that it printed; the last one read."""
    out = StringIO()
    call_command("simulate", f"--url={url}", f"--key={key}", *arguments, stdout=out)
    *lines, last = out.getvalue().splitlines()
    return lines, json.loads(last)


def list_events(tenant):
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SELECT event_id, event_source, tags FROM ledger_entry WHERE calls = 1 ORDER BY event_id")
        return cursor.fetchall()


class Refuser:
    """A proxy before the real server, which does with each booking what the plan says."""

    def __init__(self, url, plan):
        self.bodies = bodies = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self._answer(*self._forward(None))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                bodies.append(body)
                step = plan.pop(0) if plan else "pass"
                if step in ("429", "503"):
                    self._answer(int(step), b'{"detail": "for a moment"}', {"Retry-After": "0"})
                    return
                answer = self._forward(body)
                if step == "cut":
                    self.close_connection = True  # booked, and nobody is told
                    return
                self._answer(*answer)

            def _forward(self, body):
                upstream = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
                headers = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                content = answer.read()
                upstream.close()
                return answer.status, content

            def _answer(self, status, content, headers=None):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def test_every_simulated_call_is_booked_once_and_its_pages_say_so(acme, live_server_url):
    started = time.monotonic()
    lines, totals = simulate(live_server_url, make_key(acme, "ingest,read"), "--rate=50/s", "--for=3s")
    assert time.monotonic() - started >= 3
    assert lines[0] == f"posting 50 simulated calls a second of {acme.slug}; Ctrl-C ends it"
    assert lines[-1].startswith("in all: sent 150, accepted 150, duplicate 0, rejected 0, tried again 0; ")
    assert totals | {"run": ""} == {
        "sent": 150, "accepted": 150, "duplicates": 0, "conflicts": 0, "rejected": 0, "retries": 0, "unanswered": 0,
        "tenant": acme.slug, "run": "",
    }  # fmt: skip
    events = list_events(acme)
    assert {event_id for event_id, _, _ in events} == {f"{totals['run']}-{number}" for number in range(1, 151)}
    assert len(events) == 150
    assert {(source, tags) for _, source, tags in events} == {("demo", '{"demo": "simulated"}')}
    assert "Demo data: simulated" in get_page(sign_in(acme), "/ledger")


def test_a_refused_and_an_unanswered_request_is_sent_again_as_it_was(acme, live_server_url):
    refuser = Refuser(live_server_url, ["503", "429", "cut"])
    try:
        _, totals = simulate(refuser.url, make_key(acme, "ingest,read"), "--rate=20/s", "--for=2")
    finally:
        refuser.stop()
    assert refuser.bodies[0] == refuser.bodies[1] == refuser.bodies[2] == refuser.bodies[3]
    cut = len(json.loads(refuser.bodies[0]))
    assert (totals["sent"], totals["accepted"], totals["duplicates"], totals["retries"]) == (40, 40 - cut, cut, 3)
    assert len(list_events(acme)) == 40


def test_an_operators_key_names_the_tenant(acme, live_server_url):
    key = make_key(get_tenant("operator"), "ingest,read")
    _, totals = simulate(live_server_url, key, "--rate=10/s", "--for=1", f"--tenant={acme.slug}")
    assert (totals["accepted"], totals["tenant"]) == (10, acme.slug)
    assert len(list_events(acme)) == 10
    with pytest.raises(CommandError, match="says whom it charges: --tenant SLUG"):
        simulate(live_server_url, key, "--rate=10/s", "--for=1")


def test_a_tenant_that_is_no_demos_a_foreign_one_and_a_wrong_key_are_refused(acme, live_server_url):
    real = make_tenant("globex")
    with pytest.raises(CommandError, match=f"the tenant '{real.slug}' is no demo's"):
        simulate(live_server_url, make_key(real, "ingest,read"), "--for=1")
    with pytest.raises(CommandError, match=f"is one of '{acme.slug}', and may not send for '{real.slug}'"):
        simulate(live_server_url, make_key(acme, "ingest,read"), "--for=1", f"--tenant={real.slug}")
    with pytest.raises(CommandError, match="answered 401"):
        simulate(live_server_url, "tl_wrong", "--for=1")
    with pytest.raises(CommandError, match="answered 403"):
        simulate(live_server_url, make_key(acme, "read"), "--for=1")
    with pytest.raises(CommandError, match="is no address"):
        simulate("127.0.0.1", "tl_wrong", "--for=1")
    assert list_events(real) == [] == list_events(acme)


@pytest.mark.parametrize("rate", ["0", "0/s", "fast", "-1/s", "20001/s"])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(CommandError, match="is no rate"):
        call_command("simulate", f"--rate={rate}", "--key=tl_any")


def test_ctrl_c_ends_it_with_its_totals(acme, live_server_url):
    command = [sys.executable, str(ROOT / "manage.py"), "simulate", "--rate=20/s", f"--url={live_server_url}"]
    process = subprocess.Popen(
        [*command, f"--key={make_key(acme, 'ingest,read')}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # ignored below a shell's background job
    )  # fmt: skip
    process.stdout.readline()
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    said, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")
    totals = json.loads(said.splitlines()[-1])
    assert totals["accepted"] >= 10
    assert totals["sent"] == totals["accepted"] + totals["unanswered"]
    booked = len(list_events(acme))
    assert totals["accepted"] <= booked <= totals["sent"]
