"""GET /healthz, /readyz: for whoever starts, stops and watches processes. No key."""

from dataclasses import asdict
from ipaddress import ip_address

from django.http import HttpRequest
from django.http.request import split_domain_port
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.auth import find_access
from api.health import FAILED, check_readiness, summarise
from api.schema import describe_call


class Health(APIView):
    authentication_classes = ()
    permission_classes = ()

    @describe_call(
        operation_id="get_health",
        summary="The process is alive",
        tag="running",
        needs_key=False,
        answers={200: "Health"},
    )
    def get(self, request: Request) -> Response:
        return Response({"status": "alive"})


class Readiness(APIView):
    authentication_classes = ()
    permission_classes = ()

    @describe_call(
        operation_id="get_readiness",
        summary="The process can do its work",
        description="503 when it cannot. The single checks are told to this machine and to operators' keys alone.",
        tag="running",
        needs_key=False,
        answers={200: "Readiness", 503: "Readiness"},
    )
    def get(self, request: Request) -> Response:
        checks = check_readiness(now=timezone.now())
        answer = {"status": summarise(checks)}
        if is_local(request) or (checks["database"].state != FAILED and is_operator(request)):
            answer["checks"] = {name: asdict(check) for name, check in checks.items()}
        return Response(answer, status=503 if answer["status"] == FAILED else 200)


def is_local(request: HttpRequest | Request) -> bool:
    """From this machine and not through a proxy on it: the address, the name asked for and no forwarding header."""
    host, _ = split_domain_port(request.get_host())
    forwarded = any(name in request.META for name in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP"))
    return not forwarded and host in ("127.0.0.1", "localhost", "[::1]") and _is_loopback(request)


def _is_loopback(request: HttpRequest | Request) -> bool:
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def is_operator(request: HttpRequest | Request) -> bool:
    access = find_access(request)
    return access is not None and access.is_operator
