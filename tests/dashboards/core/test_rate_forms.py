"""A rate as the fields of a form, and back: nothing of it is lost."""

import pytest

from billing.core.rate_documents import read_rates
from billing.genai_prices_import import read_genai_prices
from dashboards.core.rate_forms import (
    FieldProblem,
    fill_fields,
    read_fields,
    read_rate_form,
    read_rate_text,
    write_rate,
    write_rate_text,
)


def send(fields):
    """The fields as a browser sends them, with an empty line at every end."""
    sent = {name: [text] for name, text in fields.texts.items()}
    sent |= {
        "follower": list(fields.followers),
        "follow": list(fields.followed),
        "base": [write_rate_text(fields.base)],
    }
    sent |= send_lines(fields.rows, ("meter", "price", "list_price", "per"), "")
    sent |= send_lines(fields.steps, ("meter", "above", "scope", "price", "size", "flat"), "step_")
    sent["tier"] = [str(number) for number in range(1, len(fields.tiers) + 2)]
    for number, tier in enumerate(fields.tiers, 1):
        at = f"tier-{number}-"
        sent |= {f"{at}{name}": [getattr(tier, name)] for name in ("above", "compare", "scope")}
        sent |= {f"{at}follow": list(tier.follows)}
        sent |= send_lines(tier.rows, ("meter", "price", "list_price", "per"), at)
    return sent


def send_lines(lines, names, at):
    return {f"{at}{name}": [*(getattr(line, name) for line in lines), ""] for name in names}


def test_every_imported_price_list_comes_back_from_the_form_and_from_the_text_as_it_was():
    documents = read_genai_prices().documents
    chosen = documents[::9]
    assert len(chosen) > 500
    for document in chosen:
        fields = fill_fields(write_rate(document))
        read = read_rate_form(read_fields(send(fields)))
        if not document.content.get("meters") and "price_from" not in document.content:
            assert [problem.text for problem in read.problems] == ["Write the price of one meter at least."]
            continue
        assert read.problems == []
        assert read.document == document
        assert read_rate_text(write_rate_text(write_rate(document))) == (document, [])


def test_a_text_in_which_a_price_stands_twice_is_not_read():
    document, problems = read_rate_text('{"meters": {"input": {"price": "1", "per": 1, "price": "100"}}}')
    assert document is None
    assert [problem.text for problem in problems] == ["price stands twice in one object. Keep one of them."]


RATE = {
    "provider": "acme-gpu", "model": "painter-.*", "match": "pattern", "priority": 7, "currency": "USD",
    "effective_from": "2026-01-01T00:00:30Z", "effective_to": "2027-01-01T00:00:00Z", "service_tier": "batch",
    "region": "eu", "time_window": "16:30-00:30", "tenant": "acme", "daily_fee": "240", "source": {
        "name": "contract", "url": "https://a.example", "read_on": "2026-01-01", "note": "by letter"},
    "minimum": {"amount": "100", "period": "month"},
    "meters": {
        "input": {"price": "1", "per": 1_000_000, "list_price": "2"},
        "audio_input": {"price": "1", "per": 1_000_000, "list_price": "2", "note": "as input"},
        "reasoning": {"price": "3", "per": 1_000},
        "output": {"price": "3", "per": 1_000_000},
        "image": {"price": "0.04", "per": 1, "minimum_per_call": 2, "note": "two at least", "quantity_tiers": [
            {"above": 0, "scope": "package", "price": "30", "size": 1000, "flat": "5"},
            {"above": "2500.5", "scope": "package", "price": "20", "size": 1000}]},
    },
    "context_tiers": [
        {"input_tokens": 1000, "compare": ">=", "scope": "request", "meters": {
            "input": {"price": "2", "per": 1_000_000}, "audio_input": {"price": "2", "per": 1_000_000}}},
        {"input_tokens": 2000, "compare": ">", "scope": "request", "meters": {"output": {"price": "9", "per": 1_000}}},
    ],
}  # fmt: skip


def test_a_rate_with_everything_that_there_is_comes_back_as_it_was():
    (document,) = read_rates({"rates": [RATE]})
    fields = fill_fields(write_rate(document))
    assert fields.followers == ["audio_input"]
    assert [row.meter for row in fields.rows] == ["input", "output", "reasoning", "image"]
    read = read_rate_form(read_fields(send(fields)))
    assert (read.problems, read.document) == ([], document)


def test_what_is_said_of_the_providers_own_figure_has_no_meters():
    rate = {name: value for name, value in RATE.items() if name not in ("meters", "context_tiers")}
    (document,) = read_rates({"rates": [rate | {"price_from": "reported_cost"}]})
    read = read_rate_form(read_fields(send(fill_fields(write_rate(document)))))
    assert (read.problems, read.document) == ([], document)


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("effective_from", "From"),
        ("meters", "Prices"),
        ("meters.cache_read.price", "Price of cache_read"),
        ("meters.image.quantity_tiers[0].above", "A tier of image"),
        ("context_tiers[0].meters.input", "input, long prompts,"),
        ("context_tiers[1].meters.input.price", "Price of input, long prompts,"),
        ("context_tiers[0].input_tokens", "Long prompts"),
    ],
)
def test_a_problem_names_its_field_as_the_form_does(path, label):
    assert FieldProblem("id", path, "is wrong.").label == label


def test_a_meter_that_only_long_prompts_price_is_told_what_to_write():
    fields = fill_fields(RATE)
    sent = send(fields) | {"price": ["" if row.meter == "output" else row.price for row in fields.rows]}
    (problem,) = [each for each in read_rate_form(read_fields(sent)).problems if "output" in each.name]
    assert f"{problem.label} {problem.text}" == (
        "output, long prompts, has no price below the tier. Write what output costs above as well."
    )


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("2026-07-30", "2026-07-30T00:00:00+00:00"),
        ("2026-07-30 12:30", "2026-07-30T12:30:00+00:00"),
        ("2026-07-30T12:30:15", None),
        ("2026-07-30T12:30:15+02:00", "2026-07-30T10:30:15+00:00"),
        ("30.7.2026", None),
    ],
)
def test_a_time_without_a_zone_is_utc(typed, moment):
    fields = fill_fields(RATE | {"effective_to": None})
    read = read_rate_form(read_fields(send(fields) | {"effective_from": [typed]}))
    if moment is None:
        assert [problem.id for problem in read.problems] == ["effective_from"]
    else:
        assert read.document.effective_from.isoformat() == moment
