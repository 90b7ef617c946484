"""A small stand-in of OpenAI and Anthropic on the loopback interface, which writes down what it answers.

It counts tokens as the providers do: OpenAI's prompt includes what came from the cache, Anthropic's input does not.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

FAILING_MODEL = "gpt-overloaded"
CHAT_MODEL, EMBEDDING_MODEL, CLAUDE_MODEL = "gpt-4o-2024-08-06", "text-embedding-3-small", "claude-sonnet-4-5-20250929"
SECRET = "the answer that nobody may keep"


@dataclass(frozen=True)
class Answered:
    """One answer in the ledger's words: disjoint tokens. id: '' where the provider gives none."""

    kind: str
    id: str
    provider: str
    model: str
    status: str
    finish_reason: str
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    is_streamed: bool = False


class StandIn(ThreadingHTTPServer):
    """Answers on `url`, and keeps each answer in `answered`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answered: list[Answered] = []
        self.numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def run_stand_in() -> Iterator[StandIn]:
    server = StandIn()
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {
            "/v1/chat/completions": self._chat,
            "/v1/responses": self._respond,
            "/v1/embeddings": self._embed,
            "/v1/messages": self._message,
        }[self.path.partition("?")[0]]
        answer(asked, next(self.server.numbers))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is said."""

    # --- OpenAI ---

    def _chat(self, asked: dict[str, Any], number: int) -> None:
        if asked["model"] == FAILING_MODEL:
            self._note("chat", "", "openai", FAILING_MODEL, "error", "")
            self._send_json({"error": {"message": "overloaded", "type": "server_error"}}, status=400)
            return
        prompt, cached, completion, reasoning = 1000 + number, 300 + number, 50 + number, 7
        message: dict[str, Any] = {"role": "assistant", "content": SECRET}
        finish = "stop"
        if asked.get("tools"):
            call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"q": "x"}'}}
            message, finish = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
        }
        head = {
            "id": f"chatcmpl-{id(self.server)}-{number}", "created": 1, "model": CHAT_MODEL, "service_tier": "default",
            "system_fingerprint": "fp",
        }  # fmt: skip
        self._note(
            "chat", head["id"], "openai", CHAT_MODEL, "ok", finish, input_tokens=prompt - cached,
            cache_read_tokens=cached, output_tokens=completion, reasoning_tokens=reasoning,
            is_streamed=bool(asked.get("stream")),
        )  # fmt: skip
        if not asked.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
            self._send_json(head | {"object": "chat.completion", "choices": [choice], "usage": usage})
            return
        chunk = head | {"object": "chat.completion.chunk"}
        pieces: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        if asked.get("tools"):
            pieces.append({"tool_calls": [{"index": 0, **message["tool_calls"][0]}]})
        else:
            pieces += [{"content": SECRET[:6]}, {"content": SECRET[6:]}]
        events = [chunk | {"choices": [{"index": 0, "delta": piece, "finish_reason": None}]} for piece in pieces]
        events.append(chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if asked.get("stream_options", {}).get("include_usage"):
            events.append(chunk | {"choices": [], "usage": usage})
        self._send_events([("", event) for event in events], end=b"data: [DONE]\n\n")

    def _respond(self, asked: dict[str, Any], number: int) -> None:
        total, cached, output, reasoning = 2000 + number, 1024, 80 + number, 64
        response_id = f"resp_{id(self.server)}_{number}"
        self._note(
            "responses", response_id, "openai", CHAT_MODEL, "ok", "", input_tokens=total - cached,
            cache_read_tokens=cached, output_tokens=output, reasoning_tokens=reasoning,
        )  # fmt: skip
        text = {"type": "output_text", "text": SECRET, "annotations": []}
        self._send_json(
            {
                "id": response_id, "object": "response", "created_at": 1, "model": CHAT_MODEL, "status": "completed",
                "service_tier": "default", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
                "output": [
                    {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
                ],
                "usage": {
                    "input_tokens": total, "input_tokens_details": {"cached_tokens": cached},
                    "output_tokens": output, "output_tokens_details": {"reasoning_tokens": reasoning},
                    "total_tokens": total + output,
                },
            }
        )  # fmt: skip

    def _embed(self, asked: dict[str, Any], number: int) -> None:
        tokens = 40 + number
        self._note("embeddings", "", "openai", EMBEDDING_MODEL, "ok", "", input_tokens=tokens)
        self._send_json(
            {
                "object": "list", "model": EMBEDDING_MODEL, "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
                "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
            }
        )  # fmt: skip

    # --- Anthropic ---

    def _message(self, asked: dict[str, Any], number: int) -> None:
        fresh, read, written, output = 20 + number, 5000, 700, 90 + number
        message_id = f"msg_{id(self.server)}_{number}"
        finish = "tool_use" if asked.get("tools") else "end_turn"
        self._note(
            "messages", message_id, "anthropic", CLAUDE_MODEL, "ok", finish, input_tokens=fresh,
            cache_read_tokens=read, cache_write_tokens=written, output_tokens=output,
        )  # fmt: skip
        usage = {
            "input_tokens": fresh, "cache_read_input_tokens": read, "cache_creation_input_tokens": written,
            "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output,
        }  # fmt: skip
        content: dict[str, Any] = {"type": "text", "text": SECRET}
        if asked.get("tools"):
            content = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {"q": "x"}}
        message = {
            "id": message_id, "type": "message", "role": "assistant", "model": CLAUDE_MODEL, "content": [content],
            "stop_reason": finish, "stop_sequence": None, "usage": usage,
        }  # fmt: skip
        if not asked.get("stream"):
            self._send_json(message)
            return
        began = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
        self._send_events(
            [
                ("message_start", {"type": "message_start", "message": began}),
                (
                    "content_block_start",
                    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                ),
                (
                    "content_block_delta",
                    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": SECRET}},
                ),
                ("content_block_stop", {"type": "content_block_stop", "index": 0}),
                (
                    "message_delta",
                    {
                        "type": "message_delta", "delta": {"stop_reason": finish, "stop_sequence": None},
                        "usage": {"output_tokens": output},
                    },
                ),
                ("message_stop", {"type": "message_stop"}),
            ]
        )  # fmt: skip

    # --- writing ---

    def _note(self, *named: str, **tokens: Any) -> None:
        self.server.answered.append(Answered(*named, **tokens))

    def _send_json(self, answer: dict[str, Any], status: int = 200) -> None:
        self._send(json.dumps(answer).encode(), "application/json", status)

    def _send_events(self, events: list[tuple[str, dict[str, Any]]], end: bytes = b"") -> None:
        lines = [(f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}\n\n" for name, event in events]
        self._send("".join(lines).encode() + end, "text/event-stream", 200)

    def _send(self, body: bytes, content_type: str, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
