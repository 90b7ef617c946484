"""Our own check of a FOCUS file, row by row: what the public validator judges by the table, or not at all. Pure.

Every problem is named by its row, its column and its rule. Numbers are compared exactly: a cost is price × quantity,
rounded half-even at 12 decimals.

https://focus.finops.org/focus-specification/ : versions 1.0 to 1.4.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation, localcontext

from audit.core.focus import COLUMNS_1_2, COLUMNS_SINCE, JSON, MOMENT, MONEY, NUMBER, multiply
from audit.core.statement import DIGITS_MAX

Fields = Mapping[str, str | None]

MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity",
    "PricingUnit", "ServiceCategory", "ServiceName",
)  # fmt: skip
NEVER_NULL = (
    "BilledCost", "BillingAccountId", "BillingCurrency", "BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory",
    "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "ServiceCategory", "ServiceName",
)  # fmt: skip
ALLOWED = {
    "ChargeCategory": ("Usage", "Purchase", "Tax", "Credit", "Adjustment"),
    "ChargeClass": ("Correction",),
    "ChargeFrequency": ("One-Time", "Recurring", "Usage-Based"),
    "PricingCategory": ("Standard", "Dynamic", "Committed", "Other"),
    "CapacityReservationStatus": ("Used", "Unused"),
    "CommitmentDiscountCategory": ("Spend", "Usage"),
    "CommitmentDiscountStatus": ("Used", "Unused"),
    "ServiceCategory": (
        "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
        "Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media",
        "Migration", "Mobile", "Networking", "Security", "Storage", "Web", "Other",
    ),
}  # fmt: skip
# A quantity, its unit, and what goes without one.
PAIRS = (("ConsumedQuantity", "ConsumedUnit"), ("PricingQuantity", "PricingUnit"),
         ("CommitmentDiscountQuantity", "CommitmentDiscountUnit"))  # fmt: skip
PRODUCTS = (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost"))
TOGETHER = (("SubAccountId", "SubAccountName"), ("SubAccountId", "SubAccountType"), ("RegionId", "RegionName"),
            ("ResourceId", "ResourceType"), ("AllocatedMethodId", "AllocatedResourceId"))  # fmt: skip
KINDS = COLUMNS_1_2 | COLUMNS_SINCE
PROBLEMS_MAX = 100

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")
_CURRENCY = re.compile(r"[A-Z]{3}")
_CUSTOM = re.compile(r"x_[A-Z][A-Za-z0-9]*")


@dataclass(frozen=True, slots=True)
class FocusProblem:
    """What is wrong. row: from 1, without the heading; 0: of the file. column: '' where it is none's alone."""

    row: int
    column: str
    rule: str
    detail: str

    def __str__(self) -> str:
        place = f"row {self.row}" if self.row else "file"
        return (
            f"{place}, {self.column}: {self.detail} [{self.rule}]"
            if self.column
            else f"{place}: {self.detail} [{self.rule}]"
        )


@dataclass(frozen=True, slots=True)
class FocusResult:
    """What a file was found to be. problem_count: of all; the first of each rule and column are kept."""

    rows: int
    problem_count: int
    problems: tuple[FocusProblem, ...]
    billed_by_invoice: Mapping[str, Decimal]

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that were broken."""
        return tuple(sorted({problem.rule for problem in self.problems}))


def check_focus(
    columns: Sequence[str], rows: Iterable[Fields], *, payable: Mapping[str, Decimal] | None = None
) -> FocusResult:
    """Check a file's rows, fields by column name, None or '' for null. payable: of each invoice."""
    check = _Check(columns)
    for number, fields in enumerate(rows, start=1):
        check.read_row(number, {name: value for name, value in fields.items() if value not in (None, "")})
    check.finish(payable or {})
    return FocusResult(check.rows, check.problem_count, tuple(check.problems), dict(check.billed_by_invoice))


