"""What mapping rules do to what is booked: stamped, told by a tag, and a duplicate whatever the rules say by then."""

from datetime import UTC, date, datetime, timedelta

import pytest

from billing.core.mapping import Term
from billing.core.mapping_terms import CostCenterTerms, MappingRefused, RuleTerms
from billing.cost_centers import (
    CostCenterUnknown,
    change_cost_center,
    create_cost_center,
    get_cost_center,
    list_cost_centers,
    retire_cost_center,
)
from billing.ingestion import ingest_events
from billing.mapping import RuleUnknown, add_rule, end_rule, get_rule, list_rules, move_rule, replace_rule
from ledger.act_lists import ActFilters, list_acts
from ledger.people import erase_person
from ledger.selectors import get_entry
from tenants.scope import tenant_scope
from tests.factories import make_event, make_tenant, publish_test_rates

NOW = datetime.now(UTC)
ME = "person 7"


@pytest.fixture
def acme(db):
    publish_test_rates()
    acme = make_tenant("acme")
    make_centers(acme, "growth", "sales")
    return acme


def own(tenant):
    return {"tenant_id": tenant.id, "actor": ME, "now": NOW}


def make_centers(tenant, *codes):
    return [create_cost_center(CostCenterTerms(code=code), **own(tenant))[0] for code in codes]


def map_to(code, *terms, tenant, **fields):
    return add_rule(RuleTerms(terms=terms, cost_center=code, **fields), **own(tenant))


def book(tenant, *events, key_id="testkey"):
    return ingest_events(tenant_id=tenant.id, api_key_id=key_id, events=list(enumerate(events)), now=NOW).results


def read(tenant, result):
    return get_entry(tenant_id=tenant.id, entry_id=result.entry_id)


def book_one(tenant, *, key_id="testkey", **fields):
    """What the entry says of where it is charged: its cost centre, and the rule that gave it."""
    (result,) = book(tenant, make_event(**({"time": NOW} | fields)), key_id=key_id)
    entry = read(tenant, result)
    return entry["cost_center"], entry["tags"].get("tokenledger.mapping_rule", "")


CHAT = Term("feature", ("chat",))


# --- booking ---


def test_a_call_that_names_no_cost_centre_is_charged_by_the_first_rule_that_matches(acme):
    first = map_to("growth", CHAT, tenant=acme)
    map_to("sales", Term("key", ("testkey",)), tenant=acme)
    assert book_one(acme, feature="Chat") == ("growth", str(first.id))


def test_a_call_that_names_its_cost_centre_keeps_it(acme):
    map_to("growth", CHAT, tenant=acme)
    assert book_one(acme, feature="chat", cost_center="Own One") == ("Own One", "")


def test_a_call_that_no_rule_matches_stays_unallocated(acme):
    map_to("growth", CHAT, tenant=acme)
    assert book_one(acme, feature="search") == ("", "")


def test_the_rules_of_acme_say_nothing_of_globex(acme):
    map_to("growth", CHAT, tenant=acme)
    assert book_one(make_tenant("globex"), feature="chat") == ("", "")


@pytest.mark.parametrize(
    ("term", "fields"),
    [
        (Term("key", ("pipeline",)), {"key_id": "pipeline"}),
        (Term("user", ("mia@acme.example",)), {"user": "mia@acme.example"}),
        (Term("tag", ("data science",), "cost owner"), {"tags": {"Cost-Owner": "Data_Science"}}),
    ],
)
def test_a_key_a_user_and_a_tag_are_conditions_too(acme, term, fields):
    rule = map_to("growth", term, tenant=acme)
    assert book_one(acme, **fields) == ("growth", str(rule.id))
    assert book_one(acme) == ("", "")


@pytest.mark.parametrize("fields", [{"status": "error", "usage": {}}, {"model": "unheard-of"}, {"cache_hit": True}])
def test_failed_and_unpriced_calls_are_charged_alike(acme, fields):
    rule = map_to("growth", CHAT, tenant=acme)
    assert book_one(acme, feature="chat", **fields) == ("growth", str(rule.id))


