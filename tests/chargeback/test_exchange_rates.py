"""Rates of exchange: entered one by one or as a file, kept for good; of a day the newest counts."""

from datetime import date
from decimal import Decimal

import pytest

from chargeback.billing_currency import CurrencyRefused, get_billing_currency, set_billing_currency
from chargeback.core.exchange import FxRate
from chargeback.core.fx_lines import read_rate_lines
from chargeback.exchange_rates import enter_rates, find_rate, list_rates
from ledger.act_lists import ActFilters, list_acts
from tenants.models import OPERATOR_SLUG
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant
from tests.chargeback.months import ANN, NOVEMBER, NOW, OCTOBER, SEPTEMBER
from tests.factories import make_tenant

# Reference rates of the ECB of the year's first days, 1.0090, 1.0305 and 1.0368 USD, turned round.
DAYS = [date(2000, 1, day) for day in (3, 4, 5)]
RATES = [
    FxRate("EUR", day, Decimal(rate), "ECB") for day, rate in zip(DAYS, ("0.9911", "0.9704", "0.9645"), strict=True)
]
EVER = {"first": date(2000, 1, 1), "after": date(2000, 2, 1)}


def enter(*rates):
    entering = enter_rates(rates, actor=ANN, now=NOW)
    return entering.entered, entering.unchanged


def test_a_file_is_read_in_any_order_of_columns_and_with_any_separator():
    text = "day;rate;currency\n2000-01-03;0.9911;eur\n\n2000-01-03;113.15;JPY\n"
    rates, problems = read_rate_lines(text)
    assert problems == []
    assert rates == [FxRate("EUR", DAYS[0], Decimal("0.9911")), FxRate("JPY", DAYS[0], Decimal("113.15"))]
    assert read_rate_lines("EUR,2000-01-03,0.9911,ECB\n") == ([RATES[0]], [])


def test_everything_wrong_with_a_file_is_told_at_once_with_line_and_field():
    text = "currency,day,rate\nEUR,3.1.2000,0\nUSD,2000-01-03,1\nXXX,2000-01-03,1e5\nEUR,2000-01-03\n"
    rates, problems = read_rate_lines(text + "CHF,2000-01-04,1.37\nCHF,2000-01-04,1.38\n")
    assert rates == []
    assert [(problem.line, problem.field) for problem in problems] == [
        (2, "day"), (2, "rate"), (3, "currency"), (4, "currency"), (4, "rate"), (5, ""), (7, ""),
    ]  # fmt: skip
    assert problems[2].detail == "is what the ledger is kept in: USD needs no rate"
    assert problems[-1].detail == "is of CHF on 2000-01-04 as line 6 is; keep one of them"
    assert read_rate_lines('EUR,"2000')[1][0].detail.startswith("is no CSV")


def test_of_a_day_the_newest_rate_counts_and_the_same_again_enters_nothing(db):
    assert enter(*RATES) == (3, 0)
    assert enter(*RATES) == (0, 3)
    assert enter(FxRate("EUR", DAYS[1], Decimal("0.85"), "mended")) == (1, 0)
    assert [(rate.day.day, rate.rate, rate.source, rate.corrections) for rate in list_rates(**EVER)] == [
        (5, Decimal("0.9645"), "ECB", 0), (4, Decimal("0.85"), "mended", 1), (3, Decimal("0.9911"), "ECB", 0),
    ]  # fmt: skip
    assert list_rates(**EVER, currency="JPY") == []
    assert find_rate("EUR", last_day=DAYS[1]) == FxRate("EUR", DAYS[1], Decimal("0.85"), "mended")
    assert find_rate("EUR", last_day=date(2000, 1, 2)) is None


def test_what_is_entered_is_an_act_of_the_operators_ledger(db):
    enter(*RATES)
    enter(*RATES)
    operator = get_tenant(OPERATOR_SLUG)
    with tenant_scope(operator.id):
        acts = [
            act
            for act in list_acts(tenant_id=operator.id, filters=ActFilters(), limit=20)
            if act.name == "fx_rates.entered"
        ]
    assert acts[0].facts == {
        "currencies": "EUR", "entered": "3", "unchanged": "0", "first_day": "2000-01-03", "last_day": "2000-01-05",
    }  # fmt: skip


def test_a_tenant_is_billed_in_usd_until_another_currency_is_set_from_a_month_on(db):
    acme, globex = make_tenant("acme"), make_tenant("globex")

    def set_currency(currency, month):
        return set_billing_currency(currency, month=month, tenant_id=acme.id, actor=ANN, now=NOW)

    def read(tenant, month):
        return get_billing_currency(tenant_id=tenant.id, month=month).currency

    assert set_currency("EUR", OCTOBER).valid_from == OCTOBER
    assert [read(acme, month) for month in (SEPTEMBER, OCTOBER, NOVEMBER)] == ["USD", "EUR", "EUR"]
    set_currency("CHF", NOVEMBER)
    set_currency("GBP", OCTOBER)
    assert [read(acme, month) for month in (SEPTEMBER, OCTOBER, NOVEMBER)] == ["USD", "GBP", "CHF"]
    assert read(globex, NOVEMBER) == "USD"
    with pytest.raises(CurrencyRefused, match="no currency"):
        set_currency("EURO", OCTOBER)
