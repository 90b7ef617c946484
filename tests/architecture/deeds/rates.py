"""Rates, what they change of what is booked, and aliases."""

from datetime import timedelta

from billing.aliases import add_alias, remove_alias, set_file_aliases
from billing.core.alias_rules import NewAlias
from billing.core.rate_documents import read_rates
from billing.rates import (
    IMPORTED,
    ImportSource,
    RateStepRefused,
    accept_differences,
    approve_rate,
    comment_rate,
    draft_rate,
    draft_rate_once,
    draft_rates,
    edit_rate,
    end_gone,
    list_source_differences,
    publish_draft,
    publish_rates,
    return_rate,
    submit_rate,
    withdraw_ending,
    withdraw_rate,
)
from billing.reratings.jobs import cancel_job, pause_job, resume_job, start_rerating
from tests.architecture.deeds.scenario import ME, NOW, scenario

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
