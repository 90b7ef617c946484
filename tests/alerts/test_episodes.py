"""An alert is one row an episode, its steps are events, and what is told of it is queued with it or not at all."""

import threading
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import msgspec
import pytest
from django.db import close_old_connections, connection, transaction

from alerts.core.facts import Facts, Figure
from alerts.episodes import (
    AlertStepRefused,
    AlertUnknown,
    acknowledge_alert,
    give_feedback,
    grow_alert,
    list_standing_alerts,
    open_alert,
    resolve_alert,
    snooze_alert,
    wake_alerts,
)
from alerts.models import Alert, AlertDelivery, AlertEvent
from tenants.scope import tenant_scope
from tests.factories import make_tenant

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday
HOUR = timedelta(hours=1)


@pytest.fixture
def acme(db):
    return make_tenant("acme")


ADD_CHANNEL_SQL = """
    INSERT INTO alert_channel (tenant_id, kind, name, target, settings, owner, scope, severity_min, quiet_from,
                               quiet_to, digest_hour, is_enabled, created_by, created_at, changed_at)
    VALUES (%(tenant_id)s, %(kind)s, %(name)s, '', 'x', %(owner)s, %(scope)s, %(severity_min)s, %(quiet_from)s,
            %(quiet_to)s, %(digest_hour)s, %(is_enabled)s, 'person 1', %(now)s, %(now)s)
    RETURNING id"""


def add_channel(tenant, name="hook", **fields):
    values = {
        "kind": "webhook", "owner": "", "scope": "{}", "severity_min": "info", "quiet_from": None, "quiet_to": None,
        "digest_hour": None, "is_enabled": True,
    }  # fmt: skip
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(ADD_CHANNEL_SQL, values | {"tenant_id": tenant.id, "name": name, "now": NOW} | fields)
        return cursor.fetchone()[0]


def open_one(tenant, **fields):
    given = {
        "rule": "budget", "scope": {"feature": "chat"}, "episode": "2026-11/80", "severity": "high",
        "title": "Chat has used 80 % of its budget", "facts": {}, "impact": Decimal("100"), "now": NOW,
    }  # fmt: skip
    return open_alert(tenant_id=tenant.id, **(given | fields))


def list_events(tenant):
    with tenant_scope(tenant.id):
        return list(
            AlertEvent.objects.filter(tenant_id=tenant.id).order_by("id").values_list("event", "actor", "comment")
        )


def list_deliveries(tenant, *names):
    with tenant_scope(tenant.id):
        rows = AlertDelivery.objects.filter(tenant_id=tenant.id).order_by("queued_at", "channel_id", "kind")
        return list(rows.values_list(*(names or ("kind", "channel_id", "state"))))


def get_alert(tenant, alert_id):
    with tenant_scope(tenant.id):
        return Alert.objects.get(tenant_id=tenant.id, id=alert_id)


def mark(tenant, state="delivered", **filters):
    """As if the deliverer had worked the waiting ones."""
    with tenant_scope(tenant.id):
        AlertDelivery.objects.filter(tenant_id=tenant.id, state="waiting", **filters).update(
            state=state, attempt_count=1, finished_at=None if state == "waiting" else NOW
        )


def test_an_episode_opens_once_and_is_told_once(acme):
    channel = add_channel(acme)
    alert_id = open_one(acme)
    assert open_one(acme) is None
    assert open_one(acme, title="The same in other words", impact=Decimal("500")) is None
    assert list_events(acme) == [("opened", "", "")]
    assert list_deliveries(acme) == [("opened", channel, "waiting")]
    alert = get_alert(acme, alert_id)
    assert (alert.state, alert.severity, alert.impact, alert.told_impact) == ("open", "high", 100, 100)
    assert open_one(acme, episode="2026-11/100") and open_one(acme, scope={}) and open_one(acme, rule="other")


def test_an_episode_that_is_resolved_does_not_open_again(acme):
    alert_id = open_one(acme)
    assert resolve_alert(tenant_id=acme.id, alert_id=alert_id, now=NOW + HOUR)
    assert open_one(acme, now=NOW + 2 * HOUR) is None
    assert get_alert(acme, alert_id).state == "resolved"


def test_the_order_of_a_scope_makes_no_other_episode(acme):
    assert open_one(acme, scope={"feature": "chat", "user": "ann"})
    assert open_one(acme, scope={"user": "ann", "feature": "chat"}) is None


def test_another_tenants_alert_is_unknown_and_its_episode_is_its_own(acme):
    globex = make_tenant("globex")
    alert_id = open_one(acme)
    assert open_one(globex)
    for step in (
        lambda: acknowledge_alert(tenant_id=globex.id, alert_id=alert_id, actor="person 2", now=NOW),
        lambda: resolve_alert(tenant_id=globex.id, alert_id=alert_id, now=NOW),
        lambda: grow_alert(tenant_id=globex.id, alert_id=alert_id, impact=Decimal("1"), now=NOW),
        lambda: give_feedback(tenant_id=globex.id, alert_id=alert_id, feedback="real", actor="person 2", now=NOW),
    ):
        with pytest.raises(AlertUnknown):
            step()
    assert get_alert(acme, alert_id).state == "open"


