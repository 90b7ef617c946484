"""Anomalies are found in what was booked, told once an episode, and end when all is usual again."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from alerts import tasks
from alerts.anomalies.runs import watch_hours, watch_minutes
from alerts.anomalies.telling import Told
from alerts.budgets import create_budget
from alerts.channels import create_channel
from alerts.core.budget_terms import load_terms
from alerts.core.channels import read_terms
from alerts.episodes import give_feedback, resolve_alert
from alerts.models import Alert, AlertDelivery
from alerts.thresholds import change_setting
from billing.rollups import rebuild_rollups, reconcile_rollups
from tenants.keys import revoke_api_key
from tenants.scope import tenant_scope
from tests.alerts.watching import DAY, HOUR, book, make_hours
from tests.billing.ledger_rows import make_entry
from tests.factories import make_key, make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")

# The hour that is judged begins here: a Wednesday's, so that no week ends in it.
NOON = (datetime.now(UTC) - 3 * DAY).replace(hour=12, minute=0, second=0, microsecond=0)


def at(hours: float) -> datetime:
    """Six minutes after the end of the hour that began so many hours after NOON."""
    return NOON + timedelta(hours=hours + 1, minutes=6)


def list_alerts(tenant, rule=None):
    with tenant_scope(tenant.id):
        alerts = Alert.objects.filter(tenant_id=tenant.id).order_by("id")
        return [alert for alert in alerts if rule in (None, alert.rule)]


@pytest.fixture
def acme():
    """15 days of one USD an hour for the summarizer, of which a tenth is a chat's."""
    acme = make_tenant()
    book(acme, make_hours(start=NOON - 15 * DAY, end=NOON, user_ref="u1"))
    return acme


def test_an_hour_that_costs_thirty_times_the_usual_is_told_with_who_moved(acme):
    book(acme, [make_entry(time=NOON + HOUR / 2, cost="30", user_ref="u9", feature="agent", model="gpt-5")])
    watch_hours(now=at(0))
    (alert,) = list_alerts(acme, "hourly_spike")
    # Mean 1, deviation 0, MAD a tenth of the mean: the bound is 1 + half an average hour.
    assert (
        alert.title
        == "This hour cost 30.00 USD, 30 times the usual 1.00 USD; its range, from 14 days, ends at 1.50 USD."
    )
    assert alert.impact == Decimal("29")
    assert alert.facts["anomaly"]["upper"] == "1.500000000000"
    assert alert.facts["anomaly"]["cause"]["value"] in ("agent", "gpt-5", "u9")
    moved = {(mover["dimension"], mover["value"]): mover["actual"] for mover in alert.facts["movers"]}
    assert Decimal(moved["feature", "agent"]) == Decimal(moved["model", "gpt-5"]) == Decimal(moved["user", "u9"]) == 30


def test_one_episode_over_hours_grows_and_ends_after_six_quiet_ones(acme):
    for hour, cost in enumerate(("30", "40", "1", "50")):
        book(acme, [make_entry(time=NOON + hour * HOUR, cost=cost, user_ref="u1")])
        watch_hours(now=at(hour))
    (alert,) = list_alerts(acme, "hourly_spike")
    assert alert.state == "open"
    # 29 + 39 + 49, what lies above the usual: the second hour makes the usual of the neighbouring ones no higher.
    assert alert.impact == Decimal("117")
    book(acme, make_hours(start=NOON + 4 * HOUR, end=NOON + 12 * HOUR, user_ref="u1"))
    watch_hours(now=at(8))
    assert list_alerts(acme, "hourly_spike")[0].state == "open"  # the last spike ended five hours ago
    watch_hours(now=at(9))
    assert list_alerts(acme, "hourly_spike")[0].state == "resolved"


