"""GET /metrics: for Prometheus. On this machine without a key; from elsewhere with an operator's."""

from django.http import HttpResponse
from django.utils import timezone
from prometheus_client import CONTENT_TYPE_LATEST
from rest_framework.request import Request
from rest_framework.views import APIView

from api.auth import find_access, require_scope
from api.metrics import get_metrics
from api.parameters import read_query
from api.problems import Problem
from api.schema import KEY_PROBLEMS, describe_call
from api.views.health import is_local


class Metrics(APIView):
    authentication_classes = ()
    permission_classes = ()

    @describe_call(
        operation_id="get_metrics",
        summary="Prometheus text",
        description="Every tenant's cost. On the loopback interface without a key; from elsewhere with an operator's "
        "key of scope `read`. At most 15 seconds old.",
        tag="running",
        needs_key=False,
        answers={(200, "text/plain"): {"type": "string"}},
        problems=["query_invalid", *KEY_PROBLEMS],
    )
    def get(self, request: Request) -> HttpResponse:
        read_query(request.query_params, ())
        if not is_local(request) and not require_scope(find_access(request), "read").is_operator:
            raise Problem("tenant_forbidden", "Only an operator's key may read what all tenants spend.")
        return HttpResponse(get_metrics(now=timezone.now()), content_type=CONTENT_TYPE_LATEST)
