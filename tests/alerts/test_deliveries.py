"""No alert is lost, none is told under two ids: with real receivers, workers that die, and what is due by the clock."""

import email
import json
import sys
import threading
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from email import policy

import pytest
from django.db import connection, connections
from standardwebhooks import Webhook

from alerts import addresses, deliveries
from alerts.channels import create_channel, list_schemes, remove_channel, rotate_secret, send_test
from alerts.core.channels import read_terms
from alerts.core.facts import Facts, Figure
from alerts.deliveries import (
    JOB,
    LEASE,
    TURN,
    DeliveryUnknown,
    claim_tenants_deliveries,
    deliver_due,
    finish_delivery,
    retry_delivery,
    send_outgoing,
)
from alerts.episodes import acknowledge_alert, grow_alert, open_alert, resolve_alert, snooze_alert
from alerts.models import Alert, AlertAttempt, AlertDelivery
from alerts.senders import Outcome
from billing.job_runs import end_turn, take_turn
from tenants.scope import tenant_scope
from tests.alerts.receiving import receive_http, receive_mail
from tests.conftest import find_free_port
from tests.factories import make_tenant

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
def now():
    return datetime.now(UTC)


@pytest.fixture
def acme(committed_db, settings):
    """Committed, because deliveries are found through the reader; what other tests left waiting is put aside."""
    settings.ALERT_NETWORKS = ["127.0.0.0/8"]
    put_aside()
    yield make_tenant("acme")
    put_aside()


def put_aside():
    with connections["reader"].cursor() as cursor:
        cursor.execute("""SELECT tenant_id FROM alert_delivery WHERE state = 'waiting'
                          UNION SELECT tenant_id FROM alert WHERE state = 'snoozed'""")
        tenant_ids = [tenant_id for (tenant_id,) in cursor.fetchall()]
    for tenant_id in tenant_ids:
        with tenant_scope(tenant_id):
            waiting = AlertDelivery.objects.filter(tenant_id=tenant_id, state="waiting")
            waiting.update(state="withheld", finished_at=datetime.now(UTC))
            Alert.objects.filter(tenant_id=tenant_id, state="snoozed").update(state="acknowledged", snoozed_until=None)


def add_channel(tenant, kind="webhook", **fields):
    """The channel and its secret."""
    document = {"name": f"{kind} channel", "kind": kind} | fields
    terms = read_terms(document, schemes=list_schemes())
    return create_channel(terms, tenant_id=tenant.id, actor="person 1", now=datetime.now(UTC))


def open_one(tenant, now, **fields):
    facts = Facts(sentence="Chat spent $80.00 of $100.00.", figures=(Figure("Spent", "$80.00 of $100.00"),))
    given = {
        "rule": "budget", "scope": {"feature": "chat"}, "episode": "2026-11/80", "severity": "high",
        "title": "Chat has used 80 % of its budget", "facts": facts, "impact": Decimal("80"), "now": now,
    }  # fmt: skip
    return open_alert(tenant_id=tenant.id, **(given | fields))


def deliver(now, send=send_outgoing):
    return deliver_due(clock=lambda: now, seconds=0.2, send=send)


def list_deliveries(tenant, *names):
    with tenant_scope(tenant.id):
        rows = AlertDelivery.objects.filter(tenant_id=tenant.id).order_by("queued_at", "event_id", "id")
        return list(rows.values_list(*(names or ("kind", "state", "attempt_count"))))


def list_attempts(tenant, *names):
    with tenant_scope(tenant.id):
        rows = AlertAttempt.objects.filter(tenant_id=tenant.id).order_by("started_at", "number")
        return list(rows.values_list(*(names or ("number", "outcome", "status"))))


