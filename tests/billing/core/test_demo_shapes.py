"""The demo's figures, worked out again from the traces that they are said to come from."""

import csv
import gzip
from collections import Counter, defaultdict
from datetime import date
from functools import cache
from statistics import mean, median

import pytest

from billing.core.demo import shapes
from tests.conftest import ROOT

DATA = ROOT.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the public traces are not at ../shared/data")


def read_rows(name):
    with gzip.open(DATA / f"{name}.csv.gz", "rt") as file:
        yield from csv.DictReader(file)


@cache
def count_requests(model):
    """Requests of a ServeGen trace by hour of the day, by day, by client."""
    hours, days, clients = Counter(), Counter(), Counter()
    for row in read_rows(f"traces/servegen_{model}_trace"):
        count, second = round(float(row["rate"]) * 600), int(row["timestamp"])
        hours[second // 3600 % 24] += count
        days[second // 86400] += count
        clients[row["client_id"]] += count
    return hours, days, +clients  # without those that sent nothing


def scale(counts, places):
    """Each place's share of the mean place, to two decimals."""
    return tuple(round(counts[place] * len(places) / counts.total(), 2) for place in places)


def measure(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)], ordered[-1]


def read_quarters(model, client=None):
    """The medians, over clients and quarters of a day, of p50 and p95 of tokens in and out."""
    rows = [
        row
        for row in read_rows("traces/servegen_token_stats_DERIVED")
        if row["model"] == model and client in (None, row["client_id"])
    ]
    return [
        (
            median(float(row[f"{kind}_tokens_p50"]) for row in rows),
            median(float(row[f"{kind}_tokens_p95"]) for row in rows),
        )
        for kind in ("input", "output")
    ]


def same(spreads, found, *, off=0.0):
    return all(
        abs(spread.p50 - p50) <= max(0.51, off * p50) and abs(spread.p95 - p95) <= max(0.51, off * p95)
        for spread, (p50, p95, *_) in zip(spreads, found, strict=True)
    )


def test_the_hours_are_those_of_servegen():
    assert scale(count_requests("m-small")[0], range(24)) == shapes.HOURS
    assert scale(count_requests("deepseek-r1")[0], range(24)) == shapes.NIGHT_OWL_HOURS


def test_the_days_differ_as_those_of_servegen():
    days = scale(count_requests("m-large")[1], range(10))
    assert (min(days), max(days)) == (shapes.DAY_LEAST, shapes.DAY_MOST)


def test_the_weekdays_are_those_of_binder():
    sessions = defaultdict(list)
    for row in read_rows("series/mybinder_daily_sessions"):
        sessions[date.fromisoformat(row["Date"]).weekday()].append(int(row["Number of Events"]))
    means = [mean(sessions[day]) for day in range(7)]
    assert tuple(round(one / mean(means), 2) for one in means) == shapes.WEEKDAYS


def test_the_busiest_clients_have_the_shares_of_servegens():
    shares = {}
    for model in ("m-large", "m-small"):
        clients = count_requests(model)[2]
        shares[model] = round(clients.most_common(1)[0][1] / clients.total(), 3), len(clients)
    assert shares == {"m-large": (shapes.BUSIEST_OF_150, 150), "m-small": (shapes.HEAVY_SHARE, 41)}
    assert abs((1 / 150) ** shapes.RANK_EXPONENT - shapes.BUSIEST_OF_150) < 0.002


def test_the_tokens_are_those_of_servegen():
    assert same(shapes.SUMMARY, read_quarters("m-large"))
    assert same(shapes.REPORT, read_quarters("m-large", client="2"))
    assert same(shapes.LABEL, read_quarters("m-small"))
    assert same(shapes.REASONING, read_quarters("deepseek-r1"))


@pytest.mark.parametrize(
    ("spreads", "name", "columns"),
    [
        (shapes.CHAT, "azure_conv_2023", ("ContextTokens", "GeneratedTokens")),
        (shapes.SNIPPET, "azure_code_2023", ("ContextTokens", "GeneratedTokens")),
        (shapes.CODE, "cc_traces_claude_code", ("input_tokens", "output_tokens")),
        (shapes.AGENT, "exgentic_agent_llm_spans", ("input_tokens", "output_tokens")),
        ((shapes.AGENT_CALL_MS,), "exgentic_agent_llm_spans", ("duration_ms",)),
    ],
    ids=["chat", "snippet", "code", "agent", "agent's milliseconds"],
)
def test_the_tokens_are_those_of_the_trace(spreads, name, columns):
    rows = list(read_rows(f"traces/{name}"))
    assert same(spreads, [measure(float(row[column]) for row in rows if row[column]) for column in columns], off=0.002)


def test_agents_calls_fail_as_often_as_those_of_exgentic():
    failed = [row["is_error"] == "True" for row in read_rows("traces/exgentic_agent_llm_spans")]
    assert round(sum(failed) / len(failed), 3) == shapes.AGENT_ERROR_SHARE
