"""Each rule of the FOCUS check: a right row passes, and the same row broken in one place is caught by its rule."""

import csv
import gzip
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from audit.core.focus import COLUMNS_1_2, COLUMNS_SINCE
from audit.core.focus_check import check_focus
from tests.conftest import ROOT

SAMPLE = ROOT.parent / "shared" / "data" / "focus" / "focus_1_0_sample_1000.csv.gz"
COLUMNS = [*COLUMNS_1_2, *COLUMNS_SINCE, "x_Feature"]
RIGHT = dict.fromkeys(COLUMNS, "") | {
    "BilledCost": "0.25", "BillingAccountId": "acme", "BillingAccountName": "Acme", "BillingAccountType": "Tenant",
    "BillingCurrency": "USD", "BillingPeriodStart": "2026-10-01T00:00:00Z", "BillingPeriodEnd": "2026-11-01T00:00:00Z",
    "ChargeCategory": "Usage", "ChargeDescription": "input", "ChargeFrequency": "Usage-Based",
    "ChargePeriodStart": "2026-10-05T00:00:00Z", "ChargePeriodEnd": "2026-10-06T00:00:00Z",
    "ConsumedQuantity": "100000.0", "ConsumedUnit": "Tokens",
    "ContractedCost": "0.25", "ContractedUnitPrice": "2.5", "EffectiveCost": "0.25",
    "InvoiceId": "ACME-2026-10", "InvoiceIssuerName": "FinOps", "ListCost": "0.3", "ListUnitPrice": "3.0",
    "PricingCategory": "Standard", "PricingQuantity": "0.1", "PricingUnit": "1000000 Tokens",
    "ServiceCategory": "AI and Machine Learning", "ServiceSubcategory": "Generative AI", "ServiceName": "OpenAI models",
    "ServiceProviderName": "OpenAI", "ProviderName": "OpenAI", "SkuId": "openai/gpt/input",
    "SkuPriceId": "openai/gpt/input/1", "SkuPriceDetails": '{"x_ModelId":"gpt"}',
    "SubAccountId": "retail", "SubAccountName": "retail",
    "SubAccountType": "CostCenter", "Tags": '{"feature":"checkout"}',
}  # fmt: skip
SPLIT = {"AllocatedMethodId": "even", "AllocatedResourceId": "retail"}


def check(*rows, columns=COLUMNS, **more):
    return check_focus(columns, rows, **more)


def test_a_right_row_has_no_problem():
    result = check(RIGHT, RIGHT | {"BilledCost": "0.75", "ChargeCategory": "Adjustment", "PricingCategory": ""})
    assert (result.problems, result.problem_count, result.rows) == ((), 0, 2)
    assert result.billed_by_invoice == {"ACME-2026-10": Decimal("1.00")}


BROKEN = [
    ("type_decimal", "BilledCost", {"BilledCost": "0,25"}),
    ("type_decimal", "ConsumedQuantity", {"ConsumedQuantity": "NaN"}),
    ("type_datetime", "ChargePeriodStart", {"ChargePeriodStart": "2026-10-05 00:00:00"}),
    ("type_datetime", "ChargePeriodEnd", {"ChargePeriodEnd": "2026-10-32T00:00:00Z"}),
    ("type_datetime", "BillingPeriodEnd", {"BillingPeriodEnd": "2026-11-01T00:00:00+01:00"}),
    ("type_json", "Tags", {"Tags": "feature=checkout"}),
    ("type_json", "SkuPriceDetails", {"SkuPriceDetails": '["gpt"]'}),
    ("null", "BilledCost", {"BilledCost": ""}),
    ("null", "ServiceName", {"ServiceName": ""}),
    ("null", "InvoiceIssuerName", {"InvoiceIssuerName": ""}),
    ("unit_alone", "ConsumedQuantity", {"ConsumedUnit": ""}),
    ("unit_alone", "ConsumedQuantity", {"ConsumedQuantity": ""}),
    ("name_alone", "SubAccountName", {"SubAccountId": ""}),
    ("name_alone", "RegionName", {"RegionName": "Ireland"}),
    ("value", "ChargeCategory", {"ChargeCategory": "usage"}),
    ("value", "ChargeClass", {"ChargeClass": "Refund"}),
    ("value", "ChargeFrequency", {"ChargeFrequency": "Daily"}),
    ("value", "PricingCategory", {"PricingCategory": "On-Demand"}),
    ("value", "ServiceCategory", {"ServiceCategory": "LLM", "ServiceSubcategory": ""}),
    ("value", "ServiceSubcategory", {"ServiceCategory": "Compute"}),
    ("value", "CommitmentDiscountStatus", {"CommitmentDiscountStatus": "Half"}),
    ("value", "ChargeFrequency", {"ChargeCategory": "Purchase"}),
    ("currency", "BillingCurrency", {"BillingCurrency": "usd"}),
    ("period", "ChargePeriodEnd", {"ChargePeriodEnd": "2026-10-05T00:00:00Z"}),
    ("period", "BillingPeriodEnd", {"BillingPeriodEnd": "2026-09-01T00:00:00Z"}),
    ("product", "ListCost", {"ListCost": "999"}),
    ("product", "ListCost", {"ListCost": "0.300000000001"}),
    ("product", "ContractedCost", {"ContractedUnitPrice": "2.6"}),
    ("product", "PricingQuantity", {"PricingQuantity": "", "PricingUnit": "", "ChargeClass": "Correction"}),
    ("usage_without", "PricingCategory", {"PricingCategory": ""}),
    ("usage_without", "SkuPriceId", {"SkuPriceId": ""}),
    ("tax_with", "SkuId", {"ChargeCategory": "Tax"}),
    ("credit_sign", "BilledCost", {"ChargeCategory": "Credit"}),
    ("price_sign", "ListUnitPrice", {"ListUnitPrice": "-3.0", "ListCost": "-0.3"}),
    ("invoice_cents", "BilledCost", {"BilledCost": "0.251"}),
]