def test_a_webhook_is_signed_as_the_specification_says_and_holds_what_the_page_shows(acme, now, settings):
    settings.PUBLIC_URL = "https://costs.example"
    with receive_http() as receiver:
        _, secret = add_channel(acme, settings={"url": receiver.url})
        alert_id = open_one(acme, now)
        assert deliver(now) == 1
    (got,) = receiver.got
    told = Webhook(secret).verify(got.body, got.headers)
    ((delivery_id, state),) = list_deliveries(acme, "id", "state")
    assert (got.headers["webhook-id"], state) == (f"msg_{delivery_id}", "delivered")
    assert told["type"] == "alert.opened"
    assert {name: told["data"][name] for name in ("title", "severity", "impact", "sentence", "figures", "link")} == {
        "title": "Chat has used 80 % of its budget",
        "severity": "high",
        "impact": "80",
        "sentence": "Chat spent $80.00 of $100.00.",
        "figures": [{"label": "Impact", "value": "$80.00"}, {"label": "Spent", "value": "$80.00 of $100.00"}],
        "link": f"https://costs.example/alerts/{alert_id}?tenant={acme.slug}",
    }


def test_after_a_rotation_both_secrets_are_good_for_a_day(acme, now):
    with receive_http() as receiver:
        channel, old = add_channel(acme, settings={"url": receiver.url})
        new = rotate_secret(tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=now)
        open_one(acme, now)
        deliver(now)
        open_one(acme, now, episode="later")
        later = now + timedelta(hours=24)
        deliver(later)
    first, second = receiver.got
    for secret in (old, new):
        Webhook(secret).verify(first.body, first.headers)
    assert len(first.headers["webhook-signature"].split(" ")) == 2
    assert len(second.headers["webhook-signature"].split(" ")) == 1


def test_a_receiver_that_fails_is_asked_again_after_ten_seconds_under_the_same_id(acme, now):
    with receive_http(500, 200) as receiver:
        add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        deliver(now)
        assert list_deliveries(acme, "state", "due_at", "last_error") == [("waiting", now + 10 * SECOND, "500 ok")]
        assert deliver(now + 9 * SECOND) == 0
        assert deliver(now + 10 * SECOND) == 1
    assert list_attempts(acme) == [(1, "failed", 500), (2, "delivered", 200)]
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert deliver(now + HOUR) == 0


def test_a_receiver_that_is_down_for_a_day_is_given_up_after_nine_attempts_and_may_be_asked_anew(acme, now):
    with receive_http(503) as receiver:
        add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        moment, waits = now, []
        while list_deliveries(acme, "state") == [("waiting",)]:
            deliver(moment)
            ((due_at,),) = list_deliveries(acme, "due_at")
            waits.append(int((due_at - moment).total_seconds()))
            moment = max(moment, due_at)
        # 10 s, 30 s, 2 min, 10 min, 1 h, 3 h, 6 h, 13 h, and none after the ninth.
        assert waits == [10, 30, 120, 600, 3600, 10800, 21600, 46800, 0]
        assert list_deliveries(acme) == [("opened", "dead", 9)]
        ((delivery_id,),) = list_deliveries(acme, "id")
        receiver.answers = [200]
        retry_delivery(tenant_id=acme.id, delivery_id=delivery_id, actor="person 1", now=moment)
        deliver(moment)
    assert list_deliveries(acme) == [("opened", "delivered", 10)]
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    with pytest.raises(DeliveryUnknown):
        retry_delivery(tenant_id=acme.id, delivery_id=delivery_id, actor="person 1", now=moment)


@pytest.mark.parametrize(("answer", "said"), [(410, "410 ok"), (302, "302 redirects are not followed")])
def test_gone_and_a_redirect_are_final(acme, now, answer, said):
    with receive_http(answer) as receiver, receive_http() as elsewhere:
        receiver.location = elsewhere.url
        add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        deliver(now)
    ((state, error),) = list_deliveries(acme, "state", "last_error")
    assert state == "dead" and error.startswith(said)
    assert elsewhere.got == []
    assert list_attempts(acme, "outcome", "status") == [("refused", answer)]


def test_an_address_that_is_not_public_is_final_and_says_so(acme, now, settings):
    with receive_http() as receiver:
        add_channel(acme, settings={"url": receiver.url})
        settings.ALERT_NETWORKS = []
        open_one(acme, now)
        deliver(now)
    assert receiver.got == []
    ((state, error),) = list_deliveries(acme, "state", "last_error")
    assert (state, error[:34]) == ("dead", "127.0.0.1 is no public address; a ")


