import gzip
import http.client
import json
import re
import socket
import urllib.request
from pathlib import Path

import django.db
import psycopg
import pytest
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http.request import UnreadablePostError
from django.test import RequestFactory

from api import problems
from api.problems import PROBLEM_TYPES, Problem, answer_error
from tests.api.conftest import Machine

ROOT = Path(__file__).resolve().parents[2]


def answer(error):
    return answer_error(error, request=RequestFactory().get("/v1/me"))


def wrapped(kind, cause):
    """A database error as Django hands it on."""
    error = kind("server closed the connection unexpectedly, host db-7.internal")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        wrapped(django.db.OperationalError, psycopg.OperationalError()),
        wrapped(django.db.OperationalError, psycopg.errors.AdminShutdown()),
        wrapped(django.db.OperationalError, psycopg.errors.DeadlockDetected()),
        wrapped(django.db.OperationalError, psycopg.errors.DiskFull()),
        wrapped(django.db.InterfaceError, psycopg.InterfaceError()),
        wrapped(django.db.InternalError, psycopg.errors.ReadOnlySqlTransaction()),
        wrapped(django.db.InternalError, psycopg.errors.IdleInTransactionSessionTimeout()),
        psycopg.OperationalError("connection refused"),
        psycopg.errors.CrashShutdown(),
    ],
    ids=lambda error: type(error.__cause__ or error).__name__,
)
def test_a_database_that_is_away_means_send_it_again(error):
    response = answer(error)
    assert response.status_code == 503
    assert response["Retry-After"] == "1"
    assert b'"retry_safe":true' in response.content
    assert b"db-7" not in response.content


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("secret"),
        wrapped(django.db.ProgrammingError, psycopg.errors.UndefinedColumn("secret")),
        wrapped(django.db.IntegrityError, psycopg.errors.CheckViolation("secret")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_bug_is_500_and_keeps_its_text_inside(error, caplog):
    response = answer(error)
    assert response.status_code == 500
    assert b"secret" not in response.content and b"internal" in response.content
    assert "failed, request" in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RequestDataTooBig(), 413, "body_too_large"),
        (UnreadablePostError(), 400, "body_incomplete"),
        (SuspiciousOperation(), 400, "request_malformed"),
    ],
)
def test_what_django_refuses_has_its_code(error, status, code):
    response = answer(error)
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    assert f'"code":"{code}"'.encode() in response.content


def test_a_statement_that_was_stopped_for_its_time_asks_for_a_smaller_question():
    response = answer(wrapped(django.db.OperationalError, psycopg.errors.QueryCanceled("statement timeout")))
    assert response.status_code == 503
    assert b'"code":"too_slow"' in response.content and b"retry_safe" not in response.content


def test_a_problem_names_all_that_is_wrong(machine):
    response = machine.get("/v1/entries?limit=0&kind=gift&colour=red&from=yesterday&limit=3")
    document = response.json()
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"
    assert [fault["field"] for fault in document["problems"]] == ["colour", "from", "kind", "limit"]
    assert document["type"] == "urn:tokenledger:problem:query_invalid"
    assert document["request_id"] == response["X-Request-Id"]


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/me/", "/v1/entries/1/2", "/v1/%00", "/v1/\u00e9"])
def test_an_unknown_path_is_a_problem_as_well(db, path):
    response = Machine().get(path)
    assert (response.status_code, response.json()["code"]) == (404, "path_unknown")


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/traces/v1/traces", "Did you mean /v1/traces? An OTLP endpoint is the address without /v1/traces."),
        ("/v1/v1/traces", "Did you mean /v1/traces? An OTLP endpoint is the address without /v1/traces."),
        ("/v1/trace", "Did you mean /v1/traces? An OTLP endpoint is the address without /v1/traces."),
        ("/v1/event", "Did you mean /v1/events?"),
        ("/v1/events/", "Did you mean /v1/events, without a slash at its end?"),
        (
            "/v1/qqqqqqqq",
            "Usage events go to /v1/events, OpenTelemetry's spans to /v1/traces; /v1/docs shows every path.",
        ),
    ],
)
def test_an_unknown_path_is_answered_with_the_nearest_that_there_is(db, path, detail):
    assert Machine().post(path, "{}").json()["detail"] == detail


