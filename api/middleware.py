"""The machines' door: its paths are answered here, so that no request of theirs pays for sessions and forms."""

import re
import secrets
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

from api.known_paths import suggest_path
from api.problems import Problem, answer_error

MACHINE_PATHS = frozenset({"/v1", "/healthz", "/readyz", "/metrics", "/.well-known/tokenledger-keys"})
REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")
DISCARDED_BYTES_MAX = 64_000_000
CHUNK_BYTES = 65_536
CONTENT_SECURITY_POLICY = "default-src 'none'; frame-ancestors 'none'"


class MachineDoorMiddleware:
    """Answers the machines' paths itself and hands every other request on.

    It stands before sessions, CSRF and sign-in, and calls the view without them: a key comes with each request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_machine_path(request.path_info) and not sends_api_key(request):
            return self.get_response(request)
        request.request_id = find_request_id(request.META.get("HTTP_X_REQUEST_ID", ""))
        try:
            response = call_view(request)
        except Exception as error:
            response = answer_error(error, request=request)
        discard_body(request)
        release_body(request)
        if not response.streaming:
            # Else the server would send the answer in chunks.
            response.headers.setdefault("Content-Length", str(len(response.content)))
        response.headers["X-Request-Id"] = request.request_id
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        return response


def is_machine_path(path: str) -> bool:
    return path.startswith("/v1/") or path in MACHINE_PATHS


def sends_api_key(request: HttpRequest) -> bool:
    """Whether a program asks: no person's path takes a key, and an answer about forms or sign-in would mislead it."""
    return request.META.get("HTTP_AUTHORIZATION", "")[:10].lower() == "bearer tl_"


def find_request_id(sent: str) -> str:
    """The client's X-Request-Id where it is fit to be repeated, else a new one."""
    return sent if REQUEST_ID_PATTERN.fullmatch(sent) else secrets.token_hex(16)


def call_view(request: HttpRequest) -> HttpResponse:
    """The view's answer, rendered. Raises what the view raises, and Problem for what no view should see."""
    request.get_host()  # refuses a foreign name, so that no web page reaches a loopback address by renaming it
    if _read_content_length(request) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise Problem("body_too_large", f"At most {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes are read.")
    try:
        match = resolve(request.path_info, urlconf="api.urls")
    except Resolver404 as error:
        raise Problem("path_unknown", suggest_path(request.path_info)) from error
    request.resolver_match = match
    response = match.func(request, *match.args, **match.kwargs)
    if hasattr(response, "render") and not response.is_rendered:
        response = response.render()
    return response


def _read_content_length(request: HttpRequest) -> int:
    text = request.META.get("CONTENT_LENGTH") or "0"
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Problem("request_malformed", "Content-Length is a number of bytes.")
    return int(text)


def discard_body(request: HttpRequest) -> None:
    """Read what a refusal left unread, within bounds: a client that is still sending would see a broken connection
    in place of the answer.
    """
    length = request.META.get("CONTENT_LENGTH") or "0"
    if hasattr(request, "_body") or not length.isdecimal() or not 0 < int(length) <= DISCARDED_BYTES_MAX:
        return
    with suppress(UnreadablePostError):
        while request.read(CHUNK_BYTES):
            pass


def release_body(request: HttpRequest) -> None:
    """Let go of the bytes that came. The REST framework's request and view refer to each other, so what they hold stays
    until Python looks for such circles: ten batches' bodies at first, then hundreds.
    """
    request.__dict__.pop("_body", None)
    request._stream = None
    request.META.pop("wsgi.input", None)
