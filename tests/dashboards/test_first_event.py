"""The snippets that the page of a new key gives, run as a reader runs them."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

from dashboards.snippets import write_snippets
from ledger.selectors import EntryFilters, list_entries
from tests.factories import make_key, make_tenant, publish_test_rates

SEND_A_SPAN = """
import time
with trace.get_tracer("test").start_as_current_span("chat gpt-4o", kind=trace.SpanKind.CLIENT, attributes={
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.id": f"chatcmpl-{time.time_ns()}",
    "gen_ai.usage.input_tokens": 1200, "gen_ai.usage.cache_read.input_tokens": 1000, "gen_ai.usage.output_tokens": 300,
}):
    pass
provider.shutdown()
"""
# Of the client to be watched, which is not among what we install.
INSTRUMENTATION = """
import sys, types
module = types.ModuleType("opentelemetry.instrumentation.openai_v2")
module.OpenAIInstrumentor = lambda: types.SimpleNamespace(instrument=lambda: None)
sys.modules["opentelemetry.instrumentation"] = types.ModuleType("opentelemetry.instrumentation")
sys.modules["opentelemetry.instrumentation.openai_v2"] = module
"""


def test_each_of_the_three_snippets_books_an_event_as_it_stands(committed_db, live_server_url):
    publish_test_rates()
    acme = make_tenant("acme")
    token = make_key(acme, name="first")
    snippets = write_snippets(address=live_server_url, token=token, now=datetime.now(UTC))
    answers = [json.loads(run("sh", "-eu", "-c", snippets.curl)) for _ in range(2)]
    assert [(answer["accepted"], answer["duplicates"]) for answer in answers] == [(1, 0), (0, 1)]
    assert json.loads(run(sys.executable, "-c", snippets.python))["accepted"] == 1
    program = INSTRUMENTATION + snippets.opentelemetry_python + SEND_A_SPAN
    run("sh", "-eu", "-c", f'{snippets.opentelemetry_environment}exec "$0" -c "$1"', sys.executable, program)
    entries = list_entries(tenant_id=acme.id, filters=EntryFilters(keys=(token.split("_")[1],))).entries
    assert [str(entry["billed_cost"].normalize()) for entry in entries] == ["0.00475"] * 3
    assert json.loads(run("sh", "-eu", "-c", snippets.look))["tenant"]["slug"] == acme.slug


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
