"""What the page of a month's charge shows: each cost centre's row, their total, and the proof that nothing is lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from audit.core.statement import link_rows
from billing.selectors.months import MonthInfo, get_month
from chargeback.charging import MonthCharge, charge_month
from chargeback.core.charging import CenterCharge, Sums, list_lines
from chargeback.core.lines import UNALLOCATED, Line
from chargeback.core.shares import to_money
from chargeback.rules import KeptRule, find_in_force, list_versions
from dashboards.access import Seat
from dashboards.audit.statement import link_ledger
from dashboards.chargeback.rule_form import describe_terms
from dashboards.frame import make_link

LINES_SHOWN = 300
KIND_WORDS = {
    "direct": "Direct cost",
    "allocated_out": "Given away",
    "allocated_in": "Shared cost",
    "markup": "Markup",
    "discount": "Discount",
    "fee": "Fee",
    "minimum": "Least charge",
    "credit": "Credit",
    "remainder": "Remainder",
}
COLUMNS = ("cost_center", "direct", "allocated_out", "allocated_in", "markup", "discount", "fee", "minimum", "credit",
           "charged_usd", "currency", "fx_rate", "fx_day", "charged", "payable")  # fmt: skip
LINE_COLUMNS = ("number", "kind", "feature", "provider", "model", "amount_usd", "amount", "currency", "fx_rate",
                "fx_day", "rule", "rule_version", "words")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A cost centre's money as columns: USD but for charged and payable, which are in the billing currency.

    allocated, markup, fees: what several kinds of lines come to together.
    """

    name: str
    href: str
    entries_href: str
    direct: Decimal
    allocated: Decimal
    markup: Decimal
    fees: Decimal
    credit: Decimal
    charged_usd: Decimal
    charged: Decimal
    payable: Decimal


