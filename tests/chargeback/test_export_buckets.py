"""Buckets: a real S3 server on loopback that checks signatures, one that hangs or answers 503, one that is killed."""

import hashlib
import os
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta

import boto3
import httpx
import pytest
from django.db import connections

from chargeback.core.export_targets import TargetRefused, read_terms
from chargeback.core.exports import name_file, name_manifest
from chargeback.core.sigv4 import sign_request
from chargeback.exports import buckets
from chargeback.exports.buckets import Bucket
from chargeback.exports.places import DayChanged, PlaceFailed, Standing
from chargeback.exports.runs import export_due
from chargeback.exports.standing import list_runs
from chargeback.exports.targets import add_target, change_target, try_target
from chargeback.models import ExportTarget
from tenants.scope import tenant_scope
from tests.alerts.receiving import receive_http
from tests.chargeback.test_exports import DAY, SETTLED, book_calls, put_aside
from tests.conftest import accepts_connections, find_free_port
from tests.factories import make_tenant

POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
MANY = "999999"


class Server:
    """moto as a process, its buckets in memory. keys: of a user who may do everything in them."""

    def __init__(self, start_service, port):
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self.service = start_service(f"s3-{port}", command, INITIAL_NO_AUTH_ACTION_COUNT=MANY)
        self.service.wait_until(lambda log: accepts_connections(port))
        named = {"aws_access_key_id": "first", "aws_secret_access_key": "first", "region_name": "us-east-1"}
        iam = boto3.client("iam", endpoint_url=self.url, **named)
        iam.create_user(UserName="tokenledger")
        iam.put_user_policy(UserName="tokenledger", PolicyName="all", PolicyDocument=POLICY)
        made = iam.create_access_key(UserName="tokenledger")["AccessKey"]
        self.keys = {"access_key_id": made["AccessKeyId"], "secret_access_key": made["SecretAccessKey"]}
        self.s3 = boto3.client(
            "s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=made["AccessKeyId"],
            aws_secret_access_key=made["SecretAccessKey"],
        )  # fmt: skip
        self.s3.create_bucket(Bucket="ledger")
        httpx.post(f"{self.url}/moto-api/reset-auth", content=b"0")  # from now on every signature is checked

    def list_names(self):
        return sorted(each["Key"] for each in self.s3.list_objects_v2(Bucket="ledger").get("Contents", []))

    def kill(self):
        os.kill(self.service.process.pid, signal.SIGKILL)
        self.service.process.wait()


@pytest.fixture(scope="module")
def server(start_service):
    return Server(start_service, find_free_port())


@pytest.fixture
def acme(committed_db, settings):
    settings.ALERT_NETWORKS = ["127.0.0.0/8"]
    put_aside()
    tenant = make_tenant("acme")
    book_calls(tenant, 22)
    yield tenant
    put_aside()


def make_terms(url, keys, **fields):
    document = {
        "name": "lake", "kind": "s3", "place": "ledger/cost", "endpoint": url, "first_day": "2026-11-22", **keys,
    } | fields  # fmt: skip
    return read_terms(document, kinds=("s3",), schemes=("http", "https"), today=DAY)


def add_bucket(tenant, url, keys, **fields):
    return add_target(make_terms(url, keys, **fields), tenant_id=tenant.id, actor="person 1", now=SETTLED)


def open_bucket(server, **keys):
    return Bucket(make_terms(server.url, server.keys), server.keys | keys, clock=tick)


def tick():
    return datetime.now(UTC)


def export(now=SETTLED):
    return export_due(clock=lambda: now, seconds=60)


def read_run(tenant, target):
    return list_runs(tenant_id=tenant.id, target_id=target.id, now=SETTLED)[-1]


