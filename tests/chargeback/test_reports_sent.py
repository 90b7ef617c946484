"""Each report is sent once to each who subscribed: with a real mail server, several workers, and clocks that jump."""

import email
import threading
from datetime import UTC, datetime, timedelta
from email import policy
from urllib.parse import urlsplit

import pytest
from django.db import connections
from django.test import Client

from alerts.senders import Outcome
from alerts.senders import email as email_sender
from alerts.senders.email import send_mail
from billing.job_runs import record_run
from billing.rollups.reconciliation import RECONCILE_JOB
from chargeback.core.reports.terms import SubscriptionRefused, read_terms
from chargeback.models import ReportSent, ReportSubscription
from chargeback.reports.sending import LEASE, claim_report, finish_report, queue_due, send_reports
from chargeback.reports.subscriptions import BY_LINK, end_subscription, list_subscriptions, send_test, subscribe
from ledger.act_lists import ActFilters, list_acts
from tenants.models import User
from tenants.people import create_user
from tenants.scope import tenant_scope
from tenants.selectors import list_tenants
from tests.alerts.receiving import receive_mail, stall_mail
from tests.conftest import find_free_port
from tests.dashboards.pages import PASSWORD
from tests.factories import make_tenant

MADE = datetime(2026, 11, 12, 12, tzinfo=UTC)
MONDAY = datetime(2026, 11, 16, 6, 0, 30, tzinfo=UTC)  # the week of the 9th to the 15th is due since half a minute
ADDRESS = "finance@acme.example"


