"""Plain cost lines: what is made of a model, a total of tokens and a cost."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.core.cost_lines import CostLineOptions, CostLineRefused, read_cost_line
from billing.core.usage import Usage

BERLIN = ZoneInfo("Europe/Berlin")
OPTIONS = CostLineOptions("gateway", zone=UTC)
LINE = {
    "timestamp": "2026-11-02 09:15:00",
    "model": "gpt-4",
    "tokens": 1500,
    "cost_per_1k_tokens": Decimal("0.03"),
    "cost": Decimal("0.045"),
}


def read(options=OPTIONS, number=1, **fields):
    line = {name: value for name, value in (LINE | fields).items() if value is not ...}
    return read_cost_line(line, number=number, options=options)


def refuse(options=OPTIONS, **fields):
    with pytest.raises(CostLineRefused) as refused:
        read(options, **fields)
    return [(problem.field, problem.code) for problem in refused.value.problems]


def test_the_total_is_input_the_cost_is_reported_and_the_line_has_the_id():
    event = read(number=7)
    assert (event.event_id, event.source) == ("gateway:7", "log:gateway")
    assert event.time == datetime(2026, 11, 2, 9, 15, tzinfo=UTC)
    assert (event.provider, event.model) == ("openai", "gpt-4")
    assert event.usage == Usage(input_tokens=1500)
    assert event.reported_cost == Decimal("0.045")
    assert event.tags == {
        "log": "cost_line",
        "tokens": "total_as_input",
        "cost_per_1k_tokens": "0.03",
        "provider": "assumed",
    }


def test_a_cost_that_is_not_written_is_the_tokens_at_the_rate():
    assert read(cost=...).reported_cost == Decimal("0.045")  # 1.5 × 0.03
    assert read(cost=..., cost_per_1k_tokens=...).reported_cost is None


COSTS = [
    (Decimal("4.1400000000000003e-05"), "0.000041400000"),
    (Decimal("1E-7"), "0.0000001"),
    (Decimal("0.1234567890125"), "0.123456789012"),  # half to even
    ("0.30", "0.30"),
    (2, "2"),
]


@pytest.mark.parametrize(("written", "kept"), COSTS)
def test_a_cost_is_kept_to_twelve_decimals(written, kept):
    assert read(cost=written, cost_per_1k_tokens=...).reported_cost == Decimal(kept)


DIFFERING = [
    (Decimal("0.045"), ""),
    (Decimal("0.05"), ""),  # rounded to a cent
    (Decimal("0.04"), ""),  # half a cent off
    (Decimal("0.046"), "differs_from_rate"),
    (Decimal("0.4"), "differs_from_rate"),
    (0, "differs_from_rate"),
]


@pytest.mark.parametrize(("cost", "tag"), DIFFERING)
def test_a_cost_that_is_not_tokens_times_rate_is_said(cost, tag):
    event = read(cost=cost)
    assert event.reported_cost == cost
    assert event.tags.get("cost", "") == tag


TIMES = [
    ("2026-11-02 09:15:00", BERLIN, datetime(2026, 11, 2, 8, 15, tzinfo=UTC), ""),
    ("2026-07-02T09:15:00.5", BERLIN, datetime(2026, 7, 2, 7, 15, 0, 500000, tzinfo=UTC), ""),
    ("2026-07-02 09:15:00,250", BERLIN, datetime(2026, 7, 2, 7, 15, 0, 250000, tzinfo=UTC), ""),
    # the line's own zone goes before the option
    ("2026-11-02T09:15:00Z", BERLIN, datetime(2026, 11, 2, 9, 15, tzinfo=UTC), ""),
    ("2026-11-02T09:15:00-05:00", None, datetime(2026, 11, 2, 14, 15, tzinfo=UTC), ""),
    # 25 October 2026: 02:30 was 00:30 UTC in summer time and 01:30 UTC an hour later
    ("2026-10-25 02:30:00", BERLIN, datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "ambiguous"),
    ("2026-10-25 03:00:00", BERLIN, datetime(2026, 10, 25, 2, 0, tzinfo=UTC), ""),
    (1793610900, None, datetime(2026, 11, 2, 9, 15, tzinfo=UTC), ""),
    (Decimal("1793610900.25"), None, datetime(2026, 11, 2, 9, 15, 0, 250000, tzinfo=UTC), ""),
    (1793610900250, None, datetime(2026, 11, 2, 9, 15, 0, 250000, tzinfo=UTC), ""),
    ("1793610900", None, datetime(2026, 11, 2, 9, 15, tzinfo=UTC), ""),
]


@pytest.mark.parametrize(("written", "zone", "moment", "tag"), TIMES)
def test_a_time_means_one_moment(written, zone, moment, tag):
    event = read(CostLineOptions("gateway", zone=zone), timestamp=written)
    assert event.time == moment
    assert event.tags.get("time", "") == tag


BAD_TIMES = [
    ("2026-11-02 09:15:00", None, "zone_missing"),
    ("2026-03-29 02:30:00", BERLIN, "nonexistent_time"),
    ("2026-11-02", UTC, "invalid_time"),
    ("20261102", UTC, "invalid_time"),
    ("yesterday", UTC, "invalid_time"),
    ("1999-12-31 23:59:59", UTC, "time_out_of_window"),
    ("0001-01-01 00:00:00+14:00", UTC, "invalid_time"),
    ("", UTC, "missing_field"),
    (True, UTC, "wrong_type"),
    ([], UTC, "wrong_type"),
]


@pytest.mark.parametrize(("written", "zone", "code"), BAD_TIMES)
def test_a_time_that_means_none_is_refused(written, zone, code):
    assert refuse(CostLineOptions("gateway", zone=zone), timestamp=written) == [("timestamp", code)]


PROVIDERS = [
    ({"model": "claude-sonnet-4-5"}, "", "anthropic", "assumed"),
    ({"model": "Gemini-2.5-pro"}, "", "google", "assumed"),
    ({"model": "azure/gpt-4o"}, "", "azure", ""),
    ({"model": "our-llama"}, "", "unknown", "assumed"),
    ({"model": "acme/our-llama"}, "", "unknown", "assumed"),
    ({"model": "gpt-4"}, "azure", "azure", ""),
    ({"model": "gpt-4", "provider": "openrouter"}, "azure", "openrouter", ""),
]


@pytest.mark.parametrize(("fields", "option", "provider", "tag"), PROVIDERS)
def test_the_provider_is_said_or_assumed_from_the_models_name(fields, option, provider, tag):
    event = read(CostLineOptions("gateway", zone=UTC, provider=option), **fields)
    assert (event.provider, event.tags.get("provider", "")) == (provider, tag)


def test_what_the_line_says_goes_before_the_options():
    options = CostLineOptions("gateway", zone=UTC, feature="all", environment="staging")
    assert (read(options).feature, read(options).environment) == ("all", "staging")
    event = read(options, feature="search", environment="production", user="u-17", id="req-1")
    assert (event.feature, event.environment, event.user, event.event_id) == ("search", "production", "u-17", "req-1")


REFUSED = [
    ({"tokens": ...}, [("tokens", "missing_field")]),
    ({"tokens": None, "model": ""}, [("model", "missing_field"), ("tokens", "missing_field")]),
    ({"tokens": -1}, [("tokens", "out_of_range")]),
    ({"tokens": Decimal("1.5")}, [("tokens", "wrong_type")]),
    ({"tokens": 10**13}, [("tokens", "out_of_range")]),
    ({"tokens": True}, [("tokens", "wrong_type")]),
    ({"tokens": "many"}, [("tokens", "wrong_type")]),
    ({"cost": "$0.03"}, [("cost", "wrong_type")]),
    ({"cost": Decimal("NaN")}, [("cost", "out_of_range")]),
    ({"cost": Decimal("1E-999")}, [("cost", "out_of_range")]),
    ({"cost": ..., "tokens": 10**12, "cost_per_1k_tokens": 10**10}, [("cost_per_1k_tokens", "out_of_range")]),
    ({"model": 4}, [("model", "wrong_type")]),
    ({"model": "gpt\0"}, [("model", "invalid_text")]),
    ({"model": "x" * 257}, [("model", "too_long")]),
    ({"prompt_tokens": 9, "latency": 3}, [("prompt_tokens", "unknown_field"), ("latency", "unknown_field")]),
]


@pytest.mark.parametrize(("fields", "problems"), REFUSED)
def test_everything_wrong_with_a_line_is_named_at_once(fields, problems):
    assert refuse(**fields) == problems


def test_a_field_that_is_to_be_ignored_is():
    options = CostLineOptions("gateway", zone=UTC, ignored=frozenset(("latency",)))
    assert read(options, latency=3).usage.input_tokens == 1500
    assert refuse(options, latency=3, prompt_tokens=9) == [("prompt_tokens", "unknown_field")]


def test_a_line_that_is_no_object_is_refused():
    with pytest.raises(CostLineRefused, match="a cost line is an object"):
        read_cost_line([1], number=1, options=OPTIONS)
