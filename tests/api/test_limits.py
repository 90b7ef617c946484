"""Limits at the door: what is refused, by whose limit, and that nobody pays for another."""

import http.client
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Semaphore
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from api import buckets
from api.limits import LARGE_BODY_BYTES, hold_place
from api.metrics import forget_metrics
from ledger.selectors import EntryFilters, list_entries
from tenants.limits import set_limits
from tests.api.conftest import Machine
from tests.factories import make_key, make_tenant, make_wire_event

PARALLEL = 100
OF_THE_INSTALLATION = {
    "requests": {"per_second": 5_000, "burst": 50_000},
    "bytes": {"per_second": 50_000_000, "burst": 500_000_000},
    "events": {"per_second": 20_000, "burst": 200_000},
}


def post(machine, *events, **headers):
    return machine.post("/v1/events", json.dumps(events), **headers)


def key_id(machine):
    return machine.headers["Authorization"].split("_")[1]


def make_ten():
    """As many events as a bucket of one a second holds: a second time it has too few for ten seconds."""
    return [make_wire_event() for _ in range(10)]


def test_more_events_than_the_tenant_may_send_are_refused_with_the_time_to_wait(acme, machine):
    set_limits(tenant_id=acme.id, changes={"events": 1})
    assert post(machine, *make_ten()).status_code == 200
    refused = post(machine, *make_ten())
    assert (refused.status_code, refused["Content-Type"]) == (429, "application/problem+json")
    assert 5 <= int(refused["Retry-After"]) <= 10  # some seconds may have passed
    assert refused["RateLimit-Policy"] == '"tenant-events";q=10;w=10'
    assert refused["RateLimit"] == f'"tenant-events";r=0;t={refused["Retry-After"]}'
    document = refused.json()
    assert (document["code"], document["retry_safe"]) == ("rate_limited", True)
    assert document["limit"] == {"of": "tenant", "resource": "events", "per_second": 1, "burst": 10}
    filters = EntryFilters()
    assert len(list_entries(tenant_id=acme.id, filters=filters, before=None, limit=100).entries) == 10


def test_an_event_that_is_invalid_is_taken_too(acme, machine):
    set_limits(tenant_id=acme.id, changes={"events": 1})
    post(machine, *({"id": "nothing else"} for _ in range(10)))
    assert post(machine, *make_ten()).status_code == 429


def test_bytes_are_taken_before_they_are_read(acme, machine, monkeypatch):
    set_limits(tenant_id=acme.id, changes={"bytes": 100})
    assert machine.post("/v1/events", b"x" * 900).json()["code"] == "body_malformed"
    monkeypatch.setattr("api.views.events.read_body", None)
    refused = machine.post("/v1/events", b"x" * 900)
    assert (refused.status_code, refused.json()["limit"]["resource"]) == (429, "bytes")


def test_reading_has_a_limit_as_well(acme, machine):
    set_limits(tenant_id=acme.id, changes={"requests": 1})
    answers = []
    while answers[-1:] != [429]:
        answers.append(machine.get("/v1/entries").status_code)
    assert 10 <= answers.count(200) < 20
    assert machine.get("/healthz").status_code == 200


def test_what_globex_sends_is_not_taken_from_acme(acme, machine, globex, stranger):
    for tenant in (acme, globex):
        set_limits(tenant_id=tenant.id, changes={"events": 1, "requests": 1})
    while post(stranger, *(make_wire_event() for _ in range(5))).status_code == 200:
        pass
    assert post(machine, *make_ten()).status_code == 200


def test_a_key_with_a_limit_of_its_own_leaves_the_others_of_its_tenant_alone(acme, machine):
    other = Machine(make_key(acme, "ingest"))
    set_limits(tenant_id=acme.id, key_id=key_id(machine), changes={"events": 1})
    assert post(machine, *make_ten()).status_code == 200
    refused = post(machine, *make_ten())
    assert refused.json()["limit"] == {"of": "key", "resource": "events", "per_second": 1, "burst": 10}
    assert refused["RateLimit-Policy"] == '"key-events";q=10;w=10'
    assert post(other, *make_ten()).status_code == 200


def test_an_operators_events_are_taken_from_the_tenants_that_they_name(acme, globex, operator, machine, stranger):
    set_limits(tenant_id=acme.id, changes={"events": 1})
    mixed = [make_wire_event(tenant=tenant.slug) for tenant in (acme, globex) for _ in range(10)]
    assert post(operator, *mixed).status_code == 200
    assert post(machine, *make_ten()).status_code == 429
    assert post(stranger, make_wire_event()).status_code == 200
    mixed = [make_wire_event(tenant=tenant.slug) for tenant in (globex, acme) for _ in range(5)]
    assert post(operator, *mixed).status_code == 429
    filters = EntryFilters()
    assert len(list_entries(tenant_id=globex.id, filters=filters, before=None, limit=100).entries) == 11


