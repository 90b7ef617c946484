"""Settings › Cost centres and Mapping rules: who is charged, what is unallocated by day, rules tried and booked."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from billing.core.mapping_terms import CostCenterTerms
from billing.cost_centers import create_cost_center, list_cost_centers
from billing.mapping import list_rules
from billing.reratings import list_jobs, work_job
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
TODAY = NOW.date().isoformat()
RULES, CENTERS = "/settings/mapping-rules", "/settings/cost-centers"
RULE = {"feature": "chat, Search", "cost_center": "growth", "act": "add"}


@pytest.fixture
def acme():
    """Today in production: 2 calls of chat and 1 of mail that name no cost centre, 1 that names *own*; 0.00475 each."""
    publish_test_rates()
    acme = make_tenant("acme")
    calls = [{"feature": "chat"}, {"feature": "chat"}, {"feature": "mail"}, {"feature": "x", "cost_center": "own"}]
    book(acme, *[{"time": NOW, "cost_center": ""} | call for call in calls])
    return acme


@pytest.fixture
def owner(acme):
    return sign_in(acme, role="owner")


def make_center(tenant, code="growth", **fields):
    own = {"tenant_id": tenant.id, "actor": "person 7", "now": NOW}
    return create_cost_center(CostCenterTerms(code=code, **fields), **own)[0]


def test_cost_centres_stand_below_their_parents_with_what_they_cost_and_unallocated_first(acme, owner):
    growth = make_center(acme, name="Growth", owner="Mia Wolf", gl_account="6420")
    make_center(acme, "own", name="Own things", parent_id=growth.id)
    _, table = read_tables(get_page(owner, CENTERS))
    assert table == [
        ["Cost centre", "Owner", "GL account", "Calls", "With those below", "Cost"],
        ["Unallocated", "–", "–", "3", "–", "0.0142"],
        ["Growth growth", "Mia Wolf", "6420", "0", "0.00475", "0.00"],
        ["Own things own", "–", "–", "1", "–", "0.00475"],
        ["Total", "", "", "4", "", "0.0190"],
    ]


def test_what_is_unallocated_is_told_by_day(acme, owner):
    days, _ = read_tables(get_page(owner, CENTERS))
    assert days[0] == ["Day", "Unallocated", "Share", "Total"]
    assert len(days) == 31
    assert days[-1][1:] == ["0.0142", "75.0 %", "0.0190"]


def test_a_code_that_nobody_registered_is_told_and_leads_to_the_form(acme, owner):
    page = get_page(owner, CENTERS)
    assert "not registered" in page
    href = re.search(r'href="([^"]*code=own)#new"', page)[1]
    assert re.search(r'name="code"[^>]*value="own"', get_page(owner, href))


def test_a_cost_centre_is_made_changed_and_retired(acme, owner):
    answer = owner.post(
        CENTERS, {"code": "growth", "name": "Growth", "owner": "Mia", "gl_account": "6420", "parent": ""}
    )
    assert answer.status_code == 302
    (center,) = list_cost_centers(tenant_id=acme.id)
    assert (center.name, center.owner, center.gl_account) == ("Growth", "Mia", "6420")
    path = f"{CENTERS}/{center.id}"
    assert 'value="6420"' in get_page(owner, path)
    assert owner.post(path, {"name": "Growth", "owner": "Noor", "act": "change"}).status_code == 302
    assert list_cost_centers(tenant_id=acme.id)[0].owner == "Noor"
    assert owner.post(path, {"act": "retire"}).status_code == 302
    assert list_cost_centers(tenant_id=acme.id) == []


def test_what_is_wrong_with_a_cost_centre_is_said_beside_its_field_and_what_was_typed_stays(acme, owner):
    make_center(acme)
    answer = owner.post(CENTERS, {"code": "growth", "name": "Again"})
    assert answer.status_code == 422
    assert "▲ is that of another cost centre" in answer.content.decode()
    assert 'value="Again"' in answer.content.decode()


def test_a_circle_is_refused_on_the_page_with_the_way_round(acme, owner):
    top = make_center(acme, "top")
    low = make_center(acme, "low", parent_id=top.id)
    answer = owner.post(f"{CENTERS}/{top.id}", {"parent": low.id, "act": "change"})
    assert answer.status_code == 422
    assert "top → low → top" in answer.content.decode()


def test_a_rule_is_tried_and_nothing_is_kept(acme, owner):
    make_center(acme)
    answer = owner.post(RULES, RULE | {"act": "try"})
    assert answer.status_code == 200
    taken, left, *_ = read_tables(answer.content.decode())
    assert taken[1:] == [["the rule of the form", "growth", "2", "0.00950"], ["Stays unallocated", "", "1", "0.00475"]]
    assert left[1][0] == "mail"
    assert 'value="chat, Search"' in answer.content.decode()
    assert list_rules(tenant_id=acme.id) == []


def test_rules_are_added_moved_and_ended(acme, owner):
    make_center(acme)
    assert owner.post(RULES, RULE).status_code == 302
    tag = {"tag_name": "team", "tag": "web", "cost_center": "growth", "act": "add"}
    assert owner.post(RULES, tag).status_code == 302
    (table, *_) = read_tables(get_page(owner, RULES))
    assert [row[1].split(" rule ")[0] for row in table[1:]] == ["feature chat or Search", "tag team = web"]
    first, second = list_rules(tenant_id=acme.id)
    assert owner.post(RULES, {"act": "move", "rule": second.id, "place": 1}).status_code == 302
    assert [rule.id for rule in list_rules(tenant_id=acme.id)] == [second.id, first.id]
    assert owner.post(RULES, {"act": "end", "rule": first.id, "valid_to": TODAY}).status_code == 302
    assert "ended" in get_page(owner, RULES)
    refused = owner.post(RULES, {"act": "end", "rule": first.id, "valid_to": "2199-01-01"})
    assert refused.status_code == 422
    assert "add another rule from then on" in refused.content.decode()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"feature": ""}, "a rule without a condition would take everything"),
        ({"cost_center": "nobody"}, "is no cost centre&#x27;s code"),
        ({"feature": "--"}, "holds nothing that is compared"),
        ({"tag": "x"}, "holds nothing that is compared"),
        ({"place": "first"}, "is a whole number"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said_on_its_form(acme, owner, changes, told):
    make_center(acme)
    answer = owner.post(RULES, RULE | changes)
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert list_rules(tenant_id=acme.id) == []


def test_the_past_is_re_allocated_with_a_reason_and_its_progress_is_told(acme, owner):
    make_center(acme)
    owner.post(RULES, RULE)
    asked = {"act": "reallocate", "first": TODAY, "last": TODAY, "reason": "The rules came late"}
    assert owner.post(RULES, asked | {"reason": ""}).status_code == 422
    started = owner.post(RULES, asked)
    (job,) = list_jobs(tenant_id=acme.id)
    assert started["Location"] == f"/settings/re-allocations/{job.id}"
    assert owner.post(RULES, asked)["Location"] == started["Location"]
    owner.post(started["Location"], {"step": "pause"})
    assert "Go on" in get_page(owner, started["Location"])
    owner.post(started["Location"], {"step": "resume"})
    while work_job(job.id, now=datetime.now(UTC)):
        pass
    page = get_page(owner, started["Location"])
    assert "3 looked at" in page
    assert "The rules came late" in page
    _, table = read_tables(get_page(owner, CENTERS))
    assert [row[:1] + row[3:4] for row in table[1:3]] == [["Unallocated", "1"], ["growth", "2"]]


def test_a_viewer_reads_and_changes_nothing(acme):
    make_center(acme)
    viewer = sign_in(acme, role="viewer")
    for path in (RULES, f"{RULES}?trial=1", CENTERS):
        page = get_page(viewer, path)
        assert 'action="/settings' not in page
    for path, body in ((RULES, RULE), (CENTERS, {"code": "x"})):
        assert viewer.post(path, body).status_code == 404
    assert list_rules(tenant_id=acme.id) == []


def test_what_is_acmes_is_not_globexs(acme, owner):
    center = make_center(acme)
    owner.post(RULES, RULE)
    owner.post(RULES, {"act": "reallocate", "first": TODAY, "last": TODAY, "reason": "late"})
    (job,), (rule,) = list_jobs(tenant_id=acme.id), list_rules(tenant_id=acme.id)
    stranger = sign_in(make_tenant("globex"), role="owner")
    assert stranger.get(f"{CENTERS}/{center.id}").status_code == 404
    assert stranger.get(f"/settings/re-allocations/{job.id}").status_code == 404
    assert stranger.post(f"/settings/re-allocations/{job.id}", {"step": "cancel"}).status_code == 404
    assert stranger.post(RULES, {"act": "end", "rule": rule.id, "valid_to": TODAY}).status_code == 404
    (_, table), page = read_tables(get_page(stranger, CENTERS)), get_page(stranger, RULES)
    assert [row[0] for row in table] == ["Cost centre", "Unallocated", "Total"]
    assert "There is none yet" in page


def test_a_form_of_nonsense_is_a_bad_request(acme, owner):
    assert owner.post(RULES, {"act": "forget"}).status_code == 400
    assert owner.post(RULES, {"act": "move", "rule": "x", "place": "1"}).status_code == 400
    days = {"act": "reallocate", "first": "soon", "last": TODAY, "reason": "late"}
    assert owner.post(RULES, days).status_code == 422
    far = {"act": "reallocate", "first": (NOW + timedelta(days=9)).date().isoformat(), "last": TODAY, "reason": "late"}
    assert owner.post(RULES, far).status_code == 422
