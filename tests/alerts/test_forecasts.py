"""Forecasts in the product: made of the tenant's own days, kept once a night, told what came, and nobody else's."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from alerts import forecasts
from alerts.budgets import create_budget
from alerts.core.budgets import BudgetTerms
from alerts.core.forecasts import MEAN_OF_SEVEN, History, NoForecast, PastForecast, forecast_cost
from alerts.core.outlooks import RUN_RATE, WHOLE, Event, Scope, find_month, look_ahead
from alerts.forecasts import (
    EventRefused,
    EventTerms,
    EventUnknown,
    add_event,
    find_night,
    list_budget_forecasts,
    list_events,
    list_forecasts,
    list_outlooks,
    list_past,
    make_forecasts,
    read_event_terms,
    read_month,
    remove_event,
)
from alerts.forecasts.records import Run, count_missed_nights, keep_runs, settle_runs
from billing.rates import forget_rate_book
from ledger.models import LedgerEntry
from tenants.scope import tenant_scope
from tests.dashboards.bookings import book
from tests.factories import make_tenant, publish_test_rates

CALL = Decimal("0.00475")  # what each call of tests.dashboards.bookings costs
NIGHT = datetime(2026, 11, 8, 2, tzinfo=UTC)  # seven days of the month are over, 23 are ahead
NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)


@pytest.fixture
def acme(db):
    forget_rate_book()
    publish_test_rates()
    yield make_tenant("acme")
    forget_rate_book()


def use(tenant, *days, month=11, hour=12, **fields):
    """So many calls on each day from the month's first on."""
    calls = [
        {"time": datetime(2026, month, day, hour, tzinfo=UTC), "feature": "chat", **fields}
        for day, count in enumerate(days, start=1)
        for _ in range(count)
    ]
    if calls:
        book(tenant, *calls)


def read(tenant, now=NIGHT, **filters):
    return read_month(tenant=tenant, now=now, events=list_events(tenant_id=tenant.id), filters=filters)


def list_runs(tenant, scope=WHOLE):
    return list_forecasts(tenant_id=tenant.id, first=date(2026, 1, 1), after=date(2027, 1, 1), scope=scope)


def list_acts(tenant):
    with tenant_scope(tenant.id):
        rows = LedgerEntry.objects.filter(tenant_id=tenant.id, kind="admin_act").order_by("batch_id")
        return [(row.operation, row.tags["actor"], row.tags["amount"]) for row in rows]


# 1, 1, 2, 2, 2, 3 and 10 calls, clipped to between half and twice their median of 2: 15 in seven days. A day is
# 15 / 7 x 4,750,000,000 pico-USD = 10,178,571,429, and 23 of them 234,107,142,867.
WEEK = (1, 1, 2, 2, 2, 3, 10)


def test_a_month_is_what_was_spent_and_what_the_days_ahead_are_expected_to_cost(acme):
    use(acme, *WEEK, 4)  # four calls of today, which is forecast
    month = read(acme)
    assert (month.outlook.method, month.outlook.month.days_ahead) == (MEAN_OF_SEVEN, 23)
    assert month.outlook.spent == 21 * 4_750_000_000 and month.outlook.today == 4 * 4_750_000_000
    assert set(month.outlook.daily) == {10_178_571_429}
    assert month.outlook.expected == 21 * 4_750_000_000 + 234_107_142_867
    assert month.outlook.run_rate == 21 * 4_750_000_000 + 3 * 4_750_000_000 * 23
    assert list(month.days) == [count * 4_750_000_000 for count in (*WEEK, 4)]
    assert month.outlook.low < month.outlook.expected < month.outlook.high


def test_it_is_what_the_core_says_of_the_same_days(acme):
    use(acme, *(3, 5, 4, 4, 5, 1, 1) * 4, month=10)
    use(acme, *WEEK)
    units = [*(3, 5, 4, 4, 5, 1, 1) * 4, 0, 0, 0, *WEEK]
    history = History(date(2026, 10, 1), [count * 4_750_000_000 for count in units])
    said = forecast_cost(history, period_start=NOVEMBER, period_end=DECEMBER)
    assert read(acme).outlook.forecast == said


