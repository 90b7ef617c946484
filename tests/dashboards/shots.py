"""Takes the screenshots of docs/screens: the demo, in an installation of its own, in Chromium. Run by `make shots`."""

import json
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browsing import CHROMIUM, CHROMIUM_MISSING, launch_chromium, wait_for_chart
from tests.dashboards.palettes import shrink_png
from tests.installation import run_installation

SCREENS = Path(__file__).resolve().parents[2] / "docs" / "screens"
WIDE, PHONE = (1280, 800), (390, 844)
OWNER, OPERATOR, APPROVER = "owner@acme.example", "finance@demo.example", "admin@demo.example"


@dataclass(frozen=True)
class Shot:
    """A page as a person sees it; the e-mail '' signs nobody in.

    path: `{entry}` is an entry that read a cache, `{rejected}` the newest rejected event, `{trace}` the dearest trace,
    `{draft}` a rate in review, `{upload}` a file of rates, `{episode}` the newest spike by the hour.
    """

    name: str
    path: str
    email: str
    size: tuple[int, int]
    theme: str


LONG_PROMPT = (
    "input_tokens=300000&cache_write_tokens=100000&cache_read_tokens=50000&output_tokens=10000"  # above a threshold
)
LONG_LISTS = ("ledger", "traces", "rejected")  # of which the first rows are enough
# A page's name, its address, and who looks at it.
PAGES = (
    ("overview", "/", OWNER),
    ("explore", "/explore?period=30d&by=feature&feature.not=code-assistant&why=yes", OWNER),
    ("showback", "/showback?by=feature&period=30d", OWNER),
    ("showback-subject", "/showback/one?by=feature&value=support-chat&period=30d", OWNER),
    ("showback-drivers", "/showback/drivers", OWNER),
    ("chargeback", "/chargeback", OWNER),
    ("chargeback-rules", "/chargeback/rules", OWNER),
    ("chargeback-rates", "/chargeback/rates", OWNER),
    ("exports", "/settings/exports", OWNER),
    ("export-new", "/settings/exports/new?kind=s3", OWNER),
    ("cost-centers", "/settings/cost-centers", OWNER),
    ("mapping-rules", "/settings/mapping-rules?trial=1", OWNER),
    ("budgets", "/budgets", OWNER),
    ("budget", "/budgets/1", OWNER),
    ("budget-new", "/budgets/new", OWNER),
    ("forecast", "/forecast?environment=all", OWNER),
    ("alerts", "/alerts", OWNER),
    ("alert", "{episode}", OWNER),
    ("alert-channels", "/alerts/channels", OWNER),
    ("alert-channel-new", "/alerts/channels/new?kind=webhook", OWNER),
    ("alert-deliveries", "/alerts/deliveries", OWNER),
    ("alert-rules", "/alerts/rules", OWNER),
    ("ledger", "/ledger?period=month", OWNER),
    ("entry", "/ledger/{entry}", OWNER),
    ("traces", "/traces", OWNER),
    ("trace", "{trace}", OWNER),
    ("rejected", "/rejected", OWNER),
    ("rejected-event", "{rejected}", OWNER),
    ("rates", "/rates?tenant=acme", OPERATOR),
    ("rates-model", "/rates/openai/gpt-5.6-luna?tenant=acme", OPERATOR),
    ("rates-try", f"/rates/try?tenant=acme&provider=openai&model=gpt-5.6-luna&{LONG_PROMPT}", OPERATOR),
    ("rates-aliases", "/rates/aliases?tenant=acme&provider=acme-gpu&model=inhouse-vl-2&means_provider=google"
                      "&means_model=gemini-2.5-flash", OPERATOR),
    ("rates-new", "/rates/new?tenant=acme&provider=openai&model=gpt-5.6-luna", OPERATOR),
    ("rates-drafts", "/rates/drafts?tenant=acme", APPROVER),
    ("rates-draft", "/rates/drafts/{draft}?tenant=acme", APPROVER),
    ("rates-draft-impact", "/rates/drafts/{draft}/impact?tenant=acme", APPROVER),
    ("rates-jobs", "/rates/jobs?tenant=acme", OPERATOR),
    ("rates-import", "/rates/import?tenant=acme&source={upload}", OPERATOR),
    ("reconciliation", "/reconciliation?tenant=acme", OPERATOR),
    ("audit", "/audit", OWNER),
    ("audit-statement", "/audit/statement?recompute=yes", OWNER),
    ("audit-log", "/audit/log", OWNER),
    ("keys", "/settings/keys", OWNER),
    ("reports", "/settings/reports", OWNER),
    ("tenants", "/tenants", OPERATOR),
    ("jobs", "/jobs", OPERATOR),
    ("design", "/design", OWNER),
    ("sign-in", "/sign-in", ""),
)  # fmt: skip
SHOTS = tuple(
    Shot(name, path, email=email, size=size, theme=theme)
    for name, path, email in PAGES
    for size in (WIDE, PHONE)
    for theme in ("light", "dark")
)

