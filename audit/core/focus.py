"""FOCUS, the FinOps Open Cost and Usage Specification: 1.2's columns with those of 1.4, one row for each meter. Pure.

A row is what one feature, cost centre, environment and day used of one meter at one price. A row for each entry and
meter would be four times the ledger and say nothing more: `x_StatementLine` leads to the rows, `x_LedgerRowCount` says
how many. docs/statements.md has the mapping, column by column.

https://github.com/FinOps-Open-Cost-and-Usage-Spec/FOCUS_Spec, tag v1.2; the columns of 1.3 and 1.4 from its drafts.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

from audit.core.prices import NO_USAGE, REMAINDER, REPORTED, Part, RowSums, split_costs
from audit.core.statement import (
    CORRECTION,
    CREDIT,
    DIGITS_MAX,
    FEE,
    UNPRICED,
    find_bounds,
)
from audit.core.statement_lines import RateContent, find_section, identify_line
from ledger.core.entries import PICO

DECIMALS_MAX = 18  # of quantities and prices
PROVIDER, CHARGEBACK = VIEWS = ("provider", "chargeback")
TEXT, MONEY, NUMBER, MOMENT, JSON = "text", "money", "number", "moment", "json"

COLUMNS_1_2 = {
    "AvailabilityZone": TEXT, "BilledCost": MONEY, "BillingAccountId": TEXT, "BillingAccountName": TEXT,
    "BillingAccountType": TEXT, "BillingCurrency": TEXT, "BillingPeriodEnd": MOMENT, "BillingPeriodStart": MOMENT,
    "CapacityReservationId": TEXT, "CapacityReservationStatus": TEXT, "ChargeCategory": TEXT, "ChargeClass": TEXT,
    "ChargeDescription": TEXT, "ChargeFrequency": TEXT, "ChargePeriodEnd": MOMENT, "ChargePeriodStart": MOMENT,
    "CommitmentDiscountCategory": TEXT, "CommitmentDiscountId": TEXT, "CommitmentDiscountName": TEXT,
    "CommitmentDiscountQuantity": NUMBER, "CommitmentDiscountStatus": TEXT, "CommitmentDiscountType": TEXT,
    "CommitmentDiscountUnit": TEXT, "ConsumedQuantity": NUMBER, "ConsumedUnit": TEXT, "ContractedCost": MONEY,
    "ContractedUnitPrice": NUMBER, "EffectiveCost": MONEY, "InvoiceId": TEXT, "InvoiceIssuerName": TEXT,
    "ListCost": MONEY, "ListUnitPrice": NUMBER, "PricingCategory": TEXT, "PricingCurrency": TEXT,
    "PricingCurrencyContractedUnitPrice": NUMBER, "PricingCurrencyEffectiveCost": MONEY,
    "PricingCurrencyListUnitPrice": NUMBER, "PricingQuantity": NUMBER, "PricingUnit": TEXT, "ProviderName": TEXT,
    "PublisherName": TEXT, "RegionId": TEXT, "RegionName": TEXT, "ResourceId": TEXT, "ResourceName": TEXT,
    "ResourceType": TEXT, "ServiceCategory": TEXT, "ServiceName": TEXT, "ServiceSubcategory": TEXT, "SkuId": TEXT,
    "SkuMeter": TEXT, "SkuPriceDetails": JSON, "SkuPriceId": TEXT, "SubAccountId": TEXT, "SubAccountName": TEXT,
    "SubAccountType": TEXT, "Tags": JSON,
}  # fmt: skip
COLUMNS_SINCE = {
    "AllocatedMethodDetails": JSON, "AllocatedMethodId": TEXT, "AllocatedResourceId": TEXT,
    "AllocatedResourceName": TEXT, "AllocatedTags": JSON, "CommitmentProgramEligibilityDetails": JSON,
    "ContractApplied": JSON, "HostProviderName": TEXT, "InvoiceDetailId": TEXT, "ServiceProviderName": TEXT,
}  # fmt: skip
OWN_COLUMNS = {
    "x_ContextTier": NUMBER, "x_Environment": TEXT, "x_Feature": TEXT, "x_LedgerRowCount": NUMBER, "x_Model": TEXT,
    "x_RateVersion": TEXT, "x_ServiceTier": TEXT, "x_StatementLine": TEXT, "x_TokenType": TEXT,
}  # fmt: skip
COLUMNS = COLUMNS_1_2 | COLUMNS_SINCE | OWN_COLUMNS

Row = dict[str, str | Decimal | datetime | None]

SERVICE_CATEGORY, SERVICE_SUBCATEGORY = "AI and Machine Learning", "Generative AI"
NO_COST_CENTER = "unallocated"
# By the rate book's provider id, whose service it is; any other is called by its id.
PROVIDER_NAMES = {
    "anthropic": "Anthropic", "aws": "Amazon Web Services", "azure": "Microsoft", "cerebras": "Cerebras",
    "cohere": "Cohere", "deepseek": "DeepSeek", "fireworks": "Fireworks AI", "google": "Google", "groq": "Groq",
    "huggingface": "Hugging Face", "mistral": "Mistral AI", "moonshotai": "Moonshot AI", "novita": "Novita AI",
    "openai": "OpenAI", "openrouter": "OpenRouter", "perplexity": "Perplexity", "together": "Together AI",
    "x-ai": "xAI",
}  # fmt: skip
SKU_METERS = {
    "input": "Input Tokens", "cache_read": "Cache Read Input Tokens", "cache_write": "Cache Write Input Tokens",
    "cache_write_1h": "Cache Write 1h Input Tokens", "output": "Output Tokens", "reasoning": "Reasoning Output Tokens",
    REPORTED: "Reported Cost", NO_USAGE: "Calls without Usage",
}  # fmt: skip
# (direction, cache action) as the draft of 1.5 tells them; its keys begin with x_ until it is ratified.
TOKEN_KINDS = {
    "input": ("Input", "Uncached"), "cache_read": ("Input", "Read"), "cache_write": ("Input", "Write"),
    "cache_write_1h": ("Input", "Write"), "output": ("Output", ""), "reasoning": ("Output", ""),
    "audio_input": ("Input", "Uncached"), "image_input": ("Input", "Uncached"), "video_input": ("Input", "Uncached"),
    "audio_cache_read": ("Input", "Read"), "image_cache_read": ("Input", "Read"),
    "video_cache_read": ("Input", "Read"), "audio_output": ("Output", ""), "image_output": ("Output", ""),
    "video_output": ("Output", ""),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class FocusParties:
    """Who is billed, by whom: `issuer` is the organisation's own name on its charges."""

    tenant_slug: str
    tenant_name: str
    issuer: str
    statement_number: str


