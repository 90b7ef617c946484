"""Lines that send a first event with a key, ready to be run: what stands in them is tested by running it."""

from dataclasses import dataclass
from datetime import datetime

CURL = """\
curl {address}/v1/events \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"id": "first-{key_id}", "time": "{time}",
       "provider": "openai", "model": "gpt-4o-2024-08-06",
       "usage": {{"input_tokens": 1200, "cache_read_tokens": 1000,
                 "output_tokens": 300}},
       "feature": "hello", "environment": "production"}}'
"""
PYTHON = """\
import json
from datetime import datetime, timezone
from urllib.request import Request, urlopen
from uuid import uuid4

key = "{key}"
event = {{
    "id": str(uuid4()),
    "time": datetime.now(timezone.utc).isoformat(),
    "provider": "openai",
    "model": "gpt-4o-2024-08-06",
    "usage": {{"input_tokens": 1200, "cache_read_tokens": 1000, "output_tokens": 300}},
    "feature": "hello",
    "environment": "production",
}}
headers = {{"Authorization": f"Bearer {{key}}", "Content-Type": "application/json"}}
with urlopen(Request("{address}/v1/events", json.dumps(event).encode(), headers)) as answer:
    print(answer.read().decode())
"""
OPENTELEMETRY_ENVIRONMENT = """\
export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="{address}/v1/traces"
export OTEL_EXPORTER_OTLP_TRACES_HEADERS="Authorization=Bearer%20{key}"
export OTEL_SERVICE_NAME=my-service OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=production
"""
OPENTELEMETRY_PYTHON = """\
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
OpenAIInstrumentor().instrument()
"""
LOOK = """\
curl {address}/v1/me \\
  -H "Authorization: Bearer {key}"
"""


@dataclass(frozen=True, slots=True)
class Snippets:
    """The texts, each to be run as it stands; curl has one id, so that twice books once."""

    curl: str
    python: str
    opentelemetry_environment: str
    opentelemetry_python: str
    look: str


def write_snippets(*, address: str, token: str, now: datetime) -> Snippets:
    """For the installation at `address` and this key, whole."""
    values = {
        "address": address,
        "key": token,
        "key_id": token.split("_")[1],
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    texts = (CURL, PYTHON, OPENTELEMETRY_ENVIRONMENT, OPENTELEMETRY_PYTHON, LOOK)
    return Snippets(*(text.format_map(values) for text in texts))
