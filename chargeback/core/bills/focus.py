"""Any FOCUS file, 1.0 to 1.4: what is billed, by the day of its charge. Pure.

https://focus.finops.org/focus-specification/ : BilledCost is what an invoice says; ProviderName until 1.2, and
ServiceProviderName since 1.3. No column names a row for ever, so rows that are alike all count. A row of an earlier
billing period (ChargeClass `Correction`) adds to the day that it corrects, and is restated with the bill it stands in.
A model is no column of FOCUS: those that say one do so under x_Model or in SkuPriceDetails.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from chargeback.core.bills.cells import read_amount, read_currency, read_moment, read_text
from chargeback.core.bills.charges import (
    ADJUSTMENT,
    CREDIT,
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
from chargeback.core.bills.providers import find_provider
from chargeback.core.bills.rows import RowReader, read_charges
from chargeback.core.bills.tables import Table

FORMAT = "focus"
NEEDED = ("BilledCost", "BillingCurrency", "ChargePeriodStart", "ChargeCategory")
PROVIDER_COLUMNS = ("ServiceProviderName", "ProviderName", "InvoiceIssuerName")
MODEL_COLUMNS = ("x_Model", "x_ModelName", "x_ModelId")
MODEL_KEYS = ("x_Model", "x_ModelName", "ModelName", "Model", "model")
AI_CATEGORY = "AI and Machine Learning"
CATEGORIES = {"usage": USAGE, "purchase": FEE, "tax": TAX, "credit": CREDIT, "adjustment": ADJUSTMENT}


def is_table(columns: Iterable[str]) -> bool:
    return set(NEEDED) <= set(columns)


def read_focus(table: Table) -> ReadBill:
    """The charges of the file. Raises BillRefused."""
    return finish_bill(FORMAT, read_charges(table.rows, _read_row))


def _read_row(reader: RowReader) -> BillCharge:
    start = reader.read("ChargePeriodStart", read_moment)
    end = read_text(reader.get("ChargePeriodEnd"))
    charge = BillCharge(
        line=reader.line,
        start=start,
        end=reader.read("ChargePeriodEnd", read_moment) if end else end_of_day(start),
        provider=find_provider(_get_first(reader, PROVIDER_COLUMNS)),
        account=read_text(reader.get("BillingAccountId")),
        model=_find_model(reader),
        description=_get_first(reader, ("ChargeDescription", "SkuMeter", "ServiceName")),
        amount=reader.read("BilledCost", read_amount),
        currency=reader.read("BillingCurrency", read_currency),
        category=_find_category(reader),
    )
    return _file(charge, reader)


def _file(charge: BillCharge, reader: RowReader) -> BillCharge:
    if not read_text(reader.get("BillingPeriodStart")) or not read_text(reader.get("BillingPeriodEnd")):
        return charge
    first = reader.read("BillingPeriodStart", read_moment).date()
    after = max(reader.read("BillingPeriodEnd", read_moment).date(), first + timedelta(days=1))
    return replace(charge, filed=clamp_day(charge.day, first=first, after=after))


def _find_category(reader: RowReader) -> str:
    category = CATEGORIES.get(read_text(reader.get("ChargeCategory")).lower(), ADJUSTMENT)
    service = read_text(reader.get("ServiceCategory"))
    if category in (USAGE, FEE) and service and service != AI_CATEGORY:
        return OTHER_SERVICE
    return category


def _find_model(reader: RowReader) -> str:
    if said := _get_first(reader, MODEL_COLUMNS):
        return said
    text = read_text(reader.get("SkuPriceDetails"))
    try:
        details = json.loads(text) if text.startswith("{") else {}
    except ValueError:
        return ""
    return next((str(details[key]) for key in MODEL_KEYS if details.get(key)), "")


def _get_first(reader: RowReader, columns: Iterable[str]) -> str:
    """The first column that says something which is not a word for nothing."""
    return next((text for name in columns if (text := read_text(reader.row.get(name, "")))), "")
