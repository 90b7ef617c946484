"""The pages in a real browser: both widths, both themes, by keyboard and without scripts."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from alerts.budgets import create_budget, list_budgets
from alerts.core.budget_terms import read_terms
from alerts.decisions import count_decision
from billing.reratings import list_jobs
from content.contents import change_retention, keep_content
from content.core.messages import Message
from ledger.selectors import EntryFilters, list_entries
from tenants.people import create_user
from tenants.scope import tenant_scope
from tests.browsing import (
    LIST_WEIGHTS,
    PAGE_BYTES_MAX,
    PHONE,
    WIDE,
    list_too_wide,
    list_violations,
    wait_for_chart,
)
from tests.dashboards import luna
from tests.dashboards.bookings import book
from tests.dashboards.pages import PASSWORD, sign_in
from tests.factories import make_tenant, name_maker, publish_test_rates

LONG_USAGE = "input_tokens=120000000&cache_read_tokens=50000&output_tokens=10000&reasoning_tokens=7"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def acme(chromium, django_db_setup, django_db_blocker):
    """A month with long names, several cost centres, a model without a price, a failure and a development call."""
    with django_db_blocker.unblock():
        publish_test_rates()
        tenant, now = make_tenant("acme", is_demo=True), datetime.now(UTC)
        names = [f"feature-with-a-rather-long-name-{i}" for i in range(13)]
        book(
            tenant,
            *(
                {"feature": name, "cost_center": f"centre {i % 7}" if i % 4 else "", "time": now - timedelta(days=day)}
                for day in range(40)
                for i, name in enumerate(names)
            ),
            {"model": "a-model-that-nobody-has-ever-put-a-price-on-2026-11-19", "time": now},
            {"status": "error", "usage": {"input_tokens": 0, "output_tokens": 0}, "time": now},
            {"environment": "development", "time": now, "event_id": "x" * 200},
        )
        terms = {"window": "month", "amount": 1, "actions": [{"at_percent": 1, "do": "notify"}], "rollover": True}
        made = {"tenant_id": tenant.id, "actor": "person 1", "now": now}
        whole, _ = create_budget(read_terms(terms | {"name": "Everything"}), **made)
        below = {"name": names[0], "scope": {"feature": names[0]}, "amount": "0.001", "parent": whole.id}
        create_budget(read_terms(terms | below), **made)
        with tenant_scope(tenant.id):
            for decision in ("allow", "throttle", "deny"):
                count_decision(tenant_id=tenant.id, budget_id=whole.id, decision=decision)
        return tenant


def list_pages(tenant):
    """Every kind of page, by an address that shows it full."""
    newest = list_entries(tenant_id=tenant.id, filters=EntryFilters(), limit=100).entries
    by_status = {entry["pricing_status"]: entry["id"] for entry in newest}
    return [
        "/?period=30d",
        "/?from=2025-01-01&to=2025-01-02",
        "/ledger?environment=all&feature=feature-with-a-rather-long-name-1&period=90d",
        "/ledger?feature=nothing",
        "/explore?period=30d&by=feature&by=cost_center&feature.not=chat",
        "/explore?period=30d&measure=per_call&by=model&granularity=week&rows=all",
        "/explore?period=30d&by=user&by=provider",
        "/explore?period=30d&by=feature&why=yes",
        "/explore?feature=nothing",
        "/alerts/rules",
        "/forecast",
        "/forecast?by=feature&environment=all",
        "/forecast?feature=nothing",
        "/design",
        f"/ledger/{by_status['priced']}",
        f"/ledger/{by_status['unpriced']}",
        "/rejected",
        "/settings/keys",
        "/settings/reports",
        "/settings/cost-centers",
        "/settings/exports",
        "/settings/mapping-rules?trial=1",
        "/rates",
        "/rates?q=nothing",
        "/rates/openai/gpt-4o-2024-08-06",
        "/rates/openai/a-model-that-nobody-has-ever-put-a-price-on-2026-11-19",
        f"/rates/try?provider=openai&model=gpt-4o-2024-08-06&{LONG_USAGE}",
        "/rates/try?provider=openai&input_tokens=many&time=yesterday&meter=&quantity=3",
        "/rates/try",
        "/rates/aliases",
        "/find?q=nothing",
        "/chargeback",
        "/chargeback/lines",
        "/chargeback/rules",
        "/chargeback/rates",
        "/budgets",
        "/budgets?sort=used&state=spent",
        "/budgets?q=nothing",
        *(f"/budgets/{budget.id}" for budget in list_budgets(tenant_id=tenant.id)),
        "/audit",
        "/audit?period=2026-01",
        "/audit/statement?recompute=yes",
        "/audit/statement?period=2026-01",
        "/audit/log",
        "/audit/log?name=budget",
        "/nowhere",
    ]


@pytest.mark.parametrize(
    ("size", "themes"), [(WIDE, ("light", "dark")), (PHONE, ("dark", "light"))], ids=["wide", "phone"]
)
def test_every_page_fits_is_silent_and_is_accessible(open_page, acme, size, themes):
    """Loaded in one theme, and switched to the other where it stands, as a system does in the evening."""
    # What axe finds depends on the width, but for contrast, which depends on the theme.
    rules = {("light", WIDE): None, ("light", PHONE): None, ("dark", WIDE): ["color-contrast"]}
    page = open_page("/rejected", client=sign_in(acme), size=size, reduced_motion="reduce")
    for path in list_pages(acme):
        page.complaints.clear()
        page.emulate_media(color_scheme=themes[0])
        page.goto(path)
        for theme in themes:
            page.emulate_media(color_scheme=theme)
            wait_for_chart(page)
            assert list_too_wide(page) == [], (path, theme)
            assert list_violations(page, rules=rules.get((theme, size), [])) == [], (path, theme)
        expected = ["404"] if path in ("/nowhere", "/find?q=nothing") else []
        assert [text for text in page.complaints if not any(word in text for word in expected)] == [], path


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_prompt_is_shown_by_its_button_where_it_stands_and_is_accessible(open_page, size):
    tenant = make_tenant("acme")
    change_retention(tenant_id=tenant.id, days=30)
    call = {"type": "tool_call", "name": "find", "arguments": {"label": "l" * 300}}
    kept = keep_content(
        tenant_id=tenant.id, api_key_id="k", event_source="checkout", event_id="req-1", now=datetime.now(UTC),
        input=[Message("system", [{"type": "text", "content": "Be brief. " * 200}]), Message("user", [call])],
        output=[Message("assistant", [{"type": "text", "content": "On its way."}])],
    ).content  # fmt: skip
    receipt = book(tenant, {"time": datetime.now(UTC), "event_id": "req-1", "content_digest": kept.digest})
    page = open_page(f"/ledger/{receipt.batch_id}.0", client=sign_in(tenant, role="owner"), size=size, theme="dark")
    page.get_by_role("button", name="Show the words").press("Enter")
    expect(page.get_by_label("Completion, assistant")).to_have_text("On its way.")
    page.wait_for_load_state()
    expect(page.get_by_role("heading", level=1)).not_to_be_in_viewport()  # the section, not the page's head
    expect(page.get_by_role("heading", name="Prompt and completion")).to_be_in_viewport()
    assert list_too_wide(page) == []
    assert list_violations(page) == []
    assert page.complaints == []


def test_pages_of_the_operator_and_before_signing_in_too(open_page, acme):
    client = sign_in(role="finance")
    for path, who in (("/tenants?period=30d", client), ("/sign-in", None), (f"/ledger?tenant={acme.slug}", client)):
        page = open_page(path, client=who, theme="dark")
        assert list_violations(page) == [], path
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert list_too_wide(page) == [], path
        assert page.complaints == [], path


def test_a_page_weighs_little_besides_its_charts_script(open_page, acme):
    client = sign_in(acme)
    for path in ("/?period=30d", "/ledger?environment=all", "/explore?period=90d&by=feature&by=cost_center&rows=all"):
        page = open_page(path, client=client)
        wait_for_chart(page)
        weights = page.evaluate(LIST_WEIGHTS)
        assert any(url.endswith(".css") for url, _ in weights)
        assert sum(size for url, size in weights if not url.endswith("plotly.min.js")) < PAGE_BYTES_MAX, weights


def test_without_scripts_every_figure_and_table_is_there(open_page, acme):
    page = open_page("/?period=30d", client=sign_in(acme), java_script_enabled=False)
    expect(page.locator(".figures .number").first).to_be_visible()
    expect(page.locator("table caption", has_text=re.compile("^Cost by feature"))).to_be_visible()
    page.get_by_text("Daily figures as a table").click()
    expect(page.locator("table caption", has_text="Daily cost")).to_be_visible()
    page.locator("details.menu summary", has_text="production").click()
    page.get_by_role("link", name="all environments").click()
    expect(page).to_have_url(re.compile("environment=all"))
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_keyboard_reaches_the_search_the_menus_and_the_content(open_page, acme):
    page = open_page("/?period=30d", client=sign_in(acme))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the figures")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type("/")  # in a field it is a character
    expect(page.locator("#find")).to_have_value("/")
    summary = page.locator("details.menu summary", has_text="production")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.menu[open]")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("details.menu[open]")).to_have_count(0)
    expect(summary).to_be_focused()


def test_the_chart_follows_the_theme_and_a_bar_leads_to_its_entries(open_page, acme):
    page = open_page("/?period=30d&by=feature", client=sign_in(acme))
    wait_for_chart(page)
    bar = page.locator("#chart .trace.bars").first.locator("path").nth(5)
    light = bar.evaluate("path => getComputedStyle(path).fill")
    page.emulate_media(color_scheme="dark")
    expect(bar).not_to_have_css("fill", light)
    box = bar.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator("#chart .hoverlayer")).to_contain_text("feature-with-a-rather-long-name")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**/ledger?**feature=**")


def test_the_ledger_says_when_entries_are_booked_meanwhile(open_page, acme):
    page = open_page("/ledger?environment=all", client=sign_in(acme))
    book(acme, {}, {})
    expect(page.get_by_text("2 newer entries.")).to_be_visible()
    with page.expect_event("load"):
        page.get_by_role("link", name="Show them").click()
    expect(page.locator(".newer p")).to_have_count(0)


def test_the_empty_page_changes_when_the_first_event_is_booked(open_page):
    publish_test_rates()
    fresh = make_tenant("acme")
    page = open_page("/", client=sign_in(fresh))
    expect(page.get_by_text("Nothing has been sent yet")).to_be_visible()
    assert list_violations(page) == []
    book(fresh, {"time": datetime.now(UTC)})
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert page.complaints == []


def test_a_person_signs_in_and_out(open_page, slow_hasher):
    tenant = make_tenant("acme")
    create_user(email=f"maria@{tenant.slug}.example", password=PASSWORD, role="owner", tenant_slug=tenant.slug)
    page = open_page("/ledger")
    page.get_by_label("E-mail").fill(f"maria@{tenant.slug}.example")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("That e-mail and password do not belong together.")).to_be_visible()
    expect(page.get_by_label("Password")).to_be_focused()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url("/ledger")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url("/sign-in")
    assert page.complaints == []


def test_ids_are_copied_whole(open_page, acme):
    entry = list_entries(tenant_id=acme.id, filters=EntryFilters(), limit=1).entries[0]
    page = open_page(f"/ledger/{entry['id']}", client=sign_in(acme), permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the entry's id").click()
    expect(page.get_by_text("copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == entry["id"]


def test_the_operators_pages_of_the_rates_fit_are_silent_and_accessible(open_page, acme):
    client = sign_in(role="finance")
    alias = "provider=openai&model=a-model-that-nobody-has-ever-put-a-price-on-2026-11-19&means_provider=openai"
    for path in (
        f"/rates?tenant={acme.slug}",
        f"/rates/openai/gpt-4o-2024-08-06?tenant={acme.slug}",
        f"/rates/aliases?tenant={acme.slug}&{alias}&means_model=gpt-4o-2024-08-06",
        f"/rates/aliases?tenant={acme.slug}&{alias}&means_model=gpt-9",
    ):
        page = open_page(path, client=client, theme="dark")
        wait_for_chart(page)
        assert list_violations(page) == [], path
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert list_too_wide(page) == [], path
        assert page.complaints == [], path


def test_models_are_found_while_typing_and_the_address_says_so(open_page, acme):
    page = open_page("/rates", client=sign_in(acme))
    rows = page.locator("#rates tbody tr")
    expect(rows).to_have_count(2)
    page.get_by_label("Model or provider contains").press_sequentially("gpt-4")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile("q=gpt-4"))
    page.get_by_label("State", exact=True).select_option("unpriced")
    expect(page.get_by_text("No model fits these filters.")).to_be_visible()
    expect(page).to_have_url(re.compile("state=unpriced"))
    page.go_back()
    expect(page).not_to_have_url(re.compile("state=unpriced"))
    expect(rows).to_have_count(1)
    assert page.complaints == []


def test_a_usage_is_priced_while_it_is_typed_and_the_address_follows(open_page, acme):
    page = open_page("/rates/try", client=sign_in(acme))
    page.get_by_label("Provider", exact=True).fill("openai")
    page.get_by_label("Model", exact=True).fill("gpt-4o-2024-08-06")
    page.get_by_label("Input tokens").press_sequentially("1000000")
    expect(page.get_by_text("exactly 2.500000000000 USD")).to_be_visible()
    expect(page).to_have_url(re.compile("provider=openai&model=gpt-4o-2024-08-06&input_tokens=1000000$"))
    page.reload()
    expect(page.get_by_text("exactly 2.500000000000 USD")).to_be_visible()
    assert page.complaints == []


def test_a_pasted_usage_is_read_and_priced_without_scripts(open_page, acme):
    page = open_page("/rates/try", client=sign_in(acme), java_script_enabled=False)
    page.get_by_label("Provider whose words these are").fill("openai")
    page.get_by_label("Model, where the object names none").fill("gpt-4o-2024-08-06")
    page.get_by_label("The object, or the whole answer").fill('{"prompt_tokens": 400000, "completion_tokens": 100000}')
    page.get_by_role("button", name="Read it").click()
    expect(page.get_by_text("exactly 2.000000000000 USD")).to_be_visible()  # 0.4 × 2.50 + 0.1 × 10.00
    expect(page.get_by_label("Input tokens")).to_have_value("400000")
    page.get_by_label("Output tokens").fill("0")
    page.get_by_role("button", name="Price it").click()
    expect(page.get_by_text("exactly 1.000000000000 USD")).to_be_visible()


def test_an_alias_is_added_and_removed_by_hand(open_page):
    publish_test_rates()
    tenant = make_tenant("acme")
    model = tenant.slug.replace("acme", "ours")  # an alias is everybody's, and names no tenant
    book(tenant, {"time": datetime.now(UTC), "provider": "own-gpu", "model": model})
    page = open_page(f"/rates/aliases?tenant={tenant.slug}", client=sign_in(role="admin"))
    page.locator("tr", has_text=model).get_by_role("link", name="Map it").click()
    page.wait_for_url(f"**model={model}**")  # the page before had these fields too
    page.get_by_label("means the provider").fill("openai")
    page.get_by_label("and its model").fill("gpt-4o-2024-08-06")
    page.get_by_role("button", name="Say what it would do").click()
    expect(page.get_by_text("was sent so in these 90 days")).to_be_visible()
    page.get_by_role("button", name="Add the alias").click()
    expect(page.get_by_text("The alias is added")).to_be_visible()
    page.locator("tr", has_text=model).locator("summary", has_text="Remove").click()
    page.get_by_role("button", name="Remove the alias").click()
    expect(page.get_by_text("The alias is removed")).to_be_visible()
    assert page.complaints == []


@pytest.fixture
def late(chromium, committed_db):
    """A tenant with a long call before Luna's cut and two after it, by a provider of its own."""
    tenant = make_tenant("acme")
    luna.publish(luna.write_list(luna.BEFORE, luna.CUT - timedelta(days=200), provider=name_maker(tenant)))
    times = (luna.CUT - timedelta(hours=1), luna.CUT, luna.CUT + timedelta(days=3))
    book(
        tenant,
        *(
            {"provider": name_maker(tenant), "model": luna.MODEL, "usage": luna.LONG_USAGE, "time": time}
            for time in times
        ),
    )
    return tenant


