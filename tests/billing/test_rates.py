"""Publishing rates: what the table holds afterwards, and what a process prices by."""

import json
import threading
from datetime import UTC, datetime, timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from billing.core.pricing import price_event
from billing.core.rate_documents import RatesRefused, read_rates
from billing.genai_prices_import import read_genai_prices
from billing.models import RateVersion
from billing.rates import (
    IMPORTED,
    RATE_BOOK_LOCK,
    draft_rates,
    forget_rate_book,
    list_published_rates,
    load_rate_book,
    publish_rates,
    review_rates,
    set_model_aliases,
)
from billing.rates.publication import Publication
from ledger.selectors import EntryFilters, list_entries
from tenants.selectors import get_tenant
from tests.billing.core.rate_books import make_meters, make_rate
from tests.factories import NOW, make_event, make_tenant

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
MAKER = "testmaker"  # a provider that no other test publishes for


@pytest.fixture(autouse=True)
def no_remembered_rate_book():
    """What a test publishes is rolled back: no process may go on pricing by it."""
    forget_rate_book()
    yield
    forget_rate_book()


def publish(*rates, origin="file", now=NOW, **options):
    documents = read_rates({"rates": list(rates)})
    return publish_rates(documents, origin=origin, created_by="ann", approved_by="bob", now=now, **options)


def list_versions(model="gpt-4o"):
    """(from, to, state, input price) of a model's rows; '' where it is open or was replaced whole."""
    return [
        (
            f"{row.effective.lower:%Y-%m-%d}" if row.effective.lower else "",
            f"{row.effective.upper:%Y-%m-%d}" if row.effective.upper else "",
            row.state,
            row.document["meters"]["input"]["price"],
        )
        for row in RateVersion.objects.filter(provider=MAKER, model=model).order_by("id")
    ]


def price(tenant_id=1, **fields):
    priced = price_event(make_event(provider=MAKER, model="gpt-4o", usage={"input_tokens": 1_000_000}, **fields),
                         rate_book=load_rate_book(), tenant_id=tenant_id)  # fmt: skip
    return priced.reason if priced.billed_cost is None else priced.billed_cost / 10**12


def at(price, start="2026-01-01", end=None, **fields):
    own = {
        "provider": MAKER,
        "effective_from": f"{start}T00:00:00Z",
        "effective_to": end and f"{end}T00:00:00Z",
        "meters": make_meters(input=price, output="10"),
    }
    return make_rate(**own | fields)


def test_a_published_rate_prices_what_comes_after_it(db):
    publish(at("2"))
    assert price() == 2
    row = RateVersion.objects.get(provider=MAKER, model="gpt-4o")
    assert (row.origin, row.created_by, row.approved_by, row.published_at) == ("file", "ann", "bob", NOW)
    assert row.document["source"]["url"] == "https://example.com/prices"
    assert "effective_from" not in row.document


def test_a_new_version_closes_the_one_before_and_events_are_priced_at_their_own_time(db):
    publish(at("2"))
    changes = publish(at("3", "2026-06-01"))
    assert list_versions() == [
        ("2026-01-01", "2026-06-01", "published", "2"),
        ("2026-06-01", "", "published", "3"),
    ]
    assert (changes.begins, changes.ends, changes.gives_way) == (1, 1, 0)
    assert [price(time=MARCH), price()] == [2, 3]


def test_publishing_twice_changes_nothing(db):
    first = publish(at("2"), at("3", "2026-06-01"))
    before = list_versions()
    second = publish(at("2"), at("3", "2026-06-01"))
    assert (second.begins, second.ends, second.gives_way, second.unchanged) == (0, 0, 0, 2)
    assert second.version == first.version
    assert list_versions() == before


def test_a_version_with_the_same_start_takes_the_place_of_the_other_whole(db):
    publish(at("2"))
    publish(at("1"))
    assert list_versions() == [("", "", "superseded", "2"), ("2026-01-01", "", "published", "1")]
    assert price() == 1


def test_a_price_with_an_end_lets_the_one_before_go_on(db):
    publish(at("2"))
    changes = publish(at("1", "2026-03-01", "2026-04-01"))
    assert list_versions() == [
        ("2026-01-01", "2026-03-01", "published", "2"),
        ("2026-03-01", "2026-04-01", "published", "1"),
        ("2026-04-01", "", "published", "2"),
    ]
    assert changes.backdated == ("testmaker/gpt-4o (exact, standard)",)
    hashes = {
        bytes(row.content_hash)
        for row in RateVersion.objects.filter(provider=MAKER, document__meters__input__price="2")
    }
    assert len(hashes) == 1  # what goes on is the same content, and entries' leaves name it alike


