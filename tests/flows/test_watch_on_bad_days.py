"""What watches, on bad days: Redis away, two beats, an hour without jobs, a worker killed, every bad kind of receiver.

With the processes of production, and two beats throughout. Time is compressed without a changed clock: `let_pass` moves
what jobs, budgets and messages remember into the past; the beats knock each second at jobs of the minute; an attempt
ends after DEADLINE_SECONDS where it would have 15, a mail 30.
"""

import http.client
import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from finops.embedded import stop_server
from finops.services import BEAT_COMMAND, WORKER_COMMAND
from tests.alerts.receiving import receive_http, receive_mail, stall_mail
from tests.conftest import find_free_port
from tests.factories import make_wire_event
from tests.installation import HOST, PUBLISH_TEST_RATES, run_installation

DEADLINE_SECONDS = 2.0
# From a server's or a worker's return to the message; of a machine that does much else besides.
TOLD_SECONDS_MAX = 30
EVERY_MINUTE = ("alerts.evaluate_budgets", "alerts.watch_minutes", "alerts.watch_hours")
TOKENS_PER_CENT = 1_000  # of output, at 10 USD a million

pytestmark = pytest.mark.timeout(240)

WORKER = f"""
import sys, finops.celery, django
django.setup()
from alerts import addresses
from alerts.senders import email
addresses.WHOLE_SECONDS = email.WHOLE_SECONDS = {DEADLINE_SECONDS}
from alerts import tasks
from celery.__main__ import main
from celery.signals import task_prerun
work = tasks.evaluate_budgets
def evaluate_budgets(**asked):
    print("looks at every budget")
    return work(**asked)
tasks.evaluate_budgets = evaluate_budgets
@task_prerun.connect
def tell_knock(task, **others):
    print(f"knock at {{task.name}}")
sys.argv = {WORKER_COMMAND!r}
main()
"""
BEAT = f"""
import os, sys
from finops.schedule import TIMETABLE
for entry in TIMETABLE.values():
    if entry["task"] in {EVERY_MINUTE!r}:
        entry["schedule"] = 1.0
from celery.__main__ import main
sys.argv = [*{BEAT_COMMAND!r}, "--schedule", f"{{os.environ['TOKENLEDGER_HOME']}}/{{os.environ['NAME']}}"]
main()
"""