def test_a_late_call_goes_by_the_rule_of_its_own_day(acme):
    today = NOW.date()
    old = map_to("growth", CHAT, tenant=acme)
    new = replace_rule(RuleTerms(terms=(CHAT,), cost_center="sales", valid_from=today), rule_id=old.id, **own(acme))
    midnight = datetime(today.year, today.month, today.day, tzinfo=UTC)
    assert book_one(acme, feature="chat", time=midnight - timedelta(microseconds=1)) == ("growth", str(old.id))
    assert book_one(acme, feature="chat", time=midnight) == ("sales", str(new.id))


def test_tags_that_were_sent_stay(acme):
    rule = map_to("growth", CHAT, tenant=acme)
    (result,) = book(acme, make_event(time=NOW, feature="chat", tags={"team": "web"}))
    assert read(acme, result)["tags"] == {"team": "web", "tokenledger.mapping_rule": str(rule.id)}


def test_a_retry_after_a_rule_was_made_or_ended_is_a_duplicate_and_no_conflict(acme):
    before = make_event(time=NOW, feature="chat")
    book(acme, before)
    rule = map_to("growth", CHAT, tenant=acme)
    between = make_event(time=NOW, feature="chat")
    book(acme, between)
    end_rule(NOW.date(), rule_id=rule.id, **own(acme))
    assert [result.status for result in book(acme, before, between)] == ["duplicate", "duplicate"]


def test_a_conflict_is_told_by_what_was_sent_and_not_by_what_a_rule_gave(acme):
    map_to("growth", CHAT, tenant=acme)
    book(acme, make_event(time=NOW, feature="chat", event_id="one", model="m-1"))
    (result,) = book(acme, make_event(time=NOW, feature="chat", event_id="one", model="m-2"))
    assert (result.status, result.fields) == ("conflict", ("model",))
    (result,) = book(acme, make_event(time=NOW, feature="chat", event_id="one", model="m-1", cost_center="growth"))
    assert (result.status, result.fields) == ("conflict", ("cost_center",))


def test_two_reports_of_one_event_in_a_request_are_compared_by_what_was_sent(acme):
    map_to("growth", CHAT, tenant=acme)
    event = {"time": NOW, "event_id": "twice"}
    results = book(acme, make_event(**event, feature="chat"), make_event(**event, feature="search"))
    assert [(result.status, result.fields) for result in results] == [("accepted", ()), ("conflict", ("feature",))]


# --- rules ---


def list_places(tenant):
    return [(rule.id, rule.place) for rule in list_rules(tenant_id=tenant.id)]


def test_rules_stand_in_the_order_in_which_they_are_asked(acme):
    one, two = map_to("growth", CHAT, tenant=acme), map_to("sales", CHAT, tenant=acme)
    three = map_to("sales", CHAT, tenant=acme, place=1)
    assert list_places(acme) == [(three.id, 1), (one.id, 2), (two.id, 3)]
    assert move_rule(3, rule_id=three.id, **own(acme)).place == 3
    assert list_places(acme) == [(one.id, 1), (two.id, 2), (three.id, 3)]
    assert book_one(acme, feature="chat") == ("growth", str(one.id))


def test_what_takes_a_rules_place_stands_where_it_stood(acme):
    one, two = map_to("growth", CHAT, tenant=acme), map_to("sales", CHAT, tenant=acme)
    new = RuleTerms(terms=(CHAT,), cost_center="sales", valid_from=date(2026, 12, 1))
    new = replace_rule(new, rule_id=one.id, **own(acme))
    assert list_places(acme) == [(one.id, 1), (new.id, 2), (two.id, 3)]
    assert get_rule(tenant_id=acme.id, rule_id=one.id).rule.valid_to == date(2026, 12, 1)


