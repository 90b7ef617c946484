"""Calls of the past get a cost centre by the rules: counted before, booked as pairs, the same to the last digit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection

from billing import mapping_trials
from billing.core.mapping import Term
from billing.core.mapping_terms import CostCenterTerms, MappingRefused, RuleTerms
from billing.cost_centers import create_cost_center
from billing.ingestion import ingest_events
from billing.mapping import add_rule, end_rule, list_rules, replace_rule
from billing.mapping_trials import DRAFT_ID, find_trial_days, try_mapping
from billing.reratings import (
    JobRefused,
    JobUnknown,
    cancel_job,
    get_job,
    jobs,
    list_jobs,
    pause_job,
    resume_job,
    start_reallocation,
    work_job,
)
from billing.rollups import apply_batches, reconcile_rollups
from billing.selectors import CostQuery, get_costs
from ledger.act_lists import ActFilters, list_acts
from ledger.selectors import get_entry, list_corrections
from tenants.scope import tenant_scope
from tests.factories import make_event, make_tenant, publish_test_rates

NOW = datetime.now(UTC)
ME = "person 7"
CHAT, SEARCH = Term("feature", ("chat",)), Term("feature", ("search",))
# 200 tokens in at 2.50, 1,000 cached at 1.25, 300 out at 10.00 USD a million: 0.0005 + 0.00125 + 0.003.
COST = Decimal("0.00475")
START, END = find_trial_days(NOW)


@pytest.fixture
def acme(db):
    publish_test_rates()
    acme = make_tenant("acme")
    for code in ("growth", "sales"):
        create_cost_center(CostCenterTerms(code=code), **own(acme))
    return acme


def own(tenant):
    return {"tenant_id": tenant.id, "actor": ME, "now": NOW}


def map_to(code, *terms, tenant, **fields):
    return add_rule(RuleTerms(terms=terms, cost_center=code, **fields), **own(tenant))


def book(tenant, *events, key_id="testkey"):
    events = [make_event(**({"time": NOW} | fields)) for fields in events]
    receipt = ingest_events(tenant_id=tenant.id, api_key_id=key_id, events=list(enumerate(events)), now=NOW)
    return [result.entry_id for result in receipt.results]


def start(tenant, *, first=START, after=END, reason="rules came late"):
    return start_reallocation(
        tenant_id=tenant.id, used_from=first, used_to=after, reason=reason, requested_by=ME, now=NOW
    )


def run(tenant, **fields):
    job_id = start(tenant, **fields)
    while work_job(job_id, now=datetime.now(UTC)):
        pass
    return get_job(job_id, tenant_id=tenant.id)


def roll_up():
    while apply_batches(now=datetime.now(UTC)):
        pass


def sum_by_center(tenant):
    """Calls and cost by cost centre, in the rollups and in the ledger, which say the same."""
    roll_up()
    query = CostQuery(tenant_id=tenant.id, start=START, end=END, granularity="total", group_by=("cost_center",))
    rolled = {row.group[0]: (row.quantities.calls, row.quantities.billed_cost) for row in get_costs(query).rows}
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(
            """SELECT cost_center, sum(calls), sum(billed_cost) FROM ledger_entry
               WHERE tenant_id = %s AND kind <> 'admin_act' GROUP BY cost_center""",
            [tenant.id],
        )
        booked = {center: (calls, cost) for center, calls, cost in cursor.fetchall()}
    assert {center: sums for center, sums in booked.items() if sums[0]} == {
        center: sums for center, sums in rolled.items() if sums[0]
    }
    assert reconcile_rollups(tenant_id=tenant.id, now=datetime.now(UTC)).differences == ()
    return {center: sums for center, sums in rolled.items() if sums[0]}


# --- re-allocation ---


def test_calls_without_a_cost_centre_get_the_one_of_the_rule_that_matches(acme):
    book(acme, {"feature": "chat"}, {"feature": "chat"}, {"feature": "mail"}, {"feature": "chat", "cost_center": "own"})
    assert sum_by_center(acme) == {"": (3, 3 * COST), "own": (1, COST)}
    map_to("growth", CHAT, tenant=acme)
    job = run(acme)
    assert (job.state, job.entries_read, job.impact.total.entries) == ("done", 3, 2)
    assert job.impact.total.before == job.impact.total.after == 9_500_000_000
    assert sum_by_center(acme) == {"": (1, COST), "growth": (2, 2 * COST), "own": (1, COST)}


def test_both_entries_of_the_pair_tell_why_and_the_restatement_by_which_rule(acme):
    (entry_id,) = book(acme, {"feature": "chat", "tags": {"team": "web"}})
    rule = map_to("growth", CHAT, tenant=acme)
    job = run(acme)
    booked = get_entry(tenant_id=acme.id, entry_id=entry_id)
    corrections = list_corrections(tenant_id=acme.id, entry=booked)
    reversal, restatement = sorted(corrections, key=lambda each: each["line"])
    assert (reversal["calls"], reversal["cost_center"], reversal["billed_cost"]) == (-1, "", -COST)
    assert (restatement["calls"], restatement["cost_center"], restatement["billed_cost"]) == (1, "growth", COST)
    told = {
        "team": "web",
        "tokenledger.reverses": entry_id,
        "tokenledger.reason": "re-allocation: rules came late",
        "tokenledger.author": ME,
        "tokenledger.approver": "",
        "tokenledger.job": str(job.id),
    }
    assert reversal["tags"] == told
    assert restatement["tags"] == told | {"tokenledger.mapping_rule": str(rule.id)}
    for name in (
        "rate_version_id",
        "charge_period_start",
        "billing_period",
        "input_tokens",
        "pricing_status",
        "user_ref",
    ):
        assert restatement[name] == booked[name]


def test_a_second_time_changes_nothing(acme):
    book(acme, {"feature": "chat"})
    map_to("growth", CHAT, tenant=acme)
    run(acme)
    before = sum_by_center(acme)
    again = run(acme)
    assert (again.entries_read, again.impact.total.entries) == (1, 0)
    assert sum_by_center(acme) == before


def test_failed_and_unpriced_calls_move_too(acme):
    book(acme, {"feature": "chat", "model": "unheard-of"}, {"feature": "chat", "status": "error", "usage": {}})
    map_to("growth", CHAT, tenant=acme)
    assert run(acme).impact.total.entries == 2
    assert sum_by_center(acme) == {"growth": (2, 0)}


def test_each_call_goes_by_the_rule_of_its_own_day_and_only_days_that_are_asked_for(acme):
    yesterday, long_ago = NOW - timedelta(days=1), NOW - timedelta(days=5)
    book(acme, {"feature": "chat"}, {"feature": "chat", "time": yesterday}, {"feature": "chat", "time": long_ago})
    old = map_to("growth", CHAT, tenant=acme)
    replace_rule(RuleTerms(terms=(CHAT,), cost_center="sales", valid_from=NOW.date()), rule_id=old.id, **own(acme))
    run(acme, first=datetime(yesterday.year, yesterday.month, yesterday.day, tzinfo=UTC))
    assert sum_by_center(acme) == {"": (1, COST), "growth": (1, COST), "sales": (1, COST)}


def test_a_job_goes_page_by_page_and_is_paused_and_resumed_between_them(acme, monkeypatch):
    monkeypatch.setattr(jobs, "CALLS_PER_BOOKING", 2)
    book(acme, *[{"feature": "chat", "time": NOW - timedelta(seconds=n)} for n in range(5)])
    map_to("growth", CHAT, tenant=acme)
    job_id = start(acme)
    assert work_job(job_id, now=NOW)
    pause_job(job_id, actor=ME, now=NOW, tenant_id=acme.id)
    assert not work_job(job_id, now=NOW)
    assert sum_by_center(acme) == {"": (3, 3 * COST), "growth": (2, 2 * COST)}
    with pytest.raises(JobRefused) as refused:
        start(acme)
    assert refused.value.code == "job_under_way"
    resume_job(job_id, actor=ME, now=NOW, tenant_id=acme.id)
    while work_job(job_id, now=NOW):
        pass
    assert sum_by_center(acme) == {"growth": (5, 5 * COST)}
    names = [act.name for act in list_acts(tenant_id=acme.id, filters=ActFilters(), limit=20)]
    assert sorted(name for name in names if name.startswith("reallocation")) == [
        "reallocation.finished", "reallocation.paused", "reallocation.resumed", "reallocation.started",
    ]  # fmt: skip


def test_a_page_that_fails_books_nothing_of_itself(acme, monkeypatch):
    book(acme, {"feature": "chat"})
    map_to("growth", CHAT, tenant=acme)
    job_id = start(acme)
    with monkeypatch.context() as patch:
        patch.setattr("billing.reratings.jobs._count", lambda *args, **named: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            work_job(job_id, now=NOW)
    assert sum_by_center(acme) == {"": (1, COST)}
    assert work_job(job_id, now=NOW)
    assert sum_by_center(acme) == {"growth": (1, COST)}


def test_a_job_of_acme_is_none_of_globex_nor_of_those_who_keep_the_rates(acme):
    job_id = start(acme)
    globex = make_tenant("globex")
    assert get_job(job_id, tenant_id=globex.id) is get_job(job_id) is None
    assert list_jobs(tenant_id=globex.id) == []
    assert job_id not in [job.id for job in list_jobs(limit=50)]
    for tenant_id in (0, globex.id):
        with pytest.raises(JobUnknown):
            cancel_job(job_id, actor=ME, now=NOW, tenant_id=tenant_id)


def test_a_job_without_a_reason_or_without_days_is_refused(acme):
    for fields, code in (({"reason": " "}, "reason_missing"), ({"after": START}, "days_empty")):
        with pytest.raises(JobRefused) as refused:
            start(acme, **fields)
        assert refused.value.code == code


# --- dry run ---


def try_out(tenant, draft=None):
    roll_up()
    return try_mapping(draft, tenant_id=tenant.id, start=START, end=END)


def list_taken(trial):
    return [(one.rule_id, one.share.calls, one.share.billed_cost) for one in trial.rules]


def list_left(trial):
    return [(one.feature, one.api_key_id, one.share.calls, one.share.billed_cost) for one in trial.left]


def test_a_dry_run_counts_what_each_rule_would_take_and_what_stays(acme):
    book(acme, {"feature": "chat"}, {"feature": "Chat"}, {"feature": "mail"}, {"feature": "x", "cost_center": "own"})
    book(acme, {"feature": "mail"}, key_id="other")
    rule = map_to("growth", CHAT, tenant=acme)
    trial = try_out(acme)
    assert list_taken(trial) == [(rule.id, 2, 2 * COST)]
    assert list_left(trial) == [("mail", "other", 1, COST), ("mail", "testkey", 1, COST)]
    assert (trial.left_total.calls, trial.left_total.billed_cost) == (2, 2 * COST)
    assert not trial.is_from_entries
    job = run(acme)
    assert (job.impact.total.entries, job.impact.total.before) == (2, 9_500_000_000)


def test_a_draft_is_tried_at_its_place_as_if_it_had_always_held(acme):
    book(acme, {"feature": "chat"}, {"feature": "search"})
    rule = map_to("growth", CHAT, tenant=acme)
    draft = RuleTerms(
        terms=(Term("feature", ("chat", "search")),), cost_center="sales", valid_from=NOW.date() + timedelta(days=9)
    )
    assert list_taken(try_out(acme, draft)) == [(rule.id, 1, COST), (DRAFT_ID, 1, COST)]
    first = RuleTerms(terms=draft.terms, cost_center="sales", place=1)
    assert list_taken(try_out(acme, first)) == [(DRAFT_ID, 2, 2 * COST), (rule.id, 0, 0)]
    assert [one.id for one in list_rules(tenant_id=acme.id)] == [rule.id]


def test_rules_that_hold_on_some_days_take_those_days_alone(acme):
    book(acme, {"feature": "chat"}, {"feature": "chat", "time": NOW - timedelta(days=3)})
    rule = map_to("growth", CHAT, tenant=acme)
    end_rule(NOW.date() - timedelta(days=2), rule_id=rule.id, **own(acme))
    trial = try_out(acme)
    assert list_taken(trial) == [(rule.id, 1, COST)]
    assert list_left(trial) == [("chat", "testkey", 1, COST)]


@pytest.mark.parametrize(
    ("term", "fields"),
    [(Term("user", ("mia",)), {"user": "mia"}), (Term("tag", ("Web",), "team"), {"tags": {"Team": "web"}})],
)
def test_users_and_tags_are_counted_call_by_call_and_come_to_what_is_booked(acme, monkeypatch, term, fields):
    monkeypatch.setattr(mapping_trials, "CALLS_PER_PAGE", 2)
    book(acme, fields, {"feature": "mail"}, fields | {"model": "unheard-of"}, {"feature": "mail"}, fields)
    draft = RuleTerms(terms=(term,), cost_center="growth")
    trial = try_out(acme, draft)
    assert trial.is_from_entries
    assert list_taken(trial) == [(DRAFT_ID, 3, 2 * COST)]
    assert trial.rules[0].share.unpriced_calls == 1
    assert list_left(trial) == [("mail", "testkey", 2, 2 * COST)]
    map_to("growth", term, tenant=acme)
    run(acme)
    assert sum_by_center(acme) == {"": (2, 2 * COST), "growth": (3, 2 * COST)}


def test_a_dry_run_over_too_many_calls_ends_and_says_up_to_when_it_counted(acme, monkeypatch):
    monkeypatch.setattr(mapping_trials, "CALLS_PER_PAGE", 2)
    monkeypatch.setattr(mapping_trials, "CALLS_READ_MAX", 4)
    book(acme, *[{"time": NOW - timedelta(seconds=10 - n), "user": "mia"} for n in range(9)])
    trial = try_out(acme, RuleTerms(terms=(Term("user", ("mia",)),), cost_center="growth"))
    assert list_taken(trial)[0][1] == 4
    assert trial.counted_to == NOW - timedelta(seconds=7)


def test_a_dry_run_over_more_days_than_are_read_is_refused(acme):
    with pytest.raises(MappingRefused):
        try_mapping(None, tenant_id=acme.id, start=END - timedelta(days=401), end=END)
    with pytest.raises(MappingRefused):
        try_mapping(None, tenant_id=acme.id, start=END, end=END)