def test_a_transaction_that_fails_leaves_no_alert_and_nothing_to_tell(acme):
    add_channel(acme)
    with pytest.raises(RuntimeError), transaction.atomic():
        open_one(acme)
        raise RuntimeError
    assert list_events(acme) == [] and list_deliveries(acme) == []


def test_facts_that_no_page_could_show_are_refused_when_they_are_found(acme):
    with pytest.raises(msgspec.ValidationError):
        open_one(acme, facts={"figures": "none"})
    alert_id = open_one(acme, facts=Facts(sentence="It grew.", figures=(Figure("Spent", "$80.00"),)))
    assert get_alert(acme, alert_id).facts == {
        "sentence": "It grew.",
        "figures": [{"label": "Spent", "value": "$80.00"}],
    }


def test_two_transactions_that_find_the_same_at_once_open_one_alert(committed_db):
    acme = make_tenant("acme")
    channel = add_channel(acme)
    barrier, found = threading.Barrier(2), []

    def find():
        try:
            with transaction.atomic():
                barrier.wait(10)
                found.append(open_one(acme))
        finally:
            connection.close()

    threads = [threading.Thread(target=find) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    close_old_connections()
    assert sorted(alert_id is None for alert_id in found) == [False, True]
    assert list_events(acme) == [("opened", "", "")]
    assert list_deliveries(acme) == [("opened", channel, "waiting")]


def test_a_step_is_taken_once_and_says_by_whom(acme):
    alert_id = open_one(acme)
    acknowledge = {"tenant_id": acme.id, "alert_id": alert_id, "actor": "person 7", "comment": "On it."}
    assert acknowledge_alert(**acknowledge, now=NOW + HOUR)
    assert not acknowledge_alert(**acknowledge, now=NOW + HOUR)
    assert resolve_alert(tenant_id=acme.id, alert_id=alert_id, actor="key abc", now=NOW + 2 * HOUR)
    assert not resolve_alert(tenant_id=acme.id, alert_id=alert_id, now=NOW + 3 * HOUR)
    give_feedback(tenant_id=acme.id, alert_id=alert_id, feedback="planned", actor="person 7", now=NOW + 3 * HOUR)
    assert list_events(acme) == [
        ("opened", "", ""),
        ("acknowledged", "person 7", "On it."),
        ("resolved", "key abc", ""),
        ("feedback", "person 7", ""),
    ]
    alert = get_alert(acme, alert_id)
    assert (alert.state, alert.resolved_at, alert.feedback) == ("resolved", NOW + 2 * HOUR, "planned")
    for step in (
        lambda: acknowledge_alert(**acknowledge, now=NOW + 4 * HOUR),
        lambda: snooze_alert(**acknowledge, until=NOW + 5 * HOUR, now=NOW + 4 * HOUR),
    ):
        with pytest.raises(AlertStepRefused) as refusal:
            step()
        assert refusal.value.code == "resolved"


def test_a_snoozed_alert_is_silent_and_opens_again_when_its_time_is_over(acme):
    channel = add_channel(acme)
    alert_id = open_one(acme)
    mark(acme)
    snooze_alert(tenant_id=acme.id, alert_id=alert_id, until=NOW + 5 * HOUR, actor="person 7", now=NOW + HOUR)
    assert not grow_alert(tenant_id=acme.id, alert_id=alert_id, impact=Decimal("900"), now=NOW + 3 * HOUR)
    assert wake_alerts(tenant_id=acme.id, now=NOW + 4 * HOUR) == 0
    assert wake_alerts(tenant_id=acme.id, now=NOW + 5 * HOUR) == 1
    assert get_alert(acme, alert_id).state == "open"
    assert grow_alert(tenant_id=acme.id, alert_id=alert_id, impact=Decimal("900"), now=NOW + 5 * HOUR)
    assert list_deliveries(acme) == [("opened", channel, "delivered"), ("grown", channel, "waiting")]
    assert [event for event, _, _ in list_events(acme)] == ["opened", "snoozed", "woken", "grown"]


@pytest.mark.parametrize("hours", [0, -1, 24 * 30 + 1])
def test_a_snooze_ends_within_a_month_and_not_before_it_begins(acme, hours):
    alert_id = open_one(acme)
    with pytest.raises(AlertStepRefused):
        snooze_alert(tenant_id=acme.id, alert_id=alert_id, until=NOW + hours * HOUR, actor="person 7", now=NOW)


@pytest.mark.parametrize(
    ("impact", "after", "is_told"),
    [
        ("199.99", 2 * HOUR, False),  # not twice the 100 that were told
        ("200", 2 * HOUR, True),
        ("500", timedelta(minutes=59), False),  # too soon after the last message
        ("500", HOUR, True),
        (None, 2 * HOUR, False),
    ],
)
def test_a_reminder_is_sent_when_the_impact_has_doubled_and_an_hour_is_over(acme, impact, after, is_told):
    channel = add_channel(acme)
    alert_id = open_one(acme)
    mark(acme)
    given = None if impact is None else Decimal(impact)
    assert grow_alert(tenant_id=acme.id, alert_id=alert_id, impact=given, now=NOW + after) is is_told
    assert get_alert(acme, alert_id).impact == given
    grown = [("grown", channel, "waiting")] if is_told else []
    assert list_deliveries(acme) == [("opened", channel, "delivered"), *grown]


def test_the_next_reminder_is_measured_from_what_the_last_one_told(acme):
    alert_id = open_one(acme)
    told = [
        grow_alert(tenant_id=acme.id, alert_id=alert_id, impact=Decimal(impact), now=NOW + hours * HOUR)
        for hours, impact in ((1, 210), (2, 419), (3, 420), (4, 500))
    ]
    assert told == [True, False, True, False]


def test_a_severity_that_rises_is_told_to_those_who_take_it_only_now(acme):
    all_of_it, worst_only = add_channel(acme), add_channel(acme, "pager", severity_min="critical")
    alert_id = open_one(acme, severity="warning")
    mark(acme)
    grow = {"tenant_id": acme.id, "alert_id": alert_id, "impact": Decimal("110")}
    assert grow_alert(**grow, severity="critical", now=NOW + HOUR)
    assert not grow_alert(**grow, severity="info", now=NOW + 3 * HOUR)  # it never falls
    assert get_alert(acme, alert_id).severity == "critical"
    assert sorted(list_deliveries(acme)[1:]) == [("grown", all_of_it, "waiting"), ("opened", worst_only, "waiting")]


def test_what_was_not_sent_yet_tells_of_the_alert_as_it_has_grown(acme):
    add_channel(acme, quiet_from=time(9), quiet_to=time(18))
    alert_id = open_one(acme)
    assert list_deliveries(acme, "due_at", "held_for") == [(datetime(2026, 11, 22, 18, tzinfo=UTC), "quiet hours")]
    grow_alert(tenant_id=acme.id, alert_id=alert_id, impact=Decimal("250"), title="Chat is at 90 %", now=NOW + HOUR)
    ((kind, body),) = list_deliveries(acme, "kind", "body")
    assert (kind, body["title"], body["impact"]) == ("opened", "Chat is at 90 %", "250")
    # Urgent now: the night ends for it.
    grow_alert(tenant_id=acme.id, alert_id=alert_id, impact=Decimal("600"), severity="critical", now=NOW + 2 * HOUR)
    assert list_deliveries(acme, "kind", "due_at", "held_for") == [("opened", NOW + 2 * HOUR, "")]


def test_an_alert_that_is_over_before_it_was_told_is_not_told_at_all(acme):
    channel = add_channel(acme, quiet_from=time(9), quiet_to=time(18))
    alert_id = open_one(acme)
    resolve_alert(tenant_id=acme.id, alert_id=alert_id, now=NOW + HOUR)
    assert list_deliveries(acme) == [("opened", channel, "withheld")]


def test_the_end_is_told_where_the_beginning_was_or_may_have_been(acme):
    told, tried = add_channel(acme, "told"), add_channel(acme, "tried")
    alert_id = open_one(acme)
    mark(acme, channel_id=told)
    mark(acme, state="waiting", channel_id=tried)
    later = add_channel(acme, "later")
    resolve_alert(tenant_id=acme.id, alert_id=alert_id, now=NOW + HOUR)
    assert list_deliveries(acme) == [
        ("opened", told, "delivered"),
        ("opened", tried, "waiting"),
        ("resolved", told, "waiting"),
        ("resolved", tried, "waiting"),
    ]
    assert later not in [channel for _, channel, _ in list_deliveries(acme)]


def test_only_a_pager_is_told_that_somebody_looks_after_it(acme):
    add_channel(acme)
    pager = add_channel(acme, "pager", kind="pagerduty")
    alert_id = open_one(acme)
    mark(acme)
    acknowledge_alert(tenant_id=acme.id, alert_id=alert_id, actor="person 7", now=NOW + HOUR)
    assert list_deliveries(acme)[2:] == [("acknowledged", pager, "waiting")]


def test_a_rule_finds_what_it_has_open(acme):
    alert_id = open_one(acme)
    open_one(acme, rule="other")
    over = open_one(acme, episode="2026-10/80")
    resolve_alert(tenant_id=acme.id, alert_id=over, now=NOW)
    (standing,) = list_standing_alerts(tenant_id=acme.id, rules=["budget"])
    assert (standing.id, standing.scope, standing.episode) == (alert_id, {"feature": "chat"}, "2026-11/80")
