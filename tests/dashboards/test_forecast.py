"""The page Forecast: the month's end, how right that was before, what is known beforehand, and its files."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from alerts.budgets import create_budget
from alerts.core.budgets import Action, BudgetTerms
from alerts.core.outlooks import WHOLE
from alerts.forecasts import EventTerms, add_event, list_events, make_forecasts
from alerts.forecasts.records import Run, keep_runs, settle_runs
from alerts.models import Alert
from billing.rates import forget_rate_book
from tenants.scope import tenant_scope
from tests.dashboards.bookings import book
from tests.dashboards.pages import get_page, read_figures, read_tables, read_workbook, sign_in
from tests.factories import make_tenant, publish_test_rates

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 8, 12, tzinfo=UTC)  # 23 days with today are ahead
# Two calls a day at 0.00475 USD: 7 days cost 0.0665, and 23 days ahead 0.2185; together 0.285.


@pytest.fixture(autouse=True)
def eighth_of_november(monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)


@pytest.fixture
def acme(db):
    forget_rate_book()
    publish_test_rates()
    yield make_tenant("acme")
    forget_rate_book()


@pytest.fixture
def month(acme):
    """Two calls of chat on each of the seven days, and one of today; retail's in production."""
    days = [day for day in range(1, 8) for _ in range(2)] + [8]
    book(
        acme,
        *({"time": datetime(2026, 11, day, 9, tzinfo=UTC), "feature": "chat", "cost_center": "retail"} for day in days),
    )
    return acme


def find_table(html, caption_start):
    """The table whose first heading is this."""
    return next(table for table in read_tables(html) if table and table[0][0] == caption_start)


