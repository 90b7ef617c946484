import json
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.adjustments import Adjustment, book_adjustment
from ledger.acts import book_act
from ledger.core.acts import Act
from ledger.proofs import check_leaf, check_receipt
from ledger.selectors import EntryFilters, get_batch, list_entries
from tenants.scope import tenant_scope
from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, read_figures, read_tables, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


def book_entry(tenant, **event):
    """Book one event after another, and give the entry of the first."""
    receipt = book(tenant, {"time": on(4), **event}, {"time": on(4)}, {"time": on(4)})
    page = list_entries(tenant_id=tenant.id, filters=EntryFilters(batch_id=receipt.batch_id))
    return page.entries[-1]


def test_an_entry_is_explained_line_by_line_and_the_sum_proved(acme):
    entry = book_entry(acme, feature="chat", cost_center="retail", user="u-17", tags={"plan": "gold"})
    html = get_page(sign_in(acme), f"/ledger/{entry['id']}")
    explanation, usage, bookings = read_tables(html)
    assert explanation[1:] == [
        ["Input", "200", "×", "2.50", "÷", "1,000,000", "=", "0.000500000000"],
        ["Cache read", "1,000", "×", "1.25", "÷", "1,000,000", "=", "0.001250000000"],
        ["Output", "300", "×", "10.00", "÷", "1,000,000", "=", "0.003000000000"],
        ["Billed cost", "", "", "", "", "", "", "0.004750000000"],
    ]
    assert "difference 0.000000000000" in " ".join(html.split())
    assert 'class="total cast"' in html
    assert [row[:5] for row in usage[1:]] == [
        ["Input", "200", "13.3 %", "0.000500", "10.5 %"],
        ["Cache read", "1,000", "66.7 %", "0.00125", "26.3 %"],
        ["Output", "300", "20.0 %", "0.00300", "63.2 %"],
        ["Total", "1,500", "", "0.00475", ""],
    ]
    assert bookings[1][1:2] + bookings[1][3:] == ["usage", "This entry", "+0.004750000000"]
    assert bookings[-1] == ["Net", "", "", "", "+0.004750000000"]
    assert read_figures(html) == ["0.00475", "0.00475", "1500", "1000", "0.00125"] or read_figures(html)[0] == "0.00475"
    for said in ("plan = gold", "for u-17", "retail"):
        assert said in html


def test_what_was_reported_stands_beside_what_was_billed(acme):
    entry = book_entry(acme, reported_cost=Decimal("0.005"))
    html = " ".join(get_page(sign_in(acme), f"/ledger/{entry['id']}").split())
    # 0.00475 − 0.005
    assert "0.005000000000 USD" in html
    assert "billed less reported: −0.000250000000" in html
    unpriced = book_entry(acme, reported_cost=Decimal("0.005"), model="our-llama", event_id="unpriced-1")
    html = get_page(sign_in(acme), f"/ledger/{unpriced['id']}")
    assert "Reported cost" in html
    assert "billed less reported" not in html


def test_an_entry_without_a_reported_cost_does_not_speak_of_it(acme):
    assert "Reported cost" not in get_page(sign_in(acme), f"/ledger/{book_entry(acme)['id']}")


def test_the_proof_is_checked_and_what_is_not_sealed_yet_is_said(acme):
    entry = book_entry(acme)
    html = " ".join(get_page(sign_in(acme), f"/ledger/{entry['id']}").split())
    assert "hashed again, it is the same" in html
    assert "leaf 1 of 3; the path of 2 hashes leads to the root" in html
    assert "the signature (Ed25519) is right, and it names this root" in html
    assert "not sealed yet" in html
    assert "✗" not in html


def test_a_row_that_was_changed_no_longer_hashes_to_its_leaf(acme):
    entry = book_entry(acme, model="no-such-model")
    assert check_leaf(entry, rate_version_hash="")
    for change in ({"feature": "other"}, {"output_tokens": 299}, {"tags": {"a": "b"}}, {"line": entry["line"] + 1}):
        assert not check_leaf(entry | change, rate_version_hash="")
    assert not check_leaf(entry, rate_version_hash="ab" * 32)


def test_a_receipt_that_was_changed_is_not_ours(acme):
    entry = book_entry(acme)
    batch = get_batch(tenant_id=acme.id, batch_id=entry["batch_id"])
    good = check_receipt(batch.receipt)
    assert (good.is_valid, good.root) == (True, batch.root)
    protected, payload, signature = batch.receipt.split(".")
    other = check_receipt(f"{protected}.{payload[:-2]}AA.{signature}")
    assert other.is_valid is not True
    assert check_receipt(f"{protected}.{payload}.{'A' * len(signature)}").is_valid is False
    assert check_receipt("nonsense").is_valid is False
    assert check_receipt("").is_valid is False


