"""/v1/export-targets: a bucket added, changed, tried and removed by a key; days told, and made again."""

from datetime import UTC, datetime

import pytest

from chargeback.core.export_targets import read_terms
from chargeback.exports.runs import queue_days
from chargeback.exports.targets import add_target
from tests.factories import make_key, make_tenant

NOW = datetime.now(UTC)
LAKE = {
    "name": "lake", "kind": "s3", "place": "lake/cost", "region": "eu-central-1", "first_day": "2026-11-20",
    "access_key_id": "AKIAEXAMPLE", "secret_access_key": "hush-hush",
}  # fmt: skip
PATH = "/v1/export-targets"


@pytest.fixture
def acme(db):
    return make_tenant("acme")


@pytest.fixture
def ask(client, acme):
    key = make_key(acme, "read,admin")

    def send(method, path, document=None, *, key=key):
        headers = {"Authorization": f"Bearer {key}"}
        body = {} if document is None else {"data": document, "content_type": "application/json"}
        return getattr(client, method)(path, headers=headers, **body)

    return send


def test_a_target_is_added_told_changed_and_removed_and_its_secret_never_told(ask):
    made = ask("post", PATH, LAKE)
    assert made.status_code == 201
    target = made.json()
    assert (target["last_day"], target["waiting_days"], target["enabled"]) == (None, 0, True)
    path = f"{PATH}/{target['id']}"
    changed = ask("patch", path, {"name": "the lake", "enabled": False})
    assert (changed.json()["name"], changed.json()["place"], changed.json()["enabled"]) == (
        "the lake", "lake/cost", False,
    )  # fmt: skip
    assert [each["id"] for each in ask("get", PATH).json()["targets"]] == [target["id"]]
    for answer in (made, changed, ask("get", path), ask("get", PATH)):
        assert "hush-hush" not in answer.content.decode() and "AKIAEXAMPLE" not in answer.content.decode()
    assert ask("delete", path).json()["enabled"] is False
    assert ask("get", path).json()["code"] == "export_target_unknown"


def test_a_folder_and_a_private_endpoint_are_refused_with_all_that_is_wrong(ask):
    answer = ask("post", PATH, LAKE | {"kind": "folder"})
    assert (answer.status_code, answer.json()["code"]) == (422, "export_target_invalid")
    answer = ask("post", PATH, LAKE | {"endpoint": "http://minio.internal", "place": "UPPER"})
    assert [problem["field"] for problem in answer.json()["problems"]] == ["place", "endpoint"]


def test_days_are_told_and_one_is_made_again(ask, acme):
    target = ask("post", PATH, LAKE).json()
    queue_days(tenant_id=acme.id, now=datetime(2026, 11, 23, 1, tzinfo=UTC))
    days = ask("get", f"{PATH}/{target['id']}/days").json()["days"]
    assert [(day["day"], day["state"]) for day in days] == [
        ("2026-11-22", "waiting"), ("2026-11-21", "waiting"), ("2026-11-20", "waiting"),
    ]  # fmt: skip
    assert [day["day"] for day in ask("get", f"{PATH}/{target['id']}/days?before=2026-11-21").json()["days"]] == [
        "2026-11-20"
    ]
    again = ask("post", f"{PATH}/{target['id']}/days/2026-11-21")
    assert (again.status_code, again.json()["day"]) == (202, "2026-11-21")
    for day in ("2026-11-01", "yesterday"):
        assert ask("post", f"{PATH}/{target['id']}/days/{day}").json()["code"] == "export_day_unknown"


def test_a_test_says_in_words_what_failed(ask):
    target = ask("post", PATH, LAKE | {"endpoint": "https://127.0.0.1:9"}).json()
    assert ask("post", f"{PATH}/{target['id']}/test").json() == {
        "ok": False,
        "failure": "127.0.0.1 is no public address; a network of one's own is named in ALERT_NETWORKS",
    }


def test_a_key_that_reads_changes_nothing_and_another_tenants_key_finds_nothing(ask, acme):
    target = ask("post", PATH, LAKE).json()
    reader, globex = make_key(acme, "read"), make_key(make_tenant("globex"), "read,admin")
    assert ask("post", PATH, LAKE, key=reader).status_code == 403
    for method, path in (
        ("get", ""),
        ("delete", ""),
        ("post", "/test"),
        ("get", "/days"),
        ("post", "/days/2026-11-21"),
    ):
        assert ask(method, f"{PATH}/{target['id']}{path}", key=globex).status_code == 404


def test_a_folder_is_changed_by_an_operators_key_alone(ask, acme, settings, tmp_path):
    settings.EXPORT_ROOT = str(tmp_path)
    terms = read_terms(
        {"name": "out", "kind": "folder", "place": "out"}, kinds=("folder",), schemes=(), today=NOW.date()
    )
    target = add_target(terms, tenant_id=acme.id, actor="person 1", now=NOW)
    path = f"{PATH}/{target.id}"
    for method, place, document in (
        ("patch", "", {"name": "mine"}), ("delete", "", None), ("post", "/test", None),
        ("post", f"/days/{NOW:%Y-%m-%d}", None),
    ):  # fmt: skip
        assert ask(method, path + place, document).json()["code"] == "operators_only"
    assert list(tmp_path.iterdir()) == []
