"""The rate document, the rate book's choice, and what publishing changes."""

import json
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from billing.core.price_lists import ALWAYS
from billing.core.rate_documents import RatesRefused, canonical_json, leading_literal, read_rates, read_rates_file
from billing.core.rate_plans import Piece, Version, plan_versions
from billing.core.rates import CALLS_MAX, NO_RATE_AT_TIME, NO_RATE_FOR_MODEL, find_ties
from tests.billing.core.rate_books import make_meters, make_published, make_rate, make_rate_book

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def find(book, model="gpt-4o", *, provider="openai", time=NOON, tier="standard", region="", tenant_id=1):
    """The number of the rate that wins, or why none does."""
    rate = book.find(provider, model, time, tier, region, tenant_id)
    return rate.rate_version_id if rate else book.tell_absence(provider, model, time, tier, region, tenant_id)


def refuse(*rates, **document):
    with pytest.raises(RatesRefused) as caught:
        read_rates({"rates": list(rates)} | document)
    return {problem.path: f"{problem.problem}. {problem.cure}" for problem in caught.value.problems}


# --- the document ---


def test_a_document_is_read_and_written_canonically():
    (rate,) = read_rates({"rates": [make_rate(provider="OpenAI", meters=make_meters(input="2.50", output="10.000"))]})
    assert rate.effective_from == at("2026-01-01")
    assert rate.effective_to is None
    assert rate.content["provider"] == "openai"
    assert rate.content["meters"] == {
        "input": {"price": "2.5", "per": 1_000_000},
        "output": {"price": "10", "per": 1_000_000},
    }
    (again,) = read_rates({"rates": [dict(rate.content) | {"effective_from": "2026-05-01T00:00:00Z"}]})
    assert again.content_hash == rate.content_hash  # the interval is no part of it
    assert len(rate.content_hash) == 32
    assert "effective" not in canonical_json(rate.content)


def test_equal_prices_are_equal_terms_wherever_they_were_read():
    one, other = (
        read_rates({"rates": [make_rate(source={"name": name})]})[0] for name in ("price page", "another page")
    )
    assert one.terms == other.terms
    assert one.content_hash != other.content_hash


def test_all_problems_are_named_at_once_each_with_its_cure():
    problems = refuse(
        make_rate(
            provider=7,
            match="fuzzy",
            currency="EUR",
            effective_from="2026-01-01",
            colour="red",
            source=...,
            meters={
                "input": {"price": 0.25, "per": 0},
                "output": {"price": "-1", "per": 1_000_000, "rabatt": 3},
                "input_tokens": {"price": "1", "per": 1},
                "Bad Name": {"price": "1", "per": 1},
                "search": {},
            },
        ),
        "no object",
    )
    assert problems["rates[0].provider"] == "is not a text. Write 1 to 500 printable characters"
    assert problems["rates[0].match"] == "is 'fuzzy'. Write exact or prefix or pattern"
    assert problems["rates[0].currency"] == "is 'EUR'. Write USD"
    assert problems["rates[0].effective_from"].startswith("is not a time with a zone")
    assert problems["rates[0].colour"].startswith("is not known. Leave it out; known here are provider, model")
    assert problems["rates[0].source"] == "is missing. Add it"
    assert problems["rates[0].meters.input.price"].startswith("is not a price. Write a decimal number of USD as text")
    assert problems["rates[0].meters.input.per"].startswith("is not a whole number in bounds")
    assert problems["rates[0].meters.output.price"].startswith("is not a price")
    assert problems["rates[0].meters.output.rabatt"].startswith("is not known")
    assert problems["rates[0].meters.input_tokens"] == "names a usage, not a meter. Write input"
    assert problems["rates[0].meters.Bad Name"].startswith("is no name of a meter")
    assert problems["rates[0].meters.search.price"] == "is missing. Add it"
    assert problems["rates[0].meters.search.per"] == "is missing. Add it"
    assert problems["rates[1]"].startswith("is not an object")
    assert len(problems) == 15


