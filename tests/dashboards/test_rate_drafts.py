"""Finance writes a rate, a second person publishes it: the form, the draft's page, the list."""

import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.core.rate_documents import read_rates
from billing.models import RateAct, RateVersion
from billing.rates import forget_rate_book, publish_rates
from tenants.models import User
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant, publish_test_rates, put_drafts_aside

pytestmark = pytest.mark.django_db(databases=["default", "reader"])


def per_million(**prices):
    return {name: {"price": price, "per": 1_000_000} for name, price in prices.items()}


def write_luna(base, long, **fields):
    """GPT-5.6 Luna's list: above 272,000 input tokens inputs cost twice and output 1.5 times."""
    return {
        "provider": "openai", "model": "gpt-5.6-luna", "currency": "USD", "effective_from": "2026-01-01T00:00:00Z",
        "meters": base, "source": {"name": "price page"},
        "context_tiers": [{"input_tokens": 272_000, "compare": ">", "scope": "request", "meters": long}],
    } | fields  # fmt: skip


LUNA_BEFORE = write_luna(
    per_million(input="1", cache_write="1.25", cache_read="0.1", output="6"),
    per_million(input="2", cache_write="2.5", cache_read="0.2", output="9"),
)
LUNA_AFTER = write_luna(
    per_million(input="0.2", cache_write="0.25", cache_read="0.02", output="1.2"),
    per_million(input="0.4", cache_write="0.5", cache_read="0.04", output="1.8"),
    effective_from="2026-07-30T00:00:00Z",
    source={"name": "the cut of July"},
)
# What finance types after the cut of 2026-07-30: base and long prompts' prices.
CUT = {
    "price": ["0.2", "0.02", "0.25", "1.2", ""],
    "tier-1-price": ["0.4", "0.04", "0.5", "1.8", ""],
    "effective_from": "2026-07-30",
    "source_name": "the cut of July",
}


@pytest.fixture(autouse=True)
def fresh_rate_book():
    forget_rate_book()
    yield
    forget_rate_book()


@pytest.fixture
def acme():
    put_drafts_aside()
    publish_test_rates()
    publish(LUNA_BEFORE)
    return make_tenant("acme")


def publish(*rates, origin="file"):
    publish_rates(
        read_rates({"rates": list(rates)}), origin=origin, created_by="maria", approved_by="wanda",
        now=timezone.now(),
    )  # fmt: skip


class _Form(HTMLParser):
    """The fields of one form as a browser would send them, each with its values in order."""

    def __init__(self, label):
        super().__init__()
        self.label, self.is_inside, self.sent, self.text = label, False, {}, None

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self.is_inside = given.get("aria-label") == self.label
        elif self.is_inside and tag == "select":
            self.select = given["name"]
        elif self.is_inside and tag == "option" and ("selected" in given or self.select not in self.sent):
            self.sent[self.select] = [given["value"]]
        elif self.is_inside and tag == "textarea":
            self.text = given["name"]
            self.sent[self.text] = [""]
        elif self.is_inside and tag == "input" and (given["type"] != "checkbox" or "checked" in given):
            self.sent.setdefault(given["name"], []).append(given.get("value", ""))

    def handle_data(self, data):
        if self.text:
            self.sent[self.text] = [self.sent[self.text][0] + data]

    def handle_endtag(self, tag):
        self.is_inside = self.is_inside and tag != "form"
        self.text = None if tag == "textarea" else self.text


def read_form(html, label="The rate"):
    parser = _Form(label)
    parser.feed(html)
    return parser.sent


def fill(html, **changes):
    """The form as it stands with these fields changed."""
    return read_form(html) | changes


def read_text(answer):
    html = answer if isinstance(answer, str) else answer.content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", html).split()).replace(" .", ".").replace(" ,", ",")


def new_path(tenant, **names):
    return f"/rates/new?{urlencode({'tenant': tenant.slug, 'provider': 'openai', 'model': 'gpt-5.6-luna'} | names)}"


def send(client, path, fields, act="draft", **more):
    return client.post(path, fields | {"act": act} | more)


def draft_cut(tenant, client, act="draft", **changes):
    """Finance's draft of the cut, by the form; its id."""
    path = new_path(tenant)
    answer = send(client, path, fill(get_page(client, path), **CUT | changes), act)
    assert answer.status_code == 302, read_text(answer)
    return int(re.search(r"/rates/drafts/(\d+)", answer["Location"])[1])


