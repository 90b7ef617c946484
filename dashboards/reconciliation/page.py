"""The page Reconciliation: a month of bills beside the ledger, by model or by day, and what is said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from audit.core.focus import PROVIDER_NAMES
from chargeback.bills import Bill, list_bills
from chargeback.core.bills import FORMATS
from chargeback.core.reconciliation import REASONS, Row, Sums, sum_by
from chargeback.reconciliation import LEDGER_CURRENCY, Reconciliation, reconcile
from chargeback.variance_decisions import KeptDecision, list_decisions
from dashboards.access import Seat
from dashboards.frame import Option, make_link
from dashboards.rates.actors import name_actors

BY_MODEL, BY_DAY = "model", "day"
MONTHS_SHOWN = 13


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table. model, day: None where it is about all of them. reasons: what is explained, in words."""

    provider: str
    provider_name: str
    model: str | None
    day: date | None
    label: str
    sums: Sums
    is_within: bool
    hint: str
    reasons: Sequence[tuple[str, Decimal]]
    days_href: str
    may_true_up: bool


@dataclass(frozen=True, slots=True)
class BillLine:
    """A file. by: who sent it. total: of all its lines, in words."""

    bill: Bill
    format_name: str
    by: str
    total: str


@dataclass(frozen=True, slots=True)
class ReconciliationPage:
    """by: BY_MODEL or BY_DAY. of: the provider and model whose days are shown, if one. signed_by: a name."""

    found: Reconciliation
    lines: Sequence[Line]
    by: str
    of: tuple[str, str] | None
    total: Sums
    bills: Sequence[BillLine]
    decisions: Sequence[tuple[KeptDecision, str, str]]
    signed_by: str
    month_options: Sequence[Option]
    by_options: Sequence[Option]

    @property
    def reasons(self) -> Sequence[tuple[str, Decimal]]:
        return name_reasons(self.total)


def read_reconciliation_page(
    seat: Seat, *, period: date, by: str, of: tuple[str, str] | None, now: datetime
) -> ReconciliationPage:
    """The month, its first day given. of: a provider and model whose days are asked for."""
    tenant_id = seat.tenant.id
    found = reconcile(tenant_id=tenant_id, period=period)
    rows = [row for row in found.comparison.rows if of is None or (row.provider, row.model) == of]
    query = seat.link_query | {"period": f"{period:%Y-%m}"}
    bills = list_bills(tenant_id=tenant_id, first=period, after=found.after)
    decisions = list_decisions(tenant_id=tenant_id, period=period)
    said = {bill.imported_by for bill in bills} | {each.decided_by for each in decisions}
    names = name_actors(said | ({found.sign_off.signed_by} if found.sign_off else set()))
    return ReconciliationPage(
        found=found,
        lines=_list_lines(found, rows, by=by, of=of, query=query, is_over=now.date() >= found.after),
        by=by,
        of=of,
        total=found.comparison.total,
        bills=_list_bills(bills, names),
        decisions=[(each, REASONS[each.reason], names[each.decided_by]) for each in decisions],
        signed_by=names[found.sign_off.signed_by] if found.sign_off else "",
        month_options=_list_months(seat, period, now=now),
        by_options=[
            Option(label, make_link("reconciliation", query | {"by": name}), of is None and name == by)
            for name, label in ((BY_MODEL, "by model"), (BY_DAY, "by day"))
        ],
    )


def name_provider(provider: str) -> str:
    """A provider as it is called; one that is not known by its id."""
    return PROVIDER_NAMES.get(provider, provider) or "no provider"


def name_reasons(sums: Sums) -> list[tuple[str, Decimal]]:
    """What is explained, by the reason's words."""
    return [(REASONS[reason], amount) for reason, amount in sums.explained.items()]


def _list_lines(
    found: Reconciliation,
    rows: Sequence[Row],
    *,
    by: str,
    of: tuple[str, str] | None,
    query: Mapping[str, str],
    is_over: bool,
) -> list[Line]:
    if of is not None:
        return [_make_line(row.provider, row.model, row.day, row.sums, row.is_within, row.hint) for row in rows]
    if by == BY_DAY:
        tolerance = found.comparison.tolerance
        days = sum_by(rows, lambda row: (row.provider, row.day))
        return [
            _make_line(provider, None, day, sums, tolerance.covers(sums.unexplained, bill=sums.bill), "")
            for (provider, day), sums in sorted(days.items(), key=lambda item: (item[0][1], item[0][0]))
        ]
    hints = {(row.provider, row.model): row.hint for row in rows if row.hint}
    return [
        _make_line(
            group.provider,
            group.model,
            None,
            group.sums,
            group.is_within,
            "" if group.is_within else hints.get((group.provider, group.model), ""),
            days_href=make_link("reconciliation", {**query, "provider": group.provider, "model": group.model}),
            may_true_up=is_over,
        )
        for group in found.comparison.groups
    ]


def _make_line(
    provider: str,
    model: str | None,
    day: date | None,
    sums: Sums,
    is_within: bool,
    hint: str,
    *,
    days_href: str = "",
    may_true_up: bool = False,
) -> Line:
    name = name_provider(provider)
    label = f"{day.day} {day:%B}" if day else model or "no model"
    return Line(
        provider, name, model, day, label, sums, is_within, REASONS.get(hint, ""), name_reasons(sums), days_href,
        may_true_up and bool(sums.unexplained),
    )  # fmt: skip


def _list_bills(bills: Sequence[Bill], names: Mapping[str, str]) -> list[BillLine]:
    return [BillLine(bill, FORMATS[bill.format], names[bill.imported_by], _write_totals(bill)) for bill in bills]


def _write_totals(bill: Bill) -> str:
    """What a file comes to, rounded to the cent where that is enough to recognise it."""
    return ", ".join(
        f"{total:,.2f} {currency}" if currency != LEDGER_CURRENCY else f"{total:,.2f}"
        for currency, total in bill.totals.items()
    )


def _list_months(seat: Seat, period: date, *, now: datetime) -> list[Option]:
    """This month and those before it."""
    months = [date(now.year, now.month, 1)]
    while len(months) < MONTHS_SHOWN:
        last = months[-1]
        months.append(date(last.year - (last.month == 1), (last.month - 2) % 12 + 1, 1))
    if period not in months:
        months.append(period)
    return [
        Option(
            f"{month:%B %Y}",
            make_link("reconciliation", seat.link_query | {"period": f"{month:%Y-%m}"}),
            month == period,
        )
        for month in months
    ]
