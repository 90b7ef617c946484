"""GET /v1/audit/log: who changed what that touched this tenant, newest first."""

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import (
    BOUNDARY_SCHEMA,
    TEXT_SCHEMA,
    Parameter,
    find_moment,
    make_limit,
    make_uuid_cursor,
    read_boundary,
    read_query,
    read_text,
)
from api.renderers import write_time
from api.schema import describe_call
from audit.acts import ACTS_PER_PAGE_MAX, LoggedAct, read_act_log
from ledger.act_lists import ActFilters

PARAMETERS = (
    Parameter(
        "name",
        read_text,
        "Any of these: a whole name (`budget.changed`), or what stands before its dot (`budget`).",
        TEXT_SCHEMA,
        is_repeatable=True,
    ),
    Parameter("actor", read_text, "Any of these: `person 7`, `key 4fJ…`.", TEXT_SCHEMA, is_repeatable=True),
    Parameter("from", read_boundary, "Booked at or after this time, or day in the tenant's zone.", BOUNDARY_SCHEMA),
    Parameter("to", read_boundary, "Booked before this time, or day in the tenant's zone.", BOUNDARY_SCHEMA),
    make_limit("Acts", ACTS_PER_PAGE_MAX),
    make_uuid_cursor(),
)


class AuditLog(APIView):
    required_scope = "audit"

    @describe_call(
        operation_id="list_acts",
        summary="Administrative acts that touched the tenant, newest first",
        description="Those of its own ledger, and those of the operator that decide everybody's prices.",
        tag="audit",
        scope=required_scope,
        parameters=PARAMETERS,
        answers={200: "Acts"},
    )
    def get(self, request: Request) -> Response:
        asked = read_query(request.query_params, PARAMETERS)
        zone = request.auth.timezone
        start, end = (asked[name] and find_moment(asked[name], timezone=zone) for name in ("from", "to"))
        page = read_act_log(
            tenant_id=request.auth.tenant_id,
            filters=ActFilters(names=asked["name"], actors=asked["actor"], start=start, end=end),
            before=asked["cursor"],
            limit=asked["limit"],
        )
        return Response({"acts": [write_act(act) for act in page.acts], "next": page.next and str(page.next)})


def write_act(act: LoggedAct) -> dict[str, Any]:
    return {
        "id": act.entry_id,
        "recorded_at": write_time(act.recorded_at),
        "acted_at": write_time(act.acted_at),
        "name": act.name,
        "actor": act.actor,
        "facts": act.facts,
        "ledger": "operator" if act.is_operators else "tenant",
    }