@pytest.fixture
def acme(committed_db, settings):
    """Committed, because several workers send; what other tests left waiting is put aside."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"  # pytest-django puts one that keeps
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", find_free_port(), False
    settings.PUBLIC_URL, settings.DEFAULT_FROM_EMAIL = "https://costs.example", "costs@costs.example"
    put_aside()
    yield make_tenant("acme")
    put_aside()


def put_aside():
    for tenant in list_tenants():
        for one in list_subscriptions(tenant_id=tenant.id):
            end_subscription(tenant_id=tenant.id, subscription_id=one.id, actor="person 1", now=datetime.now(UTC))


def add(tenant, *, now=MADE, **fields):
    document = {"cadence": "weekly", "address": ADDRESS} | fields
    if fields.get("person"):
        del document["address"]
    return subscribe(read_terms(document), tenant_id=tenant.id, actor="person 1", now=now)[0]


def send(now, *, by=send_mail, seconds=10):
    return send_reports(clock=lambda: now, seconds=seconds, send=by)


def list_sent(tenant, *names):
    with tenant_scope(tenant.id):
        return list(
            ReportSent.objects.filter(tenant_id=tenant.id).order_by("queued_at", "id").values_list(*names)
        )  # fmt: skip


def read_mail(envelope):
    return email.message_from_bytes(envelope.content, policy=policy.default)


def test_a_mail_has_both_forms_its_own_id_and_the_headers_that_end_it(acme, settings):
    subscription = add(acme)
    with receive_mail(settings.EMAIL_PORT) as box:
        assert send(MONDAY) == 1
    (envelope,) = box.envelopes
    mail = read_mail(envelope)
    ((sent_id, state, body),) = list_sent(acme, "id", "state", "body_html")
    assert (state, body) == ("delivered", "")  # nothing is kept of what was sent
    assert envelope.rcpt_tos == [ADDRESS] and mail["From"] == "costs@costs.example"
    assert mail["Message-ID"] == f"<{sent_id}@costs.example>"
    assert mail["Subject"] == "Acme: 9–15 November 2026, nothing was used"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    link = mail["List-Unsubscribe"].strip(" <>")
    text, html = (mail.get_body([kind]).get_content() for kind in ("plain", "html"))
    assert link in text and link in html and link.startswith("https://costs.example/reports/unsubscribe/")
    assert mail["Auto-Submitted"] == "auto-generated"
    assert subscription.recipient == "an address of acme.example"


def test_one_click_ends_a_subscription_without_signing_in_and_opening_the_link_does_not(acme, settings):
    add(acme)
    with receive_mail(settings.EMAIL_PORT) as box:
        send(MONDAY)
    path = urlsplit(read_mail(box.envelopes[0])["List-Unsubscribe"].strip(" <>")).path
    browser = Client(enforce_csrf_checks=True)
    assert "Unsubscribe</button>" in browser.get(path).content.decode()
    assert len(list_subscriptions(tenant_id=acme.id)) == 1
    answer = browser.post(path, {"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200 and "You get no more" in answer.content.decode()
    assert "acme" not in answer.content.decode().lower()
    assert list_subscriptions(tenant_id=acme.id) == []
    assert browser.post(path).status_code == 200  # a second click is told the same
    assert browser.post(f"{path}x").status_code == 404
    with tenant_scope(acme.id):
        assert list(ReportSubscription.objects.filter(tenant_id=acme.id).values_list("address", "ended_by")) == [
            ("", BY_LINK)
        ]
        acts = list_acts(tenant_id=acme.id, filters=ActFilters(), limit=10)
    assert [act.name for act in acts] == ["report_subscription.ended", "report_subscription.created"]
    assert ADDRESS not in str(acts)


def test_a_week_is_sent_once_however_many_workers_and_beats(acme, settings):
    add(acme)
    add(acme, address="second@acme.example")

    def work():
        for _ in range(3):
            send(MONDAY)
        connections.close_all()

    with receive_mail(settings.EMAIL_PORT) as box:
        workers = [threading.Thread(target=work) for _ in range(3)]
        [worker.start() for worker in workers]
        [worker.join() for worker in workers]
        send(MONDAY + timedelta(days=3))
    assert sorted(envelope.rcpt_tos[0] for envelope in box.envelopes) == [ADDRESS, "second@acme.example"]
    assert [state for (state,) in list_sent(acme, "state")] == ["delivered", "delivered"]


def test_two_workers_never_hold_the_same_report(acme):
    queue_due_of(acme)
    first = claim_report(tenant_id=acme.id, now=MONDAY)
    assert first is not None and claim_report(tenant_id=acme.id, now=MONDAY) is None
    later = MONDAY + LEASE
    second = claim_report(tenant_id=acme.id, now=later)  # the first worker died
    assert (second.sent_id, second.number) == (first.sent_id, 2)
    finish_report(first, Outcome("failed", None, "late"), now=later)  # it did not, and comes late
    assert list_sent(acme, "state", "last_error") == [("waiting", "")]
    finish_report(second, Outcome("delivered", 250, ""), now=later)
    assert list_sent(acme, "state", "attempts") == [("delivered", 2)]


def queue_due_of(tenant):
    add(tenant)
    queue_due(tenant=tenant, now=MONDAY)


def test_a_refused_mail_is_tried_again_as_it_was_written_and_then_given_up(acme, settings):
    add(acme)
    with receive_mail(settings.EMAIL_PORT) as box:
        box.refusals = ["451 try again later"]
        send(MONDAY)
        ((state, status, error, due_at, text),) = list_sent(
            acme, "state", "status", "last_error", "due_at", "body_text"
        )  # fmt: skip
        assert (state, status, error) == ("waiting", 451, "try again later")
        assert due_at == MONDAY + timedelta(seconds=10)
        assert send(MONDAY + timedelta(seconds=9)) == 0
        assert send(due_at) == 1
    assert read_mail(box.envelopes[0]).get_body(["plain"]).get_content().split() == text.split()
    settings.EMAIL_PORT = find_free_port()  # nobody is there
    now = MONDAY + timedelta(days=7)
    tried = 0
    while tried < 20 and ("waiting",) in list_sent(acme, "state") + [("waiting",)] * (tried == 0):
        send(now)
        tried += 1
        now += timedelta(hours=13)
    assert tried == 9
    assert [state for (state,) in list_sent(acme, "state")] == ["delivered", "dead"]
    assert "refused" in list_sent(acme, "last_error")[1][0]


def test_a_server_that_hangs_costs_its_deadline_and_no_more(acme, settings, monkeypatch):
    monkeypatch.setattr(email_sender, "WHOLE_SECONDS", 0.5)
    add(acme)
    with stall_mail("DATA") as settings.EMAIL_PORT:
        assert send(MONDAY) == 1
    assert list_sent(acme, "state", "last_error") == [
        ("waiting", "Connection unexpectedly closed: the relay took too long")
    ]


def test_without_a_relay_the_report_says_so(acme, settings):
    settings.EMAIL_HOST = ""
    add(acme)
    send(MONDAY)
    assert list_sent(acme, "state", "last_error") == [("waiting", "there is no mail relay: set EMAIL_HOST")]


def test_after_an_outage_the_latest_report_alone_is_sent(acme, settings):
    add(acme, now=datetime(2026, 10, 20, tzinfo=UTC))
    with receive_mail(settings.EMAIL_PORT) as box:
        send(datetime(2026, 11, 18, 12, tzinfo=UTC))  # four Mondays were missed
        send(datetime(2026, 11, 18, 12, 1, tzinfo=UTC))
    (envelope,) = box.envelopes
    assert read_mail(envelope)["Subject"].strip() == "Acme: 9–15 November 2026, nothing was used"


def test_who_subscribes_gets_nothing_of_days_before_and_the_next_report_on_time(acme, settings):
    add(acme, now=MONDAY)
    with receive_mail(settings.EMAIL_PORT) as box:
        send(MONDAY)
        assert box.envelopes == []
        send(MONDAY + timedelta(days=7))
        assert len(box.envelopes) == 1


def test_monday_begins_in_the_tenants_zone_also_when_clocks_change(acme, settings):
    """In Berlin clocks go back on Sunday, 25 October 2026: 06:00 is 05:00 UTC on the Monday after, 04:00 before."""
    berlin = make_tenant("acme", timezone="Europe/Berlin")
    add(berlin, now=datetime(2026, 10, 1, tzinfo=UTC))
    with receive_mail(settings.EMAIL_PORT) as box:
        for moment, sent in (
            (datetime(2026, 10, 19, 3, 59, tzinfo=UTC), 1),  # the week of the 5th, late
            (datetime(2026, 10, 19, 4, 0, tzinfo=UTC), 2),
            (datetime(2026, 10, 26, 4, 59, tzinfo=UTC), 2),
            (datetime(2026, 10, 26, 5, 0, tzinfo=UTC), 3),
        ):
            send(moment)
            assert len(box.envelopes) == sent, moment
    assert "19–25 October 2026" in read_mail(box.envelopes[-1])["Subject"]


def test_a_month_waits_for_the_comparison_with_the_ledger_and_at_last_goes_without(acme, settings):
    add(acme, cadence="monthly", now=datetime(2026, 10, 20, tzinfo=UTC))
    due = datetime(2026, 11, 2, 6, tzinfo=UTC)
    with receive_mail(settings.EMAIL_PORT) as box:
        send(due)
        assert box.envelopes == []
        send(due + timedelta(days=3))
    mail = read_mail(box.envelopes[0])
    assert "October 2026" in mail["Subject"]
    missing = "! Not complete: the rollups were not compared with the ledger since the month ended."
    assert missing in mail.get_body(["plain"]).get_content()


def test_a_month_that_was_compared_goes_out_on_its_second_day(acme, settings):
    add(acme, cadence="monthly", now=datetime(2026, 10, 20, tzinfo=UTC))
    found = '{"entries": 0, "waiting_entries": 0, "differences": 0, "cost_difference": "0"}'
    record_run(job=RECONCILE_JOB.format(tenant_id=acme.id), slot=datetime(2026, 11, 2, 2, tzinfo=UTC), result=found)
    with receive_mail(settings.EMAIL_PORT) as box:
        send(datetime(2026, 11, 2, 5, 59, tzinfo=UTC))
        assert box.envelopes == []
        send(datetime(2026, 11, 2, 6, tzinfo=UTC))
    assert "Not complete" not in read_mail(box.envelopes[0]).get_body(["plain"]).get_content()


def test_a_person_gets_mail_until_deactivated(acme, settings):
    number = create_user(email=f"ann@{acme.slug}.example", password=PASSWORD, role="viewer", tenant_slug=acme.slug)
    add(acme, person=number)
    with receive_mail(settings.EMAIL_PORT) as box:
        send(MONDAY)
        assert box.envelopes[0].rcpt_tos == [f"ann@{acme.slug}.example"]
        User.objects.filter(pk=number).update(is_active=False)
        send(MONDAY + timedelta(days=7))
    assert len(box.envelopes) == 1
    assert len(list_sent(acme, "id")) == 1


def test_another_tenants_person_and_an_address_with_a_line_break_cannot_subscribe(acme):
    globex = make_tenant("globex")
    stranger = create_user(
        email=f"eve@{globex.slug}.example", password=PASSWORD, role="viewer", tenant_slug=globex.slug
    )  # fmt: skip
    with pytest.raises(SubscriptionRefused, match="nobody who signs in"):
        add(acme, person=stranger)
    for address in ("ann@acme.example\r\nBcc: eve@evil.example", "ann@acme.example, eve@evil.example", "Ann <a@b.c>"):
        with pytest.raises(SubscriptionRefused, match="no e-mail address"):
            add(acme, address=address)


def test_a_test_is_sent_at_once_and_counts_for_nothing(acme, settings):
    subscription = add(acme)
    send_test(tenant_id=acme.id, subscription_id=subscription.id, actor="person 1", now=MADE)
    with receive_mail(settings.EMAIL_PORT) as box:
        send(MADE)
        send(MONDAY)
    assert [read_mail(one)["Subject"].strip() for one in box.envelopes] == [
        "[test] Acme: 2–8 November 2026, nothing was used", "Acme: 9–15 November 2026, nothing was used",
    ]  # fmt: skip


def test_a_subscription_that_ends_while_its_report_waits_sends_none(acme, settings):
    queue_due_of(acme)
    (subscription,) = list_subscriptions(tenant_id=acme.id)
    end_subscription(tenant_id=acme.id, subscription_id=subscription.id, actor="person 1", now=MONDAY)
    assert send(MONDAY) == 0
    assert list_sent(acme, "state", "last_error") == [("withheld", "it was ended")]


def test_the_same_subscription_twice_is_one(acme):
    assert add(acme).id == add(acme).id
    assert len(list_subscriptions(tenant_id=acme.id)) == 1
