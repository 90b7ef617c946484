"""A mail ends at its deadline whatever its relay does, and what the relay has taken is not sent again."""

import ssl
import time
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from alerts.core.messages import Message
from alerts.senders import Outgoing, email
from tests.alerts.receiving import make_certificate, receive_mail, stall_mail
from tests.conftest import find_free_port

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MESSAGE = Message(
    kind="opened", tenant="acme", tenant_name="Acme", happened_at=NOW, alert_id=7, rule="budget", severity="high",
    title="Chat has used 80 % of its budget",
)  # fmt: skip


def send(settings, port, host="127.0.0.1"):
    settings.EMAIL_HOST, settings.EMAIL_PORT = host, port
    return email.send(Outgoing(uuid4(), MESSAGE, {"to": ["ann@acme.example"]}, NOW))


@pytest.mark.parametrize("stage", ["greeting", "EHLO", "DATA", "."])
def test_a_relay_that_drips_its_answer_costs_the_deadline_and_no_more(settings, monkeypatch, stage):
    settings.EMAIL_USE_TLS = False
    monkeypatch.setattr(email, "WHOLE_SECONDS", 0.5)
    with stall_mail(stage) as port:
        begun = time.monotonic()
        outcome = send(settings, port)
        assert 0.4 < time.monotonic() - begun < 2
    assert (outcome.outcome, outcome.status) == ("failed", None)
    assert "the relay took too long" in outcome.detail


def test_a_mail_that_was_taken_is_delivered_though_the_relay_does_not_say_good_bye(settings, monkeypatch):
    settings.EMAIL_USE_TLS = False
    monkeypatch.setattr(email, "WHOLE_SECONDS", 0.5)
    with stall_mail("QUIT") as port:
        assert send(settings, port).outcome == "delivered"


def test_a_relay_that_is_not_there_is_said_to_be_so(settings):
    assert "refused" in send(settings, find_free_port()).detail
    assert send(settings, 25, host="relay.invalid").detail.startswith("relay.invalid is not resolved")


def test_a_mail_goes_through_tls_to_the_relay_whose_certificate_has_its_name(settings, monkeypatch, tmp_path):
    certificate, key = make_certificate(tmp_path, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    settings.EMAIL_USE_TLS, port = True, find_free_port()
    with receive_mail(port, tls=context) as box:
        assert "certificate" in send(settings, port, host="localhost").detail
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert send(settings, port, host="localhost").outcome == "delivered"
    assert [envelope.rcpt_tos for envelope in box.envelopes] == [["ann@acme.example"]]