def work_next(rate_id):
    """What the worker does to the rate's last job."""
    luna.work(list_jobs(rate_version_id=rate_id)[0].id)


def test_the_impact_of_a_draft_is_counted_while_one_looks_and_found_again(open_page, late):
    rate_id = luna.draft(luna.write_list(luna.AFTER, luna.CUT, provider=name_maker(late)))
    path, client = f"/rates/drafts/{rate_id}/impact?tenant={late.slug}", sign_in(role="finance")
    page = open_page(path, client=client)
    expect(page.get_by_text("Waits for a worker to count it.")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.goto(path)
    expect(page.get_by_text("Waits for a worker to count it.")).to_be_visible()
    work_next(rate_id)
    # Two long calls at 0.65 USD before the cut and 0.13 after it.
    expect(page.get_by_text("would cost $0.26 instead of $1.30")).to_be_visible()
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    page.wait_for_timeout(2_500)
    assert requests == []  # nothing is asked for once it is done
    assert len(list_jobs(rate_version_id=rate_id)) == 1
    assert page.complaints == []


def test_a_rerating_is_seen_before_started_followed_and_found_on_the_entry(open_page, late):
    rate_id = luna.publish(luna.write_list(luna.AFTER, luna.CUT, provider=name_maker(late)))
    page = open_page(f"/rates/{name_maker(late)}/{luna.MODEL}?tenant={late.slug}", client=sign_in(role="finance"))
    page.get_by_role("link", name="what it changes").first.click()
    expect(page.get_by_text("Waits for a worker to count it.")).to_be_visible()
    work_next(rate_id)
    page.get_by_label("Reason, which stands in every one of them").fill("the cut was published late")
    page.get_by_role("button", name="Re-rate 2 entries").dblclick()
    page.wait_for_url("**/rates/jobs/*")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    work_next(rate_id)
    expect(page.get_by_text("2 done, 0 to do.")).to_be_visible()
    expect(page.locator("tfoot data[value='-1.04']")).to_have_count(2)
    entries = list_entries(tenant_id=late.id, filters=EntryFilters()).entries
    assert [str(each["billed_cost"].normalize()) for each in entries].count("0.13") == 2
    corrected = next(each["corrects"] for each in entries if each["corrects"])
    page.goto(f"/ledger/{corrected}?tenant={late.slug}")
    rows = page.locator("section", has=page.get_by_role("heading", name="Corrections")).locator("tbody tr")
    expect(rows).to_have_count(3)
    rows.nth(2).get_by_role("link", name="…").click()
    expect(rows.nth(2).get_by_text("This entry")).to_be_visible()
    expect(rows.nth(2).locator(".badge", has_text="stands")).to_be_visible()
    assert page.complaints == []


def test_the_pages_of_a_change_fit_are_silent_light_and_accessible(open_page, late):
    rate_id = luna.publish(luna.write_list(luna.AFTER, luna.CUT, provider=name_maker(late)))
    client = sign_in(role="finance")
    impact, review = f"/rates/drafts/{rate_id}/impact?tenant={late.slug}", f"/rates/import?tenant={late.slug}"
    client.post(impact, {"act": "count"})
    work_next(rate_id)
    client.post(f"/rates/jobs?tenant={late.slug}", {"rate": rate_id, "reason": "late " * 60})
    job = f"/rates/jobs/{list_jobs(rate_version_id=rate_id)[0].id}?tenant={late.slug}"
    work_next(rate_id)
    client.post(impact, {"act": "count"})
    for path in (impact, job, f"/rates/jobs?tenant={late.slug}", review, f"{review}&kind=new&provider=openai"):
        page = open_page(path, client=client, theme="dark")
        assert sum(size for _, size in page.evaluate(LIST_WEIGHTS)) < PAGE_BYTES_MAX, path
        assert list_violations(page) == [], path
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert list_too_wide(page) == [], path
        assert page.complaints == [], path