@pytest.mark.parametrize(
    ("price", "per", "fits"),
    [
        ("0.000001", 1_000_000, True),  # 12 decimals a token
        ("0.0000001", 1_000_000, False),
        ("0.000000000001", 1, True),
        ("0.0000000000001", 1, False),
        ("0.111", 3_600, True),  # an hour's price has no end when it is written for a second
        ("0.1234567890123", 3_600, False),
        ("2.5", 7, True),
    ],
)
def test_a_price_has_at_most_twelve_decimals_a_unit(price, per, fits):
    rate = make_rate(meters={"input": {"price": price, "per": per}})
    if fits:
        read_rates({"rates": [rate]})
    else:
        assert "has more than 12 decimals for one unit" in refuse(rate)["rates[0].meters.input.price"]


PACKAGE_WITHOUT_SIZE = {"above": 5, "scope": "package", "price": "1"}


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"match": "pattern", "model": "gpt-(4"}, "rates[0].model"),
        ({"match": "pattern", "model": "gpt-4{99999999999999999}"}, "rates[0].model"),
        ({"effective_from": "0001-01-01T00:00:00+14:00"}, "rates[0].effective_from"),
        ({"effective_to": "9999-12-31T23:00:00-14:00"}, "rates[0].effective_to"),
        ({"effective_from": "1999-12-31T23:59:59Z"}, "rates[0].effective_from"),
        ({"effective_to": "2200-01-01T00:00:00Z"}, "rates[0].effective_to"),
        ({"meters": {"input": {"price": None, "per": 1}}}, "rates[0].meters.input.price"),
        ({"tenant": ""}, "rates[0].tenant"),  # not every tenant's price, whatever was forgotten
        ({"tenant": False}, "rates[0].tenant"),
        ({"priority": False, "match": "pattern"}, "rates[0].priority"),
        ({"context_tiers": ""}, "rates[0].context_tiers"),
        ({"source": {"name": "a page", "url": "javascript:alert(1)"}}, "rates[0].source.url"),
        ({"time_window": "16:30"}, "rates[0].time_window"),
        ({"time_window": "16:30-16:30"}, "rates[0].time_window"),
        ({"time_window": "24:00-01:00"}, "rates[0].time_window"),
        ({"priority": 3}, "rates[0].priority"),
        ({"effective_to": "2025-01-01T00:00:00Z"}, "rates[0].effective_to"),
        ({"tenant": "Not a slug"}, "rates[0].tenant"),
        ({"service_tier": "two words"}, "rates[0].service_tier"),
        ({"price_from": "reported_cost"}, "rates[0].meters"),
        ({"price_from": "thin air"}, "rates[0].price_from"),
        ({"minimum": {"amount": "5", "period": "week"}}, "rates[0].minimum.period"),
        ({"model": "nul\x00"}, "rates[0].model"),
        ({"meters": []}, "rates[0].meters"),
        ({"context_tiers": [{"input_tokens": 1, "compare": "<", "scope": "request", "meters": {}}]},
         "rates[0].context_tiers[0].compare"),
        ({"context_tiers": [{"input_tokens": 1, "compare": ">", "scope": "request", "meters": make_meters(image="1")}]},
         "rates[0].context_tiers[0].meters.image"),
        ({"context_tiers": [{"input_tokens": n, "compare": ">", "scope": "request", "meters": {}} for n in (2, 1)]},
         "rates[0].context_tiers"),
        ({"meters": {"image": {"price": "1", "per": 1, "quantity_tiers": [PACKAGE_WITHOUT_SIZE]}}},
         "rates[0].meters.image.quantity_tiers[0].size"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_path(fields, path):
    assert path in refuse(make_rate(**fields))


@pytest.mark.parametrize(
    ("pattern", "is_refused"),
    [
        (r"([a-z0-9]+-?)*instruct", True),
        (r"(?:(llama.*)-)+", True),
        (r"(\d+){8}", True),
        (r"(gpt|o[0-9]+)-.*", False),
        (r"(\d{4}-?)+", False),
        (r"[(]a+[)]+\(b+\)+", False),  # brackets that are letters
        (r"[]*]+(a)*", False),
        (r"(?=.*haiku)(?=.*4).*", False),
    ],
)
def test_a_pattern_that_could_take_hours_to_match_is_refused(pattern, is_refused):
    rate = make_rate(match="pattern", model=pattern)
    if is_refused:
        assert refuse(rate)["rates[0].model"].startswith("repeats what repeats itself")
    else:
        read_rates({"rates": [rate]})


def test_a_whole_file_of_one_models_versions_is_read_in_seconds():
    days = [f"{at('2020-01-01') + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}" for hour in range(10_000)]
    began = monotonic()
    rates = [make_rate(effective_from=day) for day in days]
    assert len(read_rates({"rates": rates})) == 10_000
    repeated = "{" + ",".join(f'"{number}": 0' for number in range(100_000)) + "}"
    with pytest.raises(RatesRefused):
        read_rates_file(repeated)
    assert monotonic() - began < 20  # a minute, where each is compared with each


def test_a_price_that_lasts_longest_overlaps_whatever_begins_in_it():
    long = make_rate(effective_from="2026-01-01T00:00:00Z", effective_to="2027-01-01T00:00:00Z")
    short = make_rate(effective_from="2026-02-01T00:00:00Z", effective_to="2026-03-01T00:00:00Z")
    after = make_rate(effective_from="2026-06-01T00:00:00Z")
    next_year = make_rate(effective_from="2027-01-01T00:00:00Z")
    with pytest.raises(RatesRefused) as caught:
        read_rates({"rates": [next_year, after, short, long]})
    assert [f"{each.path} {each.problem}" for each in caught.value.problems] == [
        "rates[3] overlaps rates[2] under the same conditions",
        "rates[3] overlaps rates[1] under the same conditions",
    ]


def test_two_prices_at_one_time_are_refused_and_a_successor_is_not():
    assert "rates[1]" in refuse(make_rate(), make_rate())
    assert "rates[1]" in refuse(
        make_rate(effective_to="2026-06-01T00:00:00Z"), make_rate(effective_from="2026-05-01T00:00:00Z")
    )
    assert len(read_rates({"rates": [make_rate(), make_rate(effective_from="2026-05-01T00:00:00Z")]})) == 2
    assert len(read_rates({"rates": [make_rate(), make_rate(service_tier="flex")]})) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        '{"rates": []}',
        '{"rates": {}}',
        '{"rates": [], "rates": []}',
        "{" * 100_000,
        '{"rates": [{"a": NaN}]}',
    ],
)
def test_json_that_is_no_document_is_refused_and_no_error(text):
    with pytest.raises(RatesRefused):
        read_rates_file(text)


