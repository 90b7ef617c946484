"""What a report holds: figures as the pages have them, each with the address of the page that shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from billing.core.changes import Change
from chargeback.core.reports.periods import ReportPeriod


@dataclass(frozen=True, slots=True)
class Total:
    """cost, before: USD, None where unknown for want of a price; change: None where one of them is."""

    cost: Decimal | None
    before: Decimal | None
    change: Change | None
    calls: int
    unpriced_calls: int
    href: str


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A budget in its window, as it stood when the report's days ended. percent: whole, rounded down."""

    name: str
    scope_words: str
    window: str
    spent: Decimal
    limit: Decimal
    percent: Decimal
    href: str


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """What the month that goes on is expected to come to; None where nothing can be forecast, and why."""

    month: date
    booked: Decimal
    expected: Decimal | None
    low: Decimal | None
    high: Decimal | None
    reason: str
    href: str


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """How the cost of one feature changed, and in which steps: name of the step → USD, those that are not nothing."""

    name: str
    difference: Decimal
    steps: Mapping[str, Decimal]
    href: str


@dataclass(frozen=True, slots=True)
class Changes:
    """lines: the largest differences; total: of everything."""

    lines: Sequence[ChangeLine]
    other_count: int
    total: ChangeLine


@dataclass(frozen=True, slots=True)
class TopLine:
    """A feature, a user or a model. cost: None where unknown; change: None where that cannot be said."""

    name: str
    under: str
    calls: int
    cost: Decimal | None
    change: Change | None
    href: str


@dataclass(frozen=True, slots=True)
class Top:
    """The dearest of a dimension. other_cost: of the others together. refusal: why there is nothing, else ''."""

    lines: Sequence[TopLine]
    other_count: int
    other_cost: Decimal
    href: str
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Efficiency:
    """cache_share: percent of input tokens; saved: by caching. p50, p95: None where the spread of calls is not kept,
    and then there is no mean either.
    """

    input_tokens: int
    output_tokens: int
    cache_share: Decimal | None
    saved: Decimal
    per_call: Decimal | None
    p50: Decimal | None
    p95: Decimal | None
    href: str


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert that opened in these days. impact: USD beyond what was expected, None where nobody knows it."""

    title: str
    severity: str
    state: str
    is_anomaly: bool
    impact: Decimal | None
    href: str


@dataclass(frozen=True, slots=True)
class Alerts:
    """lines: the worst; anomalies, others: how many there were in all."""

    lines: Sequence[AlertLine]
    anomalies: int
    others: int
    href: str


@dataclass(frozen=True, slots=True)
class UnpricedLine:
    """A model some of whose calls have no price."""

    name: str
    under: str
    calls: int
    href: str


@dataclass(frozen=True, slots=True)
class Unallocated:
    """What names no cost centre. share: percent of all cost."""

    cost: Decimal | None
    share: Decimal | None
    calls: int
    href: str


@dataclass(frozen=True, slots=True)
class Report:
    """A tenant's week or month. scope: as a subscription's. missing: what it waited for in vain.

    changes: None where calls are of too many kinds to be compared; unallocated: None of a part.
    """

    tenant_name: str
    timezone: str
    is_simulated: bool
    period: ReportPeriod
    scope: Mapping[str, str]
    complete_to: datetime
    missing: Sequence[str]
    total: Total
    budgets: Sequence[BudgetLine]
    budgets_href: str
    month_end: MonthEnd
    changes: Changes | None
    changes_href: str
    features: Top
    users: Top
    models: Top
    efficiency: Efficiency
    alerts: Alerts
    unpriced: Sequence[UnpricedLine]
    unallocated: Unallocated | None
