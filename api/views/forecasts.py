"""/v1/forecast: what a month will have cost at its end, how right such forecasts were, and what is known beforehand."""

from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.core.outlooks import Outlook, find_scope
from alerts.forecasts import (
    EventProblem,
    EventRefused,
    EventUnknown,
    KeptEvent,
    MonthView,
    Run,
    add_event,
    list_events,
    list_forecasts,
    read_event_terms,
    read_month,
    remove_event,
)
from alerts.forecasts.days import to_dollars
from api.parameters import TEXT_SCHEMA, Parameter, read_query, read_text
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem, refuse_input
from api.renderers import write_money, write_time
from api.schema import describe_call
from api.shapes import refer
from api.views.drivers import DAY_SCHEMA, read_driver_day
from tenants.selectors import TenantInfo, get_tenant_by_id

BODY_BYTES_MAX = 16_000
RUN_DAYS_MAX = 400
SHARE_DIGITS = 6
SCOPE_PARAMETERS = tuple(
    Parameter(name, read_text, f"Of this {words} alone; empty: of what names none.", TEXT_SCHEMA)
    for name, words in (("environment", "environment"), ("cost_center", "cost centre"), ("feature", "feature"))
)
RUN_PARAMETERS = (
    Parameter("from", read_driver_day, "First day on which one was made.", DAY_SCHEMA, is_required=True),
    Parameter("to", read_driver_day, "The day after the last.", DAY_SCHEMA, is_required=True),
    *SCOPE_PARAMETERS,
)


class MonthForecast(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="get_forecast",
        summary="What the month will have cost at its end",
        description=(
            "From complete days; today and what follows is forecast. Of the whole tenant, or of what has the values "
            "that are named. Made at this moment, and not kept: what each night said stands in `/v1/forecast/runs`."
        ),
        tag="watching",
        scope=required_scope,
        parameters=SCOPE_PARAMETERS,
        problems=("query_invalid",),
        answers={200: "Forecast"},
    )
    def get(self, request: Request) -> Response:
        filters = _read_filters(read_query(request.query_params, SCOPE_PARAMETERS))
        tenant, now = get_tenant_by_id(request.auth.tenant_id), timezone.now()
        events = list_events(tenant_id=tenant.id)
        month = read_month(tenant=tenant, now=now, events=events, filters=filters)
        counted = [event for event in events if event.known.counts_for(filters)]
        return Response(_write_month(month, tenant=tenant, filters=filters, events=counted))


class ForecastRuns(APIView):
    required_scope = "read"

    @describe_call(
        operation_id="list_forecast_runs",
        summary="What was forecast each night, and what came",
        description=(
            "The first run of each day, oldest first: of the whole tenant, of an environment, of a cost centre or of a "
            "feature. A night that is missing was missed; it is not made up for."
        ),
        tag="watching",
        scope=required_scope,
        parameters=RUN_PARAMETERS,
        problems=("query_invalid", "query_refused"),
        answers={200: "ForecastRuns"},
    )
    def get(self, request: Request) -> Response:
        values = read_query(request.query_params, RUN_PARAMETERS)
        first, after = values["from"], values["to"]
        if not 0 < (after - first).days <= RUN_DAYS_MAX:
            told = f"This stands after `from`, by {RUN_DAYS_MAX} days at most."
            raise Problem("query_invalid", f"to: {told}", problems=[{"field": "to", "detail": told}])
        scope = find_scope(_read_filters(values))
        if scope is None:
            raise Problem("query_refused", "Runs are kept by environment, cost centre or feature: name one of them.")
        runs = list_forecasts(tenant_id=request.auth.tenant_id, first=first, after=after, scope=scope)
        return Response({"runs": [_write_run(run) for run in runs]})


class ForecastEvents(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="add_forecast_event",
        summary="Say what is known of a day beforehand",
        description=(
            "A day and an amount, negative for a credit; it is added to what is forecast. The day of an event that is "
            "over is left out of what is usual. The same again is the event that there is, with status 200. It is an "
            "act of the tenant's ledger."
        ),
        tag="watching",
        scope=required_scope,
        request={JSON: refer("ForecastEventTerms")},
        problems=("query_invalid", "forecast_event_invalid", *DOCUMENT_PROBLEMS),
        answers={200: "ForecastEvent", 201: "ForecastEvent"},
    )
    def post(self, request: Request) -> Response:
        read_query(request.query_params, ())
        tenant, now = get_tenant_by_id(request.auth.tenant_id), timezone.now()
        try:
            today = now.astimezone(ZoneInfo(tenant.timezone)).date()
            terms = read_event_terms(_read_body(request), today=today)
            event, is_new = add_event(terms, tenant_id=tenant.id, actor=request.auth.actor, now=now)
        except EventRefused as refused:
            raise refuse_input("forecast_event_invalid", refused.problems) from None
        return Response(_write_event(event), status=201 if is_new else 200)