def test_a_published_rate_cannot_be_edited(db):
    publish(at("2"))
    for change in ("document = '{}'", "content_hash = sha256('x')", "effective = '[2020-01-01,)'", "state = 'draft'"):
        with pytest.raises(Exception, match="permission denied|closed, never edited"), transaction.atomic():
            connection.cursor().execute(f"UPDATE rate_version SET {change} WHERE provider = '{MAKER}'")


def test_one_rate_is_laid_beside_its_own_models_versions_and_not_all_of_its_providers(db):
    publish(*(at("1", model=f"model-{number}") for number in range(3)), at("1", model="m.*", match="pattern"))
    (document,) = read_rates({"rates": [at("2", "2026-02-01", model="model-1")]})
    assert [key[1] for key in Publication([document], origin="file", now=NOW).versions] == ["model-1"]
    assert [rate.model for rate in list_published_rates(provider=MAKER, may_tie=True)] == ["m.*"]


def test_two_prices_at_one_time_are_refused_by_the_table_itself(db):
    publish(at("2"))
    twin = RateVersion.objects.get(provider=MAKER, model="gpt-4o")
    twin.id = None
    with pytest.raises(Exception, match="rate_one_price_at_a_time"), transaction.atomic():
        twin.save(force_insert=True)


def test_a_tie_is_refused_and_nothing_is_published(db):
    with pytest.raises(RatesRefused, match="ties with testmaker pattern"):
        publish(at("2", model="gpt-4.*", match="pattern"), at("3", model="gpt-4[a-z]+", match="pattern"))
    assert not RateVersion.objects.filter(provider=MAKER, match="pattern").exists()


def test_a_tenants_own_rate_is_for_that_tenant_alone(db):
    acme, globex = make_tenant("acme"), make_tenant("globex")
    publish(at("2"), at("1", tenant=acme.slug))
    assert [price(tenant_id=acme.id), price(tenant_id=globex.id)] == [1, 2]


def test_a_rate_for_an_unknown_tenant_is_refused(db):
    with pytest.raises(RatesRefused, match="tenant nobody: is not known. Make it first: create_tenant nobody."):
        publish(at("2", tenant="nobody"))


def test_an_own_rate_wins_over_an_imported_one_whichever_came_first(db):
    publish(at("1"))
    imported = publish(at("9"), origin=IMPORTED)
    assert imported.conflicts == ("testmaker/gpt-4o (exact, standard)",)
    assert price() == 1


def test_an_import_leaves_the_prices_of_the_past_alone(db):
    publish(at("2"), origin=IMPORTED, now=MARCH)
    changes = publish(at("3"), origin=IMPORTED, now=NOW)
    assert list_versions() == [("2026-01-01", "2026-11-22", "published", "2"), ("2026-11-22", "", "published", "3")]
    assert changes.history_kept == ("testmaker/gpt-4o (exact, standard)",)
    again = publish(at("3"), origin=IMPORTED, now=NOW + timedelta(days=1))
    assert (again.begins, again.ends) == (0, 0)


def test_what_an_import_no_longer_names_goes_on_until_it_is_closed(db):
    publish(at("2"), at("5", model="o3"), origin=IMPORTED, now=MARCH)
    changes = publish(at("2"), origin=IMPORTED)
    assert [change.name for change in changes.changes if change.kind == "gone"] == ["testmaker/o3 (exact, standard)"]
    assert list_versions("o3") == [("2026-01-01", "", "published", "5")]
    publish(at("2"), origin=IMPORTED, close_gone=True)
    assert list_versions("o3") == [("2026-01-01", "2026-11-22", "published", "5")]


# --- drafts ---


