"""The pages of alerts: the inbox, an episode, the channels with a secret shown once, and what was sent."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test.utils import CaptureQueriesContext
from msgspec import structs

from alerts.channels import create_channel, list_channels
from alerts.core.channels import read_terms
from alerts.core.facts import Expected, Facts, Figure, Mover, Part, Point
from alerts.deliveries import claim_tenants_deliveries, finish_delivery
from alerts.episodes import open_alert, resolve_alert
from alerts.inbox import get_alert, list_deliveries
from alerts.senders import Outcome
from alerts.senders.outgoing import make_link as make_message_link
from dashboards.frame import make_link
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 12, 9, 22, tzinfo=UTC)
HOOK = {"name": "Pipeline", "kind": "webhook", "settings": {"url": "https://hooks.acme.example/very/secret"}}
HOURS = tuple(
    Point(
        at=NOW.replace(hour=hour, minute=0), actual=Decimal(actual), low=Decimal(20), middle=Decimal(30),
        high=Decimal(45),
    )
    for hour, actual in ((7, "27.25"), (8, "40.12"), (9, "118.33"))
)  # fmt: skip
FACTS = Facts(
    sentence="Support spent $185.70 where $90.00 was expected.",
    figures=(Figure("Spent", "$185.70"),),
    start=NOW.replace(hour=7, minute=0),
    end=NOW.replace(hour=10, minute=0),
    expected=Expected(Decimal(60), Decimal(90), Decimal(135), Decimal("185.70")),
    points=HOURS,
    movers=(
        Mover("user", "ann", Decimal("30"), Decimal("110.70"), "retry loop"),
        Mover("user", "", Decimal(60), Decimal(75)),
    ),
    parts=(Part("volume", Decimal("95.70"), "7 times the calls"),),
)  # fmt: skip


@pytest.fixture
def acme(db):
    return make_tenant("acme")


@pytest.fixture
def owner(acme):
    return sign_in(acme, role="owner")


def open_one(tenant, **fields):
    given = {
        "rule": "hourly_spike", "scope": {"feature": "chat"}, "episode": "1", "severity": "high",
        "title": "Chat cost 2.1 times its usual Thursday", "facts": FACTS, "impact": Decimal("95.70"), "now": NOW,
    }  # fmt: skip
    return open_alert(tenant_id=tenant.id, **(given | fields))


def add_hook(tenant, **fields):
    return create_channel(read_terms(HOOK | fields), tenant_id=tenant.id, actor="person 1", now=NOW)[0]


def test_an_empty_inbox_says_why_and_what_to_do(owner):
    page = get_page(owner, "/alerts")
    assert "No rule has found anything yet." in page and "New budget" in page


def test_the_inbox_has_the_worst_first_and_the_navigation_says_how_many_wait(owner, acme):
    open_one(acme, title="Less", severity="warning", episode="2", now=NOW + timedelta(hours=1))
    open_one(acme, title="Worst", severity="critical", episode="3")
    open_one(acme, title="High")
    page = get_page(owner, "/alerts")
    (table,) = read_tables(page)
    assert [row[0].split("Hourly")[0].strip() for row in table[1:]] == ["Worst", "High", "Less"]
    assert "<b>3</b> alerts wait for somebody, <b>2</b> of them high or critical" in page
    assert '<b>3<span class="hidden-text"> open</span></b>' in get_page(owner, "/budgets")


def test_thresholds_that_one_alert_tells_stand_in_its_history(owner, acme):
    alert_id = open_one(acme, rule="budget", noted={"thresholds": "50 80 100"})
    page = get_page(owner, f"/alerts/{alert_id}")
    assert "<b>Opened</b>: it reached 50, 80 and 100 percent of its limit at once" in page


def test_the_overview_says_what_waits_where_something_was_booked(owner, acme):
    publish_test_rates()
    book(acme, {"feature": "chat", "time": datetime.now(UTC)})
    assert "for somebody.</b>" not in get_page(owner, "/")
    open_one(acme)
    assert "<b>1 alert waits for somebody.</b>" in get_page(owner, "/")


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("severity=critical", ["Worst"]),
        ("q=hig", ["High"]),
        ("state=resolved", []),
        ("rule=hourly_spike&state=open", 2),
    ],
)
def test_the_inbox_is_filtered_by_its_address(owner, acme, query, titles):
    open_one(acme, title="Worst", severity="critical", episode="3")
    open_one(acme, title="High")
    page = get_page(owner, f"/alerts?{query}")
    tables = read_tables(page)
    found = [row[0].split("Hourly")[0].strip() for row in tables[0][1:]] if tables else []
    assert (len(found) if isinstance(titles, int) else found) == titles
    assert found or "No alert fits." in page


def test_what_is_lately_over_stands_below_what_waits_unless_something_else_is_asked_for(owner, acme):
    now = datetime.now(UTC)
    for number, days in enumerate((1, 20)):
        alert_id = open_one(acme, title=f"Over for {days}", episode=str(number), now=now - timedelta(days=days))
        resolve_alert(tenant_id=acme.id, alert_id=alert_id, now=now)
    page = get_page(owner, "/alerts")
    [table] = read_tables(page)
    assert len(table) == 2 and table[1][0].startswith("Over for 1") and "1 alert that is over" in page
    assert "Lately over" not in get_page(owner, "/alerts?state=open")


def test_an_episode_whose_movers_come_to_nothing_has_a_page_without_a_factor(owner, acme):
    movers = (Mover("user", "ann", Decimal(-3), Decimal(3)), Mover("user", "", Decimal(3), Decimal(-3)))
    alert_id = open_one(acme, facts=structs.replace(FACTS, movers=movers, parts=()), impact=Decimal(0))
    page = get_page(owner, f"/alerts/{alert_id}")
    assert "▲" not in page.partition("<dl")[2].partition("</dl>")[0] and "beyond what was expected" in page


@pytest.mark.parametrize("query", ["state=odd", "severity=odd", "cursor=5", "cursor=x", "q=%00"])
def test_an_address_that_asks_for_nothing_known_is_refused(owner, query):
    assert owner.get(f"/alerts?{query}").status_code == 400


def test_an_episode_shows_what_was_expected_who_moved_and_leads_to_its_rows(owner, acme):
    alert_id = open_one(acme)
    page = get_page(owner, f"/alerts/{alert_id}")
    hours, figures, movers, parts = read_tables(page)
    assert [row[0] for row in hours[1:]] == ["07:00", "08:00", "09:00"]
    assert [row[-1] for row in hours[1:]] == ["within", "within", "▲ above"]
    assert movers[2][0].startswith("ann") and movers[-1][1:4] == ["90.00", "185.70", "+95.70"]
    assert [row[-1] for row in movers[2:4]] == ["84.3 %", "15.7 %"]  # 80.70 and 15.00 of 95.70
    assert "▲ 2.1 times" in page  # 185.70 of 90.00
    assert figures == [["Spent", "$185.70"]]
    assert movers[1] == ["By user"] and movers[-1][0] == "Total" and parts[-1][:2] == ["Impact", "+95.70"]
    assert parts[1] == ["Volume", "+95.70", "7 times the calls"]
    assert "Both tables add up to the impact, <data" in page
    link = re.search(r'href="(/ledger\?[^"]+)"[^>]*>Ledger rows', page)[1].replace("&amp;", "&")
    assert "feature=chat" in link and "from=2026-11-12" in link
    assert owner.get(link).status_code == 200


def test_steps_are_taken_from_both_pages_and_stand_in_the_history_by_name(owner, acme):
    alert_id = open_one(acme)
    here = f"/alerts/{alert_id}"
    assert owner.post("/alerts", {"alert": alert_id, "act": "acknowledge", "comment": "On it."}).status_code == 302
    assert get_alert(tenant_id=acme.id, alert_id=alert_id).state == "acknowledged"
    assert owner.post(here, {"act": "snooze", "hours": "8"}).status_code == 302
    assert owner.post(here, {"act": "feedback", "feedback": "planned", "comment": "Load test"}).status_code == 302
    answer = owner.post(here, {"act": "resolve"}, follow=True)
    page = answer.content.decode()
    assert "Resolved, and told where it was told that it began." in page
    for shown in ("Acknowledged</b> by owner-", "“On it.”", "Snoozed</b> by", "Judged</b> by", "1 planned, 0 wrong"):
        assert shown in page, shown
    late = owner.post(here, {"act": "acknowledge"}, follow=True).content.decode()
    assert "It was resolved meanwhile" in late


@pytest.mark.parametrize(
    "form", [{"act": "odd"}, {"act": "snooze", "hours": "9999"}, {"act": "feedback", "feedback": "maybe"},
             {"act": "resolve", "comment": "x" * 2001}],
)  # fmt: skip
def test_a_step_that_no_form_of_ours_sends_is_refused(owner, acme, form):
    assert owner.post(f"/alerts/{open_one(acme)}", form).status_code == 400


def test_a_viewer_reads_and_changes_nothing(acme):
    alert_id, viewer = open_one(acme), sign_in(acme)
    channel = add_hook(acme)
    for path in ("/alerts", f"/alerts/{alert_id}", "/alerts/channels", "/alerts/deliveries"):
        page = get_page(viewer, path)
        assert 'name="act"' not in page and "Send test" not in page
    assert viewer.post(f"/alerts/{alert_id}", {"act": "resolve"}).status_code == 403
    assert viewer.post("/alerts/channels", {"channel": channel.id}).status_code == 403
    for path in ("/alerts/channels/new", f"/alerts/channels/{channel.id}"):
        assert viewer.get(path).status_code == 403


def test_another_tenants_alert_and_channel_are_not_found(acme):
    globex = sign_in(make_tenant("globex"), role="owner")
    alert_id, channel = open_one(acme), add_hook(acme)
    assert globex.get(f"/alerts/{alert_id}").status_code == 404
    assert globex.post(f"/alerts/{alert_id}", {"act": "resolve"}).status_code == 404
    assert globex.get(f"/alerts/channels/{channel.id}").status_code == 404
    assert globex.post("/alerts/channels", {"channel": channel.id}).status_code == 404


FORM = {
    "name": "Pipeline", "target": "https://hooks.acme.example/very/secret", "severity_min": "high", "enabled": "on",
    "quiet_from": "22:00", "quiet_to": "07:00",
}  # fmt: skip


def test_a_webhook_is_made_and_its_secret_is_the_answers_alone(owner, acme):
    made = owner.post("/alerts/channels/new?kind=webhook", FORM | {"act": "change"})
    (secret,) = re.findall(r'class="mono secret">(whsec_[^<]+)<', made.content.decode())
    assert made["Cache-Control"] == "private, no-store" or "no-store" in made["Cache-Control"]
    (channel,) = list_channels(tenant_id=acme.id)
    assert (channel.name, channel.severity_min, f"{channel.quiet_from:%H:%M}") == ("Pipeline", "high", "22:00")
    for path in ("/alerts/channels", f"/alerts/channels/{channel.id}", "/ledger?period=any"):
        page = get_page(owner, path)
        assert secret not in page and "very/secret" not in page
    rotated = owner.post(f"/alerts/channels/{channel.id}", FORM | {"act": "rotate"}).content.decode()
    assert "whsec_" in rotated and secret not in rotated


def test_a_wrong_form_says_all_of_it_at_its_fields_and_keeps_what_was_typed(owner, acme):
    answer = owner.post("/alerts/channels/new?kind=webhook", FORM | {"target": "http://10.0.0.1/", "quiet_to": "late"})
    page = answer.content.decode()
    assert answer.status_code == 422 and list_channels(tenant_id=acme.id) == []
    assert page.count('aria-invalid="true"') == 2
    assert 'value="http://10.0.0.1/"' in page and "begins with https://" in page


def test_a_change_keeps_where_it_leads_and_removal_ends_it(owner, acme):
    channel = add_hook(acme, scope={"user": "ann", "feature": "chat"})
    form = FORM | {"name": "Renamed", "target": "", "act": "change", "feature": "search"}
    assert owner.post(f"/alerts/channels/{channel.id}", form).status_code == 302
    (changed,) = list_channels(tenant_id=acme.id)
    assert (changed.name, changed.target, changed.scope) == (
        "Renamed", "hooks.acme.example", {"user": "ann", "feature": "search"},
    )  # fmt: skip
    assert owner.post(f"/alerts/channels/{channel.id}", form | {"act": "remove"}).status_code == 302
    assert list_channels(tenant_id=acme.id) == []


def test_a_test_is_queued_and_a_dead_delivery_is_tried_again(owner, acme):
    channel = add_hook(acme)
    answer = owner.post("/alerts/channels", {"channel": channel.id}, follow=True)
    assert "A test is on its way." in answer.content.decode()
    now = datetime.now(UTC) + timedelta(minutes=1)
    (claim,) = claim_tenants_deliveries(tenant_id=acme.id, now=now, limit=5)
    finish_delivery(claim, Outcome("refused", 410, "gone"), begun=now, now=now)
    page = get_page(owner, "/alerts/deliveries?state=dead")
    assert "✕ given up: 410 gone" in page and "1</b> message was given up" in page
    again = owner.post("/alerts/deliveries", {"delivery": str(claim.delivery_id)}, follow=True)
    assert "It is tried again, under the same id." in again.content.decode()
    assert list_deliveries(tenant_id=acme.id)[0].state == "waiting"
    gone = owner.post("/alerts/deliveries", {"delivery": str(claim.delivery_id)}, follow=True)
    assert "Nothing was changed." in gone.content.decode()
    assert owner.post("/alerts/deliveries", {"delivery": "x"}).status_code == 400


def test_messages_lead_to_the_pages_that_there_are(acme, settings):
    settings.PUBLIC_URL = ""
    alert_id = open_one(acme)
    add_hook(acme)
    from alerts.core.messages import Message

    message = Message(kind="opened", tenant=acme.slug, tenant_name="", happened_at=NOW, title="", alert_id=alert_id)
    assert make_message_link(message) == make_link("alert", {"tenant": acme.slug}, alert_id)
    digest = Message(kind="digest", tenant=acme.slug, tenant_name="", happened_at=NOW, title="")
    assert make_message_link(digest) == make_link("alerts", {"tenant": acme.slug})


@pytest.mark.parametrize("path", ["/alerts", "/alerts/channels", "/alerts/deliveries"])
def test_a_page_asks_as_often_for_much_as_for_little(owner, acme, path):
    from django.db import connection

    def count():
        with CaptureQueriesContext(connection) as asked:
            get_page(owner, path)
        return len(asked)

    add_hook(acme)
    open_one(acme)
    few = count()
    for number in range(20):
        add_hook(acme, name=f"hook {number}")
        open_one(acme, episode=f"more {number}")
    assert count() == few