def write(path, size):
    content = os.urandom(size)
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def test_a_day_stands_in_the_bucket_whole_and_the_next_round_sends_nothing(acme, server):
    target = add_bucket(acme, server.url, server.keys)
    assert try_target(tenant_id=acme.id, target_id=target.id, clock=tick) == ""
    assert export() == 1
    names = [f"cost/{name_file(acme.slug, dataset, DAY)}" for dataset in ("focus", "rows")]
    assert {*names, f"cost/{name_manifest(acme.slug, DAY)}"} <= set(server.list_names())
    for name in names:
        answer = server.s3.get_object(Bucket="ledger", Key=name)
        assert hashlib.sha256(answer["Body"].read()).hexdigest() == answer["Metadata"]["sha256"]
    run = read_run(acme, target)
    assert (run.state, run.rows, run.attempts) == ("sent", 1, 1)
    assert export() == 0


def test_a_large_file_goes_in_parts_and_is_never_put_over_another(server, tmp_path, settings):
    settings.ALERT_NETWORKS = ["127.0.0.0/8"]
    path, sha256 = write(tmp_path / "large", 2 * buckets.PART_BYTES + 77)
    bucket, seen = open_bucket(server), []
    bucket.put("large.parquet", path, sha256=sha256, keep=lambda: seen.append(bucket.find("large.parquet")))
    assert seen == [None, None, None]
    assert bucket.find("large.parquet") == Standing(2 * buckets.PART_BYTES + 77, sha256)
    assert server.s3.list_multipart_uploads(Bucket="ledger").get("Uploads", []) == []
    with pytest.raises(DayChanged):
        bucket.put("large.parquet", path, sha256=sha256, keep=lambda: None)


def test_the_last_word_is_the_servers_where_two_put_the_same_name_at_once(server, tmp_path, settings, monkeypatch):
    settings.ALERT_NETWORKS = ["127.0.0.0/8"]
    bucket = open_bucket(server)
    path, sha256 = write(tmp_path / "small", 1000)
    bucket.put("twice.parquet", path, sha256=sha256, keep=lambda: None)
    monkeypatch.setattr(bucket, "find", lambda name: None)
    with pytest.raises(DayChanged):
        bucket.put("twice.parquet", path, sha256=sha256, keep=lambda: None)


def test_wrong_credentials_and_a_missing_bucket_are_told_in_words(server, settings):
    settings.ALERT_NETWORKS = ["127.0.0.0/8"]
    for bucket, words in (
        (open_bucket(server, secret_access_key="another"), "403: the secret does not belong to the access key"),
        (open_bucket(server, access_key_id="nobody"), "403: the access key is not known there"),
        (
            Bucket(make_terms(server.url, server.keys, place="nowhere"), server.keys, clock=tick),
            "404: there is no such bucket",
        ),
    ):
        with pytest.raises(PlaceFailed) as failed:
            bucket.probe(b"x")
        assert str(failed.value) == words


def test_an_address_within_the_house_is_refused_unless_the_operator_opens_it(acme, server, settings):
    settings.ALERT_NETWORKS = []
    target = add_bucket(acme, server.url, server.keys)
    words = "127.0.0.1 is no public address; a network of one's own is named in ALERT_NETWORKS"
    assert try_target(tenant_id=acme.id, target_id=target.id, clock=tick) == words


def test_redirects_are_not_followed(acme, server):
    with receive_http(302) as receiver:
        receiver.location = f"{server.url}/ledger"
        target = add_bucket(acme, f"http://127.0.0.1:{receiver.port}", server.keys)
        told = try_target(tenant_id=acme.id, target_id=target.id, clock=tick)
    assert told == "302: redirects are not followed; give the target the address itself"


def test_a_server_that_hangs_or_says_503_is_tried_again_and_the_day_caught_up(acme, server, monkeypatch):
    monkeypatch.setattr(buckets, "REQUEST_SECONDS", 1.0)
    with receive_http("hang") as receiver:
        target = add_bucket(acme, f"http://127.0.0.1:{receiver.port}", server.keys)
        export()
        run = read_run(acme, target)
        assert (run.state, run.due_at) == ("waiting", SETTLED + timedelta(minutes=1))
        assert "no answer in time" in run.last_error
        receiver.release.set()
        receiver.answers = [503]
        assert export(SETTLED + timedelta(seconds=59)) == 0
        export(SETTLED + timedelta(minutes=1))
        run = read_run(acme, target)
        assert run.due_at == SETTLED + timedelta(minutes=6) and run.last_error.startswith("503")
    change_target(
        make_terms(server.url, server.keys, place="ledger/later"), tenant_id=acme.id, target_id=target.id,
        actor="person 1", now=SETTLED,
    )  # fmt: skip
    export(SETTLED + timedelta(minutes=6))
    assert read_run(acme, target).state == "sent"


