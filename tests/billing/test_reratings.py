"""A price published late: what it would change, what is then booked, and that both are the same to the last digit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.core.rate_documents import read_rates
from billing.explanations import explain_entry
from billing.ingestion import ingest_events
from billing.models import RateJob, RateVersion
from billing.rates import approve_rate, draft_rate, edit_rate, publish_rates, submit_rate
from billing.reratings import (
    JobRefused,
    cancel_job,
    get_job,
    list_jobs,
    pause_job,
    preview_rate,
    resume_job,
    start_preview,
    start_projection,
    start_rerating,
    work_job,
    work_jobs,
)
from billing.rollups import apply_batches, reconcile_rollups
from billing.selectors import get_trace
from ledger.proofs import check_leaf
from ledger.selectors import EntryFilters, get_entry, list_corrections, list_entries
from tenants.scope import tenant_scope
from tests.factories import make_event, make_tenant

pytestmark = pytest.mark.usefixtures("fresh_rate_book")

NOW = datetime.now(UTC)
CUT = "2026-07-30T00:00:00Z"
# USD per million tokens: input, cache write, cache read, output (the price cut of 2026-07-30).
LUNA_BEFORE, LUNA_AFTER = ("1", "1.25", "0.1", "6"), ("0.2", "0.25", "0.02", "1.2")
TERRA_BEFORE, TERRA_AFTER = ("2.5", "3.125", "0.25", "15"), ("2", "2.5", "0.2", "12")
METERS = ("input", "cache_write", "cache_read", "output")


def write_list(model, prices, start="2026-01-01T00:00:00Z", provider="openai", **fields):
    """Above 272,000 input tokens input prices double and the output's is half as much again."""
    meters = {name: {"price": price, "per": 1_000_000} for name, price in zip(METERS, prices, strict=True)}
    factors = dict(zip(METERS, (2, 2, 2, Decimal("1.5")), strict=True))
    dear = {
        name: {"price": format((Decimal(meter["price"]) * factors[name]).normalize(), "f"), "per": 1_000_000}
        for name, meter in meters.items()
    }
    rate = {
        "provider": provider, "model": model, "currency": "USD", "effective_from": start, "meters": meters,
        "context_tiers": [{"input_tokens": 272_000, "compare": ">", "scope": "request", "meters": dear}],
        "source": {"name": "price page"},
    }  # fmt: skip
    (document,) = read_rates({"rates": [rate | fields]})
    return document


def publish(*documents):
    publish_rates(documents, origin="custom", created_by="ann", approved_by="bob", now=NOW)


def book(tenant, *events, key_id="testkey"):
    receipt = ingest_events(tenant_id=tenant.id, api_key_id=key_id, events=list(enumerate(events)), now=NOW)
    return [result.entry_id for result in receipt.results]


def call(time, model="gpt-5.6-luna", **fields):
    usage = fields.pop("usage", {"input_tokens": 100_000, "output_tokens": 10_000})
    return make_event(time=datetime.fromisoformat(time), provider="openai", model=model, usage=usage, **fields)


def run(job_id):
    while work_job(job_id, now=datetime.now(UTC), using="default"):
        pass
    return get_job(job_id)


def publish_late(document, *, confirmed=()):
    """Drafted, submitted and approved by another; the rate's id."""
    rate_id = draft_rate(document, author="ann", now=NOW)
    submit_rate(rate_id, actor="ann", now=NOW, confirmed=confirmed)
    approve_rate(rate_id, actor="bob", now=NOW)
    return rate_id


def list_net(tenant):
    """What stands in the ledger: its entries' costs and calls, summed."""
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(
            """SELECT coalesce(sum(billed_cost), 0), coalesce(sum(calls), 0), coalesce(sum(input_tokens), 0),
                      coalesce(sum(calls) FILTER (WHERE pricing_status = 'unpriced'), 0)
               FROM ledger_entry WHERE tenant_id = %s""",
            [tenant.id],
        )
        return cursor.fetchone()


def find_differences(tenant):
    while apply_batches(now=datetime.now(UTC)):
        pass
    return reconcile_rollups(tenant_id=tenant.id, now=datetime.now(UTC)).differences


