"""Tiers on a month's quantity, and fees by the day, through POST /v1/events: what it comes to, however it grew."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import DataError, connection

from billing import month_fees
from billing.core.rate_documents import RatesRefused, read_rates
from billing.models import RateJob
from billing.month_fees import FeesFailed, book_daily_fees, book_month_fees, count_months_back
from billing.rates import publish_rates
from billing.reratings import get_job, preview_rate, start_rerating, work_job
from billing.rollups import apply_batches, reconcile_rollups
from ledger.selectors import EntryFilters, list_entries
from tenants.scope import tenant_scope
from tests.api.conftest import Machine
from tests.factories import make_key, make_tenant, make_wire_event

pytestmark = pytest.mark.usefixtures("fresh_rate_book")

NOW = datetime.now(UTC)
THIS_MONTH = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def publish(model, meter, *, name="seat", start="2026-01-01T00:00:00Z", **fields):
    rate = {
        "provider": "tiermaker", "model": model, "currency": "USD", "effective_from": start,
        "meters": {name: {"per": 1} | meter}, "source": {"name": "a contract"},
    }  # fmt: skip
    publish_rates(read_rates({"rates": [rate | fields]}), origin="file", created_by="ann", approved_by="bob", now=NOW)


def tiers(scope, *steps):
    """Steps as (above, price) or (above, price, {flat, size})."""
    return [
        {"above": above, "scope": scope, "price": price} | (more[0] if more else {}) for above, price, *more in steps
    ]


# From OpenMeter's, Lago's and Kill Bill's own tests, typed anew; each ladder with what a month's quantity costs. Two of
# them charge a flat amount of the first tier where nothing was used: we charge nothing then, and say so.
OPENMETER_GRADUATED = {
    "price": "0",
    "quantity_tiers": tiers(
        "graduated", (0, "0", {"flat": "100"}), (5, "0", {"flat": "50"}), (10, "10"), (15, "5")
    ),
}  # fmt: skip
OPENMETER_VOLUME = {
    "price": "0",
    "quantity_tiers": tiers("volume", (0, "0", {"flat": "100"}), (5, "0", {"flat": "150"}), (10, "10"), (15, "5")),
}
LAGO_GRADUATED = {
    "price": "10",
    "quantity_tiers": tiers(
        "graduated", (0, "10", {"flat": "2"}), (10, "5", {"flat": "3"}), (20, "5", {"flat": "3"})
    ),
}  # fmt: skip
LAGO_DECIMAL = {"price": "10", "quantity_tiers": tiers("graduated", ("0.1", "5"), (1, "2"))}
LAGO_VOLUME = {
    "price": "2",
    "quantity_tiers": tiers("volume", (0, "2", {"flat": "10"}), (100, "1"), (200, "0.5", {"flat": "50"})),
}
SLAB = {"price": "50", "quantity_tiers": tiers("graduated", (10, "40"), (20, "30"))}
SLAB_VOLUME = {"price": "50", "quantity_tiers": tiers("volume", (10, "40"), (20, "30"))}
PACKAGE = {"price": "0", "quantity_tiers": tiers("package", (0, "100", {"size": 10}))}
PACKAGE_TEN_FREE = {"price": "0", "quantity_tiers": tiers("package", (10, "100", {"size": 10}))}
PACKAGE_200_FREE = {"price": "0", "quantity_tiers": tiers("package", (200, "100", {"size": 10}))}
KILL_BILL_ALL = {"price": "1.5", "quantity_tiers": tiers("graduated", (10, "1"), (110, "0.5"))}
KILL_BILL_BLOCKS = {
    "price": "0",
    "quantity_tiers": tiers("package", (0, "1", {"size": 100}), (1000, "1", {"size": 1000})),
}
KILL_BILL_TOP = {
    "price": "0",
    "quantity_tiers": tiers(
        "volume", (0, "1", {"size": 100}), (1000, "1", {"size": 1000}), (101_000, "0.5", {"size": 1000})
    ),
}  # fmt: skip
VECTORS = [
    (OPENMETER_GRADUATED, {"0": "0", "3": "100", "5": "100", "5.001": "150", "7": "150", "12": "170", "22": "235"}),
    (OPENMETER_VOLUME, {"0": "0", "3": "100", "5": "100", "14": "140", "15": "150", "16": "80", "100": "500"}),
    (LAGO_GRADUATED, {"0": "0", "1": "12", "10": "102", "11": "110", "12": "115", "21": "163"}),
    (LAGO_DECIMAL, {"0.05": "0.5", "0.5": "3"}),
    (LAGO_VOLUME, {"0": "0", "100": "210", "100.5": "100.5", "101": "101", "300": "200"}),
    (SLAB, {"5": "250", "15": "700", "25": "1050"}),
    (SLAB_VOLUME, {"5": "250", "15": "600", "25": "750"}),
    (PACKAGE, {"0": "0", "121": "1300"}),
    (PACKAGE_TEN_FREE, {"121": "1200"}),
    (PACKAGE_200_FREE, {"121": "0"}),
    (KILL_BILL_ALL, {"111": "115.5"}),
    (KILL_BILL_BLOCKS, {"5325": "15"}),
    (KILL_BILL_TOP, {"1000": "10", "101000": "101", "101001": "51", "300000": "150"}),
]


@pytest.fixture
def acme(db):
    return make_tenant("acme")


def post(acme, model, *quantities, name="seat", time=NOW, **fields):
    """A call for each quantity, through the machines' door."""
    events = [
        make_wire_event(
            provider="tiermaker", model=model, time=time.isoformat(), usage={name: json_number(each)}, **fields
        )
        for each in quantities
    ]
    body = "[" + ",".join(json.dumps(event) for event in events) + "]"
    response = Machine(make_key(acme, "ingest,backfill")).post("/v1/events", body)
    assert response.json()["accepted"] == len(events), response.content