def test_an_end_may_be_set_earlier_and_never_later(acme):
    rule = map_to("growth", CHAT, tenant=acme, valid_from=date(2026, 11, 1), valid_to=date(2026, 12, 1))
    for day in (date(2026, 12, 2), date(2026, 10, 31)):
        with pytest.raises(MappingRefused):
            end_rule(day, rule_id=rule.id, **own(acme))
    assert end_rule(date(2026, 11, 1), rule_id=rule.id, **own(acme)).rule.valid_to == date(2026, 11, 1)
    assert book_one(acme, feature="chat") == ("", "")


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"cost_center": "nobody's"}, "cost_center", "unknown_cost_center"),
        ({"valid_from": date(2026, 12, 1), "valid_to": date(2026, 12, 1)}, "valid_to", "wrong_value"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(acme, fields, field, code):
    with pytest.raises(MappingRefused) as refused:
        add_rule(RuleTerms(**({"terms": (CHAT,), "cost_center": "growth"} | fields)), **own(acme))
    assert [(problem.field, problem.code) for problem in refused.value.problems] == [(field, code)]


def test_a_rule_of_acme_is_none_of_globex(acme):
    rule = map_to("growth", CHAT, tenant=acme)
    globex = make_tenant("globex")
    assert list_rules(tenant_id=globex.id) == []
    with pytest.raises(RuleUnknown):
        end_rule(NOW.date(), rule_id=rule.id, **own(globex))


def test_a_user_is_kept_by_reference_and_shown_by_name_until_erased(acme):
    rule = map_to("growth", Term("user", ("mia@acme.example",)), tenant=acme)
    (reference,) = rule.rule.terms[0].values
    assert reference.startswith("u_")
    assert rule.named == (Term("user", ("mia@acme.example",)),)
    acts = list_acts(tenant_id=acme.id, filters=ActFilters(), limit=10)
    assert not any("mia@" in str(act.facts) for act in acts)
    with tenant_scope(acme.id):
        erase_person(external_id="mia@acme.example", **own(acme))
    assert get_rule(tenant_id=acme.id, rule_id=rule.id).named == (Term("user", (reference,)),)
    assert book_one(acme, user="mia@acme.example") == ("", "")


# --- cost centres ---


def test_the_same_cost_centre_again_is_the_one_that_there_is(acme):
    terms = CostCenterTerms(code="research", name="Research", owner="Ada", gl_account="6420")
    center, is_new = create_cost_center(terms, **own(acme))
    assert is_new
    assert create_cost_center(terms, **own(acme)) == (center, False)
    with pytest.raises(MappingRefused) as refused:
        create_cost_center(CostCenterTerms(code="research"), **own(acme))
    assert refused.value.problems[0].code == "taken"


def test_a_code_is_never_changed(acme):
    (center,) = make_centers(acme, "research")
    with pytest.raises(MappingRefused) as refused:
        change_cost_center(CostCenterTerms(code="r&d"), center_id=center.id, **own(acme))
    assert refused.value.problems[0].code == "fixed"


def test_a_circle_is_refused_with_the_way_round_named(acme):
    (top,) = make_centers(acme, "top")
    middle, _ = create_cost_center(CostCenterTerms(code="middle", parent_id=top.id), **own(acme))
    low, _ = create_cost_center(CostCenterTerms(code="low", parent_id=middle.id), **own(acme))
    with pytest.raises(MappingRefused) as refused:
        change_cost_center(CostCenterTerms(code="top", parent_id=low.id), center_id=top.id, **own(acme))
    (problem,) = refused.value.problems
    assert problem.code == "circular"
    assert problem.detail.endswith("top → low → middle → top")


def test_a_cost_centre_is_retired_once_nothing_needs_it(acme):
    growth = next(center for center in list_cost_centers(tenant_id=acme.id) if center.code == "growth")
    child, _ = create_cost_center(CostCenterTerms(code="child", parent_id=growth.id), **own(acme))
    rule = map_to("growth", CHAT, tenant=acme)
    with pytest.raises(MappingRefused) as refused:
        retire_cost_center(center_id=growth.id, **own(acme))
    assert [problem.code for problem in refused.value.problems] == ["has_children", "named_by_rules"]
    retire_cost_center(center_id=child.id, **own(acme))
    end_rule(NOW.date(), rule_id=rule.id, **own(acme))
    assert retire_cost_center(center_id=growth.id, **own(acme)).retired_at == NOW
    with pytest.raises(CostCenterUnknown):
        get_cost_center(tenant_id=acme.id, center_id=growth.id)
    _, is_new = create_cost_center(CostCenterTerms(code="growth"), **own(acme))
    assert is_new


def test_a_cost_centre_of_acme_is_none_of_globex(acme):
    (center,) = make_centers(acme, "research")
    globex = make_tenant("globex")
    assert list_cost_centers(tenant_id=globex.id) == []
    with pytest.raises(CostCenterUnknown):
        retire_cost_center(center_id=center.id, **own(globex))
    with pytest.raises(MappingRefused) as refused:
        create_cost_center(CostCenterTerms(code="x", parent_id=center.id), **own(globex))
    assert refused.value.problems[0].code == "unknown_parent"