@pytest.mark.parametrize(("days", "complete_days"), [((), 0), ((0, 0, 0, 0, 0, 1, 1), 2)])
def test_too_few_days_are_no_forecast_and_it_is_said_why(acme, days, complete_days):
    use(acme, *days)
    assert read(acme).outlook == NoForecast(complete_days)
    make_forecasts(tenant=acme, now=NIGHT)
    assert list_runs(acme) == []


def test_what_has_no_price_is_not_forecast_as_nothing(acme):
    book(acme, *({"time": datetime(2026, 11, day, tzinfo=UTC), "model": "no-such-model"} for day in (1, 2, 3, 4)))
    assert read(acme).outlook == NoForecast(complete_days=0)
    assert make_forecasts(tenant=acme, now=NIGHT).runs == 0


def test_a_month_never_ends_below_what_is_booked_already(acme):
    use(acme, 1, 1, 1, 1, 1, 1, 1, 500)  # today has cost more than all that was expected
    outlook = read(acme).outlook
    assert outlook.expected == outlook.low == (7 + 500) * 4_750_000_000


def test_a_credit_that_is_known_to_come_may_end_it_lower():
    month = find_month(date(2026, 11, 8))
    history = History(NOVEMBER, [100] * 7)
    credit = [Event(date(2026, 11, 20), -900)]
    outlook = look_ahead(history, month=month, today_cost=5000, events=credit, past=())
    assert outlook.expected == 700 + 5000 - 900
    assert outlook.daily[12] == 100 - 900 and outlook.list_band()[12][0] <= -800 <= outlook.list_band()[12][1]


def test_a_day_more_of_refunds_than_of_use_used_nothing():
    month = find_month(date(2026, 11, 8))
    outlook = look_ahead(
        History(NOVEMBER, [10, 10, 10, 10, 10, 10, -50]), month=month, today_cost=0, events=(), past=()
    )
    assert outlook.spent == 10 and outlook.daily[0] == round((6 * 10 + 5) / 7)  # the refund counts as half the median


def test_days_are_the_tenants_own_whatever_the_clock_does(db):
    forget_rate_book()
    publish_test_rates()
    paris = make_tenant("acme", timezone="Europe/Paris")
    # The clock went back on 25 October: that day had 25 hours, from 22:00 UTC to 23:00 UTC.
    book(
        paris,
        {"time": datetime(2026, 10, 24, 22, 30, tzinfo=UTC)},
        {"time": datetime(2026, 10, 25, 22, 30, tzinfo=UTC)},
        {"time": datetime(2026, 10, 25, 23, 30, tzinfo=UTC)},
    )
    month = read(paris, datetime(2026, 10, 27, 12, tzinfo=UTC))
    assert [cost // 4_750_000_000 for cost in month.days[23:]] == [0, 2, 1, 0]
    assert isinstance(month.outlook, NoForecast) and month.outlook.complete_days == 2
    forget_rate_book()


@pytest.mark.parametrize(
    ("now", "night"),
    [
        (datetime(2026, 10, 25, 22, 59, tzinfo=UTC), date(2026, 10, 25)),
        (datetime(2026, 10, 25, 23, 0, tzinfo=UTC), None),  # 00:00 in Paris
        (datetime(2026, 10, 25, 23, 59, tzinfo=UTC), None),
        (datetime(2026, 10, 26, 0, 0, tzinfo=UTC), date(2026, 10, 26)),
        # 02:30 for the first and for the second time on the day that has 25 hours
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), date(2026, 10, 25)),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), date(2026, 10, 25)),
    ],
)
def test_a_night_begins_an_hour_after_the_tenants_day_has_ended(now, night):
    assert find_night(now, timezone="Europe/Paris") == night


