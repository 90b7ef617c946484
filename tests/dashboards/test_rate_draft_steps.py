"""A rate's way from its draft to its publication, by two people."""

import re

import pytest

from billing.models import RateAct, RateVersion
from tests.dashboards.drafting import (
    CUT,
    begin_with_luna,
    draft_cut,
    fill,
    find_person,
    new_path,
    read_form,
    read_text,
    send,
    state,
    take,
)
from tests.dashboards.pages import get_page, sign_in

pytestmark = [pytest.mark.django_db(databases=["default", "reader"]), pytest.mark.usefixtures("fresh_rate_book")]


@pytest.fixture
def acme():
    return begin_with_luna()


LESS = "▼ 80.0 % less"


def test_two_people_take_a_rate_from_draft_to_published(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")
    rate_id = draft_cut(acme, finance)
    path = f"/rates/drafts/{rate_id}?tenant={acme.slug}"
    text = read_text(get_page(finance, path))
    assert f"Output $1.20 instead of $6.00: {LESS}, and 7 more prices." in text
    assert "Approve and publish" not in text and "Submit for approval" in text
    assert "Nothing is wrong with it, and nothing to be asked" in text

    assert take(finance, rate_id, "submit", comment="the cut of July")["Location"].endswith("done=submitted")
    text = read_text(get_page(finance, path))
    assert "Approve and publish" not in text
    assert "Approving is somebody else's. You wrote it, so a second person approves it." in text.replace("&#x27;", "'")
    refused = take(finance, rate_id, "approve", comment="my own words")
    assert refused.status_code == 409 and state(rate_id) == "in_review"
    assert "Somebody who neither wrote nor submitted it approves a rate." in read_text(refused)
    assert "my own words</textarea>" in refused.content.decode()

    assert take(admin, rate_id, "comment", comment="is it net?")["Location"].endswith("done=commented")
    assert "Approve and publish" in read_text(get_page(admin, path))
    assert take(admin, rate_id, "approve", comment="as agreed")["Location"].endswith("done=published")
    assert state(rate_id) == "published"
    html = get_page(admin, path)
    text = read_text(html)
    assert "Approve and publish" not in text and "Withdraw" not in text
    assert f"Output $1.20 instead of $6.00: {LESS}" in text  # still beside what it took the place of
    said = [read_text(each) for each in re.findall(r'<li class="done"><b>.*?</li>', html, re.DOTALL)][-5:]
    who, other = find_person(finance).email, find_person(admin).email
    acts = [
        (who, "drafted it"),
        (who, "submitted it"),
        (other, "said"),
        (other, "approved it"),
        (other, "published it"),
    ]
    for sentence, (name, words) in zip(said, acts, strict=True):
        assert sentence.startswith(f"{name} {words}")
    assert said[2].endswith("is it net?") and said[3].endswith("as agreed")
    assert list(RateAct.objects.filter(rate_version_id=rate_id).order_by("id").values_list("act", flat=True)) == [
        "drafted", "submitted", "commented", "approved", "published",
    ]  # fmt: skip
    assert "@" not in "".join(RateAct.objects.filter(rate_version_id=rate_id).values_list("actor", flat=True))

    model = read_text(get_page(admin, f"/rates/openai/gpt-5.6-luna?tenant={acme.slug}"))
    assert "A million tokens cost $ 0.20 in and $ 1.20 out" in model


def test_a_rate_is_returned_edited_and_withdrawn_and_stays_readable(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")
    rate_id = draft_cut(acme, finance, "submit")
    assert state(rate_id) == "in_review"
    edit = f"/rates/drafts/{rate_id}/edit?tenant={acme.slug}"
    assert finance.get(edit)["Location"].startswith(f"/rates/drafts/{rate_id}?")  # in review nothing is edited
    assert take(admin, rate_id, "return", comment="two digits too many")["Location"].endswith("done=returned")
    fields = fill(get_page(finance, edit), price=["0.3", "0.02", "0.25", "1.2", ""])
    assert send(finance, edit, fields)["Location"].endswith("done=edited")
    assert RateVersion.objects.get(pk=rate_id).document["meters"]["input"]["price"] == "0.3"
    assert take(finance, rate_id, "withdraw")["Location"].endswith("done=withdrawn")
    text = read_text(get_page(admin, f"/rates/drafts/{rate_id}?tenant={acme.slug}"))
    assert "It was withdrawn and never priced anything." in text and "two digits too many" in text
    assert "Submit for approval" not in text and "Edit" not in text


def test_a_question_is_confirmed_by_its_box_before_it_is_submitted(acme):
    client = sign_in(role="finance")
    slip = {"price": ["0.02", "0.02", "0.25", "1.2", ""]}
    rate_id = draft_cut(acme, client, **slip)
    refused = take(client, rate_id, "submit", comment="really")
    assert refused.status_code == 409
    assert "Confirm each question by its box, or correct what it asks about." in read_text(refused)
    assert "really</textarea>" in refused.content.decode() and state(rate_id) == "draft"
    assert take(client, rate_id, "submit", confirmed=["far_away:input"]).status_code == 302
    assert "Confirmed: the price of input is ten times away, or more." in read_text(
        get_page(client, f"/rates/drafts/{rate_id}?tenant={acme.slug}")
    )
    # and from the form, in one step or not at all
    fields = fill(get_page(client, new_path(acme)), **CUT | slip | {"effective_from": "2026-08-01"})
    answer = send(client, new_path(acme), fields, "submit", comment="at once")
    assert answer.status_code == 409 and RateVersion.objects.filter(model="gpt-5.6-luna", state="draft").count() == 0
    assert "at once</textarea>" in answer.content.decode()
    answer = send(client, new_path(acme), fields, "submit", confirmed=["far_away:input"])
    assert answer["Location"].endswith("done=submitted")


def test_a_button_pressed_twice_does_once_what_it_says(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")
    fields = fill(get_page(finance, new_path(acme)), **CUT)
    first, second = (send(finance, new_path(acme), fields, "submit") for _ in range(2))
    assert first["Location"] == second["Location"]
    rate_id = int(re.search(r"/drafts/(\d+)", first["Location"])[1])
    seen = RateVersion.objects.count()
    again = send(finance, new_path(acme), fields)
    assert f"/drafts/{rate_id}?" in again["Location"] and RateVersion.objects.count() == seen
    page = get_page(admin, f"/rates/drafts/{rate_id}?tenant={acme.slug}")
    form = read_form(page, "The next step")
    for act in ("comment", "approve"):
        answers = [admin.post(f"/rates/drafts/{rate_id}", form | {"act": act, "comment": "yes"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [302, 302], act
    acts = list(RateAct.objects.filter(rate_version_id=rate_id).order_by("id").values_list("act", flat=True))
    assert acts == ["drafted", "submitted", "commented", "approved", "published"]


def test_a_page_that_is_old_changes_nothing_that_its_reader_did_not_see(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")
    rate_id = draft_cut(acme, finance, "submit")
    path = f"/rates/drafts/{rate_id}?tenant={acme.slug}"
    old = read_form(get_page(admin, path), "The next step")
    take(finance, rate_id, "return")
    edit = f"/rates/drafts/{rate_id}/edit?tenant={acme.slug}"
    form, other = get_page(finance, edit), get_page(admin, edit)
    assert send(finance, edit, fill(form, effective_from="2026-08-01"))["Location"].endswith("done=edited")
    stale = send(admin, edit, fill(other, price=["7", "7", "7", "7", ""]))
    assert stale.status_code == 409 and "It was edited since you opened it; look at it again." in read_text(stale)
    assert read_form(stale.content.decode())["price"][:4] == ["7", "7", "7", "7"]
    take(finance, rate_id, "submit")
    refused = admin.post(path, old | {"act": "approve"})
    assert refused.status_code == 409 and state(rate_id) == "in_review"
    assert "It was edited since you opened it; look at it again." in read_text(refused)
    assert take(admin, rate_id, "approve").status_code == 302
    refused = take(finance, rate_id, "withdraw")
    assert refused.status_code == 409
    assert "A rate that is published cannot be withdrawn." in read_text(refused)


def test_what_was_overtaken_and_what_changes_nothing_is_refused_in_a_sentence(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")
    one = draft_cut(acme, finance, "submit")
    two = draft_cut(acme, finance, "submit", source_name="another page")
    assert take(admin, one, "approve").status_code == 302
    refused = take(admin, two, "approve")
    assert refused.status_code == 409
    assert "Another price was published since this was submitted; return it and look again." in read_text(refused)
    take(admin, two, "return")
    take(finance, two, "submit", confirmed=["replaces"])
    refused = take(admin, two, "approve")
    assert refused.status_code == 409
    assert "What is in force says the same already; withdraw it." in read_text(refused)


def test_one_that_is_put_before_all_others_is_compared_with_none(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")
    rate_id = draft_cut(acme, finance, effective_from="2025-01-01")
    take(finance, rate_id, "submit", confirmed=["overlap"])
    assert take(admin, rate_id, "approve").status_code == 302
    text = read_text(get_page(admin, f"/rates/drafts/{rate_id}?tenant={acme.slug}"))
    assert "Output $1.20, where there was no price, and 7 more prices." in text
    assert str(RateVersion.objects.get(pk=rate_id).effective.upper) == "2026-01-01 00:00:00+00:00"


def test_where_no_second_person_is_asked_for_whoever_wrote_it_publishes_it(acme, settings):
    settings.RATES_FOUR_EYES = False
    client = sign_in(role="finance")
    rate_id = draft_cut(acme, client, price=["0.02", "0.02", "0.25", "1.2", ""])
    assert ">Publish<" in get_page(client, f"/rates/drafts/{rate_id}?tenant={acme.slug}")
    assert take(client, rate_id, "publish").status_code == 409
    assert take(client, rate_id, "publish", confirmed=["far_away:input"])["Location"].endswith("done=published")
    assert state(rate_id) == "published"
    text = read_text(get_page(client, f"/rates/drafts/{rate_id}?tenant={acme.slug}"))
    assert f"Output $1.20 instead of $6.00: {LESS}" in text


def test_publishing_alone_is_refused_where_a_second_person_is_asked_for(acme):
    client = sign_in(role="finance")
    rate_id = draft_cut(acme, client)
    refused = take(client, rate_id, "publish")
    assert refused.status_code == 409 and "Here a second person approves a rate: submit it." in read_text(refused)
    assert client.post(f"/rates/drafts/{rate_id}", {"act": "burn"}).status_code == 400
    empty = take(client, rate_id, "comment", comment=" ")
    assert empty.status_code == 409 and "A comment says something." in read_text(empty)
    long = take(client, rate_id, "comment", comment="x" * 1001)
    assert long.status_code == 409 and "A comment has at most 1,000 characters." in read_text(long)