def test_a_receiver_that_hangs_is_left_after_the_deadline_and_holds_up_nobody_else(acme, now, monkeypatch):
    monkeypatch.setattr(addresses, "WHOLE_SECONDS", 1.0)
    with receive_http("hang") as stuck, receive_http() as well:
        add_channel(acme, name="stuck", settings={"url": stuck.url})
        add_channel(acme, name="well", settings={"url": well.url})
        open_one(acme, now)
        assert deliver(now) == 2
        stuck.release.set()
    assert sorted(list_deliveries(acme, "state")) == [("delivered",), ("waiting",)]
    assert ("failed", None) in list_attempts(acme, "outcome", "status")


def test_a_receiver_that_is_not_there_is_found_when_it_comes_back(acme, now):
    port = find_free_port()
    add_channel(acme, settings={"url": f"http://127.0.0.1:{port}/"})
    open_one(acme, now)
    deliver(now)
    assert "refused" in list_deliveries(acme, "last_error")[0][0].lower()
    with receive_http(port=port) as receiver:
        deliver(now + 10 * SECOND)
        assert len(receiver.got) == 1
    assert list_deliveries(acme) == [("opened", "delivered", 2)]


def test_what_a_killed_worker_had_claimed_is_delivered_when_its_lease_ends_under_the_same_id(acme, now):
    with receive_http() as receiver:
        add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        (claim,) = claim_tenants_deliveries(tenant_id=acme.id, now=now, limit=5)  # and its worker is killed
        assert deliver(now + LEASE - SECOND) == 0
        assert deliver(now + LEASE) == 1
    (got,) = receiver.got
    assert got.headers["webhook-id"] == f"msg_{claim.delivery_id}"
    assert list_attempts(acme) == [(1, "lost", None), (2, "delivered", 200)]
    # It was not killed, only late: it says nothing any more, unless that the message arrived.
    finish_delivery(claim, Outcome("failed", 500, "late"), begun=now, now=now + 2 * LEASE)
    assert list_deliveries(acme) == [("opened", "delivered", 2)]


DELIVER = """
from datetime import UTC, datetime
import django
django.setup()
from alerts.deliveries import deliver_due, send_outgoing
deliver_due(clock=lambda: datetime.now(UTC), seconds=1, send=send_outgoing)
"""


def test_a_worker_that_is_killed_between_sending_and_keeping_the_answer_loses_nothing(
    acme, now, start_service, monkeypatch
):
    monkeypatch.setattr(deliveries, "TURN", timedelta(0))  # the killed one's turn, of 20 s, is over
    with receive_http("hang", 200) as receiver:
        add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        # Without Redis too: who delivers finds everything in PostgreSQL.
        environment = {"ALERT_NETWORKS": "127.0.0.0/8", "REDIS_URL": "redis://127.0.0.1:1/0"}
        worker = start_service("deliverer", [sys.executable, "-c", DELIVER], **environment)
        worker.wait_until(lambda log: receiver.got)
        worker.process.kill()
        worker.process.wait(10)
        receiver.release.set()
        assert list_attempts(acme) == [(1, "started", None)]
        assert deliver(datetime.now(UTC)) == 0  # its lease goes on
        assert deliver(datetime.now(UTC) + LEASE) == 1
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert list_attempts(acme) == [(1, "lost", None), (2, "delivered", 200)]


def test_a_late_worker_whose_message_arrived_ends_the_delivery_that_another_has_taken(acme, now):
    with receive_http() as receiver:
        add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        (late,) = claim_tenants_deliveries(tenant_id=acme.id, now=now, limit=5)
        (taken,) = claim_tenants_deliveries(tenant_id=acme.id, now=now + LEASE, limit=5)
        finish_delivery(late, Outcome("delivered", 200, ""), begun=now, now=now + LEASE)
        finish_delivery(taken, Outcome("failed", 500, ""), begun=now, now=now + LEASE)
    assert list_deliveries(acme) == [("opened", "delivered", 2)]
    assert deliver(now + HOUR) == 0 and receiver.got == []


