"""Showback: every subject's cost, share and change; what a unit cost; and all of it adds up to Explore's total."""

import csv
import io
import random
import re
from datetime import UTC, datetime
from decimal import Decimal
from html import unescape
from urllib.parse import urlencode, urlsplit

import openpyxl
import pytest
from django.db import connection
from django.test import Client

from billing.rollups import apply_batches
from dashboards.core.spreads import measure_spread
from dashboards.showback.sparks import draw_days
from ledger.people import erase_person
from tenants.scope import tenant_scope
from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, read_figures, read_tables, sign_in
from tests.factories import make_key, make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
NOVEMBER = "from=2026-11-01&to=2026-11-19"
CALL = Decimal("0.00475")  # what each call of tests.dashboards.bookings costs


@pytest.fixture
def acme():
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def november(acme):
    """In production: 3 calls of chat by ann and bob, 1 of search by ann, 1 unpriced of no feature; October: 1 of chat.

    In development: 1 of chat.
    """
    book(
        acme,
        {"feature": "chat", "time": on(3), "user": "ann", "cost_center": "retail"},
        {"feature": "chat", "time": on(4), "user": "bob", "cost_center": "retail"},
        {"feature": "chat", "time": on(4), "user": "ann", "cost_center": ""},
        {"feature": "search", "time": on(19), "user": "ann", "cost_center": "logistics"},
        {"feature": "chat", "time": on(3, month=10), "user": "ann", "cost_center": "retail"},
        {"feature": "chat", "time": on(3), "environment": "development", "user": "carl"},
        {"feature": "", "time": on(5), "model": "no-such-model", "user": "", "cost_center": ""},
    )
    return acme


