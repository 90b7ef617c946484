"""The ways in for engineers who have something else than our own words, each over real HTTP to what the ledger says."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from django.db import connection

from tenants.scope import tenant_scope
from tests.billing.core.test_provider_usage_oracle import CASES, name_own_provider
from tests.conftest import ROOT
from tests.factories import make_key, make_tenant, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")
# Every bucket, added up again to what providers call input and output.
SUM_TOKENS = """
    SELECT sum(input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens
               + coalesce((SELECT sum(value::int) FROM jsonb_each_text(other_usage)
                           WHERE key ~ '^(audio|image|video)_(input|cache_read)_tokens$'), 0)),
           sum(output_tokens + coalesce((SELECT sum(value::int) FROM jsonb_each_text(other_usage)
                                         WHERE key ~ '^(audio|image|video)_output_tokens$'), 0))
    FROM ledger_entry"""


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def call(acme, live_server_url):
    """GET or POST as acme: (status, document)."""
    return make_caller(live_server_url, make_key(acme, "ingest,read"))


def make_caller(address, key):
    def call(path, body=None, content_type="application/json", **query):
        request = Request(
            f"{address}{path}?{urlencode(query)}",
            data=body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": content_type},
        )
        try:
            with urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except HTTPError as error:
            return error.code, json.load(error)

    return call


def test_a_providers_answer_travels_from_the_request_to_its_explanation(call, live_server_url):
    answer = {
        "id": "chatcmpl-9f",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "usage": {
            "prompt_tokens": 1200,
            "completion_tokens": 300,
            "total_tokens": 1500,
            "prompt_tokens_details": {"cached_tokens": 1000, "ocr_tokens": 7},
            "completion_tokens_details": {"reasoning_tokens": 120},
        },
    }
    event = {
        "id": "req-1",
        "source": "checkout",
        "time": datetime.now(UTC).isoformat(),
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "feature": "summarizer",
        "provider_usage": answer,
    }
    unreadable = event | {"id": "req-2", "provider_usage": {"prompt_tokens": -5, "completion_tokens": 1}}
    unknown = event | {"id": "req-3", "provider_usage": {"prompt_tokens": 5, "completion_tokens": 1, "pages_read": 2}}

    # Parse: each item by itself, and the field inside the object named.
    status, receipt = call("/v1/events", [event, unreadable, unknown])
    assert (status, receipt["accepted"], receipt["rejected"], receipt["unpriced"]) == (207, 2, 1, 1)
    assert receipt["results"][0]["problems"][0]["field"] == "provider_usage.prompt_tokens"

    # Keep: 200 × 2.50 + 1,000 × 1.25 + 300 × 10 USD a million tokens, in disjoint buckets.
    _, listed = call("/v1/entries", event_id="req-1")
    [entry] = listed["entries"]
    assert (entry["input_tokens"], entry["cache_read_tokens"], entry["output_tokens"]) == (200, 1000, 300)
    assert (entry["billed_cost"], entry["response_id"]) == ("0.004750000000", "chatcmpl-9f")
    assert entry["tags"] == {"unread_counts": "prompt_tokens_details.ocr_tokens=7"}

    # Explain: recomputed, and the row that has no price says which count has none.
    _, explained = call(f"/v1/entries/{entry['id']}")
    assert explained["proof"]["status"] == "receipted"
    _, listed = call("/v1/entries", event_id="req-3")
    [unpriced] = listed["entries"]
    assert (unpriced["billed_cost"], unpriced["other_usage"]) == (None, {"provider_pages_read": 2})
    assert unpriced["pricing_reason"] == "no_price_for_meter:provider_pages_read"

    # The same answer from another door is the same call.
    _, again = call("/v1/events", event | {"id": "callback-1", "source": "callback"})
    assert (again["accepted"], again["duplicates"]) == (0, 1)

    _, nothing = make_caller(live_server_url, make_key(make_tenant("globex"), "read"))("/v1/entries")
    assert nothing["entries"] == []


@pytest.mark.skipif(not CASES, reason="the oracle's data is not beside this checkout")
def test_every_recorded_usage_is_booked_as_it_was_sent(acme, call):
    bodies = [case["body"] for case in CASES]
    events = [
        {
            "id": f"recorded-{number}",
            "time": datetime.now(UTC).isoformat(),
            "provider": name_own_provider(body),
            "model": body.get("model") or "not-named",
            "provider_usage": {name: value for name, value in body.items() if name not in ("file", "model")},
        }
        for number, body in enumerate(bodies)
    ]
    status, receipt = call("/v1/events", events)
    assert (status, receipt["accepted"], receipt["results"]) == (200, 809, [])

    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute(SUM_TOKENS)
        [booked] = cursor.fetchall()
    # The oracle's sums, and what a compaction and hidden thoughts add on purpose (docs/provider-usage.md).
    assert booked == (1_134_406 + 55_196, 165_533 + 125 + 62 + 28)


def test_a_plain_log_travels_through_the_command_and_over_http_and_is_booked_once(acme, call, tmp_path):
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    first = f'{{"timestamp": "{day} 00:00:00", "model": "gpt-4o-2024-08-06", "tokens": 1500, "cost": 0.0075}}\n'
    second = f'{{"timestamp": "{day} 00:00:01", "model": "our-llama", "tokens": 10, "cost": 4.1400000000000003e-05}}\n'
    query = {"format": "cost_lines", "source": "gateway", "timezone": "UTC"}

    # Over HTTP while the log is written, a bad line among the good ones.
    lines = f"{first}no line at all\n{second}".encode()
    status, receipt = call("/v1/events", lines, "application/x-ndjson", **query)
    assert (status, receipt["accepted"], receipt["rejected"], receipt["unpriced"]) == (207, 2, 1, 1)
    assert receipt["results"][0] | {"detail": ...} == {
        "index": 1,
        "id": "gateway:2",
        "status": "invalid",
        "code": "malformed_json",
        "detail": ...,
        "problems": receipt["results"][0]["problems"],
    }

    # From the file in the evening: what was there is there.
    (tmp_path / "gateway.jsonl").write_bytes(lines + first.encode())
    command = [sys.executable, "manage.py", "load_log", str(tmp_path / "gateway.jsonl")]
    done = subprocess.run(
        [*command, f"--tenant={acme.slug}", "--timezone=UTC"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    counts = {name: summary[name] for name in ("read", "booked", "duplicates", "conflicts", "rejected")}
    assert counts == {"read": 4, "booked": 1, "duplicates": 2, "conflicts": 0, "rejected": 1}
    # 1,500 × 2.50 USD a million, less what the line says
    assert (summary["billed_cost"], summary["difference"]) == ("0.003750000000", "-0.003750000000")

    # Our price, their cost beside it, to the last digit; an unknown model is unpriced, never zero.
    _, listed = call("/v1/entries")
    figures = [(e["event_id"], e["provider"], e["billed_cost"], e["reported_cost"]) for e in listed["entries"]]
    assert sorted(figures) == [
        ("gateway:1", "openai", "0.003750000000", "0.007500000000"),
        ("gateway:3", "unknown", None, "0.000041400000"),
        ("gateway:4", "openai", "0.003750000000", "0.007500000000"),
    ]
