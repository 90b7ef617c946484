"""Where a tenant's channel may lead, judged on the address that is connected to; with real connections on loopback."""

import ssl
import time

import pytest

from alerts import addresses
from alerts.addresses import AddressRefused, RequestFailed, judge_address, post
from tests.alerts.receiving import make_certificate, receive_http

LOOPBACK = ["127.0.0.0/8"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200",
        "0.0.0.0", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "168.63.129.16", "::1", "::", "fe80::1",
        "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2001:db8::1", "2001:0:0:0:0:0:80ff:fffe",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused_however_it_is_written(address, settings):
    settings.ALERT_NETWORKS = []
    with pytest.raises(AddressRefused):
        judge_address(address, is_encrypted=True)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_address_is_asked_with_tls_only(address, settings):
    settings.ALERT_NETWORKS = LOOPBACK
    judge_address(address, is_encrypted=True)
    with pytest.raises(AddressRefused):
        judge_address(address, is_encrypted=False)


def test_a_network_of_ones_own_is_named_and_no_other_opens_with_it(settings):
    settings.ALERT_NETWORKS = ["10.1.0.0/16", "fd12::/16"]
    judge_address("10.1.2.3", is_encrypted=False)
    judge_address("fd12::5", is_encrypted=False)
    for other in ("10.2.0.1", "127.0.0.1", "169.254.169.254"):
        with pytest.raises(AddressRefused):
            judge_address(other, is_encrypted=True)


def test_a_name_that_led_elsewhere_a_moment_before_is_judged_by_where_it_leads_now(settings):
    settings.ALERT_NETWORKS = []
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    def rebind(host, port):
        return answers.pop(0)

    with receive_http() as receiver:
        judge_address(rebind("rebind.example", 443)[0], is_encrypted=True)  # as whoever checks it early would find it
        with pytest.raises(AddressRefused):
            post(f"http://rebind.example:{receiver.port}/", body=b"{}", headers={}, resolve=rebind)
        assert receiver.got == [] and answers == []


def test_a_name_with_one_address_that_is_refused_is_refused_whole(settings):
    settings.ALERT_NETWORKS = []
    with pytest.raises(AddressRefused):
        post("https://two.example/", body=b"", headers={}, resolve=lambda host, port: ["93.184.216.34", "10.0.0.1"])


def test_the_connection_goes_to_the_address_and_the_request_to_the_name(settings):
    settings.ALERT_NETWORKS = LOOPBACK
    with receive_http(204) as receiver:
        url = f"http://hooks.example:{receiver.port}/a?b=c"
        answer = post(url, body=b"{}", headers={"X-One": "1"}, resolve=lambda host, port: ["127.0.0.1"])
    assert answer.status == 204
    (got,) = receiver.got
    assert (got.path, got.headers["host"], got.headers["x-one"]) == (
        "/a?b=c", f"hooks.example:{receiver.port}", "1",
    )  # fmt: skip


def test_an_address_that_does_not_answer_gives_way_to_the_names_next_one(settings):
    settings.ALERT_NETWORKS = LOOPBACK
    with receive_http() as receiver:  # on 127.0.0.1 alone
        found = ["127.0.0.9", "127.0.0.1"]
        assert (
            post(f"http://two.example:{receiver.port}/", body=b"", headers={}, resolve=lambda h, p: found).status == 200
        )


@pytest.fixture
def trusted(monkeypatch, tmp_path):
    """trusted(name): a server's TLS context for a name whose certificate is believed here."""

    def make(name):
        certificate, key = make_certificate(tmp_path, name)
        monkeypatch.setattr(addresses, "_make_tls", lambda: ssl.create_default_context(cafile=certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context

    return make


def test_tls_is_verified_against_the_name_although_the_address_is_connected_to(settings, trusted):
    settings.ALERT_NETWORKS = LOOPBACK
    with receive_http(tls=trusted("hooks.example")) as receiver:
        ours = f"https://hooks.example:{receiver.port}/"
        assert post(ours, body=b"{}", headers={}, resolve=lambda host, port: ["127.0.0.1"]).status == 200
        theirs = f"https://other.example:{receiver.port}/"
        with pytest.raises(RequestFailed, match="certificate"):
            post(theirs, body=b"{}", headers={}, resolve=lambda host, port: ["127.0.0.1"])
    assert len(receiver.got) == 1


def test_a_certificate_that_nobody_signed_is_no_certificate(settings, tmp_path):
    settings.ALERT_NETWORKS = LOOPBACK
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(tmp_path, "hooks.example"))
    with receive_http(tls=context) as receiver, pytest.raises(RequestFailed, match="certificate"):
        post(f"https://hooks.example:{receiver.port}/", body=b"", headers={}, resolve=lambda h, p: ["127.0.0.1"])


@pytest.mark.parametrize("answer", ["hang", "drip"])
def test_a_receiver_that_hangs_or_drips_costs_the_deadline_and_no_more(settings, monkeypatch, answer):
    settings.ALERT_NETWORKS = LOOPBACK
    monkeypatch.setattr(addresses, "WHOLE_SECONDS", 1.0)
    with receive_http(answer) as receiver:
        begun = time.monotonic()
        with pytest.raises(RequestFailed):
            post(receiver.url, body=b"{}", headers={})
        assert 0.9 < time.monotonic() - begun < 3
        receiver.release.set()


def test_a_name_that_is_not_resolved_in_time_fails(settings, monkeypatch):
    monkeypatch.setattr(addresses, "CONNECT_SECONDS", 0.2)
    with pytest.raises(RequestFailed, match="not resolved in time"):
        post("https://slow.example/", body=b"", headers={}, resolve=lambda host, port: time.sleep(1) or [])


def test_a_name_that_does_not_exist_fails_and_may_exist_later():
    with pytest.raises(RequestFailed, match="not resolved"):
        post("https://nowhere.invalid/", body=b"", headers={})