def test_the_cut_of_2026_07_30_published_a_week_late(db):
    acme = make_tenant("acme")
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE), write_list("gpt-5.6-terra", TERRA_BEFORE))
    before, at_once, long, short_edge, long_edge, other = book(
        acme,
        call("2026-07-29T23:59:59.999999Z"),
        call("2026-07-30T00:00:00Z"),
        call("2026-08-02T10:00:00Z", usage={
            "input_tokens": 300_000, "cache_write_tokens": 100_000, "cache_read_tokens": 50_000,
            "output_tokens": 10_000,
        }),
        call("2026-08-03T10:00:00Z", usage={"input_tokens": 272_000}),
        call("2026-08-03T10:00:01Z", usage={"input_tokens": 272_001}),
        call("2026-08-03T10:00:02Z", model="gpt-5.6-terra"),
    )  # fmt: skip
    assert find_differences(acme) == ()
    cut = write_list("gpt-5.6-luna", LUNA_AFTER, CUT)

    preview = preview_rate(cut, now=NOW, using="default")
    # 0.16 + 0.65 + 0.272 + 0.544002 before, 0.032 + 0.13 + 0.0544 + 0.1088004 after
    assert (preview.impact.total.entries, preview.impact.tenant_ids) == (4, [acme.id])
    assert (preview.impact.total.before, preview.impact.total.after) == (1_626_002_000_000, 325_200_400_000)
    assert {month: (share.entries, share.before, share.after) for month, share in preview.impact.periods.items()} == {
        date(2026, 7, 1): (1, 160_000_000_000, 32_000_000_000),
        date(2026, 8, 1): (3, 1_466_002_000_000, 293_200_400_000),
    }

    rate_id = publish_late(cut)
    job = run(start_rerating(rate_id, reason="the cut came late", requested_by="bob", now=NOW))
    assert (job.state, job.impact) == ("done", preview.impact)
    assert job.entries_read == job.entries_expected == 4

    assert list_corrections(tenant_id=acme.id, entry=get_entry(tenant_id=acme.id, entry_id=before)) == []
    assert list_corrections(tenant_id=acme.id, entry=get_entry(tenant_id=acme.id, entry_id=other)) == []
    costs = {}
    for entry_id in (at_once, long, short_edge, long_edge):
        entry = get_entry(tenant_id=acme.id, entry_id=entry_id)
        reversal, restated = list_corrections(tenant_id=acme.id, entry=entry)
        costs[entry_id] = (entry["billed_cost"], reversal["billed_cost"], restated["billed_cost"])
        assert (reversal["calls"], restated["calls"]) == (-1, 1)
        assert restated["rate_version_id"] == rate_id
        assert restated["kind"] == reversal["kind"] == "correction"
    assert costs == {
        at_once: (Decimal("0.16"), Decimal("-0.16"), Decimal("0.032")),
        long: (Decimal("0.65"), Decimal("-0.65"), Decimal("0.13")),
        short_edge: (Decimal("0.272"), Decimal("-0.272"), Decimal("0.0544")),
        long_edge: (Decimal("0.544002"), Decimal("-0.544002"), Decimal("0.1088004")),
    }
    # 0.16 stays, Terra's 0.25 + 0.15 stays
    assert list_net(acme) == (Decimal("0.3252004") + Decimal("0.16") + Decimal("0.4"), 6, 994_001, 0)
    assert find_differences(acme) == ()


def test_a_second_run_books_nothing(db):
    acme = make_tenant("acme")
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE))
    book(acme, call("2026-08-01T00:00:00Z"))
    rate_id = publish_late(write_list("gpt-5.6-luna", LUNA_AFTER, CUT))
    run(start_rerating(rate_id, reason="late", requested_by="bob", now=NOW))
    stood = len(list_entries(tenant_id=acme.id, filters=EntryFilters()).entries)
    again = run(start_rerating(rate_id, reason="late", requested_by="bob", now=NOW))
    assert (stood, again.impact.total.entries) == (3, 0)
    assert len(list_entries(tenant_id=acme.id, filters=EntryFilters()).entries) == 3


def test_what_was_unpriced_is_rated_and_counts_as_priced(db):
    acme = make_tenant("acme")
    (entry_id,) = book(acme, call("2026-08-01T00:00:00Z"))
    assert list_net(acme) == (0, 1, 100_000, 1)
    rate_id = publish_late(write_list("gpt-5.6-luna", LUNA_AFTER, CUT))
    job = run(start_rerating(rate_id, reason="its price came", requested_by="bob", now=NOW))
    assert (job.impact.total.rated, job.impact.total.before, job.impact.total.after) == (1, 0, 32_000_000_000)
    pair = list_corrections(tenant_id=acme.id, entry=get_entry(tenant_id=acme.id, entry_id=entry_id))
    assert [(row["kind"], row["billed_cost"]) for row in pair] == [("rating", None), ("rating", Decimal("0.032"))]
    assert list_net(acme) == (Decimal("0.032"), 1, 100_000, 0)
    assert find_differences(acme) == ()