def test_an_episode_is_about_its_worst_hour_and_its_cause_is_that_of_all_of_them(acme):
    for hour, (cost, user) in enumerate((("30", "u9"), ("50", "u9"), ("20", "u8"))):
        book(acme, [make_entry(time=NOON + hour * HOUR, cost=cost, user_ref=user, feature="agent", model="gpt-5")])
        watch_hours(now=at(hour))
    (alert,) = list_alerts(acme, "hourly_spike")
    assert alert.title.startswith("This hour cost 50.00 USD")
    assert alert.facts["anomaly"]["actual"] == "50.000000000000"
    assert alert.facts["sentence"].startswith(alert.title) and "above all as something new" in alert.facts["sentence"]
    # 100 came where one of each hour was expected of u1: all of the impact is new, and by two users.
    assert alert.impact == Decimal("97")
    users = [
        (mover["value"], Decimal(mover["expected"]), Decimal(mover["actual"]))
        for mover in alert.facts["movers"]
        if mover["dimension"] == "user"
    ]
    assert users == [("u9", 0, 80), ("u8", 0, 20), ("", 3, 0)]
    assert sum_parts(alert) == {"price": 0, "volume": 0, "mix": 0, "new": 100, "ended": -3}
    # Each of the 48 hours has its range, as it is judged; the last three lie above theirs.
    points = alert.facts["points"]
    assert len(points) == 48 and all(point["high"] for point in points)
    above = [Decimal(point["actual"]) > Decimal(point["high"]) for point in points]
    assert above == [False] * 45 + [True] * 3


def test_a_part_is_not_told_by_itself_while_the_whole_goes_on(acme):
    # A feature beside it makes the chat's hour less than half an hour of all: at first, and then no more.
    book(acme, make_hours(start=NOON - 15 * DAY, end=NOON, cost="2", feature="chat", model="m-2"))
    book(acme, [make_entry(time=NOON, cost="60", feature="chat", model="m-2")])
    watch_hours(now=at(0))
    book(acme, [make_entry(time=NOON + HOUR, cost="4", feature="chat", model="m-2")])
    watch_hours(now=at(1))
    assert [alert.scope for alert in list_alerts(acme, "hourly_spike")] == [{}]


def test_what_is_found_is_told_to_each_channel_once(acme):
    add_channel(acme)
    book(acme, [make_entry(time=NOON, cost="30")])
    for _ in range(2):
        watch_hours(now=at(0))
    with tenant_scope(acme.id):
        deliveries = AlertDelivery.objects.filter(tenant_id=acme.id)
        (alert,) = list_alerts(acme, "hourly_spike")
        assert [one.kind for one in deliveries if one.alert_id == alert.id] == ["opened"]


def test_two_beats_find_one_thing(acme):
    book(acme, [make_entry(time=NOON, cost="30")])
    first, second = (watch_hours(now=at(0)) for _ in range(2))
    assert (first.opened, second.opened, second.grown) == (len(list_alerts(acme)), 0, 0)


def test_a_dip_is_quiet(acme):
    book(acme, [make_entry(time=NOON, cost="0.01")])
    watch_hours(now=at(0))
    assert list_alerts(acme, "hourly_spike") == []


def test_two_weeks_like_the_ones_before_give_no_alert_but_those_of_nothing_new():
    acme = make_tenant()
    start = NOON - 29 * DAY
    entries = []
    for number in range(29 * 24):
        hour = start + number * HOUR
        is_busy = 8 <= hour.hour < 18 and hour.weekday() < 5
        cost = Decimal(3 if is_busy else 1) + Decimal(number % 5) / 10
        entries.append(make_entry(time=hour, cost=str(cost), user_ref=f"u{number % 7}"))
    book(acme, entries)
    watch_hours(now=NOON - 14 * DAY, since=NOON - 16 * DAY)
    for day in range(14, 0, -2):
        watch_hours(now=NOON - day * DAY + 2 * DAY, since=NOON - day * DAY)
    # The first of these weeks follows three Mondays to Fridays only; a weekday is known from two.
    assert [alert.rule for alert in list_alerts(acme) if alert.severity != "info"] == []


