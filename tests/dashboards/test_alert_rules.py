"""The form of thresholds: shown in words, tried on the past, kept as an act."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from alerts.thresholds import get_setting
from tenants.models import User
from tenants.people import create_user
from tests.alerts.watching import DAY, book, make_hours
from tests.billing.ledger_rows import make_entry
from tests.factories import make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")

PASSWORD = "correct horse battery staple"
NOON = (datetime.now(UTC) - 3 * DAY).replace(hour=12, minute=0, second=0, microsecond=0)


def sign_in(tenant, role="owner"):
    email = f"{role}@{tenant.slug}.example"
    create_user(email=email, password=PASSWORD, role=role, tenant_slug=tenant.slug)
    client = Client()
    client.force_login(User.objects.get(email=email), backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def acme():
    return make_tenant()


def read_form(client, **changes):
    """What the form would send, with changes."""
    forms = client.get("/alerts/rules").context["forms"]
    sent = {field.id: field.text for form in forms for field in form.fields}
    return sent | {"on": [form.rule.kind for form in forms if form.is_on]} | changes


def test_each_kind_is_shown_with_its_defaults(acme):
    page = sign_in(acme).get("/alerts/rules").content.decode()
    assert "Hourly spike" in page
    assert 'name="new.cost_min" type="text" value="10"' in page
    assert 'name="truncation.share_max" type="text" value="5"' in page  # per cent
    assert 'name="silence.pause_min" type="text" value="1"' in page  # hours


def test_what_is_changed_is_kept_and_the_defaults_are_not(acme):
    client = sign_in(acme)
    sent = read_form(client, **{"new.cost_min": "25", "truncation.share_max": "10", "silence.pause_min": "2"})
    sent["on"].remove("unpriced")
    answer = client.post("/alerts/rules", sent | {"act": "save"})
    assert answer.status_code == 302
    kept = get_setting(tenant_id=acme.id)
    assert kept.document == {
        "new": {"cost_min": "25"},
        "truncation": {"share_max": "0.1"},
        "silence": {"pause_min": 7200},
        "off": ["unpriced"],
    }
    assert "12 of them" not in client.get("/alerts/rules").content.decode()


def test_an_empty_number_is_its_default_again(acme):
    client = sign_in(acme)
    client.post("/alerts/rules", read_form(client, **{"new.cost_min": "25"}) | {"act": "save"})
    client.post("/alerts/rules", read_form(client, **{"new.cost_min": ""}) | {"act": "save"})
    assert get_setting(tenant_id=acme.id).document == {}


def test_what_is_wrong_is_named_where_it_stands_and_nothing_is_kept(acme):
    client = sign_in(acme)
    answer = client.post(
        "/alerts/rules", read_form(client, **{"new.cost_min": "much", "rate_spike.times": "3"}) | {"act": "save"}
    )
    assert answer.status_code == 422
    assert "▲ is a number" in answer.content.decode()
    assert get_setting(tenant_id=acme.id).document == {}


def test_the_past_is_tried_and_nothing_is_kept(acme):
    book(acme, [*make_hours(start=NOON - 20 * DAY, end=NOON), make_entry(time=NOON, cost="30")])
    client = sign_in(acme)
    answer = client.post("/alerts/rules", read_form(client) | {"act": "try"})
    # The hour of all that is spent; its only feature's is the cause.
    kinds = [(one.kind, one.scope, one.start) for _, one in answer.context["found"] if one.kind == "hourly_spike"]
    assert kinds == [("hourly_spike", "", NOON)]
    calmer = client.post("/alerts/rules", read_form(client, **{"hourly_spike.impact_min": "4000"}) | {"act": "try"})
    assert [one for _, one in calmer.context["found"] if one.kind == "hourly_spike"] == []
    assert get_setting(tenant_id=acme.id).document == {}


def test_a_viewer_reads_and_may_not_change(acme):
    client = sign_in(acme, role="viewer")
    assert "Keep the thresholds" not in client.get("/alerts/rules").content.decode()
    assert client.post("/alerts/rules", {"act": "save"}).status_code == 404


def test_globex_has_its_own(acme):
    client = sign_in(acme)
    client.post("/alerts/rules", read_form(client, **{"new.cost_min": "25"}) | {"act": "save"})
    globex = make_tenant("globex")
    assert 'name="new.cost_min" type="text" value="10"' in sign_in(globex).get("/alerts/rules").content.decode()
    assert get_setting(tenant_id=globex.id).document == {}
