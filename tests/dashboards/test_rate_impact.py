"""What a rate would change: counted by a job while the page looks, told to the last digit, never as a zero."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing.rates import edit_rate, withdraw_rate
from billing.reratings import list_jobs, start_rerating, work_jobs
from tests.dashboards.bookings import book
from tests.dashboards.luna import (
    AFTER,
    BEFORE,
    CUT,
    LONG_USAGE,
    MODEL,
    draft,
    publish,
    work,
    write_list,
)
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant

pytestmark = [pytest.mark.django_db(databases=["default", "reader"]), pytest.mark.usefixtures("luna_before_its_cut")]


@pytest.fixture
def beta():
    return make_tenant("beta")


@pytest.fixture
def acme(beta):
    """A long call just before the cut, two after it in two months, and one of another tenant."""
    tenant = make_tenant("acme")
    call = {"model": MODEL, "usage": LONG_USAGE}
    times = (CUT - timedelta(microseconds=1), CUT, datetime(2026, 8, 2, 10, tzinfo=UTC))
    book(tenant, *(call | {"time": time} for time in times))
    book(beta, call | {"time": CUT + timedelta(days=1)})
    return tenant


def address(tenant, rate_id):
    return f"/rates/drafts/{rate_id}/impact?tenant={tenant.slug}"


def read_text(html):
    inline = re.sub(r"</?(?:a|b|data|span|time)\b[^>]*>", "", html)
    return " ".join(re.sub(r"<[^>]+>", " ", inline).split())


def count(client, path, rate_id):
    """Ask for the count by the page's button, and let a worker do it."""
    answer = client.post(path, {"act": "count"})
    assert (answer.status_code, answer["Location"]) == (302, path)
    work(list_jobs(rate_version_id=rate_id)[0].id)


def test_a_count_is_begun_by_the_page_polled_until_it_is_done_and_found_again(acme):
    client, rate_id = sign_in(role="finance"), draft(write_list(AFTER, CUT))
    path = address(acme, rate_id)
    html = get_page(client, path)
    assert "is not counted yet" in html and 'hx-trigger="load, submit"' in html and "every 2s" not in html
    fragment = client.post(path, {"act": "count"}, headers={"HX-Request": "true"}).content.decode()
    assert fragment.lstrip().startswith("<section") and 'hx-trigger="every 2s"' in fragment
    assert "Waits for a worker to count it." in fragment
    again = get_page(client, path)
    assert "Waits for a worker" in again and "Stop counting" in again
    work(list_jobs(rate_version_id=rate_id)[0].id)
    done = client.get(path, headers={"HX-Request": "true"}).content.decode()
    assert "every 2s" not in done and "<progress" not in done
    assert "Count again" in done


def test_what_is_counted_is_told_by_month_and_by_tenant_before_and_after(acme, beta):
    client, rate_id = sign_in(role="admin"), draft(write_list(AFTER, CUT))
    count(client, address(acme, rate_id), rate_id)
    html = get_page(client, address(acme, rate_id))
    months, tenants = read_tables(html)
    # 0.65 USD a call before the cut, 0.13 after it; the call a microsecond before it keeps its price.
    assert months == [
        ["Month", "Entries", "Before", "After", "Difference"],
        ["July 2026", "2", "1.30", "0.26", "−1.04"],
        ["August 2026", "1", "0.65", "0.13", "−0.52"],
        ["Total", "3", "1.95", "0.39", "−1.56"],
    ]
    assert tenants[1:] == [
        [acme.slug, "2", "1.30", "0.26", "−1.04"],
        [beta.slug, "1", "0.65", "0.13", "−0.52"],
        ["Total", "3", "1.95", "0.39", "−1.56"],
    ]
    assert "3 entries of 2 tenants in 2 months would cost $0.39 instead of $1.95." in read_text(html)
    assert 'value="-1.56"' in html and "Book the difference" not in html


def test_of_a_price_to_come_nothing_booked_changes_and_the_last_30_days_are_supposed(acme):
    now = timezone.now()
    book(acme, *({"model": MODEL, "usage": LONG_USAGE, "time": now - timedelta(days=days)} for days in (1, 29, 31)))
    client, rate_id = sign_in(role="finance"), draft(write_list(AFTER, now + timedelta(days=3)))
    assert "What the last 30 days would have cost by it is not counted yet." in get_page(client, address(acme, rate_id))
    count(client, address(acme, rate_id), rate_id)
    html = get_page(client, address(acme, rate_id))
    assert "Nothing that is booked changes." in html
    assert "2 entries of 1 tenant in" in read_text(html)
    assert "would have cost $0.26 instead of $1.30." in read_text(html)
    assert [job.kind for job in list_jobs(rate_version_id=rate_id)] == ["projection"]