def test_an_alias_says_what_a_raw_name_means():
    means = {"provider": "gcp.vertex_ai", "model": "Gemini-2.5-Pro"}
    text = json.dumps({"aliases": [{"provider": "Acme", "model": "Fast-One", "means": means}]})
    assert read_rates_file(text).aliases == {("acme", "fast-one"): ("google", "gemini-2.5-pro")}
    with pytest.raises(RatesRefused, match=r"aliases\[0\].means.model: is missing"):
        read_rates_file('{"aliases": [{"provider": "a", "model": "b", "means": {"provider": "c"}}]}')


def test_every_optional_part_is_carried_in_the_document():
    rate = make_rate(
        tenant="acme",
        region="eu",
        time_window="16:30-00:30",
        minimum={"amount": "100.00", "period": "month"},
        meters={
            "input": {
                "price": "2", "list_price": "2.5", "per": 1_000_000, "note": "negotiated",
                "quantity_tiers": [{"above": 1_000_000_000, "scope": "volume", "price": "1.5"}],
            },
            "audio_second": {"price": "0.36", "per": 3_600, "minimum_per_call": 10},
        },
        context_tiers=[
            {"input_tokens": 200_000, "compare": ">=", "scope": "request",
             "meters": make_meters(per=3_600, audio_second="0.4")},
        ],
    )  # fmt: skip
    (read,) = read_rates_file(json.dumps({"rates": [rate]})).rates
    assert {name: value for name, value in rate.items() if not name.startswith("effective")} == {
        **read.content,
        "minimum": {"amount": "100.00", "period": "month"},
    }
    assert read.content["minimum"]["amount"] == "100"


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (r"gpt-4o.*", "gpt-4o"),
        (r"claude\-3\.5.*", "claude-3.5"),
        (r"gpt-5?", "gpt-"),
        (r"gpt-5*x", "gpt-"),
        (r".*haiku", ""),
        (r"a|b", ""),
        (r"gpt-\d+", "gpt-"),
        (r"(?:abc)", ""),
    ],
)
def test_a_patterns_leading_literal_is_what_every_match_begins_with(pattern, literal):
    assert leading_literal(pattern) == literal


