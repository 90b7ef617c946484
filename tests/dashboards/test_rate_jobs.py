"""Re-ratings from their start to their end, and the entry's page that tells what happened to it."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import RateJob
from billing.reratings import get_job, list_jobs, start_preview, work_jobs
from ledger.selectors import EntryFilters, list_entries
from tenants.models import OPERATOR_SLUG
from tenants.selectors import get_tenant
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
def acme():
    """A long call before the cut, and three after it."""
    tenant = make_tenant("acme")
    call = {"model": MODEL, "usage": LONG_USAGE}
    book(tenant, *(call | {"time": CUT + timedelta(hours=hour)} for hour in (-1, 1, 2, 3)))
    return tenant


def read_text(html):
    inline = re.sub(r"</?(?:a|b|data|span|time)\b[^>]*>", "", html)
    return " ".join(re.sub(r"<[^>]+>", " ", inline).split())


def start(client, tenant, rate_id, reason="the cut was published late"):
    return client.post(f"/rates/jobs?tenant={tenant.slug}", {"rate": rate_id, "reason": reason})


def address(tenant, job_id):
    return f"/rates/jobs/{job_id}?tenant={tenant.slug}"


def list_calls(tenant):
    """The tenant's entries, in the order in which they were booked."""
    return list_entries(tenant_id=tenant.id, filters=EntryFilters()).entries[::-1]


def test_a_rerating_is_started_with_a_reason_followed_and_done(acme):
    client, rate_id = sign_in(role="finance"), publish(write_list(AFTER, CUT))
    answer = start(client, acme, rate_id)
    job = list_jobs(rate_version_id=rate_id)[0]
    assert (answer.status_code, answer["Location"]) == (302, address(acme, job.id))
    html = get_page(client, address(acme, job.id))
    assert "every 2s" in html and "the others not counted yet" in html and "the cut was published late" in html
    work(job.id)
    html = get_page(client, address(acme, job.id))
    assert "every 2s" not in html and "3 done, 0 to do." in read_text(html)
    months, tenants = read_tables(html)
    assert months[1:] == [["July 2026", "3", "1.95", "0.39", "−1.56"], ["Total", "3", "1.95", "0.39", "−1.56"]]
    assert tenants[1] == [acme.slug, "3", "1.95", "0.39", "−1.56"]
    [jobs] = read_tables(get_page(client, f"/rates/jobs?tenant={acme.slug}"))
    assert jobs[1][0] == f"Re-rating {job.id} the cut was published late"
    assert jobs[1][2] == "done" and jobs[1][4:] == ["3", "3", "1.95", "0.39", "−1.56"]
    costs = [str(each["billed_cost"].normalize()) for each in list_calls(acme)]
    assert costs == ["0.65", "0.65", "0.65", "0.65", *["-0.65", "0.13"] * 3]


def test_who_asked_is_a_number_in_the_ledger_and_a_name_on_the_page(acme):
    client, rate_id = sign_in(role="finance"), publish(write_list(AFTER, CUT))
    start(client, acme, rate_id)
    operator = get_tenant(OPERATOR_SLUG)
    act = list_entries(tenant_id=operator.id, filters=EntryFilters(kinds=("admin_act",)), limit=1).entries[0]
    assert act["operation"] == "rate.rerating_started"
    assert re.fullmatch(r"person \d+", act["tags"]["actor"])
    assert "Asked by finance-" in read_text(get_page(client, address(acme, list_jobs(rate_version_id=rate_id)[0].id)))


def test_two_clicks_start_one_job_and_what_cannot_be_is_refused_in_a_sentence(acme):
    client, rate_id = sign_in(role="finance"), publish(write_list(AFTER, CUT))
    first = start(client, acme, rate_id)["Location"]
    assert start(client, acme, rate_id)["Location"] == first
    assert len(list_jobs(rate_version_id=rate_id)) == 1
    for refused, said in (
        (start(client, acme, rate_id, reason=" "), "Say why, in 1 to 500 printable characters."),
        (start(client, acme, draft(write_list(BEFORE, CUT))), "Only what is published re-rates what was booked."),
    ):
        assert refused.status_code == 422 and said in read_text(refused.content.decode())
    assert client.post(f"/rates/jobs?tenant={acme.slug}", {"rate": "x", "reason": "y"}).status_code == 400
    assert start(client, acme, 10**11).status_code == 404