def test_an_outage_of_two_hours_is_caught_up(acme):
    book(
        acme,
        [
            make_entry(time=NOON, cost="30"),
            make_entry(time=NOON + HOUR, cost="1"),
            make_entry(time=NOON + 2 * HOUR, cost="1"),
        ],
    )
    watch_hours(now=at(2), since=NOON)
    (alert,) = list_alerts(acme, "hourly_spike")
    assert alert.episode == NOON.isoformat()


def test_another_tenant_is_told_nothing(acme):
    globex = make_tenant("globex")
    book(acme, [make_entry(time=NOON, cost="30")])
    watch_hours(now=at(0))
    assert list_alerts(acme)
    assert list_alerts(globex) == []


def test_an_hour_of_twenty_million_dollars_keeps_nobody_else_from_being_told(acme):
    globex = make_tenant("globex")
    book(globex, [make_entry(time=NOON, cost="20000000")])
    book(acme, [make_entry(time=NOON, cost="30")])
    watch_hours(now=at(0))
    watch_hours(now=at(13))  # the day's end, too
    assert list_alerts(acme, "hourly_spike")


def test_a_kind_that_is_off_is_not_looked_for_and_a_threshold_holds(acme):
    change_setting({"off": ["hourly_spike"]}, tenant_id=acme.id, actor="person 7", now=NOON)
    book(acme, [make_entry(time=NOON, cost="30")])
    watch_hours(now=at(0))
    assert list_alerts(acme, "hourly_spike") == []
    change_setting({"off": [], "hourly_spike": {"impact_min": 40}}, tenant_id=acme.id, actor="person 7", now=NOON)
    watch_hours(now=at(0))
    assert list_alerts(acme, "hourly_spike") == []


def test_what_a_person_has_ended_is_not_told_again_while_it_goes_on(acme):
    book(acme, [make_entry(time=NOON, cost="30"), make_entry(time=NOON + HOUR, cost="30")])
    watch_hours(now=at(0))
    (alert,) = list_alerts(acme, "hourly_spike")
    resolve_alert(tenant_id=acme.id, alert_id=alert.id, actor="person 7", now=at(0))
    watch_hours(now=at(1))
    assert len(list_alerts(acme, "hourly_spike")) == 1


def test_what_was_planned_is_not_usual_and_what_was_wrong_is(acme):
    # A batch at noon on each of two days: the third is familiar by then, unless those were said to be no usual days.
    for day in (2, 1):
        book(acme, [make_entry(time=NOON - day * DAY, cost="30")])
        watch_hours(now=at(-24 * day))
    for alert in list_alerts(acme, "hourly_spike"):
        give_feedback(tenant_id=acme.id, alert_id=alert.id, feedback="planned", actor="person 7", now=NOON)
    assert len(list_alerts(acme, "hourly_spike")) == 2
    book(acme, [make_entry(time=NOON, cost="30")])
    watch_hours(now=at(0))
    assert len(list_alerts(acme, "hourly_spike")) == 3


def test_a_model_never_seen_is_told_once_it_has_cost_ten_dollars(acme):
    book(acme, [make_entry(time=NOON, cost="9", model="o9", feature="agent")])
    watch_hours(now=at(0))
    assert list_alerts(acme, "new") == []
    book(acme, [make_entry(time=NOON + HOUR, cost="2", model="o9", feature="agent")])
    watch_hours(now=at(1))
    titles = {alert.title for alert in list_alerts(acme, "new")}
    assert titles == {"The model o9 is new and has cost 11.00 USD.", "The feature agent is new and has cost 11.00 USD."}
    watch_hours(now=at(2))
    assert len(list_alerts(acme, "new")) == 2


def test_calls_without_a_rate_are_told_by_model(acme):
    book(acme, [make_entry(time=NOON, cost=None, model="secret-1"), make_entry(time=NOON, cost="1", model="secret-1")])
    watch_hours(now=at(0))
    (alert,) = list_alerts(acme, "unpriced")
    assert alert.scope == {"model": "secret-1"}
    assert alert.title == "Model secret-1: No rate covers 1 of 2 calls."
    assert alert.impact is None


