"""The way of a prompt: turned on, kept redacted, named by its event, read by an owner, gone when its time is over."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from django.core.management import call_command
from django.db import connection

from billing import tasks
from billing.job_runs import find_daily_slot
from tenants.people import create_user
from tenants.scope import tenant_scope
from tests.dashboards.pages import PASSWORD
from tests.factories import make_key, make_tenant, make_wire_event, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


def sign_in(address, tenant, role):
    """A browser, over HTTP, with a person of the tenant at it."""
    email = f"{role}@{tenant.slug}.example"
    create_user(email=email, password=PASSWORD, role=role, tenant_slug=tenant.slug)
    browser = httpx.Client(base_url=address, follow_redirects=True, timeout=30)
    token = read_token(browser.get("/sign-in").text)
    answer = browser.post("/sign-in", data={"csrfmiddlewaretoken": token, "login": email, "password": PASSWORD})
    assert answer.status_code == 200 and "/sign-in" not in str(answer.url)
    return browser


def read_token(html):
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)[1]


def test_a_prompt_is_kept_for_a_while_and_its_digest_for_good(acme, live_server_url):
    machine = httpx.Client(
        base_url=live_server_url, headers={"Authorization": f"Bearer {make_key(acme, 'ingest,read')}"}, timeout=30
    )
    content = {
        "id": "req-1",
        "source": "checkout",
        "input": [{"role": "user", "content": "I am bob@example.com. Where is my parcel?"}],
        "output": [{"role": "assistant", "content": "On its way."}],
    }

    # Off, until the tenant says otherwise.
    assert machine.post("/v1/content", json=content).json()["code"] == "content_off"
    call_command("log_content", acme.slug, "--days", "30")

    # Kept, redacted; its digest goes into the ledger with the event.
    kept = machine.post("/v1/content", json=content).json()
    assert kept["redactions"] == {"email": 1}
    event = make_wire_event(id="req-1", content_digest=kept["content_digest"])
    booked = machine.post("/v1/events", json=event).json()
    assert booked["accepted"] == 1
    page = f"/ledger/{booked['batch_id']}.0"

    # An owner reads it; a viewer is not told that there is anything.
    owner, viewer = sign_in(live_server_url, acme, "owner"), sign_in(live_server_url, acme, "viewer")
    html = owner.get(page).text
    assert "Prompt and completion" in html and "parcel" not in html
    shown = owner.post(f"{page}/content", data={"csrfmiddlewaretoken": read_token(html)}).text
    assert "I am [e-mail]. Where is my parcel?" in shown
    assert "hashed again just now, it is the one in the ledger" in shown
    assert "Prompt and completion" not in viewer.get(page).text
    token = read_token(viewer.get(page).text)
    assert viewer.post(f"{page}/content", data={"csrfmiddlewaretoken": token}).status_code == 404

    # What an operator counts and what a machine may read hold none of it.
    assert "parcel" not in httpx.get(f"{live_server_url}/metrics").text
    assert "parcel" not in machine.get("/v1/entries").text

    # Its time is over: the job deletes it, once a day; the digest stays, under the signed receipt.
    age(acme, days=31)
    now = datetime.now(UTC)
    forget_slot(find_daily_slot(now, hour=0, minute=0))
    tasks.prune_kept_contents(hour=0, minute=0)
    assert count_contents(acme) == 0
    gone = owner.get(page).text
    assert "The ledger keeps its digest" in gone and kept["content_digest"] in gone
    entry = machine.get(f"/v1/entries/{booked['batch_id']}.0").json()
    assert entry["entry"]["content_digest"] == kept["content_digest"]
    assert entry["proof"]["status"] == "receipted"


def age(tenant, *, days):
    """As if what is kept had come so many days earlier."""
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("UPDATE content SET kept_until = kept_until - %s", [timedelta(days=days)])
        assert cursor.rowcount == 1


def forget_slot(slot):
    """Let today's slot be free again, whichever test took it."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM job_run WHERE job = 'prune content' AND slot = %s", [slot])


def count_contents(tenant):
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM content")
        return cursor.fetchone()[0]