def test_a_job_is_paused_goes_on_and_is_ended_each_safe_to_repeat(acme, monkeypatch):
    monkeypatch.setattr("billing.reratings.jobs.CALLS_PER_BOOKING", 1)
    client, rate_id = sign_in(role="admin"), publish(write_list(AFTER, CUT))
    start(client, acme, rate_id)
    job_id = list_jobs(rate_version_id=rate_id)[0].id
    path = address(acme, job_id)
    work(job_id, pages=1)
    assert "1 done, 2 to do." in read_text(get_page(client, path))
    for step, state in (("pause", "paused"), ("resume", "waiting")):
        for _ in range(2):
            assert client.post(path, {"step": step})["Location"] == path
            assert get_job(job_id).state == state
        jobs = read_text(get_page(client, f"/rates/jobs?tenant={acme.slug}"))
        assert ("is paused and waits for somebody to let it go on" in jobs) == (state == "paused")
    fragment = client.post(path, {"step": "cancel"}, headers={"HX-Request": "true"})
    assert fragment.content.decode().lstrip().startswith("<div") and "cancelled" in fragment.content.decode()
    refused = client.post(path, {"step": "resume"})
    assert refused.status_code == 409
    assert "A job that is cancelled cannot be waiting." in read_text(refused.content.decode())
    assert len(list_calls(acme)) == 6
    assert client.post(path, {"step": "burn"}).status_code == 400


def test_a_job_that_failed_says_why_and_goes_on_where_it_was(acme, monkeypatch):
    client, rate_id = sign_in(role="admin"), publish(write_list(AFTER, CUT))
    start(client, acme, rate_id)
    job_id = list_jobs(rate_version_id=rate_id)[0].id
    with monkeypatch.context() as broken:
        broken.setattr("billing.reratings.jobs.book_page", lambda *args, **options: 1 / 0)
        work_jobs(now=timezone.now())
    assert "It failed and stopped. ZeroDivisionError: division by zero" in read_text(
        get_page(client, address(acme, job_id))
    )
    client.post(address(acme, job_id), {"step": "resume"})
    work(job_id)
    assert get_job(job_id).state == "done"


def test_a_job_that_no_worker_takes_says_so(acme):
    client, rate_id = sign_in(role="admin"), publish(write_list(AFTER, CUT))
    start(client, acme, rate_id)
    job_id = list_jobs(rate_version_id=rate_id)[0].id
    assert "No worker has taken it." not in get_page(client, address(acme, job_id))
    RateJob.objects.filter(pk=job_id).update(created_at=timezone.now() - timedelta(minutes=1))
    assert "No worker has taken it." in get_page(client, address(acme, job_id))