def take(client, rate_id, act, **fields):
    page = client.get(f"/rates/drafts/{rate_id}", follow=True).content.decode()
    seen = re.search(r'name="seen" value="(\w*)"', page)[1]
    return client.post(f"/rates/drafts/{rate_id}", {"act": act, "seen": seen} | fields)


def find_person(client):
    return User.objects.get(pk=client.session["_auth_user_id"])


def state(rate_id):
    return RateVersion.objects.get(pk=rate_id).state


# --- the form ---


def test_a_new_version_begins_with_what_is_in_force_and_every_field_is_filled(acme):
    client = sign_in(role="finance")
    sent = read_form(get_page(client, new_path(acme)))
    assert sent["meter"] == ["input", "cache_read", "cache_write", "output", ""]
    assert sent["price"] == ["1", "0.1", "1.25", "6", ""]
    assert sent["per"] == ["1,000,000"] * 4 + [""]
    assert (sent["tier-1-above"], sent["tier-1-compare"], sent["tier-1-scope"]) == (["272,000"], [">"], ["request"])
    assert sent["tier-1-price"] == ["2", "0.2", "2.5", "9", ""]
    assert sent["tier-2-meter"] == ["input", "cache_read", "cache_write", "output", ""]
    assert sent["tier-2-price"] == [""] * 5
    assert (sent["provider"], sent["model"], sent["match"], sent["service_tier"], sent["for"]) == (
        ["openai"], ["gpt-5.6-luna"], ["exact"], ["standard"], [""],
    )  # fmt: skip
    tomorrow = timezone.now() + timezone.timedelta(days=1)
    assert (sent["effective_from"], sent["effective_to"]) == ([f"{tomorrow:%Y-%m-%d} 00:00"], [""])
    assert sent["source_name"] == [""]


def test_the_price_cut_is_drafted_by_the_form_and_what_it_says_is_the_rate(acme):
    client = sign_in(role="finance")
    row = RateVersion.objects.get(pk=draft_cut(acme, client))
    (wanted,) = read_rates({"rates": [LUNA_AFTER]})
    assert row.document == wanted.content
    assert (row.effective.lower, row.effective.upper) == (wanted.effective_from, None)
    assert (row.state, row.origin, row.created_by) == ("draft", "custom", f"person {find_person(client).pk}")


def test_a_form_with_no_price_to_begin_with_begins_with_the_nearest_models(acme):
    html = get_page(sign_in(role="finance"), new_path(acme, model="gpt-4o-2024-11-20"))
    sent = read_form(html)
    assert (sent["model"], sent["price"][:1], sent["for"]) == (["gpt-4o-2024-11-20"], ["2.5"], [""])
    assert "those of gpt-4o-2024-08-06, another snapshot of gpt-4o" in read_text(html)
    first = timezone.now() - timezone.timedelta(days=89)
    assert sent["effective_from"] == [f"{first:%Y-%m-%d} 00:00"]
    html = get_page(sign_in(role="finance"), new_path(acme, provider="acme-gpu", model="inhouse-vl-2"))
    assert read_form(html)["meter"] == ["input", "cache_read", "cache_write", "output", ""]
    assert "no priced model has a name like it" in read_text(html) and "to mend" not in html
    batch = read_form(get_page(sign_in(role="finance"), new_path(acme, tier="batch")))
    assert (batch["service_tier"], batch["price"][:1]) == (["batch"], ["1"])


def test_kinds_of_tokens_that_cost_what_contains_them_follow_it(acme):
    meters = per_million(input="1", output="6", cache_write="1.25", cache_write_1h="1.25", audio_input="1")
    publish({name: value for name, value in LUNA_BEFORE.items() if name != "context_tiers"} | {"meters": meters})
    client = sign_in(role="finance")
    html = get_page(client, new_path(acme))
    sent = read_form(html)
    assert sent["meter"] == ["input", "cache_write", "output", ""]
    assert sent["follow"] == ["cache_write_1h", "audio_input"]
    fields = fill(html, price=["0.05", "0.25", "1.2", ""], follow=["audio_input"])
    rate_id = int(re.search(r"/drafts/(\d+)", send(client, new_path(acme), fields)["Location"])[1])
    assert RateVersion.objects.get(pk=rate_id).document["meters"] == per_million(
        input="0.05", audio_input="0.05", cache_write="0.25", output="1.2"
    )
    text = read_text(get_page(client, f"/rates/drafts/{rate_id}?tenant={acme.slug}"))
    assert "The price of input goes from 1 to 0.05 USD per 1,000,000, and with it audio input." in text
    assert "No longer prices cache_write_1h: calls that use it become unpriced." in text
    both = {"confirmed": ["far_away:input | far_away:audio_input", "missing_meter:cache_write_1h"]}
    assert take(client, rate_id, "submit", **both).status_code == 302
    assert state(rate_id) == "in_review"