def get_csv(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def roll_up():
    while apply_batches(now=datetime.now(UTC)):
        pass


def test_each_feature_has_its_cost_share_change_calls_spread_and_users(november):
    (table, *_) = read_tables(get_page(sign_in(november), f"/showback?by=feature&{NOVEMBER}"))
    assert table[0] == ["Feature", "Days", "Cost ▾", "Share", "Change", "Calls", "Users", "A call"]
    spread = "0.00475 p50 0.00475, p95 0.00475"  # percentiles are within 1 %
    assert table[1:] == [
        ["chat", "", "0.0142", "75.0 %", "▲ 200.0 % more from 0.00475", "3", "2", spread],
        ["search", "", "0.00475", "25.0 %", "▲ new", "1", "1", spread],
        ["No feature", "", "unknown 1 unpriced", "–", "unknown", "1", "0", "–"],
        ["Total", "", "0.0190 1 unpriced", "100.0 %", "▲ 300.0 % more from 0.00475", "5", "2", spread],
    ]


def test_cost_centres_and_users_are_told_without_a_cost_per_call_whose_spread_is_not_kept(november):
    client = sign_in(november)
    centres = get_page(client, f"/showback?{NOVEMBER}")
    (table, *_) = read_tables(centres)
    assert table[0] == ["Cost centre", "Days", "Cost ▾", "Share", "Change", "Calls"]
    assert [row[:1] + row[2:4] for row in table[1:]] == [
        ["retail", "0.00950", "50.0 %"], ["Unallocated", "0.00475 1 unpriced", "25.0 %"],
        ["logistics", "0.00475", "25.0 %"], ["Total", "0.0190 1 unpriced", "100.0 %"],
    ]  # fmt: skip
    assert "a mean alone misleads" in centres
    (users, *_) = read_tables(get_page(client, f"/showback?by=user&{NOVEMBER}"))
    assert [row[:1] + row[2:4] for row in users[1:]] == [
        ["ann", "0.0142", "75.0 %"], ["bob", "0.00475", "25.0 %"], ["No user", "unknown 1 unpriced", "–"],
        ["Total", "0.0190 1 unpriced", "100.0 %"],
    ]  # fmt: skip


def test_headings_sort_the_rows_and_the_file_follows(november):
    client = sign_in(november)
    for sort, first in (("name", "chat"), ("change", "chat"), ("calls", "chat"), ("users", "chat")):
        (table, *_) = read_tables(get_page(client, f"/showback?by=feature&{NOVEMBER}&sort={sort}"))
        assert table[1][0] == first
    rows = get_csv(client, f"/showback/file?by=feature&{NOVEMBER}&sort=name")
    assert [row["feature"] for row in rows] == ["chat", "No feature", "search", "Total"]


def test_the_rest_is_one_line_until_all_are_asked_for_and_shares_add_up(acme):
    book(acme, *({"feature": f"f{number:02}", "time": on(1 + number % 19)} for number in range(30)))
    client = sign_in(acme)
    (table, *_) = read_tables(get_page(client, f"/showback?by=feature&{NOVEMBER}"))
    assert len(table) == 1 + 20 + 2 and table[21][0] == "Other, 10 more" and table[21][2] == "0.0475"
    shares = [Decimal(row[3].split()[0]) for row in table[1:22]]
    assert sum(shares) == Decimal("100.0")
    everything = read_tables(get_page(client, f"/showback?by=feature&{NOVEMBER}&rows=all"))[0]
    assert len(everything) == 1 + 30 + 1


def test_days_are_drawn_each_row_to_its_own_height(november):
    assert draw_days([Decimal(1), Decimal(0), Decimal(4)]) == "M0 10V7.5h1V10h1V0h1V10z"
    assert draw_days([Decimal(0)]) == ""
    html = get_page(sign_in(november), f"/showback?by=feature&{NOVEMBER}")
    assert html.count('class="spark days"') == 3  # chat, search, total; what has no price has no picture
    assert ' style="' not in html


def test_a_feature_s_page_tells_what_a_unit_cost_and_what_it_is_made_of(november):
    html = get_page(sign_in(november), f"/showback/one?by=feature&value=chat&{NOVEMBER}")
    assert "This feature made <b>75.0" in html
    assert read_figures(html)[0] == "0.01425"
    tables = {table[0][0]: table for table in read_tables(html)}
    assert [row for row in tables["Day"][1:] if row[1] != "0"] == [
        ["3 Nov Tue", "1", "1,500", "0.00475"],
        ["4 Nov Wed", "2", "3,000", "0.00950"],
        ["Total", "3", "4,500", "0.0142"],
    ]
    assert tables["Unit"][1] == ["A call", "3", "0.00475", "0.00475", "0.00475", "0.00475"]
    # ann paid for two calls, bob for one; of 19 days 17 cost nothing, and 0.01425 / 19 = 0.00075.
    assert tables["Unit"][2] == ["A user", "2", "0.00712", "0.00475", "0.00950", "0.00950"]
    assert tables["Unit"][3] == ["A day", "19", "0.000750", "0.00", "0.00950", "0.00950"]
    # 200 tokens from no cache and 300 out, each time; the middle of their buckets is up to 1 % away.
    assert tables["Tokens"][1][:2] == ["In, from no cache", "200"] and tables["Tokens"][2][:2] == ["Out", "300"]
    assert [row[:4] for row in tables["Environment"][1:]] == [
        ["production this page", "0.0142", "75.0 %", "3"],
        ["development", "0.00475", "25.0 %", "1"],
        ["Total", "0.0190", "100.0 %", "4"],
    ]
    assert [row[:3] for row in tables["Model"][1:]] == [
        ["gpt-4o-2024-08-06", "0.0142", "100.0 %"], ["Total", "0.0142", "100.0 %"],
    ]  # fmt: skip
    assert [row[:4] for row in tables["User"][1:]] == [
        ["ann", "0.00950", "66.7 %", "2"], ["bob", "0.00475", "33.3 %", "1"], ["Total", "0.0142", "100.0 %", "3"],
    ]  # fmt: skip
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    # 1,000 of 1,200 tokens of each call come from the cache, which saved 0.00125 on each; 900 out by 3,600 in.
    assert "3,600 tokens, 83.3 % read from a cache" in text
    assert "900 tokens, 0.250 for each one of input" in text and "$0.00375" in text
    assert "unknown: no call said why it ended" in text


def test_calls_that_a_length_cut_off_are_counted_among_those_that_said_why_they_ended(acme):
    book(
        acme,
        {"feature": "chat", "time": on(3), "finish_reason": "length"},
        {"feature": "chat", "time": on(3), "finish_reason": "MAX_TOKENS"},
        {"feature": "chat", "time": on(3), "finish_reason": "stop"},
        {"feature": "chat", "time": on(3), "finish_reason": "stop"},
        {"feature": "chat", "time": on(3)},
        {"feature": "search", "time": on(3), "finish_reason": "length"},
    )
    html = get_page(sign_in(acme), f"/showback/one?by=feature&value=chat&{NOVEMBER}")
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "2 calls, 50.0 % of those that said why they ended" in text


def test_a_name_may_be_anything_and_what_names_nothing_has_its_page_too(acme):
    odd = "a/b?c=d&é “x” <b>"
    book(acme, {"feature": odd, "time": on(3)}, {"feature": "", "time": on(3)})
    client = sign_in(acme)
    html = get_page(client, f"/showback?by=feature&{NOVEMBER}")
    links = [unescape(link) for link in re.findall(r'href="(/showback/one[^"]+)"', html)]
    assert len(links) == 2
    names = {re.search(r"<h1>(.*?)</h1>", get_page(client, link))[1] for link in links}
    assert {unescape(name) for name in names} == {odd, "No feature"}


def test_an_erased_user_stands_by_reference_and_keeps_its_page(november):
    with tenant_scope(november.id):
        assert erase_person(tenant_id=november.id, external_id="ann", actor="person 1", now=datetime.now(UTC))
    client = sign_in(november)
    (table, *_) = read_tables(get_page(client, f"/showback?by=user&{NOVEMBER}"))
    reference = table[1][0]
    assert reference.startswith("u_")
    page = get_page(client, f"/showback/one?by=user&value={reference}&{NOVEMBER}")
    assert "ann" not in re.findall(r"<h1>(.*?)</h1>", page)[0] and read_figures(page)[0] == "0.01425"


def test_every_figure_leads_to_its_ledger_rows_with_the_same_sum(november):
    client = sign_in(november)
    for path in (
        f"/showback?by=feature&{NOVEMBER}", f"/showback?by=user&{NOVEMBER}", f"/showback?{NOVEMBER}",
        f"/showback/one?by=feature&value=chat&{NOVEMBER}", f"/showback/one?by=user&value=ann&{NOVEMBER}",
    ):  # fmt: skip
        found = re.findall(
            r'<a href="(/ledger[^"]+)"><data value="([0-9.]+)" title="[^"]+ USD"', get_page(client, path)
        )
        assert len(found) >= 3, path
        for link, amount in found:
            page = get_page(client, unescape(link))
            shown = re.findall(r'<td role="cell" class="n hero plain left" data-l="Cost"><data value="([^"]+)"', page)
            assert shown[-1] == amount, (path, link)


def test_another_tenants_calls_are_in_no_figure_and_no_file(november):
    globex = make_tenant("globex")
    book(globex, {"feature": "secret-project", "time": on(3), "user": "mallory"})
    client = sign_in(november)
    for by in ("feature", "user", "model", "cost_center"):
        for path in ("/showback", "/showback/file"):
            text = client.get(f"{path}?by={by}&{NOVEMBER}").content.decode()
            assert "secret-project" not in text and "mallory" not in text
    html = get_page(client, f"/showback/one?by=feature&value=secret-project&{NOVEMBER}")
    assert "Nothing to show" in html and "0.00" not in html
    assert client.get(f"/showback?tenant={globex.slug}").status_code == 404


def test_no_call_is_said_in_words_and_shows_no_zero(november):
    html = get_page(sign_in(november), "/showback?by=feature&from=2025-01-01&to=2025-01-02")
    assert "Nothing to show" in html and not read_tables(html) and "0.00" not in html


def test_files_hold_every_digit_and_no_formula(acme):
    book(acme, {"feature": "=1+1", "time": on(3)})
    client = sign_in(acme)
    row = get_csv(client, f"/showback/file?by=feature&{NOVEMBER}")[0]
    assert row["feature"] == "'=1+1" and row["2026-11-03"] == row["cost"] == "0.004750000000"
    content = client.get(f"/showback/file?by=feature&{NOVEMBER}&format=xlsx").content
    sheets = openpyxl.load_workbook(io.BytesIO(content))
    assert (sheets["Figures"]["A2"].data_type, sheets["Figures"]["A2"].value) == ("s", "=1+1")
    for table in ("days", "users", "drivers", "environment", "model", "cost_center"):
        answer = client.get(f"/showback/one/file?by=feature&value=%3D1%2B1&{NOVEMBER}&table={table}")
        assert answer.status_code == 200 and answer.content.decode().count("\r\n") >= 1
    assert client.get("/showback/one/file?by=feature&value=x&table=nonsense").status_code == 400


@pytest.mark.parametrize("path", ["/showback?by=feature", "/showback?by=user", "/showback/one?by=feature&value=f1"])
def test_the_same_number_of_statements_whatever_there_is_to_show(acme, django_assert_max_num_queries, path):
    from django.test.utils import CaptureQueriesContext

    book(acme, {"feature": "f1", "time": on(3), "user": "u1"})
    roll_up()
    client = sign_in(acme)
    get_page(client, f"{path}&{NOVEMBER}")
    with CaptureQueriesContext(connection) as one:
        get_page(client, f"{path}&{NOVEMBER}")
    for number in range(4):
        make_tenant(f"other{number}")
    book(acme, *({"feature": f"f{number}", "time": on(1 + number % 19), "user": f"u{number}"} for number in range(50)))
    with CaptureQueriesContext(connection) as many:
        get_page(client, f"{path}&{NOVEMBER}")
    assert len(many) == len(one)


def test_days_that_begin_between_two_hours_have_all_but_users_who_are_refused_in_words(acme):
    kolkata = make_tenant("kolkata", timezone="Asia/Kolkata")
    # 18:29 UTC is 23:59 there, and 18:31 is 00:01 of the next day.
    book(kolkata, {"time": on(3, hour=18).replace(minute=29)}, {"time": on(3, hour=18).replace(minute=31)})
    client = sign_in(kolkata)
    row = get_csv(client, f"/showback/file?by=feature&{NOVEMBER}")[0]
    assert Decimal(row["2026-11-03"]) == Decimal(row["2026-11-04"]) == CALL and row["users"] == ""
    assert "the days of Asia/Kolkata begin between two of them" in get_page(client, f"/showback?by=feature&{NOVEMBER}")
    assert get_page(client, f"/showback/one?by=feature&value={row['feature']}&{NOVEMBER}")
    html = get_page(client, f"/showback?by=user&{NOVEMBER}")
    assert "This has no exact answer." in html and "0.00" not in html


def test_a_spread_is_of_amounts_that_were_there():
    spread = measure_spread([Decimal(number) for number in range(1, 101)])
    assert (spread.mean, spread.p50, spread.p95, spread.p99) == (Decimal("50.5"), 50, 95, 99)
    assert measure_spread([]).mean is None


# --- the parts are the whole ---

VALUES = {
    "feature": ("chat", "search", "Chat-2", ""),
    "cost_center": ("retail", "logistics", ""),
    "model": ("gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "no-such-model"),
    "user": ("ann", "bob", ""),
}
COLUMNS = {"feature": "feature", "cost_center": "cost_center", "model": "model"}


def make_calls(rng, count):
    return [
        {
            **{name: rng.choice(values) for name, values in VALUES.items()},
            "environment": rng.choice(("production", "production", "staging")),
            "time": on(rng.randrange(1, 29), month=rng.choice((10, 11)), hour=rng.randrange(24)),
        }
        for _ in range(count)
    ]


def sum_ledger(tenant, environment, first, last, **only):
    """In SQL of its own."""
    clauses = "".join(f" AND {COLUMNS[name]} = %s" for name in only)
    place = "" if environment == "all" else " AND environment = %s"
    values = [first, last, *([] if environment == "all" else [environment]), *only.values()]
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'UTC'")
        cursor.execute(
            "SELECT coalesce(sum(billed_cost), 0), coalesce(sum(calls), 0) FROM ledger_entry"
            f" WHERE charge_period_start >= %s AND charge_period_start < %s::date + 1{place}{clauses}",
            values,
        )
        return cursor.fetchone()


def test_subjects_explore_api_and_ledger_say_one_number_and_each_subject_s_parts_add_up_to_it(acme):
    rng = random.Random(20261122)
    book(acme, *make_calls(rng, 200))
    roll_up()
    book(acme, *make_calls(rng, 60))  # these still wait to be rolled up
    client, machine = sign_in(acme), Client(headers={"authorization": f"Bearer {make_key(acme)}"})
    for _ in range(24):
        environment, by = rng.choice(("production", "staging", "all")), rng.choice(sorted(VALUES))
        first, last = f"2026-11-{rng.randrange(1, 15):02}", f"2026-11-{rng.randrange(15, 29):02}"
        asked = urlencode({"from": first, "to": last, "environment": environment})
        expected, calls = sum_ledger(acme, environment, first, last)
        rows = get_csv(client, f"/showback/file?by={by}&{asked}")
        assert sum(Decimal(row["cost"] or 0) for row in rows[:-1]) == Decimal(rows[-1]["cost"] or 0) == expected
        assert sum(int(row["calls"]) for row in rows[:-1]) == int(rows[-1]["calls"]) == calls
        assert sum(Decimal(row["share"] or 0) for row in rows[:-1]) == 100
        explored = get_csv(client, f"/explore/file?{asked}&by={by}&table=groups")
        assert Decimal(explored[-1]["cost"] or 0) == expected
        html = get_page(client, f"/showback?by={by}&{asked}")
        assert re.search(r'class="total cast"', html)
        address = urlsplit(unescape(re.search(r'curl "([^"]+)"', html)[1]))
        assert Decimal(machine.get(f"{address.path}?{address.query}").json()["totals"]["billed_cost"]) == expected
        for row in rows[:-1]:  # each subject by itself
            days = [Decimal(row[name]) for name in row if re.fullmatch(r"\d{4}-\d\d-\d\d", name)]
            assert sum(days) == Decimal(row["cost"] or 0)
        name = rng.choice([row[by] for row in rows[:-1]])
        value = "" if name in ("No feature", "Unallocated", "No user", "No model") else name
        row = next(each for each in rows if each[by] == name)
        cost = Decimal(row["cost"] or 0)
        if by != "user":
            assert cost == sum_ledger(acme, environment, first, last, **{by: value})[0]
        one = f"by={by}&value={value}&{asked}"
        tables = ["days", *{"user": ("feature", "model"), "model": ("feature", "cost_center"),
                            "feature": ("model", "cost_center"), "cost_center": ("feature", "model")}[by]]  # fmt: skip
        for table in tables:
            parts = get_csv(client, f"/showback/one/file?{one}&table={table}")
            assert sum(Decimal(part["cost"] or 0) for part in parts[:-1]) == cost, (one, table)
            assert Decimal(parts[-1]["cost"] or 0) == cost
        places = get_csv(client, f"/showback/one/file?{one}&table=environment")
        shown = [part for part in places[:-1] if environment in ("all", part["environment"])]
        assert sum(Decimal(part["cost"] or 0) for part in shown) == cost
        if by in ("feature", "model"):
            users = get_csv(client, f"/showback/one/file?{one}&table=users")
            assert sum(Decimal(part["cost"] or 0) for part in users[:-1]) == cost


# --- business drivers ---


def upload(client, text, name="drivers.csv"):
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile(name, text if isinstance(text, bytes) else text.encode(), "text/csv")
    return client.post("/showback/drivers", {"act": "upload", "file": file})


def test_cost_per_driver_is_that_of_the_days_that_have_it_by_its_sum(november):
    client = sign_in(november, role="owner")
    # Chat cost 0.00475 on the 3rd and 0.0095 on the 4th; the 5th has no known cost, and the 6th no call at all.
    lines = "orders,2026-11-03,10\norders,2026-11-04,5\norders,2026-11-05,7\norders,2026-11-06,0\n"
    assert upload(client, lines).headers["Location"] == "/showback/drivers?done=kept&kept=4&unchanged=0"
    tables = {table[0][0]: table for table in read_tables(get_page(client, f"/showback?by=feature&{NOVEMBER}"))}
    # (0.00475 + 0.0095 + 0) / (10 + 5 + 0) = 0.00095; of days 0.000475 and 0.0019.
    assert tables["Driver"][1:] == [
        ["orders", "3 15 missing 1 of unknown cost", "15", "0.0142", "0.000950", "0.000475", "0.00190"]
    ]
    assert [row for row in tables["Day"] if row[1] not in ("–", "How many")] == [
        ["3 Nov Tue", "10", "0.00475", "0.000475"],
        ["4 Nov Wed", "5", "0.00950", "0.00190"],
        ["5 Nov Thu", "7", "unknown", "–"],
        ["6 Nov Fri", "0", "0.00", "–"],
    ]
    one = read_tables(get_page(client, f"/showback/one?by=user&value=bob&{NOVEMBER}"))
    (driver,) = [table[1] for table in one if table[0][0] == "Driver"]
    # Bob cost 0.00475 on the 4th alone; 22 orders on the days of known cost, all four of them for him.
    assert driver == ["orders", "4 15 missing", "22", "0.00475", "0.000216", "0.00", "0.000950"]
    rows = get_csv(client, f"/showback/file?by=feature&{NOVEMBER}&table=drivers")
    assert (rows[0]["per_unit"], rows[0]["days_missing"]) == ("0.000950000000", "15")


def test_a_file_with_a_bad_line_is_refused_whole_with_line_and_cure(november):
    client = sign_in(november, role="owner")
    answer = upload(client, "name,day,quantity\norders,2026-11-03,10\norders,2026-11-04,1.000,5\norders,4.11.,x\n")
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "drivers.csv was not taken, and nothing of it was kept." in html
    (table,) = read_tables(html)
    assert [row[:2] for row in table[1:]] == [["3", "the line"], ["4", "day"], ["4", "quantity"]]
    assert upload(client, b"\xff\xfe").status_code == 422
    assert client.post("/showback/drivers", {"act": "upload"}).status_code == 422
    assert "Nothing yet" in get_page(client, "/showback/drivers")


def test_a_day_is_added_by_the_form_and_a_driver_taken_back(november):
    client = sign_in(november, role="owner")
    added = client.post(
        "/showback/drivers", {"act": "add", "name": 'big, "bold"', "day": "2026-11-03", "quantity": "2.5"}, follow=True
    )
    assert "1 day kept." in added.content.decode()
    (table,) = read_tables(added.content.decode())
    assert table[1][:5] == ['big, "bold"', "1", "0", "2.5", "3 Nov 2026 – 3 Nov 2026"]
    wrong = client.post("/showback/drivers", {"act": "add", "name": "x", "day": "2026-11-03", "quantity": "1,5"})
    assert wrong.status_code == 422 and 'value="1,5"' in wrong.content.decode()
    taken = client.post("/showback/drivers", {"act": "take_back", "name": 'big, "bold"'}, follow=True)
    assert "1 day taken back" in taken.content.decode() and not read_tables(taken.content.decode())


def test_who_only_looks_sees_the_drivers_and_changes_none(november):
    owner, viewer = sign_in(november, role="owner"), sign_in(november)
    upload(owner, "parcels,2026-11-03,10")
    html = get_page(viewer, "/showback/drivers")
    assert "parcels" in html and '<form method="post" action="/showback' not in html
    assert upload(viewer, "parcels,2026-11-03,11").status_code == 404
    assert viewer.post("/showback/drivers", {"act": "take_back", "name": "parcels"}).status_code == 404
    globex = sign_in(make_tenant("globex"), role="owner")
    assert "parcels" not in get_page(globex, "/showback/drivers")
    globex.post("/showback/drivers", {"act": "take_back", "name": "parcels"})
    assert "parcels" in get_page(viewer, "/showback/drivers")
