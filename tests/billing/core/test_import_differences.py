"""What differs between a table that somebody else keeps and the published versions, without a database."""

from datetime import UTC, datetime

import pytest

from billing.core.import_differences import list_differences
from billing.core.price_lists import ALWAYS
from billing.core.rate_documents import RateDocument, read_rates
from billing.core.rate_plans import Version, plan_versions

BEGINNING, NOW = datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
KEY = ("northwind", "one", "exact", 0, "standard", "", "")


def write(price, start=BEGINNING, end=None, **meters):
    rate = {
        "provider": "northwind", "model": "one", "currency": "USD", "effective_from": start.isoformat(),
        "effective_to": end and end.isoformat(), "source": {"name": "a table"},
        "meters": {"input": {"price": price, "per": 1_000_000}, **meters},
    }  # fmt: skip
    (document,) = read_rates({"rates": [rate]})
    return document


def published(number, document, start=None, end=ALWAYS):
    return Version(number, start or document.effective_from, end, document.content)


def compare(documents, versions, *, is_import=True, gone=(), **told):
    plan = plan_versions(versions, documents, frozen_before=NOW if is_import else None)
    return list_differences(plans={KEY: plan}, versions={KEY: versions}, gone=gone, now=NOW, **told)


def test_the_same_terms_differ_in_nothing():
    assert compare([write("2")], [published(1, write("2"))]) == []


def test_an_import_begins_now_beside_what_was_and_says_that_the_past_stays():
    (changed,) = compare([write("3")], [published(1, write("2"))])
    assert (changed.kind, changed.starts, changed.keeps_past) == ("changed", NOW, True)
    assert changed.before.rate_version_id == 1
    assert [(price.before, price.after) for price in changed.prices] == [(2, 3)]


def test_a_file_begins_when_it_says():
    start = datetime(2026, 7, 30, tzinfo=UTC)
    (changed,) = compare([write("3", start)], [published(1, write("2"))], is_import=False)
    assert (changed.starts, changed.keeps_past) == (start, False)


def test_what_nothing_priced_before_is_new_and_asks_nothing():
    (new,) = compare([write("30")], [])
    assert (new.kind, new.before, new.questions) == ("new", None, ())


@pytest.mark.parametrize(("price", "asked"), [("19.99", []), ("20", ["far_away:input"]), ("0", ["far_away:input"])])
def test_ten_times_away_is_a_question(price, asked):
    (changed,) = compare([write(price)], [published(1, write("2"))])
    assert [question.id for question in changed.questions] == asked


def test_what_the_deployment_prices_itself_is_a_conflict():
    (conflict,) = compare([write("3")], [], overruled={KEY[:3]})
    assert (conflict.kind, [question.code for question in conflict.questions]) == ("conflict", ["overruled"])


def test_only_a_hand_written_version_that_gives_way_is_a_conflict():
    versions = [
        published(1, write("1"), end=datetime(2026, 1, 1, tzinfo=UTC)),
        published(2, write("2"), datetime(2026, 1, 1, tzinfo=UTC)),
    ]
    document = write("3", datetime(2026, 7, 1, tzinfo=UTC))
    assert [each.kind for each in compare([document], versions, is_import=False, custom_ids={1})] == ["changed"]
    (conflict,) = compare([document], versions, is_import=False, custom_ids={2})
    assert conflict.questions[0].text == "version 2, written by hand, gives way to it"


def test_what_is_gone_names_its_version_and_its_prices():
    version = published(7, write("2"))
    (gone,) = list_differences(plans={}, versions={KEY: [version]}, gone=[(KEY, version)], now=NOW)
    assert (gone.id, gone.kind, gone.document, gone.starts) == ("gone-7", "gone", None, NOW)
    assert [(price.kind, price.before) for price in gone.prices] == [("gone", 2)]


def test_an_id_is_of_what_a_list_says_and_not_of_when_one_looks():
    first, again = compare([write("3")], [])[0], compare([write("3")], [published(1, write("2"))])[0]
    assert first.id == again.id
    assert first.id != compare([write("3.5")], [])[0].id
    later = RateDocument(NOW, None, write("3").content)
    assert first.id != compare([later], [], is_import=False)[0].id