def test_a_minute_of_a_hundred_calls_where_two_are_usual_is_a_rate_spike(acme):
    minute = NOON + timedelta(minutes=7)
    book(acme, [make_entry(time=minute, cost="0.01", calls=100)])
    watch_minutes(now=minute + timedelta(seconds=75))
    (alert,) = list_alerts(acme, "rate_spike")
    assert alert.scope == {"feature": "summarizer"}
    # Three hours of each of 14 days have a call each: 42 calls in 2,520 minutes.
    assert alert.facts["anomaly"]["expected"] == "0.02"
    watch_minutes(now=minute + timedelta(seconds=135), since=minute + timedelta(seconds=60))
    assert len(list_alerts(acme, "rate_spike")) == 1
    watch_minutes(now=minute + timedelta(minutes=62))
    assert list_alerts(acme, "rate_spike")[0].state == "resolved"


def make_budget(tenant, amount="100.00", window="day"):
    terms = load_terms({"name": "All", "scope": {}, "window": window, "amount": amount, "currency": "USD"})
    create_budget(terms, tenant_id=tenant.id, actor="person 7", now=NOON - DAY)


def test_a_user_who_costs_a_hundredth_of_the_daily_budget_within_an_hour_is_told_with_feature_and_model(acme):
    make_budget(acme)
    book(acme, [make_entry(time=NOON, cost="2.50", user_ref="u-17", feature="agent", model="gpt-5")])
    watch_minutes(now=NOON + timedelta(minutes=2))
    (alert,) = list_alerts(acme, "heavy_user")
    assert alert.scope == {"user": "u-17"}
    assert alert.title == (
        "User u-17 (feature agent, model gpt-5): One user cost 2.50 USD within an hour, 2.5\N{NARROW NO-BREAK SPACE}% "
        "of the daily budget."
    )
    assert alert.impact == Decimal("1.5")
    book(acme, [make_entry(time=NOON + timedelta(minutes=5), cost="7.50", user_ref="u-17", feature="agent")])
    watch_minutes(now=NOON + timedelta(minutes=7))
    (alert,) = list_alerts(acme, "heavy_user")
    assert alert.impact == Decimal("9")  # of the same hour, and not added to what it was before


def test_of_twelve_heavy_users_at_once_five_are_told_and_the_others_counted_in_one(acme):
    make_budget(acme)
    book(acme, [make_entry(time=NOON, cost=str(number), user_ref=f"u-{number}") for number in range(10, 22)])
    told = watch_minutes(now=NOON + timedelta(minutes=2))
    assert told.counted == 7
    users = [alert.scope["user"] for alert in list_alerts(acme, "heavy_user")]
    assert users == ["u-21", "u-20", "u-19", "u-18", "u-17"]
    (more,) = list_alerts(acme, "more_anomalies")
    assert more.title == "7 more of the kind heavy user at once: u-16, u-15, u-14 and others"


def test_one_call_of_fifty_thousand_tokens_is_heavy_where_thirteen_hundred_are_usual(acme):
    book(acme, [make_entry(time=NOON, cost="1", input_tokens=50_000, user_ref="u-17")])
    watch_hours(now=at(0))
    (alert,) = list_alerts(acme, "heavy_request")
    # Every other call took 1,000 in and 300 out.
    assert alert.title == (
        "Feature summarizer (user u-17, model gpt-4o-2024-08-06): One call took 50,300 tokens; its feature usually "
        "takes 1,300."
    )


ADD_INTAKE_SQL = """
    INSERT INTO intake_hour (tenant_id, hour, api_key_id, received, booked, duplicates, conflicts, rejected)
    SELECT %(tenant_id)s, hour, %(key)s, 1, 1, 0, 0, 0
    FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz, interval '1 hour') AS hour"""


