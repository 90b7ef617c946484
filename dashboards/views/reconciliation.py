"""Reconciliation: bills are sent and withdrawn, differences explained, a month signed; for those who keep the rates."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_http_methods, require_safe

from billing.selectors import get_last_reconciliation
from chargeback.bill_files import look_at_table
from chargeback.bill_mappings import keep_mapping
from chargeback.bill_tolerances import set_tolerance
from chargeback.bills import BillUnknown, import_bill, withdraw_bill
from chargeback.core.bills import BillProblem, BillRefused, LayoutUnknown, MappingRefused, Table, read_mapping
from chargeback.core.bills.mappings import CONSTANTS, FIELDS
from chargeback.core.bills.tables import FILE_BYTES_MAX
from chargeback.core.reconciliation import REASONS, Tolerance
from chargeback.reconciliation import explain, reconcile, sign_off
from chargeback.true_ups import book_true_up
from chargeback.variance_decisions import ReconciliationRefused, take_back_decision
from dashboards.access import Seat, member_required
from dashboards.audit.periods import read_month
from dashboards.exports import answer_file
from dashboards.frame import check_texts, make_frame, make_link, read_number
from dashboards.rates.actors import name_actors
from dashboards.reconciliation.files import HEADING, list_file_rows
from dashboards.reconciliation.page import BY_DAY, BY_MODEL, read_reconciliation_page

ROWS_LOOKED_AT = 5
PROBLEMS_SHOWN = 50
COLUMNS_SHOWN = 40
DONE = {
    "imported": "The bill is kept: its days stand below beside the ledger.",
    "known": "That file was imported before. Nothing was changed.",
    "withdrawn": "The bill is withdrawn: its days are again what they were before it.",
    "explained": "The reason is kept, and explains what was left.",
    "taken_back": "The reason is taken back: what it explained is unexplained again.",
    "signed": "The month is signed.",
    "booked": "The difference is booked as an adjustment of the ledger.",
    "tolerance": "The tolerance is set.",
}
ORDER_NAMES = (("iso", "2026-11-03"), ("day_month_year", "3.11.2026"), ("month_day_year", "11/3/2026"))
FIELD_NAMES = {
    "day": "Day", "amount": "Amount", "provider": "Provider", "model": "Model", "description": "Description",
    "currency": "Currency", "category": "Category", "account": "Account", "line_id": "The line's own id",
}  # fmt: skip


class StepRefused(ValueError):
    """A step that was not taken, in words for the page. problems: of a file. table: its rows, to map their columns."""

    def __init__(
        self, text: str, *, problems: Sequence[BillProblem] = (), more: int = 0, table: Table | None = None
    ) -> None:
        super().__init__(text)
        self.problems, self.more, self.table = problems, more, table


@require_http_methods(["GET", "HEAD", "POST"])
@member_required
def show_reconciliation(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The month of the address. By POST one of STEPS is taken, by its name in `act`."""
    _require_keeper(seat)
    check_texts(request.GET)
    now = timezone.now()
    period = read_month(request.GET, now=now, default=_find_last_month(now))
    if request.method != "POST":
        return _render(request, seat, period, now=now)
    step = STEPS.get(request.POST.get("act", ""))
    if step is None:
        raise BadRequest(f"an act is one of {', '.join(STEPS)}")
    try:
        done = step(request, seat, period, now=now)
    except StepRefused as refused:
        return _render(request, seat, period, now=now, refused=refused, status=422)
    except ReconciliationRefused as refused:
        said = StepRefused(f"{str(refused)[:1].upper()}{str(refused)[1:]}".rstrip(".") + ".")
        return _render(request, seat, period, now=now, refused=said, status=422)
    return redirect(make_link("reconciliation", _make_query(seat, period) | {"done": done}))


