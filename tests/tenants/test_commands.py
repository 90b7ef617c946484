"""The commands for scripts: each prints its result alone on the last line of standard output."""

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from tenants.keys import find_api_key
from tenants.models import User
from tenants.selectors import get_tenant
from tests.factories import make_key, make_tenant

pytestmark = pytest.mark.usefixtures("db")
PASSWORD = "correct horse battery staple"


def run(capsys, *arguments):
    call_command(*arguments)
    return capsys.readouterr().out.splitlines()[-1]


def test_a_tenant_a_person_and_a_key_are_made_from_a_script(capsys, monkeypatch):
    monkeypatch.setenv("TOKENLEDGER_PASSWORD", PASSWORD)
    tenant_id = int(run(capsys, "create_tenant", "acme-script", "--timezone", "Europe/Berlin"))
    assert get_tenant("acme-script").id == tenant_id
    assert get_tenant("acme-script").timezone == "Europe/Berlin"
    assert get_tenant("acme-script").fiscal_month == 1
    assert run(capsys, "set_fiscal_month", "acme-script", "4") == "4"
    assert get_tenant("acme-script").fiscal_month == 4
    user_id = int(run(capsys, "create_user", "Mia@Example.com", "--role", "owner", "--tenant", "acme-script"))
    person = User.objects.get(pk=user_id)
    assert (person.email, person.role, person.tenant_id) == ("mia@example.com", "owner", tenant_id)
    assert person.check_password(PASSWORD)
    token = run(capsys, "create_api_key", "acme-script", "--scopes", "ingest,read,audit,quota,admin,backfill")
    assert find_api_key(token).scopes == {"ingest", "read", "audit", "quota", "admin", "backfill"}
    assert run(capsys, "revoke_api_key", "acme-script", token.split("_")[1]) == token.split("_")[1]
    assert find_api_key(token) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create_tenant", "Acme!"), "lower-case letters"),
        (("create_tenant", "ok-slug", "--timezone", "Mars/Olympus"), "IANA time zone"),
        (("create_tenant", "operator"), "exists already"),
        (("create_tenant", "ok-slug", "--fiscal-month", "13"), "a month of 1 to 12"),
        (("set_fiscal_month", "operator", "0"), "a month of 1 to 12"),
        (("set_fiscal_month", "nobody", "4"), "no tenant 'nobody'"),
        (("create_user", "a@b.example", "--role", "owner"), "belongs to a tenant"),
        (("create_user", "a@b.example", "--role", "admin", "--tenant", "operator"), "belongs to no tenant"),
        (("create_user", "a@b.example", "--role", "viewer", "--tenant", "nobody"), "no tenant 'nobody'"),
        (("create_user", "not an address", "--role", "admin"), "valid email"),
        (("create_api_key", "nobody", "--scopes", "read"), "no tenant 'nobody'"),
        (("create_api_key", "operator", "--scopes", "reed"), "scopes must be some of"),
        (("revoke_api_key", "operator", "nothing"), "no live key"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_cure(monkeypatch, arguments, message):
    monkeypatch.setenv("TOKENLEDGER_PASSWORD", PASSWORD)
    with pytest.raises(CommandError, match=message):
        call_command(*arguments)


def test_a_person_needs_a_password_and_a_good_one(monkeypatch):
    monkeypatch.delenv("TOKENLEDGER_PASSWORD", raising=False)
    with pytest.raises(CommandError, match="set TOKENLEDGER_PASSWORD"):
        call_command("create_user", "a@b.example", "--role", "admin")
    monkeypatch.setenv("TOKENLEDGER_PASSWORD", "short")
    with pytest.raises(CommandError, match="at least 12 characters"):
        call_command("create_user", "a@b.example", "--role", "admin")


def test_a_forgotten_password_is_set_anew_and_ends_every_session(client, monkeypatch, capsys):
    monkeypatch.setenv("TOKENLEDGER_PASSWORD", PASSWORD)
    user_id = run(capsys, "create_user", "ada@example.com", "--role", "admin")
    person = User.objects.get(pk=user_id)
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    assert client.get("/").url == "/tenants"
    monkeypatch.setenv("TOKENLEDGER_PASSWORD", "another horse another staple")
    assert run(capsys, "set_password", "Ada@Example.com") == user_id
    assert client.get("/").url == "/sign-in?next=/"
    person.refresh_from_db()
    assert person.check_password("another horse another staple")


def test_a_password_is_set_for_nobody_unknown_and_never_a_weak_one(monkeypatch, capsys):
    monkeypatch.setenv("TOKENLEDGER_PASSWORD", PASSWORD)
    with pytest.raises(CommandError, match="no person with the address nobody@example.com"):
        call_command("set_password", "nobody@example.com")
    run(capsys, "create_user", "ada@example.com", "--role", "admin")
    monkeypatch.setenv("TOKENLEDGER_PASSWORD", "short")
    with pytest.raises(CommandError, match="at least 12 characters"):
        call_command("set_password", "ada@example.com")
    monkeypatch.delenv("TOKENLEDGER_PASSWORD")
    with pytest.raises(CommandError, match="set TOKENLEDGER_PASSWORD"):
        call_command("set_password", "ada@example.com")


def test_a_tenants_keys_are_listed_without_their_secrets(capsys):
    acme, globex = make_tenant("acme"), make_tenant("globex")
    token, other, foreign = make_key(acme, "ingest"), make_key(acme, "read", name="finance"), make_key(globex)
    run(capsys, "revoke_api_key", acme.slug, token.split("_")[1])
    call_command("list_api_keys", acme.slug)
    text = capsys.readouterr().out
    first, second = text.splitlines()
    assert first.startswith(f"{other.split('_')[1]}  finance ") and first.endswith("  live")
    assert second.startswith(token.split("_")[1]) and "  revoked 20" in second
    assert foreign.split("_")[1] not in text
    assert token.split("_")[2] not in text and other.split("_")[2] not in text
    with pytest.raises(CommandError, match="no tenant 'nobody'"):
        call_command("list_api_keys", "nobody")


def test_a_tenants_person_signs_in_and_an_operators_has_no_tenant(rf, monkeypatch, capsys):
    monkeypatch.setenv("TOKENLEDGER_PASSWORD", PASSWORD)
    run(capsys, "create_user", "ada@example.com", "--role", "finance")
    person = authenticate(rf.post("/sign-in"), email="ada@example.com", password=PASSWORD)
    assert person.is_operator
    assert person.tenant is None