def receive_each_hour(tenant, key_id, *, start, end):
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(ADD_INTAKE_SQL, {"tenant_id": tenant.id, "key": key_id, "start": start, "end": end})


def test_a_key_that_sent_each_hour_and_stopped_is_silent_until_it_sends_and_a_revoked_one_is_not():
    acme = make_tenant()
    quiet, revoked = (make_key(acme).split("_")[1] for _ in range(2))
    for key_id in (quiet, revoked):
        receive_each_hour(acme, key_id, start=NOON - 10 * DAY, end=NOON)
    revoke_api_key(tenant_id=acme.id, key_id=revoked, now=NOON)
    watch_hours(now=at(1))  # its last hour ended an hour ago: not above an hour yet
    assert list_alerts(acme, "silence") == []
    watch_hours(now=at(2))
    watch_hours(now=at(3))
    (alert,) = list_alerts(acme, "silence")
    assert alert.scope == {"key": quiet}
    assert alert.state == "open"
    receive_each_hour(acme, quiet, start=NOON + 4 * HOUR, end=NOON + 4 * HOUR)
    watch_hours(now=at(4))
    assert list_alerts(acme, "silence")[0].state == "resolved"


def test_rollups_that_differ_from_the_ledger_are_told_until_they_agree(acme):
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE cost_hour SET billed_cost = billed_cost + 2 WHERE tenant_id = %s AND hour = %s",
            [acme.id, NOON - DAY],
        )
    reconcile_rollups(tenant_id=acme.id, now=at(0))
    watch_hours(now=at(0))
    (alert,) = list_alerts(acme, "reconciliation")
    assert alert.title == "The rollup is 2.00 USD above the ledger's 360.00 USD."
    assert alert.severity == "high"
    rebuild_rollups(tenant_id=acme.id, now=at(1))
    reconcile_rollups(tenant_id=acme.id, now=at(1))
    watch_hours(now=at(1))
    assert list_alerts(acme, "reconciliation")[0].state == "resolved"


def test_three_weeks_that_each_cost_a_fifth_more_are_told_on_the_monday_after():
    acme = make_tenant()
    monday = NOON.replace(hour=0) - NOON.weekday() * DAY
    for weeks_ago, cost in ((4, "10"), (3, "12"), (2, "14.4"), (1, "17.28")):
        start = monday - weeks_ago * 7 * DAY
        book(acme, [make_entry(time=start + day * DAY, cost=cost) for day in range(7)])
    watch_hours(now=monday + timedelta(minutes=6))
    (alert,) = list_alerts(acme, "sustained_growth")
    # From 70 to 120.96 USD a week.
    assert alert.title.startswith(
        "Cost has grown by 20\N{NARROW NO-BREAK SPACE}% a week, 3 weeks running, to 120.96 USD a week"
    )
    assert alert.impact == Decimal("50.96")


def test_a_user_first_seen_who_costs_twelve_dollars_in_a_day_is_told_after_it(acme):
    midnight = NOON.replace(hour=0)
    book(acme, [make_entry(time=NOON, cost="12", user_ref="u-new")])
    watch_hours(now=midnight + DAY + timedelta(minutes=6))
    (alert,) = list_alerts(acme, "new_user")
    assert alert.scope == {"user": "u-new"}


def test_a_day_of_thrice_the_cost_is_a_daily_spike_with_its_cause(acme):
    midnight = NOON.replace(hour=0)
    book(acme, make_hours(start=NOON, end=midnight + DAY))
    book(acme, make_hours(start=midnight + DAY, end=midnight + 2 * DAY, cost="3", feature="agent"))
    watch_hours(now=midnight + 2 * DAY + timedelta(minutes=6))
    (alert,) = list_alerts(acme, "daily_spike")
    assert alert.impact == Decimal("48")  # 72 beside 24
    assert alert.facts["anomaly"]["cause"]["value"] == "agent"
    assert sum_parts(alert) == {"price": 0, "volume": 0, "mix": 0, "new": 72, "ended": -24}
    assert sum_movers(alert) == {"feature": 48}  # the agent's calls name no user; there is one model, and one key
    points = alert.facts["points"]
    judged = [point for point in points if point["high"]]  # from the fifteenth day on: before it there is too little
    assert len(points) == 28 and len(judged) == 3
    assert [Decimal(point["actual"]) > Decimal(point["high"]) for point in judged] == [False, False, True]
    assert Decimal(judged[-1]["high"]) == Decimal(alert.facts["anomaly"]["upper"])
    assert list_alerts(acme, "daily_spike_watch") == []