@pytest.mark.parametrize(
    ("rule", "column", "change"), BROKEN, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_row_that_is_broken_in_one_place_is_caught_by_that_rule(rule, column, change):
    result = check(RIGHT | change)
    assert (rule, column) in {(problem.rule, problem.column) for problem in result.problems}
    assert not check(RIGHT | change | {name: RIGHT[name] for name in change}).problems


def test_one_bad_row_among_good_ones_is_named_by_its_number():
    result = check(RIGHT, RIGHT | {"ListCost": "999"}, RIGHT)
    assert [(problem.row, problem.rule) for problem in result.problems] == [(2, "product")]


def test_what_only_rows_together_break_is_caught():
    assert check(RIGHT, RIGHT | {"ServiceCategory": "Other", "ServiceSubcategory": ""}).rules == ("service_category",)
    assert check(RIGHT, RIGHT | {"BillingCurrency": "EUR"}).rules == ("account_currency",)
    assert check(RIGHT, payable={"ACME-2026-10": Decimal("0.26")}).rules == ("invoice_sum",)
    assert check(RIGHT, payable={"ACME-2026-10": Decimal("0.25")}).rules == ()
    assert check(RIGHT, payable={"ACME-2026-11": Decimal("1")}).rules == ("invoice_sum",)


def test_ratios_of_one_charge_come_to_one():
    def split(*ratios):
        elements = ",".join(f'{{"AllocatedRatio":{ratio}}}' for ratio in ratios)
        return [RIGHT | SPLIT | {"AllocatedMethodDetails": f'{{"Elements":[{elements}]}}'}]

    assert check(*split("0.1", "0.2", "0.7")).rules == ()
    assert check(*split("0.1", "0.2", "0.6")).rules == ("ratios",)


def test_columns_are_checked_too():
    without = [name for name in COLUMNS if name != "ListCost"]
    assert check({name: RIGHT[name] for name in without}, columns=without).rules == ("column_missing",)
    assert check(RIGHT, columns=[*COLUMNS, "Feature"]).rules == ("column_unknown",)
    assert check(RIGHT, columns=[*COLUMNS, "x_feature"]).rules == ("column_unknown",)
    assert check(RIGHT, columns=[*COLUMNS, "Tags"]).rules == ("column_twice",)
    nobody = [name for name in COLUMNS if name not in ("ProviderName", "ServiceProviderName")]
    assert check(RIGHT, columns=nobody).rules == ("column_missing",)


def test_of_many_problems_all_are_counted_and_the_first_of_each_kept():
    result = check(*[RIGHT | {"ListCost": "999"}] * 500)
    assert (result.problem_count, len(result.problems)) == (500, 10)


def test_the_published_sample_of_version_1_0_breaks_only_what_it_is_known_to_break():
    if not SAMPLE.exists():
        pytest.skip("the FOCUS sample is not on this machine")
    with gzip.open(SAMPLE, "rt", newline="") as file:
        reader = csv.DictReader(file)
        rows = [{name: None if text == "NULL" else text for name, text in row.items()} for row in reader]
        result = check_focus(list(reader.fieldnames), rows)
    assert result.rows == 700
    # Its times have no zone, one column has a name of its own, EC2 is of several categories, a type of resource stands
    # without a resource, one price is negative; costs have ten decimals, and some contracted ones are zero.
    assert set(result.rules) == {
        "column_unknown", "name_alone", "price_sign", "product", "service_category", "type_datetime",
    }  # fmt: skip


def test_the_command_says_what_is_wrong_and_fails(tmp_path, capsys):
    path = tmp_path / "focus.csv"

    def write(*rows):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    write(RIGHT, RIGHT)
    call_command("check_focus", str(path))
    assert capsys.readouterr().out == "ACME-2026-10: 0.50 billed\n2 rows, no problem.\n"
    write(RIGHT, RIGHT | {"ListCost": "999"})
    with pytest.raises(CommandError, match="1 problems in 2 rows"):
        call_command("check_focus", str(path))
    assert (
        "row 2, ListCost: ListUnitPrice 3.0 × PricingQuantity 0.1 is 0.300000000000, not 999" in capsys.readouterr().out
    )
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("check_focus", str(tmp_path / "missing.csv"))