def json_number(text):
    return int(text) if "." not in text else float(text)


def sum_model(acme, model):
    with tenant_scope(acme.id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(billed_cost), 0) FROM ledger_entry WHERE tenant_id = %s AND model = %s",
            [acme.id, model],
        )
        return cursor.fetchone()[0]


def find_differences(acme):
    while apply_batches(now=datetime.now(UTC)):
        pass
    return reconcile_rollups(tenant_id=acme.id, now=datetime.now(UTC)).differences


def test_every_vector_comes_to_what_its_source_says(acme):
    expected = {}
    for number, (meter, costs) in enumerate(VECTORS):
        for quantity, cost in costs.items():
            model = f"ladder-{number}-{quantity}"
            publish(model, meter)
            post(acme, model, quantity)
            expected[model] = Decimal(cost)
    book_month_fees(now=NOW)
    assert {model: sum_model(acme, model) for model in expected} == expected
    assert find_differences(acme) == ()


def test_as_the_month_goes_on_only_the_difference_is_booked(acme):
    """OpenMeter: 17 before and 5 now, at 15 for each 10 begun: one package more."""
    publish("growing", {"price": "0", "quantity_tiers": tiers("package", (0, "15", {"size": 10}))})
    post(acme, "growing", "9", "8")
    assert (book_month_fees(now=NOW), sum_model(acme, "growing")) == (1, 30)
    assert (book_month_fees(now=NOW), sum_model(acme, "growing")) == (0, 30)
    post(acme, "growing", "5")
    assert (book_month_fees(now=NOW + timedelta(seconds=1)), sum_model(acme, "growing")) == (1, 45)
    fees = list_entries(tenant_id=acme.id, filters=EntryFilters(kinds=("fee",))).entries
    assert [str(fee["billed_cost"].normalize()) for fee in fees] == ["15", "3E+1"]
    assert {(fee["calls"], fee["environment"], fee["operation"]) for fee in fees} == {(0, "production", "month")}
    assert fees[0]["tags"]["tokenledger.quantity"] == "22"


def test_a_discount_is_a_negative_fee_and_a_month_begins_anew(acme):
    publish("slab", SLAB)
    post(acme, "slab", "25")
    post(acme, "slab", "12", time=THIS_MONTH - timedelta(seconds=1))
    assert sum_model(acme, "slab") == 1850  # booked at 50 each
    book_month_fees(now=NOW)
    assert sum_model(acme, "slab") == 1050 + 580
    assert find_differences(acme) == ()