@dataclass(frozen=True, slots=True)
class MonthPage:
    """unallocated: the row of what nobody is charged. proof: name and amount, the first two on one side.
    shown_rules: each with its address and what it says."""

    charged: MonthCharge
    state: MonthInfo
    rows: Sequence[Row]
    total: Row
    unallocated: Row
    proof: Sequence[tuple[str, Decimal]]
    difference: Decimal
    notes: Sequence[tuple[str, str]]
    shown_rules: Sequence[tuple[KeptRule, str, str]]

    @property
    def added(self) -> Decimal:
        """Beside the cost: markups less discounts, fees, least charges."""
        return self.total.markup + self.total.fees

    @property
    def currency(self) -> str:
        return self.charged.charge.exchange.currency

    @property
    def is_exchanged(self) -> bool:
        return self.charged.charge.exchange.day is not None


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line with what its rule is called, and the address of the ledger rows of a direct cost."""

    line: Line
    kind: str
    amount_usd: Decimal
    amount: Decimal
    rule_href: str
    entries_href: str


def read_month_page(seat: Seat, period: date) -> MonthPage:
    """The month, charged by what is booked and by the rules that count in it."""
    tenant_id = seat.tenant.id
    charged = charge_month(tenant_id=tenant_id, period=period)
    charge = charged.charge
    proof = charge.conservation
    return MonthPage(
        charged=charged,
        state=get_month(tenant_id=tenant_id, period=period),
        rows=[make_row(seat, period, center) for center in charge.centers],
        total=_make_total(seat, period, charge.sums, charge.centers),
        unallocated=make_row(seat, period, charge.unallocated),
        proof=[
            ("charged", to_money(proof.charged)),
            ("unallocated", to_money(proof.unallocated)),
            ("cost", to_money(proof.cost)),
            ("markups", to_money(proof.markups)),
            ("fees", to_money(proof.fees)),
            ("least charges", to_money(proof.minimums)),
            ("discounts", to_money(-proof.discounts)),
            ("credits", to_money(-proof.credits)),
        ],
        difference=to_money(proof.difference),
        notes=[(note.name, note.words) for note in charge.notes],
        shown_rules=list(_show_rules(seat, period)),
    )


def _show_rules(seat: Seat, period: date) -> Iterator[tuple[KeptRule, str, str]]:
    """The versions that count in the month, each with its address and what it says."""
    for family in ("allocation", "charge"):
        for rule in find_in_force(list_versions(family, tenant_id=seat.tenant.id), period):
            href = make_link("chargeback_rule", seat.link_query, family, rule.rule_id)
            yield rule, href, describe_terms(rule.terms)


def make_row(seat: Seat, period: date, center: CenterCharge) -> Row:
    query = seat.link_query | {"period": f"{period:%Y-%m}", "cost_center": center.cost_center}
    filters = (*link_rows(period), ("cost_center", center.cost_center))
    return _write_row(
        center.cost_center,
        make_link("chargeback_lines", query),
        link_ledger(seat, filters),
        center.sums,
        center.charged,
        center.payable,
    )


def _make_total(seat: Seat, period: date, sums: Sums, centers: Sequence[CenterCharge]) -> Row:
    charged, payable = sum(one.charged for one in centers), sum(one.payable for one in centers)
    return _write_row("", "", link_ledger(seat, link_rows(period)), sums, charged, payable)


def _write_row(name: str, href: str, entries_href: str, sums: Sums, charged: int, payable: int) -> Row:
    return Row(
        name=name,
        href=href,
        entries_href=entries_href,
        direct=to_money(sums.direct),
        allocated=to_money(sums.allocated_in + sums.allocated_out),
        markup=to_money(sums.markup + sums.discount),
        fees=to_money(sums.fee + sums.minimum),
        credit=to_money(sums.credit),
        charged_usd=to_money(sums.charged),
        charged=to_money(charged),
        payable=to_money(payable),
    )


def list_month_rows(page: MonthPage) -> list[tuple[object, ...]]:
    """As a file: every kind of line in a column of its own, the row of what nobody is charged last."""
    charge = page.charged.charge
    exchange = charge.exchange
    return [
        (
            center.cost_center or "unallocated",
            *(to_money(amount) for amount in center.sums),
            to_money(center.sums.charged),
            exchange.currency,
            exchange.rate,
            exchange.day,
            None if center.cost_center == UNALLOCATED else to_money(center.charged),
            None if center.cost_center == UNALLOCATED else to_money(center.payable),
        )
        for center in (*charge.centers, charge.unallocated)
    ]


def list_line_rows(center: CenterCharge, page: MonthCharge) -> list[tuple[object, ...]]:
    """A cost centre's lines as a file."""
    return [
        (
            line.number,
            line.kind,
            line.feature,
            line.provider,
            line.model,
            to_money(line.amount_usd),
            to_money(line.amount),
            line.currency,
            line.fx_rate,
            line.fx_day,
            line.rule_id,
            line.rule_version,
            line.words,
        )
        for line in list_lines(center, page.charge.exchange)
    ]


def show_lines(seat: Seat, charged: MonthCharge, center: CenterCharge, *, limit: int = LINES_SHOWN) -> list[ShownLine]:
    """The first lines of a charge: those that rules made, then direct cost; of each the largest first."""
    lines = list_lines(center, charged.charge.exchange)
    lines.sort(key=lambda line: (line.kind == "direct", -abs(line.amount_usd), line.number))
    return [_show_line(seat, charged.facts.period, line) for line in lines[:limit]]


def _show_line(seat: Seat, period: date, line: Line) -> ShownLine:
    family = "allocation" if line.kind.startswith("allocated") else "charge"
    filters = (
        *link_rows(period),
        ("cost_center", line.cost_center),
        ("feature", line.feature),
        ("provider", line.provider),
        ("model", line.model),
    )
    return ShownLine(
        line=line,
        kind=KIND_WORDS[line.kind],
        amount_usd=to_money(line.amount_usd),
        amount=to_money(line.amount),
        rule_href=make_link("chargeback_rule", seat.link_query, family, line.rule_id) if line.rule_id else "",
        entries_href=link_ledger(seat, filters) if line.kind == "direct" else "",
    )