def get_csv(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return list(csv.reader(io.StringIO(answer.content.decode())))


def post(client, path="/forecast", **fields):
    return client.post(path, fields)


def test_the_months_end_is_told_in_figures_and_day_by_day(month):
    html = get_page(sign_in(month), "/forecast")
    figures = read_figures(html)
    assert figures[0] == "0.285" and figures[3] == "0.07125"  # expected; booked with today's call
    days = find_table(html, "Day")
    assert days[0] == ["Day", "Booked", "Expected", "Lower end", "Upper end"]
    assert days[7][:3] == ["7 Nov Sat", "0.00950", "–"]
    assert days[8][:3] == ["8 Nov Sun", "0.00475", "0.00950"]
    assert days[30][:3] == ["30 Nov Mon", "–", "0.00950"]
    assert [row[0] for row in days[31:]] == ["Total", "The days before today", "Month"]
    assert days[31][1:3] == ["0.0712", "0.22"] and days[33][2] == "0.28"
    assert "not yet measured: 0 of 60" in html and "Stress ceiling" in html


def test_parts_lead_to_their_own_forecast_and_add_up(month):
    client = sign_in(month)
    parts = find_table(get_page(client, "/forecast"), "Cost centre")
    assert [row[:3] for row in parts[1:]] == [
        ["retail", "0.0712", "0.28"], ["Total", "0.0712", "0.28"], ["Forecast as one", "0.0712", "0.28"],
    ]  # fmt: skip
    features = find_table(get_page(client, "/forecast?by=feature"), "Feature")
    assert features[1][0] == "chat"
    retail = get_page(client, "/forecast?environment=all&cost_center=retail")
    assert read_figures(retail)[0] == "0.285" and "Cost centre retail" in retail
    assert "Nothing is forecast" in get_page(client, "/forecast?cost_center=nobody")


def test_too_little_to_go_by_is_said_with_what_is_missing(acme):
    book(acme, {"time": datetime(2026, 11, 6, tzinfo=UTC)}, {"time": datetime(2026, 11, 7, tzinfo=UTC)})
    html = get_page(sign_in(acme), "/forecast")
    assert "A forecast needs 3 complete days; there are 2 yet." in html
    assert 'id="chart"' not in html


def test_an_event_is_added_and_removed_by_who_plans_and_only_seen_by_others(month):
    owner = sign_in(month, role="owner")
    answer = post(owner, act="add", day="2026-11-20", amount="1.5", note="Launch", cost_center="retail", feature="")
    assert answer.status_code == 302 and "done=added" in answer["Location"]
    html = get_page(owner, "/forecast")
    assert read_figures(html)[0] == "1.785"
    assert find_table(html, "Day")[20][2] == "1.51"
    (event,) = list_events(tenant_id=month.id)
    viewer = sign_in(month)
    seen = get_page(viewer, "/forecast?by=feature")
    assert "Launch" in seen and 'value="remove"' not in seen and 'value="add"' not in seen
    assert post(viewer, act="remove", event=event.id).status_code == 403
    assert (
        "done=known"
        in post(owner, act="add", day="2026-11-20", amount="1.5", note="Launch", cost_center="retail")["Location"]
    )
    assert "done=removed" in post(owner, act="remove", event=event.id)["Location"]
    assert "done=gone" in post(owner, act="remove", event=event.id)["Location"]
    assert read_figures(get_page(owner, "/forecast"))[0] == "0.285"


def test_what_is_wrong_with_an_event_is_marked_and_what_was_typed_stays(month):
    answer = post(sign_in(month, role="owner"), act="add", day="yesterday", amount="lots", note="Launch <b>")
    html = answer.content.decode()
    assert answer.status_code == 422 and html.count('aria-invalid="true"') == 2
    assert 'value="lots"' in html and "Launch &lt;b&gt;" in html
    assert list_events(tenant_id=month.id) == []
    assert post(sign_in(month, role="owner"), act="burn").status_code == 400


def make_run(made_on, *, expected, actual_spent="10"):
    elapsed = made_on.day - 1
    return Run(
        scope=WHOLE, month=made_on.replace(day=1), made_on=made_on, made_at=datetime(2026, 10, 1, tzinfo=UTC),
        method="weekday_level", days_elapsed=elapsed, days_ahead=31 - elapsed, spent=Decimal(actual_spent),
        expected=Decimal(expected), low=Decimal(20), high=Decimal(40), ceiling=Decimal(90), run_rate=Decimal(60),
        volatility=0.1, growth=None, bias=None, coverage=None, facts={},
    )  # fmt: skip


def keep_october(tenant):
    """After 5 days 33 was expected of the rest and 30 came; after 10 days 27. One night between is missing."""
    runs = [make_run(date(2026, 10, 6), expected="33"), make_run(date(2026, 10, 11), expected="27")]
    keep_runs(runs, tenant_id=tenant.id)
    settle_runs([(WHOLE, run.made_on, Decimal(30)) for run in runs], tenant_id=tenant.id)


def test_the_track_record_says_what_months_came_to_and_how_far_off_each_day_was(month):
    keep_october(month)
    html = get_page(sign_in(month), "/forecast?environment=all")
    record = find_table(html, "Month")
    assert record[0] == [
        "Month",
        "Came to",
        "After 5 days",
        "After 10 days",
        "After 15 days",
        "After 20 days",
        "Nights",
    ]
    # 43 was seen of 40 in all, then 37; of the rest 3 of 30 were missed both times.
    assert record[1] == ["October 2026", "40.00", "7.5 %", "−7.5 %", "–", "–", "2"]
    assert record[2][:4] == ["The rest was missed by", "", "10.0 %", "10.0 %"]
    assert record[3][:4] == ["Within 10 % of the month", "", "100.0 %", "100.0 %"]
    # 33 nights from 6 October to 7 November, two of them with a run; the line missed by 30 each time.
    assert "▲ 31" in html and "90.0\u202f% smaller" in html
    assert "Show all environments" in get_page(sign_in(month), "/forecast?cost_center=retail")


def test_budgets_of_the_month_say_when_they_are_used_up(month):
    terms = BudgetTerms(name="Retail", scope={"cost_center": "retail"}, window="month", amount=Decimal("0.1"))
    create_budget(terms, tenant_id=month.id, actor="person 1", now=NOW)
    assert find_table(get_page(sign_in(month), "/forecast"), "Budget")[1][3:] == [
        "not yet",
        "not known before the first night",
    ]
    make_forecasts(tenant=month, now=NOW)
    html = get_page(sign_in(month), "/forecast")
    # 0.0665 in seven days and 0.0095 a day: 0.1045 with the fourth day from the 8th on.
    assert find_table(html, "Budget")[1] == ["Retail", "0.10", "0.0712", "0.28", "▲ 11 November"]
    assert "<b>Retail</b> is used up on <b>11 November</b>" in html


def test_a_threshold_on_the_forecast_is_told_once_three_nights_in_a_row_say_so(month):
    terms = BudgetTerms(
        name="Retail", scope={"cost_center": "retail"}, window="month", amount=Decimal("0.2"),
        actions=(Action(100, "forecast", "notify"), Action(200, "forecast", "notify")),
    )  # fmt: skip
    create_budget(terms, tenant_id=month.id, actor="person 1", now=NOW)

    def tell():
        with tenant_scope(month.id):
            return list(Alert.objects.filter(tenant_id=month.id).values_list("title", "severity"))

    for nights, told in ((0, 0), (1, 0), (2, 1), (3, 1)):
        make_forecasts(tenant=month, now=NOW + timedelta(days=nights))
        assert len(tell()) == told, nights
    assert tell()[0][0].startswith("Retail is forecast to reach $0.")


def test_the_files_hold_what_the_page_shows(month):
    keep_october(month)
    terms = EventTerms(date(2026, 11, 20), Decimal("-1"), "=credit")
    add_event(terms, tenant_id=month.id, actor="person 1", now=NOW)
    client = sign_in(month)
    days = get_csv(client, "/forecast/file?environment=all")
    assert days[0] == ["day", "booked", "expected", "low", "high"] and len(days) == 1 + 30 + 2
    assert days[1][:3] == ["2026-11-01", "0.009500000000", ""]
    assert get_csv(client, "/forecast/file?environment=all&table=record")[1][:3] == [
        "2026-10-01", "40.000000000000", "7.5",
    ]  # fmt: skip
    assert get_csv(client, "/forecast/file?table=events")[1][1:3] == ["-1.000000", "'=credit"]
    assert get_csv(client, "/forecast/file?table=parts")[1][0] == "retail"
    assert client.get("/forecast/file?table=all").status_code == 400
    about = dict(read_workbook(client, "/forecast/file?format=xlsx")["About"].values)
    assert about["Coverage measured"] == "not yet" and "estimate" in about["Measure"]


def test_the_page_of_a_name_that_is_no_text_is_refused(month):
    assert sign_in(month).get("/forecast?cost_center=%00").status_code == 400
