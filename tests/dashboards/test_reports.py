from datetime import UTC, datetime

import pytest

from chargeback.core.reports.terms import read_terms
from chargeback.models import ReportSent
from chargeback.reports.subscriptions import list_subscriptions, subscribe
from tenants.scope import tenant_scope
from tests.dashboards.pages import get_page, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
PAGE = "/settings/reports"


@pytest.fixture
def acme(settings):
    settings.EMAIL_HOST = "relay.example"
    return make_tenant("acme")


def post(browser, **form):
    return browser.post(PAGE, form)


def test_everybody_subscribes_themselves_and_ends_it(acme):
    browser = sign_in(acme)
    assert "Nobody is subscribed" in get_page(browser, PAGE)
    assert post(browser, act="subscribe", cadence="weekly")["Location"].endswith("done=subscribed")
    (subscription,) = list_subscriptions(tenant_id=acme.id)
    assert (subscription.cadence, subscription.address, subscription.scope) == ("weekly", "", {})
    assert subscription.person is not None and subscription.created_by == f"person {subscription.person}"
    html = get_page(browser, PAGE)
    assert "<b>1</b> subscription" in html and "never" in html
    post(browser, act="end", subscription=subscription.id)
    assert list_subscriptions(tenant_id=acme.id) == []


def test_an_owner_subscribes_an_address_and_a_viewer_sees_and_ends_none_of_others(acme):
    owner, viewer = sign_in(acme, role="owner"), sign_in(acme)
    form = {"cadence": "monthly", "to": "address", "address": "cfo@acme.example", "about": "feature", "value": "chat"}
    post(owner, act="subscribe", **form)
    (subscription,) = list_subscriptions(tenant_id=acme.id)
    assert (subscription.address, subscription.scope) == ("cfo@acme.example", {"feature": "chat"})
    assert "cfo@acme.example" in get_page(owner, PAGE) and "cfo@acme.example" not in get_page(viewer, PAGE)
    assert post(viewer, act="end", subscription=subscription.id).status_code == 403
    assert post(viewer, act="test", subscription=subscription.id).status_code == 403
    post(viewer, act="subscribe", **form)  # for a viewer “another address” is the own
    assert [one.address for one in list_subscriptions(tenant_id=acme.id)] == ["cfo@acme.example", ""]
    assert post(owner, act="test", subscription=subscription.id).status_code == 302
    with tenant_scope(acme.id):
        assert ReportSent.objects.filter(tenant_id=acme.id, is_test=True, state="waiting").count() == 1


def test_what_is_wrong_is_told_and_what_was_typed_stays(acme):
    answer = post(sign_in(acme, role="owner"), act="subscribe", cadence="weekly", to="address", address="cfo@acme, x")
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "Is no e-mail address such as finance@example.com." in html and 'value="cfo@acme, x"' in html


def test_the_latest_report_is_shown_as_its_mail_shows_it_and_asks_nothing_of_elsewhere(acme):
    publish_test_rates()
    browser = sign_in(acme)
    answer = browser.get(f"{PAGE}/preview?cadence=monthly&feature=chat")
    assert answer.status_code == 200 and "Monthly report of Acme, feature chat" in answer.content.decode()
    assert answer["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "Unsubscribe" not in answer.content.decode()
    assert browser.get(f"{PAGE}/preview?form=text")["Content-Type"] == "text/plain; charset=utf-8"
    assert browser.get(f"{PAGE}/preview?cadence=daily").status_code == 400


def test_another_tenants_subscriptions_are_nowhere(acme):
    globex = make_tenant("globex")
    document = {"cadence": "weekly", "address": "globex@globex.example"}
    subscribe(read_terms(document), tenant_id=globex.id, actor="person 1", now=datetime(2026, 11, 12, tzinfo=UTC))
    assert "globex" not in get_page(sign_in(acme, role="owner"), PAGE)
    (theirs,) = list_subscriptions(tenant_id=globex.id)
    post(sign_in(acme, role="owner"), act="end", subscription=theirs.id)
    assert len(list_subscriptions(tenant_id=globex.id)) == 1