def test_an_entry_without_a_price_is_unknown_and_says_why(acme):
    entry = book_entry(acme, model="no-such-model")
    html = get_page(sign_in(acme), f"/ledger/{entry['id']}")
    assert "No published rate matches this provider and model." in html
    assert "$" not in re.sub("<script.*?</script>", "", html, flags=re.S).replace("not $0", "")
    assert html.count('<span class="signal">unknown</span>') >= 4


def test_a_failed_call_that_used_nothing_costs_nothing(acme):
    entry = book_entry(acme, status="error", usage={"input_tokens": 0, "output_tokens": 0})
    html = " ".join(get_page(sign_in(acme), f"/ledger/{entry['id']}").split())
    assert "which <b>failed</b>" in html
    assert "the call failed before it cost anything" in html
    assert read_figures(html)[0] == "0"


def test_other_meters_are_named(acme):
    entry = book_entry(acme, usage={"input_tokens": 10, "output_tokens": 0, "images": 2})
    usage = read_tables(get_page(sign_in(acme), f"/ledger/{entry['id']}"))[0]
    assert ["Images", "2", ""] in [row[:3] for row in usage]


def test_the_raw_row_is_json_with_money_as_text(acme):
    entry = book_entry(acme)
    answer = sign_in(acme).get(f"/ledger/{entry['id']}.json")
    assert answer["Content-Type"] == "application/json"
    row = json.loads(answer.content)
    assert (row["id"], row["billed_cost"], row["input_tokens"]) == (entry["id"], "0.004750000000", 200)


def test_another_tenants_entry_and_none_at_all_are_the_same_404(acme):
    entry = book_entry(acme)
    globex = sign_in(make_tenant("globex"))
    nobodys = "019a8f00-0000-7000-8000-000000000001.0"
    for path in (f"/ledger/{entry['id']}", f"/ledger/{entry['id']}.json", f"/ledger/{nobodys}", "/ledger/1.2"):
        answer = globex.get(path)
        assert answer.status_code == 404
        assert b"There is nothing here" in answer.content
    assert globex.get(f"/ledger/{entry['id'].split('.')[0]}.99999999999999").status_code == 404
    assert globex.get(f"/ledger/{entry['id'].split('.')[0]}.4294967296").status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_batch(acme):
    client = sign_in(acme)

    def count_queries(count):
        receipt = book(acme, *({"time": on(4)} for _ in range(count)))
        with CaptureQueriesContext(connection) as queries:
            get_page(client, f"/ledger/{receipt.batch_id}.0")
        return len(queries)

    assert count_queries(1) == count_queries(50)


def test_an_act_says_what_was_done_and_nothing_of_a_call(acme):
    act = Act(
        name="budget.created", actor="command", facts={"terms": '{"name": "Retail", "amount": "26"}', "budget": "7"}
    )
    with tenant_scope(acme.id):
        entry_id = book_act(tenant_id=acme.id, act=act, now=on(4))
    client = sign_in(acme)
    html = " ".join(get_page(client, f"/ledger/{entry_id}").split())
    for said in (
        "<b>budget created</b>",
        "<dt>Name</dt><dd>Retail</dd>",
        "<dt>Amount</dt><dd>26</dd>",
        "<dd>command</dd>",
    ):
        assert said in html
    for unsaid in ("unallocated", "Billed cost", "Explanation", "Service tier"):
        assert unsaid not in html
    assert "unallocated" not in get_page(client, "/ledger?kind=admin_act&environment=all")


def test_a_credit_stands_in_the_calls_story_with_its_reason(acme):
    entry = book_entry(acme, feature="chat")
    refund = Adjustment("dispute-7", "credit", Decimal("-0.004"), "the provider failed twice", corrects=entry["id"])
    credit_id = book_adjustment(refund, tenant_id=acme.id, actor="person 7", now=datetime.now(UTC))
    for entry_id in (entry["id"], credit_id):
        html = " ".join(get_page(sign_in(acme), f"/ledger/{entry_id}").split())
        assert "the provider failed twice" in html
        assert "−0.004000000000" in html
        assert "+0.000750000000" in html  # 0.00475 − 0.004