def sum_parts(alert):
    return {part["name"]: Decimal(part["amount"]) for part in alert.facts["parts"]}


def sum_movers(alert):
    """By dimension, what the movers are more than was expected of them."""
    sums = {}
    for mover in alert.facts["movers"]:
        moved = Decimal(mover["actual"]) - Decimal(mover["expected"])
        sums[mover["dimension"]] = sums.get(mover["dimension"], 0) + moved
    return sums


def add_channel(tenant):
    """One that takes everything."""
    document = {"name": "Hook", "kind": "webhook", "settings": {"url": "https://hooks.acme.example/in"}}
    create_channel(read_terms(document), tenant_id=tenant.id, actor="person 7", now=NOON)


def test_a_day_of_nearly_twice_the_cost_is_shown_and_not_told():
    acme = make_tenant()
    add_channel(acme)
    midnight = NOON.replace(hour=0)
    # 20 USD a day, 28 the day before, of which its weekday explains a tenth: a spike begins above 36, the rise at
    # 1.5 × 148 / 7 = 31.7.
    entries = [make_entry(time=midnight - day * DAY, cost="28" if day == 1 else "20") for day in range(20, 0, -1)]
    entries.append(make_entry(time=midnight, cost="34"))
    book(acme, entries)
    watch_hours(now=midnight + DAY + timedelta(minutes=6))
    assert list_alerts(acme, "daily_spike") == []
    (alert,) = list_alerts(acme, "daily_spike_watch")
    assert alert.severity == "info"
    assert round(Decimal(alert.facts["points"][-1]["high"]), 1) == Decimal("31.7")
    assert sum_parts(alert) == {"price": alert.impact, "volume": 0, "mix": 0}  # one call of the same tokens a day
    with tenant_scope(acme.id):
        assert AlertDelivery.objects.filter(tenant_id=acme.id, alert_id=alert.id).count() == 0


def test_a_cache_that_is_read_no_more_is_told_with_what_it_costs(acme):
    midnight = NOON.replace(hour=0)
    kept = {"input_tokens": 100_000, "cache_read_tokens": 100_000, "input_cost": 250_000_000_000,
            "cache_read_cost": 125_000_000_000, "feature": "bot"}  # fmt: skip
    book(acme, [make_entry(time=midnight - day * DAY, cost="0.375", **kept) for day in range(1, 8)])
    lost = kept | {"input_tokens": 200_000, "cache_read_tokens": 0, "input_cost": 500_000_000_000, "cache_read_cost": 0}
    book(acme, [make_entry(time=midnight, cost="0.5", **lost)])
    watch_hours(now=midnight + DAY + timedelta(minutes=6))
    (alert,) = list_alerts(acme, "cache_collapse")
    assert alert.scope == {"feature": "bot"}
    # Half of 200,000 tokens at 2.50 − 1.25 USD a million.
    assert alert.impact == Decimal("0.125")
    assert alert.facts["parts"] == [{"name": "cache", "amount": "0.125000000000", "words": ""}]


