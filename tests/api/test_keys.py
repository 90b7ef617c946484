from datetime import UTC, datetime

import pytest

from tenants.keys import revoke_api_key
from tests.api.conftest import Machine
from tests.factories import make_key

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_key_says_whom_it_speaks_for(acme):
    token = make_key(acme, "ingest,read", name="checkout")
    answer = Machine(token).get("/v1/me")
    assert answer.status_code == 200
    assert answer.json() == {
        "key": {"id": token.split("_")[1], "name": "checkout"},
        "tenant": {"slug": acme.slug, "timezone": "UTC"},
        "is_operator": False,
        "scopes": ["ingest", "read"],
        "limits": {
            "events_per_request": 5000,
            "body_bytes": 8_000_000,
            "entries_per_page": 1000,
            "cost_periods_per_request": 2500,
            "tenant": {
                "requests": {"per_second": 5_000, "burst": 50_000},
                "bytes": {"per_second": 50_000_000, "burst": 500_000_000},
                "events": {"per_second": 20_000, "burst": 200_000},
            },
            "key": {},
        },
    }


def test_without_a_key_one_is_asked_for(db):
    answer = Machine().get("/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "key_missing")
    assert answer["WWW-Authenticate"] == 'Bearer realm="tokenledger"'


@pytest.mark.parametrize(
    "header",
    [
        "Bearer tl_000000000000_0000000000000000000000000000000000000000000_000000",  # the checksum is another
        "Bearer nonsense",
        "Bearer",
        "Basic YTpi",
        "Bearer tl_\u00e9",
    ],
)
def test_a_key_that_is_none_is_refused(db, header):
    answer = Machine(Authorization=header).get("/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (401, "key_invalid")
    assert answer["WWW-Authenticate"].startswith('Bearer realm="tokenledger"')


def test_a_revoked_key_is_refused_by_the_next_request(acme):
    token = make_key(acme, "read")
    machine = Machine(token)
    assert machine.get("/v1/me").status_code == 200
    revoke_api_key(tenant_id=acme.id, key_id=token.split("_")[1], now=NOW)
    assert machine.get("/v1/me").json()["code"] == "key_invalid"


def test_a_missing_scope_is_named(acme):
    answer = Machine(make_key(acme, "ingest")).get("/v1/entries")
    assert (answer.status_code, answer.json()["code"], answer.json()["scope"]) == (403, "scope_missing", "read")
    assert answer["WWW-Authenticate"].endswith('error="insufficient_scope", scope="read"')


def test_an_operators_key_acts_for_the_tenant_that_it_names(operator, acme):
    assert operator.get("/v1/me").json()["tenant"]["slug"] == "operator"
    answer = operator.get("/v1/me", **{"X-Tenant": acme.slug}).json()
    assert (answer["tenant"]["slug"], answer["is_operator"]) == (acme.slug, True)


@pytest.mark.parametrize("slug", ["nobody", "", "ACME", "\u00e9", "x" * 1000])
def test_an_operators_key_that_names_no_tenant_of_ours_is_told(operator, slug):
    answer = operator.get("/v1/me", **{"X-Tenant": slug})
    assert (answer.status_code, answer.json()["code"]) == (404, "tenant_unknown")


def test_a_tenants_key_may_name_its_own_tenant_and_no_other(machine, acme, globex):
    assert machine.get("/v1/me", **{"X-Tenant": acme.slug}).status_code == 200
    for slug in (globex.slug, "nobody", ""):  # the same answer, so that it tells nothing about who exists
        answer = machine.get("/v1/me", **{"X-Tenant": slug})
        assert (answer.status_code, answer.json()["code"]) == (403, "tenant_forbidden")
        assert globex.slug not in answer.content.decode()  # not even the name that was asked for