FILE_RATES = [
    {"provider": "openai", "model": "gpt-5.6-luna", "meters": {"input": "0.18", "cache_read": "0.02", "output": "1.1"}},
    {"provider": "acme-gpu", "model": "inhouse-vl-2", "meters": {"input": "0.3", "output": "0.9"}},
    {"provider": "anthropic", "model": "claude-sonnet-4-6", "meters": {"input": "30", "output": "15"}},
]


def take_shots() -> None:
    if not CHROMIUM:
        sys.exit(CHROMIUM_MISSING)
    SCREENS.mkdir(parents=True, exist_ok=True)
    with run_installation() as installation, sync_playwright() as playwright:
        demo = json.loads(installation.manage("seed_demo"))
        installation.manage("reconcile")
        installation.start_service("web")
        installation.wait_for_web()
        passwords = {login["email"]: login["password"] for login in demo["logins"]}
        browser = launch_chromium(playwright)
        blank = browser.new_page()
        for service in ("worker", "beat"):  # they count what the draft changes
            installation.start_service(service)
        context = browser.new_context(base_url=f"http://127.0.0.1:{installation.port}")
        draft = submit_draft(context.new_page(), passwords[OPERATOR])
        upload = upload_rates(context.pages[0])
        context.close()
        for shot in SHOTS:
            context = browser.new_context(
                base_url=f"http://127.0.0.1:{installation.port}",
                viewport={"width": shot.size[0], "height": shot.size[1]},
                color_scheme=shot.theme,
            )
            page = context.new_page()
            if shot.email:
                sign_in(page, shot.email, passwords[shot.email])
            path = SCREENS / f"{shot.name}-{shot.size[0]}-{shot.theme}.png"
            open_page(page, shot.path.replace("{draft}", draft).replace("{upload}", upload))
            path.write_bytes(shrink_png(blank, page.screenshot(full_page=shot.name not in LONG_LISTS)))
            context.close()
            print(f"{path.relative_to(SCREENS.parents[1])}  {path.stat().st_size / 1000:.0f} kB")
        browser.close()


def sign_in(page: Page, email: str, password: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/sign-in" not in url)


def submit_draft(page: Page, password: str) -> str:
    """Finance's contract for one tenant, with a slip that is asked about; the number of the version in review."""
    sign_in(page, OPERATOR, password)
    page.goto("/rates/new?tenant=acme&provider=anthropic&model=claude-sonnet-4-6")
    for meter, price in (("input", "2.7"), ("cache_read", "0.027"), ("cache_write", "3.375"), ("output", "13.5")):
        page.get_by_label(f"List price of {meter}", exact=True).fill(
            page.get_by_label(f"Price of {meter}", exact=True).input_value()
        )
        page.get_by_label(f"Price of {meter}", exact=True).fill(price)
    page.get_by_label("Tenant").select_option("acme")
    page.get_by_label("From, UTC").fill(f"{datetime.now(UTC):%Y-%m}-01")
    page.get_by_label("Source").fill("Contract A-2026-11")
    page.locator("[name=confirmed]").check()
    page.get_by_label("Comment").fill("Ten per cent off, and cache reads at a tenth of that: both as signed.")
    page.get_by_role("button", name="Submit for approval").click()
    page.wait_for_url("**/rates/drafts/**")
    return page.url.split("/")[-1].split("?")[0]


def upload_rates(page: Page) -> str:
    """Finance's file: a cheaper model, one that had no price, one with a slip; the name that the page gives it."""
    start = {"currency": "USD", "effective_from": f"{datetime.now(UTC):%Y-%m}-01T00:00:00Z", "source": {"name": "file"}}
    rates = [
        start | rate | {"meters": {name: {"price": price, "per": 1_000_000} for name, price in rate["meters"].items()}}
        for rate in FILE_RATES
    ]
    page.goto("/rates/import?tenant=acme")
    content = json.dumps({"rates": rates}).encode()
    page.get_by_label("Rates in JSON").set_input_files(
        {"name": "november.json", "mimeType": "application/json", "buffer": content}
    )
    page.get_by_role("button", name="Show what it changes").click()
    page.wait_for_url("**source=*")
    return page.url.partition("source=")[2].split("&")[0]


def open_page(page: Page, path: str) -> None:
    """Open it, drawn to its end."""
    if "{entry}" in path:
        page.goto("/ledger?feature=support-chat&period=month")
        rows = page.locator("main tbody tr").filter(
            has_not=page.locator('td[data-l="Cache read"]', has_text=re.compile("^0$"))
        )
        path = path.format(entry=rows.first.locator("th a").get_attribute("href").split("?")[0].rpartition("/")[2])
    if path == "{rejected}":
        page.goto("/rejected")
        path = page.locator("section[aria-labelledby=events] tbody th a").first.get_attribute("href")
    if path == "{episode}":
        page.goto("/alerts?state=all&rule=hourly_spike")
        path = page.locator(".alerts tbody th a").first.get_attribute("href")
    if path == "{trace}":
        page.goto("/traces?period=30d")
        path = page.locator(".traces tbody th a").first.get_attribute("href")
    page.goto(path)
    wait_for_chart(page)
    if page.locator("#impact").count():
        page.locator("#impact .big").wait_for()
    page.wait_for_timeout(300)


if __name__ == "__main__":
    take_shots()
