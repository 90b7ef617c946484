"""A rate from its draft to its publication: who may do what, what is found, and what the ledger keeps of it."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from billing.core.pricing import price_event
from billing.core.rate_documents import RatesRefused, read_rates
from billing.models import RateAct, RateVersion
from billing.rates import (
    IMPORTED,
    RateStepRefused,
    RateUnknown,
    approve_rate,
    comment_rate,
    draft_rate,
    draft_rate_once,
    edit_rate,
    examine_rate,
    load_rate_book,
    publish_draft,
    publish_rates,
    return_rate,
    submit_rate,
    withdraw_rate,
)
from billing.rollups import apply_batches, reconcile_rollups
from ledger.proofs import check_leaf
from ledger.selectors import EntryFilters, get_entry, list_entries
from tenants.selectors import get_tenant
from tests.billing.core.rate_books import make_meters, make_rate
from tests.factories import NOW, make_event, make_tenant

pytestmark = pytest.mark.usefixtures("fresh_rate_book")

MAKER = "approvalmaker"


def write_rate(price="2", start="2026-01-01", **fields):
    own = {
        "provider": MAKER,
        "effective_from": f"{start}T00:00:00Z",
        "meters": make_meters(input=price, output="10"),
    }
    (document,) = read_rates({"rates": [make_rate(**own | fields)]})
    return document


def price(tenant_id=1, **fields):
    priced = price_event(
        make_event(provider=MAKER, model="gpt-4o", usage={"input_tokens": 1_000_000}, **fields),
        rate_book=load_rate_book(), tenant_id=tenant_id,
    )  # fmt: skip
    return priced.reason if priced.billed_cost is None else priced.billed_cost / 10**12


def list_acts(tenant, rate_id):
    entries = list_entries(tenant_id=tenant.id, filters=EntryFilters(kinds=("admin_act",)), limit=100).entries
    return [entry for entry in reversed(entries) if entry["tags"].get("rate") == str(rate_id)]


def step(rate_id):
    return RateVersion.objects.get(pk=rate_id).state


def test_a_rate_is_drafted_by_one_and_published_by_another(db):
    rate_id = draft_rate(write_rate(), author="ann", now=NOW)
    assert (step(rate_id), price()) == ("draft", "no_rate_for_model")
    submit_rate(rate_id, actor="ann", now=NOW, comment="as agreed")
    assert (step(rate_id), price()) == ("in_review", "no_rate_for_model")
    version = approve_rate(rate_id, actor="bob", now=NOW)
    assert (step(rate_id), price()) == ("published", 2)
    assert load_rate_book().version == version
    row = RateVersion.objects.get(pk=rate_id)
    assert (row.created_by, row.submitted_by, row.approved_by, row.published_at) == ("ann", "ann", "bob", NOW)


def test_every_step_is_an_act_in_the_operators_ledger_and_counts_nothing(db):
    operator = get_tenant("operator")
    rate_id = draft_rate(write_rate(), author="ann", now=NOW)
    edit_rate(rate_id, write_rate("3"), author="cid", now=NOW)
    submit_rate(rate_id, actor="ann", now=NOW)
    comment_rate(rate_id, actor="bob", now=NOW, comment="is it net?")
    return_rate(rate_id, actor="bob", now=NOW, comment="say so")
    submit_rate(rate_id, actor="ann", now=NOW)
    approve_rate(rate_id, actor="bob", now=NOW)
    acts = list_acts(operator, rate_id)
    assert [(act["operation"], act["tags"]["actor"]) for act in acts] == [
        ("rate.drafted", "ann"), ("rate.edited", "cid"), ("rate.submitted", "ann"), ("rate.commented", "bob"),
        ("rate.returned", "bob"), ("rate.submitted", "ann"), ("rate.approved", "bob"), ("rate.published", "bob"),
    ]  # fmt: skip
    assert [act["tags"].get("comment") for act in acts[3:5]] == ["is it net?", "say so"]
    assert {(act["calls"], act["billed_cost"], act["kind"]) for act in acts} == {(0, 0, "admin_act")}
    told = list(RateAct.objects.filter(rate_version_id=rate_id).order_by("id").values_list("act", "entry_id"))
    assert [entry_id for _, entry_id in told] == [act["id"] for act in acts]

    apply_batches(now=datetime.now(UTC))
    assert reconcile_rollups(tenant_id=operator.id, now=datetime.now(UTC)).differences == ()


def test_an_acts_leaf_names_the_price_list_that_was_approved(db):
    operator = get_tenant("operator")
    rate_id = draft_rate(write_rate(), author="ann", now=NOW)
    (act,) = list_acts(operator, rate_id)
    entry = get_entry(tenant_id=operator.id, entry_id=act["id"])
    content_hash = bytes(RateVersion.objects.get(pk=rate_id).content_hash).hex()
    assert entry["tags"]["content_hash"] == content_hash
    assert entry["rate_version_id"] == rate_id
    assert check_leaf(entry, rate_version_hash=content_hash)


def test_what_is_agreed_with_a_tenant_is_in_that_tenants_ledger_too(db):
    acme, globex = make_tenant("acme"), make_tenant("globex")
    rate_id = draft_rate(write_rate(tenant=acme.slug), author="ann", now=NOW)
    assert [act["operation"] for act in list_acts(acme, rate_id)] == ["rate.drafted"]
    assert [act["operation"] for act in list_acts(get_tenant("operator"), rate_id)] == ["rate.drafted"]
    assert list_acts(globex, rate_id) == []


def test_what_reviewers_say_among_themselves_is_not_told_to_the_tenant(db):
    acme = make_tenant("acme")
    rate_id = draft_rate(write_rate(tenant=acme.slug), author="ann", now=NOW, comment="we could go to 1.50")
    submit_rate(rate_id, actor="ann", now=NOW, comment="they do not know of globex")
    comment_rate(rate_id, actor="bob", now=NOW, comment="well done")
    approve_rate(rate_id, actor="bob", now=NOW, comment="before they ask again")
    told, kept = list_acts(acme, rate_id), list_acts(get_tenant("operator"), rate_id)
    assert [act["operation"] for act in told] == ["rate.drafted", "rate.submitted", "rate.approved", "rate.published"]
    assert [act["tags"].get("comment") for act in told] == [None] * 4
    assert [act["tags"]["comment"] for act in kept[:4]] == [
        "we could go to 1.50", "they do not know of globex", "well done", "before they ask again",
    ]  # fmt: skip


@pytest.mark.parametrize("actor", ["ann", "cid", "dan"])
def test_nobody_approves_what_he_wrote_or_submitted(db, actor):
    rate_id = draft_rate(write_rate(), author="ann", now=NOW)
    edit_rate(rate_id, write_rate("3"), author="cid", now=NOW)
    submit_rate(rate_id, actor="dan", now=NOW)
    with pytest.raises(RateStepRefused) as refusal:
        approve_rate(rate_id, actor=actor, now=NOW)
    assert refusal.value.code == "rate_needs_another"
    assert step(rate_id) == "in_review"
    assert price() == "no_rate_for_model"


def test_where_one_person_is_enough_a_draft_is_published_at_once(db, settings):
    rate_id = draft_rate(write_rate(), author="ann", now=NOW)
    with pytest.raises(RateStepRefused, match="a second person"):
        publish_draft(rate_id, actor="ann", now=NOW)
    settings.RATES_FOUR_EYES = False
    publish_draft(rate_id, actor="ann", now=NOW)
    assert (step(rate_id), price()) == ("published", 2)


def test_only_a_draft_is_edited_and_only_what_waits_is_approved(db):
    rate_id = draft_rate(write_rate(), author="ann", now=NOW)
    for act, take in (("approved", approve_rate), ("returned", return_rate)):
        with pytest.raises(RateStepRefused, match=f"a rate that is draft cannot be {act}"):
            take(rate_id, actor="bob", now=NOW)
    submit_rate(rate_id, actor="ann", now=NOW)
    with pytest.raises(RateStepRefused, match="a rate that is in review cannot be edited"):
        edit_rate(rate_id, write_rate("3"), author="ann", now=NOW)
    with pytest.raises(Exception, match="closed, never edited"):
        RateVersion.objects.filter(pk=rate_id).update(document={})


def test_what_was_withdrawn_prices_nothing_and_stays_readable(db):
    rate_id = draft_rate(write_rate(), author="ann", now=NOW)
    withdraw_rate(rate_id, actor="ann", now=NOW)
    assert (step(rate_id), price()) == ("withdrawn", "no_rate_for_model")
    with pytest.raises(RateStepRefused):
        submit_rate(rate_id, actor="ann", now=NOW)
    publish_rates([write_rate("7")], origin="file", created_by="ann", approved_by="bob", now=NOW)
    assert price() == 7
    assert RateVersion.objects.get(pk=rate_id).document["meters"]["input"]["price"] == "2"


def test_no_such_rate_is_said(db):
    with pytest.raises(RateUnknown):
        comment_rate(10**9, actor="ann", now=NOW, comment="?")


def test_a_rate_that_was_overtaken_in_review_is_not_approved(db):
    rate_id = draft_rate(write_rate("2"), author="ann", now=NOW)
    submit_rate(rate_id, actor="ann", now=NOW)
    publish_rates([write_rate("9")], origin="file", created_by="eve", approved_by="dan", now=NOW)
    with pytest.raises(RateStepRefused) as refusal:
        approve_rate(rate_id, actor="bob", now=NOW)
    assert refusal.value.code == "rate_outdated"
    assert price() == 9
    return_rate(rate_id, actor="bob", now=NOW)
    submit_rate(rate_id, actor="ann", now=NOW, confirmed=["replaces"])
    approve_rate(rate_id, actor="bob", now=NOW)
    assert price() == 2


def test_a_version_published_for_a_later_time_overtakes_too(db):
    publish_rates([write_rate("1")], origin="file", created_by="eve", approved_by="dan", now=NOW)
    rate_id = draft_rate(write_rate("2", "2026-06-01"), author="ann", now=NOW)
    submit_rate(rate_id, actor="ann", now=NOW)
    later = NOW + timedelta(minutes=1)
    publish_rates([write_rate("3", "2026-09-01")], origin="file", created_by="eve", approved_by="dan", now=later)
    with pytest.raises(RateStepRefused, match="another price was published since"):
        approve_rate(rate_id, actor="bob", now=later)


def test_equal_terms_are_not_published_twice(db):
    publish_rates([write_rate("2")], origin="file", created_by="eve", approved_by="dan", now=NOW)
    rate_id = draft_rate(write_rate("2"), author="ann", now=NOW)
    submit_rate(rate_id, actor="ann", now=NOW, confirmed=["replaces"])
    with pytest.raises(RateStepRefused, match="says the same already"):
        approve_rate(rate_id, actor="bob", now=NOW)


def test_of_two_people_who_publish_one_price_at_once_the_second_is_told(committed_db):
    """Both look at the same state of the table; one publication at a time, and what was judged must still hold."""
    provider = f"race-{datetime.now(UTC).timestamp()}"
    rate_ids = [draft_rate(write_rate(p, provider=provider), author="ann", now=NOW) for p in ("2", "3")]
    for rate_id in rate_ids:
        submit_rate(rate_id, actor="ann", now=NOW)
    start, answers = threading.Barrier(2), []

    def approve(rate_id):
        try:
            start.wait(10)
            answers.append(("published", approve_rate(rate_id, actor="bob", now=NOW)))
        except RateStepRefused as error:
            answers.append((error.code, 0))
        finally:
            connection.close()

    threads = [threading.Thread(target=approve, args=[rate_id]) for rate_id in rate_ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(code for code, _ in answers) == ["published", "rate_outdated"]
    assert sorted(step(rate_id) for rate_id in rate_ids) == ["in_review", "published"]


# --- what is found in a draft ---


def find(document, **options):
    return [(finding.kind, finding.id) for finding in examine_rate(document, now=NOW, **options).findings]


def test_a_first_price_is_found_without_fault(db):
    assert find(write_rate()) == []


def test_a_price_ten_times_away_is_asked_about_and_published_once_confirmed(db):
    publish_rates([write_rate("2")], origin="file", created_by="ann", approved_by="bob", now=NOW)
    rate_id = draft_rate(write_rate("20", "2026-06-01"), author="ann", now=NOW)
    with pytest.raises(RateStepRefused) as refusal:
        submit_rate(rate_id, actor="ann", now=NOW)
    assert [finding.id for finding in refusal.value.findings] == ["far_away:input"]
    assert refusal.value.findings[0].text == "input goes from 2 to 20 USD per 1,000,000"
    submit_rate(rate_id, actor="ann", now=NOW, confirmed=["far_away:input"])
    assert list_acts(get_tenant("operator"), rate_id)[-1]["tags"]["confirmed"] == "far_away:input"
    assert find(write_rate("19.99", "2026-06-01")) == []
    assert find(write_rate("0.2", "2026-06-01")) == [("question", "far_away:input")]


def test_what_is_missing_overlaps_or_leaves_a_gap_is_asked_about(db):
    publish_rates(
        [write_rate("2", effective_to="2026-02-01T00:00:00Z"), write_rate("3", "2026-08-01")],
        origin="file", created_by="ann", approved_by="bob", now=NOW,
    )  # fmt: skip
    assert find(write_rate("2", "2026-03-01")) == [("question", "overlap"), ("question", "gap")]
    assert find(write_rate("2", "2026-08-01", meters=make_meters(input="2"))) == [
        ("question", "replaces"), ("question", "missing_meter:output"),
    ]  # fmt: skip
    assert ("question", "gap_after") not in find(write_rate("2", "2026-03-01", effective_to="2026-08-01T00:00:00Z"))


def test_what_others_price_leaves_no_gap_and_a_later_price_of_theirs_that_gives_way_is_told(db):
    # Everybody's price of an import, which falls on 30 July; a contract of one tenant, and a rate of the deployment.
    publish_rates(
        [write_rate("2"), write_rate("1", "2026-07-30")],
        origin=IMPORTED, created_by="ann", approved_by="bob", now=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    slug = make_tenant("acme").slug
    ending = {"effective_to": "2026-07-01T00:00:00Z"}
    assert find(write_rate("1.9", "2026-05-01", tenant=slug, **ending)) == []
    assert find(write_rate("1.9", "2026-05-01", **ending)) == []
    assert find(write_rate("1.9", "2026-07-01")) == [("question", "stands_before")]
    assert find(write_rate("1.9", "2026-07-01", tenant=slug)) == [("question", "stands_before")]
    assert find(write_rate("1.9", "2026-08-01")) == []


def test_two_patterns_that_nothing_tells_apart_are_an_error(db):
    publish_rates(
        [write_rate(model="gpt-4.*", match="pattern")], origin="file", created_by="ann", approved_by="bob", now=NOW
    )
    assert find(write_rate(model="gpt-4[a-z]+", match="pattern")) == [("error", "ambiguous")]


def test_a_contract_dearer_than_its_list_price_is_asked_about(db):
    meters = {"input": {"price": "2", "list_price": "1", "per": 1_000_000}, "output": {"price": "8", "per": 1_000_000}}
    assert find(write_rate(meters=meters)) == [("question", "above_list:input")]


def test_the_prices_stand_beside_those_in_force_meter_by_meter(db):
    publish_rates([write_rate("2")], origin="file", created_by="ann", approved_by="bob", now=NOW)
    meters = {
        "input": {"price": "1", "per": 1_000_000},
        "output": {"price": "10", "list_price": "12", "per": 1_000_000},
        "cache_read": {"price": "0.1", "per": 1_000_000},
    }
    prices = examine_rate(write_rate("1", "2026-06-01", meters=meters), now=NOW).prices
    assert [(price.meter, price.kind, str(price.before), str(price.after)) for price in prices] == [
        ("input", "cheaper", "2", "1"), ("output", "list", "10", "10"), ("cache_read", "new", "None", "0.1"),
    ]  # fmt: skip
    assert str(prices[0].factor) == "0.5"


def test_a_contract_is_compared_with_what_the_tenant_pays_without_it(db):
    acme = make_tenant("acme")
    publish_rates([write_rate("2")], origin="genai-prices", created_by="ann", approved_by="bob", now=NOW)
    examined = examine_rate(write_rate("1", tenant=acme.slug), now=NOW)
    assert [(price.meter, price.kind) for price in examined.prices] == [("input", "cheaper"), ("output", "same")]


def test_a_rate_for_an_unknown_tenant_is_not_drafted(db):
    with pytest.raises(RatesRefused, match="tenant nobody: is not known"):
        draft_rate(write_rate(tenant="nobody"), author="ann", now=NOW)


def test_a_step_on_what_was_edited_meanwhile_is_refused(db):
    seen = write_rate("2").mark
    rate_id = draft_rate(write_rate("2"), author="ann", now=NOW)
    edit_rate(rate_id, write_rate("2", start="2026-02-01"), author="ann", now=NOW, seen=seen)  # another time alone
    for take in (
        lambda: edit_rate(rate_id, write_rate("3"), author="cid", now=NOW, seen=seen),
        lambda: submit_rate(rate_id, actor="ann", now=NOW, seen=seen),
    ):
        with pytest.raises(RateStepRefused) as refused:
            take()
        assert refused.value.code == "rate_changed"
    submit_rate(rate_id, actor="ann", now=NOW, seen=write_rate("2", start="2026-02-01").mark)
    with pytest.raises(RateStepRefused) as refused:
        approve_rate(rate_id, actor="bob", now=NOW, seen=seen)
    assert (refused.value.code, step(rate_id)) == ("rate_changed", "in_review")


def test_who_asks_twice_has_one_draft_and_one_comment(db):
    rate_id = draft_rate_once(write_rate(), author="ann", now=NOW)
    assert draft_rate_once(write_rate(), author="ann", now=NOW) == rate_id
    for _ in range(2):
        comment_rate(rate_id, actor="bob", now=NOW, comment="is it net?")
    assert list(RateAct.objects.filter(rate_version_id=rate_id).values_list("act", flat=True)) == [
        "drafted", "commented",
    ]  # fmt: skip
    assert draft_rate_once(write_rate(), author="bob", now=NOW) != rate_id
    assert draft_rate_once(write_rate(start="2026-02-01"), author="ann", now=NOW) != rate_id
    withdraw_rate(rate_id, actor="ann", now=NOW)
    assert draft_rate_once(write_rate(), author="ann", now=NOW) != rate_id
