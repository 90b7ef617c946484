"""Every budget is looked at each minute: a threshold is told once a window, with who spent it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from alerts import evaluation, tasks
from alerts.budgets import change_budget, retire_budget
from alerts.core.budgets import Action, BudgetTerms
from alerts.evaluation import evaluate_budgets
from alerts.models import Alert, AlertEvent, BudgetWindow
from billing.job_runs import find_last_slot
from billing.rollups import apply_batches
from tenants.scope import tenant_scope
from tests.alerts.budgets import create
from tests.billing.ledger_rows import book_entries, make_entry
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")
NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
MADE = datetime(2026, 1, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
THRESHOLDS = tuple(Action(percent, "actual", "notify") for percent in (50, 80, 100))
MONTH = BudgetTerms(name="All of it", window="month", amount=Decimal(20_000), actions=THRESHOLDS)


def book(tenant, cost, *, time=NOW, **fields):
    book_entries(tenant, make_entry(time=time, cost=str(cost), **fields))
    while apply_batches(now=datetime.now(UTC)):
        pass


def list_alerts(tenant):
    with tenant_scope(tenant.id):
        return list(Alert.objects.filter(tenant_id=tenant.id).order_by("id"))


def list_episodes(tenant, budget):
    return [(alert.episode.removeprefix(f"{budget.id}:"), alert.severity, alert.state) for alert in list_alerts(tenant)]


def list_windows(tenant):
    with tenant_scope(tenant.id):
        rows = BudgetWindow.objects.filter(tenant_id=tenant.id).order_by("budget_id", "window_start")
        return [(row.window_start, row.window_end, row.limit_amount, row.spent) for row in rows]


def test_a_loop_that_spends_forty_thousand_is_told_within_the_hour_with_feature_user_and_model():
    acme = make_tenant("acme")
    create(acme, MONTH, now=MADE)
    book(acme, 4_100, time=datetime(2026, 11, 12, 9, tzinfo=UTC), feature="chat", user_ref="ada")
    evaluate_budgets(now=NOW)
    assert list_alerts(acme) == []
    for minute in range(1, 61):  # from 12:30 on an agent calls itself, for $40,000 until it is found
        if not list_alerts(acme):
            book(acme, "666.67", time=NOW, feature="agents", user_ref="u-17", model="luna-1")
            evaluate_budgets(now=NOW + minute * MINUTE)
    [first] = list_alerts(acme)
    assert first.opened_at == NOW + 9 * MINUTE  # 4,100 and nine times 666.67 are more than half of 20,000
    assert first.title == (
        "All of it has spent $10,100.03 of $20,000.00, 50\N{NARROW NO-BREAK SPACE}%, "
        "with 71\N{NARROW NO-BREAK SPACE}% of the month gone"
    )
    for name in ("feature agents (59", "user u-17 (59", "model luna-1 (59"):
        assert name in first.facts["sentence"]
    movers = [(mover["dimension"], mover["value"], Decimal(mover["actual"])) for mover in first.facts["movers"]]
    assert movers == [
        ("feature", "agents", Decimal("6000.03")), ("feature", "chat", Decimal(4100)),
        ("user", "u-17", Decimal("6000.03")), ("user", "ada", Decimal(4100)),
        ("model", "luna-1", Decimal("6000.03")), ("model", "gpt-4o-2024-08-06", Decimal(4100)),
    ]  # fmt: skip


def test_each_threshold_is_told_once_a_window():
    acme = make_tenant("acme")
    budget = create(acme, MONTH, now=MADE)
    book(acme, 16_500)
    evaluate_budgets(now=NOW)
    evaluate_budgets(now=NOW + MINUTE)
    assert list_episodes(acme, budget) == [("80:actual:2026-11-01", "warning", "open")]  # of 50 and 80 the higher
    book(acme, 3_500)
    evaluate_budgets(now=NOW + 2 * MINUTE)
    assert list_episodes(acme, budget)[1:] == [("100:actual:2026-11-01", "high", "open")]
    assert list_windows(acme) == [
        (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), Decimal(20_000), Decimal(20_000))
    ]


def test_thresholds_reached_at_once_are_one_alert_that_keeps_each_of_them():
    acme = make_tenant("acme")
    budget = create(acme, MONTH, now=MADE)
    book(acme, 20_000)
    evaluate_budgets(now=NOW)
    [alert] = list_alerts(acme)
    assert alert.episode == f"{budget.id}:100:actual:2026-11-01"
    percent = "\N{NARROW NO-BREAK SPACE}%"
    said = f"At once it reached 50{percent} (somebody is told) and 80{percent} (somebody is told)."
    assert said in alert.facts["sentence"]
    with tenant_scope(acme.id):
        [opened] = AlertEvent.objects.filter(tenant_id=acme.id)
    assert opened.facts == {"thresholds": "50 80 100"}
    # Raised, 80 % is reached and 100 % is not: it was told with the other, and is not told again. 90 % is new.
    more = replace(MONTH, amount=Decimal(22_000), actions=(*THRESHOLDS, Action(90, "actual", "warn")))
    change_budget(more, tenant_id=acme.id, budget_id=budget.id, actor="person 7", now=NOW + MINUTE)
    evaluate_budgets(now=NOW + 2 * MINUTE)
    assert [episode for episode, *_ in list_episodes(acme, budget)] == ["100:actual:2026-11-01", "90:actual:2026-11-01"]


def test_an_alert_ends_an_hour_after_its_window():
    acme = make_tenant("acme")
    budget = create(acme, MONTH, now=MADE)
    book(acme, 10_000)
    evaluate_budgets(now=NOW)
    december = datetime(2026, 12, 1, tzinfo=UTC)
    evaluate_budgets(now=december + 59 * MINUTE)
    assert list_episodes(acme, budget) == [("50:actual:2026-11-01", "info", "open")]
    evaluate_budgets(now=december + 60 * MINUTE)
    assert list_episodes(acme, budget) == [("50:actual:2026-11-01", "info", "resolved")]


def test_what_is_booked_late_still_counts_for_its_window():
    acme = make_tenant("acme")
    budget = create(acme, MONTH, now=MADE, window="hour", amount=Decimal(10))
    evaluate_budgets(now=NOW)
    book(acme, 10, time=NOW + 29 * MINUTE)
    evaluate_budgets(now=NOW + 31 * MINUTE, since=NOW + 30 * MINUTE)
    assert [episode for episode, *_ in list_episodes(acme, budget)] == ["100:actual:2026-11-22T12"]


def test_windows_that_ended_in_an_outage_are_told_after_it():
    acme = make_tenant("acme")
    budget = create(acme, MONTH, now=MADE, window="hour", amount=Decimal(10), actions=THRESHOLDS[2:])
    evaluate_budgets(now=NOW)
    book(acme, 11, time=NOW + 2 * HOUR)
    evaluate_budgets(now=NOW + 5 * HOUR, since=NOW)
    assert list_episodes(acme, budget) == [("100:actual:2026-11-22T14", "high", "open")]
    assert [(start.hour, int(spent)) for start, _, _, spent in list_windows(acme)] == [
        (11, 0), (12, 0), (13, 0), (14, 11), (15, 0), (16, 0), (17, 0),
    ]  # fmt: skip
    evaluate_budgets(now=NOW + 6 * HOUR, since=NOW + 5 * HOUR)
    assert list_episodes(acme, budget) == [("100:actual:2026-11-22T14", "high", "resolved")]


def test_nothing_is_told_of_a_time_before_the_budget_was_made():
    acme = make_tenant("acme")
    book(acme, 11, time=NOW - 2 * HOUR)
    create(acme, MONTH, now=NOW, window="hour", amount=Decimal(10))
    evaluate_budgets(now=NOW, since=NOW - 5 * HOUR)
    assert list_alerts(acme) == []
    assert len(list_windows(acme)) == 1


def test_a_budget_that_is_cut_tells_what_it_has_reached_by_that():
    acme = make_tenant("acme")
    budget = create(acme, MONTH, now=MADE)
    book(acme, 10_000)
    evaluate_budgets(now=NOW)
    less = BudgetTerms(name="All of it", window="month", amount=Decimal(12_000), actions=THRESHOLDS)
    change_budget(less, tenant_id=acme.id, budget_id=budget.id, actor="person 7", now=NOW + MINUTE)
    evaluate_budgets(now=NOW + 2 * MINUTE)
    assert [episode for episode, *_ in list_episodes(acme, budget)] == ["50:actual:2026-11-01", "80:actual:2026-11-01"]


def test_a_retired_budgets_alerts_end():
    acme = make_tenant("acme")
    budget = create(acme, MONTH, now=MADE)
    book(acme, 10_000)
    evaluate_budgets(now=NOW)
    retire_budget(tenant_id=acme.id, budget_id=budget.id, actor="person 7", now=NOW)
    evaluate_budgets(now=NOW + HOUR)
    assert list_episodes(acme, budget) == [("50:actual:2026-11-01", "info", "resolved")]


def test_an_overspent_budget_says_once_an_hour_how_far_it_has_come():
    acme = make_tenant("acme")
    create(acme, MONTH, now=MADE, actions=THRESHOLDS[2:])
    book(acme, 20_001)
    evaluate_budgets(now=NOW, since=NOW - MINUTE)
    assert [alert.impact for alert in list_alerts(acme)] == [1]
    book(acme, 9)
    evaluate_budgets(now=NOW + MINUTE, since=NOW)
    assert [alert.impact for alert in list_alerts(acme)] == [1]
    book(acme, 40)
    evaluate_budgets(now=NOW + 61 * MINUTE, since=NOW + MINUTE)
    [alert] = list_alerts(acme)
    assert (alert.impact, alert.told_impact) == (50, 50)
    assert alert.title.startswith("All of it has spent $20,050.00 of $20,000.00")


def test_what_acme_spends_is_nobody_elses_alert():
    acme, globex = make_tenant("acme"), make_tenant("globex")
    create(globex, MONTH, now=MADE)
    book(acme, 50_000)
    evaluate_budgets(now=NOW)
    assert (list_alerts(acme), list_alerts(globex)) == ([], [])


def test_one_tenants_mishap_is_nobody_elses_and_made_up_for_by_the_next_run(monkeypatch, caplog):
    acme, globex = make_tenant("acme"), make_tenant("globex")
    budgets = [create(tenant, MONTH, now=MADE, actions=THRESHOLDS[:1]) for tenant in (acme, globex)]
    for tenant in (acme, globex):
        book(tenant, 10_000)

    def fail_for_acme(window, *, tenant, now):
        if tenant.id == acme.id:
            raise RuntimeError("a mishap")
        return []

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "list_top", fail_for_acme)
        evaluate_budgets(now=NOW)
    assert "a mishap" in caplog.text
    assert (list_alerts(acme), list_windows(acme), len(list_alerts(globex))) == ([], [], 1)
    evaluate_budgets(now=NOW + MINUTE)
    assert list_episodes(acme, budgets[0]) == [("50:actual:2026-11-01", "info", "open")]
    assert len(list_alerts(globex)) == 1


def test_a_slot_of_the_timetable_is_run_once_however_many_beats(monkeypatch):
    runs = []

    def run(*, now, since):
        runs.append(since)
        return evaluate_budgets(now=now, since=since)

    moments = iter([NOW, NOW + timedelta(seconds=5), NOW + MINUTE])
    monkeypatch.setattr(tasks, "evaluate_budgets", run)
    monkeypatch.setattr(tasks, "timezone", SimpleNamespace(now=lambda: next(moments)))
    monkeypatch.setattr(tasks, "EVALUATE_JOB", f"evaluate budgets of test {make_tenant('acme').id}")
    for _ in range(3):
        tasks.evaluate_every_budget()
    assert runs == [None, NOW]
    assert find_last_slot(job=tasks.EVALUATE_JOB) == NOW + MINUTE