class Place:
    """An installation, and acme's key to it."""

    def __init__(self, installation, key, mail_port):
        self.installation, self.key, self.mail_port = installation, key, mail_port

    def start(self, *names):
        scripts = {"worker": WORKER, "beat": BEAT, "second beat": BEAT}
        variables = {"ALERT_NETWORKS": "127.0.0.0/8", "EMAIL_HOST": HOST, "EMAIL_PORT": str(self.mail_port)}
        for name in names:
            command = ["python", "-c", scripts[name]] if name in scripts else None
            more = {"EMAIL_USE_TLS": "false", "NAME": name.replace(" ", "-")}
            self.installation.start_service(name, command, **variables, **more)

    def ask(self, method, path, body=None, *, status=None):
        with closing(http.client.HTTPConnection(HOST, self.installation.port, timeout=30)) as connection:
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        assert response.status == status if status else response.status < 300, answer
        return answer

    def check(self, feature, cost, *, status=200, **fields):
        """What is said to a call."""
        question = {"provider": "openai", "model": "gpt-4o-2024-08-06", "feature": feature, "estimated_cost": cost}
        return self.ask("POST", "/v1/quota/check", question | fields, status=status)

    def add_channel(self, receiver, **fields):
        given = {"name": f"to {receiver.port}", "kind": "webhook", "settings": {"url": receiver.url}} | fields
        return self.ask("POST", "/v1/alert-channels", given)["id"]

    def add_budget(self, feature, channels, *, window="month", do="notify"):
        """One dollar."""
        actions = [{"at_percent": 50, "do": "notify"}, *([{"at_percent": 100, "do": do}] if do != "notify" else [])]
        terms = {"name": feature, "scope": {"feature": feature}, "window": window, "amount": "1.00"}
        return self.ask("POST", "/v1/budgets", terms | {"actions": actions, "channels": channels})["id"]

    def spend(self, feature, cents, **fields):
        usage = {"input_tokens": 0, "output_tokens": cents * TOKENS_PER_CENT}
        moment = {"time": datetime.now(UTC).isoformat()}
        booked = self.ask("POST", "/v1/events", make_wire_event(feature=feature, usage=usage, **moment | fields))
        assert booked["accepted"] == 1

    def wait_for_rollups(self):
        """Jobs of the minute see what is rolled up; a minute later they look again."""
        wait_until(lambda: self.read("SELECT count(*) FROM outbox WHERE topic = 'rollup'") == [(0,)])
        self.let_pass(minutes=1)

    def read(self, statement, *values):
        with self.installation.connect() as connection:
            return connection.execute(statement, values or None).fetchall()

    def let_pass(self, **some):
        """Move what is remembered into the past; in two steps, so that no slot meets another one on the way."""
        some = timedelta(**some)
        with self.installation.connect() as connection, connection.transaction():
            connection.execute("UPDATE job_run SET started_at = started_at - %s", [some])
            for step in (timedelta(days=50_000) + some, timedelta(days=-50_000)):
                connection.execute("UPDATE job_run SET slot = slot - %s WHERE slot <> 'epoch'", [step])
            connection.execute("UPDATE alert_delivery SET due_at = due_at - %s, leased_until = leased_until - %s",
                               [some, some])  # fmt: skip
            connection.execute("UPDATE budget SET created_at = created_at - %s, changed_at = changed_at - %s",
                               [some, some])  # fmt: skip

    def list_deliveries(self, budget):
        """Of the budget's one alert, by channel: the state, and the outcome of each attempt."""
        [alert] = self.ask("GET", f"/v1/alerts?budget={budget}")["alerts"]
        deliveries = self.ask("GET", f"/v1/alerts/{alert['id']}")["deliveries"]
        return {one["channel"]: (one["state"], *[a["outcome"] for a in one["attempts"]]) for one in deliveries}

    def list_ends(self, budget):
        """When each delivery's first attempt of the same alert came to its end, by channel."""
        statement = """
            SELECT started_at + duration_ms * interval '1 ms' FROM alert_attempt AS attempt
            JOIN alert_delivery AS delivery USING (tenant_id) JOIN alert USING (tenant_id)
            WHERE delivery.id = delivery_id AND alert.id = alert_id AND budget_id = %s AND number = 1
            ORDER BY channel_id"""
        return [ended_at for (ended_at,) in self.read(statement, budget)]


@pytest.fixture(scope="module")
def place():
    with run_installation() as installation:
        *_, key = installation.manage_in_turn(
            PUBLISH_TEST_RATES,
            ("create_tenant", "acme"),
            ("create_api_key", "acme", "--scopes", "ingest,backfill,read,quota,admin"),
        )
        place = Place(installation, key, find_free_port())
        place.start("web", "worker", "beat", "second beat")
        installation.wait_for_web()
        yield place


def wait_until(condition, *, seconds=TOLD_SECONDS_MAX):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "waited in vain"
        time.sleep(0.05)


def list_ids(receiver):
    return [got.headers["webhook-id"] for got in receiver.got]


def test_two_beats_have_each_job_of_the_minute_done_once_a_minute(place):
    def count(words):
        return place.installation.read_log("worker").count(words)

    wait_until(lambda: count("knock at alerts.evaluate_budgets") >= 8)
    looks = count("looks at every budget")
    [(slots,)] = place.read("SELECT count(*) FROM job_run WHERE job = 'evaluate budgets'")
    assert 1 <= looks <= slots <= 3


def test_without_redis_for_ten_minutes_calls_are_decided_on_and_what_is_to_be_told_is_told_after_it(place):
    with receive_http() as receiver:
        budget = place.add_budget("offline", [place.add_channel(receiver)], do="deny")
        stop_server(place.installation.redis)
        held = place.check("offline", "0.30", reserve=True)
        assert (held["decision"], held["counters"], held["reservation_id"][:3]) == ("allow", "database", "db-")
        place.spend("offline", 60, reservation_id=held["reservation_id"])
        time.sleep(1.1)  # as old may be what a process goes by
        denied = place.check("offline", "0.50", status=429)
        assert (denied["decision"], denied["counters"], denied["spent"]) == ("deny", "database", "0.600000000000")
        place.let_pass(minutes=10)
        assert receiver.got == []
        place.installation.start_redis_again()
        place.wait_for_rollups()
        wait_until(lambda: receiver.got)
        wait_until(lambda: place.check("offline", "0.50", status=429)["counters"] == "redis")
        assert place.check("offline", "0.40")["decision"] == "allow"
    assert len(receiver.got) == 1
    assert list(place.list_deliveries(budget).values()) == [("delivered", "delivered")]


