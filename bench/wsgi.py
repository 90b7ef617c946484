"""The product's application, and beside it, at `/empty`, a Django view that does nothing behind no middleware."""

from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from finops.wsgi import application as product

# isort: split
from finops.urls import urlpatterns  # needs the apps, which the line above has loaded


def answer_nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"", headers={"Content-Length": "0"})


urlpatterns.insert(0, path("empty", answer_nothing))
with override_settings(MIDDLEWARE=[]):
    bare = WSGIHandler()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return (bare if environ["PATH_INFO"] == "/empty" else product)(environ, start_response)