def test_a_key_is_told_its_limits(acme, machine):
    assert machine.get("/v1/me").json()["limits"]["tenant"] == OF_THE_INSTALLATION
    assert machine.get("/v1/me").json()["limits"]["key"] == {}
    set_limits(tenant_id=acme.id, changes={"events": 500})
    set_limits(tenant_id=acme.id, key_id=key_id(machine), changes={"bytes": 70})
    limits = machine.get("/v1/me").json()["limits"]
    assert limits["tenant"] == OF_THE_INSTALLATION | {"events": {"per_second": 500, "burst": 5_000}}
    assert limits["key"] == {"bytes": {"per_second": 70, "burst": 700}}


def test_without_redis_booking_goes_on(acme, machine, monkeypatch):
    set_limits(tenant_id=acme.id, changes={"events": 1, "requests": 1, "bytes": 1})
    alone = buckets.Buckets("unix:///nonexistent/redis.sock")
    monkeypatch.setattr("api.limits.get_buckets", lambda: alone)
    for _ in range(3):
        assert post(machine, *(make_wire_event() for _ in range(50))).status_code == 200


def test_refusals_are_counted_in_the_metrics(committed_db):
    acme = make_tenant("acme")
    machine = Machine(make_key(acme, "ingest"))
    set_limits(tenant_id=acme.id, changes={"events": 1})
    for _ in range(3):
        post(machine, *make_ten())
    forget_metrics()
    text = Machine().get("/metrics", Host="127.0.0.1").content.decode()
    forget_metrics()
    assert f'tokenledger_limits_refused_total{{of="tenant",resource="events",tenant="{acme.slug}"}} 2.0' in text
    assert "\ntokenledger_limits_unchecked_total " in text


def test_limits_are_set_from_a_script(acme, machine, capsys):
    def run(*arguments):
        call_command("set_limits", acme.slug, *arguments)
        return capsys.readouterr().out.splitlines()[-1]

    assert run("--events-per-second", "500") == '{"requests": null, "bytes": null, "events": 500}'
    assert run("--bytes-per-second", "9000") == '{"requests": null, "bytes": 9000, "events": 500}'
    assert run("--key", key_id(machine), "--requests-per-second", "2") == (
        '{"requests": 2, "bytes": null, "events": null}'
    )
    assert run("--events-per-second", "default") == '{"requests": null, "bytes": 9000, "events": null}'
    assert run() == '{"requests": null, "bytes": 9000, "events": null}'


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nobody-at-all",), "there is no tenant 'nobody-at-all'"),
        (("operator", "--events-per-second", "0"), "events: a limit is a whole number of 1 or more"),
        (("operator", "--bytes-per-second", "1e6"), "bytes: a limit is a whole number of 1 or more, or 'default'"),
        (("operator", "--key", "nothing", "--events-per-second", "1"), "the tenant has no key 'nothing'"),
    ],
)
def test_a_limit_that_cannot_be_is_one_sentence(db, arguments, message):
    with pytest.raises(CommandError, match=message):
        call_command("set_limits", *arguments)


def test_a_key_of_another_tenant_is_not_found(acme, stranger):
    with pytest.raises(CommandError, match="the tenant has no key"):
        call_command("set_limits", acme.slug, "--key", key_id(stranger), "--events-per-second", "1")


@pytest.mark.parametrize("number", [0, -1])
def test_the_database_knows_that_a_limit_is_positive(acme, number):
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE tenant SET events_per_second = %s WHERE id = %s", [number, acme.id])


def test_a_hundred_posts_at_once_to_two_processes_get_what_one_bucket_holds(committed_db, live_server_url):
    acme = make_tenant("acme")
    set_limits(tenant_id=acme.id, changes={"events": 1})
    address = urlsplit(live_server_url).netloc
    headers = {"Authorization": f"Bearer {make_key(acme, 'ingest')}", "Content-Type": "application/json"}

    def send(_):
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.request("POST", "/v1/events", json.dumps(make_wire_event()), headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    start = time.monotonic()
    with ThreadPoolExecutor(PARALLEL) as pool:
        statuses = list(pool.map(send, range(PARALLEL)))
    filled = math.ceil(time.monotonic() - start)
    assert set(statuses) == {200, 429}
    assert 10 <= statuses.count(200) <= 10 + filled
    entries = list_entries(tenant_id=acme.id, filters=EntryFilters(), before=None, limit=1000).entries
    assert len(entries) == statuses.count(200)


def test_few_large_bodies_are_worked_on_at_a_time_and_small_ones_pass_them():
    large, small = b"x" * LARGE_BODY_BYTES, b"x"
    inside, all_may_go = Semaphore(0), Event()

    def work():
        with hold_place(large):
            inside.release()
            all_may_go.wait(10)

    with ThreadPoolExecutor(5) as pool:
        works = [pool.submit(work) for _ in range(5)]
        assert all(inside.acquire(timeout=5) for _ in range(2))
        assert not inside.acquire(timeout=0.2)
        with hold_place(small):
            pass
        all_may_go.set()
        assert [work.result(timeout=5) for work in works] == [None] * 5
    with suppress(ValueError), hold_place(large):  # a place is given back however the work ends
        raise ValueError
    with hold_place(large):
        pass