def test_after_an_hour_without_worker_and_beat_what_ended_in_it_is_told_once(place):
    with receive_http() as receiver:
        budget = place.add_budget("nightly", [place.add_channel(receiver)], window="hour")
        for name in ("second beat", "beat", "worker"):
            place.installation.kill_service(name)
        place.let_pass(hours=2)
        place.spend("nightly", 90, time=(datetime.now(UTC) - timedelta(minutes=75)).isoformat())
        place.start("worker", "beat", "second beat")
        place.wait_for_rollups()
        wait_until(lambda: receiver.got)
        told = json.loads(receiver.got[0].body)["data"]
        assert told["title"].startswith("nightly")
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        latest = "SELECT max(slot) FROM job_run WHERE job = %s AND finished_at IS NOT NULL"
        wait_until(lambda: place.read(latest, "find anomalies of hours")[0][0] >= hour - timedelta(hours=1))
    assert len(receiver.got) == 1
    assert list(place.list_deliveries(budget).values()) == [("delivered", "delivered")]


def test_what_a_killed_worker_was_delivering_is_delivered_by_the_next_one_under_the_same_id(place):
    with receive_http("hang", 200) as receiver:
        budget = place.add_budget("killed", [place.add_channel(receiver)])
        place.spend("killed", 90)
        place.wait_for_rollups()
        wait_until(lambda: receiver.got)
        place.installation.kill_service("worker")
        receiver.release.set()
        place.start("worker")
        time.sleep(1)
        assert len(receiver.got) == 1  # the message is the dead one's, for a minute
        place.let_pass(minutes=1)
        wait_until(lambda: len(receiver.got) == 2)
        wait_until(lambda: list(place.list_deliveries(budget).values()) == [("delivered", "lost", "delivered")])
    assert len(set(list_ids(receiver))) == 1
    assert receiver.got[0].body == receiver.got[1].body


def test_of_receivers_of_every_bad_kind_none_holds_up_another_and_none_is_told_under_two_ids(place):
    with (
        receive_http() as well,
        receive_http(500, 200) as fails,
        receive_http(410) as gone,
        receive_http(302) as moved,
        receive_http("hang", 200) as silent,
        receive_http() as elsewhere,
    ):
        moved.location = elsewhere.url
        names = {place.add_channel(one): one for one in (well, fails, gone, moved, silent)}
        mail = place.add_channel(well, name="mail", kind="email", settings={"to": ["ann@acme.example"]})
        budget = place.add_budget("every", [*names, mail])
        with stall_mail(".", place.mail_port):
            place.spend("every", 90)
            place.wait_for_rollups()
            wait_until(lambda: well.got and fails.got and gone.got and moved.got and silent.got)
            wait_until(lambda: "started" not in sum(place.list_deliveries(budget).values(), ()))
        *at_once, hung, dripped = place.list_ends(budget)
        assert max(at_once) < min(hung, dripped)  # nobody waited for those
        assert list(place.list_deliveries(budget).values()) == [
            ("delivered", "delivered"), ("waiting", "failed"), ("dead", "refused"), ("dead", "refused"),
            ("waiting", "failed"), ("waiting", "failed"),
        ]  # fmt: skip
        with receive_mail(place.mail_port) as box:
            place.let_pass(seconds=10)
            wait_until(lambda: "waiting" not in [state for state, *_ in place.list_deliveries(budget).values()])
        ids = [list_ids(one) for one in names.values()]
    assert [len(one) for one in ids] == [1, 2, 1, 1, 2]
    assert len({one for of_receiver in ids for one in of_receiver}) == len(names)
    assert len(box.envelopes) == 1 and elsewhere.got == []
    assert set(place.list_deliveries(budget).values()) == {
        ("delivered", "delivered"), ("delivered", "failed", "delivered"), ("dead", "refused"),
    }  # fmt: skip