def test_a_trace_counts_what_was_rated_as_priced(db):
    acme = make_tenant("acme")
    book(acme, call("2026-08-01T00:00:00Z", trace_id="ab" * 16, span_id="cd" * 8))
    assert get_trace(tenant_id=acme.id, trace_id="ab" * 16).unpriced == 1
    rate_id = publish_late(write_list("gpt-5.6-luna", LUNA_AFTER, CUT))
    run(start_rerating(rate_id, reason="its price came", requested_by="bob", now=NOW))
    trace = get_trace(tenant_id=acme.id, trace_id="ab" * 16)
    assert (trace.billed_cost, trace.unpriced) == (Decimal("0.032"), 0)


def test_a_correction_is_corrected_by_what_it_comes_to(db):
    acme = make_tenant("acme")
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE))
    (entry_id,) = book(acme, call("2026-08-01T00:00:00Z"))
    for number, prices in enumerate((LUNA_AFTER, ("0.5", "1", "0.1", "5"), LUNA_AFTER)):
        document = write_list("gpt-5.6-luna", prices, CUT)
        preview = preview_rate(document, now=NOW, using="default")
        rate_id = publish_late(document, confirmed=["replaces"] if number else [])
        job = run(start_rerating(rate_id, reason=f"try {number}", requested_by="bob", now=NOW))
        assert job.impact == preview.impact
    chain = list_corrections(tenant_id=acme.id, entry=get_entry(tenant_id=acme.id, entry_id=entry_id))
    assert [str(row["billed_cost"].normalize()) for row in chain] == [
        "-0.16", "0.032", "-0.032", "0.1", "-0.1", "0.032",
    ]  # fmt: skip
    taken_back = [row["tags"]["tokenledger.reverses"] for row in chain if row["calls"] < 0]
    assert taken_back == [entry_id, chain[1]["id"], chain[3]["id"]]
    assert [row["tags"]["tokenledger.reason"] for row in chain[::2]] == ["try 0", "try 1", "try 2"]
    assert list_net(acme)[:2] == (Decimal("0.032"), 1)
    assert find_differences(acme) == ()


def test_a_correction_says_why_and_who_and_its_leaf_and_its_explanation_hold(db):
    acme = make_tenant("acme")
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE))
    book(acme, call("2026-08-01T00:00:00Z", tags={"plan": "gold"}, user="eve", feature="search"), key_id="theirkey")
    rate_id = publish_late(write_list("gpt-5.6-luna", LUNA_AFTER, CUT))
    job_id = start_rerating(rate_id, reason="late", requested_by="bob", now=NOW)
    run(job_id)
    restated, reversal, entry = list_entries(tenant_id=acme.id, filters=EntryFilters()).entries
    assert restated["tags"] == reversal["tags"] == {
        "plan": "gold", "tokenledger.reverses": entry["id"], "tokenledger.reason": "late", "tokenledger.author": "ann",
        "tokenledger.approver": "bob", "tokenledger.job": str(job_id),
    }  # fmt: skip
    for name in ("feature", "user_ref", "event_id", "api_key_id", "billing_period", "charge_period_start"):
        assert restated[name] == reversal[name] == entry[name], name
    hashes = {
        row.pk: bytes(row.content_hash).hex()
        for row in RateVersion.objects.filter(pk__in=[entry["rate_version_id"], rate_id])
    }
    for row in (entry, reversal, restated):
        assert check_leaf(row, rate_version_hash=hashes[row["rate_version_id"]])
        explanation = explain_entry(entry=row)
        assert explanation.agrees
        assert explanation.total == row["billed_cost"]


def test_what_another_rate_prices_is_left_alone(db):
    """A tenant's own contract wins over the list, whoever's price changes; and globex pays the list."""
    acme, globex = make_tenant("acme"), make_tenant("globex")
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE), write_list("gpt-5.6-luna", LUNA_BEFORE, tenant=acme.slug))
    book(acme, call("2026-08-01T00:00:00Z"))
    book(globex, call("2026-08-01T00:00:00Z"), call("2026-08-01T00:00:00Z", service_tier="batch"))
    cut = write_list("gpt-5.6-luna", LUNA_AFTER, CUT)
    assert preview_rate(cut, now=NOW, using="default").impact.tenant_ids == [globex.id]
    own = write_list("gpt-5.6-luna", LUNA_AFTER, CUT, tenant=acme.slug)
    assert preview_rate(own, now=NOW, using="default").impact.tenant_ids == [acme.id]


def test_a_price_of_the_future_touches_nothing_yet(db):
    acme = make_tenant("acme")
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE))
    book(acme, call("2026-08-01T00:00:00Z"))
    later = write_list("gpt-5.6-luna", LUNA_AFTER, "2027-01-01T00:00:00Z")
    assert preview_rate(later, now=NOW, using="default").impact.total.entries == 0


