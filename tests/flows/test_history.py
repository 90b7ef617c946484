"""The judge of the chaos test, judged: it is silent on a true history, and names each kind of false one."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import pytest
from django.test import Client

from billing.rollups.batches import apply_claim
from ledger import append
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates
from tests.flows.history import Facts, History, Identity, Verdict, find_violations, hash_tree, identify

TABLES = (
    "ledger_entry", "ledger_batch", "event_key", "rejected_event", "intake_tally", "intake_hour", "outbox", "cost_hour",
    "cost_day", "cost_slice", "cost_user_hour", "calls_minute", "histogram", "histogram_slice",
    "trace_cost", "trace_day",
)  # fmt: skip
# make_wire_event: 200 plain tokens, 1,000 from the cache, 300 out: 0.0005 + 0.00125 + 0.003.
FACTS = Facts(200, 1000, 300, Decimal("0.00475"))


def post(key, body):
    return Client(raise_request_exception=False).post(
        "/v1/events?results=all", json.dumps(body), content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {key}"
    )


@pytest.fixture
def told(committed_db, owner_connection):
    """A true history of one tenant, and a connection that sees a copy of its rows, free to be doctored."""
    publish_test_rates()
    tenant = make_tenant("acme")
    key = make_key(tenant, "ingest")
    history = History()
    events = [make_wire_event(user=f"u-{number}", trace_id="run-1") for number in range(5)]
    events[3]["response_id"] = f"chatcmpl-{events[3]['id']}"
    contradicted = events[0] | {"usage": events[0]["usage"] | {"output_tokens": 301}}
    impossible = make_wire_event(usage={"input_tokens": 1, "cache_read_tokens": 2})
    for body in (events[:2], events[1:], [contradicted, impossible]):
        answer = post(key, body).json()
        if answer["batch_id"]:
            history.receipts[answer["batch_id"]] = answer["receipt"]
        for event, item in zip(body, answer["results"], strict=True):
            identity = identify(
                tenant_id=tenant.id,
                source=event["source"],
                event_id=event["id"],
                response_id=event.get("response_id", ""),
            )
            facts = FACTS if event is not contradicted else Facts(200, 1000, 301, Decimal("0.00476"))
            history.sent[identity].add(facts)
            history.verdicts.append(Verdict(identity, facts, item["status"], item.get("entry_id", "")))
            history.answered[tenant.id, item["status"]] += 1
    while apply_claim(tenant_id=tenant.id, now=datetime.now(UTC)):
        pass
    _copy_rows(owner_connection, tenant.id)
    return history, owner_connection


def _copy_rows(connection, tenant_id):
    """Temporary tables of the same names hide the real ones, which nobody can change."""
    connection.execute("SELECT set_config('app.tenant_id', %s, false)", [str(tenant_id)])
    for table in TABLES:
        connection.execute(
            f"CREATE TEMPORARY TABLE {table} AS SELECT * FROM public.{table} WHERE tenant_id = {tenant_id}"
        )
    connection.execute(f"CREATE TEMPORARY TABLE tenant AS SELECT * FROM public.tenant WHERE id = {tenant_id}")


def test_a_true_history_has_no_violations(told):
    history, connection = told
    assert [verdict.status for verdict in history.verdicts] == [
        "accepted", "accepted", "duplicate", "accepted", "accepted", "accepted", "conflict", "invalid",
    ]  # fmt: skip
    assert find_violations(history, connection) == []


ONE_ENTRY = "ctid = (SELECT max(ctid) FROM ledger_entry)"
DOUBLE_ENTRIES_SQL = """
    CREATE TEMPORARY TABLE second AS SELECT * FROM ledger_entry;
    UPDATE second SET line = line + 77;
    INSERT INTO ledger_entry SELECT * FROM second"""
DOCTORED = {
    "lost": (f"DELETE FROM ledger_entry WHERE {ONE_ENTRY}", "answered as accepted, but not so"),
    "booked twice": (DOUBLE_ENTRIES_SQL, "booked 2 times"),
    "another price": (f"UPDATE ledger_entry SET billed_cost = 1 WHERE {ONE_ENTRY}", "booked, but never sent"),
    "another count": ("UPDATE ledger_batch SET entry_count = entry_count + 1", "says"),
    "another root": ("UPDATE ledger_batch SET root = sha256(root)", "the root is not that of its leaves"),
    "another leaf": (f"UPDATE ledger_entry SET leaf = sha256(leaf) WHERE {ONE_ENTRY}", "the root is not that"),
    "a batch lost": ("DELETE FROM ledger_batch", "entries without a batch"),
    "a key lost": ("DELETE FROM event_key WHERE ctid = (SELECT max(ctid) FROM event_key)", "event key"),
    "never rolled up": (
        "INSERT INTO outbox SELECT 1, 'rollup', tenant_id, batch_id, recorded_at, 1 FROM ledger_batch",
        "waits for its rollup",
    ),
    "rolled up twice": ("UPDATE cost_hour SET calls = calls * 2", "cost_hour differs"),
    "a day off": ("UPDATE cost_day SET billed_cost = billed_cost + 0.000000000001", "cost_day differs"),
    "a slice off": ("UPDATE cost_slice SET calls = calls + 1 WHERE slice = 'total'", "cost_slice differs"),
    "a user lost": (
        "DELETE FROM cost_user_hour WHERE ctid = (SELECT max(ctid) FROM cost_user_hour)",
        "cost_user_hour differs",
    ),
    "a minute off": ("UPDATE calls_minute SET calls = calls + 1", "calls_minute differs"),
    "a histogram lost": ("DELETE FROM histogram", "histogram differs"),
    "a week of histograms lost": (
        "DELETE FROM histogram_slice WHERE slice = 'total'",
        "histogram_slice differs",
    ),
    "a day of traces off": ("UPDATE trace_day SET traces = traces + 1", "trace_day differs"),
    "a trace off": ("UPDATE trace_cost SET billed_cost = billed_cost + 1", "trace_cost differs"),
    "a tally lost": ("DELETE FROM intake_hour", "counted"),
    "a refused one lost": ("DELETE FROM rejected_event", "counted"),
}


@pytest.mark.parametrize(("statement", "word"), DOCTORED.values(), ids=DOCTORED)
def test_each_kind_of_false_row_is_named(told, statement, word):
    history, connection = told
    connection.execute(statement)
    violations = find_violations(history, connection)
    assert any(word in violation for violation in violations), violations


def test_an_answer_that_the_ledger_does_not_bear_out_is_named(told):
    history, connection = told
    unheard = Verdict(Identity(1, "checkout", "never"), FACTS, "accepted", "nowhere.0")
    history.verdicts.append(unheard)
    history.verdicts.append(replace(history.verdicts[0], status="conflict"))
    batch_id = next(iter(history.receipts))
    history.receipts[batch_id] += "x"
    violations = find_violations(history, connection)
    assert [violation.split(",")[0] for violation in violations] == [
        "answered as accepted", "answered as conflict", f"batch {batch_id}: the client's receipt is not the ledger's",
    ]  # fmt: skip


def test_the_tree_is_that_of_rfc_6962():
    # Two leaves, and one that is carried up.
    a, b, c = (bytes([number]) * 32 for number in range(3))
    assert hash_tree([a]) == a
    assert hash_tree([a, b, c]) == sha256(b"\x01" + sha256(b"\x01" + a + b).digest() + c).digest()


def test_without_on_conflict_a_replay_is_a_fault_that_the_writers_count(committed_db, monkeypatch):
    publish_test_rates()
    key = make_key(make_tenant("acme"), "ingest")
    event = make_wire_event()
    assert post(key, event).status_code == 200
    mutated = append.CLAIM_EVENT_KEYS_SQL.replace("ON CONFLICT DO NOTHING", "")
    assert mutated != append.CLAIM_EVENT_KEYS_SQL
    monkeypatch.setattr(append, "CLAIM_EVENT_KEYS_SQL", mutated)
    assert post(key, event).status_code == 500
