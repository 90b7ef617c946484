import re
import time

import pytest
from django.test import Client

from tenants.people import create_user
from tests.dashboards.pages import PASSWORD, read_tables, sign_in
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db
WRONG = "That e-mail and password do not belong together."


@pytest.fixture
def acme():
    tenant = make_tenant("acme")
    create_user(email=f"maria@{tenant.slug}.example", password=PASSWORD, role="owner", tenant_slug=tenant.slug)
    return tenant


def try_password(client, email, password, **extra):
    return client.post("/sign-in", {"login": email, "password": password}, **extra)


def test_the_right_password_opens_the_page_that_was_asked_for(acme):
    client = Client()
    asked = client.get("/ledger?feature=chat")
    assert (asked.status_code, asked["Location"]) == (302, "/sign-in?next=/ledger%3Ffeature%3Dchat")
    answer = client.post(
        asked["Location"], {"login": f"Maria@{acme.slug}.EXAMPLE", "password": PASSWORD, "next": "/ledger?feature=chat"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "/ledger?feature=chat")
    assert client.get("/ledger?feature=chat").status_code == 200


def test_nobody_is_led_to_another_site(acme):
    answer = try_password(Client(), f"maria@{acme.slug}.example", PASSWORD, QUERY_STRING="next=https://evil.example/")
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(acme):
    known = try_password(Client(), f"maria@{acme.slug}.example", "wrong")
    unknown = try_password(Client(), f"nobody@{acme.slug}.example", "wrong")
    assert known.status_code == unknown.status_code == 200
    assert WRONG in known.content.decode()

    def strip(answer):
        text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", answer.content.decode())
        return re.sub(r"(maria|nobody)@[\w.-]+", "", text)

    assert strip(known) == strip(unknown)


def test_an_unknown_address_takes_as_long_as_a_wrong_password(slow_hasher, acme):
    def measure(email):
        start = time.process_time()
        try_password(Client(), email, "wrong")
        return time.process_time() - start

    known = min(measure(f"maria@{acme.slug}.example") for _ in range(2))
    unknown = min(measure(f"nobody-{i}@{acme.slug}.example") for i in range(2))
    assert 0.5 < unknown / known < 2  # the password's hash is most of it, and is computed for both


def test_five_wrong_passwords_close_the_door_even_to_the_right_one(acme):
    email = f"maria@{acme.slug}.example"
    for spelling in (email, email.upper(), f" {email}", email):
        assert try_password(Client(), spelling, "wrong").status_code == 200
    closed = try_password(Client(), email, "wrong")
    assert (closed.status_code, closed["Retry-After"]) == (429, "900")
    assert "Sign-in is closed for 15 minutes" in closed.content.decode()
    assert try_password(Client(), email, PASSWORD).status_code == 429
    assert try_password(Client(), email, PASSWORD, REMOTE_ADDR="192.0.2.7").status_code == 302  # not from elsewhere


def test_the_door_closes_for_an_address_that_nobody_has_just_the_same(acme):
    for _ in range(4):
        try_password(Client(), f"nobody@{acme.slug}.example", "wrong")
    assert try_password(Client(), f"nobody@{acme.slug}.example", "wrong").status_code == 429


def test_signing_in_resets_the_count(acme):
    email = f"maria@{acme.slug}.example"
    for _ in range(3):
        for _ in range(4):
            try_password(Client(), email, "wrong")
        assert try_password(Client(), email, PASSWORD).status_code == 302


def test_signing_out_needs_a_post_and_ends_the_session(acme):
    client = sign_in(acme)
    assert client.get("/sign-out").status_code == 405
    assert client.get("/ledger").status_code == 200
    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get("/ledger").status_code == 302


def test_nobody_can_sign_up():
    for path in ("/signup", "/sign-up", "/accounts/signup/", "/account/signup"):
        assert Client().get(path).status_code == 404


def test_a_form_without_its_token_is_refused_in_a_page_of_ours(acme):
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/sign-in", {"login": f"maria@{acme.slug}.example", "password": PASSWORD})
    assert answer.status_code == 403
    assert "The form was out of date" in answer.content.decode()


@pytest.mark.parametrize("login", ["", "no address", "a\0b@acme.example", "x" * 10_000 + "@acme.example"])
def test_what_is_no_address_is_answered_not_tried(login):
    answer = try_password(Client(), login, "wrong")
    assert answer.status_code == 200
    assert "Not signed in." in answer.content.decode()


def test_the_example_on_the_page_adds_up():
    [[_, *rows]] = read_tables(Client().get("/sign-in").content.decode())
    cells = [[text.replace(",", "") for text in row] for row in rows]
    *lines, (_, total_tokens, _, total) = cells
    millionths = 0
    for _, quantity, price, cost in lines:
        product = round(int(quantity) * float(price) * 10)
        assert product == round(float(cost) * 10**7)
        millionths += product
    assert millionths == round(float(total) * 10**7)
    assert sum(int(quantity) for _, quantity, _, _ in lines) == int(total_tokens)


def test_the_theme_is_remembered_and_leads_back_here_only():
    client = Client()
    answer = client.post("/theme", {"theme": "dark", "next": "/ledger?feature=a"})
    assert (answer["Location"], client.cookies["theme"].value) == ("/ledger?feature=a", "dark")
    assert 'data-theme="dark"' in client.get("/sign-in").content.decode()
    assert client.post("/theme", {"theme": "<script>", "next": "//evil.example"})["Location"] == "/"
    assert client.cookies["theme"].value == "system"
    assert client.get("/theme").status_code == 405
