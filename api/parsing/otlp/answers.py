"""What an exporter is answered, in the encoding in which it asked."""

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from api.problems import PROTOBUF

# What is written of each kind of telemetry: the message, and how it counts what it refused.
RESPONSES = {
    "traces": (ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
}


def write_response(*, kind: str, content_type: str, rejected: int = 0, message: str = "") -> bytes:
    """The Export…ServiceResponse of a kind of RESPONSES; its `partial_success` says something or is left out."""
    response_type, field, json_field = RESPONSES[kind]
    if content_type == PROTOBUF:
        response = response_type()
        if rejected or message:
            setattr(response.partial_success, field, rejected)
            response.partial_success.error_message = message
        encoded: bytes = response.SerializeToString()
        return encoded
    partial = {"partialSuccess": {json_field: str(rejected), "errorMessage": message}} if rejected or message else {}
    return msgspec.json.encode(partial)
