"""The page to try the contract on, in a real browser: under its strict policy, with a key, to an answer."""

import re

import pytest
from playwright.sync_api import expect

from tests.factories import make_key, make_tenant

pytestmark = pytest.mark.timeout(180)


def test_a_call_is_tried_with_a_key_from_the_page(open_page):
    acme = make_tenant("acme")
    page = open_page("/v1/docs")
    expect(page.locator(".opblock-summary-path", has_text=re.compile(r"^/v1/me$"))).to_be_visible()
    page.locator("button.authorize").first.click()
    page.locator(".auth-container input").fill(make_key(acme, "read"))
    page.locator(".auth-btn-wrapper button.authorize").click()
    page.locator(".auth-btn-wrapper button.btn-done").click()
    page.locator("#operations-reading-get_me .opblock-summary-control").click()
    page.locator("#operations-reading-get_me button.execute").click()
    expect(page.locator("#operations-reading-get_me .live-responses-table")).to_contain_text(acme.slug)
    assert page.complaints == []  # nor was anything asked of another host
