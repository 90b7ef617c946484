"""Views that people named: whose they are, and where they lead."""

import pytest
from django.urls import reverse
from django.utils import timezone

from dashboards.models import SavedView
from tenants.scope import tenant_scope
from tests.alerts.budgets import create
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, sign_in
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db
QUERY = "period=month&by=feature&feature.not=chat&tenant=x&cursor=7"


@pytest.fixture
def acme():
    return make_tenant("acme")


def save(client, name="Chat aside", *, page="explore", query=QUERY, shared="", at="/views"):
    return client.post(at, {"page": page, "name": name, "query": query, "shared": shared})


def get_id(tenant):
    with tenant_scope(tenant.id):
        return SavedView.objects.get().id


def test_a_view_keeps_the_question_and_leaves_out_whose_page_and_which_place_it_was(acme):
    client = sign_in(acme)
    answer = save(client)
    assert answer["Location"] == "/explore?period=month&by=feature&feature.not=chat"
    assert "Chat aside" in get_page(client, "/explore")
    assert client.get(f"/views/{get_id(acme)}")["Location"] == answer["Location"]


@pytest.mark.parametrize("page", ["overview", "explore", "showback", "ledger", "traces"])
def test_every_page_of_figures_keeps_its_own_views(acme, page):
    book(acme, {"time": timezone.now()})
    client = sign_in(acme)
    path = reverse(page)
    answer = save(client, page=page, query="period=90d&environment=all&sort=calls&q=checkout&page=2")
    assert answer["Location"] == f"{path}?period=90d&environment=all&sort=calls&q=checkout"
    html = get_page(client, path)
    assert 'action="/views"' in html and f'name="page" value="{page}"' in html
    assert f'<a href="{answer["Location"].replace("&", "&amp;")}">Chat aside</a>' in html
    other = "/explore" if page != "explore" else "/ledger"
    assert "Chat aside" not in get_page(client, other)


def test_budgets_keep_views_too_without_what_was_done_last(acme):
    client = sign_in(acme, role="owner")
    create(acme)
    answer = save(client, page="budgets", query="window=month&sort=used&done=created")
    assert answer["Location"] == "/budgets?window=month&sort=used"
    assert '<a href="/budgets?window=month&amp;sort=used">Chat aside</a>' in get_page(client, "/budgets")


def test_a_colleague_opens_a_view_that_is_shared_and_no_other(acme):
    client, colleague = sign_in(acme), sign_in(acme)
    save(client)
    path = f"/views/{get_id(acme)}"
    assert colleague.get(path).status_code == 404 and "Chat aside" not in get_page(colleague, "/explore")
    save(client, shared="yes")
    assert colleague.get(path).status_code == 302 and "Chat aside" in get_page(colleague, "/explore")
    assert colleague.post(f"{path}/discard").status_code == 404
    assert client.post(f"{path}/discard").status_code == 302
    assert "Chat aside" not in get_page(client, "/explore")


def test_the_operators_views_of_a_tenant_are_not_the_tenants_own(acme):
    operator = sign_in(role="finance")
    answer = save(operator, name="Too dear for us", shared="yes", at=f"/views?tenant={acme.slug}")
    assert answer["Location"] == f"/explore?period=month&by=feature&feature.not=chat&tenant={acme.slug}"
    assert "Too dear for us" not in get_page(sign_in(acme), "/explore")
    assert "Too dear for us" in get_page(sign_in(role="finance"), f"/explore?tenant={acme.slug}")


def test_another_tenants_view_is_not_there(acme):
    save(sign_in(acme), shared="yes")
    stranger = sign_in(make_tenant("globex"))
    assert stranger.get(f"/views/{get_id(acme)}").status_code == 404
    assert stranger.post(f"/views/{get_id(acme)}/discard").status_code == 404


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": " "}, "A name has 1 to 80 characters."),
        ({"name": "n" * 81}, "A name has 1 to 80 characters."),
        ({"page": "account_logout"}, "A view is of one of the pages."),
        ({"query": "feature=" + "x" * 4000}, "at most 4,000 characters"),
    ],
)
def test_what_cannot_be_a_view_is_refused_in_words(acme, changes, words):
    answer = save(sign_in(acme), **changes)
    assert answer.status_code == 400 and words in answer.content.decode()


def test_the_same_name_again_is_the_same_view_with_another_question(acme):
    client = sign_in(acme)
    save(client)
    assert save(client, query="by=model")["Location"] == "/explore?by=model"
    get_id(acme)  # one view
