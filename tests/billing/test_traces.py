"""Loading a trace: through the same door as everybody, once, however often it is loaded."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from billing import file_loads
from billing.traces import TraceRefused, load_trace
from tests.billing.loads import count
from tests.factories import make_tenant, publish_test_rates
from tests.rows import read

pytestmark = pytest.mark.usefixtures("committed_db")
FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "traces"
AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2025-11-16 18:17:03.9799600,4808,10
2025-11-16 18:17:04.0319600,3180,8
2025-11-16 18:17:04.0781490,110,27
"""


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


def write(folder, text, name="azure_made.csv.gz"):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def load(tenant, path, trace="azure", **options):
    options = {"provider": "openai", "model": "gpt-4o-2024-08-06"} | options
    return load_trace(trace=trace, path=path, tenant_id=tenant.id, now=datetime.now(UTC), **options)


def test_a_trace_is_booked_and_priced_at_its_own_time(acme, tmp_path):
    summary = load(acme, write(tmp_path, AZURE))
    assert count(summary) == (3, 3, 0, 0, 0, 0)
    # 8,098 tokens × 2.50 + 45 × 10 USD a million
    assert summary.billed_cost == Decimal("0.020695")
    assert summary.marks == {"zone_less": 3}
    rows = read(acme, "SELECT charge_period_start, feature, billed_cost FROM ledger_entry ORDER BY charge_period_start")
    # 4,808 × 2.50 + 10 × 10
    assert rows[0] == (
        datetime(2025, 11, 16, 18, 17, 3, 979960, tzinfo=UTC),
        "azure_made",
        Decimal("0.012120000000"),
    )


def test_a_second_load_is_all_duplicates_whatever_its_packing(acme, tmp_path):
    load(acme, write(tmp_path, AZURE))
    again = load(acme, write(tmp_path, AZURE, "azure_made.csv"))
    assert count(again) == (3, 0, 3, 0, 0, 0)
    assert again.billed_cost == 0
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(3,)]


def test_globex_books_the_same_file_for_itself(acme, tmp_path):
    globex = make_tenant("globex")
    load(acme, write(tmp_path, AZURE))
    assert count(load(globex, write(tmp_path, AZURE))) == (3, 3, 0, 0, 0, 0)


def test_a_load_that_was_cut_off_goes_on_where_it_stopped(acme, tmp_path, monkeypatch):
    monkeypatch.setattr(file_loads, "ROWS_PER_BATCH", 2)
    path = write(tmp_path, AZURE)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(acme, path, on_progress=stop)
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(2,)]
    assert count(load(acme, path)) == (3, 1, 2, 0, 0, 0)


def test_a_file_that_was_changed_is_a_conflict_that_names_the_row(acme, tmp_path):
    load(acme, write(tmp_path, AZURE))
    changed = load(acme, write(tmp_path, AZURE.replace("4808", "4809")))
    assert count(changed) == (3, 0, 2, 1, 0, 0)
    [conflict] = changed.first_conflicts
    assert conflict.startswith("azure_made:1: was booked before with another")
    assert "input_tokens" in conflict


def test_an_unknown_model_is_booked_unpriced(acme, tmp_path):
    summary = load(acme, write(tmp_path, AZURE), model="gpt-nobody-knows")
    assert count(summary) == (3, 3, 0, 0, 0, 3)
    assert summary.billed_cost == 0


def test_a_bad_row_is_kept_with_its_reason_and_its_neighbours_are_booked(acme, tmp_path):
    summary = load(acme, write(tmp_path, AZURE.replace("3180", "-3")))
    assert count(summary) == (3, 2, 0, 0, 1, 0)
    assert summary.first_rejected == ["row 2: ContextTokens is '-3': expected a number >= 0"]
    [(code, body)] = read(acme, "SELECT code, body FROM rejected_event")
    assert code == "trace_row_unreadable"
    assert json.loads(body)["ContextTokens"] == "-3"


def test_a_start_moves_the_first_row_there_and_the_others_after_it(acme, tmp_path):
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    load(acme, write(tmp_path, AZURE), start=start)
    rows = read(acme, "SELECT charge_period_start FROM ledger_entry ORDER BY 1")
    assert [moment - start for (moment,) in rows] == [
        timedelta(0),
        timedelta(microseconds=52_000),
        timedelta(microseconds=98_189),
    ]