def test_a_price_of_the_future_is_projected_on_the_last_30_days(db):
    """Luna's cut, as if it began on 1 September: what August cost, and what it would have cost. Terra is not asked."""
    acme, asked_at = make_tenant("acme"), datetime(2026, 8, 31, tzinfo=UTC)
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE), write_list("gpt-5.6-terra", TERRA_BEFORE))
    book(
        acme,
        call("2026-07-31T23:59:59Z"),
        call("2026-08-01T00:00:00Z"),
        call("2026-08-20T00:00:00Z"),
        call("2026-08-20T00:00:00Z", model="gpt-5.6-terra"),
        call("2026-08-31T00:00:00Z"),
    )
    later = write_list("gpt-5.6-luna", LUNA_AFTER, "2026-09-01T00:00:00Z")
    for rate_id in (draft_rate(later, author="ann", now=asked_at), publish_late(later)):
        assert run(start_preview(rate_id, requested_by="ann", now=asked_at)).impact.total.entries == 0
        job = run(start_projection(rate_id, requested_by="ann", now=asked_at))
        # 0.16 and 0.032 a call
        total = job.impact.total
        assert (total.entries, total.before, total.after) == (2, 320_000_000_000, 64_000_000_000)
    assert len(list_entries(tenant_id=acme.id, filters=EntryFilters()).entries) == 5


def test_a_count_under_way_is_answered_again_until_the_draft_is_edited(db):
    rate_id = draft_rate(write_list("gpt-5.6-luna", LUNA_AFTER, CUT), author="ann", now=NOW)
    first = start_preview(rate_id, requested_by="ann", now=NOW)
    assert start_preview(rate_id, requested_by="bob", now=NOW) == first
    later = NOW + timedelta(minutes=1)
    edit_rate(rate_id, write_list("gpt-5.6-luna", LUNA_BEFORE, CUT), author="ann", now=later)
    second = start_preview(rate_id, requested_by="ann", now=later)
    assert (get_job(first).state, get_job(second).state) == ("cancelled", "waiting")
    assert [job.id for job in list_jobs(rate_version_id=rate_id)] == [second, first]
    assert [job.id for job in list_jobs(before_id=second, limit=1)] == [first]


def test_a_preview_is_a_job_that_writes_nothing_but_its_result(db):
    acme = make_tenant("acme")
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE))
    book(acme, *(call("2026-08-01T00:00:00Z") for _ in range(3)))
    rate_id = draft_rate(write_list("gpt-5.6-luna", LUNA_AFTER, CUT), author="ann", now=NOW)
    job = run(start_preview(rate_id, requested_by="ann", now=NOW))
    assert (job.state, job.impact.total.entries, job.impact.total.after) == ("done", 3, 96_000_000_000)
    assert len(list_entries(tenant_id=acme.id, filters=EntryFilters()).entries) == 3


def test_a_job_is_paused_resumed_and_cancelled(db, monkeypatch):
    monkeypatch.setattr("billing.reratings.jobs.CALLS_PER_BOOKING", 2)
    acme = make_tenant("acme")
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE))
    book(acme, *(call("2026-08-01T00:00:00Z") for _ in range(7)))
    rate_id = publish_late(write_list("gpt-5.6-luna", LUNA_AFTER, CUT))
    job_id = start_rerating(rate_id, reason="late", requested_by="bob", now=NOW)
    with pytest.raises(JobRefused, match="being re-rated"):
        start_rerating(rate_id, reason="again", requested_by="bob", now=NOW)
    assert work_job(job_id, now=NOW)
    pause_job(job_id, actor="bob", now=NOW)
    assert not work_job(job_id, now=NOW)
    assert (get_job(job_id).entries_read, get_job(job_id).impact.total.entries) == (2, 2)
    resume_job(job_id, actor="bob", now=NOW)
    assert work_job(job_id, now=NOW)
    cancel_job(job_id, actor="bob", now=NOW)
    assert not work_job(job_id, now=NOW)
    with pytest.raises(JobRefused, match="a job that is cancelled cannot be paused"):
        pause_job(job_id, actor="bob", now=NOW)
    assert run(start_rerating(rate_id, reason="the rest", requested_by="bob", now=NOW)).impact.total.entries == 3
    assert list_net(acme)[:2] == (Decimal("0.224"), 7)  # seven times 0.032
    assert find_differences(acme) == ()


