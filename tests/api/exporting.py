"""Spans as an exporter sends them: posted, and what was answered."""

from datetime import UTC, datetime, timedelta

from django.test import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from billing.spans import QUIET_SECONDS, settle_traces
from tests.rows import read
from tests.spans import make_request, write_protobuf

PROTOBUF, JSON = "application/x-protobuf", "application/json"


def post(key, body, *, content_type=PROTOBUF, path="/v1/traces", **headers):
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    # Django's client names no type where there is no body; exporters do.
    headers |= {"CONTENT_TYPE": content_type, "HTTP_AUTHORIZATION": f"Bearer {key}"}
    return Client().post(path, body, content_type=content_type, **headers)


def send(key, *spans, **resource):
    """Send spans in protobuf; the answer's partial success."""
    answer = post(key, write_protobuf(make_request(*spans, **resource)))
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == PROTOBUF
    return ExportTraceServiceResponse.FromString(answer.content).partial_success


def list_states(tenant):
    return dict(read(tenant, "SELECT name, state FROM span"))


def settle():
    return settle_traces(now=datetime.now(UTC) + timedelta(seconds=QUIET_SECONDS + 1))