def test_what_the_form_cannot_say_is_carried_over_and_edited_as_a_text(acme):
    meters = per_million(input="1", output="6") | {
        "audio_second": {"price": "0.1", "per": 1, "minimum_per_call": 10, "note": "ten seconds at least"},
    }
    publish(
        {name: value for name, value in LUNA_BEFORE.items() if name != "context_tiers"}
        | {"meters": meters, "minimum": {"amount": "50", "period": "month"}, "time_window": "16:30-00:30"}
    )
    client = sign_in(role="finance")
    rate_id = draft_cut_of_window(acme, client)
    row = RateVersion.objects.get(pk=rate_id)
    assert row.document["meters"]["audio_second"] == meters["audio_second"] | {"price": "0.2"}
    assert (row.document["minimum"], row.time_window) == ({"amount": "50", "period": "month"}, "16:30-00:30")

    path = f"/rates/drafts/{rate_id}/edit?tenant={acme.slug}"
    fields = read_form(get_page(client, path))
    text = fields["document"][0].replace('"minimum_per_call": 10', '"minimum_per_call": 30')
    both = send(client, path, fields | {"document": [text]})
    assert both.status_code == 400 and "was changed and not read" in read_text(both)
    unread = send(client, path, fields | {"price": ["5", "6", "0.2", ""]}, "text")
    assert read_form(unread.content.decode())["price"][0] == "5"  # a text that says nothing new takes nothing away
    filled = send(client, path, fields | {"document": [text]}, "text")
    assert filled.status_code == 200 and "The form says what the text said" in read_text(filled)
    assert send(client, path, read_form(filled.content.decode())).status_code == 302
    assert RateVersion.objects.get(pk=rate_id).document["meters"]["audio_second"]["minimum_per_call"] == 30

    wrong = text.replace('"price": "0.2"', '"price": 0.2, "prise": "1"').replace('"per": 1,', '"per": "one",')
    answer = send(client, path, fields | {"document": [wrong], "price": ["7"] * 4}, "text")
    said = read_text(answer)
    assert answer.status_code == 400
    assert "meters.audio_second.prise is not known." in said
    assert "meters.audio_second.per is not a whole number in bounds." in said
    kept = read_form(answer.content.decode())
    assert '"prise"' in kept["document"][0] and kept["price"][:3] == ["7", "7", "7"]
    assert "is not JSON" in read_text(send(client, path, fields | {"document": ["{"]}, "text"))


