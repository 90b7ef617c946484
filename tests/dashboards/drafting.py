"""Rates drafted as finance does it: by the fields of the form, sent as a browser sends them."""

import re
from html.parser import HTMLParser
from urllib.parse import urlencode

from django.utils import timezone

from billing.core.rate_documents import read_rates
from billing.models import RateVersion
from billing.rates import publish_rates
from tenants.models import User
from tests.dashboards.pages import get_page
from tests.factories import make_tenant, publish_test_rates, put_drafts_aside


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


def begin_with_luna():
    """A tenant, and Luna before its cut among the rates; what others left in review is out of the way."""
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
