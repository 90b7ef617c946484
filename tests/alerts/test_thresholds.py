import json

import pytest

from alerts.core.watch_settings import ThresholdsRefused
from alerts.thresholds import change_setting, get_setting, list_settings
from ledger.selectors import EntryFilters, list_entries
from tests.factories import NOW, make_key, make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")


def ask(client, method, key, body=None):
    return getattr(client, method)(
        "/v1/watch-settings",
        data=None if body is None else json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )


def test_without_a_setting_the_defaults_hold():
    kept = get_setting(tenant_id=make_tenant().id)
    assert kept.setting.thresholds.new.cost_min == 10_000_000_000_000  # 10 USD, in pico-USD
    assert kept.setting.off == frozenset()
    assert kept.changed_at is None


def test_what_is_set_is_kept_as_an_act_and_what_is_not_stays_at_its_default():
    acme = make_tenant()
    changes = {"new": {"cost_min": "25.50"}, "silence": {"pause_min": 7200}, "off": ["truncation"]}
    change_setting(changes, tenant_id=acme.id, actor="person 7", now=NOW)
    kept = get_setting(tenant_id=acme.id)
    assert kept.document == {"new": {"cost_min": "25.5"}, "silence": {"pause_min": 7200}, "off": ["truncation"]}
    assert kept.setting.thresholds.new.cost_min == 25_500_000_000_000
    assert kept.setting.thresholds.silence.pause_min.total_seconds() == 7200
    assert kept.setting.thresholds.hourly_spike.deviations == 2.5
    assert (kept.changed_by, kept.changed_at) == ("person 7", NOW)
    (act,) = list_entries(tenant_id=acme.id, filters=EntryFilters(kinds=("admin_act",))).entries
    assert act["operation"] == "watch.changed"
    assert act["tags"]["actor"] == "person 7"


def test_the_same_again_is_no_act():
    acme = make_tenant()
    for _ in range(2):
        change_setting({"rate_spike": {"times": "5"}}, tenant_id=acme.id, actor="person 7", now=NOW)
    assert len(list_entries(tenant_id=acme.id, filters=EntryFilters(kinds=("admin_act",))).entries) == 1


def test_null_brings_a_default_back():
    acme = make_tenant()
    change_setting({"rate_spike": {"times": "5"}}, tenant_id=acme.id, actor="person 7", now=NOW)
    kept = change_setting({"rate_spike": {"times": None}}, tenant_id=acme.id, actor="person 7", now=NOW)
    assert kept.document == {}
    assert kept.setting.thresholds.rate_spike.times == 3


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_kept():
    acme = make_tenant()
    changes = {"rate_spike": {"times": "NaN", "calls_min": 1.5}, "mood": {}, "new": {"days_min": 9}, "off": ["mood"]}
    with pytest.raises(ThresholdsRefused) as refused:
        change_setting(changes, tenant_id=acme.id, actor="person 7", now=NOW)
    assert [problem.field for problem in refused.value.problems] == [
        "rate_spike.times",
        "rate_spike.calls_min",
        "mood",
        "off",
    ]
    assert get_setting(tenant_id=acme.id).document == {}


def test_another_tenant_has_its_own():
    acme, globex = make_tenant(), make_tenant("globex")
    change_setting({"new": {"days_min": 9}}, tenant_id=acme.id, actor="person 7", now=NOW)
    assert get_setting(tenant_id=globex.id).document == {}
    settings = list_settings()
    assert settings[acme.id].thresholds.new.days_min == 9
    assert globex.id not in settings


def test_a_key_with_admin_sets_and_one_that_reads_is_refused(client):
    acme = make_tenant()
    assert ask(client, "patch", make_key(acme), {"new": {"cost_min": "5"}}).status_code == 403
    admin = make_key(acme, scopes="read,admin")
    answer = ask(client, "patch", admin, {"new": {"cost_min": "5"}, "hourly_spike": {"sensitivity": 0.5}})
    assert answer.status_code == 200
    assert answer.json()["changed"] == {"new": {"cost_min": "5"}, "hourly_spike": {"sensitivity": 0.5}}
    read = ask(client, "get", admin).json()
    assert read["new"] == {"cost_min": "5", "days_min": 7}
    assert read["changed_by"].startswith("key ")


def test_wrong_settings_are_a_problem_that_names_each_field(client):
    admin = make_key(make_tenant(), scopes="read,admin")
    answer = ask(client, "patch", admin, {"new": {"cost_min": -1}, "mood": 3})
    assert answer.status_code == 422
    assert answer.json()["code"] == "watch_setting_invalid"
    assert [problem["field"] for problem in answer.json()["problems"]] == ["new.cost_min", "mood"]