def test_of_two_workers_one_makes_the_attempt(acme, now):
    with receive_http() as receiver:
        add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        barrier, taken = threading.Barrier(2), []

        def claim():
            try:
                barrier.wait(10)
                taken.append(claim_tenants_deliveries(tenant_id=acme.id, now=now, limit=5))
            finally:
                connection.close()

        threads = [threading.Thread(target=claim) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sorted(map(len, taken)) == [0, 1]
        assert list_attempts(acme, "number", "outcome") == [(1, "started")]
    assert receiver.got == []


def test_a_second_worker_does_not_deliver_while_the_first_one_does(acme, now):
    with receive_http() as receiver:
        add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        second = []

        def send(outgoing, kind):
            thread = threading.Thread(target=lambda: (second.append(deliver(now)), connection.close()))
            thread.start()
            thread.join(20)
            return send_outgoing(outgoing, kind)

        assert deliver(now, send) == 1
    assert second == [0] and len(receiver.got) == 1


def test_a_worker_that_died_in_its_turn_keeps_the_next_one_waiting_for_twenty_seconds(acme, now):
    with receive_http() as receiver:
        add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        assert take_turn(job=JOB, holder="the dead one", lease=TURN)
        assert deliver(now) == 0
        with connection.cursor() as cursor:
            cursor.execute("UPDATE job_run SET started_at = started_at - %s WHERE job = %s", [TURN, f"turn {JOB}"])
        assert deliver(now) == 1
        assert take_turn(job=JOB, holder="the next one", lease=TURN)  # whoever is done leaves it at once
        end_turn(job=JOB, holder="another")  # not his
        assert not take_turn(job=JOB, holder="another", lease=TURN)
        end_turn(job=JOB, holder="the next one")


def test_nobody_holds_a_lock_or_a_transaction_while_a_message_is_on_its_way(acme, now, reader):
    held = []

    def send(outgoing, kind):
        held.append(
            reader.execute("""
                SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
                          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
                       (SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'
                          AND datname = current_database())""").fetchone()
        )
        return Outcome("delivered", 200, "")

    add_channel(acme, settings={"url": "https://hooks.example/"})
    open_one(acme, now)
    assert deliver(now, send) == 1
    assert held == [(0, 0)]


def test_a_sender_that_breaks_costs_an_attempt_and_not_the_worker(acme, now):
    add_channel(acme, settings={"url": "https://hooks.example/"})
    open_one(acme, now)

    def break_down(outgoing, kind):
        raise KeyError("url")

    assert deliver(now, break_down) == 1
    assert list_deliveries(acme, "state", "last_error") == [("waiting", "KeyError: see the worker's log")]


def test_an_episode_is_told_in_its_order_and_its_end_comes_after_its_beginning(acme, now):
    with receive_http(500, 200) as receiver:
        add_channel(acme, settings={"url": receiver.url})
        alert_id = open_one(acme, now)
        deliver(now)
        resolve_alert(tenant_id=acme.id, alert_id=alert_id, now=now + SECOND)
        assert deliver(now + 2 * SECOND) == 0  # the end waits for the beginning, which is to be tried again
        deliver(now + 10 * SECOND)
        deliver(now + 11 * SECOND)
    types = [json.loads(got.body)["type"] for got in receiver.got]
    assert types == ["alert.opened", "alert.opened", "alert.resolved"]


def test_the_end_of_what_was_never_told_is_not_told(acme, now):
    with receive_http(500, 410) as receiver:
        add_channel(acme, settings={"url": receiver.url})
        alert_id = open_one(acme, now)
        deliver(now)
        resolve_alert(tenant_id=acme.id, alert_id=alert_id, now=now + SECOND)
        for seconds in (10, 11, 12):
            deliver(now + seconds * SECOND)
    assert list_deliveries(acme, "kind", "state", "last_error") == [
        ("opened", "dead", "410 ok"),
        ("resolved", "withheld", "its opening was never delivered"),
    ]


def test_quiet_hours_hold_all_but_what_is_critical_until_their_end(acme):
    night = datetime(2026, 11, 22, 23, tzinfo=UTC)
    with receive_http() as receiver:
        add_channel(acme, settings={"url": receiver.url}, quiet_hours={"from": "22:00", "to": "07:00"})
        open_one(acme, night)
        open_one(acme, night, episode="worst", severity="critical")
        assert deliver(night) == 1
        morning = datetime(2026, 11, 23, 7, tzinfo=UTC)
        assert deliver(morning - SECOND) == 0
        assert deliver(morning) == 1
    assert [json.loads(got.body)["data"]["severity"] for got in receiver.got] == ["critical", "high"]


def test_an_attempt_that_failed_is_not_made_again_at_night(acme):
    evening = datetime(2026, 11, 22, 21, 59, 55, tzinfo=UTC)
    with receive_http(500) as receiver:
        add_channel(acme, settings={"url": receiver.url}, quiet_hours={"from": "22:00", "to": "07:00"})
        open_one(acme, evening)
        deliver(evening)
    assert list_deliveries(acme, "due_at", "held_for") == [(datetime(2026, 11, 23, 7, tzinfo=UTC), "quiet hours")]
    assert len(receiver.got) == 1


def test_a_digest_is_one_message_of_all_that_came_since_the_last_one(acme):
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    with receive_http() as receiver:
        add_channel(acme, settings={"url": receiver.url}, digest_hour=8)
        for number, severity in enumerate(["info", "high", "warning"]):
            open_one(acme, noon + number * HOUR, episode=str(number), severity=severity)
        over = open_one(acme, noon, episode="over")
        resolve_alert(tenant_id=acme.id, alert_id=over, now=noon + HOUR)
        assert deliver(noon + 10 * HOUR) == 0
        morning = datetime(2026, 11, 23, 8, tzinfo=UTC)
        assert deliver(morning) == 1
        assert deliver(morning + HOUR) == 0
    (got,) = receiver.got
    told = json.loads(got.body)
    assert told["type"] == "alert.digest"
    assert [item["severity"] for item in told["data"]["items"]] == ["high", "warning", "info"]
    assert sorted(state for _, state, _ in list_deliveries(acme)) == [
        "collected", "collected", "collected", "delivered", "withheld",
    ]  # fmt: skip


def test_a_snooze_that_is_over_ends_by_itself(acme, now):
    alert_id = open_one(acme, now)
    snooze_alert(tenant_id=acme.id, alert_id=alert_id, until=now + HOUR, actor="person 1", now=now)
    deliver(now + HOUR)
    with tenant_scope(acme.id):
        assert Alert.objects.get(tenant_id=acme.id, id=alert_id).state == "open"


def test_a_test_goes_out_at_night_and_about_nothing(acme):
    night = datetime(2026, 11, 22, 23, tzinfo=UTC)
    with receive_http() as receiver:
        quiet = {"from": "22:00", "to": "07:00"}
        channel, _ = add_channel(acme, settings={"url": receiver.url}, quiet_hours=quiet, severity_min="critical")
        send_test(tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=night)
        assert deliver(night) == 1
    told = json.loads(receiver.got[0].body)
    assert (told["type"], told["data"]["title"]) == (
        "alert.test", "Test of the channel “webhook channel” of Acme",
    )  # fmt: skip


def test_a_channel_that_is_removed_is_told_nothing_more(acme, now):
    with receive_http() as receiver:
        channel, _ = add_channel(acme, settings={"url": receiver.url})
        open_one(acme, now)
        remove_channel(tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=now)
        assert deliver(now) == 0
        open_one(acme, now, episode="later")
    assert list_deliveries(acme, "state", "last_error") == [("withheld", "the channel was removed")]


def test_a_mail_says_the_same_in_text_and_html_and_has_the_deliverys_id(acme, now, settings):
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", find_free_port(), False
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # pytest-django puts one that keeps
    settings.PUBLIC_URL, settings.DEFAULT_FROM_EMAIL = "https://costs.example", "costs@costs.example"
    with receive_mail(settings.EMAIL_PORT) as box:
        add_channel(acme, "email", settings={"to": ["ann@acme.example", "bob@acme.example"]})
        box.refusals = ["451 try again later"]
        alert_id = open_one(acme, now, title="Chat & “search” <80 %>")
        deliver(now)
        assert list_attempts(acme) == [(1, "failed", 451)]
        deliver(now + 10 * SECOND)
    (envelope,) = box.envelopes
    assert envelope.rcpt_tos == ["ann@acme.example", "bob@acme.example"]
    mail = email.message_from_bytes(envelope.content, policy=policy.default)
    ((delivery_id,),) = list_deliveries(acme, "id")
    assert mail["Message-ID"] == f"<{delivery_id}@costs.example>"
    assert mail["Subject"] == "[high] Chat & “search” <80 %>"
    text, html = (mail.get_body([kind]).get_content() for kind in ("plain", "html"))
    for shown in ("Chat spent $80.00 of $100.00.", "Impact", "$80.00", f"https://costs.example/alerts/{alert_id}"):
        assert shown in text and shown in html
    assert "Chat & “search” <80 %>" in text and "Chat &amp; “search” &lt;80 %&gt;" in html


def test_without_a_relay_the_delivery_says_so(acme, now, settings):
    settings.EMAIL_HOST = ""
    add_channel(acme, "email", settings={"to": ["ann@acme.example"]})
    open_one(acme, now)
    deliver(now)
    assert list_deliveries(acme, "state", "last_error") == [("waiting", "there is no mail relay: set EMAIL_HOST")]


def test_slack_gets_blocks_in_which_no_name_is_a_mention(acme, now):
    with receive_http() as receiver:
        add_channel(acme, "slack", settings={"url": receiver.url})
        open_one(acme, now, title="<!channel> spent & spent")
        deliver(now)
    told = json.loads(receiver.got[0].body)
    assert told["text"] == "[high] &lt;!channel&gt; spent &amp; spent"
    assert [block["type"] for block in told["blocks"]] == ["header", "section", "section", "context", "actions"]
    assert [field["text"] for field in told["blocks"][2]["fields"]] == [
        "*Impact*\n$80.00",
        "*Spent*\n$80.00 of $100.00",
    ]


def test_teams_gets_an_adaptive_card_in_which_no_name_is_a_link(acme, now):
    with receive_http(202) as receiver:
        add_channel(acme, "teams", settings={"url": receiver.url})
        open_one(acme, now, title="[chat](https://evil.example) spent")
        deliver(now)
    (attachment,) = json.loads(receiver.got[0].body)["attachments"]
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"][0]["text"] == r"\[high\] \[chat\]\(https://evil.example\) spent"
    assert card["body"][2]["facts"][0] == {"title": "Impact", "value": "$80.00"}
    assert card["actions"][0]["type"] == "Action.OpenUrl"


def test_pagerduty_has_one_incident_from_the_opening_to_the_end(acme, now, settings):
    with receive_http(202) as receiver:
        settings.PAGERDUTY_URL = receiver.url
        add_channel(acme, "pagerduty", settings={"routing_key": "R0" * 16})
        alert_id = open_one(acme, now)
        deliver(now)
        grow_alert(tenant_id=acme.id, alert_id=alert_id, impact=Decimal("200"), now=now + HOUR)
        deliver(now + HOUR)
        acknowledge_alert(tenant_id=acme.id, alert_id=alert_id, actor="person 1", now=now + HOUR)
        deliver(now + HOUR)
        resolve_alert(tenant_id=acme.id, alert_id=alert_id, now=now + 2 * HOUR)
        deliver(now + 2 * HOUR)
    events = [json.loads(got.body) for got in receiver.got]
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert {event["dedup_key"] for event in events} == {f"tokenledger-{acme.slug}-{alert_id}"}
    assert {event["routing_key"] for event in events} == {"R0" * 16}
    assert (events[0]["payload"]["severity"], events[0]["payload"]["summary"]) == (
        "error", "Chat has used 80 % of its budget",
    )  # fmt: skip
    assert events[1]["payload"]["custom_details"]["Impact"] == "$200.00"


def test_a_test_of_a_pager_ends_what_it_began(acme, now, settings):
    with receive_http(202) as receiver:
        settings.PAGERDUTY_URL = receiver.url
        channel, _ = add_channel(acme, "pagerduty", settings={"routing_key": "R0" * 16})
        send_test(tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=now)
        deliver(now)
    begun, ended = (json.loads(got.body) for got in receiver.got)
    assert (begun["event_action"], ended["event_action"]) == ("trigger", "resolve")
    assert begun["dedup_key"] == ended["dedup_key"]


def test_the_clock_of_quiet_hours_is_a_time_of_the_day():
    assert read_terms(
        {
            "name": "x",
            "kind": "email",
            "settings": {"to": ["a@b.example"]},
            "quiet_hours": {"from": "22:00", "to": "06:30"},
        }
    ).quiet_to == time(6, 30)
