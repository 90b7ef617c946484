"""A key made and a rejected event booked in a real browser, by keyboard and without scripts; both pages' looks."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from ledger.rejected import list_rejected
from tenants.keys import find_api_key
from tenants.selectors import list_api_keys
from tests.browsing import LIST_WEIGHTS, PAGE_BYTES_MAX, look_at
from tests.dashboards.pages import sign_in
from tests.dashboards.test_rejected import list_usage, make_wrong, send
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def acme(committed_db):
    publish_test_rates()
    return make_tenant("acme")


def press_to(page, name):
    """Go on with the Tab key, once the page is there whole, until what has this name is focused."""
    page.wait_for_load_state()
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "[document.activeElement.getAttribute('aria-label'), document.activeElement.textContent,"
            " document.activeElement.id].map((text) => (text ?? '').trim())"
        )
        if name in focused:
            return
    raise AssertionError(f"no Tab leads to {name}")


def test_a_key_is_made_by_keyboard_and_its_first_event_arrives_on_the_page(open_page, acme, live_server_url):
    page = open_page("/", client=sign_in(acme, role="owner"))
    press_to(page, "Settings")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No key is live")).to_be_visible()
    press_to(page, "key-name")
    page.keyboard.type("checkout in production")
    press_to(page, "Make the key")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The new key of checkout in production")).to_be_visible()
    page.wait_for_load_state()
    token = page.locator("#token").inner_text()
    assert find_api_key(token).name == "checkout in production"
    expect(page.get_by_text("Listening.")).to_be_visible()

    program = page.locator("#python").inner_text()
    address = re.search(r'Request\("(.*)/v1/events"', program)[1]
    done = subprocess.run(
        [sys.executable, "-c", program.replace(address, live_server_url)], capture_output=True, text=True, timeout=60
    )
    assert json.loads(done.stdout)["accepted"] == 1, done.stderr
    expect(page.get_by_text("It arrived.")).to_be_visible()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.wait_for_timeout(2_500)
    assert requests == []  # nothing is asked for once it is there
    page.get_by_role("link", name="The first event stands in the ledger").press("Enter")
    page.wait_for_url("**/ledger/*")
    expect(page.get_by_text("gpt-4o-2024-08-06").first).to_be_visible()
    assert page.complaints == []


def test_a_double_click_makes_one_key_and_shows_it(open_page, acme):
    page = open_page("/settings/keys", client=sign_in(acme, role="owner"))
    page.get_by_label("Where it is used").fill("checkout")
    page.get_by_role("button", name="Make the key").dblclick()
    expect(page.locator("#token")).to_be_visible()
    page.wait_for_load_state()
    assert find_api_key(page.locator("#token").inner_text())
    assert len(list_api_keys(acme.id)) == 1


def test_a_key_is_rotated_and_revoked_without_scripts(open_page, acme):
    old = make_key(acme, name="nightly")
    page = open_page("/settings/keys", client=sign_in(acme, role="owner"), java_script_enabled=False)
    page.locator("summary", has_text="Rotate").press("Enter")
    page.get_by_label("The old one ends").select_option("1h")
    page.get_by_role("button", name="Make the new key").click()
    expect(page.get_by_text("is live until")).to_be_visible()
    page.wait_for_load_state()
    new = page.locator("#token").inner_text()
    assert find_api_key(old) and find_api_key(new)
    page.get_by_role("link", name="I have it").click()
    row = page.locator("tr", has_text=f"tl_{old.split('_')[1]}…")
    row.locator("summary", has_text="Revoke").press("Enter")
    row.get_by_role("button", name="Revoke the key").click()
    expect(page.get_by_text("The key is revoked")).to_be_visible()
    assert find_api_key(old) is None and find_api_key(new)


def test_a_rejected_event_is_corrected_and_booked_by_keyboard(open_page, acme):
    [rejected] = send(acme, make_wrong(id="req-by-keyboard"))
    page = open_page("/rejected", client=sign_in(acme, role="owner"))
    page.locator("tr", has_text="req-by-keyboard").get_by_role("link").press("Enter")
    expect(page.get_by_role("heading", name="req-by-keyboard")).to_be_visible()
    page.wait_for_load_state()
    assert page.locator(".sent .wrong").inner_text().split() == [
        '"output_tokens":', '"300"', "▲", "must", "be", "a", "number,", "not", "text",
    ]  # fmt: skip
    press_to(page, "text")
    text = page.get_by_label("The event in JSON").input_value()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text.replace('"300"', "300"))
    press_to(page, "Check")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It would be booked:")).to_be_visible()
    assert list_usage(acme) == []
    press_to(page, "Book it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("It is booked.")).to_be_visible()
    page.get_by_role("link", name="Its entry").press("Enter")
    page.wait_for_url("**/ledger/*")
    [entry] = list_usage(acme)
    assert entry["id"] in page.url
    assert list_rejected(tenant_id=acme.id)[0].replayed_at
    assert page.complaints == []
    assert rejected.event_id == entry["event_id"]


def test_all_of_a_code_are_tried_again_without_scripts(open_page, acme):
    early = datetime.now(UTC) - timedelta(hours=2)
    ahead = (early + timedelta(hours=1)).isoformat()
    send(acme, *(make_wire_event(id=f"ahead-{i}", time=ahead) for i in range(3)), now=early)
    page = open_page("/rejected", client=sign_in(acme, role="owner"), java_script_enabled=False)
    page.get_by_role("button", name="Try all 3 of time_out_of_window again").click()
    expect(page.get_by_text("3 tried: 3 booked.")).to_be_visible()
    page.get_by_role("link", name="The entries").click()
    page.wait_for_url("**/ledger?**")
    expect(page.locator("main tbody tr")).to_have_count(3)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_of_keys_and_rejected_events_fit_are_silent_light_and_accessible(open_page, acme, theme):
    client = sign_in(acme, role="owner")
    for name in ("a-key-with-a-rather-long-name-of-a-service-in-production-eu", "second"):
        make_key(acme, "ingest,backfill,read,audit,quota,admin", name=name)
    usage = {"input_tokens": 1200, "output_tokens": "a-text-that-has-no-place-where-it-could-be-broken" * 4}
    [rejected] = send(acme, make_wire_event(id="x" * 200, usage=usage, feature=7))
    page = open_page("/settings/keys", client=client, theme=theme)
    weights = page.evaluate(LIST_WEIGHTS)
    assert sum(size for _, size in weights) < PAGE_BYTES_MAX, weights
    look_at(page)
    for word in ("Rotate", "Revoke"):
        page.locator(".act summary", has_text=word).first.click()
        look_at(page)
        page.keyboard.press("Escape")
    page.get_by_label("Where it is used").fill("n" * 60)
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#token")).to_be_visible()
    look_at(page)
    for path in ("/rejected", "/rejected?code=nothing", f"/rejected/{rejected.id}"):
        page.goto(path)
        assert sum(size for _, size in page.evaluate(LIST_WEIGHTS)) < PAGE_BYTES_MAX
        look_at(page)
    page.get_by_role("button", name="Book it").click()
    expect(page.get_by_text("Nothing was booked.")).to_be_visible()
    assert page.complaints == [
        "Failed to load resource: the server responded with a status of 422 (Unprocessable Entity)"
    ]
    page.complaints.clear()
    look_at(page)