# --- the most specific wins ---


def test_exact_wins_over_the_longest_prefix_and_that_over_a_pattern():
    book = make_rate_book(
        make_rate(model="gpt-4.*", match="pattern"),
        make_rate(model="gpt-4", match="prefix"),
        make_rate(model="gpt-4o", match="prefix"),
        make_rate(model="gpt-4o"),
    )
    assert [find(book, model) for model in ("gpt-4o", "gpt-4o-mini", "gpt-4-turbo", "o3")] == [
        4,
        3,
        2,
        NO_RATE_FOR_MODEL,
    ]


def test_a_pattern_matches_the_whole_name_and_priority_then_literal_decide():
    book = make_rate_book(
        make_rate(model=".*", match="pattern"),
        make_rate(model="gpt-.*", match="pattern"),
        make_rate(model=".*-mini", match="pattern", priority=5),
    )
    assert [find(book, model) for model in ("o3", "gpt-4o", "gpt-4o-mini", "gpt-4o-mini-2")] == [1, 2, 3, 2]


def test_a_tenants_rate_wins_over_the_deployments_and_that_over_an_import():
    own = make_published(make_rate(), make_rate(tenant="acme"), tenants={"acme": 7})
    imported = make_published(make_rate(), make_rate(model="o3"), imported=True, first=3)
    book = make_rate_book()
    book = type(book)(version=1, rates=[*imported, *own])
    assert find(book, tenant_id=7) == 2
    assert find(book, tenant_id=8) == 1
    assert find(book, "o3", tenant_id=7) == 4


def test_a_deployments_prefix_wins_over_an_imported_exact_name():
    book = make_rate_book()
    book = type(book)(
        version=1,
        rates=[
            *make_published(make_rate(), imported=True),
            *make_published(make_rate(model="gpt", match="prefix"), first=2),
        ],
    )
    assert find(book) == 2


def test_a_region_of_its_own_wins_and_another_does_not_count():
    book = make_rate_book(make_rate(), make_rate(region="eu"), make_rate(model="o3", region="us"))
    assert [find(book, region=region) for region in ("", "eu", "EU", "us")] == [1, 2, 2, 1]
    assert find(book, "o3", region="eu") == "no_rate_for_region:eu"


@pytest.mark.parametrize(
    ("time", "number"),
    [("00:29", 2), ("00:30", 1), ("16:29", 1), ("16:30", 2), ("23:59", 2), ("00:00", 2)],
)
def test_hours_of_the_day_win_and_may_wrap_midnight(time, number):
    book = make_rate_book(make_rate(), make_rate(time_window="16:30-00:30"))
    assert find(book, time=datetime.fromisoformat(f"2026-11-22T{time}:00+00:00")) == number


def test_an_interval_is_half_open():
    book = make_rate_book(
        make_rate(effective_to="2026-06-01T00:00:00Z"), make_rate(effective_from="2026-06-01T00:00:00Z")
    )
    june = at("2026-06-01")
    assert [find(book, time=june - timedelta(microseconds=1)), find(book, time=june)] == [1, 2]
    assert find(book, time=at("2025-12-31")) == NO_RATE_AT_TIME


def test_the_tier_must_be_met_by_the_name_that_won():
    # The prefix's batch price is another product's.
    book = make_rate_book(make_rate(), make_rate(model="gpt", match="prefix", service_tier="batch"))
    assert find(book, tier="batch") == "no_rate_for_service_tier:batch"
    assert find(book, "gpt-5", tier="batch") == 2