def test_a_price_that_moved_without_a_rate_is_told(acme):
    midnight = NOON.replace(hour=0)
    was = {"input_tokens": 200_000, "model": "m-1", "provider": f"maker-{acme.slug}"}
    book(acme, [make_entry(time=midnight - day * DAY, cost="0.5", **was) for day in range(1, 8)])
    book(acme, [make_entry(time=midnight, cost="0.6", **was)])
    watch_hours(now=midnight + DAY + timedelta(minutes=6))
    (alert,) = list_alerts(acme, "unit_price_drift")
    assert alert.impact == Decimal("0.1")
    assert alert.title.endswith("A million tokens cost 3.00 USD where it was 2.50 USD, and no rate was published.")


def test_calls_that_end_for_want_of_tokens_are_told_by_feature(acme):
    midnight = NOON.replace(hour=0)
    reasons = ["length"] * 10 + ["stop"] * 90
    book(acme, [make_entry(time=midnight, cost="0.01", finish_reason=reason, feature="bot") for reason in reasons])
    watch_hours(now=midnight + DAY + timedelta(minutes=6))
    (alert,) = list_alerts(acme, "truncation")
    assert alert.scope == {"feature": "bot"}
    assert alert.impact == Decimal("0.1")


def test_the_statements_of_a_run_are_as_many_for_fifty_tenants_as_for_one(acme):
    def count(run):
        with CaptureQueriesContext(connections["reader"]) as read, CaptureQueriesContext(connections["default"]) as own:
            run()
        return len(read) + len(own)

    runs = (
        lambda: watch_hours(now=at(3)),
        lambda: watch_hours(now=NOON.replace(hour=0) + DAY + timedelta(minutes=6)),
        lambda: watch_minutes(now=at(3)),
    )
    for run in runs:
        run()
    before = [count(run) for run in runs]
    for _ in range(50):
        book(make_tenant("pebble"), make_hours(start=NOON - DAY, end=NOON - 20 * HOUR, cost="0.1"))
    assert [count(run) for run in runs] == before


def test_machines_list_what_was_found_and_globex_nothing_of_it(acme, client):
    book(acme, [make_entry(time=NOON, cost="30", user_ref="u9", feature="agent", model="gpt-5")])
    watch_hours(now=at(0))

    def ask(tenant, query=""):
        answer = client.get(f"/v1/anomalies?{query}", headers={"Authorization": f"Bearer {make_key(tenant)}"})
        assert answer.status_code == 200, answer.content
        return answer.json()

    (spike,) = ask(acme, "kind=hourly_spike")["anomalies"]
    assert (spike["actual"], spike["expected"], spike["upper"]) == (
        "30.000000000000",
        "1.000000000000",
        "1.500000000000",
    )
    assert spike["impact"] == "29.000000000000"
    assert spike["cause"]["sentence"].startswith("Mostly ")
    assert spike["times"] == [f"{NOON:%Y-%m-%dT%H}:00:00.000000Z"]
    everything = ask(acme)["anomalies"]
    first = ask(acme, "limit=1")
    rest = ask(acme, f"limit=500&cursor={first['next']}")
    assert first["anomalies"] + rest["anomalies"] == everything
    assert rest["next"] is None
    assert ask(acme, "feedback=wrong")["anomalies"] == []
    assert ask(make_tenant("globex"))["anomalies"] == []


def test_a_slot_is_taken_once_and_the_next_run_knows_the_one_before(monkeypatch):
    runs = []

    def watch(*, now, since):
        runs.append((now, since))
        return Told(0, 0, 0, 0, 0)

    monkeypatch.setattr(tasks, "watch_hours", watch)
    for minutes in (4, 6, 6, 59, 185):
        monkeypatch.setattr(tasks.timezone, "now", lambda minutes=minutes: NOON + timedelta(minutes=minutes))
        tasks.watch_every_hour()
    # Until five minutes past, the hour before that one has its turn; after an outage one run makes up for all of it.
    assert [now for now, _ in runs] == [
        NOON + timedelta(minutes=4),
        NOON + timedelta(minutes=6),
        NOON + timedelta(hours=3, minutes=5),
    ]
    assert [since for _, since in runs] == [None, NOON - HOUR, NOON]