def test_the_whole_and_its_parts_are_kept_each_night_and_the_first_run_of_a_day_stays(acme):
    use(acme, *WEEK, cost_center="retail", environment="production")
    use(acme, *(1,) * 7, cost_center="", environment="staging", feature="search")
    done = make_forecasts(tenant=acme, now=NIGHT)
    assert (done.runs, done.without) == (7, 0)
    runs = list_forecasts(tenant_id=acme.id, first=NOVEMBER, after=DECEMBER, scope=None)
    assert {run.scope for run in runs} == {
        WHOLE,
        Scope("environment", "production"),
        Scope("environment", "staging"),
        Scope("cost_center", "retail"),
        Scope("cost_center", ""),
        Scope("feature", "chat"),
        Scope("feature", "search"),
    }
    (retail,) = list_runs(acme, Scope("cost_center", "retail"))
    assert (retail.spent, retail.expected) == (21 * CALL, Decimal("0.234107142867"))
    assert (retail.month, retail.made_on, retail.made_at) == (NOVEMBER, date(2026, 11, 8), NIGHT)
    assert (retail.days_elapsed, retail.days_ahead, retail.actual) == (7, 23, None)
    use(acme, *(0,) * 6, 50, cost_center="retail")
    make_forecasts(tenant=acme, now=NIGHT + timedelta(hours=5))
    assert list_runs(acme, Scope("cost_center", "retail")) == [retail]


def test_a_month_that_is_over_tells_its_runs_what_came(acme):
    use(acme, *(2,) * 31, month=10)
    make_forecasts(tenant=acme, now=datetime(2026, 10, 20, 3, tzinfo=UTC))
    make_forecasts(tenant=acme, now=datetime(2026, 10, 25, 3, tzinfo=UTC))
    assert [run.actual for run in list_runs(acme)] == [None, None]
    assert list_past(tenant_id=acme.id, before=NOVEMBER) == {}
    make_forecasts(tenant=acme, now=datetime(2026, 11, 1, 3, tzinfo=UTC))
    runs = list_runs(acme)
    assert [(run.made_on.day, run.actual) for run in runs] == [(20, 12 * 2 * CALL), (25, 7 * 2 * CALL), (1, None)]
    # A call that is booked late is told the night after.
    book(acme, {"time": datetime(2026, 10, 31, 9, tzinfo=UTC), "feature": "chat"})
    make_forecasts(tenant=acme, now=datetime(2026, 11, 2, 3, tzinfo=UTC))
    assert [run.actual for run in list_runs(acme)[:2]] == [25 * CALL, 15 * CALL]
    past = list_past(tenant_id=acme.id, before=NOVEMBER)[WHOLE]
    assert [(one.days_elapsed, one.days_ahead, one.actual) for one in past] == [
        (19, 12, 25 * 4_750_000_000), (24, 7, 15 * 4_750_000_000),
    ]  # fmt: skip


def test_nights_without_a_run_are_counted_and_not_made_up(acme):
    use(acme, *(2,) * 20)
    for day in (8, 9, 12):
        make_forecasts(tenant=acme, now=datetime(2026, 11, day, 2, tzinfo=UTC))
    runs = list_runs(acme)
    assert [run.made_on.day for run in runs] == [8, 9, 12]
    assert count_missed_nights(runs, until=date(2026, 11, 13)) == 2


@pytest.mark.usefixtures("committed_db")
def test_each_tenant_has_one_run_a_day_however_many_knock():
    forget_rate_book()
    publish_test_rates()
    tenant = make_tenant("acme")
    use(tenant, *WEEK)
    made = [forecasts.make_forecasts_due(now=NIGHT + timedelta(hours=hours)) for hours in (0, 0, 1)]
    assert made[0] >= 1 and made[1:] == [0, 0]
    assert len(list_runs(tenant)) == 1
    forecasts.make_forecasts_due(now=NIGHT + timedelta(days=1))
    assert len(list_runs(tenant)) == 2


def test_a_budget_of_a_month_is_told_its_forecast(acme):
    use(acme, *WEEK, cost_center="retail")
    use(acme, *(1,) * 7, cost_center="retail", feature="search")
    terms = BudgetTerms(name="Retail", scope={"cost_center": "retail"}, window="month", amount=Decimal(5))
    retail, _ = create_budget(terms, tenant_id=acme.id, actor="person 1", now=NIGHT)
    both, _ = create_budget(
        replace(terms, name="Retail's chat", scope={"cost_center": "retail", "feature": "chat"}),
        tenant_id=acme.id, actor="person 1", now=NIGHT,
    )  # fmt: skip
    create_budget(replace(terms, name="A day", window="day"), tenant_id=acme.id, actor="person 1", now=NIGHT)
    for days in range(5):
        make_forecasts(tenant=acme, now=NIGHT + timedelta(days=days))
    found = list_budget_forecasts(
        tenant_id=acme.id, starts=dict.fromkeys((retail.id, both.id), NOVEMBER), today=date(2026, 11, 12)
    )
    assert set(found) == {retail.id, both.id} and {len(totals) for totals in found.values()} == {3}
    first, *_ = list_runs(acme, Scope("budget", str(both.id)))
    assert first.total == 21 * CALL + Decimal("0.234107142867")


