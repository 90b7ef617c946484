"""What was forecast each night, and what came of it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import connection, connections

from alerts.core.forecasts import PastForecast
from alerts.core.forecasts.ranges import OWN_ERRORS_MAX
from alerts.core.outlooks import WHOLE, Scope
from alerts.core.spending import FORECASTS_IN_A_ROW
from alerts.forecasts.days import to_pico
from tenants.scope import reading_scope, tenant_scope

LOOK_BACK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Run:
    """A night's forecast of the rest of a month. Amounts are USD; expected to run_rate of the days from `made_on` on.

    month: its first day; of a budget that of its window. actual: what those days did cost, None until the month is
    over. bias, coverage: as they were known that night.
    """

    scope: Scope
    month: date
    made_on: date
    made_at: datetime
    method: str
    days_elapsed: int
    days_ahead: int
    spent: Decimal
    expected: Decimal
    low: Decimal
    high: Decimal
    ceiling: Decimal
    run_rate: Decimal
    volatility: float
    growth: float | None
    bias: float | None
    coverage: float | None
    facts: Mapping[str, object]
    actual: Decimal | None = None

    @property
    def total(self) -> Decimal:
        """What the whole month was expected to come to."""
        return self.spent + self.expected

    @property
    def past(self) -> PastForecast:
        """Of a run whose month is over."""
        return PastForecast(
            days_elapsed=self.days_elapsed,
            days_ahead=self.days_ahead,
            spent=to_pico(self.spent),
            expected=to_pico(self.expected),
            low=to_pico(self.low),
            high=to_pico(self.high),
            run_rate=to_pico(self.run_rate),
            volatility=self.volatility,
            actual=to_pico(self.actual or Decimal(0)),
        )


# The first run of a day is the one that counts.
KEEP_RUNS_SQL = """
    INSERT INTO forecast_run (tenant_id, scope_kind, scope_value, month, made_on, made_at, method, days_elapsed,
                              days_ahead, spent, expected, low, high, ceiling, run_rate, volatility, growth, bias,
                              coverage, facts)
    VALUES (%(tenant_id)s, %(scope_kind)s, %(scope_value)s, %(month)s, %(made_on)s, %(made_at)s, %(method)s,
            %(days_elapsed)s, %(days_ahead)s, %(spent)s, %(expected)s, %(low)s, %(high)s, %(ceiling)s, %(run_rate)s,
            %(volatility)s, %(growth)s, %(bias)s, %(coverage)s, %(facts)s)
    ON CONFLICT (tenant_id, scope_kind, scope_value, month, made_on) DO NOTHING"""


def keep_runs(runs: Iterable[Run], *, tenant_id: int) -> None:
    """Keep each that its day has none of yet. `actual` is for `settle_runs` to tell."""
    values = [
        {
            "tenant_id": tenant_id,
            "scope_kind": run.scope.kind,
            "scope_value": run.scope.value,
            "facts": json.dumps(run.facts),
            **{
                name: getattr(run, name)
                for name in (
                    "month", "made_on", "made_at", "method", "days_elapsed", "days_ahead", "spent", "expected", "low",
                    "high", "ceiling", "run_rate", "volatility", "growth", "bias", "coverage",
                )
            },
        }
        for run in runs
    ]  # fmt: skip
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.executemany(KEEP_RUNS_SQL, values)


LIST_RUNS_SQL = """
    SELECT scope_kind, scope_value, month, made_on, made_at, method, days_elapsed, days_ahead, spent, expected, low,
           high, ceiling, run_rate, volatility, growth, bias, coverage, facts, actual
    FROM forecast_run
    WHERE tenant_id = %(tenant_id)s AND made_on >= %(first)s AND made_on < %(after)s
      AND (%(scope_kind)s::text IS NULL OR scope_kind = %(scope_kind)s::text)
      AND (%(scope_value)s::text IS NULL OR scope_value = %(scope_value)s::text)
      AND (NOT %(only_over)s::boolean OR actual IS NOT NULL)
    ORDER BY scope_kind, scope_value, made_on"""


def list_forecasts(
    *,
    tenant_id: int,
    first: date,
    after: date,
    scope: Scope | None = WHOLE,
    kind: str | None = None,
    only_over: bool = False,
    using: str = "default",
) -> list[Run]:
    """The runs made in [first, after), oldest first, scope by scope. kind: of every scope of a kind, in place of one.

    only_over: those whose month is over and settled.
    """
    values = {
        "tenant_id": tenant_id,
        "first": first,
        "after": after,
        "scope_kind": kind if kind is not None else scope.kind if scope else None,
        "scope_value": scope.value if scope and kind is None else None,
        "only_over": only_over,
    }
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_RUNS_SQL, values)
        return [_read_row(row) for row in cursor.fetchall()]


def list_past(
    *, tenant_id: int, before: date, scope: Scope | None = WHOLE, kind: str | None = None, using: str = "default"
) -> dict[Scope, list[PastForecast]]:
    """By scope, what forecasts of months that ended before the day said and what came: of a year, oldest first."""
    runs = list_forecasts(
        tenant_id=tenant_id,
        first=before - timedelta(days=OWN_ERRORS_MAX + 31),
        after=before,
        scope=scope,
        kind=kind,
        only_over=True,
        using=using,
    )
    past: dict[Scope, list[PastForecast]] = defaultdict(list)
    for run in runs:
        past[run.scope].append(run.past)
    return {scope: forecasts[-OWN_ERRORS_MAX:] for scope, forecasts in past.items()}


def list_budget_forecasts(
    *, tenant_id: int, starts: Mapping[int, date], today: date, using: str = "default"
) -> dict[int, list[Decimal]]:
    """What a window comes to by the last FORECASTS_IN_A_ROW runs of its budget, the latest last, by the budget's id.

    starts: each budget's window's first day. A threshold on the forecast is crossed where all of as many say so; what
    was said before LOOK_BACK counts no more.
    """
    runs = list_forecasts(
        tenant_id=tenant_id, first=today - LOOK_BACK, after=today + timedelta(days=1), kind="budget", using=using
    )
    totals: dict[int, list[Decimal]] = defaultdict(list)
    for run in runs:
        if starts.get(int(run.scope.value)) == run.month:
            totals[int(run.scope.value)].append(run.total)
    return {budget_id: found[-FORECASTS_IN_A_ROW:] for budget_id, found in totals.items()}


SETTLE_RUNS_SQL = """
    UPDATE forecast_run SET actual = came.actual
    FROM unnest(%(kinds)s::text[], %(values)s::text[], %(made_on)s::date[], %(actuals)s::numeric[])
         AS came (kind, value, made_on, actual)
    WHERE tenant_id = %(tenant_id)s AND scope_kind = came.kind AND scope_value = came.value
      AND forecast_run.made_on = came.made_on AND forecast_run.actual IS DISTINCT FROM came.actual"""


def settle_runs(came: Sequence[tuple[Scope, date, Decimal]], *, tenant_id: int) -> int:
    """Say of runs, by scope and day, what the days that they were made for did cost; how many did not know it."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            SETTLE_RUNS_SQL,
            {
                "tenant_id": tenant_id,
                "kinds": [scope.kind for scope, _, _ in came],
                "values": [scope.value for scope, _, _ in came],
                "made_on": [made_on for _, made_on, _ in came],
                "actuals": [actual for _, _, actual in came],
            },
        )
        return cursor.rowcount


def count_missed_nights(runs: Sequence[Run], *, until: date) -> int:
    """Nights without a run, from the first of one scope's runs to the night before `until`."""
    if not runs:
        return 0
    return (until - runs[0].made_on).days - len({run.made_on for run in runs if run.made_on < until})


def _read_row(row: Sequence) -> Run:
    kind, value, *rest, facts, actual = row
    return Run(Scope(kind, value), *rest, facts if isinstance(facts, dict) else json.loads(facts), actual)
