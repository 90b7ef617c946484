"""A report says what the pages and the API say, in HTML and in text, and every figure leads to where it is shown."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html import unescape
from urllib.parse import urlsplit

import pytest
from django.http import QueryDict
from django.test import Client

from alerts.budgets import create_budget
from alerts.core.budget_terms import read_terms as read_budget
from alerts.core.facts import Facts
from alerts.episodes import open_alert
from chargeback.core.reports.document import write_report
from chargeback.core.reports.periods import ReportPeriod
from chargeback.reports.contents import read_report
from chargeback.reports.mail import write_mail
from dashboards.access import Seat
from dashboards.budgets.listing import read_asked, read_listing
from dashboards.core.periods import Period
from dashboards.overview.outlook import read_month_end
from dashboards.overview.page import read_overview
from dashboards.showback.question import Question
from dashboards.showback.subjects import read_subjects
from tests.dashboards.bookings import book, on
from tests.dashboards.pages import get_page, read_figures, sign_in
from tests.factories import make_key, make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
WEEK = ReportPeriod("weekly", date(2026, 11, 9), date(2026, 11, 16))
MONTH = ReportPeriod("monthly", date(2026, 10, 1), date(2026, 11, 1))
NOW = datetime(2026, 11, 16, 7, tzinfo=UTC)
CALL = Decimal("0.00475")  # of `book`


@pytest.fixture
def acme(settings):
    settings.PUBLIC_URL = "https://costs.example"
    publish_test_rates()
    return make_tenant("acme")


@pytest.fixture
def used(acme):
    """Of the week three calls of chat, one of search, one without a price; of the week before one of chat."""
    chat = {"feature": "chat", "cost_center": "retail", "user": "ann"}
    book(
        acme,
        {**chat, "time": on(9, hour=0)},
        {**chat, "time": on(11)},
        {**chat, "time": on(15, hour=23), "environment": "development"},
        {"feature": "search", "cost_center": "", "user": "bob", "time": on(12)},
        {"feature": "pilot", "cost_center": "", "time": on(13), "model": "no-such-model"},
        {**chat, "time": on(8, hour=23)},
        {**chat, "time": on(16, hour=0)},
    )
    return acme


def read(tenant, *, period=WEEK, scope=None, now=NOW):
    return read_report(tenant=tenant, period=period, scope=scope or {}, now=now)


def write(tenant, *, period=WEEK, scope=None, now=NOW):
    return write_mail(tenant=tenant, period=period, scope=scope or {}, now=now, subscription_id=1)


def test_a_weeks_figures_are_those_of_its_calls(used):
    report = read(used)
    assert (report.total.cost, report.total.before) == (Decimal("0.019"), CALL)  # 4 × 0.00475, and one
    assert (report.total.change.direction, report.total.change.percent) == ("up", Decimal("300.0"))
    assert (report.total.calls, report.total.unpriced_calls) == (5, 1)
    assert [(line.name, line.cost, line.calls) for line in report.features.lines] == [
        ("chat", Decimal("0.01425"), 3), ("search", CALL, 1), ("pilot", None, 1),
    ]  # fmt: skip
    assert [(line.name, line.cost) for line in report.users.lines] == [
        ("ann", Decimal("0.01425")), ("bob", CALL), ("No user", None),
    ]  # fmt: skip
    assert [(line.name, line.under, line.cost) for line in report.models.lines] == [
        ("gpt-4o-2024-08-06", "openai", Decimal("0.019")), ("no-such-model", "openai", None),
    ]  # fmt: skip
    use = report.efficiency
    assert (use.input_tokens, use.output_tokens, use.saved) == (6000, 1500, Decimal("0.005"))  # 4 × 0.00125
    assert use.cache_share.quantize(Decimal("0.1")) == Decimal("83.3")  # 5,000 of 6,000
    assert use.per_call == CALL
    assert abs(use.p50 - CALL) < CALL / 100 and abs(use.p95 - CALL) < CALL / 100
    assert [(line.name, line.calls) for line in report.unpriced] == [("no-such-model", 1)]
    assert (report.unallocated.cost, report.unallocated.share, report.unallocated.calls) == (CALL, Decimal(25), 2)


def test_what_changed_is_told_in_steps_that_add_up(used):
    changes = read(used).changes
    assert [(line.name, line.difference, line.steps) for line in changes.lines] == [
        ("chat", Decimal("0.0095"), {"volume": Decimal("0.0095")}),  # one call, then three of the same size
        ("search", CALL, {"new": CALL}),
    ]
    assert changes.total.difference == Decimal("0.01425")
    assert sum(changes.total.steps.values()) == changes.total.difference


def test_a_report_about_a_part_has_its_figures_alone(used):
    report = read(used, scope={"cost_center": "retail"})
    assert (report.total.cost, report.total.calls) == (Decimal("0.01425"), 3)
    assert [line.name for line in report.features.lines] == ["chat"]
    assert report.unallocated is None
    assert report.users.lines == () and "environment, feature" in report.users.refusal
    assert report.efficiency.per_call is None  # its spread is not kept by cost centre, and a mean never stands alone
    feature = read(used, scope={"feature": "chat"})
    assert [(line.name, line.cost) for line in feature.users.lines] == [("ann", Decimal("0.01425"))]
    assert feature.efficiency.per_call == CALL


def test_budgets_are_told_as_they_stood_when_the_days_ended(used):
    own = {"tenant_id": used.id, "actor": "person 1", "now": NOW}
    create_budget(read_budget({"name": "all", "scope": {}, "window": "month", "amount": 1}), **own)
    create_budget(
        read_budget({"name": "chat", "scope": {"feature": "chat"}, "window": "week", "amount": "0.02"}), **own
    )
    lines = read(used).budgets
    assert [(line.name, line.spent, line.percent, line.window) for line in lines] == [
        ("chat", Decimal("0.01425"), 71, "week, 9 Nov–15 Nov"),  # not the call of Monday the 16th
        ("all", Decimal("0.0285"), 2, "month, 1 Nov–30 Nov"),  # six calls with a price
    ]
    assert [line.name for line in read(used, scope={"feature": "chat"}).budgets] == ["chat"]


def test_alerts_that_opened_in_the_days_are_told_the_worst_first(used):
    for day, severity in ((8, "high"), (10, "info"), (12, "critical"), (16, "high")):
        open_alert(
            tenant_id=used.id, rule="budget", scope={}, episode=f"{day}", severity=severity, now=on(day),
            title=f"Alert of the {day}th", facts=Facts(sentence="", figures=()), impact=Decimal("12.5"),
        )  # fmt: skip
    alerts = read(used).alerts
    assert [(line.title, line.severity) for line in alerts.lines] == [
        ("Alert of the 12th", "critical"), ("Alert of the 10th", "info"),
    ]  # fmt: skip
    assert (alerts.anomalies, alerts.others) == (0, 2)


def test_the_figures_are_those_of_the_overview_of_showback_and_of_the_api(used):
    browser, report = sign_in(used), read(used)
    overview = get_page(browser, follow(report.total.href))
    assert read_figures(overview)[0] == "0.019"
    for line in report.features.lines[:2]:
        assert f'value="{line.cost.normalize():f}"' in get_page(browser, follow(line.href)), line.name
    headers = {"Authorization": f"Bearer {make_key(used)}"}
    asked = "from=2026-11-09&to=2026-11-16&granularity=day&timezone=UTC"
    totals = Client().get(f"/v1/costs?{asked}", headers=headers).json()["totals"]
    assert Decimal(totals["billed_cost"]) == report.total.cost
    assert (totals["events"], totals["unpriced_events"]) == (5, 1)


def follow(href):
    parts = urlsplit(href)
    assert f"{parts.scheme}://{parts.netloc}" == "https://costs.example"
    return f"{parts.path}?{parts.query}"


def test_each_part_is_what_its_page_reads(used):
    """Of a fortnight of calls by many features, users and cost centres, without working any of it out again."""
    names = [(f"feature-{i % 7}", f"user-{i % 11}", f"center-{i % 3}" if i % 5 else "") for i in range(60)]
    book(
        used,
        *(
            {"feature": feature, "user": user, "cost_center": center, "time": on(2 + number % 14)}
            for number, (feature, user, center) in enumerate(names)
        ),
    )
    own = {"tenant_id": used.id, "actor": "person 1", "now": NOW}
    create_budget(read_budget({"name": "all", "scope": {}, "window": "month", "amount": 1}), **own)
    seat = Seat(1, "", "", "owner", is_operator=False, tenant=used, tenants=())
    report, period = read(used), Period(WEEK.first, WEEK.after)

    overview = read_overview(tenant=used, period=period, environment="", link_query={}, all_lines=True)
    assert (report.total.cost, report.total.before) == (overview.cost, overview.before)
    assert report.total.change == overview.change
    tables = {table.dimension: table for table in overview.tables}
    for top, lines in ((report.features, tables["feature"].lines), (report.models, tables["model"].lines)):
        used_lines = [line for line in lines if line.calls]
        assert [tell(line) for line in top.lines] == [tell(line) for line in used_lines[:5]]
        assert top.other_count == len(used_lines[5:])
    changed = {line.name: line.difference for line in overview.changes.lines}
    assert {line.name: line.difference for line in report.changes.lines}.items() <= changed.items()
    assert report.changes.total.difference == overview.changes.total.difference
    assert list(report.changes.total.steps.values()) == [step for step in overview.changes.total.steps if step]
    assert [(line.name, line.calls) for line in report.unpriced] == [(one.name, one.calls) for one in overview.unpriced]
    assert (report.unallocated.cost, report.unallocated.calls) == (
        overview.unallocated.cost, overview.unallocated.calls,
    )  # fmt: skip
    assert report.unallocated.share == overview.unallocated_share
    assert report.efficiency.cache_share == overview.cache_share
    assert report.efficiency.output_tokens == overview.totals.output_tokens
    assert report.efficiency.input_tokens == overview.input_tokens

    users = read_subjects(Question(used, period, "", "user", {}, ""), all_lines=True)
    assert [line.cost for line in report.users.lines] == [line.cost for line in users.lines[:5]]
    assert {tell(line) for line in report.users.lines} <= {tell(line) for line in users.lines}
    features = read_subjects(Question(used, period, "", "feature", {}, ""))
    assert (report.efficiency.p50, report.efficiency.p95) == tuple(features.total.percentiles.values())
    assert report.efficiency.per_call == features.total.per_call

    end = read_month_end(seat, environment="", now=NOW)
    assert (report.month_end.expected, report.month_end.low, report.month_end.high) == (end.expected, end.low, end.high)
    (standing,) = read_listing(seat, read_asked(QueryDict()), now=NOW)[0]
    assert [(line.spent, line.limit, line.percent) for line in report.budgets] == [
        (standing.spending.spent, standing.spending.limit, standing.percent),
    ]


def tell(line):
    return line.name, line.calls, line.cost, line.change


def test_every_link_of_a_mail_opens(used):
    browser = sign_in(used)
    links = {unescape(href) for href in re.findall(r'href="([^"]+)"', write(used).html)}
    assert len(links) > 15
    for href in links:
        assert get_page(browser, follow(href)), href


def test_html_and_text_have_the_same_content(used):
    mail = write(used)
    document = write_report(read(used))
    for section in document.sections:
        for row in section.rows:
            for said in (row.label, row.value, row.note, row.href):
                assert said in mail.text and said in unescape(mail.html), said
    for said in ("all environments", "9–15 November 2026, in the time of UTC", "Complete to", "$0.0190"):
        assert said in mail.text and said in mail.html
    assert re.search(r"<script|<img|<link|url\(|@import", mail.html) is None
    assert "Simulated" not in mail.html


def test_simulated_data_is_said_to_be_so(acme, monkeypatch):
    mail = write(replace(acme, is_demo=True))
    assert mail.subject.startswith("[simulated] ")
    assert "SIMULATED DATA" in mail.text and "Simulated data:" in mail.html


def test_days_in_which_nothing_was_used_are_said_to_be_so(acme):
    mail = write(acme)
    assert mail.subject == "Acme: 9–15 November 2026, nothing was used"
    assert "No call was booked in these days" in mail.text
    assert "TOP FEATURES" not in mail.text and "$0.00" not in mail.text.split("FORECAST")[0]


def test_nothing_of_another_tenant_is_in_it(used):
    globex = make_tenant("globex")
    book(globex, {"feature": "globex-secret", "cost_center": "globex-center", "user": "globex-user", "time": on(11)})
    mail = write(used)
    assert "globex" not in mail.text.lower() + mail.html.lower()
    assert read(globex).total.cost == CALL


def test_a_name_with_a_line_break_makes_no_header_and_one_with_a_tag_no_element(settings):
    settings.PUBLIC_URL = "https://costs.example"
    publish_test_rates()
    evil = make_tenant("acme")
    evil = replace(evil, name="Acme\r\nBcc: eve@evil.example\r\n\r\n<script>alert(1)</script>")
    book(evil, {"feature": "<b>chat</b>", "time": on(11)})
    mail = write(evil)
    assert "\n" not in mail.subject and "\r" not in mail.subject
    assert "<script" not in mail.html and "<b>chat" not in mail.html
    assert "&lt;b&gt;chat&lt;/b&gt;" in mail.html and "<b>chat</b>" in mail.text
