"""Which strings mean which model; aliases are added and removed by those who keep the rates."""

import re
from urllib.parse import urlencode

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.models import ModelAlias
from billing.rates import forget_rate_book
from ledger.selectors import EntryFilters, list_entries
from tenants.models import OPERATOR_SLUG
from tenants.selectors import get_tenant
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant, publish_test_rates

MODEL = "gpt-4o-2024-08-06"


@pytest.fixture
def acme(committed_db):
    """Its strings are committed, because the operator's table is read by another role."""
    publish_test_rates()
    forget_rate_book()
    tenant = make_tenant("acme")
    now = timezone.now()
    book(
        tenant,
        {"time": now},
        {"time": now, "model": f"openai/{MODEL}"},
        {"time": now, "model": "gpt-4o-20240806"},
        *({"time": now, "provider": "acme-gpu", "model": tenant.slug} for _ in range(3)),
    )
    yield tenant
    ModelAlias.objects.all().delete()
    forget_rate_book()


def alias(tenant, **change):
    return {"provider": "acme-gpu", "model": tenant.slug, "means_provider": "openai", "means_model": MODEL} | change


def read_text(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_strings_are_told_with_their_rule_and_the_unknown_first(acme):
    unknown, known = read_tables(get_page(sign_in(acme), "/rates/aliases"))
    assert unknown[1:] == [
        [f"{acme.slug} acme-gpu", "No published rate matches this provider and model.", "none has a name like it", "3",
         "unknown"],
        ["Total", "", "", "3", "unknown"],
    ]  # fmt: skip
    assert known[-1] == ["Total", "", "", "3", "0.0142"]
    assert {row[0]: row[2] for row in known[1:-1]} == {
        f"{MODEL} openai": "its very name",
        f"openai/{MODEL} openai": "its name without the envelope",
        "gpt-4o-20240806 openai": "its date written with dashes",
    }


def test_before_an_alias_is_added_it_is_told_what_it_concerns(acme):
    client = sign_in(role="finance")
    html = get_page(client, f"/rates/aliases?{urlencode(alias(acme) | {'tenant': acme.slug})}")
    text = read_text(html)
    assert "3 calls were sent so in these 90 days; at that pace it concerns about 1 a month from now on." in text
    assert f"As sent acme-gpu {acme.slug} {acme.slug} Now unpriced Then 2.50 in, 10.00 out" in text
    assert ModelAlias.objects.count() == 0


def test_an_alias_is_added_by_a_person_prices_the_next_booking_and_is_an_act_of_the_ledger(acme):
    client = sign_in(role="admin")
    path = f"/rates/aliases?tenant={acme.slug}"
    answer = client.post(path, alias(acme, act="add"))
    assert (answer.status_code, answer["Location"]) == (302, f"/rates/aliases?tenant={acme.slug}&done=added")
    book(acme, {"time": timezone.now(), "provider": "Acme-GPU", "model": acme.slug.upper()})
    entries = list_entries(tenant_id=acme.id, filters=EntryFilters(models=(acme.slug.upper(),))).entries
    assert [entry["pricing_status"] for entry in entries] == ["priced"]
    before = list_entries(tenant_id=acme.id, filters=EntryFilters(models=(acme.slug,))).entries
    assert {entry["pricing_status"] for entry in before} == {"unpriced"}
    html = get_page(client, f"{path}&done=added")
    assert "The alias is added" in html
    assert f"an alias: means openai {MODEL}" in html
    assert client.post(path, alias(acme, act="add"))["Location"].endswith("done=same")
    assert client.post(path, alias(acme, act="remove"))["Location"].endswith("done=removed")
    assert client.post(path, alias(acme, act="remove"))["Location"].endswith("done=gone")
    operator = get_tenant(OPERATOR_SLUG)
    acts = list_entries(tenant_id=operator.id, filters=EntryFilters(kinds=("admin_act",)), limit=2).entries
    assert [act["operation"] for act in acts] == ["alias.removed", "alias.added"]
    assert acts[0]["tags"]["model"] == acme.slug and acts[0]["tags"]["actor"].startswith("person ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"provider": "openai", "model": MODEL, "means_model": "gpt-4o"}, "is a dated snapshot and is never priced as"),
        ({"means_model": "gpt-9"}, "has no price now"),
        ({"means_model": ""}, "is missing"),
        ({"model": "a\0b"}, "none of them NUL"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason_before_and_when_it_is_sent(acme, change, said):
    client = sign_in(role="finance")
    path = f"/rates/aliases?tenant={acme.slug}"
    refused = client.post(path, alias(acme, act="add", **change))
    assert refused.status_code == 422 and said in read_text(refused.content.decode())
    if all(change.values()):
        html = get_page(client, f"{path}&{urlencode(alias(acme, **change))}")
        assert said in read_text(html) and "Add the alias" not in html
    assert ModelAlias.objects.count() == 0


def test_only_those_who_keep_the_rates_change_an_alias_and_a_tenant_sees_its_own_strings_alone(acme):
    globex = make_tenant("globex")
    sign_in(role="admin").post(f"/rates/aliases?tenant={acme.slug}", alias(acme, act="add"))
    for client in (sign_in(acme, role="owner"), sign_in(role="engineer")):
        path = f"/rates/aliases?{urlencode(alias(acme) | {'tenant': acme.slug})}"
        assert client.post(path, alias(acme, act="remove")).status_code == 403
        html = get_page(client, path)
        assert "Add the alias" not in html and "New alias" not in html
        assert f"an alias: means openai {MODEL}" in html
    assert ModelAlias.objects.count() == 1
    theirs = get_page(sign_in(globex, role="owner"), "/rates/aliases")
    assert acme.slug not in theirs and "There is none for your strings" in theirs
    assert sign_in(role="admin").post(f"/rates/aliases?tenant={acme.slug}", {"act": "burn"}).status_code == 400


def test_the_number_of_queries_does_not_grow_with_the_strings(acme):
    client = sign_in(role="finance")
    path = f"/rates/aliases?tenant={acme.slug}"

    def count_queries():
        get_page(client, path)
        with CaptureQueriesContext(connection) as own, CaptureQueriesContext(connections["reader"]) as everybodys:
            get_page(client, path)
        return len(own), len(everybodys)

    few = count_queries()
    book(acme, *({"time": timezone.now(), "model": f"unknown-{i}"} for i in range(30)))
    assert count_queries() == few