def test_a_draft_prices_nothing_and_becomes_the_published_row(db):
    documents = read_rates({"rates": [at("2")]})
    assert draft_rates(documents, origin="file", created_by="ann", now=MARCH) == 1
    assert draft_rates(documents, origin="file", created_by="ann", now=MARCH) == 0
    assert price() == "no_rate_for_model"
    draft = RateVersion.objects.get(provider=MAKER, model="gpt-4o")
    assert (draft.state, draft.approved_by, draft.published_at) == ("draft", "", None)

    publish_rates(documents, origin="file", created_by="bob", approved_by="bob", now=NOW)
    row = RateVersion.objects.get(provider=MAKER, model="gpt-4o")
    assert (row.id, row.state, row.created_by, row.approved_by) == (draft.id, "published", "ann", "bob")
    assert price() == 2


def test_a_review_writes_nothing(db):
    publish(at("2"))
    changes = review_rates(read_rates({"rates": [at("3", "2026-06-01")]}), origin="file", now=NOW)
    (change,) = changes.changes
    assert (change.kind, change.name) == ("changed", "testmaker/gpt-4o (exact, standard)")
    assert (change.before["input"], change.after["input"]) == ("2 / 1000000", "3 / 1000000")
    assert len(list_versions()) == 1


# --- the rate book of a process ---


def test_a_publication_reaches_a_process_that_had_the_book(db, django_assert_num_queries):
    publish(at("2"))
    assert price() == 2
    with django_assert_num_queries(1):  # the version alone
        book = load_rate_book()
    with django_assert_num_queries(0):
        assert load_rate_book(at_least_version=book.version) is book
    publish(at("3", "2026-06-01"))
    assert load_rate_book().version > book.version
    assert price() == 3


def test_a_publication_that_is_rolled_back_leaves_no_price_behind(db):
    publish(at("2"))
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        publish(at("3", "2026-06-01"))
        assert price() == 3
        1 / 0  # noqa: B018
    assert price() == 2


def test_an_alias_is_followed_from_the_next_load_on(db):
    publish(at("2"))
    event = make_event(provider="azure", model="Our-Deployment", usage={"input_tokens": 1_000_000})
    assert price_event(event, rate_book=load_rate_book(), tenant_id=1).reason == "no_rate_for_model"
    assert set_model_aliases({("azure", "our-deployment"): (MAKER, "gpt-4o")}) == 1
    assert set_model_aliases({("azure", "our-deployment"): (MAKER, "gpt-4o")}) == 0
    assert price_event(event, rate_book=load_rate_book(), tenant_id=1).billed_cost == 2 * 10**12


def test_a_publication_waits_for_bookings_under_way(committed_db, reader):
    """A booking holds the lock shared until its commit, so that it never ends beside a newer book."""
    from tests.conftest import URLS

    provider = f"vendor-{threading.get_ident()}-{datetime.now(UTC).timestamp()}"
    done = threading.Event()

    def publish_in_another_thread():
        try:
            publish(at("2", provider=provider))
            done.set()
        finally:
            connection.close()

    with psycopg.connect(URLS["DATABASE_APP_URL"]) as booking:
        booking.execute("SELECT pg_advisory_xact_lock_shared(%s)", [RATE_BOOK_LOCK])
        publisher = threading.Thread(target=publish_in_another_thread)
        publisher.start()
        assert not done.wait(0.3)
        booking.commit()
        publisher.join(10)
    assert done.is_set()


# --- the command ---


def run(*arguments):
    output = StringIO()
    call_command("import_rates", *arguments, stdout=output)
    return output.getvalue().splitlines()


@pytest.fixture
def rates_file(tmp_path):
    path = tmp_path / "rates.json"
    path.write_text(json.dumps({"rates": [at("2"), at("1", service_tier="batch")]}))
    return path


def test_the_command_drafts_a_file_and_publishes_it_when_approved(db, rates_file):
    lines = run(str(rates_file))
    assert lines[-2:] == ["2 new drafts; nothing is published without --approve", "2"]
    assert price() == "no_rate_for_model"

    lines = run(str(rates_file), "--approve", "--by", "bob")
    assert "2 price lists, 0 of them unchanged" in lines
    assert "  + testmaker/gpt-4o (exact, standard) from 2026-01-01: input 2 / 1000000, output 10 / 1000000" in lines
    assert lines[-1] == "2"
    assert price() == 2

    lines = run(str(rates_file), "--approve")
    assert "2 price lists, 2 of them unchanged" in lines
    assert lines[-1] == "0"