def list_rows(
    sums: RowSums, rate: RateContent | None, *, period: date, view: str, parties: FocusParties
) -> Iterator[Row]:
    """The rows of one group: its meters, and what rounding leaves of them, so that they sum to what was booked.

    None of unpriced calls: they have no cost, and a cost of zero would say that they are free.
    """
    section = find_section(sums, period=period)
    if section == UNPRICED:
        return
    left, left_at_list = Fraction(sums.billed_cost), Fraction(sums.list_cost)
    for part in split_costs(sums, rate.content if rate else None):
        row = _make_row(sums, part, rate, section=section, period=period, view=view, parties=parties)
        left -= Fraction(_get_decimal(row, "BilledCost"))
        left_at_list -= Fraction(_get_decimal(row, "ListCost"))
        yield row
    if left or left_at_list:
        part = Part(REMAINDER, Decimal(0), None, None, 1, left, left_at_list, 0, sums.context_tier)
        yield _make_row(sums, part, rate, section=section, period=period, view=view, parties=parties)


def round_invoice(amount: Decimal, *, period: date, parties: FocusParties) -> Row:
    """What rounding the statement's total to the cent adds: with it BilledCost sums to the amount that is payable."""
    start, end = find_bounds(period)
    return _start_row(parties, view=CHARGEBACK, provider="", start=start, end=end) | {
        "BillingPeriodStart": start,
        "BillingPeriodEnd": end,
        "BilledCost": amount,
        "ContractedCost": Decimal(0),
        "EffectiveCost": amount,
        "ListCost": Decimal(0),
        "PricingCurrencyEffectiveCost": amount,
        "ChargeCategory": "Adjustment",
        "ChargeDescription": "Rounding of the statement's total to the cent",
        "ChargeFrequency": "One-Time",
        "ServiceName": "Statement rounding",
        "x_LedgerRowCount": Decimal(0),
    }


def _start_row(parties: FocusParties, *, view: str, provider: str, start: datetime, end: datetime) -> Row:
    """What every row says: who, when, and null in all other columns."""
    name = PROVIDER_NAMES.get(provider, provider)
    is_charge = view == CHARGEBACK
    row: Row = dict.fromkeys(COLUMNS)
    return row | {
        "BillingAccountId": parties.tenant_slug,
        "BillingAccountName": parties.tenant_name,
        "BillingAccountType": "Tenant",
        "BillingCurrency": "USD",
        "ChargePeriodStart": start,
        "ChargePeriodEnd": end,
        "InvoiceId": parties.statement_number if is_charge else None,
        "InvoiceIssuerName": parties.issuer if is_charge or not name else name,
        "PricingCurrency": "USD",
        "ProviderName": name or parties.issuer,
        "PublisherName": name or parties.issuer,
        "ServiceProviderName": name or parties.issuer,
        "HostProviderName": name or parties.issuer,
        "ServiceCategory": SERVICE_CATEGORY,
        "ServiceSubcategory": SERVICE_SUBCATEGORY,
        "SubAccountId": NO_COST_CENTER,
        "SubAccountName": NO_COST_CENTER,
        "SubAccountType": "CostCenter",
    }


