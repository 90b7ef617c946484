"""A program as an engineer writes it: `openai` and `anthropic` clients, instrumented, spans exported over OTLP/HTTP.

Everything comes from the environment, as the packages' own documentation has it: OPENAI_BASE_URL, ANTHROPIC_BASE_URL,
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS, OTEL_SERVICE_NAME. Its arguments name the instrumentations.
"""

import contextlib
import sys

import anthropic
import openai
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]
CLAUDE_TOOLS = [{"name": "look_up", "input_schema": {"type": "object", "properties": {}}}]
ASKED = [{"role": "user", "content": "the question that nobody may keep"}]


def instrument(names: list[str]) -> None:
    for name in names:
        match name:
            case "openai-v2":
                from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
            case "openllmetry":
                from opentelemetry.instrumentation.openai import OpenAIInstrumentor
            case "openinference":
                from openinference.instrumentation.openai import OpenAIInstrumentor
            case "anthropic":
                from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor as OpenAIInstrumentor
        OpenAIInstrumentor().instrument()


def call_openai() -> None:
    client = openai.OpenAI(max_retries=0)
    chat = client.chat.completions
    chat.create(model="gpt-4o", messages=ASKED)
    chat.create(model="gpt-4o", messages=ASKED, tools=TOOLS)
    for tools in ({}, {"tools": TOOLS}):
        for _ in chat.create(
            model="gpt-4o", messages=ASKED, stream=True, stream_options={"include_usage": True}, **tools
        ):
            pass
    with contextlib.suppress(openai.BadRequestError):
        chat.create(model="gpt-overloaded", messages=ASKED)
    client.embeddings.create(model="text-embedding-3-small", input="a text")
    client.responses.create(model="gpt-4o", input="the question that nobody may keep")


def call_anthropic() -> None:
    messages = anthropic.Anthropic(max_retries=0).messages
    asked = {"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": ASKED}
    messages.create(**asked)
    messages.create(**asked, tools=CLAUDE_TOOLS)
    for _ in messages.create(**asked, stream=True):
        pass


def main() -> None:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    names = sys.argv[1:]
    instrument(names)
    tracer = trace.get_tracer("shop")
    with tracer.start_as_current_span("POST /checkout", attributes={"tokenledger.feature": "checkout"}):
        if names != ["anthropic"]:
            call_openai()
        if "anthropic" in names:
            call_anthropic()
    provider.shutdown()


if __name__ == "__main__":
    main()