def test_the_command_shows_each_price_that_changes(db, rates_file):
    run(str(rates_file), "--approve")
    rates_file.write_text(json.dumps({"rates": [at("2.5", "2026-06-01")]}))
    lines = run(str(rates_file), "--approve")
    assert "  ~ testmaker/gpt-4o (exact, standard) from 2026-06-01: input 2 / 1000000 → 2.5 / 1000000" in lines
    assert "1 backdated: what was booked before keeps its price" in lines


def test_a_file_may_name_what_a_deployment_calls_its_models(db, tmp_path):
    path = tmp_path / "rates.json"
    alias = {"provider": "azure", "model": "Our-Deployment", "means": {"provider": MAKER, "model": "gpt-4o"}}
    path.write_text(json.dumps({"rates": [at("2")], "aliases": [alias]}))
    assert "1 aliases wait for --approve" in run(str(path))
    assert "1 aliases, 1 of them new or changed" in run(str(path), "--approve")
    event = make_event(provider="azure", model="our-deployment", usage={"input_tokens": 1_000_000})
    assert price_event(event, rate_book=load_rate_book(), tenant_id=1).billed_cost == 2 * 10**12


def list_alias_acts(tags):
    entries = list_entries(tenant_id=get_tenant("operator").id, filters=EntryFilters(kinds=("admin_act",))).entries
    return [entry["tags"]["actor"] for entry in entries if tags.items() <= entry["tags"].items()]


def test_an_alias_of_a_file_is_an_act_once(db, tmp_path):
    path = tmp_path / "rates.json"
    alias = {"provider": "azure", "model": "act-deployment", "means": {"provider": MAKER, "model": "gpt-4o"}}
    path.write_text(json.dumps({"rates": [at("2")], "aliases": [alias]}))
    run(str(path), "--approve", "--by", "carla")
    run(str(path), "--approve", "--by", "carla")
    assert list_alias_acts({"model": "act-deployment", "means_model": "gpt-4o"}) == ["carla"]


@pytest.mark.parametrize(
    ("aliases", "complaint"),
    [
        ([("gpt-4o-2024-11-20", "gpt-4o")], "is a dated snapshot and is never priced as gpt-4o"),
        ([("one", "two"), ("two", "one")], "is an alias itself"),
    ],
)
def test_a_file_with_an_alias_that_cannot_be_is_refused_whole(db, tmp_path, aliases, complaint):
    path = tmp_path / "rates.json"
    named = [
        {"provider": MAKER, "model": sent, "means": {"provider": MAKER, "model": means}} for sent, means in aliases
    ]
    path.write_text(json.dumps({"rates": [at("2")], "aliases": named}))
    with pytest.raises(CommandError, match=complaint):
        run(str(path), "--approve")
    assert list_versions() == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "document: is not JSON"),
        ('{"rates": [{"provider": "openai"}]}', "rates[0].meters: is missing. Add it."),
        (b"\xff\xfe", "is not UTF-8 text"),
    ],
)
def test_the_command_refuses_a_bad_file_by_name(db, tmp_path, text, complaint):
    path = tmp_path / "rates.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CommandError) as refusal:
        run(str(path), "--approve")
    assert complaint in str(refusal.value)


def test_the_command_says_when_there_is_no_such_file(db):
    with pytest.raises(CommandError, match="nowhere.json cannot be read: No such file"):
        run("nowhere.json")


def test_the_whole_library_is_imported_once_and_the_second_time_is_nothing_new(db):
    before = RateVersion.objects.filter(origin=IMPORTED).count()  # another test may have committed it
    lines = run("genai-prices", "--approve")
    assert lines[0] == "genai-prices 0.2.3: 2,330 models"
    assert int(lines[-1]) == 5_185 - before
    assert RateVersion.objects.filter(origin=IMPORTED, state="published").count() == 5_185

    # 1,200 in of which 1,000 cached, 300 out: 200 × 2.5 + 1,000 × 1.25 + 300 × 10 = 4,750
    priced = price_event(make_event(), rate_book=load_rate_book(), tenant_id=1)
    assert priced.billed_cost == 4_750_000_000
    assert priced.rate_version_hash == bytes(RateVersion.objects.get(id=priced.rate_version_id).content_hash).hex()

    documents = read_genai_prices().documents
    again = publish_rates(documents, origin=IMPORTED, created_by="ann", approved_by="bob", now=NOW)
    assert (again.begins, again.ends, again.gives_way, again.unchanged) == (0, 0, 0, 5_185)
