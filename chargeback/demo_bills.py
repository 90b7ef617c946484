"""The demo's bills of the month before: made of its own ledger, with what makes real ones differ. Simulated."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext

from audit.core.focus import PROVIDER_NAMES
from chargeback.bills import import_bill, list_bills
from chargeback.core.bills.charges import DIGITS_MAX
from chargeback.core.reconciliation import Booked, next_month
from chargeback.reconciliation import explain, read_booked
from tenants.selectors import TenantInfo

ACTOR = "the demo"
TENANT = "acme"
TAX_RATE = Decimal("0.19")
CENTS = Decimal(100)
RESTATED_DAY, RESTATED_BY = 17, Decimal("1.06")  # what OpenAI's second file tells otherwise
SEARCHES = Decimal("0.35")  # a day, of a tool that nobody meters
FOCUS_COLUMNS = (
    "BilledCost", "BillingCurrency", "BillingAccountId", "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart",
    "ChargePeriodEnd", "ChargeCategory", "ChargeDescription", "ProviderName", "ServiceCategory", "x_Model",
)  # fmt: skip


def seed_bills(*, tenant: TenantInfo, now: datetime) -> int:
    """Import the bills of a demo tenant's last month, once; how many files."""
    first = (now.date().replace(day=1) - timedelta(days=1)).replace(day=1)
    booked = read_booked(tenant_id=tenant.id, first=first, after=next_month(first))
    if tenant.slug != TENANT or not booked or list_bills(tenant_id=tenant.id):
        return 0
    own = {name: [each for each in booked if each.place[0] == name] for name in ("openai", "anthropic")}
    rest = [each for each in booked if each.place[0] in PROVIDER_NAMES and each.place[0] not in own]
    files = [
        (f"openai-costs-{first:%Y-%m}.csv", write_openai(own["openai"], first, is_restated=False)),
        (f"anthropic-cost-report-{first:%Y-%m}.json", write_anthropic(own["anthropic"])),
        (f"clouds-focus-{first:%Y-%m}.csv", write_focus(rest, first)),
        (f"openai-costs-{first:%Y-%m}-corrected.csv", write_openai(own["openai"], first, is_restated=True)),
    ]
    files = [(name, text) for name, text in files if text]
    for name, text in files:
        import_bill(text.encode(), filename=name, tenant_id=tenant.id, actor=ACTOR, now=now)
    if own["openai"]:
        comment = "Web search of the assistants; calls of the tool are not sent to the ledger"
        named = {"provider": "openai", "model": "", "reason": "not_in_ledger", "comment": comment}
        explain(**named, tenant_id=tenant.id, period=first, actor=ACTOR, now=now)
    return len(files)


def write_openai(booked: Sequence[Booked], first: date, *, is_restated: bool) -> str:
    """The export of the dashboard: each model's day, a tool's use, and a credit."""
    if not booked:
        return ""
    days = sorted({each.place[2] for each in booked})
    lines = [
        (day, amount * RESTATED_BY if is_restated and day.day == RESTATED_DAY else amount, f"{model}, input")
        for (_, model, day), amount in ((each.place, each.amount) for each in booked)
    ]
    lines += [(day, SEARCHES, "web search tool calls") for day in days]
    lines.append((days[0], Decimal("-0.50"), "promotional credits"))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("start_time_iso", "end_time_iso", "amount_value", "amount_currency", "line_item"))
    for day, amount, item in sorted(lines):
        writer.writerow((_write_moment(day), _write_moment(day + timedelta(days=1)), f"{amount:f}", "usd", item))
    return out.getvalue()


def write_anthropic(booked: Sequence[Booked]) -> str:
    """The API's answer: each model's day, in cents."""
    if not booked:
        return ""
    with localcontext(prec=DIGITS_MAX):
        buckets = [
            {
                "starting_at": _write_moment(day),
                "ending_at": _write_moment(day + timedelta(days=1)),
                "results": [
                    {"amount": f"{each.amount * CENTS:f}", "currency": "USD", "model": each.place[1],
                     "cost_type": "tokens", "description": f"{each.place[1]} usage"}
                    for each in booked if each.place[2] == day
                ],
            }
            for day in sorted({each.place[2] for each in booked})
        ]  # fmt: skip
    return json.dumps({"data": buckets, "has_more": False, "next_page": None})


def write_focus(booked: Sequence[Booked], first: date) -> str:
    """One file of several clouds, with the tax on it."""
    if not booked:
        return ""
    with localcontext(prec=DIGITS_MAX):
        tax = sum((each.amount for each in booked), Decimal(0)) * TAX_RATE
    provider = PROVIDER_NAMES[booked[0].place[0]]
    lines = [
        (amount, day, "Usage", f"{model} tokens", PROVIDER_NAMES[name], "AI and Machine Learning", model)
        for (name, model, day), amount in ((each.place, each.amount) for each in booked)
    ]
    lines.append((tax, first, "Tax", "Value added tax", provider, "", ""))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(FOCUS_COLUMNS)
    for amount, day, category, description, name, service, model in lines:
        writer.writerow((
            f"{amount:f}", "USD", "acme-clouds", _write_moment(first), _write_moment(next_month(first)),
            _write_moment(day), _write_moment(day + timedelta(days=1)), category, description, name, service, model,
        ))  # fmt: skip
    return out.getvalue()


def _write_moment(day: date) -> str:
    return f"{day:%Y-%m-%d}T00:00:00Z"