def test_a_job_that_failed_books_nothing_says_why_and_goes_on_when_resumed(db, monkeypatch):
    acme = make_tenant("acme")
    publish(write_list("gpt-5.6-luna", LUNA_BEFORE))
    book(acme, call("2026-08-01T00:00:00Z"))
    rate_id = publish_late(write_list("gpt-5.6-luna", LUNA_AFTER, CUT))
    job_id = start_rerating(rate_id, reason="late", requested_by="bob", now=NOW)
    with monkeypatch.context() as broken:
        broken.setattr("billing.reratings.jobs.book_page", lambda *args, **options: 1 / 0)
        work_jobs(now=NOW)
    failed = get_job(job_id)
    assert (failed.state, failed.error, failed.impact.total.entries) == (
        "failed",
        "ZeroDivisionError: division by zero",
        0,
    )
    other = start_rerating(rate_id, reason="again", requested_by="bob", now=NOW)
    with pytest.raises(JobRefused, match="another job"):
        resume_job(job_id, actor="bob", now=NOW)
    cancel_job(other, actor="bob", now=NOW)
    resume_job(job_id, actor="bob", now=NOW)
    assert run(job_id).impact.total.entries == 1


def test_only_what_is_published_re_rates_and_only_for_a_reason(db):
    rate_id = draft_rate(write_list("gpt-5.6-luna", LUNA_AFTER, CUT), author="ann", now=NOW)
    with pytest.raises(JobRefused, match="only what is published"):
        start_rerating(rate_id, reason="late", requested_by="bob", now=NOW)
    with pytest.raises(JobRefused, match="say why"):
        start_rerating(rate_id, reason=" ", requested_by="bob", now=NOW)
    assert not RateJob.objects.filter(rate_version_id=rate_id).exists()


prices = st.sampled_from(["0", "0.1", "0.2", "1", "1.000002", "7", "12.5"])
calls = st.lists(
    st.fixed_dictionaries(
        {
            "hour": st.integers(0, 24 * 12),
            "input_tokens": st.sampled_from([0, 1, 999, 271_999, 272_000, 272_001, 300_000]),
            "output_tokens": st.sampled_from([0, 1, 7, 10_000]),
            "model": st.sampled_from(["luna", "LUNA", "luna-2026", "lunar"]),
            "service_tier": st.sampled_from(["standard", "batch", "default"]),
            "cache_hit": st.booleans(),
            "status": st.sampled_from(["ok", "error"]),
        }
    ),
    min_size=1,
    max_size=12,
)
lists = st.lists(
    st.tuples(
        st.tuples(prices, prices, prices, prices),
        st.integers(0, 12),
        st.integers(1, 6),
        st.booleans(),
        st.sampled_from(["exact", "prefix"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(calls=calls, lists=lists)
def test_a_preview_is_what_the_re_rating_books_whatever_was_booked_and_published(db, calls, lists):
    acme = make_tenant("acme")
    maker = f"maker-of-{acme.slug}"  # what an example published stays until the test ends
    first = datetime(2026, 7, 25, tzinfo=UTC)
    book(
        acme,
        *(
            make_event(
                provider=maker, time=first + timedelta(hours=each["hour"]), model=each["model"],
                service_tier=each["service_tier"], cache_hit=each["cache_hit"], status=each["status"],
                usage={"input_tokens": each["input_tokens"], "output_tokens": each["output_tokens"]},
            )
            for each in calls
        ),
    )  # fmt: skip
    for priced, start, days, has_end, match, is_own in lists:
        fields = {"match": match, "tenant": acme.slug} if is_own else {"match": match}
        if has_end:
            fields["effective_to"] = f"2026-{(first + timedelta(days=start + days)):%m-%d}T00:00:00Z"
        document = write_list(
            "luna", priced, f"2026-{(first + timedelta(days=start)):%m-%d}T00:00:00Z", provider=maker, **fields
        )
        preview = preview_rate(document, now=NOW, using="default").impact
        stood, calls_stood, tokens_stood, _ = list_net(acme)
        rate_id = draft_rate(document, author="ann", now=NOW)
        publish(document)
        if RateVersion.objects.get(pk=rate_id).state == "draft":  # nothing to publish: equal terms
            assert preview.total.entries == 0
            continue
        impact = run(start_rerating(rate_id, reason="property", requested_by="bob", now=NOW)).impact
        assert impact == preview
        net, calls_now, tokens_now, _ = list_net(acme)
        assert net - stood == Decimal(impact.total.after - impact.total.before).scaleb(-12)
        assert (calls_now, tokens_now) == (calls_stood, tokens_stood)
        assert preview_rate(document, now=NOW, using="default").impact.total.entries == 0
    assert find_differences(acme) == ()