class ForecastEventDetail(APIView):
    required_scope = "admin"

    @describe_call(
        operation_id="remove_forecast_event",
        summary="Let an event count no more",
        description="That it was there stays on record. It is an act of the tenant's ledger.",
        tag="watching",
        scope=required_scope,
        problems=("query_invalid", "forecast_event_unknown"),
        answers={200: "ForecastEvent"},
    )
    def delete(self, request: Request, event_id: int) -> Response:
        read_query(request.query_params, ())
        try:
            event = remove_event(
                tenant_id=request.auth.tenant_id, event_id=event_id, actor=request.auth.actor, now=timezone.now()
            )
        except EventUnknown:
            raise Problem("forecast_event_unknown") from None
        return Response(_write_event(event))


def _read_filters(values: dict[str, Any]) -> dict[str, str]:
    names = [parameter.name for parameter in SCOPE_PARAMETERS]
    return {name: values[name] for name in names if values[name] is not None}


def _read_body(request: Request) -> dict[str, object]:
    document = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="forecast_event_invalid")
    if not isinstance(document, dict):
        raise refuse_input("forecast_event_invalid", [EventProblem("", "wrong_type", "an event is an object")])
    return document


def _write_month(
    month: MonthView, *, tenant: TenantInfo, filters: dict[str, str], events: list[KeptEvent]
) -> dict[str, Any]:
    outlook, record = month.outlook, month.record
    return {
        "month": month.month.first.isoformat(),
        "today": month.month.today.isoformat(),
        "timezone": tenant.timezone,
        **{parameter.name: filters.get(parameter.name) for parameter in SCOPE_PARAMETERS},
        "spent": write_money(to_dollars(sum(month.days[:-1]))),
        "spent_today": write_money(to_dollars(month.days[-1])),
        "forecast": _write_outlook(outlook) if isinstance(outlook, Outlook) else None,
        "reason": "" if isinstance(outlook, Outlook) else outlook.reason,
        "track_record": {
            "forecasts": record.forecasts,
            "bias": _write_share(record.bias),
            "coverage": _write_share(record.coverage),
            "skill": _write_share(record.skill),
            "days": [{name: round(value, SHARE_DIGITS) for name, value in asdict(day).items()} for day in record.days],
        },
        "events": [_write_event(event) for event in events],
        "complete_to": write_time(month.complete_to),
    }


def _write_outlook(outlook: Outlook) -> dict[str, Any]:
    days: list[tuple[date, int]] = [
        (outlook.month.today + timedelta(days=place), cost) for place, cost in enumerate(outlook.daily)
    ]
    return {
        "method": outlook.method,
        "expected": write_money(to_dollars(outlook.expected)),
        "low": write_money(to_dollars(outlook.low)),
        "high": write_money(to_dollars(outlook.high)),
        "stress_ceiling": write_money(to_dollars(outlook.ceiling)),
        "run_rate": write_money(to_dollars(outlook.run_rate)),
        "growth": _write_share(outlook.forecast.growth),
        "days": [{"day": day.isoformat(), "expected": write_money(to_dollars(cost))} for day, cost in days],
    }


def _write_run(run: Run) -> dict[str, Any]:
    money: dict[str, Decimal] = {
        "spent": run.spent,
        "expected": run.expected,
        "low": run.low,
        "high": run.high,
        "stress_ceiling": run.ceiling,
        "run_rate": run.run_rate,
    }
    return {
        "month": run.month.isoformat(),
        "made_on": run.made_on.isoformat(),
        "made_at": write_time(run.made_at),
        "method": run.method,
        "days_elapsed": run.days_elapsed,
        "days_ahead": run.days_ahead,
        **{name: write_money(amount) for name, amount in money.items()},
        "actual": None if run.actual is None else write_money(run.actual),
    }


def _write_event(event: KeptEvent) -> dict[str, Any]:
    terms = event.terms
    return {
        "id": event.id,
        "day": terms.day.isoformat(),
        "amount": f"{terms.amount:f}",
        "note": terms.note,
        "cost_center": terms.cost_center,
        "feature": terms.feature,
        "added_by": event.added_by,
        "added_at": write_time(event.added_at),
    }


def _write_share(share: float | None) -> float | None:
    return None if share is None else round(share, SHARE_DIGITS)
