"""Archives that a worker makes: asked for once, made once, told how far they are."""

from datetime import UTC, datetime

import pytest

from audit.entries import write_leaves
from audit.export_jobs import LEASE, ask_export, get_export, open_made, work_exports
from audit.exports import forget_old_files
from audit.rows import stream_rows
from audit.sealed_months import find_sealed_month
from billing.job_runs import end_turn, take_turn
from billing.rates import forget_rate_book
from tests.audit.months import OCTOBER, book_october
from tests.audit.verifying import find_faults
from tests.dashboards.pages import get_page, sign_in
from tests.factories import make_tenant, name_maker
from tests.ledger.sealing import seal

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def no_remembered_rate_book():
    forget_rate_book()
    yield
    forget_rate_book()


@pytest.fixture
def acme(committed_db):
    tenant = make_tenant("acme")
    book_october(tenant, provider=name_maker(tenant))
    seal(at_once=True)
    return tenant


def clock():
    return datetime.now(UTC)


def test_an_archive_is_asked_for_made_once_and_told(acme, tmp_path):
    asked = {"tenant_id": acme.id, "period": OCTOBER}
    assert get_export(**asked) is None
    ask_export(**asked, now=clock())
    first = get_export(**asked)
    assert (first.state, first.entries, first.expected, first.is_under_way) == ("waiting", 0, 0, True)
    ask_export(**asked, now=clock())
    assert get_export(**asked) == first  # it is under way
    assert work_exports(clock=clock) >= 1
    month = find_sealed_month(tenant=acme, period=OCTOBER, now=clock())
    job = get_export(**asked)
    assert (job.state, job.entries, job.expected) == ("done", month.entries, month.entries)
    with open_made(job, tenant=acme).content as content:
        assert find_faults(tmp_path, content.read()) == []
    assert work_exports(clock=clock) == 0


@pytest.mark.parametrize("what", ["rows", "entries"])
def test_rows_and_entries_are_made_too_each_as_they_are_streamed(acme, what):
    asked = {"tenant_id": acme.id, "period": OCTOBER, "what": what}
    ask_export(**asked, now=clock())
    assert work_exports(clock=clock) >= 1
    job = get_export(**asked)
    month = find_sealed_month(tenant=acme, period=OCTOBER, now=clock())
    file = open_made(job, tenant=acme)
    streamed = {"rows": stream_rows(tenant_id=acme.id, period=OCTOBER), "entries": write_leaves(month)}[what]
    with file.content as content:
        assert content.read() == b"".join(streamed)
    assert file.name == {"rows": f"rows-{acme.slug}-2026-10.csv", "entries": f"entries-{acme.slug}-2026-10.jsonl"}[what]
    assert job.entries == job.expected > 0
    assert get_export(tenant_id=acme.id, period=OCTOBER) is None  # the archive is another file
    forget_old_files(now=clock().timestamp() + 7 * 3600)
    assert open_made(job, tenant=acme) is None


def test_what_another_worker_makes_is_left_to_it_until_it_says_nothing_more(acme):
    asked = {"tenant_id": acme.id, "period": OCTOBER}
    ask_export(**asked, now=clock())
    turn = f"export {acme.id} 2026-10 bundle"
    assert take_turn(job=turn, holder="another", lease=LEASE)
    assert work_exports(clock=clock) == 0
    assert get_export(**asked).state == "waiting"
    end_turn(job=turn, holder="another")  # as when its lease is over
    assert work_exports(clock=clock) == 1


def test_a_month_that_cannot_be_made_says_why_and_may_be_asked_for_again(committed_db):
    tenant = make_tenant("acme")
    asked = {"tenant_id": tenant.id, "period": OCTOBER}
    ask_export(**asked, now=clock())
    work_exports(clock=clock)
    job = get_export(**asked)
    assert job.state == "failed" and job.error
    ask_export(**asked, now=clock())
    assert get_export(**asked).state == "waiting"
    work_exports(clock=clock)


def test_a_long_month_is_made_by_a_worker_and_its_page_says_how_far(acme, monkeypatch):
    monkeypatch.setattr("dashboards.views.audit_export.ENTRIES_AT_ONCE", 1)
    client = sign_in(acme)
    answer = client.get("/audit/bundle?period=2026-10")
    assert (answer.status_code, answer["Location"]) == (302, "/audit/export?period=2026-10")
    html = get_page(client, "/audit/export?period=2026-10")
    assert "Have it made" in html and "hx-get" not in html
    assert client.post("/audit/export?period=2026-10")["Location"] == "/audit/export?period=2026-10"
    html = get_page(client, "/audit/export?period=2026-10")
    assert "Waiting for a worker" in html and 'hx-get="/audit/export?period=2026-10"' in html
    work_exports(clock=clock)
    part = client.get("/audit/export?period=2026-10", headers={"HX-Request": "true"}).content.decode()
    assert "It is made" in part and "<html" not in part and "hx-get" not in part
    archive = client.get("/audit/export/file?period=2026-10")
    assert (archive.status_code, archive["Content-Type"]) == (200, "application/zip")
    assert archive.getvalue().startswith(b"PK")
    stranger = sign_in(make_tenant("globex"))
    assert stranger.get(f"/audit/export?period=2026-10&tenant={acme.slug}").status_code == 404
    assert stranger.post(f"/audit/export?period=2026-10&tenant={acme.slug}").status_code == 404
