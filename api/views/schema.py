"""GET /v1/schema, /v1/docs: the contract, and a page to try it on."""

from django.http import HttpResponse
from django.shortcuts import render
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from api.parameters import read_query
from api.schema import build_schema, describe_call

# The page draws with inline styles; its scripts are files of ours, and it talks to us alone.
DOCS_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Schema(APIView):
    authentication_classes = ()
    permission_classes = ()

    @describe_call(
        operation_id="get_schema",
        summary="This document",
        tag="running",
        needs_key=False,
        problems=["query_invalid"],
        answers={200: {"type": "object"}},
    )
    def get(self, request: Request) -> Response:
        read_query(request.query_params, ())
        return Response(build_schema())


class Docs(APIView):
    """Its scripts and styles come from the installed package: it works without a network."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        response = render(request._request, "api/docs.html")
        response.headers["Content-Security-Policy"] = DOCS_CONTENT_SECURITY_POLICY
        return response