def test_a_server_killed_in_the_middle_of_an_upload_shows_nothing_and_the_day_is_caught_up(
    acme, start_service, monkeypatch
):
    monkeypatch.setattr(buckets, "PART_BYTES", 1 << 10)  # so that a small day has many parts
    port = find_free_port()
    server = Server(start_service, port)
    target = add_bucket(acme, server.url, server.keys)
    sent, send = [], Bucket._ask

    def send_until_killed(self, method, name, **named):
        if "partNumber" in (named.get("query") or {}):
            sent.append(name)
            if len(sent) == 3:
                assert server.list_names() == []
                server.kill()
        return send(self, method, name, **named)

    monkeypatch.setattr(Bucket, "_ask", send_until_killed)
    assert export() == 1
    run = read_run(acme, target)
    assert (run.state, run.attempts, run.due_at) == ("waiting", 1, SETTLED + timedelta(minutes=1))
    monkeypatch.setattr(Bucket, "_ask", send)
    monkeypatch.setattr(buckets, "PART_BYTES", 8 << 20)
    server = Server(start_service, port)
    change_target(make_terms(server.url, server.keys), tenant_id=acme.id, target_id=target.id, actor="person 1",
                  now=SETTLED)  # fmt: skip
    export(SETTLED + timedelta(minutes=1))
    assert read_run(acme, target).state == "sent" and len(server.list_names()) == 3


def test_two_workers_at_once_send_each_day_once(acme, server):
    target = add_bucket(acme, server.url, server.keys, place="ledger/both", first_day="2026-11-17")
    counts, threads = [], []
    for _ in range(2):
        threads.append(threading.Thread(target=lambda: counts.append(_export_apart())))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 6
    runs = list_runs(tenant_id=acme.id, target_id=target.id, now=SETTLED)
    assert {(run.state, run.attempts) for run in runs} == {("sent", 1)} and len(runs) == 6


def _export_apart():
    try:
        return export()
    finally:
        connections.close_all()


def test_credentials_are_kept_encrypted_and_asked_for_again_where_the_target_leads_elsewhere(acme, server):
    target = add_bucket(acme, server.url, server.keys)
    with tenant_scope(acme.id):
        kept = bytes(ExportTarget.objects.get(tenant_id=acme.id, id=target.id).settings)
    assert not any(secret.encode() in kept for secret in server.keys.values())
    named = {"tenant_id": acme.id, "target_id": target.id, "actor": "person 1", "now": SETTLED}
    document = {"name": "lake", "kind": "s3", "place": "ledger/cost", "endpoint": server.url}
    read = {"kinds": ("s3",), "schemes": ("http",), "today": DAY, "needs_credentials": False}
    change_target(read_terms(document | {"enabled": False}, **read), **named)
    with pytest.raises(TargetRefused, match="where the target leads elsewhere"):
        change_target(read_terms(document | {"endpoint": "http://127.0.0.1:9"}, **read), **named)


@pytest.mark.parametrize("method, url, headers, body, signature", [
    # https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, its examples of GET and PUT
    ("GET", "https://examplebucket.s3.amazonaws.com/test.txt", {"Range": "bytes=0-9"}, b"",
     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    ("PUT", "https://examplebucket.s3.amazonaws.com/test%24file.text",
     {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
     b"Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
    ("GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", {}, b"",
     "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
])  # fmt: skip
def test_a_request_is_signed_as_amazons_own_examples_are(method, url, headers, body, signature):
    signed = sign_request(
        method, url, headers=headers, body_sha256=hashlib.sha256(body).hexdigest(), region="us-east-1",
        access_key_id="AKIAIOSFODNN7EXAMPLE", secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )  # fmt: skip
    assert signed["Authorization"].rpartition("Signature=")[2] == signature