def test_a_budget_of_another_window_is_forecast_to_its_own_end(acme):
    use(acme, *(2,) * 31, month=10)
    use(acme, *(2,) * 7)
    for window in ("week", "quarter", "year"):
        terms = BudgetTerms(name=window, scope={}, window=window, amount=Decimal(5))
        create_budget(terms, tenant_id=acme.id, actor="person 1", now=NIGHT)
    make_forecasts(tenant=acme, now=NIGHT)
    runs = list_forecasts(tenant_id=acme.id, first=NOVEMBER, after=DECEMBER, kind="budget")
    # 8 November is a Sunday, the last day of its week; two calls a day since 1 October.
    by_month = {run.month: run for run in runs}
    assert by_month[date(2026, 11, 2)].total == 7 * 2 * CALL
    assert by_month[date(2026, 10, 1)].days_elapsed == 38 and by_month[date(2026, 10, 1)].days_ahead == 54
    assert by_month[date(2026, 1, 1)].spent == by_month[date(2026, 10, 1)].spent == 38 * 2 * CALL


def test_events_are_added_to_the_days_ahead_and_leave_unusual_ones_out(acme):
    use(acme, 2, 2, 2, 2, 2, 2, 90)
    terms = EventTerms(date(2026, 11, 20), Decimal("1.5"), "launch", cost_center="retail")
    add_event(terms, tenant_id=acme.id, actor="person 1", now=NIGHT)
    add_event(EventTerms(date(2026, 11, 7), Decimal(0), "load test"), tenant_id=acme.id, actor="person 1", now=NIGHT)
    outlook = read(acme).outlook
    assert outlook.daily[0] == 2 * 4_750_000_000 and outlook.daily[12] == 2 * 4_750_000_000 + 1_500_000_000_000
    assert outlook.expected == (12 + 90 + 2 * 23) * 4_750_000_000 + 1_500_000_000_000
    # It is the cost centre's that it names, and no feature's.
    assert read(acme, cost_center="").outlook.daily[12] == 2 * 4_750_000_000
    assert read(acme, feature="chat").outlook.daily[12] < 1_500_000_000_000


def test_an_event_is_kept_once_taken_back_once_and_each_time_an_act(acme):
    globex = make_tenant("globex")
    terms = EventTerms(date(2026, 11, 20), Decimal("-12.50"), "credit note")
    event, is_new = add_event(terms, tenant_id=acme.id, actor="person 1", now=NIGHT)
    again, is_new_again = add_event(terms, tenant_id=acme.id, actor="key k", now=NIGHT)
    assert (is_new, is_new_again, again) == (True, False, event)
    assert list_events(tenant_id=globex.id) == []
    with pytest.raises(EventUnknown):
        remove_event(tenant_id=globex.id, event_id=event.id, actor="person 9", now=NIGHT)
    remove_event(tenant_id=acme.id, event_id=event.id, actor="person 2", now=NIGHT)
    with pytest.raises(EventUnknown):
        remove_event(tenant_id=acme.id, event_id=event.id, actor="person 2", now=NIGHT)
    assert list_events(tenant_id=acme.id) == []
    assert list_acts(acme) == [
        ("forecast.event_added", "person 1", "-12.500000"),
        ("forecast.event_removed", "person 2", "-12.500000"),
    ]