def _make_row(
    sums: RowSums,
    part: Part,
    rate: RateContent | None,
    *,
    section: str,
    period: date,
    view: str,
    parties: FocusParties,
) -> Row:
    day = sums.place.day or sums.charge_month
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    first, after = find_bounds(period)
    row = _start_row(parties, view=view, provider=sums.provider, start=start, end=start + timedelta(days=1))
    category, frequency = _categorise(sums, part, section=section)
    is_correction = sums.charge_month != period
    cost_center = sums.place.cost_center or NO_COST_CENTER
    line_id = identify_line(sums, part, period=period)
    row |= {
        "BillingPeriodStart": first,
        "BillingPeriodEnd": after,
        "ChargeCategory": category,
        "ChargeClass": "Correction" if is_correction else None,
        "ChargeDescription": _describe(sums, part, section=section),
        "ChargeFrequency": frequency,
        "RegionId": sums.place.region or None,
        "RegionName": sums.place.region or None,
        "ServiceName": f"{PROVIDER_NAMES.get(sums.provider, sums.provider) or parties.issuer} models",
        "SubAccountId": cost_center,
        "SubAccountName": cost_center,
        "Tags": write_json({"environment": sums.place.environment, "feature": sums.feature}),
        "InvoiceDetailId": line_id if view == CHARGEBACK else None,
        "x_Environment": sums.place.environment,
        "x_Feature": sums.feature,
        "x_LedgerRowCount": Decimal(part.rows),
        "x_Model": sums.model,
        "x_RateVersion": rate.content_hash if rate else None,
        "x_ContextTier": Decimal(sums.context_tier),
        "x_ServiceTier": sums.place.service_tier,
        "x_StatementLine": line_id,
        "x_TokenType": part.meter,
    }
    if category in ("Usage", "Purchase"):
        row |= _write_prices(sums, part, rate)
    else:
        row |= _write_costs(_round(part.amount), _round(part.list_amount))
    return row


def _categorise(sums: RowSums, part: Part, *, section: str) -> tuple[str, str]:
    """ChargeCategory and ChargeFrequency."""
    if part.usage == REMAINDER:
        return "Adjustment", "One-Time"
    if section == FEE:
        return ("Purchase", "Recurring") if part.price is not None else ("Adjustment", "One-Time")
    if section == CREDIT:
        return "Credit", "One-Time"
    if sums.kind in ("usage", "rating", "correction"):
        return "Usage", "Usage-Based"
    return "Adjustment", "One-Time"


def _describe(sums: RowSums, part: Part, *, section: str) -> str:
    about = f"{sums.provider} {sums.model}".strip()
    if part.usage == REMAINDER:
        return f"{about}: each ledger row is rounded at 12 decimals"
    words = [f"{about} {part.meter}"]
    if sums.cache_hit:
        words.append("answered from a cache of responses")
    if section == FEE:
        words.append("daily fee" if part.price is not None else "difference by tiers on a month's quantity")
    if section == CORRECTION:
        words.append(sums.subject.get("reason") or "used in another month than charged")
    return ", ".join(words)


def _write_prices(sums: RowSums, part: Part, rate: RateContent | None) -> Row:
    """Quantities, prices, costs and the SKU of what has a unit price."""
    quantity, unit, price, list_price = _measure(part)
    cost, at_list = multiply(quantity, price), multiply(quantity, list_price)
    sku = f"{sums.provider}/{sums.model}/{part.meter}"
    version = rate.content_hash[:16] if rate else "no-rate"
    return _write_costs(cost, at_list) | {
        "ConsumedQuantity": _count_consumed(sums, part),
        "ConsumedUnit": name_unit(part.usage),
        "PricingQuantity": quantity,
        "PricingUnit": unit,
        "ContractedUnitPrice": price,
        "ListUnitPrice": list_price,
        "PricingCurrencyContractedUnitPrice": price,
        "PricingCurrencyListUnitPrice": list_price,
        "PricingCategory": "Dynamic" if part.usage == REPORTED else "Standard",
        "SkuId": sku,
        "SkuMeter": SKU_METERS.get(part.meter, name_unit(part.usage)),
        "SkuPriceDetails": _write_sku(sums, part),
        "SkuPriceId": f"{sku}/{version}/{sums.context_tier}{'/cached' if sums.cache_hit else ''}",
    }