def test_a_less_specific_name_prices_what_came_before_a_more_specific_one():
    book = make_rate_book(make_rate(effective_from="2026-06-01T00:00:00Z"), make_rate(model="gpt", match="prefix"))
    assert [find(book, time=at("2026-05-01")), find(book, time=at("2026-07-01"))] == [2, 1]


def test_an_own_rate_for_another_tier_leaves_the_import_to_price_this_one():
    book = make_rate_book()
    book = type(book)(
        version=1,
        rates=[
            *make_published(make_rate(), make_rate(service_tier="batch"), imported=True),
            *make_published(make_rate(), first=3),
        ],
    )
    assert [find(book), find(book, tier="batch")] == [3, 2]


def test_an_alias_is_followed_before_anything_else():
    aliases = {("azure", "our-deployment"): ("openai", "o3"), ("openai", "gpt-4o"): ("openai", "o3")}
    book = make_rate_book(make_rate(), make_rate(model="o3"), aliases=aliases)
    assert find(book, "our-deployment", provider="azure") == 2
    assert find(book, "Our-Deployment", provider="azure.ai.openai") == 2
    assert find(book) == 2


def test_a_dated_snapshot_is_priced_by_its_own_rate_alone():
    book = make_rate_book(make_rate(), make_rate(model="gpt-4o-2024-08-06"))
    assert find(book, "gpt-4o-2024-08-06") == 2
    assert find(book, "gpt-4o-20240806") == 2  # the same date, written together
    assert find(book, "gpt-4o-2099-01-01") == NO_RATE_FOR_MODEL


def test_the_book_remembers_a_bounded_number_of_calls():
    book = make_rate_book(make_rate(model="gpt", match="prefix"))
    for number in range(CALLS_MAX + 100):
        find(book, f"gpt-{number}")
    assert len(book._kinds) == CALLS_MAX
    assert find(book, "gpt-0") == 1


# --- ties ---


def test_patterns_that_nothing_tells_apart_tie():
    rates = make_published(
        make_rate(model="gpt-4.*", match="pattern"),
        make_rate(model="gpt-4[a-z]+", match="pattern", service_tier="batch"),
        make_rate(model="gpt-5.*", match="pattern"),
    )
    (tie,) = find_ties(rates)
    assert (tie.one, tie.other) == ("openai pattern gpt-4.* (standard)", "openai pattern gpt-4[a-z]+ (batch)")
    apart = make_published(
        make_rate(model="gpt-4.*", match="pattern"), make_rate(model="gpt-4[a-z]+", match="pattern", priority=1)
    )
    assert find_ties(apart) == []


def test_windows_of_the_day_that_overlap_tie():
    assert find_ties(make_published(make_rate(time_window="01:00-04:00"), make_rate(time_window="03:59-05:00")))
    assert find_ties(make_published(make_rate(time_window="23:00-02:00"), make_rate(time_window="01:00-05:00")))
    assert not find_ties(make_published(make_rate(time_window="01:00-04:00"), make_rate(time_window="04:00-05:00")))


# --- what publishing changes ---


def document(start: str, end: str | None = None, price: str = "1", source: str = "page"):
    rate = make_rate(
        effective_from=f"{start}T00:00:00Z",
        effective_to=end and f"{end}T00:00:00Z",
        meters=make_meters(input=price),
        source={"name": source},
    )
    return read_rates({"rates": [rate]})[0]


def version(number: int, start: str, end: str | None = None, price: str = "1"):
    return Version(number, at(start), at(end) if end else ALWAYS, document(start, price=price).content)


def plan(versions, documents, **options):
    """(begins, ends, gives way) in short."""
    made = plan_versions(versions, documents, **options)
    return (
        [
            (f"{piece.start:%m-%d}", "" if piece.end == ALWAYS else f"{piece.end:%m-%d}", _price(piece))
            for piece in made.begins
        ],
        [(ended.rate_version_id, f"{end:%m-%d}") for ended, end in made.ends],
        [replaced.rate_version_id for replaced in made.gives_way],
    )


