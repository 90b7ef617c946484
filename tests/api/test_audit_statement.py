"""GET /v1/audit/statement: the month as a file, whole, in parts, or refused in words."""

import hashlib
from datetime import UTC, datetime

import pytest

from audit.files import FORMATS
from tests.api.conftest import Machine
from tests.factories import make_event, make_key

PATH = "/v1/audit/statement"
OCTOBER = {"period": "2026-10"}
# 200 tokens at 2.50, 1,000 cached at 1.25, 300 at 10.00 USD a million.
TWO_EVENTS = "0.009500000000"


@pytest.fixture
def auditor(acme, book):
    book(acme, *(make_event(time=datetime(2026, 10, 5, tzinfo=UTC)) for _ in range(2)))
    return Machine(make_key(acme, "audit"))


def read(response):
    return b"".join(response.streaming_content)


def test_each_format_is_a_file_with_its_name_its_size_and_its_hash(auditor, acme):
    for name, kind in FORMATS.items():
        response = auditor.get(PATH, {**OCTOBER, "format": name})
        assert response.status_code == 200, response.content
        content = read(response)
        assert response.headers["Content-Type"] == kind.content_type
        assert response.headers["Content-Length"] == str(len(content))
        assert response.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        before = "focus-chargeback" if kind.is_focus else "statement"
        filename = f"{before}-{acme.slug}-2026-10.{kind.extension}"
        assert response.headers["Content-Disposition"] == f'attachment; filename="{filename}"'


def test_the_rows_beneath_are_streamed(auditor, acme):
    response = auditor.get(PATH, {**OCTOBER, "format": "rows"})
    heading, *rows = read(response).decode().splitlines()
    assert heading.startswith("kind,corrects,event_source") and heading.endswith(",leaf,batch_id,line")
    assert len(rows) == 2
    assert response.headers["Content-Disposition"] == f'attachment; filename="rows-{acme.slug}-2026-10.csv"'


def test_its_total_is_that_of_the_costs_to_the_last_digit(auditor, acme):
    head = read(auditor.get(PATH, {**OCTOBER, "format": "jsonl"})).splitlines()[0].decode()
    assert f'"billed_cost":"{TWO_EVENTS}"' in head
    reader = Machine(make_key(acme, "read"))
    costs = reader.get("/v1/costs", {"from": "2026-10-01", "to": "2026-11-01", "granularity": "total"}).json()
    assert costs["totals"]["billed_cost"] == TWO_EVENTS


def test_the_filters_of_a_line_find_its_rows_by_the_api(auditor, acme):
    reader = Machine(make_key(acme, "read"))
    filters = {"billing_period": "2026-10", "usage": "cache_read_tokens", "context_tier": 0, "cache_hit": "no"}
    entries = reader.get("/v1/entries", filters).json()["entries"]
    assert len(entries) == 2
    versions = {entry["rate_version_id"] for entry in entries}
    assert len(reader.get("/v1/entries", {"rate_version": versions.pop()}).json()["entries"]) == 2
    for other in ({"rate_version": ""}, {"billing_period": "2026-09"}, {"usage": "images"}, {"cache_hit": "yes"}):
        assert reader.get("/v1/entries", other).json()["entries"] == []


def test_who_has_the_file_gets_it_once(auditor):
    tag = auditor.get(PATH, OCTOBER).headers["ETag"]
    response = auditor.get(PATH, OCTOBER, **{"If-None-Match": f'"other", {tag}'})
    assert (response.status_code, response.content) == (304, b"")


def test_a_part_is_a_part_of_the_same_bytes(auditor):
    whole = auditor.get(PATH, OCTOBER)
    content, tag, size = read(whole), whole.headers["ETag"], int(whole.headers["Content-Length"])
    for asked, part, said in (
        ("bytes=0-9", content[:10], f"bytes 0-9/{size}"),
        ("bytes=10-", content[10:], f"bytes 10-{size - 1}/{size}"),
        ("bytes=-5", content[-5:], f"bytes {size - 5}-{size - 1}/{size}"),
        (f"bytes=5-{size + 100}", content[5:], f"bytes 5-{size - 1}/{size}"),
    ):
        response = auditor.get(PATH, OCTOBER, Range=asked, **{"If-Range": tag})
        assert (response.status_code, response.headers["Content-Range"]) == (206, said)
        assert read(response) == part
    for asked in (f"bytes={size}-", "bytes=-0"):
        response = auditor.get(PATH, OCTOBER, Range=asked)
        assert (response.status_code, response.headers["Content-Range"]) == (416, f"bytes */{size}")
    for asked, condition in (
        ("bytes=0-9", '"another"'),
        ("bytes=0-1,4-5", tag),
        ("bytes=9-1", tag),
        ("lines=1-2", tag),
    ):
        response = auditor.get(PATH, OCTOBER, Range=asked, **{"If-Range": condition})
        assert (response.status_code, read(response)) == (200, content), asked


def test_a_month_that_has_not_begun_or_is_none_is_refused_in_words(auditor):
    this_month = datetime.now(UTC)
    next_month = f"{this_month.year + this_month.month // 12}-{this_month.month % 12 + 1:02}"
    for period, words in (
        (next_month, f"the period {next_month} has not begun."),
        ("2026-13", "a period is a calendar month in UTC, written as 2026-10."),
        ("2026-1", "a period is a calendar month in UTC, written as 2026-10."),
        ("october", "a period is a calendar month in UTC, written as 2026-10."),
        ("２０２６-10", "a period is a calendar month in UTC, written as 2026-10."),
    ):
        response = auditor.get(PATH, {"period": period})
        assert response.status_code == 422
        assert response.json()["problems"] == [{"field": "period", "detail": words}]
    assert auditor.get(PATH, {}).json()["problems"] == [{"field": "period", "detail": "This is required."}]
    assert auditor.get(PATH, {**OCTOBER, "format": "docx"}).status_code == 422
    assert auditor.get(PATH, {**OCTOBER, "view": "mine"}).status_code == 422


def test_a_month_with_nothing_is_an_empty_file(auditor):
    response = auditor.get(PATH, {"period": "2025-10"})
    assert response.status_code == 200
    assert read(response).count(b"\r\n") == 1


def test_it_needs_the_scope_audit_and_shows_no_other_tenant(auditor, acme, globex, operator):
    assert Machine(make_key(acme, "read,admin,ingest")).get(PATH, OCTOBER).status_code == 403
    other = Machine(make_key(globex, "audit"))
    assert read(other.get(PATH, OCTOBER)).count(b"\r\n") == 1
    assert other.get(PATH, OCTOBER, **{"X-Tenant": acme.slug}).status_code == 403
