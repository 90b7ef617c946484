"""A whole file as an answer: its size, its hash, and any part of it (RFC 9110, 14)."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request

CHUNK = 1 << 16
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def answer_download(
    request: Request, content: BinaryIO, *, name: str, content_type: str, size: int, sha256: str
) -> HttpResponseBase:
    """The file, or the one part that `Range` asks for; 304 to who has it. Closed when it is sent, or nobody reads on.

    The entity tag is the SHA-256, so a part is of the same bytes as the part before, or `If-Range` gives all of it.
    """
    tag = f'"{sha256}"'
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if tag in _list_tags(request.META.get("HTTP_IF_NONE_MATCH", "")):
        content.close()
        return HttpResponse(status=304, headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    part = _find_part(request, size=size, tag=tag)
    if part is None:
        answer = FileResponse(content, as_attachment=True, filename=name, content_type=content_type, headers=headers)
        answer.headers["Content-Length"] = str(size)
        return answer
    first, last = part
    if first > last:
        content.close()
        return HttpResponse(status=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    content.seek(first)
    headers |= {"Content-Range": f"bytes {first}-{last}/{size}", "Content-Length": str(last - first + 1)}
    pieces = _read(content, last - first + 1)
    return StreamingHttpResponse(pieces, status=206, content_type=content_type, headers=headers)


def _list_tags(text: str) -> list[str]:
    return [tag.strip().removeprefix("W/") for tag in text.split(",")]


def _find_part(request: Request, *, size: int, tag: str) -> tuple[int, int] | None:
    """The first byte and the last one; the first after the last where there is no such part. None: all of it."""
    found = RANGE.fullmatch(request.META.get("HTTP_RANGE", "").replace(" ", ""))
    if not found or found[0] == "bytes=-" or request.META.get("HTTP_IF_RANGE", tag) != tag:
        return None
    start, end = found.groups()
    if not start:
        return (max(size - int(end), 0), size - 1) if int(end) else (1, 0)
    last = min(int(end), size - 1) if end else size - 1
    if end and int(end) < int(start):
        return None  # a range that is none is not there
    return (int(start), last) if int(start) < size else (1, 0)


def _read(content: BinaryIO, length: int) -> Iterator[bytes]:
    with content:
        while length > 0 and (chunk := content.read(min(CHUNK, length))):
            length -= len(chunk)
            yield chunk