def _price(piece: Piece) -> str:
    return piece.holder.content["meters"]["input"]["price"]


@pytest.mark.parametrize(
    ("versions", "documents", "changes"),
    [
        # the first
        ([], [document("2026-01-01")], ([("01-01", "", "1")], [], [])),
        # it closes the one in force at its start
        ([version(1, "2026-01-01")], [document("2026-03-01", price="2")], ([("03-01", "", "2")], [(1, "03-01")], [])),
        # it replaces one with the same start
        ([version(1, "2026-01-01")], [document("2026-01-01", price="2")], ([("01-01", "", "2")], [], [1])),
        # it ends where a later one begins
        ([version(1, "2026-05-01")], [document("2026-01-01", price="2")], ([("01-01", "05-01", "2")], [], [])),
        # equal terms change nothing, wherever they were read and whenever they begin
        ([version(1, "2026-01-01")], [document("2026-01-01", source="elsewhere")], ([], [], [])),
        ([version(1, "2026-01-01")], [document("2026-03-01")], ([], [], [])),
        # one with an end lets the one before it go on
        ([version(1, "2026-01-01")], [document("2026-03-01", "2026-04-01", "2")],
         ([("03-01", "04-01", "2"), ("04-01", "", "1")], [(1, "03-01")], [])),
        # a gap is filled as far as it goes
        ([version(1, "2026-01-01", "2026-02-01"), version(2, "2026-05-01")], [document("2026-01-15")],
         ([("02-01", "05-01", "1")], [], [])),
        # two documents of one file follow each other
        ([version(1, "2026-01-01")], [document("2026-06-01", price="3"), document("2026-03-01", price="2")],
         ([("03-01", "06-01", "2"), ("06-01", "", "3")], [(1, "03-01")], [])),
    ],
)  # fmt: skip
def test_a_document_is_laid_over_the_versions(versions, documents, changes):
    assert plan(versions, documents) == changes


def test_an_import_changes_no_price_of_the_past_and_fills_what_had_none():
    now = at("2026-06-01")
    versions = [version(1, "2026-03-01")]
    changed = [document("2026-01-01", price="2")]
    assert plan(versions, changed, frozen_before=now) == (
        [("01-01", "03-01", "2"), ("06-01", "", "2")],
        [(1, "06-01")],
        [],
    )
    assert plan_versions(versions, changed, frozen_before=now).history_kept
    # and once more, a day later: nothing
    after = [
        version(2, "2026-01-01", "2026-03-01", "2"),
        version(1, "2026-03-01", "2026-06-01"),
        version(3, "2026-06-01", None, "2"),
    ]
    assert plan(after, changed, frozen_before=at("2026-06-02")) == ([], [], [])


def test_an_import_replaces_a_price_that_had_been_announced():
    versions = [version(1, "2026-01-01", "2026-09-01"), version(2, "2026-09-01", None, "2")]
    announced = [document("2026-01-01", "2026-10-01"), document("2026-10-01", price="3")]
    assert plan(versions, announced, frozen_before=at("2026-06-01")) == (
        [("09-01", "10-01", "1"), ("10-01", "", "3")],
        [],
        [2],
    )


def test_of_a_name_with_a_thousand_versions_each_prices_its_own_day():
    first = datetime(2023, 1, 1, tzinfo=UTC)
    rates = [
        make_rate(
            effective_from=(first + timedelta(days=day)).isoformat(),
            effective_to=(first + timedelta(days=day + 1)).isoformat(),
        )
        for day in range(1000)
        if day != 500
    ]
    book = make_rate_book(*rates)
    for day, number in ((0, 1), (499, 500), (501, 501), (999, 999), (0, 1), (999, 999)):
        time = first + timedelta(days=day, hours=23, minutes=59)
        assert book.find("openai", "gpt-4o", time, "standard", "", 1).rate_version_id == number
    for day in (-1, 500, 1000):
        assert book.find("openai", "gpt-4o", first + timedelta(days=day), "standard", "", 1) is None