def _count_consumed(sums: RowSums, part: Part) -> Decimal:
    """What was used, where a least quantity was charged; of a part of it, the part."""
    of_usage = [each for each in sums.parts or () if each.usage == part.usage]
    used, _ = sums.other.get(part.usage, (part.quantity, 0))
    return used if of_usage == [part] else part.quantity


def _write_costs(cost: Decimal, at_list: Decimal) -> Row:
    return {
        "BilledCost": cost,
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "PricingCurrencyEffectiveCost": cost,
        "ListCost": at_list,
    }


def _measure(part: Part) -> tuple[Decimal, str, Decimal, Decimal]:
    """PricingQuantity, PricingUnit and the contracted and the list price of it.

    What the provider reported is so many USD at one each. Where the quantity cannot be written in the list's unit (an
    hour's price of 3,600 seconds), the price of one is written as far as 18 decimals go.
    """
    unit = name_unit(part.usage)
    if part.usage == REPORTED:
        return _round(part.amount), "USD", Decimal(1), Decimal(1)
    if part.price is None or part.list_price is None:
        return part.quantity, unit, Decimal(0), Decimal(0)
    with localcontext() as context:
        context.prec = DIGITS_MAX
        if _count_decimals(part.quantity) + _count_division_decimals(part.per) <= DECIMALS_MAX:
            per = unit if part.per == 1 else f"{part.per} {unit}"
            return part.quantity / part.per, per, part.price, part.list_price
        price, list_price = (_round_price(Fraction(each) / part.per) for each in (part.price, part.list_price))
        return part.quantity, unit, price, list_price


def _count_decimals(number: Decimal) -> int:
    return max(0, -int(number.normalize().as_tuple().exponent))


def _count_division_decimals(per: int) -> int:
    """How many decimals dividing a whole number by `per` may give; more than any column has where there is no end."""
    powers = []
    for prime in (2, 5):
        power = 0
        while per % prime == 0:
            per, power = per // prime, power + 1
        powers.append(power)
    return max(powers) if per == 1 else DECIMALS_MAX + 1


def _round_price(price: Fraction) -> Decimal:
    return Decimal(round(price * 10**DECIMALS_MAX)).scaleb(-DECIMALS_MAX)


def multiply(quantity: Decimal, price: Decimal) -> Decimal:
    """A cost: quantity × price, half-even at 12 decimals."""
    return _round(Fraction(quantity) * Fraction(price))


def _round(amount: Fraction) -> Decimal:
    return Decimal(round(amount * PICO)).scaleb(-12)


def name_unit(usage: str) -> str:
    """A unit as FOCUS writes it: capitalised, in the plural.

    >>> name_unit("cache_read_tokens"), name_unit("audio_seconds"), name_unit("images")
    ('Tokens', 'Seconds', 'Images')
    """
    if usage in (REPORTED, NO_USAGE):
        return "Calls"
    return usage.rpartition("_")[2].capitalize() if usage.endswith(("_tokens", "_seconds")) else _title(usage)


def _title(usage: str) -> str:
    return usage.replace("_", " ").title()


def _write_sku(sums: RowSums, part: Part) -> str:
    direction, cache = TOKEN_KINDS.get(part.meter, ("", ""))
    details = {
        "x_ModelId": sums.model,
        "x_ContextTier": str(sums.context_tier) if sums.context_tier else "",
        "x_ServiceTier": sums.place.service_tier,
        "x_TokenDirection": direction,
        "x_TokenCacheAction": cache,
    }
    return write_json({name: value for name, value in details.items() if value})


write_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def _get_decimal(row: Row, column: str) -> Decimal:
    value = row[column]
    assert isinstance(value, Decimal)
    return value


def write_field(value: str | Decimal | datetime | None) -> str:
    """A field of a CSV: null is empty, a number has a decimal point and no exponent, a time is UTC.

    >>> write_field(Decimal("12")), write_field(Decimal("0.250000000000"))
    ('12.0', '0.25')
    """
    if value is None:
        return ""
    if isinstance(value, datetime):
        return _write_moment(value)
    if isinstance(value, Decimal):
        text = f"{value:f}"
        text = text.rstrip("0") if "." in text else f"{text}."
        return f"{text}0" if text.endswith(".") else text
    return value


@lru_cache(maxsize=200)
def _write_moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
