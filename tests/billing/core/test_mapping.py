"""Which rule gives a call its cost centre: flexible matching, order and dates, and how rules are written down."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.core import mapping
from billing.core.mapping import MappingBook, MappingRule, Term, fold
from billing.core.mapping_terms import (
    CostCenterTerms,
    MappingRefused,
    RuleTerms,
    describe_terms,
    find_way_round,
    read_cost_center,
    read_day,
    read_rule,
    write_cost_center,
)

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def make_rule(rule_id, *terms, to="growth", begins=None, ends=None):
    return MappingRule(rule_id, terms, to, begins, ends)


def find(rules, *, at=NOON, key="k1", feature="", user_ref="", tags=None):
    rule = MappingBook(rules).find(time=at, key=key, feature=feature, user_ref=user_ref, tags=tags or {})
    return rule and rule.id


# --- flexible matching ---


@pytest.mark.parametrize(
    "spelling", ["Search Assist", "search_assist", "SEARCH-ASSIST", " searchassist ", "se-arch_assist"]
)
def test_case_spaces_underscores_and_hyphens_make_no_difference_to_a_feature(spelling):
    assert find([make_rule(1, Term("feature", ("search assist",)))], feature=spelling) == 1
    assert find([make_rule(1, Term("feature", (spelling,)))], feature="search_assist") == 1


def test_another_letter_is_another_feature():
    assert find([make_rule(1, Term("feature", ("search",)))], feature="search2") is None
    assert find([make_rule(1, Term("feature", ("search",)))], feature="") is None


def test_a_tag_is_matched_by_name_and_value_flexibly():
    rules = [make_rule(1, Term("tag", ("Data Science",), "cost-owner"))]
    assert find(rules, tags={"Cost_Owner": "data-science"}) == 1
    assert find(rules, tags={"cost_owner": "data"}) is None
    assert find(rules, tags={"owner": "data-science"}) is None
    assert find(rules) is None


def test_of_two_tags_that_are_one_name_either_is_enough():
    rules = [make_rule(1, Term("tag", ("ml",), "team"))]
    assert find(rules, tags={"Team": "web", "team": "ML"}) == 1


def test_keys_and_users_are_references_and_are_compared_as_they_are():
    assert find([make_rule(1, Term("key", ("Kx_1",)))], key="Kx_1") == 1
    assert find([make_rule(1, Term("key", ("Kx_1",)))], key="kx1") is None
    assert find([make_rule(1, Term("user", ("u_aB-",)))], user_ref="u_aB-") == 1
    assert find([make_rule(1, Term("user", ("u_aB-",)))], user_ref="u_ab") is None


def test_all_conditions_of_a_rule_must_hold_and_one_value_of_each():
    rules = [make_rule(1, Term("feature", ("chat", "search")), Term("key", ("k1",)))]
    assert find(rules, feature="search") == 1
    assert find(rules, feature="search", key="k2") is None
    assert find(rules, feature="mail") is None


# --- order and dates ---


def test_the_first_rule_that_matches_decides():
    rules = [make_rule(7, Term("feature", ("chat",))), make_rule(3, Term("key", ("k1",)))]
    assert find(rules, feature="chat") == 7
    assert find(rules[::-1], feature="chat") == 3
    assert find(rules, feature="mail") == 3


def test_a_rule_holds_from_its_first_day_to_the_day_before_its_last_of_utc():
    rules = [make_rule(1, Term("feature", ("chat",)), begins=date(2026, 11, 1), ends=date(2026, 11, 22))]
    first, last = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 21, 23, 59, 59, 999999, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    assert [find(rules, feature="chat", at=at) for at in (first - tick, first, last, last + tick)] == [None, 1, 1, None]


def test_a_rule_that_ended_lets_the_next_one_decide():
    rules = [
        make_rule(1, Term("feature", ("chat",)), ends=date(2026, 11, 22)),
        make_rule(2, Term("feature", ("chat",)), to="sales", begins=date(2026, 11, 22)),
    ]
    assert find(rules, feature="chat", at=NOON - timedelta(days=1)) == 1
    assert find(rules, feature="chat", at=NOON) == 2


def test_a_rule_that_ends_on_the_day_it_begins_matches_nothing():
    rules = [make_rule(1, Term("feature", ("chat",)), begins=date(2026, 11, 22), ends=date(2026, 11, 22))]
    assert find(rules, feature="chat") is None


def test_no_rule_is_no_book():
    assert not MappingBook([])
    assert find([]) is None


# --- against the plain definition, whatever is asked ---

LETTERS = st.text("aB _-ß", min_size=0, max_size=4)
DAYS = st.none() | st.dates(date(2026, 11, 20), date(2026, 11, 25))
TERMS = st.one_of(
    st.builds(Term, st.sampled_from(("key", "feature", "user")), st.tuples(LETTERS.filter(fold), LETTERS.filter(fold))),
    st.builds(Term, st.just("tag"), st.tuples(LETTERS), LETTERS.filter(fold)),
)
RULES = st.builds(
    MappingRule, st.integers(1, 9), st.lists(TERMS, min_size=1, max_size=2).map(tuple), LETTERS, DAYS, DAYS
)
CALLS = st.fixed_dictionaries(
    {
        "time": st.datetimes(datetime(2026, 11, 19), datetime(2026, 11, 26), timezones=st.just(UTC)),
        "key": LETTERS,
        "feature": LETTERS,
        "user_ref": LETTERS,
        "tags": st.dictionaries(LETTERS, LETTERS, max_size=3),
    }
)


def find_plainly(rules, call):
    """The definition, read aloud."""
    day = call["time"].date()
    for rule in rules:
        is_in_force = (rule.valid_from or date.min) <= day < (rule.valid_to or date.max)
        if is_in_force and all(holds_plainly(term, call) for term in rule.terms):
            return rule
    return None


def holds_plainly(term, call):
    if term.dimension == "tag":
        return any(
            fold(name) == fold(term.name) and fold(value) in map(fold, term.values)
            for name, value in call["tags"].items()
        )
    if term.dimension == "feature":
        return fold(call["feature"]) in map(fold, term.values)
    return call[{"key": "key", "user": "user_ref"}[term.dimension]] in term.values


@given(st.lists(RULES, max_size=4), st.lists(CALLS, min_size=1, max_size=6))
def test_the_compiled_book_answers_what_the_definition_says_also_the_second_time(rules, calls):
    book = MappingBook(rules)
    for call in calls + calls:
        assert book.find(**call) == find_plainly(rules, call)


@given(st.text())
def test_folding_twice_is_folding_once(text):
    assert fold(fold(text)) == fold(text)


@given(st.text(), st.sampled_from((" ", "_", "-", "\t")), st.integers(0, 9))
def test_what_is_left_out_may_stand_anywhere(text, ignored, place):
    assert fold(text[:place] + ignored + text[place:]) == fold(text)


def test_what_is_remembered_stays_within_its_bound(monkeypatch):
    monkeypatch.setattr(mapping, "FACTS_MAX", 4)
    book = MappingBook([make_rule(1, Term("feature", ("f7",)))])
    found = [book.find(time=NOON, key="k1", feature=f"f{n}", user_ref="", tags={}) for n in range(20)]
    assert [rule.id for rule in found if rule] == [1]
    assert len(book._memo) <= 4


def test_users_whom_no_rule_names_share_one_memory():
    book = MappingBook([make_rule(1, Term("user", ("u_1",)))])
    for number in range(100):
        book.find(time=NOON, key="k1", feature="", user_ref=f"u_{number}", tags={"trace": str(number)})
    assert len(book._memo) == 2


# --- how they are written down ---

RULE = {"terms": [{"dimension": "feature", "values": ["chat"]}], "cost_center": "growth"}


def test_a_rule_is_read_with_everything_that_it_says():
    document = RULE | {"valid_from": "2026-11-01", "valid_to": None, "place": 2}
    assert read_rule(document) == RuleTerms(
        terms=(Term("feature", ("chat",)),), cost_center="growth", valid_from=date(2026, 11, 1), place=2
    )


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"terms": []}, "terms", "wrong_value"),
        ({"terms": [{"dimension": "model", "values": ["x"]}]}, "terms.0.dimension", "wrong_value"),
        ({"terms": [{"dimension": "feature", "values": []}]}, "terms.0.values", "wrong_value"),
        ({"terms": [{"dimension": "feature", "values": [7]}]}, "terms.0.values.0", "wrong_type"),
        ({"terms": [{"dimension": "feature", "values": ["-_ "]}]}, "terms.0.values.0", "wrong_value"),
        ({"terms": [{"dimension": "feature", "values": ["x"], "name": "y"}]}, "terms.0.name", "not_together"),
        ({"terms": [{"dimension": "tag", "values": ["x"]}]}, "terms.0.name", "wrong_type"),
        ({"terms": ["feature"]}, "terms.0", "wrong_type"),
        ({"cost_center": ""}, "cost_center", "wrong_value"),
        ({"cost_center": " growth"}, "cost_center", "wrong_value"),
        ({"cost_center": "a\nb"}, "cost_center", "invalid_text"),
        ({"valid_from": "2026-13-01"}, "valid_from", "wrong_value"),
        ({"valid_to": "2026-W01-1"}, "valid_to", "wrong_value"),
        ({"place": 0}, "place", "wrong_value"),
        ({"place": True}, "place", "wrong_value"),
        ({"environment": "production"}, "environment", "unknown_field"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_at_its_field(changes, field, code):
    with pytest.raises(MappingRefused) as refused:
        read_rule(RULE | changes)
    assert [(problem.field, problem.code) for problem in refused.value.problems] == [(field, code)]


def test_the_day_on_which_a_rule_ends_is_all_that_is_sent_to_end_it():
    assert read_day({"valid_to": "2026-12-01"}, "valid_to") == date(2026, 12, 1)
    for document in ({}, [], {"valid_to": None}, {"valid_to": "soon"}, {"valid_to": "2026-12-01", "place": 1}):
        with pytest.raises(MappingRefused):
            read_day(document, "valid_to")


def test_a_cost_centre_is_written_as_it_is_read():
    terms = CostCenterTerms(code="growth", name="Growth", owner="Mia Wolf", gl_account="6420", parent_id=3)
    assert read_cost_center(write_cost_center(terms)) == terms
    assert read_cost_center({"code": "growth"}) == CostCenterTerms(code="growth")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"code": ""}, "code"),
        ({"name": 7}, "name"),
        ({"parent": "x"}, "parent"),
        ({"parent": 0}, "parent"),
        ({"id": 1}, "id"),
    ],
)
def test_what_is_wrong_with_a_cost_centre_is_said_at_its_field(changes, field):
    with pytest.raises(MappingRefused) as refused:
        read_cost_center({"code": "growth"} | changes)
    assert [problem.field for problem in refused.value.problems] == [field]


def test_conditions_are_told_in_words():
    terms = (Term("feature", ("chat", "search")), Term("tag", ("growth",), "team"), Term("key", ("k1",)))
    assert describe_terms(terms) == "feature chat or search, tag team = growth, API key k1"


@pytest.mark.parametrize(
    ("parents", "child", "parent", "way"),
    [
        ({1: None, 2: 1, 3: 2}, 1, 3, [1, 3, 2, 1]),
        ({1: None, 2: 1}, 1, 1, [1, 1]),
        ({1: None, 2: 1, 3: None}, 2, 3, []),
        ({1: 2, 2: 1, 3: None}, 3, 1, []),  # a circle elsewhere ends the search and is not this one's
    ],
)
def test_the_way_round_is_named_from_the_child_up_to_itself(parents, child, parent, way):
    assert find_way_round(parents, child=child, parent=parent) == way
