"""GET /v1/me: whom a key speaks for."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.limits import describe_limits
from api.parameters import read_query
from api.parsing.bodies import BODY_BYTES_MAX, EVENTS_PER_REQUEST_MAX
from api.schema import describe_call
from api.shapes import PERIODS_PER_QUESTION_MAX
from ledger.selectors import ENTRIES_PER_PAGE_MAX
from tenants.limits import fill_limits
from tenants.models import SCOPES


class Me(APIView):
    required_scope = None  # any live key

    @describe_call(
        operation_id="get_me",
        summary="The key, its tenant, scopes and limits",
        tag="reading",
        answers={200: "Me"},
        problems=["query_invalid"],
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        access = request.auth
        return Response(
            {
                "key": {"id": access.key_id, "name": access.key_name},
                "tenant": {"slug": access.slug, "timezone": access.timezone},
                "is_operator": access.is_operator,
                "scopes": [scope for scope in SCOPES if scope in access.scopes],
                "limits": {
                    "events_per_request": EVENTS_PER_REQUEST_MAX,
                    "body_bytes": BODY_BYTES_MAX,
                    "entries_per_page": ENTRIES_PER_PAGE_MAX,
                    "cost_periods_per_request": PERIODS_PER_QUESTION_MAX,
                    "tenant": describe_limits(fill_limits(access.limits)),
                    "key": describe_limits(access.key_limits),
                },
            }
        )