def test_each_tenant_has_a_month_of_its_own_and_a_cached_answer_is_no_use(acme):
    globex = make_tenant("globex")
    publish("slab", SLAB)
    post(acme, "slab", "15")
    post(acme, "slab", "10", cache_hit=True)
    post(globex, "slab", "5")
    book_month_fees(now=NOW)
    assert (sum_model(acme, "slab"), sum_model(globex, "slab")) == (700, 250)


def test_tokens_have_ladders_too(acme):
    """20 million input tokens at 1 USD a million up to 10 million, at 0.8 above: 18 USD."""
    publish("tokens", {"price": "1", "per": 1_000_000, "quantity_tiers": tiers("graduated", (10_000_000, "0.8"))},
            name="input")  # fmt: skip
    post(acme, "tokens", "20000000", name="input_tokens")
    book_month_fees(now=NOW)
    assert sum_model(acme, "tokens") == 18
    (fee,) = list_entries(tenant_id=acme.id, filters=EntryFilters(kinds=("fee",))).entries
    assert fee["input_cost"] == fee["billed_cost"] == -2


def test_a_ladder_that_was_replaced_gives_its_fees_back(acme):
    publish("slab", SLAB)
    post(acme, "slab", "25")
    book_month_fees(now=NOW)
    publish("slab", {"price": "7"})
    (rate_id,) = _find_rates("slab", "published")
    job_id = start_rerating(rate_id, reason="no ladder was agreed", requested_by="bob", now=NOW)
    while work_job(job_id, now=NOW):
        pass
    book_month_fees(now=NOW)
    assert sum_model(acme, "slab") == 175
    assert find_differences(acme) == ()


def rerate(model, *, now=NOW):
    """Every version in force, of one model: what they found together."""
    total = 0
    for rate_id in _find_rates(model, "published"):
        job_id = start_rerating(rate_id, reason="the ladder came late", requested_by="bob", now=now)
        while work_job(job_id, now=now):
            pass
        total += get_job(job_id).impact.total.entries
    return total


def test_a_ladder_agreed_late_counts_what_was_booked_at_the_same_base_price(acme):
    """25 at 50 cost 1,250. By the slab 10 at 50, 10 at 40 and 5 at 30: 1,050."""
    publish("late", {"price": "50"})
    post(acme, "late", "15", "10")
    assert (book_month_fees(now=NOW), sum_model(acme, "late")) == (0, 1250)
    publish("late", SLAB)
    assert rerate("late") == 2
    book_month_fees(now=NOW)
    assert sum_model(acme, "late") == 1050
    assert rerate("late") == 0  # they count there now
    publish("late", {"price": "50"})  # and taken back: the ladder's fees with it
    assert rerate("late") == 2
    book_month_fees(now=NOW)
    assert sum_model(acme, "late") == 1250
    assert find_differences(acme) == ()


def test_a_ladder_that_begins_within_the_month_begins_at_zero_and_leaves_the_other_what_came_before(acme):
    """12 at 2 before and 8 after; from then on 1 above 5: 24, and 5 at 2 with 3 at 1."""
    began = THIS_MONTH - timedelta(days=10)
    publish("within", {"price": "2"})
    post(acme, "within", "12", time=began - timedelta(microseconds=1))
    post(acme, "within", "8", time=began)
    publish("within", {"price": "2", "quantity_tiers": tiers("graduated", (5, "1"))}, start=began.isoformat())
    assert rerate("within") == 1
    book_month_fees(now=NOW)
    assert sum_model(acme, "within") == 24 + 13


def test_a_preview_says_which_entries_a_ladder_would_count(acme):
    publish("seen", {"price": "50"})
    post(acme, "seen", "15", "10")
    rate = {
        "provider": "tiermaker", "model": "seen", "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
        "meters": {"seat": {"per": 1} | SLAB}, "source": {"name": "a contract"},
    }  # fmt: skip
    (document,) = read_rates({"rates": [rate]})
    impact = preview_rate(document, now=NOW, using="default").impact
    assert (impact.total.entries, impact.total.before - impact.total.after) == (2, 0)
    publish("seen", SLAB)
    assert rerate("seen") == 2


