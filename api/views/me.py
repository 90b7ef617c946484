"""GET /v1/me: whom a key speaks for."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.schema import describe_call
from ledger.selectors import ENTRIES_PER_PAGE_MAX
from tenants.models import SCOPES


class Me(APIView):
    required_scope = None  # any live key

    @describe_call(
        operation_id="get_me", summary="The key, its tenant, scopes and limits", tag="reading", answers={200: "Me"}
    )
    def get(self, request: Request) -> Response:
        access = request.auth
        return Response(
            {
                "key": {"id": access.key_id, "name": access.key_name},
                "tenant": {"slug": access.slug, "timezone": access.timezone},
                "is_operator": access.is_operator,
                "scopes": [scope for scope in SCOPES if scope in access.scopes],
                "limits": {"entries_per_page": ENTRIES_PER_PAGE_MAX},
            }
        )
