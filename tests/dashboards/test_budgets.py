"""The pages of budgets: how each stands, its course, the form with every problem at once, and the trial on the past."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test.utils import CaptureQueriesContext

from alerts.budgets import list_budgets
from alerts.core.budgets import Action, RequestLimits
from alerts.decisions import count_decision
from alerts.evaluation import evaluate_budgets
from billing.rollups import apply_batches
from tenants.scope import tenant_scope
from tests.alerts.budgets import CHAT, create
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_tables, read_workbook, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")
MADE = datetime(2026, 1, 1, tzinfo=UTC)
NOTIFY = (Action(50, "actual", "notify"), Action(100, "actual", "notify"))
FORM = {
    "name": "Chat", "amount": "$3,000.00", "window": "month", "scope_feature": "chat", "owner": "", "parent": "",
    "action_percent": ["80", "100 %", ""], "action_on": ["actual"] * 3, "action_do": ["notify", "throttle", "notify"],
    "action_model": ["", "", ""], "input_tokens": "32,000", "output_tokens": "", "cost": "1.00",
}  # fmt: skip


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def owner(acme):
    return sign_in(acme, role="owner")


def spend(tenant, calls, *, days_ago=0, **fields):
    """Calls of 0.00475 USD each."""
    time = datetime.now(UTC) - timedelta(days=days_ago)
    book(tenant, *({"time": time, "feature": "chat"} | fields for _ in range(calls)))
    while apply_batches(now=datetime.now(UTC)):
        pass


def make_budgets(tenant):
    """Everything for 1 USD a month, of which 0.019 is spent, and chat for 0.01 a day, which is used up."""
    spend(tenant, 4)
    values = {"per_request": CHAT.per_request, "rollover": False, "now": MADE, "actions": NOTIFY}
    everything = create(tenant, CHAT, name="Everything", scope={}, amount=Decimal(1), **values)
    chat = create(
        tenant, CHAT, name="Chat a day", window="day", amount=Decimal("0.01"), parent_id=everything.id, **values
    )
    return everything, chat


def test_without_a_budget_the_page_says_how_one_is_made(owner, acme):
    page = get_page(owner, "/budgets")
    assert "There is none yet" in page
    assert 'href="/budgets/new"' in page and "/v1/budgets" in page


def test_each_budget_stands_below_its_parent_with_what_was_spent_beside_its_time(acme):
    everything, chat = make_budgets(acme)
    page = get_page(sign_in(acme), "/budgets")
    [table] = read_tables(page)
    names = [row[0] for row in table[1:]]
    assert [name.split("feature")[0].strip()[:10] for name in names] == ["Everything", "Chat a day"]
    assert table[1][1] == "0.0190" and table[2][1] == "0.0190"
    assert (table[1][3], table[2][3]) == ("1 %", "190 %")
    assert "▲ used up" in table[2][6]
    assert "1 below" in table[1][2] and "prorated" in table[1][2]
    assert f'href="/budgets/{chat.id}"' in page
    # The figure leads to its entries: those of today's chat in all environments.
    today = datetime.now(UTC).date()
    assert f"/ledger?environment=all&amp;from={today}&amp;to={today}&amp;feature=chat" in page
    assert "New budget" not in page  # a viewer reads


def test_a_budget_tells_its_course_its_children_its_alerts_and_its_past(acme, owner):
    everything, chat = make_budgets(acme)
    evaluate_budgets(now=datetime.now(UTC))
    page = get_page(owner, f"/budgets/{everything.id}")
    assert "Chat a day" in page and "At this pace" in page
    course = next(table for table in read_tables(page) if table[0][0] == "Day")
    assert course[-1][:3] == ["Total", "0.0190", "0.0190"]
    assert Decimal(course[-2][3]) == Decimal("1.00")  # the even pace ends at the limit
    page = get_page(owner, f"/budgets/{chat.id}")
    assert page.count("Chat a day has spent $0.02 of $0.01") == 1  # 50 % and 100 % at once
    spend(acme, 2, days_ago=3)
    past = next(table for table in read_tables(get_page(owner, f"/budgets/{chat.id}")) if table[0][0] == "Day")
    assert [(row[1], row[3]) for row in past[1:]][-1] == ("0.00950", "95 %")


def test_checks_held_back_are_told_on_the_list_and_by_the_hour_or_day(acme, owner):
    everything, chat = make_budgets(acme)
    with tenant_scope(acme.id):
        for decision in ("allow", "throttle", "throttle", "deny"):
            count_decision(tenant_id=acme.id, budget_id=chat.id, decision=decision)
        count_decision(tenant_id=acme.id, budget_id=everything.id, decision="warn")
    [table] = read_tables(get_page(owner, "/budgets"))
    assert "1 call denied, 2 slowed down" in table[2][6] and "slowed" not in table[1][6]
    html = get_page(owner, f"/budgets/{chat.id}")
    by_hour = next(table for table in read_tables(html) if table[0][0] == "Hour" and table[0][-1] == "Denied")
    assert by_hour[1][1:] == by_hour[-1][1:] == ["1", "0", "2", "1"]
    by_day = read_tables(get_page(owner, f"/budgets/{everything.id}"))
    [checks] = [table for table in by_day if table[0][-1] == "Denied"]
    assert checks[0][0] == "Day" and checks[-1] == ["Total", "0", "1", "0", "0"]


def test_what_is_suggested_stands_beside_the_checks(acme, owner):
    suggests = (Action(40, "actual", "suggest", "luna-mini"), Action(90, "actual", "suggest", "luna-nano"))
    spend(acme, 1)  # 0.00475 of 0.01
    budget = create(acme, CHAT, amount=Decimal("0.01"), rollover=False, now=MADE, actions=suggests)
    text = re.sub(r"<[^>]+>", "", get_page(owner, f"/budgets/{budget.id}"))
    assert "From 40 % on luna-mini is suggested with whatever else is answered: it is now." in text
    assert "From 90 % on luna-nano is suggested with whatever else is answered: not yet." in text
    assert "No caller has asked" in text
    told = create(acme, CHAT, name="Told", per_request=RequestLimits(), rollover=False, now=MADE, actions=NOTIFY)
    assert "It only tells: no call is held back by it." in get_page(owner, f"/budgets/{told.id}")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Everything", "Chat a day"]),
        ("q=FEATURE+chat", ["Chat a day"]),
        ("window=month", ["Everything"]),
        ("state=spent", ["Chat a day"]),
        ("sort=used", ["Chat a day", "Everything"]),
        ("window=year", []),
    ],
)
def test_the_list_is_what_its_address_asks_for_and_its_file_has_just_that(acme, query, names):
    make_budgets(acme)
    client = sign_in(acme)
    html = get_page(client, f"/budgets?{query}")
    rows = [row for table in read_tables(html) for row in table[1:]]
    shown = [next(name for name in ("Everything", "Chat a day") if row[0].startswith(name)) for row in rows]
    assert shown == names and ("No budget fits." in html) == (not names)
    rows = list(csv.DictReader(io.StringIO(client.get(f"/budgets/file?{query}").content.decode())))
    assert [row["budget"] for row in rows] == names
    sheet = read_workbook(client, f"/budgets/file?{query}&format=xlsx")["Figures"]
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == names


def test_a_file_of_budgets_has_every_digit_and_says_what_it_is_of(acme):
    make_budgets(acme)
    client = sign_in(acme)
    row = list(csv.DictReader(io.StringIO(client.get("/budgets/file").content.decode())))[1]
    assert (row["budget"], row["parent"], row["spent"], row["limit"]) == (
        "Chat a day", "Everything", "0.019000000000", "0.010000",
    )  # fmt: skip
    assert (row["used_percent"], row["stands"], row["checks_denied"]) == ("190", "used up", "0")
    about = dict(read_workbook(client, "/budgets/file?state=spent&format=xlsx")["About"].iter_rows(values_only=True))
    assert about["Filters"] == "state=spent" and about["Address"].endswith("/budgets?state=spent")
    assert about["Period"] == "the window that goes on, of each budget"


@pytest.mark.parametrize("query", ["window=decade", "state=odd", "sort=odd", "q=%00"])
def test_an_address_that_asks_for_nothing_known_is_refused(acme, query):
    client = sign_in(acme)
    assert {client.get(f"{path}?{query}").status_code for path in ("/budgets", "/budgets/file")} == {400}


def test_a_budget_is_made_with_a_form(acme, owner):
    assert 'name="action_percent"' in get_page(owner, "/budgets/new")
    answer = owner.post("/budgets/new", FORM | {"act": "save"})
    [budget] = list_budgets(tenant_id=acme.id)
    assert answer["Location"] == f"/budgets/{budget.id}?done=created"
    assert (budget.name, budget.scope, budget.amount, budget.window) == ("Chat", {"feature": "chat"}, 3000, "month")
    assert budget.actions == (Action(80, "actual", "notify"), Action(100, "actual", "throttle"))
    assert (budget.per_request.input_tokens, budget.per_request.cost) == (32_000, 1)
    assert budget.created_by.startswith("person ")
    edited = owner.post(f"/budgets/{budget.id}/edit", FORM | {"act": "save", "amount": "4000", "rollover": "on"})
    assert edited["Location"] == f"/budgets/{budget.id}?done=changed"
    [budget] = list_budgets(tenant_id=acme.id)
    assert (budget.amount, budget.rollover) == (4000, True)
    assert owner.post(f"/budgets/{budget.id}", {"act": "retire"})["Location"] == "/budgets?done=retired"
    assert list_budgets(tenant_id=acme.id) == []
    assert "Retired" in get_page(owner, f"/budgets/{budget.id}")


def test_a_form_that_is_wrong_keeps_its_texts_and_names_every_cure(acme, owner):
    wrong = FORM | {"act": "save", "name": "", "amount": "much", "scope_user": "ada", "scope_key": "k"}
    answer = owner.post("/budgets/new", wrong | {"action_percent": ["eighty", "", ""]})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert page.count('aria-invalid="true"') == 4
    assert "is required" in page and "must be a decimal as text" in page and "does not go with key" in page
    assert 'value="much"' in page and 'value="eighty"' in page and "at_percent must be a whole number" in page
    assert list_budgets(tenant_id=acme.id) == []


def test_a_form_is_tried_on_the_past_and_keeps_nothing(acme, owner):
    for days_ago, calls in ((40, 4), (3, 4), (2, 1)):
        spend(acme, calls, days_ago=days_ago)
    page = owner.post("/budgets/new", FORM | {"act": "try", "window": "day", "amount": "0.012"}).content.decode()
    # Four calls a day cost 0.019: both thresholds of 0.012. One costs 0.00475.
    text = re.sub(r"<[^>]+>", "", page)
    assert "In the last 30 days it would have told 2 times." in text
    assert "In the last 90 days it would have told 4 times." in text
    assert list_budgets(tenant_id=acme.id) == []


def test_a_viewer_makes_changes_and_retires_nothing(acme):
    everything, _ = make_budgets(acme)
    viewer = sign_in(acme, role="viewer")
    assert "Retire" not in get_page(viewer, f"/budgets/{everything.id}")
    for path in ("/budgets/new", f"/budgets/{everything.id}/edit", f"/budgets/{everything.id}"):
        assert viewer.post(path, FORM | {"act": "save"}).status_code == 404


def test_a_parent_is_not_retired_over_its_children(acme, owner):
    everything, _ = make_budgets(acme)
    answer = owner.post(f"/budgets/{everything.id}", {"act": "retire"})
    assert answer.status_code == 422
    assert "is of Chat a day" in answer.content.decode()


def test_another_tenants_budget_is_not_found(acme):
    everything, _ = make_budgets(acme)
    stranger = sign_in(make_tenant("globex"), role="owner")
    for path in (f"/budgets/{everything.id}", f"/budgets/{everything.id}/edit"):
        assert stranger.get(path).status_code == 404


@pytest.mark.parametrize("window", ["hour", "day", "week", "month", "quarter", "year"])
def test_every_window_has_a_page_where_hours_are_not_those_of_utc(window):
    publish_test_rates()
    acme = make_tenant("acme", timezone="Asia/Kolkata", fiscal_month=4)
    spend(acme, 2)
    values = {"scope": {}, "rollover": True, "now": MADE, "actions": NOTIFY}
    budget = create(acme, CHAT, window=window, **values)
    page = get_page(sign_in(acme), f"/budgets/{budget.id}")
    assert ('id="chart"' in page) == (window not in ("hour", "day"))


def test_statements_do_not_grow_with_the_budgets(acme, django_assert_max_num_queries):
    from django.db import connection

    make_budgets(acme)
    client = sign_in(acme)
    with CaptureQueriesContext(connection) as few:
        get_page(client, "/budgets")
    for number in range(8):
        create(acme, CHAT, name=f"Chat {number}", window="day", rollover=False, now=MADE)
    with CaptureQueriesContext(connection) as many:
        get_page(client, "/budgets")
    assert len(many) == len(few)