def draft_cut_of_window(tenant, client):
    """A draft of the list of 16:30-00:30, from the version itself, with an audio second at 0.2."""
    version = RateVersion.objects.get(model="gpt-5.6-luna", time_window="16:30-00:30")
    path = f"/rates/new?tenant={tenant.slug}&from={version.pk}"
    html = get_page(client, path)
    sent = read_form(html)
    assert sent["meter"] == ["input", "output", "audio_second", ""]
    answer = send(client, path, fill(html, price=["1", "6", "0.2", ""], effective_from="2026-08-01"))
    return int(re.search(r"/drafts/(\d+)", answer["Location"])[1])


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"price": ["0.0000001", "0.02", "0.25", "1.2", ""]}, "price-1",
         "has more than 12 decimals for one unit (0.0000001 per 1000000). Round it to 6 decimals a million tokens"),
        ({"price": ["0,2", "0.02", "0.25", "1.2", ""]}, "price-1", "is not a price. Write digits and a point"),
        ({"price": ["", "", "", "", ""], "tier-1-price": [""] * 5, "tier-1-above": ""}, "meter-1",
         "Write the price of one meter at least."),
        ({"meter": ["input", "input", "x", "output", ""]}, "meter-2", "input stands twice. Keep one of the two."),
        ({"meter": ["input_tokens", "cache_read", "cache_write", "output", ""]}, "meter-1", "Write input."),
        ({"meter": ["input", "", "cache_write", "output", ""]}, "meter-2", "A price without its meter."),
        ({"price": ["1", "", "0.25", "1.2", ""], "list_price": ["", "9", "", "", ""]}, "price-2",
         "Write what is paid beside what is listed."),
        ({"per": ["a lot", "1000000", "1000000", "1000000", ""]}, "per-1", "is not a whole number in bounds."),
        ({"effective_from": "yesterday"}, "effective_from", "is no time. Write it in UTC, such as 2026-07-30 00:00."),
        ({"effective_from": ""}, "effective_from", "is missing."),
        ({"effective_to": "2026-07-01"}, "effective_to", "is not after effective_from. Write a later time, or leave"),
        ({"model": ""}, "model", "is missing."),
        ({"time_window": "at night"}, "time_window", "is not a window of the day in UTC. Write 16:30-00:30"),
        ({"tier-1-above": "many"}, "tier-1-above", "is not a whole number in bounds."),
        ({"tier-1-price": ["x", "0.04", "0.5", "1.8", ""]}, "tier-1-price-1", "is not a price."),
        ({"step_meter": "image", "step_above": "5", "step_price": "1"}, "step_meter-1", "has no price above."),
        ({"source_name": "", "source_url": "https://x.example"}, "source_name", "is missing."),
        ({"daily_fee": "20"}, "daily_fee", "is owed by nobody. Name the tenant that owes it."),
    ],
)  # fmt: skip
def test_what_is_wrong_stands_at_its_field_with_its_cure_and_what_was_typed_is_kept(acme, change, field, said):
    client = sign_in(role="finance")
    fields = fill(get_page(client, new_path(acme)), **CUT | change)
    answer = send(client, new_path(acme), fields)
    html = answer.content.decode()
    hint = re.search(rf'id="{field}-hint">([^<]*)<', html)[1]
    assert answer.status_code == 400
    assert hint.startswith("▲ ") and said in hint.replace("&quot;", '"'), hint
    assert f'id="{field}"' in html
    kept = read_form(html)
    for name, text in change.items():
        typed = text if isinstance(text, list) else [text]
        assert kept[name][: len(typed)] == typed, name
    assert not RateVersion.objects.filter(state="draft").exists()
    checked = client.post(f"/rates/check?tenant={acme.slug}", fields).content.decode()
    hint = re.search(rf'id="{field}-hint" hx-swap-oob="true">([^<]*)<', checked)[1]
    assert said in hint.replace("&quot;", '"')


def test_the_check_tells_the_difference_and_asks_while_the_form_is_filled_in_and_keeps_nothing(acme):
    client = sign_in(role="finance")
    fields = fill(get_page(client, new_path(acme)), **CUT)
    html = client.post(f"/rates/check?tenant={acme.slug}", fields).content.decode()
    assert "<html" not in html and "Is it meant so?" not in html  # 5 times cheaper: no slip of the decimal point
    rows = {row[0]: row[1:] for row in read_tables(html)[0][1:]}
    assert rows["Output"] == ["6.00", "1.20", "▼ 80.0 % less"]
    assert rows["Input above 272,000 input tokens"] == ["2.00", "0.40", "▼ 80.0 % less"]
    assert len(rows) == 8 and "It begins in the past." in html

    slip = fields | {"price": ["0.02", "0.02", "0.25", "1.2", ""], "confirmed": ["far_away:input"]}
    html = client.post(f"/rates/check?tenant={acme.slug}", slip).content.decode()
    assert "The price of input goes from 1 to 0.02 USD per 1,000,000." in html
    assert 'value="far_away:input" checked' in html
    gone = fields | {"price": ["0.2", "", "0.25", "1.2", ""], "tier-1-price": ["0.4", "", "0.5", "1.8", ""]}
    html = client.post(f"/rates/check?tenant={acme.slug}", gone).content.decode()
    assert "No longer prices cache_read: calls that use it become unpriced." in html
    later = fields | {"effective_from": "2025-06-01", "effective_to": "2025-12-01"}
    html = client.post(f"/rates/check?tenant={acme.slug}", later).content.decode()
    assert "Nothing prices what comes after 2025-12-01 00:00 UTC." in html
    assert "No price of this name is in force where it begins." in html
    over = fields | {"effective_from": "2025-06-01"}
    html = client.post(f"/rates/check?tenant={acme.slug}", over).content.decode()
    assert "Ends already on 2026-01-01 00:00 UTC, where the next one begins." in html
    assert RateVersion.objects.filter(state="draft").count() == 0


