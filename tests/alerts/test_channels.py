"""A channel's secrets are encrypted at rest, shown once, and stand in no act; a name is a channel's alone."""

import json
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet

from alerts import secrets as channel_secrets
from alerts.channels import (
    ChannelUnknown,
    change_channel,
    create_channel,
    get_channel,
    list_channels,
    remove_channel,
    rotate_secret,
    send_test,
)
from alerts.core.channels import ChannelRefused, read_terms, write_terms
from alerts.models import AlertChannel
from alerts.secrets import SecretsUnreadable, decrypt_settings, encrypt_settings
from ledger.selectors import EntryFilters, list_entries
from tenants.scope import tenant_scope
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOOK = {"name": "Pipeline", "kind": "webhook", "settings": {"url": "https://hooks.acme.example/very/secret"}}


@pytest.fixture
def acme(db):
    return make_tenant("acme")


def create(tenant, **fields):
    return create_channel(read_terms(HOOK | fields), tenant_id=tenant.id, actor="person 1", now=NOW)


def list_acts(tenant):
    entries = list_entries(tenant_id=tenant.id, filters=EntryFilters()).entries
    return [(entry["operation"], json.dumps(entry["tags"])) for entry in reversed(entries)]


def test_what_is_secret_is_encrypted_shown_once_and_in_no_act(acme):
    channel, secret = create(acme)
    assert secret.startswith("whsec_") and channel.target == "hooks.acme.example"
    assert channel.settings == {}
    with tenant_scope(acme.id):
        kept = bytes(AlertChannel.objects.get(tenant_id=acme.id, id=channel.id).settings)
    assert b"secret" not in kept and secret.encode() not in kept
    settings = decrypt_settings(kept, tenant_id=acme.id)
    assert settings == {
        "url": "https://hooks.acme.example/very/secret",
        "secrets": [{"secret": secret, "until": None}],
    }
    new = rotate_secret(tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=NOW)
    change_channel(
        read_terms(HOOK | {"settings": {"url": "https://hooks.acme.example/other/secret"}}),
        tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=NOW,
    )  # fmt: skip
    send_test(tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=NOW)
    remove_channel(tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=NOW)
    acts = list_acts(acme)
    assert [name for name, _ in acts] == [
        "alert_channel.created", "alert_channel.secret_rotated", "alert_channel.changed", "alert_channel.tested",
        "alert_channel.removed",
    ]  # fmt: skip
    for _, told in acts:
        assert "person 1" in told and "hooks.acme.example" in told
        assert "/secret" not in told and secret not in told and new not in told
    with tenant_scope(acme.id):
        assert bytes(AlertChannel.objects.get(tenant_id=acme.id, id=channel.id).settings) == b""


def test_a_change_without_settings_keeps_them_and_a_webhooks_secret_outlives_a_new_address(acme):
    channel, secret = create(acme)
    document = write_terms(channel) | {"name": "Renamed", "severity_min": "high"}
    terms = read_terms(document, needs_settings=False)
    changed = change_channel(terms, tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=NOW)
    assert (changed.name, changed.severity_min, changed.target) == ("Renamed", "high", "hooks.acme.example")
    moved = read_terms(document | {"settings": {"url": "https://elsewhere.example/"}})
    change_channel(moved, tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=NOW)
    with tenant_scope(acme.id):
        row = AlertChannel.objects.get(tenant_id=acme.id, id=channel.id)
    settings = decrypt_settings(row.settings, tenant_id=acme.id)
    assert (settings["url"], settings["secrets"][0]["secret"]) == ("https://elsewhere.example/", secret)


def test_two_channels_have_two_names_until_one_is_removed(acme):
    channel, _ = create(acme)
    with pytest.raises(ChannelRefused) as refusal:
        create(acme)
    assert [(one.field, one.code) for one in refusal.value.problems] == [("name", "taken")]
    remove_channel(tenant_id=acme.id, channel_id=channel.id, actor="person 1", now=NOW)
    assert create(acme)[0].name == "Pipeline"


def test_another_tenants_channel_is_unknown(acme):
    globex = make_tenant("globex")
    channel, _ = create(acme)
    assert list_channels(tenant_id=globex.id) == []
    for step in (
        lambda: get_channel(tenant_id=globex.id, channel_id=channel.id),
        lambda: remove_channel(tenant_id=globex.id, channel_id=channel.id, actor="person 2", now=NOW),
        lambda: rotate_secret(tenant_id=globex.id, channel_id=channel.id, actor="person 2", now=NOW),
        lambda: send_test(tenant_id=globex.id, channel_id=channel.id, actor="person 2", now=NOW),
    ):
        with pytest.raises(ChannelUnknown):
            step()


def test_all_that_is_wrong_is_said_at_once_with_the_field_and_the_cure():
    with pytest.raises(ChannelRefused) as refusal:
        read_terms(
            {
                "name": " ", "kind": "webhook", "settings": {"url": "http://hooks.example/", "secret": "mine"},
                "severity_min": "bad", "quiet_hours": {"from": "25:00", "to": "07:00"}, "digest_hour": 24,
                "scope": {"colour": "red"}, "more": 1,
            }
        )  # fmt: skip
    assert sorted((one.field, one.code) for one in refusal.value.problems) == [
        ("digest_hour", "out_of_range"),
        ("more", "unknown_field"),
        ("name", "missing_field"),
        ("quiet_hours.from", "wrong_value"),
        ("scope.colour", "unknown_field"),
        ("settings.secret", "unknown_field"),
        ("settings.url", "wrong_value"),
        ("severity_min", "wrong_value"),
    ]
    assert all(one.detail for one in refusal.value.problems)


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example", "ftp://hooks.example/", "https://", "https://user:pass@hooks.example/",
        "https://hooks.example:99999/", "https://hooks.example/ x", "https://hooks.example/#part", "https://[::1",
    ],
)  # fmt: skip
def test_what_is_no_address_to_post_to_is_refused(url):
    with pytest.raises(ChannelRefused):
        read_terms(HOOK | {"settings": {"url": url}})


def test_settings_open_with_an_older_key_and_in_no_other_tenants_row(monkeypatch):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    monkeypatch.setenv("CHANNEL_KEYS", old)
    channel_secrets.load_cipher.cache_clear()
    try:
        kept = encrypt_settings({"url": "https://hooks.example/"}, tenant_id=7)
        monkeypatch.setenv("CHANNEL_KEYS", f"{new}, {old}")
        channel_secrets.load_cipher.cache_clear()
        assert decrypt_settings(kept, tenant_id=7) == {"url": "https://hooks.example/"}
        with pytest.raises(SecretsUnreadable):
            decrypt_settings(kept, tenant_id=8)
        monkeypatch.setenv("CHANNEL_KEYS", new)
        channel_secrets.load_cipher.cache_clear()
        with pytest.raises(SecretsUnreadable):
            decrypt_settings(kept, tenant_id=7)
    finally:
        channel_secrets.load_cipher.cache_clear()


def test_an_address_without_tls_is_refused_with_the_setting_that_allows_it():
    hook = HOOK | {"settings": {"url": "http://127.0.0.1:9000/"}}
    with pytest.raises(ChannelRefused, match="begins with https://; http goes only to .* the setting ALERT_NETWORKS"):
        read_terms(hook)
    assert read_terms(hook, schemes=("https", "http")).settings == hook["settings"]