@pytest.mark.parametrize("path", ["/", "/events", "/v1/traces/v1/traces"])
def test_a_program_is_never_answered_with_a_page(machine, path):
    """A person's path asks for sessions and forms; whoever sends a key is told the machines' paths."""
    answer = machine.post(path, "{}")
    assert (answer.status_code, answer.json()["code"]) == (404, "path_unknown")
    assert answer.content.endswith(b"}\n")


def test_a_request_without_a_key_is_told_how_to_send_one(db):
    assert "Authorization: Bearer <key>" in Machine().get("/v1/me").json()["detail"]


def test_gzip_that_does_not_say_so_is_told_to(machine):
    answer = machine.post("/v1/events", gzip.compress(b"[]"))
    assert (answer.status_code, answer.json()["code"]) == (400, "body_malformed")
    assert "Content-Encoding: gzip" in answer.json()["detail"]


def test_an_answer_ends_with_a_line_so_that_a_terminal_shows_its_prompt_below(machine):
    assert machine.get("/v1/me").content.endswith(b"}\n")


def test_a_method_that_a_path_does_not_take_is_refused_with_those_that_it_takes(machine):
    response = machine.post("/v1/me", "{}")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD, OPTIONS"
    assert machine.client.options("/v1/me", headers=machine.headers)["Allow"] == "GET, HEAD, OPTIONS"


def test_a_host_that_is_not_ours_is_refused(machine):
    response = machine.client.get("/v1/me", headers=machine.headers, HTTP_HOST="elsewhere.example")
    assert (response.status_code, response.json()["code"]) == (400, "host_unknown")


@pytest.mark.parametrize("length", ["-1", "many", "9" * 30, "1 0"])
def test_a_length_that_is_no_number_is_malformed(machine, length):
    response = machine.client.post("/v1/me", b"{}", content_type="application/json", CONTENT_LENGTH=length)
    assert (response.status_code, response.json()["code"]) == (400, "request_malformed")


@pytest.mark.parametrize(
    ("size", "status", "code"), [(10_000_000, 413, "body_too_large"), (5_000_000, 401, "key_missing")]
)
def test_who_sends_a_body_that_is_not_wanted_reads_why(committed_db, live_server_url, size, status, code):
    connection = http.client.HTTPConnection(live_server_url.removeprefix("http://"), timeout=30)
    connection.request("POST", "/v1/events", body=b"x" * size, headers={"Content-Type": "application/json"})
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["code"]) == (status, code)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200


def test_half_a_body_harms_nobody(committed_db, live_server_url):
    host, port = live_server_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as half:
        half.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b'Content-Length: 1000\r\n\r\n[{"id": "half'
        )
        half.shutdown(socket.SHUT_WR)
        answer = half.recv(65536)
    assert answer == b"" or b" 4" in answer.splitlines()[0]
    with urllib.request.urlopen(f"{live_server_url}/healthz", timeout=30) as response:
        assert response.status == 200


def test_a_request_id_is_given_back_and_a_strange_one_replaced(machine):
    assert machine.get("/v1/me", **{"X-Request-Id": "call-17.b"})["X-Request-Id"] == "call-17.b"
    assert re.fullmatch("[0-9a-f]{32}", machine.get("/v1/me", **{"X-Request-Id": "a b"})["X-Request-Id"])


def test_the_machines_door_opens_no_session(machine):
    response = machine.get("/v1/me")
    assert response.cookies == {}
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "Cookie" not in response.get("Vary", "")


def test_one_request_asks_the_database_no_more_than_it_must(machine, django_assert_num_queries):
    with django_assert_num_queries(1):  # the key
        machine.get("/v1/me")


def test_every_code_stands_in_the_documentation_with_its_status_and_title():
    table = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+?) \|$", (ROOT / "docs/api.md").read_text(), re.MULTILINE)
    assert {code: (int(status), title) for code, status, title in table} == {
        code: (kind.status, kind.title) for code, kind in PROBLEM_TYPES.items()
    }


def test_every_code_that_is_raised_is_known():
    raised = set()
    for path in (ROOT / "api").rglob("*.py"):
        raised |= set(re.findall(r"\bProblem\(\s*\"(\w+)\"", path.read_text()))
    assert raised <= set(PROBLEM_TYPES)
    assert problems.find_problem(Problem("internal")).type.status == 500