def test_after_a_re_rating_fees_are_made_up_for_as_far_back_as_its_rate_begins(acme):
    RateJob.objects.update(finished_at=NOW - timedelta(days=2))  # those that other tests left
    assert count_months_back(now=NOW) == 2
    long_ago = (THIS_MONTH - timedelta(days=150)).replace(day=1)
    months = (NOW.year - long_ago.year) * 12 + NOW.month - long_ago.month
    publish("old", SLAB, start=long_ago.isoformat())
    post(acme, "old", "25", time=long_ago)
    book_month_fees(now=NOW, months_back=months)
    assert sum_model(acme, "old") == 1050
    publish("old", {"price": "50"}, start=long_ago.isoformat())
    assert rerate("old") == 1
    assert count_months_back(now=NOW) == months
    book_month_fees(now=NOW, months_back=count_months_back(now=NOW))
    assert sum_model(acme, "old") == 1250
    assert count_months_back(now=NOW + timedelta(days=2)) == 2


def _find_rates(model, state):
    from billing.models import RateVersion

    rows = RateVersion.objects.filter(provider="tiermaker", model=model, state=state)
    return list(rows.values_list("pk", flat=True))


def test_a_daily_fee_is_owed_for_each_day_that_began_whether_anything_was_used_or_not(acme):
    first = (NOW - timedelta(days=9)).replace(hour=0, minute=0, second=0, microsecond=0)
    publish("cluster", {"price": "0"}, start=first.isoformat(), tenant=acme.slug, daily_fee="240.5")
    assert (book_daily_fees(now=NOW), sum_model(acme, "cluster")) == (10, 2405)
    assert (book_daily_fees(now=NOW), sum_model(acme, "cluster")) == (0, 2405)
    assert (book_daily_fees(now=NOW + timedelta(days=1)), sum_model(acme, "cluster")) == (1, Decimal("2645.5"))
    assert find_differences(acme) == ()


def test_one_tenants_slip_in_a_price_keeps_no_others_fees_from_being_booked(acme, monkeypatch):
    globex = make_tenant("globex")
    first = (NOW - timedelta(days=9)).replace(hour=0, minute=0, second=0, microsecond=0)
    for tenant in (acme, globex):
        publish("cluster", {"price": "0"}, start=first.isoformat(), tenant=tenant.slug, daily_fee="240.5")
    book_days = month_fees._book_days

    def refuse_acmes(place, **days):
        if place[0] == acme.id:
            raise DataError("numeric field overflow")
        return book_days(place, **days)

    monkeypatch.setattr(month_fees, "_book_days", refuse_acmes)
    with pytest.raises(FeesFailed, match="1 of the fees could not be booked"):
        book_daily_fees(now=NOW)
    assert (sum_model(acme, "cluster"), sum_model(globex, "cluster")) == (0, 2405)


def test_a_daily_fee_that_changes_for_the_past_is_made_up_for(acme):
    first = (NOW - timedelta(days=9)).replace(hour=0, minute=0, second=0, microsecond=0)
    publish("cluster", {"price": "0"}, start=first.isoformat(), tenant=acme.slug, daily_fee="240")
    book_daily_fees(now=NOW)
    since = (first + timedelta(days=6)).isoformat()
    publish("cluster", {"price": "0"}, start=since, tenant=acme.slug, daily_fee="200")
    assert (book_daily_fees(now=NOW), sum_model(acme, "cluster")) == (4, 6 * 240 + 4 * 200)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"daily_fee": "1"}, "daily_fee: is owed by nobody"),
        ({"meters": {"seat": {"price": "1", "per": 1, "quantity_tiers": tiers("graduated", (5, "1", {"size": 2}))}}},
         "size: belongs to packages"),
        ({"context_tiers": [{"input_tokens": 5, "compare": ">", "scope": "request",
                             "meters": {"seat": {"price": "2", "per": 1}}}]}, "stand beside a context tier of it"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(fields, complaint):
    rate = {
        "provider": "tiermaker", "model": "m", "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
        "meters": {"seat": {"per": 1} | SLAB}, "source": {"name": "a contract"},
    }  # fmt: skip
    with pytest.raises(RatesRefused, match=complaint):
        read_rates({"rates": [rate | fields]})
