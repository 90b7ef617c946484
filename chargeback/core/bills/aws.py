"""AWS Cost and Usage Reports as CSV: the legacy one (`lineItem/UsageStartDate`) and 2.0 (`line_item_usage_start_date`).

https://docs.aws.amazon.com/cur/latest/userguide/ : Lineitem-columns.html, identity-columns.html,
table-dictionary-cur2.html. Unblended cost, as it is invoiced. A report is of a billing period and delivered whole,
again and again: a newer file restates it. A line's id is its own within a file only, for its interval. Pure.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from chargeback.core.bills.cells import NULL_WORDS, read_amount, read_currency, read_moment, read_text
from chargeback.core.bills.charges import (
    ADJUSTMENT,
    CREDIT,
    DISCOUNT,
    FEE,
    OTHER_SERVICE,
    TAX,
    USAGE,
    BillCharge,
    ReadBill,
    clamp_day,
    end_of_day,
    finish_bill,
)
from chargeback.core.bills.rows import RowReader, read_charges
from chargeback.core.bills.tables import Table

FORMAT = "aws_cur"
PROVIDER = "aws"
# What is read, by its name in each generation.
COLUMNS = {
    "start": ("lineItem/UsageStartDate", "line_item_usage_start_date"),
    "end": ("lineItem/UsageEndDate", "line_item_usage_end_date"),
    "amount": ("lineItem/UnblendedCost", "line_item_unblended_cost"),
    "currency": ("lineItem/CurrencyCode", "line_item_currency_code"),
    "kind": ("lineItem/LineItemType", "line_item_line_item_type"),
    "product": ("lineItem/ProductCode", "line_item_product_code"),
    "usage_type": ("lineItem/UsageType", "line_item_usage_type"),
    "description": ("lineItem/LineItemDescription", "line_item_line_item_description"),
    "resource": ("lineItem/ResourceId", "line_item_resource_id"),
    "id": ("identity/LineItemId", "identity_line_item_id"),
    "interval": ("identity/TimeInterval", "identity_time_interval"),
    "payer": ("bill/PayerAccountId", "bill_payer_account_id"),
    "period_start": ("bill/BillingPeriodStartDate", "bill_billing_period_start_date"),
    "period_end": ("bill/BillingPeriodEndDate", "bill_billing_period_end_date"),
    "name": ("product/ProductName", "product_product_name"),
    "model": ("product/model", "product_model"),
    "properties": ("product",),
}
NEEDED = ("start", "amount", "kind")
CATEGORIES = {
    "Usage": USAGE, "DiscountedUsage": USAGE, "SavingsPlanCoveredUsage": USAGE, "Tax": TAX, "Credit": CREDIT,
    "Refund": CREDIT, "BundledDiscount": DISCOUNT, "EdpDiscount": DISCOUNT, "PrivateRateDiscount": DISCOUNT,
    "RiVolumeDiscount": DISCOUNT, "Discount": DISCOUNT, "SppDiscount": DISCOUNT, "SavingsPlanNegation": ADJUSTMENT,
    "Fee": FEE, "RIFee": FEE, "SavingsPlanUpfrontFee": FEE, "SavingsPlanRecurringFee": FEE,
}  # fmt: skip
BEDROCK_EDITION = "(Amazon Bedrock Edition)"
_BEDROCK = re.compile(r"bedrock", re.IGNORECASE)
_MODEL_ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[^:]*:[^:]*:(foundation-model|inference-profile)/.+")
_USAGE_TYPE = re.compile(
    r"([A-Z]{2,4}[0-9]?[-_])?(?P<model>.+?)[-_](input|output|cache|text|image|audio|video|custom|provisioned)[-_].*",
    re.IGNORECASE,
)


def is_table(columns: Iterable[str]) -> bool:
    known = set(columns)
    return all(known & set(COLUMNS[name]) for name in NEEDED)


def read_report(table: Table) -> ReadBill:
    """The charges of a report. Raises BillRefused."""
    return finish_bill(FORMAT, read_charges(table.rows, _read_row))


def _read_row(reader: RowReader) -> BillCharge:
    def get(name: str) -> str:
        return read_text(reader.get(*COLUMNS[name]))

    start = reader.read_text(_name(reader, "start"), get("start"), read_moment)
    end = reader.read_text(_name(reader, "end"), get("end"), read_moment) if get("end") else end_of_day(start)
    model, is_of_models = find_model(reader)
    category = CATEGORIES.get(get("kind"), ADJUSTMENT)
    if category in (USAGE, FEE) and not is_of_models:
        category = OTHER_SERVICE
    charge = BillCharge(
        line=reader.line,
        start=start,
        end=end,
        provider=PROVIDER,
        account=get("payer"),
        model=model,
        description=get("description") or get("usage_type"),
        # Of a discount that is none's alone the report leaves the cost empty in some columns, never in this one.
        amount=reader.read_text(_name(reader, "amount"), reader.get(*COLUMNS["amount"]), _read_cost),
        currency=reader.read_text(_name(reader, "currency"), get("currency") or "USD", read_currency),
        category=category,
        line_id=f"{get('id')} {get('interval')}".strip() if get("id") else "",
    )
    return _file(charge, reader)


def _file(charge: BillCharge, reader: RowReader) -> BillCharge:
    first, after = (read_text(reader.get(*COLUMNS[name])) for name in ("period_start", "period_end"))
    if not first:
        return charge
    begins = reader.read_text(_name(reader, "period_start"), first, read_moment).date()
    ends = reader.read_text(_name(reader, "period_end"), after, read_moment).date() if after else charge.day
    return replace(charge, filed=clamp_day(charge.day, first=begins, after=max(ends, begins + timedelta(days=1))))


def find_model(reader: RowReader) -> tuple[str, bool]:
    """The model of a line as far as it says one, and whether the line is of a service that runs models at all."""
    texts = {name: read_text(reader.get(*COLUMNS[name])) for name in ("product", "name", "model", "usage_type")}
    properties = _read_properties(reader.get(*COLUMNS["properties"]))
    name = texts["name"] or properties.get("product_name", "")
    if not (_BEDROCK.search(texts["product"]) or _BEDROCK.search(name)):
        return "", False
    resource = read_text(reader.get(*COLUMNS["resource"]))
    if _MODEL_ARN.fullmatch(resource):
        return resource, True
    if BEDROCK_EDITION in name:
        return name.replace(BEDROCK_EDITION, "").strip(), True
    if model := texts["model"] or properties.get("model", ""):
        return model, True
    found = _USAGE_TYPE.fullmatch(texts["usage_type"])
    return (found["model"] if found else ""), True


def _read_properties(text: str) -> dict[str, str]:
    """The map of CUR 2.0 as a CSV writes it, {} where it is none."""
    try:
        document = json.loads(text) if text else {}
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in document.items()} if isinstance(document, dict) else {}


def _read_cost(text: str) -> Decimal:
    return Decimal(0) if text.strip().lower() in NULL_WORDS else read_amount(text)


def _name(reader: RowReader, field: str) -> str:
    """The column as this file calls it."""
    return next((name for name in COLUMNS[field] if name in reader.row), COLUMNS[field][0])
