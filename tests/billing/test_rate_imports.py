"""Rates that somebody else keeps: what differs, accepted by one person or by two, and ended where they are gone."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connection

from billing.core.rate_documents import RatesRefused, read_rates
from billing.models import RateAct, RateVersion
from billing.rates import (
    IMPORTED,
    RATE_BOOK_LOCK,
    ImportRefused,
    ImportSource,
    accept_differences,
    draft_rates,
    end_gone,
    find_waiting,
    forget_rate_book,
    keep_upload,
    list_source_differences,
    load_rate_book,
    publish_rates,
    read_source,
    withdraw_ending,
)
from ledger.selectors import EntryFilters, list_entries
from tenants.models import OPERATOR_SLUG
from tenants.selectors import get_tenant
from tests.conftest import URLS

pytestmark = pytest.mark.usefixtures("fresh_rate_book")

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def write_rate(model, price="2", start="2000-01-01", **fields):
    return {
        "provider": "northwind", "model": model, "currency": "USD", "effective_from": f"{start}T00:00:00Z",
        "meters": {"input": {"price": price, "per": 1_000_000}, "output": {"price": "8", "per": 1_000_000}},
        "source": {"name": "a table"},
    } | fields  # fmt: skip


def make_source(*rates, origin=IMPORTED, key="a table"):
    """A key of its own, so that nothing is remembered from another test."""
    return ImportSource(f"{key} {id(rates)}", "a table", origin, tuple(read_rates({"rates": list(rates)})), 0, ())


def publish(*rates, origin=IMPORTED):
    publish_rates(read_rates({"rates": list(rates)}), origin=origin, created_by="ann", approved_by="bob", now=NOW)


def review(source, now=LATER):
    return {each.model: each for each in list_source_differences(source, now=now)}


def accept(source, actor, *models, now=LATER):
    found = review(source, now=now)
    return accept_differences(source, {found[model].id for model in models or found}, actor=actor, now=now)


def price_of(model, at=LATER + timedelta(days=9)):
    """Of a million tokens in, as the rate book has it; None where there is none."""
    forget_rate_book()
    rate = load_rate_book().find("northwind", model, at, "standard", "", 0)
    return (
        None if rate is None else RateVersion.objects.get(pk=rate.rate_version_id).document["meters"]["input"]["price"]
    )


def test_what_is_new_changed_gone_and_conflicting_is_told_apart(db):
    publish(write_rate("same"), write_rate("dearer"), write_rate("left"))
    publish(write_rate("ours", "1"), origin="custom")
    source = make_source(
        write_rate("same"), write_rate("dearer", "3"), write_rate("fresh"), write_rate("ours"),
        write_rate("slip", "20"),
    )  # fmt: skip
    found = review(source)
    assert {model: each.kind for model, each in found.items()} == {
        "dearer": "changed", "fresh": "new", "left": "gone", "ours": "conflict", "slip": "new",
    }  # fmt: skip
    assert found["dearer"].starts == LATER and found["dearer"].keeps_past
    assert [(price.meter, price.kind) for price in found["dearer"].prices] == [("input", "dearer"), ("output", "same")]
    assert [question.code for question in found["ours"].questions] == ["overruled"]
    assert RateVersion.objects.filter(model="fresh").count() == 0


def test_a_price_ten_times_away_and_a_meter_that_is_missing_are_questions(db):
    publish(write_rate("slip"), write_rate("less"))
    source = make_source(
        write_rate("slip", "20"), write_rate("less", meters={"input": {"price": "2", "per": 1_000_000}})
    )
    found = review(source)
    assert [question.id for question in found["slip"].questions] == ["far_away:input"]
    assert [question.id for question in found["less"].questions] == ["missing_meter:output"]


def test_a_file_that_leaves_conditions_out_is_compared_with_what_prices_such_calls_now(db):
    publish(write_rate("imported", service_tier="standard"))
    found = review(make_source(write_rate("imported", "20"), write_rate("unknown", "20"), origin="file"))
    assert {model: (each.kind, [question.id for question in each.questions]) for model, each in found.items()} == {
        "imported": ("changed", ["far_away:input"]), "unknown": ("new", []),
    }  # fmt: skip


def test_bookings_go_on_while_an_import_is_submitted_and_stop_only_where_it_is_published(db):
    source = make_source(write_rate("one"), write_rate("two"))

    def may_book():
        with psycopg.connect(URLS["DATABASE_APP_URL"]) as booking:
            return booking.execute("SELECT pg_try_advisory_xact_lock_shared(%s)", [RATE_BOOK_LOCK]).fetchone()[0]

    accept(source, "ann")
    assert may_book()
    accept(source, "bob")
    assert not may_book()


def test_what_one_person_accepts_waits_and_another_publishes_it(db):
    source = make_source(write_rate("one"), write_rate("two"))
    assert accept(source, "ann", "one").submitted == 1
    assert price_of("one") is None
    waiting = find_waiting(source, list(review(source).values()))
    assert [(each.state, each.by) for each in waiting.values()] == [("in_review", "ann")]
    assert accept(source, "ann", "one").waiting == 1
    both = accept(source, "bob", "one", "two")
    assert (both.published, both.submitted) == (1, 1)
    assert (price_of("one"), price_of("two")) == ("2", None)
    row = RateVersion.objects.get(model="one")
    assert (row.created_by, row.approved_by) == ("ann", "bob")
    acts = RateAct.objects.filter(rate_version_id=row.pk).order_by("id").values_list("act", "actor")
    assert list(acts) == [("submitted", "ann"), ("published", "bob")]
    operator = get_tenant(OPERATOR_SLUG)
    booked = list_entries(tenant_id=operator.id, filters=EntryFilters(kinds=("admin_act",)), limit=3).entries
    assert sorted(act["operation"] for act in booked) == ["rates.published", "rates.submitted", "rates.submitted"]
    assert list(review(source)) == ["two"]


def test_where_one_person_is_enough_accepting_publishes_and_a_second_click_changes_nothing(db, settings):
    settings.RATES_FOUR_EYES = False
    source = make_source(write_rate("one"))
    wanted = {each.id for each in review(source).values()}
    assert accept_differences(source, wanted, actor="ann", now=LATER).published == 1
    assert price_of("one") == "2"
    again = accept_differences(source, wanted, actor="ann", now=LATER)
    assert (again.published, again.vanished) == (0, 1)


def test_what_was_overtaken_goes_back_and_is_not_published(db):
    publish(write_rate("one", "2"))
    source = make_source(write_rate("one", "3"))
    accept(source, "ann")
    publish_rates(
        read_rates({"rates": [write_rate("one", "2.5")]}), origin=IMPORTED, created_by="cid", approved_by="dan",
        now=LATER + timedelta(hours=1),
    )  # fmt: skip
    result = accept(source, "bob", now=LATER + timedelta(hours=2))
    assert (result.published, result.returned) == (0, 1)
    assert RateVersion.objects.get(model="one", document__meters__input__price="3").state == "draft"


def test_a_draft_that_import_rates_made_is_submitted_by_the_first_and_published_by_the_second(db):
    source = make_source(write_rate("one"))
    draft_rates(source.documents, origin=IMPORTED, created_by="import_rates", now=NOW)
    assert accept(source, "ann").submitted == 1
    assert accept(source, "bob").published == 1
    assert RateVersion.objects.filter(model="one").count() == 1


def test_what_ties_is_refused_whole(db, settings):
    settings.RATES_FOUR_EYES = False
    source = make_source(
        write_rate("a.*c", match="pattern"), write_rate("ab.*|a.c", match="pattern"), write_rate("other"),
    )  # fmt: skip
    ties = make_source(write_rate("x.*", match="pattern"), write_rate("x.+", match="pattern"), write_rate("other"))
    with pytest.raises(RatesRefused, match="ties with"):
        accept(ties, "ann")
    assert price_of("other") is None
    assert accept(source, "ann", "other").published == 1


def test_what_is_gone_stays_until_it_is_ended_at_a_day_by_two(db):
    publish(write_rate("left"), write_rate("right"))
    source = make_source(write_rate("right"))
    day = LATER + timedelta(days=7)
    ids = {each.id for each in review(source).values()}
    assert end_gone(source, ids, ends_at=day, actor="ann", now=LATER).submitted == 1
    assert end_gone(source, ids, ends_at=day, actor="ann", now=LATER).waiting == 1
    assert price_of("left", day) == "2"
    assert withdraw_ending(source, ids, actor="bob", now=LATER) == 1
    end_gone(source, ids, ends_at=day, actor="bob", now=LATER)
    assert end_gone(source, ids, ends_at=LATER, actor="ann", now=LATER).published == 1
    assert (price_of("left", day - timedelta(microseconds=1)), price_of("left", day)) == ("2", None)
    assert price_of("right", day) == "2"
    row = RateVersion.objects.get(model="left")
    acts = RateAct.objects.filter(rate_version_id=row.pk).order_by("id").values_list("act", "actor")
    assert list(acts) == [
        ("ending_asked", "ann"),
        ("ending_withdrawn", "bob"),
        ("ending_asked", "bob"),
        ("ended", "ann"),
    ]
    with pytest.raises(ImportRefused, match="keeps its price"):
        end_gone(source, ids, ends_at=LATER - timedelta(seconds=1), actor="ann", now=LATER)


def test_a_file_is_kept_as_it_was_sent_and_read_again(db):
    text = '{"rates": [{"provider": "northwind", "model": "one", "currency": "USD", "effective_from": \
"2026-01-01T00:00:00Z", "meters": {"input": {"price": "0.25", "per": 1000000}}, "source": null}], \
"aliases": [{"provider": "gw", "model": "uno", "means": {"provider": "northwind", "model": "one"}}]}'
    number = keep_upload(text, name="ours.json", actor="ann", now=NOW)
    source = read_source(str(number))
    assert (source.name, source.origin, source.aliases, source.brought_by) == ("ours.json", "file", 1, "ann")
    assert source.documents[0].content["meters"]["input"]["price"] == "0.25"
    assert [read_source(key) for key in ("999999", "nothing", "²", "٣")] == [None] * 4


def test_a_file_names_the_path_of_each_fault(db):
    with pytest.raises(RatesRefused) as refused:
        keep_upload('{"rates": [{"provider": "northwind"}]}', name="x", actor="ann", now=NOW)
    assert "rates[0].meters" in {problem.path for problem in refused.value.problems}
    for text, said in (("{", "is not JSON"), ('{"rates": []}', "holds nothing")):
        with pytest.raises(RatesRefused, match=said):
            keep_upload(text, name="x", actor="ann", now=NOW)


def test_a_file_says_where_a_rate_written_by_hand_would_give_way(db):
    publish(write_rate("ours", "1"), origin="custom")
    publish(write_rate("theirs", "1"), origin="file")
    found = review(make_source(write_rate("ours"), write_rate("theirs"), origin="file"))
    assert {model: each.kind for model, each in found.items()} == {"ours": "conflict", "theirs": "changed"}
    assert [question.code for question in found["ours"].questions] == ["custom"]


def test_the_pinned_table_differs_whole_from_an_empty_one_and_not_from_itself(db, settings):
    settings.RATES_FOUR_EYES = False
    source = read_source(IMPORTED)
    found = list_source_differences(source, now=NOW)
    assert len(found) > 5_000 and {each.kind for each in found} <= {"new", "conflict", "gone", "changed"}
    accept_differences(source, {each.id for each in found}, actor="ann", now=NOW)
    assert [each.model for each in list_source_differences(source, now=NOW) if each.kind != "gone"] == []


def test_two_second_persons_at_once_publish_it_once(committed_db):
    provider = f"northwind-{secrets.token_hex(4)}"
    # Committed, so not as of the import: who sees one list of it takes the whole of it to be there.
    source = make_source(write_rate("one", provider=provider), key=provider, origin="file")
    (difference,) = list_source_differences(source, now=LATER)
    accept_differences(source, {difference.id}, actor="ann", now=LATER)

    def accept_as(actor):
        try:
            return accept_differences(source, {difference.id}, actor=actor, now=LATER)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as people:
        results = list(people.map(accept_as, ("bob", "cid")))
    assert sorted((each.published, each.vanished) for each in results) == [(0, 1), (1, 0)]
    assert [row.state for row in RateVersion.objects.filter(provider=provider)] == ["published"]
