"""Settings › Exports: who may, what is shown of a target and its days, and that no secret comes back."""

from datetime import UTC, datetime

import pytest

from chargeback.core.export_targets import read_terms
from chargeback.exports.runs import queue_days
from chargeback.exports.standing import list_runs
from chargeback.exports.targets import add_target, list_targets
from tests.dashboards.pages import sign_in
from tests.factories import make_tenant

NOW = datetime.now(UTC)
BUCKET = {
    "name": "Finance’s lake", "place": "lake/cost", "region": "eu-central-1", "endpoint": "", "first_day": "2026-11-01",
    "access_key_id": "AKIAEXAMPLE", "secret_access_key": "hush-hush", "path_style": "on", "enabled": "on",
}  # fmt: skip


@pytest.fixture
def acme(db, settings):
    settings.EXPORT_ROOT = ""
    return make_tenant("acme")


def add_bucket(tenant, **fields):
    document = {name: value for name, value in BUCKET.items() if name not in ("path_style", "enabled")} | fields
    terms = read_terms(document | {"kind": "s3"}, kinds=("s3",), schemes=("https",), today=NOW.date())
    return add_target(terms, tenant_id=tenant.id, actor="person 1", now=NOW)


def test_an_owner_adds_a_bucket_and_sees_nothing_of_its_secret_again(acme):
    owner = sign_in(acme, role="owner")
    answer = owner.post("/settings/exports/new?kind=s3", BUCKET | {"act": "changed"}, follow=True)
    assert "The target is added" in answer.content.decode()
    (target,) = list_targets(tenant_id=acme.id)
    assert (target.shown_place, target.region) == ("s3://lake/cost", "eu-central-1")
    for path in ("/settings/exports", f"/settings/exports/{target.id}", "/audit/log"):
        page = owner.get(path).content.decode()
        assert "hush-hush" not in page and "AKIAEXAMPLE" not in page


def test_a_form_with_slips_says_all_of_them_and_keeps_nothing(acme):
    owner = sign_in(acme, role="owner")
    answer = owner.post("/settings/exports/new?kind=s3", BUCKET | {"place": "Lake", "endpoint": "http://10.0.0.1"})
    page = answer.content.decode()
    assert answer.status_code == 422 and list_targets(tenant_id=acme.id) == []
    assert "Must be a bucket" in page and "Must be https:// and a host" in page and "hush-hush" not in page


def test_a_folder_is_offered_to_the_operators_people_below_a_root_alone(acme, settings, tmp_path):
    settings.EXPORT_ROOT = str(tmp_path)
    finance, owner = sign_in(role="finance"), sign_in(acme, role="owner")
    form = BUCKET | {"place": "finance", "region": "", "access_key_id": "", "secret_access_key": ""}
    path = "/settings/exports/new?kind=folder"
    assert owner.post(path, form).status_code == 400
    assert finance.post(f"{path}&tenant={acme.slug}", form).status_code == 302
    (target,) = list_targets(tenant_id=acme.id)
    assert target.kind == "folder"
    assert owner.post(f"/settings/exports/{target.id}", form | {"act": "removed"}).status_code == 403
    assert owner.post("/settings/exports", {"target": target.id}).status_code == 403
    tested = finance.post(f"/settings/exports?tenant={acme.slug}", {"target": target.id}).content.decode()
    assert "Finance’s lake works." in tested
    assert [path.name for path in (tmp_path / "finance").iterdir()] == ["tokenledger-test.json"]


def test_viewers_look_and_may_do_nothing_and_another_tenant_finds_nothing(acme):
    target = add_bucket(acme)
    viewer = sign_in(acme, role="viewer")
    for path in ("/settings/exports", f"/settings/exports/{target.id}"):
        page = viewer.get(path).content.decode()
        assert "lake/cost" in page and "Again" not in page and "New target" not in page
        assert viewer.post(path, {"target": target.id, "act": "removed"}).status_code == 403
    assert viewer.get("/settings/exports/new").status_code == 403
    globex = sign_in(make_tenant("globex"), role="owner")
    assert globex.get(f"/settings/exports/{target.id}").status_code == 404
    assert globex.post("/settings/exports", {"target": target.id}).status_code == 404


def test_a_target_is_changed_without_its_secret_a_day_made_again_and_the_target_removed(acme):
    owner, target = sign_in(acme, role="owner"), add_bucket(acme)
    queue_days(tenant_id=acme.id, now=NOW)
    path, form = f"/settings/exports/{target.id}", BUCKET | {"access_key_id": "", "secret_access_key": ""}
    assert owner.post(path, form | {"act": "changed", "name": "Lake"}).status_code == 302
    assert (
        "where the target leads elsewhere"
        in owner.post(path, form | {"act": "changed", "place": "other"}).content.decode()
    )
    assert owner.post(path, form | {"act": "again", "day": "2026-11-02"}).status_code == 302
    assert owner.post(path, form | {"act": "again", "day": "2026-10-02"}).status_code == 404
    assert {run.state for run in list_runs(tenant_id=acme.id, target_id=target.id, now=NOW)} == {"waiting"}
    assert owner.post(path, {"act": "removed"}).status_code == 302
    assert list_targets(tenant_id=acme.id) == []