def test_a_pattern_that_ties_with_another_is_an_error_that_no_box_confirms(acme):
    base = {name: value for name, value in LUNA_BEFORE.items() if name != "context_tiers"}
    publish(base | {"match": "pattern", "model": "gpt-[5]x-.*", "provider": "acme-gpu"})
    client = sign_in(role="finance")
    fields = fill(
        get_page(client, new_path(acme)), **CUT | {"match": "pattern", "model": "gpt-[56]x-.*", "provider": "acme-gpu"}
    )
    answer = send(client, new_path(acme), fields, "submit", confirmed=["ambiguous"])
    assert answer.status_code == 409
    assert "Correct what is wrong with it first." in read_text(answer) and "ties with" in read_text(answer)
    assert not RateVersion.objects.filter(state__in=("draft", "in_review")).exists()


def test_what_ties_with_one_published_meanwhile_is_not_published_and_says_with_which(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")
    rate_id = draft_cut(acme, finance, "submit", match="pattern", model="gpt-[56]x-.*", provider="acme-gpu")
    base = {name: value for name, value in LUNA_BEFORE.items() if name != "context_tiers"}
    publish(base | {"match": "pattern", "model": "gpt-[5]x-.*", "provider": "acme-gpu"})
    refused = take(admin, rate_id, "approve", comment="as agreed")
    assert refused.status_code == 400 and state(rate_id) == "in_review"
    assert "ties with" in read_text(refused) and "Give one pattern a higher priority" in read_text(refused)
    assert "as agreed</textarea>" in refused.content.decode()


def test_a_price_agreed_with_one_tenant_at_less_than_the_list_price(acme):
    client = sign_in(role="finance")
    change = {
        "for": acme.slug, "price": ["0.9", "0.09", "1.125", "5.4", ""], "list_price": ["1", "0.1", "1.25", "6", ""],
        "tier-1-price": ["1.8", "0.18", "2.25", "8.1", ""], "tier-1-list_price": ["2", "0.2", "2.5", "9", ""],
    }  # fmt: skip
    rate_id = draft_cut(acme, client, **change)
    row = RateVersion.objects.get(pk=rate_id)
    assert row.tenant_id == acme.id
    assert row.document["meters"]["input"] == {"price": "0.9", "list_price": "1", "per": 1_000_000}
    html = get_page(client, f"/rates/drafts/{rate_id}?tenant={acme.slug}")
    text = read_text(html)
    assert "everybody's price" in text.replace("&#x27;", "'") and f"Agreed for the tenant {acme.slug} alone." in text
    assert read_tables(html)[0][1] == ["Input", "1.00", "0.90 list 1.00", "▼ 10.0 % less"]
    take(client, rate_id, "submit")
    admin = sign_in(role="admin")
    take(admin, rate_id, "approve")
    text = read_text(get_page(admin, f"/rates/drafts/{rate_id}?tenant={acme.slug}"))
    assert "Output $5.40 instead of $6.00: ▼ 10.0 % less" in text  # everybody's price goes on beside it
    above = fill(get_page(client, new_path(acme)), **CUT | change | {"price": ["1.1", "0.09", "1.125", "5.4", ""]})
    html = client.post(f"/rates/check?tenant={acme.slug}", above).content.decode()
    assert "The price of input is agreed at 1.1 and listed at 1 USD per 1,000,000." in html


def test_tiers_on_a_months_quantity_and_fees_are_written_by_the_form(acme):
    client = sign_in(role="finance")
    path = new_path(acme, provider="acme-gpu", model="painter")
    fields = fill(
        get_page(client, path), meter=["image"], price=["0.04"], list_price=[""], per=["1"],
        effective_from="2026-07-01", step_meter=["image", "image"], step_above=["1,000", "10,000"],
        step_scope=["graduated", "graduated"], step_price=["0.03", "0.02"], step_size=["", ""],
        step_flat=["5", ""], minimum="100", daily_fee="2.5",
        **{"for": acme.slug},
    )  # fmt: skip
    rate_id = int(re.search(r"/drafts/(\d+)", send(client, path, fields)["Location"])[1])
    document = RateVersion.objects.get(pk=rate_id).document
    assert document["meters"]["image"]["quantity_tiers"] == [
        {"above": 1000, "scope": "graduated", "price": "0.03", "flat": "5"},
        {"above": 10000, "scope": "graduated", "price": "0.02"},
    ]
    assert (document["minimum"], document["daily_fee"]) == ({"amount": "100", "period": "month"}, "2.5")
    edited = read_form(get_page(client, f"/rates/drafts/{rate_id}/edit?tenant={acme.slug}"))
    assert edited["step_above"][:2] == ["1,000", "10,000"] and edited["minimum"] == ["100"]


def test_more_lines_and_the_check_without_scripts_keep_what_was_typed(acme):
    client = sign_in(role="finance")
    fields = fill(get_page(client, new_path(acme)), **CUT)
    answer = send(client, new_path(acme), fields, "more")
    sent = read_form(answer.content.decode())
    assert (answer.status_code, sent["price"][:4], len(sent["meter"])) == (200, CUT["price"][:4], 8)
    answer = send(client, new_path(acme), fields | {"price": ["0.02", "0.02", "0.25", "1.2", ""]}, "check")
    assert answer.status_code == 200 and "Is it meant so?" in read_text(answer)
    assert not RateVersion.objects.filter(state="draft").exists()


# --- a draft's page ---


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
    assert "Confirm each question below by its box, or correct what it asks about." in read_text(refused)
    assert "really</textarea>" in refused.content.decode() and state(rate_id) == "draft"
    assert take(client, rate_id, "submit", confirmed=["far_away:input"]).status_code == 302
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


# --- the list, and who sees any of it ---


def test_the_list_tells_what_is_under_way_and_what_was_decided(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")
    published = draft_cut(acme, finance, "submit")
    take(admin, published, "approve")
    withdrawn = draft_cut(acme, finance, effective_from="2026-08-01", price=["0.3", "0.02", "0.25", "1.2", ""])
    take(finance, withdrawn, "withdraw")
    waiting = draft_cut(acme, finance, "submit", effective_from="2026-09-01", price=["0.3", "0.02", "0.25", "1.2", ""])
    draft = draft_cut(acme, finance, effective_from="2026-10-01", **{"for": acme.slug})
    html = get_page(finance, f"/rates/drafts?tenant={acme.slug}")
    in_review, drafts, decided = read_tables(html)
    name = "gpt-5.6-luna openai version"
    assert [row[0] for row in in_review[1:]] == [f"{name} {waiting}"]
    assert in_review[1][1:3] == ["input 0.20 → 0.30 ▲ 50.0 % more", "1 Sep 2026"]
    assert [row[0] for row in drafts[1:]] == [f"{name} {draft}, {acme.slug} alone"]
    assert drafts[1][1] == "no price changes"
    assert [(row[0], row[3]) for row in decided[1:3]] == [
        (f"{name} {withdrawn}", "withdrawn"), (f"{name} {published}", "published"),
    ]  # fmt: skip
    assert decided[2][1].startswith("input 1.00 → 0.20, cache reads 0.10 → 0.02, cache writes 1.25 → 0.25 and 5 more")
    assert "1 version waits for a second person, 1 draft is being written." in read_text(html)

    book(acme, {"time": timezone.now(), "provider": "acme-gpu", "model": "llama"})
    rates = get_page(finance, f"/rates?tenant={acme.slug}")
    assert "Drafts, 2" in rates and f"/rates/drafts?tenant={acme.slug}" in rates
    assert f"/rates/new?tenant={acme.slug}&amp;provider=acme-gpu&amp;model=llama" in rates
    assert "/rates/new?" in get_page(finance, f"/rates/openai/gpt-5.6-luna?tenant={acme.slug}")


def test_lists_longer_than_a_page_lead_to_the_older_ones(acme, monkeypatch):
    monkeypatch.setattr("dashboards.rates.drafts.ROWS_MAX", 2)
    client = sign_in(role="finance")
    ids = [draft_cut(acme, client, effective_from=f"2026-08-0{day}") for day in range(1, 6)]
    seen, path = [], f"/rates/drafts?tenant={acme.slug}"
    while path:
        html = get_page(client, path)
        seen += [int(row[0].split()[-1]) for row in read_tables(html)[0][1:]]
        older = re.search(r'href="([^"]*before=[^"]*)"', html)
        path = older[1].replace("&amp;", "&") if older else ""
    assert seen == ids[::-1]
    for rate_id in ids:
        take(client, rate_id, "withdraw")
    html = get_page(client, f"/rates/drafts?tenant={acme.slug}")
    older = re.search(r'href="([^"]*before_act=[^"]*)"', html)[1].replace("&amp;", "&")
    assert [int(row[0].split()[-1]) for row in read_tables(get_page(client, older))[0][1:]] == [ids[2], ids[1]]


def test_only_those_who_keep_the_rates_find_these_pages(acme):
    finance = sign_in(role="finance")
    rate_id = draft_cut(acme, finance)
    paths = ["/rates/new", "/rates/drafts", f"/rates/drafts/{rate_id}", f"/rates/drafts/{rate_id}/edit"]
    for client in (sign_in(role="engineer"), sign_in(acme, role="owner"), sign_in(acme)):
        for path in paths:
            assert client.get(path, follow=True).status_code == 404, path
            assert client.post(path, {"act": "withdraw"}).status_code in (404, 405), path
        assert client.post("/rates/check", {}).status_code == 404
        for page in ("/rates", "/rates/openai/gpt-5.6-luna"):
            html = client.get(page, follow=True).content.decode()
            assert "/rates/new" not in html and "/rates/drafts" not in html
    for path in paths:
        assert Client().get(path)["Location"].startswith("/sign-in?")
    assert state(rate_id) == "draft"
    for path in ("/rates/drafts/0", f"/rates/drafts/{10**25}", f"/rates/drafts/{10**25}/edit", "/rates/new?from=0"):
        address = f"{path}{'&' if '?' in path else '?'}tenant={acme.slug}"
        assert finance.get(address).status_code == 404, path
        if "edit" not in path and "new" not in path:
            assert finance.post(address, {"act": "withdraw"}).status_code == 404, path


def test_what_is_sent_by_hand_is_refused_and_never_an_error(acme):
    client = sign_in(role="finance")
    path = new_path(acme)
    for fields in (
        {}, {"base": "["}, {"base": "[]"}, {"base": '{"meters": 7, "context_tiers": {"a": 1}}', "tier": "1"},
        {"tier": ["1", "x", "-1", "99"], "tier-1-above": "5"},
        {"meter": "a", "price": "1", "base": '{"meters": {"a": 1}}'},
        {"meter": "\0", "price": "\0"}, {"for": "nobody", "provider": "x", "model": "y"},
        {"document": "[1"},
        {"price_from": "magic"}, {"minimum": "x", "base": '{"minimum": {"amount": "1", "period": "year"}}'},
        {"meter": "input", "price": "1", "per": "9" * 40, "effective_from": "0001-01-01"},
    ):  # fmt: skip
        for act in ("draft", "submit", "check", "more", "text"):
            assert send(client, path, fields, act).status_code in (200, 400), (fields, act)
        assert client.post(f"/rates/check?tenant={acme.slug}", fields).status_code == 200, fields
    assert send(client, path, {}, "burn").status_code == 400
    fields = fill(get_page(client, path), **CUT | {"for": "nobody"})
    answer = send(client, path, fields)
    assert answer.status_code == 400 and "is not known. Make it first: create_tenant nobody." in read_text(answer)
    assert not RateVersion.objects.filter(state="draft").exists()


def count_queries(client, path):
    get_page(client, path)
    with CaptureQueriesContext(connection) as queries:
        get_page(client, path)
    return len(queries)


def test_the_number_of_queries_grows_with_nothing(acme):
    finance, admin = sign_in(role="finance"), sign_in(role="admin")

    def make_some(days):
        for day in days:
            rate_id = draft_cut(acme, finance, "submit", effective_from=f"2026-08-{day:02}")
            take(admin, rate_id, "comment", comment=f"day {day}")
            if day % 3 == 0:
                take(admin, rate_id, "return")
            if day % 3 == 1:
                take(admin, rate_id, "withdraw")
        return rate_id

    last = make_some(range(1, 5))
    paths = [f"/rates/drafts?tenant={acme.slug}", f"/rates/drafts/{last}?tenant={acme.slug}", new_path(acme)]
    few = [count_queries(finance, path) for path in paths]
    make_some(range(5, 14))
    take(admin, last, "comment", comment="again")
    assert [count_queries(finance, path) for path in paths] == few
    assert max(few) < 25