@require_safe
@member_required
def export_reconciliation(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Every row of the month, CSV or XLSX."""
    _require_keeper(seat)
    now = timezone.now()
    period = read_month(request.GET, now=now, default=_find_last_month(now))
    found = reconcile(tenant_id=seat.tenant.id, period=period)
    facts = {
        "Tenant": seat.tenant.slug,
        "Month": f"{period:%Y-%m}, days of UTC",
        "Bill, USD": f"{found.comparison.total.bill:f}",
        "Ledger, USD": f"{found.comparison.total.ledger:f}",
        "Unexplained, USD": f"{found.comparison.total.unexplained:f}",
    }
    name = f"reconciliation-{seat.tenant.slug}-{period:%Y-%m}"
    return answer_file(request, name, page="reconciliation", heading=HEADING, rows=list_file_rows(found), facts=facts)


# --- steps ---


def _upload(request: HttpRequest, seat: Seat, period: date, *, now: datetime) -> str:
    content, name = _read_file(request)
    return _import(request, seat, content, name, now=now)


def _map_columns(request: HttpRequest, seat: Seat, period: date, *, now: datetime) -> str:
    """Keep the mapping of the form, and import the file that was chosen once more."""
    content, name = _read_file(request)
    try:
        table = look_at_table(content, rows_max=ROWS_LOOKED_AT)
    except BillRefused as refused:
        raise _refuse_file(name, refused) from None
    document = {
        "columns": {field: text for field in FIELDS if (text := request.POST.get(f"column_{field}", ""))},
        "constants": {
            field: text for field in CONSTANTS if (text := request.POST.get(f"constant_{field}", "").strip())
        },
        **{field: request.POST.get(field, "") for field in ("thousands", "decimal", "day_order")},
    }
    try:
        keep_mapping(read_mapping(document), table.columns, tenant_id=seat.tenant.id, actor=seat.actor, now=now)
    except MappingRefused as refused:
        said = "; ".join(f"{_name_field(each.field)} {each.detail}" for each in refused.problems[:5])
        raise StepRefused(f"The columns are not known yet: {said}.", table=table) from None
    return _import(request, seat, content, name, now=now)


def _import(request: HttpRequest, seat: Seat, content: bytes, name: str, *, now: datetime) -> str:
    try:
        done = import_bill(
            content, filename=name, is_part=bool(request.POST.get("part")),
            tenant_id=seat.tenant.id, actor=seat.actor, now=now,
        )  # fmt: skip
    except BillRefused as refused:
        raise _refuse_file(name, refused) from None
    except LayoutUnknown as unknown:
        table = replace(unknown.table, rows=unknown.table.rows[:ROWS_LOOKED_AT])
        said = f"{name} has columns that no provider's bill is known to have. Say below which is which."
        raise StepRefused(said, table=table) from None
    except MappingRefused as refused:
        raise StepRefused(f"{name} does not fit its mapping: {refused}.") from None
    return "imported" if done.is_new else "known"


def _withdraw(request: HttpRequest, seat: Seat, period: date, *, now: datetime) -> str:
    try:
        bill_id = read_number(request.POST, "bill")
        withdraw_bill(tenant_id=seat.tenant.id, bill_id=bill_id, actor=seat.actor, now=now)
    except BillUnknown:
        raise StepRefused("That bill is withdrawn already.") from None
    return "withdrawn"


def _explain(request: HttpRequest, seat: Seat, period: date, *, now: datetime) -> str:
    form = request.POST
    explain(
        tenant_id=seat.tenant.id,
        period=period,
        provider=form.get("provider", ""),
        model=form.get("model"),
        day=_read_day(form.get("day", "")),
        reason=form.get("reason", ""),
        comment=form.get("comment", ""),
        amount=_read_amount(form.get("amount", "")),
        actor=seat.actor,
        now=now,
    )
    return "explained"


def _take_back(request: HttpRequest, seat: Seat, period: date, *, now: datetime) -> str:
    decision = read_number(request.POST, "decision")
    take_back_decision(tenant_id=seat.tenant.id, decision=decision, actor=seat.actor, now=now)
    return "taken_back"


def _true_up(request: HttpRequest, seat: Seat, period: date, *, now: datetime) -> str:
    form = request.POST
    book_true_up(
        tenant_id=seat.tenant.id, period=period, provider=form.get("provider", ""), model=form.get("model", ""),
        comment=form.get("comment", ""), cost_center=form.get("cost_center", "").strip(), actor=seat.actor, now=now,
    )  # fmt: skip
    return "booked"


def _sign(request: HttpRequest, seat: Seat, period: date, *, now: datetime) -> str:
    sign_off(
        tenant_id=seat.tenant.id, period=period, comment=request.POST.get("comment", ""),
        accepts_unexplained=bool(request.POST.get("accept")), actor=seat.actor, now=now,
    )  # fmt: skip
    return "signed"


def _set_tolerance(request: HttpRequest, seat: Seat, period: date, *, now: datetime) -> str:
    absolute, percent = (_read_amount(request.POST.get(name, "")) for name in ("absolute", "percent"))
    if absolute is None or percent is None or not 0 <= absolute < 10**11 or not 0 <= percent <= 100:
        raise StepRefused("A tolerance is an amount in USD from 0 on, and 0 to 100 percent.")
    set_tolerance(Tolerance(absolute, percent), tenant_id=seat.tenant.id, actor=seat.actor, now=now)
    return "tolerance"


STEPS = {
    "upload": _upload,
    "map": _map_columns,
    "withdraw": _withdraw,
    "explain": _explain,
    "take_back": _take_back,
    "true_up": _true_up,
    "sign": _sign,
    "tolerance": _set_tolerance,
}


def _read_file(request: HttpRequest) -> tuple[bytes, str]:
    file = request.FILES.get("file")
    if file is None:
        raise StepRefused("Choose a file first.")
    if file.size > FILE_BYTES_MAX:
        raise StepRefused(f"{file.name} has more than {FILE_BYTES_MAX // 1_000_000} MB: send its days in parts.")
    return file.read(), file.name or "The file"


def _refuse_file(name: str, refused: BillRefused) -> StepRefused:
    shown = refused.problems[:PROBLEMS_SHOWN]
    said = f"{name} was not taken, and nothing of it was kept."
    return StepRefused(said, problems=shown, more=refused.count - len(shown))


def _read_day(text: str) -> date | None:
    try:
        return parse_date(text) if text else None
    except ValueError:
        raise StepRefused("That is no day; write it as 2026-11-03.") from None


def _read_amount(text: str) -> Decimal | None:
    """An amount of a form with at most twelve decimals; None where it says none."""
    text = text.strip()
    if not text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite() or len(text) > 30 or int(amount.as_tuple().exponent) < -12:
        raise StepRefused(f"{text[:40]} is no amount; write it as 1.25 or -1.25, with at most twelve decimals.")
    return amount


def _name_field(field: str) -> str:
    return FIELD_NAMES.get(field.rpartition(".")[2], field)


# --- the page ---


def _render(
    request: HttpRequest,
    seat: Seat,
    period: date,
    *,
    now: datetime,
    refused: StepRefused | None = None,
    status: int = 200,
) -> HttpResponse:
    by = request.GET.get("by", BY_MODEL)
    if by not in (BY_MODEL, BY_DAY):
        raise BadRequest(f"by is {BY_MODEL} or {BY_DAY}")
    of = (request.GET["provider"], request.GET.get("model", "")) if "provider" in request.GET else None
    page = read_reconciliation_page(seat, period=period, by=by, of=of, now=now)
    table = refused.table if refused else None
    context = {
        "frame": make_frame(seat, current="reconciliation"),
        "page": page,
        "period": period,
        "is_over": now.date() >= page.found.after,
        "reconciliation": get_last_reconciliation(tenant_id=seat.tenant.id),
        "names": name_actors(line.bill.withdrawn_by for line in page.bills),
        "reasons": REASONS.items(),
        "here": make_link("reconciliation", _make_query(seat, period)),
        "refused": refused,
        "table": table and _shorten(table),
        "columns": table.columns if table else (),
        "fields": _list_fields(request),
        "order_names": ORDER_NAMES,
        "texts": {name: request.POST.get(name, "") for name in ("comment", "absolute", "percent")},
        "done": DONE.get(request.GET.get("done", ""), ""),
    }
    return render(request, "reconciliation/page.html", context, status=status)


def _list_fields(request: HttpRequest) -> list[tuple[str, str, str, str, bool]]:
    """The fields of a mapping: id, name, the chosen column, the constant, and whether it may have one."""
    return [
        (
            field,
            FIELD_NAMES[field],
            request.POST.get(f"column_{field}", ""),
            request.POST.get(f"constant_{field}", "USD" if field == "currency" else ""),
            field in CONSTANTS,
        )
        for field in FIELDS
    ]


def _shorten(table: Table) -> list[tuple[int, list[str]]]:
    columns = table.columns[:COLUMNS_SHOWN]
    return [(line, [row[name][:80] for name in columns]) for line, row in table.rows]


def _make_query(seat: Seat, period: date) -> dict[str, str]:
    return seat.link_query | {"period": f"{period:%Y-%m}"}


def _find_last_month(now: datetime) -> date:
    """The first day of the month before: a bill comes when a month is over."""
    return date(now.year - (now.month == 1), (now.month - 2) % 12 + 1, 1)


def _require_keeper(seat: Seat) -> None:
    if not seat.may_reconcile:
        raise Http404
