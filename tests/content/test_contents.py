"""Keeping and deleting: each tenant's own time, and no row of anybody else's."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from content import contents
from content.contents import (
    ContentOff,
    change_retention,
    delete_all_contents,
    keep_content,
    prune_contents,
)
from content.core.messages import Message
from content.core.redaction import redact_text
from content.selectors import get_content, get_content_of_event
from tenants.selectors import get_tenant_by_id
from tests.factories import NOW, make_key, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme():
    return make_logging_tenant("acme", days=30)


def make_logging_tenant(name, *, days):
    tenant = make_tenant(name)
    change_retention(tenant_id=tenant.id, days=days)
    return tenant


def keep(tenant, event_id="req-1", now=NOW):
    return keep_content(
        tenant_id=tenant.id, api_key_id="k", event_source="s", event_id=event_id,
        input=[Message("user", [{"type": "text", "content": "Hello"}])], output=[], now=now,
    ).content  # fmt: skip


def list_kept(tenant, *event_ids):
    found = [get_content_of_event(tenant_id=tenant.id, event_source="s", event_id=name) for name in event_ids]
    return [content.event_id for content in found if content]


def test_a_tenant_keeps_nothing_unless_it_asked():
    acme = make_tenant("acme")
    assert acme.content_kept_days == 0
    with pytest.raises(ContentOff):
        keep(acme)


def test_a_key_of_ours_is_never_kept_and_its_checksum_is_the_one_that_keys_have(acme):
    key = make_key(acme)
    assert redact_text(f"use {key}, please").text == "use [API key], please"
    mistyped = key[:-1] + ("a" if key[-1] != "a" else "b")
    assert redact_text(mistyped).text == mistyped


def test_each_tenants_contents_go_when_their_own_time_is_over(acme, monkeypatch):
    monkeypatch.setattr(contents, "ROWS_AT_ONCE", 2)
    globex = make_logging_tenant("globex", days=90)
    old, fresh = NOW - timedelta(days=30), NOW - timedelta(days=29, hours=23)
    for number in range(5):
        keep(acme, f"old-{number}", now=old)
    keep(acme, "fresh", now=fresh)
    keep(globex, "theirs", now=old)
    assert prune_contents(tenant_id=acme.id, now=NOW) == 5
    assert prune_contents(tenant_id=acme.id, now=NOW) == 0
    assert prune_contents(tenant_id=globex.id, now=NOW) == 0
    assert list_kept(acme, "old-0", "old-4", "fresh") == ["fresh"]
    assert list_kept(globex, "theirs") == ["theirs"]


def test_what_is_over_is_not_given_out_though_the_job_is_late(acme):
    content = keep(acme)
    last = content.kept_until - timedelta(microseconds=1)
    assert content.kept_until == NOW + timedelta(days=30)
    assert get_content(tenant_id=acme.id, digest=content.digest, now=last)
    assert get_content(tenant_id=acme.id, digest=content.digest, now=content.kept_until) is None


def test_a_shorter_time_holds_for_what_is_kept_already_and_a_longer_one_does_not(acme):
    keep(acme, "first")
    change_retention(tenant_id=acme.id, days=7)
    assert get_content_of_event(tenant_id=acme.id, event_source="s", event_id="first").kept_until == NOW + timedelta(7)
    change_retention(tenant_id=acme.id, days=60)
    assert get_content_of_event(tenant_id=acme.id, event_source="s", event_id="first").kept_until == NOW + timedelta(7)
    assert keep(acme, "second").kept_until == NOW + timedelta(60)


def test_deleting_all_leaves_the_other_tenants(acme):
    globex = make_logging_tenant("globex", days=30)
    for tenant in (acme, globex):
        keep(tenant)
    assert delete_all_contents(tenant_id=acme.id, now=NOW) == 1
    assert (list_kept(acme, "req-1"), list_kept(globex, "req-1")) == ([], ["req-1"])


def test_the_command_turns_it_on_and_off_and_says_so_on_the_last_line(acme, capsys):
    def run(*arguments):
        call_command("log_content", acme.slug, *arguments)
        return capsys.readouterr().out.splitlines()[-1], get_tenant_by_id(acme.id).content_kept_days

    assert run("--days", "7") == ("7", 7)
    assert run() == ("30", 30)
    keep(acme)
    assert run("--off") == ("off", 0)
    assert list_kept(acme, "req-1") == ["req-1"]
    assert run("--off", "--delete") == ("off", 0)
    assert list_kept(acme, "req-1") == []


@pytest.mark.parametrize("arguments", [["nobody"], ["{}", "--days", "0"], ["{}", "--days", "401"], ["{}", "--delete"]])
def test_the_command_refuses_what_makes_no_sense(acme, arguments):
    with pytest.raises(CommandError):
        call_command("log_content", *(argument.format(acme.slug) for argument in arguments))
    assert get_tenant_by_id(acme.id).content_kept_days == 30
