"""A rate through the machines' door: drafted, submitted, approved by another key, previewed, re-rated."""

from datetime import UTC, datetime

import pytest

from billing.models import RateVersion
from billing.rates import forget_rate_book, load_rate_book
from billing.reratings import work_job
from tenants.selectors import get_tenant
from tests.api.conftest import Machine
from tests.factories import make_event, make_key, put_drafts_aside

NOW = datetime.now(UTC)
PER_MILLION = {"per": 1_000_000}
RATE = {
    "provider": "doormaker",
    "model": "door-1",
    "currency": "USD",
    "effective_from": "2026-01-01T00:00:00Z",
    "meters": {"input": {"price": "2", **PER_MILLION}, "output": {"price": "10", **PER_MILLION}},
    "source": {"name": "a contract"},
}


@pytest.fixture
def ann(db):
    yield Machine(make_key(get_tenant("operator"), "admin", name="ann"))
    forget_rate_book()


@pytest.fixture
def bob(db):
    return Machine(make_key(get_tenant("operator"), "admin", name="bob"))


def ask(machine, path, body=None, *, status=200):
    response = machine.get(path) if body is None else machine.post(path, body)
    assert response.status_code == status, response.content
    return response.json()


def draft(machine, **fields):
    (version,) = ask(machine, "/v1/rates", {"rates": [RATE | fields]}, status=201)["drafts"]
    return version


def publish(ann, bob, confirmed=(), **fields):
    path = f"/v1/rates/{draft(ann, **fields)['id']}"
    ask(ann, f"{path}/submit", {"confirmed": list(confirmed)})
    return ask(bob, f"{path}/approve", {})


def test_a_rate_goes_from_draft_to_published_by_two_keys(ann, bob):
    version = draft(ann)
    assert (version["state"], version["examination"]["findings"]) == ("draft", [])
    path = f"/v1/rates/{version['id']}"
    ask(ann, f"{path}/submit", {"comment": "as agreed"})
    refused = ask(ann, f"{path}/approve", {}, status=409)
    assert (refused["code"], refused["reason"]) == ("rate_refused", "rate_needs_another")
    published = ask(bob, f"{path}/approve", {})
    assert published["state"] == "published"
    assert [(act["act"], act["comment"]) for act in published["acts"]] == [
        ("drafted", ""), ("submitted", "as agreed"), ("approved", ""), ("published", ""),
    ]  # fmt: skip
    assert {act["actor"] for act in published["acts"]} == {published["created_by"], published["approved_by"]}
    assert ask(ann, "/v1/rates?provider=doormaker")["versions"][0]["id"] == version["id"]


def test_what_was_edited_since_it_was_looked_at_is_not_approved(ann, bob):
    path = f"/v1/rates/{draft(ann)['id']}"
    looked_at = ask(ann, f"{path}/submit", {})["mark"]
    ask(ann, f"{path}/return", {})
    dearer = RATE | {"meters": {"input": {"price": "3", **PER_MILLION}, "output": {"price": "10", **PER_MILLION}}}
    assert ann.client.put(path, dearer, content_type="application/json", headers=ann.headers).status_code == 200
    now_is = ask(ann, f"{path}/submit", {})["mark"]
    refused = ask(bob, f"{path}/approve", {"seen": looked_at}, status=409)
    assert refused["reason"] == "rate_changed"
    assert ask(bob, f"{path}/approve", {"seen": now_is})["state"] == "published"


def test_a_question_is_confirmed_before_a_rate_is_submitted(ann, bob):
    publish(ann, bob)
    dearer = RATE["meters"] | {"input": {"price": "25", **PER_MILLION}}
    path = f"/v1/rates/{draft(ann, effective_from='2026-06-01T00:00:00Z', meters=dearer)['id']}"
    refused = ask(ann, f"{path}/submit", {}, status=422)
    assert refused["code"] == "rate_has_findings"
    assert [finding["id"] for finding in refused["findings"]] == ["far_away:input"]
    assert ask(ann, f"{path}/submit", {"confirmed": ["far_away:input"]})["state"] == "in_review"


def test_a_preview_says_what_a_re_rating_then_books(acme, ann, bob, book):
    publish(ann, bob)
    event = {"provider": "doormaker", "model": "door-1", "usage": {"input_tokens": 1_000_000}}
    book(acme, *(make_event(time=datetime(2026, 8, day, tzinfo=UTC), **event) for day in (1, 2, 3)))
    version = draft(ann, effective_from="2026-08-02T00:00:00Z", meters=RATE["meters"] | {
        "input": {"price": "1.5", **PER_MILLION},
    })  # fmt: skip
    path = f"/v1/rates/{version['id']}"
    preview = finish(ann, ask(ann, f"{path}/previews", {}, status=202))
    assert (preview["state"], preview["entries_read"]) == ("done", 2)
    assert preview["total"] == {
        "entries": 2, "rated": 0, "unrated": 0, "before": "4.000000000000", "after": "3.000000000000",
        "difference": "-1.000000000000",
    }  # fmt: skip
    assert preview["periods"] == [{"tenant": acme.slug, "billing_period": "2026-08-01", **preview["total"]}]

    assert ask(ann, f"{path}/reratings", {"reason": "late"}, status=409)["reason"] == "rate_state"
    ask(ann, f"{path}/submit", {})
    ask(bob, f"{path}/approve", {})
    job = ask(bob, f"{path}/reratings", {"reason": "published late"}, status=202)
    paused = ask(bob, f"/v1/rates/jobs/{job['id']}/pause", {})
    assert paused["state"] == "paused"
    ask(bob, f"/v1/rates/jobs/{job['id']}/resume", {})
    booked = finish(bob, job)
    assert (booked["total"], booked["periods"]) == (preview["total"], preview["periods"])
    assert ask(bob, f"/v1/rates/jobs/{job['id']}/cancel", {}, status=409)["reason"] == "job_state"
    assert ask(ann, path)["jobs"] == [job["id"], preview["id"]]


