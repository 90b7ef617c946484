"""The bytes of a request: unpacked within bounds, and cut into one text per event."""

import json
import re
import zlib
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest

from api.problems import Problem, refuse_input
from billing.core.wire_checks import ItemProblem, ItemRefused, load_strictly, printable

BODY_BYTES_MAX = 8_000_000  # unpacked
EVENTS_PER_REQUEST_MAX = 5_000
GZIP_WINDOW_BITS = 31
GZIP_MAGIC = b"\x1f\x8b"
CHUNK_BYTES = 65_536
HALF = re.compile("[\ud800-\udfff]")
HALF_DETAIL = "holds half of a surrogate pair"
BLANKS = re.compile(r"[ \t\n\r]*")

JSON, NDJSON = "application/json", "application/x-ndjson"
CLOUDEVENT, CLOUDEVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"
CONTENT_TYPES = (JSON, NDJSON, CLOUDEVENT, CLOUDEVENTS)
# What `read_document` may raise.
DOCUMENT_PROBLEMS = (
    "body_empty", "body_malformed", "body_incomplete", "body_too_large", "content_type_unknown",
    "content_encoding_unknown",
)  # fmt: skip


def read_body(request: HttpRequest) -> bytes:
    """The body, unpacked.

    Raises Problem: body_too_large, body_incomplete, content_encoding_unknown, body_malformed, body_empty.
    """
    body = _receive(request)
    encoding = request.META.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding == "gzip":
        body = _unpack(body)
    elif encoding not in ("", "identity"):
        raise Problem("content_encoding_unknown", f"Content-Encoding {encoding[:40]!r}: send gzip, or none.")
    elif body.startswith(GZIP_MAGIC):
        raise Problem("body_malformed", "The body is gzip and does not say so: send “Content-Encoding: gzip” with it.")
    if len(body) > BODY_BYTES_MAX:
        raise Problem("body_too_large", f"At most {BODY_BYTES_MAX:,} bytes unpacked; send fewer events at a time.")
    if not body.strip():
        raise Problem("body_empty", "The body is empty.")
    return body


def _receive(request: HttpRequest) -> bytes:
    """The bytes as they were sent: as many as were announced, or chunks to their end, within the bound."""
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return _join_chunks(request)
    body = request.body
    if len(body) < int(request.META.get("CONTENT_LENGTH") or 0):
        raise Problem("body_incomplete", f"{len(body):,} bytes came of the {request.META['CONTENT_LENGTH']} announced.")
    return body


def _join_chunks(request: HttpRequest) -> bytes:
    """A body without an announced length, which Django takes for an empty one: at most the bound and one read."""
    received = bytearray()
    while len(received) <= BODY_BYTES_MAX and (more := request.META["wsgi.input"].read(CHUNK_BYTES)):
        received += more
    return bytes(received)


def _unpack(body: bytes) -> bytes:
    """Unpack no more than the bound and one byte, so that a small bomb stays small."""
    unpacker = zlib.decompressobj(GZIP_WINDOW_BITS)
    try:
        unpacked = unpacker.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error as error:
        raise Problem("body_malformed", "The body says gzip and is not.") from error
    if len(unpacked) <= BODY_BYTES_MAX and not unpacker.eof:
        raise Problem("body_incomplete", "The gzip stream ends before its end.")
    return unpacked


def read_document(request: HttpRequest, *, bytes_max: int, refused_as: str) -> Any:
    """The body's one JSON document. Raises Problem; refused_as: its code for what JSON does not allow."""
    if (content_type := (request.content_type or "").lower()) != JSON:
        raise Problem("content_type_unknown", f"Content-Type {content_type[:80]!r} is not read here; send {JSON}.")
    body = read_body(request)
    if len(body) > bytes_max:
        raise Problem("body_too_large", f"At most {bytes_max:,} bytes here.")
    try:
        document = load_strictly(body, bytes_max=bytes_max)
    except ItemRefused as refused:
        raise refuse_input(refused_as, refused.problems) from None
    if b"\\u" in body and (places := list(_find_halves(document))):
        raise refuse_input(refused_as, [ItemProblem(place, "invalid_text", HALF_DETAIL) for place in places])
    return document


def _find_halves(document: Any) -> Iterator[str]:
    """Where text holds half of a surrogate pair: no database keeps it, and no answer can name it."""
    stack = [("", document)]
    while stack:
        place, value = stack.pop()
        if isinstance(value, str) and HALF.search(value):
            yield place
        elif isinstance(value, dict):
            for name, inner in value.items():
                here = f"{place}.{printable(name)}".removeprefix(".")
                stack += [(here, name), (here, inner)]
        elif isinstance(value, list):
            stack += [(f"{place}.{number}".removeprefix("."), inner) for number, inner in enumerate(value)]


def read_content_type(request: HttpRequest) -> str:
    """One of CONTENT_TYPES. Raises Problem."""
    content_type = (request.content_type or "").lower()
    if content_type not in CONTENT_TYPES:
        raise Problem(
            "content_type_unknown",
            f"Content-Type {content_type[:80]!r} is not read here; send one of {', '.join(CONTENT_TYPES)}.",
        )
    return content_type


def cut_body(body: bytes, *, content_type: str) -> list[bytes]:
    """The text of each event. Raises Problem: body_malformed, too_many_events."""
    if content_type == NDJSON:
        items = [line for line in body.split(b"\n") if line.strip()]
    else:
        try:
            items = _cut_json(body)
        except RecursionError as error:
            raise Problem("body_malformed", "The body is nested too deep to be read.") from error
        except json.JSONDecodeError as error:
            where = f"{error.msg}, line {error.lineno}, column {error.colno}"
            raise Problem("body_malformed", f"The body is not JSON: {where}.") from error
    check_event_count(len(items))
    return items


def check_event_count(count: int) -> None:
    """Raises Problem."""
    if count > EVENTS_PER_REQUEST_MAX:
        raise Problem(
            "too_many_events", f"{count:,} events: at most {EVENTS_PER_REQUEST_MAX:,} in one request; split them."
        )
    if count == 0:
        raise Problem("body_empty", "The body holds no event.")


def _cut_json(body: bytes) -> list[bytes]:
    """The elements of a list, or the one value there is, each as it stands in the body.

    Lenient about what an element holds (NaN, half a surrogate pair, bytes that are no UTF-8): that costs its own
    event alone. Raises json.JSONDecodeError, RecursionError.
    """
    text = body.decode("utf-8", "surrogateescape")
    scan = json.JSONDecoder().raw_decode
    at = _skip_blanks(text, 0)
    if text[at] != "[":
        _, end = scan(text, at)
        _expect(text, end, "")
        return [text[at:end].encode("utf-8", "surrogateescape")]
    items = []
    at = _skip_blanks(text, at + 1)
    while not items or text[at : at + 1] == ",":
        if not items and text[at : at + 1] == "]":
            break
        start = _skip_blanks(text, at + bool(items))
        _, end = scan(text, start)
        items.append(text[start:end].encode("utf-8", "surrogateescape"))
        at = _skip_blanks(text, end)
    _expect(text, at, "]")
    return items


def _skip_blanks(text: str, at: int) -> int:
    return BLANKS.match(text, at).end()  # type: ignore[union-attr]


def _expect(text: str, at: int, bracket: str) -> None:
    """`bracket` and nothing after it. Raises json.JSONDecodeError."""
    if not text.startswith(bracket, at):
        raise json.JSONDecodeError("Expecting ',' or ']'", text, at)
    rest = _skip_blanks(text, at + len(bracket))
    if rest < len(text):
        raise json.JSONDecodeError("Extra data", text, rest)
