"""What a call would cost if it were booked now: by the engine that books, explained by the arithmetic that checks it.

Nothing is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from billing.core.pricing import price_event
from billing.core.usage import UsageEvent
from billing.explanations import COSTS, Explanation, explain_entry
from billing.ingestion import make_entry
from billing.rates import load_rate_book
from billing.tenant_rules import TenantRules

PICO_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Trial:
    """A call as it would be booked: its costs in USD by column, None where it would be unpriced, and why."""

    status: str
    reason: str
    costs: Mapping[str, Decimal | None]
    explanation: Explanation


def try_usage(*, event: UsageEvent, tenant_id: int) -> Trial:
    """Price `event` as a call of the tenant at its own time, with three queries at most."""
    price = price_event(event, rate_book=load_rate_book(), tenant_id=tenant_id)
    booked = msgspec.structs.asdict(make_entry(0, event, price, rules=TenantRules(), api_key_id="", user_ref=""))
    money = {name: _read_money(booked[name]) for name in (*COSTS, "reported_cost")}
    entry: dict[str, Any] = booked | money
    return Trial(
        status=price.status,
        reason=price.reason,
        costs={name: money[name] for name in COSTS},
        explanation=explain_entry(entry=entry),
    )


def _read_money(pico: int | None) -> Decimal | None:
    return None if pico is None else Decimal(pico).scaleb(-PICO_DIGITS)
