"""Loading a log of plain cost lines: once, however often it is loaded, and a bad line costs no other its booking."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command

from billing import file_loads
from billing.core.cost_lines import CostLineOptions
from billing.cost_logs import LogRefused, load_log, name_log
from tests.billing.loads import count
from tests.factories import make_tenant, publish_test_rates
from tests.rows import read

pytestmark = pytest.mark.usefixtures("committed_db")
# At 2.50 USD a million: 0.00375, 0.005 and no price.
LINES = [
    '{"timestamp": "2026-11-02 09:15:00", "model": "gpt-4o-2024-08-06", "tokens": 1500,'
    ' "cost_per_1k_tokens": 0.005, "cost": 0.0075}',
    '{"timestamp": "2026-11-02 09:16:00", "model": "gpt-4o-2024-08-06", "tokens": 2000,'
    ' "cost_per_1k_tokens": 0.005, "cost": 0.01}',
    '{"timestamp": "2026-11-02 09:17:00", "model": "our-llama", "tokens": 10, "cost": 4.1400000000000003e-05}',
]
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


def write(folder, lines, name="gateway.jsonl"):
    path = folder / name
    text = lines if isinstance(lines, bytes) else "\n".join([*lines, ""]).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def load(tenant, path, **options):
    options = CostLineOptions(**({"source": name_log(path), "zone": BERLIN} | options))
    return load_log(path=path, tenant_id=tenant.id, now=datetime(2026, 11, 22, 12, tzinfo=UTC), options=options)


def test_a_log_is_booked_by_our_rates_beside_what_it_says_was_paid(acme, tmp_path):
    summary = load(acme, write(tmp_path, LINES))
    assert count(summary) == (3, 3, 0, 0, 0, 1)
    assert summary.billed_cost == Decimal("0.00875")
    assert summary.reported_cost == Decimal("0.0175414")
    assert summary.unpriced_reported_cost == Decimal("0.0000414")
    assert summary.difference == Decimal("-0.00875")  # 0.00875 − (0.0075 + 0.01)
    assert summary.marks == {"provider_assumed": 3}
    query = "SELECT event_id, event_source, charge_period_start, provider, input_tokens, billed_cost, reported_cost"
    assert read(acme, f"{query} FROM ledger_entry ORDER BY line") == [
        (
            "gateway:1", "log:gateway", datetime(2026, 11, 2, 8, 15, tzinfo=UTC), "openai", 1500,
            Decimal("0.00375"), Decimal("0.0075"),
        ),
        (
            "gateway:2", "log:gateway", datetime(2026, 11, 2, 8, 16, tzinfo=UTC), "openai", 2000,
            Decimal("0.005"), Decimal("0.01"),
        ),
        (
            "gateway:3", "log:gateway", datetime(2026, 11, 2, 8, 17, tzinfo=UTC), "unknown", 10,
            None, Decimal("0.0000414"),
        ),
    ]  # fmt: skip


def write_csv(lines):
    file = io.StringIO()
    writer = csv.DictWriter(file, ["timestamp", "model", "tokens", "cost_per_1k_tokens", "cost"])
    writer.writeheader()
    writer.writerows(json.loads(line, parse_float=Decimal) for line in lines)
    return file.getvalue().encode()


SHAPES = [
    ("gateway.jsonl.gz", LINES),
    ("gateway.json", f"[{', '.join(LINES)}]".encode()),
    ("gateway.json", ("\ufeff[\n " + ",\n ".join(LINES) + "\n]\n").encode()),
    ("gateway.log", LINES),
    ("gateway.csv", write_csv(LINES)),
]


@pytest.mark.parametrize(("name", "lines"), SHAPES)
def test_a_second_load_is_all_duplicates_whatever_the_shape_and_packing(acme, tmp_path, name, lines):
    load(acme, write(tmp_path, LINES))
    again = load(acme, write(tmp_path, lines, name))
    assert count(again) == (3, 0, 3, 0, 0, 0)
    assert (again.billed_cost, again.reported_cost, again.difference) == (0, 0, 0)
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(3,)]


def test_a_log_that_grew_books_what_is_new(acme, tmp_path):
    load(acme, write(tmp_path, LINES[:1]))
    assert count(load(acme, write(tmp_path, LINES))) == (3, 2, 1, 0, 0, 1)


def test_a_load_that_was_cut_off_goes_on_where_it_stopped(acme, tmp_path, monkeypatch):
    monkeypatch.setattr(file_loads, "ROWS_PER_BATCH", 2)
    path = write(tmp_path, LINES)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_log(
            path=path,
            tenant_id=acme.id,
            now=datetime(2026, 11, 22, tzinfo=UTC),
            options=CostLineOptions("gateway", zone=BERLIN),
            on_progress=stop,
        )
    assert read(acme, "SELECT count(*) FROM ledger_entry") == [(2,)]
    assert count(load(acme, path)) == (3, 1, 2, 0, 0, 1)


def test_another_log_of_the_same_name_is_a_conflict_that_names_the_line(acme, tmp_path):
    load(acme, write(tmp_path, LINES))
    rotated = load(acme, write(tmp_path, [LINES[0].replace("1500", "1501"), *LINES[1:]]))
    assert count(rotated) == (3, 0, 2, 1, 0, 0)
    assert rotated.first_conflicts[0].startswith("gateway:1: was booked before with another input_tokens")
    assert count(load(acme, write(tmp_path, LINES), source="gateway-2")) == (3, 3, 0, 0, 0, 1)


BAD_LINES = [
    ('{"timestamp": "2026-11-02 09:15:00", "model": "gpt-4", "tokens": 1', "is no JSON: Expecting"),
    ('{"timestamp": "2026-11-02 09:15:00", "model": "gpt-4", "tokens": -1}', "tokens is -1: expected 0 to"),
    ('{"timestamp": "2026-11-02 09:15:00", "model": "gpt-4", "tokens": NaN}', "tokens is 'nan': expected a number"),
    ('{"timestamp": "2026-03-29 02:30:00", "model": "gpt-4", "tokens": 1}', "which Europe/Berlin skipped"),
    ('{"timestamp": "2027-11-02 09:15:00", "model": "gpt-4", "tokens": 1}', "in the future; is the zone right?"),
    ('{"timestamp": "2026-11-02 09:15:00", "model": "gpt-4", "tokens": 1, "cost": 1, "cost": 2}', "stands twice"),
    ('{"model": "gpt-4", "note\\u0000": "x"}', "'note\\x00' is no field"),
    ("[1, 2]", "a cost line is an object"),
    ("plain text", "is no JSON"),
]


@pytest.mark.parametrize(("bad", "text"), BAD_LINES)
def test_a_bad_line_is_kept_with_its_reason_and_its_neighbours_are_booked(acme, tmp_path, bad, text):
    summary = load(acme, write(tmp_path, [LINES[0], "", bad, LINES[1]]))
    assert count(summary) == (3, 2, 0, 0, 1, 0)
    assert summary.first_rejected[0].startswith("line 3: ")
    assert text in summary.first_rejected[0]
    [(event_id, body)] = read(acme, "SELECT event_id, body FROM rejected_event")
    assert event_id == "line 3"
    assert body.startswith(bad[:20]) or json.loads(body)["id"] == "gateway:3"


def test_bytes_that_are_no_text_cost_their_own_line_alone(acme, tmp_path):
    text = "\n".join(LINES[:2]).encode() + b'\n{"timestamp": "2026-11-02", "model": "gpt\xff", "tokens": 1}\n'
    assert count(load(acme, write(tmp_path, text))) == (3, 2, 0, 0, 1, 0)
    assert "gpt\\xff" in read(acme, "SELECT body FROM rejected_event")[0][0]


def test_without_a_zone_each_line_without_one_is_refused_with_the_cure(acme, tmp_path):
    zoned = LINES[0].replace("09:15:00", "09:15:00+01:00")
    summary = load(acme, write(tmp_path, [zoned, LINES[1]]), zone=None)
    assert count(summary) == (2, 1, 0, 0, 1, 0)
    assert "timestamp names no zone: say in which the log was written" in summary.first_rejected[0]


def test_an_hour_that_was_shown_twice_is_counted(acme, tmp_path):
    summary = load(acme, write(tmp_path, [LINES[0].replace("2026-11-02 09:15", "2026-10-25 02:15")]))
    assert summary.marks == {"ambiguous_time": 1, "provider_assumed": 1}
    # the earlier of the two: 00:15 UTC, in summer time
    assert read(acme, "SELECT charge_period_start FROM ledger_entry") == [(datetime(2026, 10, 25, 0, 15, tzinfo=UTC),)]


REFUSED_FILES = [
    ("a.csv", b"time,tokens\n1,2\n", "neither JSON, nor a CSV with timestamp, model, tokens"),
    ("a.csv", b"", "neither JSON, nor a CSV"),
    ("a.csv", b"timestamp,model,tokens,latency\n", "columns that are not read: latency; name each with --ignore"),
    ("a.json", b'[{"timestamp": 1}, {"model": ', "the list breaks off at its element 2"),
    ("a.json", b'[{"timestamp": 1} {"model": 2}]', "the list breaks off after its element 1"),
    ("a.json.gz", b"no gzip at all", "Not a gzipped file"),
]


@pytest.mark.parametrize(("name", "content", "reason"), REFUSED_FILES)
def test_a_file_that_is_no_log_is_refused_in_one_sentence(acme, tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(LogRefused, match=reason):
        load(acme, path)


def test_columns_that_are_to_be_ignored_are(acme, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("timestamp,model,tokens,latency\n2026-11-02 09:15:00,gpt-4o-2024-08-06,1500,9\n")
    assert count(load(acme, path, ignored=frozenset(("latency",)))) == (1, 1, 0, 0, 0, 0)


def test_globex_books_the_same_log_for_itself(acme, tmp_path):
    globex = make_tenant("globex")
    load(acme, write(tmp_path, LINES))
    assert count(load(globex, write(tmp_path, LINES))) == (3, 3, 0, 0, 0, 1)


def test_the_command_says_what_became_of_the_log_and_ends_with_json(acme, tmp_path):
    out = io.StringIO()
    path = write(tmp_path, [*LINES, "plain text"])
    call_command(
        "load_log", str(path), f"--tenant={acme.slug}", "--timezone=Europe/Berlin", "--feature=chat", stdout=out
    )
    *lines, last = out.getvalue().splitlines()
    assert "booked                   3" in lines
    assert "billed less reported     -0.008750000000 USD, of what is priced" in lines
    assert any(line.startswith("  line 4: is no JSON") for line in lines)
    facts = json.loads(last)
    assert (facts["read"], facts["booked"], facts["rejected"], facts["unpriced"]) == (4, 3, 1, 1)
    assert (facts["billed_cost"], facts["reported_cost"]) == ("0.008750000000", "0.017541400000")
    assert read(acme, "SELECT DISTINCT feature FROM ledger_entry") == [("chat",)]


def test_a_script_may_ask_for_an_exit_status_that_tells_of_refused_lines(acme, tmp_path):
    """Refused lines are kept and shown; unless it is asked to, the command does not fail for them."""
    command = ["load_log", str(write(tmp_path, [*LINES, "plain text"])), f"--tenant={acme.slug}", "--timezone=UTC"]
    call_command(*command, stdout=io.StringIO())
    with pytest.raises(CommandError, match="1 lines rejected, 0 in conflict") as raised:
        call_command(*command, "--strict", stdout=io.StringIO())
    assert raised.value.returncode == 3


BAD_COMMANDS = [
    (["--tenant=nobody"], "there is no tenant 'nobody'"),
    (["--tenant=nobody", "--timezone=Mars/Olympus"], "'Mars/Olympus' is no time zone"),
]


@pytest.mark.parametrize(("arguments", "text"), BAD_COMMANDS)
def test_the_command_refuses_what_does_not_exist(tmp_path, arguments, text):
    with pytest.raises(CommandError, match=text):
        call_command("load_log", str(write(tmp_path, LINES)), *arguments)