def test_an_entrys_page_tells_the_whole_chain_from_each_of_its_ends(acme):
    client, rate_id = sign_in(role="finance"), publish(write_list(AFTER, CUT))
    start(client, acme, rate_id)
    job_id = list_jobs(rate_version_id=rate_id)[0].id
    work(job_id)
    untouched, first = list_calls(acme)[:2]
    reversal, restated = (each for each in list_calls(acme) if each["corrects"] == first["id"])
    pages = {}
    for entry in (first, reversal, restated):
        html = pages[entry["id"]] = get_page(client, f"/ledger/{entry['id']}?tenant={acme.slug}")
        rows = read_tables(html)[-1]
        said = [row[3] for row in rows[1:4]]
        assert rows[1][4] == "+0.650000000000" and rows[2][4] == "−0.650000000000" and rows[3][4] == "+0.130000000000"
        assert rows[4] == ["Net", "", "", "", "+0.130000000000"]
        assert [row[1] for row in rows[1:4]] == ["usage", "correction", "correction"]
        assert [row[2] for row in rows[1:4]] == [str(each["rate_version_id"]) for each in (first, reversal, restated)]
        assert rows[3][2] == str(rate_id)
        assert said[1].split(" takes back ")[1] == f"{first['id'][:8]}…{first['id'][-6:]}"
        assert (
            f"stands states it anew: the cut was published late job {job_id}, rate written by ann, approved by bob"
            in (said[2])
        )
        others = {each["id"] for each in (first, reversal, restated)} - {entry["id"]}
        assert all(f"/ledger/{other}?tenant={acme.slug}" in html for other in others)
        assert f"/rates/jobs/{job_id}?tenant={acme.slug}" in html
    assert "followed by 2 more bookings" in read_text(pages[first["id"]])
    assert "followed by" not in read_text(pages[restated["id"]])
    [*_, alone] = read_tables(get_page(client, f"/ledger/{untouched['id']}?tenant={acme.slug}"))
    assert [row[3] for row in alone[1:]] == ["This entry", ""]
    theirs = get_page(sign_in(acme, role="owner"), f"/ledger/{restated['id']}")
    assert "the cut was published late" in theirs and "/rates/jobs/" not in theirs


def test_the_model_page_leads_those_who_keep_the_rates_to_what_a_version_changes(acme):
    rate_id = publish(write_list(AFTER, CUT))
    path = f"/rates/openai/{MODEL}?tenant={acme.slug}"
    assert f"/rates/drafts/{rate_id}/impact?tenant={acme.slug}" in get_page(sign_in(role="finance"), path)
    for client in (sign_in(role="engineer"), sign_in(acme, role="owner")):
        assert "/impact" not in get_page(client, path)


def test_nobody_but_those_who_keep_the_rates_finds_a_job(acme):
    globex, rate_id = make_tenant("globex"), publish(write_list(AFTER, CUT))
    keeper = sign_in(role="finance")
    start(keeper, acme, rate_id)
    job_id = list_jobs(rate_version_id=rate_id)[0].id
    for client in (sign_in(acme, role="owner"), sign_in(globex, role="owner"), sign_in(role="engineer")):
        for path in ("/rates/jobs", f"/rates/jobs/{job_id}"):
            assert client.get(f"{path}?tenant={acme.slug}").status_code == 404
            assert client.get(f"{path}?tenant={globex.slug}").status_code == 404
        assert client.post(address(acme, job_id), {"step": "cancel"}).status_code == 404
        assert start(client, acme, rate_id).status_code == 404
    assert get_job(job_id).state == "waiting"
    assert keeper.get(address(acme, 10**30)).status_code == 404
    assert keeper.post(address(acme, 10**30), {"step": "pause"}).status_code == 404
    page = get_page(keeper, f"/rates/jobs?tenant={acme.slug}&before={job_id}")
    assert f"/rates/jobs/{job_id}?" not in page


def test_the_number_of_queries_does_not_grow_with_the_jobs(acme):
    client, rate_id = sign_in(role="finance"), publish(write_list(AFTER, CUT))

    def count_queries(path):
        get_page(client, path)
        with CaptureQueriesContext(connection) as queries:
            get_page(client, path)
        return len(queries)

    start(client, acme, rate_id)
    paths = [f"/rates/jobs?tenant={acme.slug}", f"/rates/drafts/{rate_id}/impact?tenant={acme.slug}"]
    client.post(paths[1], {"act": "count"})
    before = [count_queries(path) for path in paths]
    for number in range(5):
        start_preview(publish(write_list(AFTER, CUT, model=f"luna-{number}")), requested_by=f"person {number}",
                      now=timezone.now())  # fmt: skip
        client.post(paths[1], {"act": "count"})
    assert [count_queries(path) for path in paths] == before
