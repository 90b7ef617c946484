"""`POST /v1/quota/check` before Django: somebody waits for it before each call of a model, and Django's request,
response and signals take longer than the check.

What comes as it should is answered here, by the same functions as in `api.views.quota`. All else is handed on, as if
this door were not: another method or form, a body that is no check, a tenant named, a key that the database has to be
asked for. So no rule stands here twice.
"""

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, lru_cache
from http.client import responses
from io import BytesIO
from typing import Any

import django.db
from django.conf import settings
from django.db import close_old_connections
from django.http.request import split_domain_port, validate_host

from api.auth import BRIEFLY_SECONDS, Access, act_for
from api.limits import take_request
from api.middleware import CONTENT_SECURITY_POLICY, find_request_id
from api.parsing.bodies import JSON
from api.parsing.quota import BODY_BYTES_MAX, QuotaQuestion, read_quota_question
from api.problems import CONTENT_TYPE, Problem, find_problem, report_error, write_problem
from api.views.quota import QuotaCheck, answer_question
from tenants.keys import ApiKeyHolder, get_remembered_key, recall_api_key

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

METHOD, PATH = "POST", "/v1/quota/check"
HANDED_ON = ("HTTP_X_TENANT", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING", "QUERY_STRING")
# As `api.middleware` and Django's SecurityMiddleware say them of every answer.
HEADERS = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]


class QuotaDoor:
    """A WSGI application before another one."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        access = find_asker(environ)
        asked = read_question(environ, access) if access else None
        if access is None or asked is None:
            return self.application(environ, start_response)
        request_id = find_request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        status, content_type, headers = 200, JSON, {}
        try:
            take_request(access, length=int(environ["CONTENT_LENGTH"]))
            body = answer_question(asked, access)
        except Exception as error:
            problem = find_problem(error)
            report_error(error, problem, what=f"{METHOD} {PATH}", request_id=request_id)
            status, content_type, headers = problem.type.status, CONTENT_TYPE, problem.headers
            body = write_problem(problem, request_id=request_id)
        start_response(
            f"{status} {responses[status]}",
            [
                ("Content-Type", content_type),
                ("Content-Length", str(len(body))),
                ("X-Request-Id", request_id),
                *HEADERS,
                *headers.items(),
            ],
        )
        return [body]


def find_asker(environ: Environ) -> Access | None:
    """Whose check this is; None for what is not one, or not one to be answered here."""
    if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != METHOD or environ["wsgi.url_scheme"] != "http":
        return None
    if any(environ.get(name) for name in HANDED_ON) or environ.get("CONTENT_TYPE") != JSON:
        return None
    length = environ.get("CONTENT_LENGTH", "")
    if not (length.isascii() and length.isdecimal() and len(length) < 6 and 0 < int(length) <= BODY_BYTES_MAX):
        return None
    if not is_own_host(environ.get("HTTP_HOST", "")):
        return None
    scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    holder = recall_key(token) if scheme == "Bearer" else None
    if holder is None or QuotaCheck.required_scope not in holder.scopes:
        return None
    return act_for(holder, slug=holder.slug)


_asked_for: set[str] = set()  # tokens that the database is being asked for


def recall_key(token: str) -> ApiKeyHolder | None:
    """Whom a key speaks for, where that was found within BRIEFLY_SECONDS; after half of them it is asked for anew,
    beside the checks: else all that come meanwhile would wait, once a second.
    """
    holder = get_remembered_key(token, seconds=BRIEFLY_SECONDS / 2)
    if holder is None:
        holder = get_remembered_key(token, seconds=BRIEFLY_SECONDS)
        if holder and token not in _asked_for:
            _asked_for.add(token)
            get_pool().submit(_find_key_aside, token)
    return holder


@cache
def get_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="quota-keys")


def _find_key_aside(token: str) -> None:
    try:
        close_old_connections()
        recall_api_key(token, seconds=BRIEFLY_SECONDS / 2)
    except django.db.Error as error:  # whoever finds the key too old meets it again, and answers it
        logger.warning("a key was not asked for: %s", error)
    finally:
        _asked_for.discard(token)


@lru_cache(64)
def is_own_host(host: str) -> bool:
    """As `HttpRequest.get_host` judges it."""
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def read_question(environ: Environ, access: Access) -> QuotaQuestion | None:
    """The check that the body holds; None where it holds none, or not all of it, and then it can be read again."""
    length = int(environ["CONTENT_LENGTH"])
    body = environ["wsgi.input"].read(length)
    with suppress(Problem):
        if len(body) == length:
            return read_quota_question(body, key_id=access.key_id)
    environ["wsgi.input"] = BytesIO(body)
    return None