@dataclass(slots=True)
class _Check:
    """One walk through a file."""

    columns: Sequence[str]
    rows: int = 0
    problem_count: int = 0
    problems: list[FocusProblem] = field(default_factory=list)
    billed_by_invoice: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    categories: dict[str, str] = field(default_factory=dict)
    currencies: dict[str, str] = field(default_factory=dict)
    ratios: defaultdict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    told: defaultdict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        for name in MANDATORY:
            if name not in self.columns:
                self.refuse(0, name, "column_missing", "is a mandatory column, and is not there")
        for place, name in enumerate(self.columns):
            if name not in KINDS and not _CUSTOM.fullmatch(name):
                self.refuse(
                    0, name, "column_unknown", "is no column of FOCUS, and does not begin with x_ and a capital"
                )
            if list(self.columns).index(name) != place:
                self.refuse(0, name, "column_twice", "stands twice")
        if not {"ProviderName", "ServiceProviderName"} & set(self.columns):
            self.refuse(0, "ServiceProviderName", "column_missing", "who provides is said by no column")

    def refuse(self, row: int, column: str, rule: str, detail: str) -> None:
        self.problem_count += 1
        self.told[rule, column] += 1
        if len(self.problems) < PROBLEMS_MAX and self.told[rule, column] <= 10:
            self.problems.append(FocusProblem(row, column, rule, detail))

    def read_row(self, row: int, fields: Mapping[str, str | None]) -> None:
        self.rows = row
        texts = {name: value for name, value in fields.items() if value is not None}
        numbers, moments = self.read_types(row, texts)
        self.check_nulls(row, texts)
        self.check_values(row, texts)
        self.check_periods(row, moments)
        self.check_products(row, texts, numbers)
        self.check_category(row, texts, numbers)
        self.check_consistency(row, texts, numbers)

    def read_types(self, row: int, texts: Mapping[str, str]) -> tuple[dict[str, Decimal], dict[str, datetime]]:
        numbers, moments = {}, {}
        for name, text in texts.items():
            kind = KINDS.get(name)
            if kind in (MONEY, NUMBER):
                if (number := _read_number(text)) is None:
                    self.refuse(row, name, "type_decimal", f"{text!r} is no decimal number")
                else:
                    numbers[name] = number
            elif kind == MOMENT:
                if (moment := _read_moment(text)) is None:
                    self.refuse(row, name, "type_datetime", f"{text!r} is no time such as 2026-10-01T00:00:00Z")
                else:
                    moments[name] = moment
            elif kind == JSON and not _is_object(text):
                self.refuse(row, name, "type_json", "is no JSON object")
        return numbers, moments

    def check_nulls(self, row: int, texts: Mapping[str, str]) -> None:
        for name in NEVER_NULL:
            if name in self.columns and name not in texts:
                self.refuse(row, name, "null", "is null")
        for quantity, unit in PAIRS:
            if (quantity in texts) != (unit in texts):
                self.refuse(row, quantity, "unit_alone", f"{quantity} and {unit} go together")
        for first, second in TOGETHER:
            if {first, second} <= set(self.columns) and (first not in texts) and (second in texts):
                self.refuse(row, second, "name_alone", f"is given, and {first} is null")

    def check_values(self, row: int, texts: Mapping[str, str]) -> None:
        for name, allowed in ALLOWED.items():
            if name in texts and texts[name] not in allowed:
                self.refuse(row, name, "value", f"{texts[name]!r} is not one of {', '.join(allowed)}")
        if "BillingCurrency" in texts and not _CURRENCY.fullmatch(texts["BillingCurrency"]):
            self.refuse(row, "BillingCurrency", "currency", f"{texts['BillingCurrency']!r} is no ISO 4217 code")
        subcategory, category = texts.get("ServiceSubcategory"), texts.get("ServiceCategory")
        if subcategory == "Generative AI" and category != "AI and Machine Learning":
            self.refuse(row, "ServiceSubcategory", "value", f"Generative AI is no part of {category}")

    def check_periods(self, row: int, moments: Mapping[str, datetime]) -> None:
        for name in ("BillingPeriod", "ChargePeriod"):
            start, end = moments.get(f"{name}Start"), moments.get(f"{name}End")
            if start and end and start >= end:
                self.refuse(row, f"{name}End", "period", "does not stand after the start")

    def check_products(self, row: int, texts: Mapping[str, str], numbers: Mapping[str, Decimal]) -> None:
        quantity = numbers.get("PricingQuantity")
        for price_name, cost_name in PRODUCTS:
            price, cost = numbers.get(price_name), numbers.get(cost_name)
            if price is None or cost is None:
                continue
            if quantity is None:
                self.refuse(row, "PricingQuantity", "product", f"is null beside a {price_name}")
            elif multiply(quantity, price) != _round(cost):
                detail = f"{price_name} {price} × PricingQuantity {quantity} is {multiply(quantity, price)}, not {cost}"
                self.refuse(row, cost_name, "product", detail)

    def check_category(self, row: int, texts: Mapping[str, str], numbers: Mapping[str, Decimal]) -> None:
        category, is_correction = texts.get("ChargeCategory"), texts.get("ChargeClass") == "Correction"
        if category in ("Usage", "Purchase") and not is_correction:
            for name in ("PricingQuantity", "PricingUnit", "PricingCategory"):
                if name in self.columns and name not in texts:
                    self.refuse(row, name, "usage_without", f"is null in a row of {category}")
            if "ListUnitPrice" in texts and "SkuPriceId" in self.columns and "SkuPriceId" not in texts:
                self.refuse(row, "SkuPriceId", "usage_without", "is null beside a ListUnitPrice")
        if category == "Tax":
            for name in ("ListUnitPrice", "ContractedUnitPrice", "PricingQuantity", "SkuId", "SkuPriceId"):
                if name in texts:
                    self.refuse(row, name, "tax_with", "is given in a row of Tax")
        if category == "Purchase" and texts.get("ChargeFrequency") == "Usage-Based":
            self.refuse(row, "ChargeFrequency", "value", "a Purchase is One-Time or Recurring")
        if category == "Credit" and numbers.get("BilledCost", Decimal(0)) > 0 and not is_correction:
            self.refuse(row, "BilledCost", "credit_sign", "of a Credit is above zero")
        negative = [name for name in ("ListUnitPrice", "ContractedUnitPrice") if numbers.get(name, Decimal(0)) < 0]
        for name in negative:
            self.refuse(row, name, "price_sign", "is below zero")

    def check_consistency(self, row: int, texts: Mapping[str, str], numbers: Mapping[str, Decimal]) -> None:
        """What one row alone cannot break."""
        service, category = texts.get("ServiceName", ""), texts.get("ServiceCategory", "")
        if self.categories.setdefault(service, category) != category:
            self.refuse(row, "ServiceCategory", "service_category", f"{service!r} has another one in another row")
        account, currency = texts.get("BillingAccountId", ""), texts.get("BillingCurrency", "")
        if self.currencies.setdefault(account, currency) != currency:
            self.refuse(row, "BillingCurrency", "account_currency", f"{account!r} is billed in another one too")
        if "InvoiceId" in texts and "BilledCost" in numbers:
            with localcontext() as context:
                context.prec = DIGITS_MAX
                self.billed_by_invoice[texts["InvoiceId"]] += numbers["BilledCost"]
        for element in _list_ratios(texts.get("AllocatedMethodDetails", "")):
            self.ratios[f"{texts.get('AllocatedMethodId', '')} of {texts.get('SkuPriceId', '')}"] += element

    def finish(self, payable: Mapping[str, Decimal]) -> None:
        for origin, total in self.ratios.items():
            if total != 1:
                self.refuse(0, "AllocatedMethodDetails", "ratios", f"the ratios of {origin} come to {total}, not to 1")
        for invoice, amount in payable.items():
            billed = self.billed_by_invoice.get(invoice, Decimal(0))
            if billed != amount:
                self.refuse(0, "BilledCost", "invoice_sum", f"of {invoice} comes to {billed}, and {amount} is payable")
        for invoice, billed in self.billed_by_invoice.items():
            if billed != billed.quantize(Decimal("0.01")):
                self.refuse(0, "BilledCost", "invoice_cents", f"of {invoice} comes to {billed}, which nobody can pay")


def _read_number(text: str) -> Decimal | None:
    try:
        return Decimal(text) if _NUMBER.fullmatch(text) else None
    except InvalidOperation:
        return None


def _read_moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC) if _MOMENT.fullmatch(text) else None
    except ValueError:
        return None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _list_ratios(text: str) -> Iterator[Decimal]:
    if text and _is_object(text):
        for element in json.loads(text, parse_float=Decimal, parse_int=Decimal).get("Elements", []):
            if isinstance(element, dict) and isinstance(element.get("AllocatedRatio"), Decimal):
                yield element["AllocatedRatio"]


def _round(cost: Decimal) -> Decimal:
    return multiply(cost, Decimal(1))
