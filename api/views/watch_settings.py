"""/v1/watch-settings: from where on what is out of the ordinary is told, by kind of anomaly."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.core.watch_settings import ThresholdsRefused, write_setting
from alerts.thresholds import KeptSetting, change_setting, get_setting
from api.parameters import read_query
from api.parsing.bodies import DOCUMENT_PROBLEMS, JSON, read_document
from api.problems import Problem
from api.renderers import write_time
from api.schema import describe_call
from api.shapes import refer

BODY_BYTES_MAX = 64_000


class WatchSettings(APIView):
    @property
    def required_scope(self) -> str:
        return "admin" if self.request.method == "PATCH" else "read"

    @describe_call(
        operation_id="get_watch_settings",
        summary="From where on an anomaly is told, by kind",
        description="All thresholds, those that nobody set as well; `changed` has what differs from the defaults.",
        tag="watching",
        scope="read",
        answers={200: "WatchSettings"},
        problems=["query_invalid"],
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        return Response(write_kept(get_setting(tenant_id=request.auth.tenant_id)))

    @describe_call(
        operation_id="change_watch_settings",
        summary="Set thresholds of anomalies",
        description=(
            "What is named is set, `null` brings a default back, and everything else stays. All changes are made or "
            "none. `off` is the whole list of kinds that are not looked for. It is an act of the tenant's ledger; the "
            "same again changes nothing."
        ),
        tag="watching",
        scope="admin",
        request={JSON: refer("WatchSettingChanges")},
        answers={200: "WatchSettings"},
        problems=("query_invalid", "watch_setting_invalid", *DOCUMENT_PROBLEMS),
    )
    def patch(self, request: Request) -> Response:
        read_query(request.query_params, ())
        changes = _read_changes(request)
        access = request.auth
        try:
            kept = change_setting(changes, tenant_id=access.tenant_id, actor=access.actor, now=timezone.now())
        except ThresholdsRefused as refused:
            raise _refuse([(problem.field, problem.detail) for problem in refused.problems]) from None
        return Response(write_kept(kept))


def _read_changes(request: Request) -> dict[str, Any]:
    changes = read_document(request._request, bytes_max=BODY_BYTES_MAX, refused_as="watch_setting_invalid")
    if not isinstance(changes, dict):
        raise _refuse([("", "must be an object of thresholds by kind")])
    return changes


def _refuse(problems: list[tuple[str, str]]) -> Problem:
    return Problem(
        "watch_setting_invalid",
        "; ".join(f"{field} {detail}".strip() for field, detail in problems[:5]),
        problems=[{"field": field, "detail": detail} for field, detail in problems[:100]],
    )


def write_kept(kept: KeptSetting) -> dict[str, Any]:
    return {
        **write_setting(kept.setting),
        "changed": dict(kept.document),
        "changed_by": kept.changed_by,
        "changed_at": kept.changed_at and write_time(kept.changed_at),
    }
