"""Whoever changes what decides a price, a limit, an alert or who may do so leaves an act: every write is walked.

What there is to walk is read from the code (`writes.py`): a write that no act comes with fails here, and so does a new
deed of which no scenario shows that it stands or falls with its act.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from django.core.management import get_commands
from django.db import connection
from django.urls import get_resolver

from alerts.budgets import change_budget, create_budget, retire_budget
from alerts.channels import change_channel, create_channel, remove_channel, rotate_secret, send_test
from alerts.core.budget_terms import read_terms as read_budget
from alerts.core.channels import read_terms as read_channel
from alerts.deliveries import retry_delivery
from alerts.forecasts.events import EventTerms, add_event, remove_event
from alerts.models import AlertDelivery
from alerts.thresholds import change_setting
from billing.aliases import add_alias, remove_alias, set_file_aliases
from billing.contents import change_content_days, discard_all_contents, discard_content
from billing.core.alias_rules import NewAlias
from billing.core.drivers import DriverValue
from billing.core.rate_documents import read_rates
from billing.drivers import keep_drivers, take_back_driver
from billing.ingestion import RejectedItem, ingest_events
from billing.keys import end_api_key, make_api_key, rotate_api_key
from billing.members import add_member, reset_password
from billing.rates import (
    IMPORTED,
    ImportSource,
    accept_differences,
    approve_rate,
    comment_rate,
    draft_rate,
    draft_rate_once,
    draft_rates,
    edit_rate,
    end_gone,
    forget_rate_book,
    list_source_differences,
    publish_draft,
    publish_rates,
    return_rate,
    submit_rate,
    withdraw_ending,
    withdraw_rate,
)
from billing.replays import replay_many, replay_rejected
from billing.reratings.jobs import cancel_job, pause_job, resume_job, start_rerating
from billing.rollups import change_reporting_timezone
from billing.tenants import change_fiscal_month, change_limits, open_tenant
from content.contents import change_retention, keep_content
from content.core.messages import Message
from ledger.act_lists import ActFilters, list_acts
from ledger.people import erase_person, refer_to_people
from ledger.rejected import RejectedFilters, list_rejected
from tenants.keys import make_key_id
from tenants.models import OPERATOR_SLUG
from tenants.people import create_user
from tenants.scope import tenant_scope
from tenants.selectors import TenantInfo, get_tenant
from tests.architecture.writes import find_unkept_writes, list_deeds, list_outer_deeds
from tests.factories import make_key, make_tenant, publish_test_rates

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ME = "person 7"
PASSWORD = "correct horse battery staple"

USAGE = "usage: what is booked is an entry itself, under its key"
DERIVED = "made from the ledger, and made again from it at any time"
HISTORY = "kept in a history of its own that nothing is taken out of: `alert_event`"
SENDING = "how a message fares on its way"
RETENTION = "drops what its time is over for, by a rule that everybody knows"
RUNS = "which job ran when"
HOLDS = "what a quota check holds and counts"
SEALING = "the proof of what is booked: a signed tree, written by the sealer alone"
PART = "a write of one that is listed"

# Writes that are none of an administrator's, and why.
NO_ACTS = {
    "audit.export_jobs._end": RUNS,
    "audit.export_jobs._tell": RUNS,
    "audit.export_jobs.ask_export": RUNS,
    "alerts.decisions._keep_tallies": HOLDS,
    "alerts.decisions.count_decision": HOLDS,
    "alerts.deliveries._take": SENDING,
    "alerts.deliveries.gather_digests": SENDING,
    "alerts.episodes._add_event": HISTORY,
    "alerts.episodes.give_feedback": HISTORY,
    "alerts.episodes.open_alert": HISTORY,
    "alerts.evaluation._keep_windows": DERIVED,
    "alerts.forecasts.nightly._tell_budgets": DERIVED,
    "alerts.forecasts.records.keep_runs": DERIVED,
    "alerts.forecasts.records.settle_runs": DERIVED,
    "alerts.holds.add_hold": HOLDS,
    "alerts.holds.settle_holds": HOLDS,
    "alerts.outbox._refresh_unsent": SENDING,
    "alerts.outbox.queue_delivery": SENDING,
    "billing.ingestion._keep_rejected": USAGE,
    "billing.ingestion._keep_tallies": USAGE,
    "billing.job_runs.claim_slot": RUNS,
    "billing.job_runs.end_turn": RUNS,
    "billing.job_runs.forget_slots": RUNS,
    "billing.job_runs.record_run": RUNS,
    "billing.job_runs.record_success": RUNS,
    "billing.job_runs.take_turn": RUNS,
    "billing.rates.imports.keep_upload": "a file to look at: what is accepted of it is an act",
    "billing.reratings.jobs._start_count": "counts what a rate would change, and changes nothing",
    "billing.rollups.batches._add_batches": DERIVED,
    "billing.rollups.batches._claim_batches": DERIVED,
    "billing.rollups.batches.retry_failed_batches": DERIVED,
    "billing.rollups.intake.fold_tallies": DERIVED,
    "billing.rollups.retention.prune_calls_minute": RETENTION,
    "billing.rollups.tables.add_batches_to": DERIVED,
    "billing.rollups.tables.add_batches_to_costs": DERIVED,
    "billing.rollups.tables.add_batches_to_histograms": DERIVED,
    "billing.rollups.tables.add_batches_to_traces": DERIVED,
    "billing.rollups.tables.clear_rows_of": DERIVED,
    "billing.rollups.tables.sum_ledger_into": DERIVED,
    "billing.spans.kept.keep_spans": USAGE,
    "billing.spans.kept.note_waiting": USAGE,
    "billing.spans.kept.prune_spans": RETENTION,
    "billing.spans.kept.settle_spans": USAGE,
    "billing.spans.kept.touch_traces": USAGE,
    "content.contents.keep_content": USAGE,
    "content.contents.prune_contents": RETENTION,
    "content.contents.read_content": "who read it is kept in `content_act`, which nothing is taken out of",
    "dashboards.saved_views.delete_view": "a person's own bookmark",
    "dashboards.saved_views.save_view": "a person's own bookmark",
    "ledger.append._claim_event_keys": USAGE,
    "ledger.append._keep_batches": USAGE,
    "ledger.people.refer_to_people": USAGE,
    "ledger.rejected.keep_rejected": USAGE,
    "ledger.rejected.mark_replayed": "by a key: the entry in its place is the key's own; a person's has an act",
    "ledger.rejected.prune_rejected": RETENTION,
    "tenants.models.UserManager.create_user": "what the library asks for; nobody signs up (`dashboards.accounts`)",
}  # fmt: skip
NO_ACTS_BELOW = {"ledger.sealing.": SEALING}

# What comes to acts by way of others that are walked themselves.
SEALED = "walked where there are seals to decide about: tests/ledger/test_sealing_keys.py"
IS_DEMO = re.compile(r"\.demo(_\w+)?\.")
COMPOSED = {
    "ledger.sealing.decisions.accept_key": SEALED,
    "ledger.sealing.decisions.accept_log": SEALED,
    "ledger.sealing.decisions.accept_memory": SEALED,
    "ledger.sealing.decisions.accept_tree": SEALED,
    "ledger.sealing.decisions.queue_missed": SEALED,
    "ledger.sealing.rotation.replace_key": SEALED,
    "billing.reratings.jobs.work_jobs": "the job that somebody started: its end is an act",
}

READS = "answers a question, and keeps nothing"
# Calls and forms that change nothing of an administrator's, and why.
DOORS_WITHOUT_ACTS = {
    "POST /v1/alerts/<int:alert_id>/<str:step>": HISTORY,
    "POST /v1/budgets/try": READS,
    "POST /v1/content": USAGE,
    "POST /v1/events": USAGE,
    "POST /v1/logs": USAGE,
    "POST /v1/metrics": USAGE,
    "POST /v1/quota/check": HOLDS,
    "POST /v1/rates/<int:rate_id>/previews": READS,
    "POST /v1/rates/examination": READS,
    "POST /v1/rejected/<uuid:rejected_id>/replay": "the entry in its place is the key's own",
    "POST /v1/traces": USAGE,
    "POST /alerts": HISTORY,
    "POST /alerts/<int:alert_id>": HISTORY,
    "POST /audit": "compares seals, and keeps when that was",
    "POST /audit/export": "a file of what the tenant reads anyway",
    "POST /ledger/<entry_id:entry_id>/content": "who read it is kept in `content_act`",
    "POST /rates/check": READS,
    "POST /rates/try": READS,
    "POST /sign-in": "a session",
    "POST /sign-out": "a session",
    "POST /theme": "a cookie",
    "POST /views": "a person's own bookmark",
    "POST /views/<uuid:view_id>/discard": "a person's own bookmark",
}
COMMANDS_WITHOUT_ACTS = {
    "bundle": READS,
    "check_focus": READS,
    "doctor": READS,
    "list_api_keys": READS,
    "load_log": USAGE,
    "load_trace": USAGE,
    "reconcile": DERIVED,
    "setup_database": "before there is a ledger",
    "simulate": USAGE,
    "up": "starts processes",
}


# --- what is there ---


def test_every_write_comes_with_an_act_or_is_none_for_a_reason():
    found = {name for name in find_unkept_writes() if not name.startswith(tuple(NO_ACTS_BELOW))}
    assert sorted(found - set(NO_ACTS)) == [], "book an act with it, or say in NO_ACTS why it is none"
    assert sorted(set(NO_ACTS) - found) == [], "these come with an act by now, or are gone"


def list_api_doors():
    for pattern in get_resolver("api.urls").url_patterns:
        view = pattern.callback.view_class
        for method in ("post", "put", "patch", "delete"):
            if handler := getattr(view, method, None):
                yield f"{method.upper()} /{pattern.pattern}", f"{handler.__module__}.{view.__name__}.{method}"


def list_page_doors():
    for pattern in get_resolver("dashboards.urls").url_patterns:
        methods, view = read_methods(pattern.callback)
        if "POST" in methods:
            yield f"POST /{pattern.pattern}", f"{view.__module__}.{view.__qualname__}"


def read_methods(view):
    """What a view takes, by its `require_http_methods`, any where it has none, and the view without decorators."""
    methods = {"GET", "POST"}
    while True:
        for cell in getattr(view, "__closure__", None) or ():
            if isinstance(cell.cell_contents, list) and {"GET", "POST"} & set(map(str, cell.cell_contents)):
                methods = set(cell.cell_contents)
        if not hasattr(view, "__wrapped__"):
            return methods, view
        view = view.__wrapped__


def test_every_call_and_form_that_changes_something_comes_to_an_act_or_is_listed_with_a_reason():
    doors = dict([*list_api_doors(), *list_page_doors()])
    assert len(doors) > 50
    without = {door for door, name in doors.items() if name not in list_deeds()}
    assert sorted(without - set(DOORS_WITHOUT_ACTS)) == []
    assert sorted(set(DOORS_WITHOUT_ACTS) - set(doors)) == []


def test_every_command_comes_to_an_act_or_is_listed_with_a_reason():
    apps = {"alerts", "api", "audit", "billing", "chargeback", "content", "dashboards", "finops", "ledger", "tenants"}
    ours = {name: app for name, app in get_commands().items() if app in apps}
    deeds = list_deeds()
    without = {
        name
        for name, app in ours.items()
        if not any(deed.startswith(f"{app}.management.commands.{name}.") for deed in deeds)
    }
    assert without == set(COMMANDS_WITHOUT_ACTS)


# --- what is done, and undone with its act ---


@dataclass(frozen=True)
class Scenario:
    """A deed. prepare: takes the world, and gives what does it. acts: their names, in the order of booking."""

    prepare: Callable
    acts: tuple[str, ...]


SCENARIOS: dict[str, Scenario] = {}


def scenario(deed, *acts):
    def keep(prepare):
        SCENARIOS[f"{deed.__module__}.{deed.__qualname__}"] = Scenario(prepare, acts)
        return prepare

    return keep


@pytest.fixture
def world(db, settings):
    """*acme* with a key, a person, a budget, a channel and two rejected events; a rate and an alias of the operator."""
    settings.RATES_FOUR_EYES = True
    publish_test_rates()
    acme = make_tenant("acme")
    yield SimpleNamespace(
        acme=acme,
        id=acme.id,
        key_id=make_key(acme, name="pipeline").split("_")[1],
        settings=settings,
        own={"tenant_id": acme.id, "actor": ME, "now": NOW},
    )
    forget_rate_book()


# --- tenants, people, keys ---


@scenario(open_tenant, "tenant.created")
def _(world):
    return lambda: open_tenant(slug="acme-new", timezone="Europe/Berlin", actor=ME, now=NOW)


@scenario(change_fiscal_month, "tenant.changed")
def _(world):
    return lambda: change_fiscal_month(tenant=world.acme, month=4, actor=ME, now=NOW)


@scenario(change_reporting_timezone, "tenant.changed")
def _(world):
    return lambda: change_reporting_timezone(**world.own, timezone="Europe/Berlin")


@scenario(change_limits, "limits.changed")
def _(world):
    return lambda: change_limits(**world.own, key_id=world.key_id, changes={"events": 5})


@scenario(add_member, "member.added")
def _(world):
    return lambda: add_member(
        email="mia@acme.example", password=PASSWORD, role="owner", tenant_slug=world.acme.slug, actor=ME, now=NOW
    )


@scenario(reset_password, "member.password_set")
def _(world):
    create_user(email="mia@acme.example", password=PASSWORD, role="owner", tenant_slug=world.acme.slug)
    return lambda: reset_password(email="mia@acme.example", password=f"{PASSWORD} too", actor=ME, now=NOW)


@scenario(erase_person, "person.erased")
def _(world):
    with tenant_scope(world.id):
        refer_to_people(tenant_id=world.id, external_ids=["mia@acme.example"], now=NOW)

    def perform():
        with tenant_scope(world.id):
            erase_person(**world.own, external_id="mia@acme.example")

    return perform


@scenario(make_api_key, "key.made")
def _(world):
    return lambda: make_api_key(**world.own, key_id=make_key_id(), name="new", scopes=("read",))


@scenario(rotate_api_key, "key.rotated")
def _(world):
    return lambda: rotate_api_key(
        **world.own, key_id=world.key_id, new_key_id=make_key_id(), overlap=timedelta(hours=1)
    )


@scenario(end_api_key, "key.revoked")
def _(world):
    own = world.own | {"now": datetime.now(UTC)}
    return lambda: end_api_key(**own, key_id=world.key_id)


# --- contents, drivers, rejected events ---


def keep_prompt(world):
    change_retention(tenant_id=world.id, days=30)
    return keep_content(
        tenant_id=world.id, api_key_id=world.key_id, event_source="checkout", event_id="one",
        input=[Message("user", [{"type": "text", "content": "hello"}])], output=[], now=NOW,
    ).content.digest  # fmt: skip


@scenario(change_content_days, "content.retention_changed")
def _(world):
    return lambda: change_content_days(**world.own, days=7)


@scenario(discard_content, "content.deleted")
def _(world):
    digest = keep_prompt(world)
    return lambda: discard_content(**world.own, digest=digest)


@scenario(discard_all_contents, "content.all_deleted")
def _(world):
    keep_prompt(world)
    return lambda: discard_all_contents(**world.own)


ORDERS = [DriverValue("orders", date(2026, 11, 3), Decimal(1250))]


@scenario(keep_drivers, "drivers.kept")
def _(world):
    return lambda: keep_drivers(ORDERS, **world.own)


@scenario(take_back_driver, "drivers.taken_back")
def _(world):
    keep_drivers(ORDERS, **world.own)
    return lambda: take_back_driver("orders", **world.own)


def reject_event(world):
    text = (
        '{"id": "late", "time": "2026-11-22T11:00:00Z", "provider": "openai", "model": "gpt-4o-2024-08-06",'
        ' "usage": {"input_tokens": 1}}'
    )
    ingest_events(
        tenant_id=world.id, api_key_id=world.key_id, events=[], now=NOW,
        rejected=[RejectedItem(0, "late", "wrong_type", "was text", text)],
    )  # fmt: skip
    (rejected,) = list_rejected(tenant_id=world.id)
    return rejected


@scenario(replay_rejected, "rejected.replayed")
def _(world):
    rejected = reject_event(world)
    return lambda: replay_rejected(tenant=world.acme, rejected_id=rejected.id, text=rejected.body, actor=ME, now=NOW)


@scenario(replay_many, "rejected.replayed")
def _(world):
    reject_event(world)
    return lambda: replay_many(tenant=world.acme, filters=RejectedFilters(), after=None, actor=ME, now=NOW)


# --- budgets, channels, thresholds, forecast events ---

BUDGET = {"name": "chat", "scope": {"feature": "chat"}, "window": "month", "amount": 7}


@scenario(create_budget, "budget.created")
def _(world):
    return lambda: create_budget(read_budget(BUDGET), **world.own)


@scenario(change_budget, "budget.changed")
def _(world):
    budget, _ = create_budget(read_budget(BUDGET), **world.own)
    return lambda: change_budget(read_budget(BUDGET | {"amount": 8}), budget_id=budget.id, **world.own)


@scenario(retire_budget, "budget.retired")
def _(world):
    budget, _ = create_budget(read_budget(BUDGET), **world.own)
    return lambda: retire_budget(budget_id=budget.id, **world.own)


HOOK = {"name": "ops", "kind": "webhook", "settings": {"url": "https://hooks.example/secret-path"}}


def make_channel(world):
    channel, _ = create_channel(read_channel(HOOK), **world.own)
    return channel.id


@scenario(create_channel, "alert_channel.created")
def _(world):
    return lambda: create_channel(read_channel(HOOK), **world.own)


@scenario(change_channel, "alert_channel.changed")
def _(world):
    channel_id = make_channel(world)
    return lambda: change_channel(read_channel(HOOK | {"name": "other"}), channel_id=channel_id, **world.own)


@scenario(rotate_secret, "alert_channel.secret_rotated")
def _(world):
    channel_id = make_channel(world)
    return lambda: rotate_secret(channel_id=channel_id, **world.own)


@scenario(remove_channel, "alert_channel.removed")
def _(world):
    channel_id = make_channel(world)
    return lambda: remove_channel(channel_id=channel_id, **world.own)


@scenario(send_test, "alert_channel.tested")
def _(world):
    channel_id = make_channel(world)
    return lambda: send_test(channel_id=channel_id, **world.own)


@scenario(retry_delivery, "alert_delivery.retried")
def _(world):
    delivery_id = send_test(channel_id=make_channel(world), **world.own)
    with tenant_scope(world.id):
        AlertDelivery.objects.filter(tenant_id=world.id, id=delivery_id).update(state="dead", finished_at=NOW)
    return lambda: retry_delivery(delivery_id=delivery_id, **world.own)


@scenario(change_setting, "watch.changed")
def _(world):
    return lambda: change_setting({"new": {"cost_min": "25"}}, **world.own)


PARTY = EventTerms(date(2026, 11, 27), Decimal(100), "launch", "", "")


@scenario(add_event, "forecast.event_added")
def _(world):
    return lambda: add_event(PARTY, **world.own)


@scenario(remove_event, "forecast.event_removed")
def _(world):
    event, _ = add_event(PARTY, **world.own)
    return lambda: remove_event(event_id=event.id, **world.own)


# --- rates and aliases ---

MAKER = "actmaker"


def write_rate(model="one", price="2", **fields):
    return {
        "provider": MAKER, "model": model, "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
        "meters": {"input": {"price": price, "per": 1_000_000}, "output": {"price": "8", "per": 1_000_000}},
        "source": {"name": "a table"},
    } | fields  # fmt: skip


def read_rate(**fields):
    return read_rates({"rates": [write_rate(**fields)]})


def submit_one(world, **fields):
    rate_id = draft_rate(read_rate(**fields)[0], author="person 8", now=NOW)
    settle(rate_id, lambda ids: submit_rate(rate_id, actor="person 8", now=NOW, confirmed=ids))
    return rate_id


def settle(rate_id, step):
    """Take a step, with whatever is asked about it confirmed."""
    from billing.rates import RateStepRefused

    try:
        return step(())
    except RateStepRefused as refused:
        return step({finding.id for finding in refused.findings})


@scenario(draft_rate, "rate.drafted")
def _(world):
    return lambda: draft_rate(read_rate()[0], author=ME, now=NOW)


@scenario(draft_rate_once, "rate.drafted")
def _(world):
    return lambda: draft_rate_once(read_rate()[0], author=ME, now=NOW)


@scenario(edit_rate, "rate.edited")
def _(world):
    rate_id = draft_rate(read_rate()[0], author=ME, now=NOW)
    return lambda: edit_rate(rate_id, read_rate(price="3")[0], author=ME, now=NOW)


@scenario(submit_rate, "rate.submitted")
def _(world):
    rate_id = draft_rate(read_rate()[0], author=ME, now=NOW)
    return lambda: settle(rate_id, lambda ids: submit_rate(rate_id, actor=ME, now=NOW, confirmed=ids))


@scenario(comment_rate, "rate.commented")
def _(world):
    rate_id = draft_rate(read_rate()[0], author=ME, now=NOW)
    return lambda: comment_rate(rate_id, actor=ME, now=NOW, comment="is it so?")


@scenario(return_rate, "rate.returned")
def _(world):
    rate_id = submit_one(world)
    return lambda: return_rate(rate_id, actor=ME, now=NOW)


@scenario(withdraw_rate, "rate.withdrawn")
def _(world):
    rate_id = submit_one(world)
    return lambda: withdraw_rate(rate_id, actor=ME, now=NOW)


@scenario(approve_rate, "rate.approved", "rate.published")
def _(world):
    rate_id = submit_one(world)
    return lambda: approve_rate(rate_id, actor=ME, now=NOW)


@scenario(publish_draft, "rate.published")
def _(world):
    world.settings.RATES_FOUR_EYES = False
    rate_id = draft_rate(read_rate()[0], author=ME, now=NOW)
    return lambda: settle(rate_id, lambda ids: publish_draft(rate_id, actor=ME, now=NOW, confirmed=ids))


@scenario(publish_rates, "rates.published")
def _(world):
    return lambda: publish_rates(read_rate(), origin="file", created_by="person 8", approved_by=ME, now=NOW)


@scenario(draft_rates, "rates.drafted")
def _(world):
    return lambda: draft_rates(read_rate(), origin="file", created_by=ME, now=NOW)


def make_source(*rates):
    """A key of its own, so that nothing is remembered from another test."""
    return ImportSource(f"acts {id(rates)}", "a table", IMPORTED, tuple(read_rates({"rates": list(rates)})), 0, ())


def find_ids(source, model):
    return {each.id for each in list_source_differences(source, now=NOW) if each.model == model}


@scenario(accept_differences, "rates.submitted")
def _(world):
    source = make_source(write_rate())
    ids = find_ids(source, "one")
    return lambda: accept_differences(source, ids, actor=ME, now=NOW)


def leave_out(world):
    publish_rates(
        read_rates({"rates": [write_rate(), write_rate("two")]}), origin=IMPORTED, created_by="person 8",
        approved_by="person 9", now=NOW,
    )  # fmt: skip
    source = make_source(write_rate())
    return source, find_ids(source, "two")


@scenario(end_gone, "rates.ending_asked")
def _(world):
    source, ids = leave_out(world)
    return lambda: end_gone(source, ids, ends_at=NOW + timedelta(days=1), actor=ME, now=NOW)


@scenario(withdraw_ending, "rate.ending_withdrawn")
def _(world):
    source, ids = leave_out(world)
    end_gone(source, ids, ends_at=NOW + timedelta(days=1), actor="person 8", now=NOW)
    return lambda: withdraw_ending(source, ids, actor=ME, now=NOW)


def publish_one(world):
    rate_id = submit_one(world)
    approve_rate(rate_id, actor="person 9", now=NOW)
    return rate_id


def start_job(world):
    return start_rerating(publish_one(world), reason="late discount", requested_by="person 8", now=NOW)


@scenario(start_rerating, "rate.rerating_started")
def _(world):
    rate_id = publish_one(world)
    return lambda: start_rerating(rate_id, reason="late discount", requested_by=ME, now=NOW)


@scenario(pause_job, "rate.rerating_paused")
def _(world):
    job_id = start_job(world)
    return lambda: pause_job(job_id, actor=ME, now=NOW)


@scenario(resume_job, "rate.rerating_resumed")
def _(world):
    job_id = start_job(world)
    pause_job(job_id, actor="person 8", now=NOW)
    return lambda: resume_job(job_id, actor=ME, now=NOW)


@scenario(cancel_job, "rate.rerating_cancelled")
def _(world):
    job_id = start_job(world)
    return lambda: cancel_job(job_id, actor=ME, now=NOW)


ALIAS = NewAlias((MAKER, "my-deployment"), ("openai", "gpt-4o-2024-08-06"))


@scenario(add_alias, "alias.added")
def _(world):
    return lambda: add_alias(ALIAS, actor=ME, now=NOW)


@scenario(remove_alias, "alias.removed")
def _(world):
    add_alias(ALIAS, actor="person 8", now=NOW)
    return lambda: remove_alias(ALIAS.sent, actor=ME, now=NOW)


@scenario(set_file_aliases, "alias.added")
def _(world):
    return lambda: set_file_aliases({ALIAS.sent: ALIAS.means}, actor=ME, now=NOW)


# --- each of them ---


def test_every_deed_has_a_scenario():
    deeds = {name for name in list_outer_deeds() if not IS_DEMO.search(name)}
    assert sorted(deeds - set(COMPOSED)) == sorted(SCENARIOS)


# Every table that a deed may write, but for the ledger's own.
TABLES = (
    "alert_channel", "alert_delivery", "api_key", "billing_period", "billing_period_step", "budget", "business_driver",
    "content", "content_act",
    "forecast_event", "model_alias", "person", "rate_act", "rate_book", "rate_ending", "rate_job", "rate_version",
    "rejected_event", "tenant", "tenants_user", "watch_setting",
)  # fmt: skip
LEDGER = ("event_key", "ledger_batch", "ledger_entry", "outbox")


def read_tables(world):
    """What every table holds, as one hash each, as *acme* sees it and as the operator does."""
    found = {}
    for tenant_id in (world.id, get_tenant(OPERATOR_SLUG).id):
        with tenant_scope(tenant_id), connection.cursor() as cursor:
            for table in (*TABLES, *LEDGER):
                cursor.execute(f"SELECT count(*), md5(string_agg(row::text, '|' ORDER BY row::text)) FROM {table} row")
                found[tenant_id, table] = cursor.fetchone()
    return found


class NoAct(RuntimeError):
    """What a ledger says that takes no act."""


@pytest.mark.parametrize("deed", sorted(SCENARIOS))
def test_a_deed_stands_or_falls_with_its_act(world, monkeypatch, deed):
    perform = SCENARIOS[deed].prepare(world)
    before = read_tables(world)

    def refuse(**what):
        raise NoAct

    with monkeypatch.context() as patch:
        patch.setattr("ledger.acts.append_batches", refuse)
        with pytest.raises(NoAct):
            perform()
    assert read_tables(world) == before

    known = {act.entry_id for act in list_everything(world)}
    made = perform()
    assert read_tables(world) != before
    acts = [act for act in list_everything(world, made) if act.entry_id not in known]
    assert tuple(act.name for act in acts) == SCENARIOS[deed].acts
    for act in acts:
        assert act.actor == ME
        text = " ".join([act.actor, *act.facts, *act.facts.values()])
        assert "@" not in text and PASSWORD not in text
        assert not re.search(r"tl_\w+_|whsec_|hooks\.example/", text), "a secret"


def list_everything(world, made=None):
    """Acts of *acme*, of the operator and of a tenant that was made, in the order of booking."""
    tenants = [world.acme, get_tenant(OPERATOR_SLUG), *([made] if isinstance(made, TenantInfo) else [])]
    acts = [
        act
        for tenant_id in (tenant.id for tenant in tenants)
        for act in list_acts(tenant_id=tenant_id, filters=ActFilters(), limit=1_000)
    ]
    return sorted(acts, key=lambda act: act.batch_id)