def test_an_event_is_refused_with_all_that_is_wrong():
    with pytest.raises(EventRefused) as refused:
        read_event_terms({"day": "2026-02-30", "amount": "1e3", "note": "", "why": "x"}, today=date(2026, 11, 8))
    assert [(problem.field, problem.code) for problem in refused.value.problems] == [
        ("why", "unknown_field"), ("day", "wrong_value"), ("amount", "wrong_value"), ("note", "wrong_value"),
    ]  # fmt: skip
    fine = read_event_terms({"day": "2026-11-20", "amount": " -0.000001 ", "note": "x"}, today=date(2026, 11, 8))
    assert fine == EventTerms(date(2026, 11, 20), Decimal("-0.000001"), "x")


def test_parts_are_told_dearest_first_with_what_the_others_cost(acme):
    use(acme, *WEEK, cost_center="retail")
    use(acme, *(1,) * 7, cost_center="")
    views, rest = list_outlooks(tenant=acme, now=NIGHT, by="cost_center", events=())
    assert list(views) == ["retail", ""] and rest == []
    assert sum(view.booked for view in views.values()) == read(acme).booked


def test_globex_sees_and_changes_nothing_of_it(acme):
    globex = make_tenant("globex")
    use(acme, *WEEK)
    make_forecasts(tenant=acme, now=NIGHT)
    make_forecasts(tenant=globex, now=NIGHT)
    assert list_runs(globex) == []
    assert settle_runs([(WHOLE, date(2026, 11, 8), Decimal(1))], tenant_id=globex.id) == 0
    assert read(globex).booked == 0


def make_past(expected, *, run_rate, actual=100, count=60):
    return [
        PastForecast(
            days_elapsed=10, days_ahead=20, spent=50, expected=expected, low=80, high=120, run_rate=run_rate,
            volatility=0.1, actual=actual,
        )
    ] * count  # fmt: skip


def test_the_straight_line_is_shown_where_the_method_did_no_better_in_sixty_forecasts():
    month, history = find_month(date(2026, 11, 8)), History(NOVEMBER, [10, 10, 10, 10, 10, 10, 80])

    def look(past):
        return look_ahead(history, month=month, today_cost=0, events=(), past=past)

    assert look(make_past(90, run_rate=70)).method == MEAN_OF_SEVEN
    assert look(make_past(70, run_rate=90, count=59)).method == MEAN_OF_SEVEN
    worse = look(make_past(70, run_rate=90))
    # 140 in seven days are 20 a day; the method clips the last one to 20 and expects 80 / 7 a day.
    assert (worse.method, worse.expected, set(worse.daily)) == (RUN_RATE, 140 + 20 * 23, {20})
    assert worse.low < worse.expected < worse.high


def test_a_run_is_read_as_it_was_kept(acme):
    run = Run(
        scope=Scope("feature", "chat"), month=NOVEMBER, made_on=date(2026, 11, 8), made_at=NIGHT,
        method="mean_of_seven", days_elapsed=7, days_ahead=23, spent=Decimal("1.000000000001"), expected=Decimal(2),
        low=Decimal(1),
        high=Decimal(3), ceiling=Decimal(4), run_rate=Decimal("2.5"), volatility=0.125, growth=-0.5, bias=None,
        coverage=0.75, facts={"events": "0"},
    )  # fmt: skip
    keep_runs([run], tenant_id=acme.id)
    assert list_runs(acme, Scope("feature", "chat")) == [run]
    settle_runs([(run.scope, run.made_on, Decimal("2.25"))], tenant_id=acme.id)
    assert list_runs(acme, Scope("feature", "chat")) == [replace(run, actual=Decimal("2.25"))]


def test_used_up_is_the_first_day_that_brings_the_month_to_the_amount():
    month = find_month(date(2026, 11, 8))
    outlook = look_ahead(History(NOVEMBER, [10] * 7), month=month, today_cost=0, events=(), past=())
    assert outlook.find_day_used_up(100) == date(2026, 11, 10)
    assert outlook.find_day_used_up(300) == date(2026, 11, 30)
    assert outlook.find_day_used_up(301) is None
    assert outlook.find_day_used_up(70) == date(2026, 11, 8)


def test_a_zone_that_is_not_utc_has_its_own_month():
    now = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    month = find_month(now.astimezone(ZoneInfo("Europe/Paris")).date())
    assert (month.first, month.after, month.days_elapsed, month.days_ahead) == (NOVEMBER, DECEMBER, 0, 30)
