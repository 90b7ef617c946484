"""The form of a rate: what it begins with, what it says, and what is wrong with it."""

import re

import pytest
from django.utils import timezone

from billing.core.rate_documents import read_rates
from billing.models import RateVersion
from tests.dashboards.drafting import (
    CUT,
    LUNA_AFTER,
    LUNA_BEFORE,
    begin_with_luna,
    draft_cut,
    fill,
    find_person,
    new_path,
    per_million,
    publish,
    read_form,
    read_text,
    send,
    state,
    take,
)
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant

pytestmark = [pytest.mark.django_db(databases=["default", "reader"]), pytest.mark.usefixtures("fresh_rate_book")]


@pytest.fixture
def acme():
    return begin_with_luna()


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
    fields = fill(html, price=["0.05", "0.25", "1.2", ""], follow=["audio_input"], source_name="price page")
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
         "has more than 6 decimals a million (0.0000001). Round it to 6."),
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
        ({"effective_to": "2026-07-01"}, "effective_to", "is not after its beginning. Write a later time, or leave"),
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
        step_flat=["5", ""], minimum="100", daily_fee="2.5", source_name="our own cluster",
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
    text = read_text(get_page(client, f"/rates/drafts/{rate_id}?tenant={acme.slug}"))
    assert "2.50 USD a day, used or not." in text and "At least 100.00 USD a month, charged at its end." in text
    assert "Images: what is above 1,000 in a month costs 0.03 USD per 1, and 5.00 USD once it is entered." in text
    assert "Images above 10,000 a month" in text


def test_a_version_in_the_place_of_one_that_ends_ends_with_it(acme):
    year = LUNA_BEFORE | {"tenant": acme.slug, "effective_to": "2100-01-01T00:00:00Z"}
    publish(year)
    form = read_form(get_page(sign_in(role="finance"), new_path(acme)))
    assert (form["for"], form["effective_to"]) == ([acme.slug], ["2100-01-01 00:00"])
    globex = make_tenant("globex")  # whose price has no end
    form = read_form(get_page(sign_in(role="finance"), new_path(globex)))
    assert (form["for"], form["effective_to"]) == ([""], [""])


def test_a_price_is_kept_with_where_it_was_read_or_agreed(acme):
    client = sign_in(role="finance")
    fields = fill(get_page(client, new_path(acme)), **CUT | {"source_name": ""})
    assert "Nothing is wrong with it" in read_text(send(client, new_path(acme), fields, "check"))
    for act in ("draft", "submit"):
        answer = send(client, new_path(acme), fields, act)
        assert answer.status_code == 400
        assert "▲ Say where the price was read or agreed, such as Contract A-2026-11." in read_text(answer)
    assert not RateVersion.objects.filter(state="draft").exists()


def test_more_lines_and_the_check_without_scripts_keep_what_was_typed(acme):
    client = sign_in(role="finance")
    fields = fill(get_page(client, new_path(acme)), **CUT)
    answer = send(client, new_path(acme), fields, "more")
    sent = read_form(answer.content.decode())
    assert (answer.status_code, sent["price"][:4], len(sent["meter"])) == (200, CUT["price"][:4], 8)
    answer = send(client, new_path(acme), fields | {"price": ["0.02", "0.02", "0.25", "1.2", ""]}, "check")
    assert answer.status_code == 200 and "Is it meant so?" in read_text(answer)
    assert not RateVersion.objects.filter(state="draft").exists()