def test_what_has_no_price_yet_and_what_is_not_touched_is_said_in_words(acme):
    client = sign_in(role="finance")
    late = {"provider": "openai", "model": "gpt-5.6-sol", "usage": {"input_tokens": 1_000_000}, "time": CUT}
    book(acme, late)
    priced = draft(write_list(AFTER, CUT, model="gpt-5.6-sol"))
    count(client, address(acme, priced), priced)
    html = get_page(client, address(acme, priced))
    assert "would cost $0.40; it has no price yet." in read_text(html)
    assert read_tables(html)[0][1] == ["July 2026", "1 1 had no price", "unknown", "0.40", "+0.40"]
    same = draft(write_list(BEFORE, CUT, tenant=acme.slug))
    count(client, address(acme, same), same)
    assert "None of the 2 calls that it may price costs anything else by it." in read_text(
        get_page(client, address(acme, same))
    )


def test_a_fee_that_is_owed_without_any_call_is_told_beside_the_count(acme):
    client = sign_in(role="finance")
    path = address(acme, draft(write_list(BEFORE, CUT, tenant=acme.slug, daily_fee="240")))
    assert "Counted are its calls alone. Beside them: 240.00 USD a day, used or not." in read_text(
        get_page(client, path)
    )
    plain = address(acme, draft(write_list(BEFORE, CUT, tenant=acme.slug)))
    assert "Counted are its calls alone." not in read_text(get_page(client, plain))


def test_a_count_that_failed_or_was_stopped_says_so_and_shows_no_figure(acme, monkeypatch):
    client, rate_id = sign_in(role="finance"), draft(write_list(AFTER, CUT))
    path = address(acme, rate_id)
    client.post(path, {"act": "count"})
    with monkeypatch.context() as broken:
        broken.setattr("billing.reratings.jobs.read_page", lambda *args, **options: 1 / 0)
        work_jobs(now=timezone.now(), using="default")
    html = get_page(client, path)
    assert "The count failed: what it changes is unknown." in html and "ZeroDivisionError" in html
    assert "$0" not in html and not read_tables(html)
    client.post(path, {"act": "count"})
    client.post(path, {"act": "cancel"})
    client.post(path, {"act": "cancel"})
    html = get_page(client, path)
    assert "The count was stopped: what it changes is unknown." in html and not read_tables(html)


def test_two_clicks_are_one_count_and_an_edit_asks_for_a_new_one(acme):
    client, rate_id = sign_in(role="finance"), draft(write_list(AFTER, CUT))
    path = address(acme, rate_id)
    client.post(path, {"act": "count"})
    client.post(path, {"act": "count"})
    assert len(list_jobs(rate_version_id=rate_id)) == 1
    work(list_jobs(rate_version_id=rate_id)[0].id)
    edit_rate(rate_id, write_list(BEFORE, CUT), author="ann", now=timezone.now())
    assert "is not counted yet" in get_page(client, path)
    withdraw_rate(rate_id, actor="ann", now=timezone.now())
    html = get_page(client, path)
    assert "It was withdrawn" in html and "Count it" not in html


def test_of_a_published_version_the_difference_may_be_booked_with_a_reason(acme):
    client, rate_id = sign_in(role="finance"), publish(write_list(AFTER, CUT))
    count(client, address(acme, rate_id), rate_id)
    html = get_page(client, address(acme, rate_id))
    assert "3 entries of 2 tenants in 2 months should cost $0.39 instead of $1.95." in read_text(html)
    assert "Re-rate 3 entries" in html
    job_id = start_rerating(rate_id, reason="late", requested_by="ann", now=timezone.now())
    html = get_page(client, address(acme, rate_id))
    assert f"It is being re-rated: job {job_id}, waiting." in read_text(html) and "Re-rate 3 entries" not in html
    work(job_id)
    assert "is not counted yet" in get_page(client, address(acme, rate_id))
    count(client, address(acme, rate_id), rate_id)
    html = get_page(client, address(acme, rate_id))
    assert "None of the 3 calls that it may price costs anything else by it." in read_text(html)


def test_nobody_but_those_who_keep_the_rates_finds_the_page(acme):
    globex, rate_id = make_tenant("globex"), draft(write_list(AFTER, CUT))
    path = address(acme, rate_id)
    for client in (sign_in(acme, role="owner"), sign_in(globex, role="owner"), sign_in(role="engineer")):
        assert client.get(path).status_code == 404
        assert client.post(path, {"act": "count"}).status_code == 404
        assert client.get(f"/rates/drafts/{rate_id}/impact?tenant={globex.slug}").status_code == 404
    assert list_jobs(rate_version_id=rate_id) == []
    keeper = sign_in(role="finance")
    assert keeper.get(address(acme, 10**11)).status_code == 404
    assert keeper.get(address(acme, 10**30)).status_code == 404
    assert keeper.post(address(acme, 10**11), {"act": "count"}).status_code == 404
    assert keeper.post(path, {"act": "burn"}).status_code == 400
