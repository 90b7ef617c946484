"""Pages that say why there is no page. No figure stands on them: nothing that could be read as zero."""

import sys

from django.core.exceptions import BadRequest
from django.db import OperationalError
from django.db.utils import InterfaceError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from psycopg.errors import QueryCanceled
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

RETRY_AFTER_SECONDS = "5"


def answer_bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What a view refused, in its own words; nothing of what the framework refused before it."""
    words = str(exception) if isinstance(exception, BadRequest) else ""
    return _answer(request, "400.html", 400, {"words": words})


def answer_failure(request: HttpRequest) -> HttpResponse:
    """A fault of ours, or of what we stand on: the database that is away or slow, Redis."""
    error = sys.exc_info()[1]
    if _is_caused_by(error, QueryCanceled):
        return _answer(request, "failures/slow.html", 503)
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return _answer(request, "failures/database.html", 503)
    if isinstance(error, RedisError):
        return _answer(request, "failures/redis.html", 503)
    return _answer(request, "500.html", 500)


def _is_caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    return isinstance(error, kind) or isinstance(getattr(error, "__cause__", None), kind)


def _answer(request: HttpRequest, template: str, status: int, context: dict[str, str] | None = None) -> HttpResponse:
    response = render(request, template, context, status=status)
    patch_cache_control(response, private=True, no_store=True)
    if status == 503:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response