def test_nothing_is_booked_in_the_future(acme, tmp_path):
    summary = load(acme, write(tmp_path, AZURE), start=datetime.now(UTC) + timedelta(days=1))
    assert count(summary) == (3, 0, 0, 0, 3, 0)
    assert "choose an earlier start" in summary.first_rejected[0]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"time,tokens\n1,2\n", "it has no TIMESTAMP, ContextTokens, GeneratedTokens"),
        ("a.csv", b"", "it has no TIMESTAMP"),
        ("a.csv.gz", b"no gzip at all", "Not a gzipped file"),
        ("a.csv.gz", gzip.compress(AZURE.encode() * 500)[:-40], "is cut short or damaged"),
        ("a.csv", b"TIMESTAMP,ContextTokens,GeneratedTokens\n\xff,1,2\n", "is not a CSV file in UTF-8"),
    ],
)
def test_a_file_that_is_not_the_trace_is_refused_in_one_sentence(acme, tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TraceRefused, match=reason):
        load(acme, path)


def test_a_file_that_is_not_there_is_refused(acme, tmp_path):
    with pytest.raises(TraceRefused, match="nowhere.csv: No such file"):
        load(acme, tmp_path / "nowhere.csv")


def test_the_command_says_what_became_of_the_file_and_ends_with_json(acme, tmp_path):
    out = StringIO()
    path = write(tmp_path, AZURE)
    call_command("load_trace", "azure", str(path), tenant=acme.slug, model="openai/gpt-4o-2024-08-06", stdout=out)
    *lines, last = out.getvalue().splitlines()
    assert "booked                   3" in lines
    facts = json.loads(last)
    assert (facts["read"], facts["booked"], facts["unpriced"]) == (3, 3, 0)
    assert facts["billed_cost"] == "0.020695000000"
    assert facts["marks"] == {"zone_less": 3}


def test_a_script_may_ask_for_an_exit_status_that_tells_of_conflicts(acme, tmp_path):
    command = ["load_trace", "azure", str(write(tmp_path, AZURE)), f"--tenant={acme.slug}"]
    call_command(*command, "--strict", "--feature=one", stdout=StringIO())
    with pytest.raises(CommandError, match="0 rows rejected, 3 in conflict") as raised:
        call_command(*command, "--strict", "--feature=two", stdout=StringIO())
    assert raised.value.returncode == 3


def test_the_command_refuses_a_tenant_that_does_not_exist(tmp_path):
    with pytest.raises(CommandError, match="there is no tenant 'nobody'"):
        call_command("load_trace", "azure", str(write(tmp_path, AZURE)), tenant="nobody")


def test_the_command_refuses_a_start_without_a_zone(acme, tmp_path):
    path = str(write(tmp_path, AZURE))
    with pytest.raises(CommandError, match="has no zone; write it as 2026-01-01T00:00:00Z"):
        call_command("load_trace", "azure", path, f"--tenant={acme.slug}", "--start=2026-01-01T00:00:00")


REAL = [
    ("azure", "azure_conv_2023", 15_606),
    ("azure", "azure_code_2023", 7_717),
    ("burstgpt", "burstgpt_1_first400", 400),
    ("mooncake", "mooncake_conversation", 7_851),
    ("exgentic", "exgentic_agent_llm_spans", 1_478),
    ("claude-code", "cc_traces_claude_code", 3_553),
]


@pytest.mark.parametrize(("trace", "name", "rows"), REAL)
def test_a_real_trace_is_booked_whole_and_a_second_load_is_all_duplicates(acme, trace, name, rows):
    path = FOLDER / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"the real trace is absent: {path}")
    first = load(acme, path, trace=trace, provider="openai", model="gpt-4o-2024-08-06")
    assert count(first)[:5] == (rows, rows, 0, 0, 0)
    again = load(acme, path, trace=trace, provider="openai", model="gpt-4o-2024-08-06")
    assert count(again) == (rows, 0, rows, 0, 0, 0)
    assert read(acme, "SELECT count(*), coalesce(sum(billed_cost), 0) FROM ledger_entry") == [(rows, first.billed_cost)]