def finish(machine, job):
    while work_job(job["id"], now=NOW, using="default"):
        pass
    return ask(machine, f"/v1/rates/jobs/{job['id']}")


def test_a_draft_is_edited_and_examined_without_being_kept(ann):
    version = draft(ann)
    other = RATE | {"model": "door-2"}
    edited = ann.client.put(f"/v1/rates/{version['id']}", other, content_type="application/json", headers=ann.headers)
    assert edited.json()["rate"]["model"] == "door-2"
    count = RateVersion.objects.count()
    found = ask(ann, "/v1/rates/examination", RATE | {"meters": {"input": {"price": 0.25, **PER_MILLION}}})
    assert [finding["id"] for finding in found["findings"]] == ["missing_meter:output"]
    assert found["prices"][0]["after"] == "0.25"
    assert RateVersion.objects.count() == count


def test_everything_that_is_wrong_with_a_rate_is_said_at_once(ann):
    wrong = RATE | {"effective_from": "soon", "meters": {"input": {"price": "-1", "per": 0}}}
    refused = ask(ann, "/v1/rates", {"rates": [wrong]}, status=422)
    assert refused["code"] == "rate_invalid"
    assert {problem["field"] for problem in refused["problems"]} == {
        "rates[0].effective_from", "rates[0].meters.input.price", "rates[0].meters.input.per",
    }  # fmt: skip
    assert ask(ann, "/v1/rates", {"rates": [RATE | {"tenant": "nobody"}]}, status=422)["code"] == "rate_invalid"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ('{"rates": [{"provider": "a", "provider": "b"}]}', "body_malformed"),  # which of the two is meant?
        (b'{"rates": ["\xff"]}', "body_malformed"),
        ('{"rates": ' + "[" * 100_000, "body_malformed"),
        ('{"rates": ' + "9" * 5_000 + "}", "body_malformed"),
        ('{"rates": [NaN]}', "rate_invalid"),
        ('{"rates": [], "aliases": []}', "rate_invalid"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_by_name(ann, body, code):
    response = ann.post("/v1/rates", body)
    assert (response.status_code < 500, response.json()["code"]) == (True, code)


def test_where_one_person_is_enough_a_file_is_published_at_once(ann, settings):
    refused = ask(ann, "/v1/rates?publish=true", {"rates": [RATE]}, status=409)
    assert refused["reason"] == "rate_needs_another"
    assert not RateVersion.objects.filter(provider="doormaker").exists()  # all or none
    settings.RATES_FOUR_EYES = False
    (version,) = ask(ann, "/v1/rates?publish=true", {"rates": [RATE]}, status=201)["drafts"]
    assert version["state"] == "published"


def test_a_file_that_is_refused_leaves_no_price_behind_in_the_process(ann, settings):
    settings.RATES_FOUR_EYES = False
    without_output = {"meters": {"input": {"price": "2", **PER_MILLION}}}
    ask(
        ann, "/v1/rates?publish=true",
        {"rates": [RATE | {"model": "first"}, RATE | {"model": "second"} | without_output]}, status=422,
    )  # fmt: skip
    book = load_rate_book(at_least_version=0)
    assert book.find("doormaker", "first", NOW, "standard", "", 1) is None


def test_a_tenants_key_reads_its_prices_and_changes_nothing(acme, globex, ann, bob):
    ours = publish(ann, bob, tenant=acme.slug)
    drafted = draft(ann, tenant=acme.slug, effective_from="2026-03-01T00:00:00Z")
    theirs = Machine(make_key(acme, "admin,read"))
    told = ask(theirs, f"/v1/rates/{ours['id']}")
    assert (told["rate"]["tenant"], told["acts"], told["created_by"]) == (acme.slug, [], "")
    assert ask(theirs, f"/v1/rates/{drafted['id']}", status=404)["code"] == "rate_unknown"
    stranger = Machine(make_key(globex, "admin,read"))
    assert ask(stranger, f"/v1/rates/{ours['id']}", status=404)["code"] == "rate_unknown"
    for path, body in (
        ("/v1/rates", {"rates": [RATE]}), (f"/v1/rates/{ours['id']}/comment", {"comment": "hm"}),
        (f"/v1/rates/{ours['id']}/previews", {}), (f"/v1/rates/{ours['id']}/reratings", {"reason": "x"}),
        ("/v1/rates/jobs/1/pause", {}), ("/v1/rates/examination", RATE), ("/v1/rates/jobs/1", None),
        ("/v1/rates?state=draft", None),
    ):  # fmt: skip
        assert ask(theirs, path, body, status=403)["code"] == "operators_only", path


def test_drafting_needs_the_scope_admin_and_reading_none(db):
    put_drafts_aside()
    reader = Machine(make_key(get_tenant("operator"), "read"))
    assert ask(reader, "/v1/rates", {"rates": [RATE]}, status=403)["code"] == "scope_missing"
    assert ask(reader, "/v1/rates?state=draft")["rates"] == []


def test_what_is_not_there_and_a_step_that_is_none_are_said(ann):
    for path, body in (
        ("/v1/rates/999999999", None), ("/v1/rates/999999999/comment", {"comment": "hm"}),
        ("/v1/rates/999999999/previews", {}), ("/v1/rates/jobs/999999999", None),
        ("/v1/rates/999999999/burn", {}), ("/v1/rates/jobs/1/burn", {}),
    ):  # fmt: skip
        ask(ann, path, body, status=404)
