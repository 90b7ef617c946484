"""`POST /v1/quota/check` before Django and in it: one question, one answer, and who answered."""

import gzip
import io
import json
import socket
import time
from datetime import UTC, datetime
from threading import current_thread

import django.db
import pytest
import redis
from django.core.handlers.wsgi import WSGIHandler
from hypothesis import given
from hypothesis import strategies as st

from alerts import quota
from alerts.budgets import create_budget
from alerts.core.budget_terms import read_terms
from alerts.counters import get_counters
from api import quota_door
from api.buckets import get_buckets
from api.parsing import quota as parsing
from api.views import quota as quota_view
from tenants import keys
from tenants.keys import revoke_api_key
from tenants.limits import set_limits
from tenants.selectors import get_tenant
from tests.factories import make_key, make_tenant, publish_test_rates

pytestmark = pytest.mark.usefixtures("committed_db")

CALL = {"provider": "openai", "model": "gpt-4o-2024-08-06", "feature": "summarizer"}
TOKENS = {"estimated_input_tokens": 1000, "max_output_tokens": 500}
OF_A_MOMENT = ("reservation_id", "held_until", "retry_after_seconds")  # not the same twice
DENY = [{"at_percent": 100, "do": "deny"}]


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch):
    """One that remembers nothing, and then a key for as long as a test takes."""
    publish_test_rates()
    quota._reads.clear()
    get_counters.cache_clear()
    get_buckets.cache_clear()
    monkeypatch.setattr(quota_door, "BRIEFLY_SECONDS", 60)
    yield
    get_counters.cache_clear()
    get_buckets.cache_clear()


@pytest.fixture
def acme():
    tenant = make_tenant("acme")
    add_budget(tenant)
    return tenant


@pytest.fixture
def token(acme):
    return make_key(acme, "quota")


def add_budget(tenant, amount="1.00", *, name="all", actions=DENY, **fields):
    document = {"name": name, "window": "month", "amount": amount, "actions": actions} | fields
    create_budget(read_terms(document), tenant_id=tenant.id, actor="key test", now=datetime.now(UTC))


def make_environ(token, body, **changes):
    """As granian makes it; None leaves a variable out."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    environ = {
        "REQUEST_METHOD": "POST", "SCRIPT_NAME": "", "PATH_INFO": "/v1/quota/check", "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body), "HTTP_HOST": "127.0.0.1:8000", "HTTP_AUTHORIZATION": f"Bearer {token}",
        "HTTP_X_REQUEST_ID": "r-7", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)),
    }  # fmt: skip
    return {name: value for name, value in (environ | changes).items() if value is not None}


class Doors:
    """The application with the door before it, and without."""

    def __init__(self):
        self.django, self.handed_on = WSGIHandler(), 0

    def ask(self, environ):
        return self._run(quota_door.QuotaDoor(self._hand_on), environ)

    def ask_django(self, environ):
        return self._run(self.django, environ)

    def _hand_on(self, environ, start_response):
        self.handed_on += 1
        return self.django(environ, start_response)

    def _run(self, application, environ):
        started = []
        chunks = application(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
        body = b"".join(chunks)
        if hasattr(chunks, "close"):
            chunks.close()
        [(status, headers)] = started
        return status, dict(headers), body


def compare(doors, token, body, **changes):
    """Both answers, which are the same but for what is of a moment."""
    theirs = doors.ask_django(make_environ(token, body, **changes))
    ours = doors.ask(make_environ(token, body, **changes))
    (status, headers, document), other = map(leave_out_the_moment, (ours, theirs))
    assert (status, headers, document) == other
    return status, document


def leave_out_the_moment(answer):
    status, headers, body = answer
    document = json.loads(body or b"{}")
    if "Retry-After" in headers and "retry_after_seconds" in document:
        assert int(headers["Retry-After"]) == document["retry_after_seconds"]
    if document.get("decision"):
        headers = headers | {"Content-Length": int(headers["Content-Length"]) - len(body), "Retry-After": 0}
        document = document | {name: document[name] is not None for name in OF_A_MOMENT}
    return status, headers, document


WHOLE = CALL | TOKENS
TEXT = json.dumps(WHOLE).encode()


@pytest.mark.parametrize(("body", "status"), [
    (CALL, 200),
    (WHOLE, 200),
    (WHOLE | {"reserve": True, "request_id": "r-1", "hold_seconds": 60}, 200),
    (WHOLE | {"reserve": False}, 200),
    (CALL | {"estimated_cost": "0.5"}, 200),
    (CALL | {"estimated_cost": "1.000000000001"}, 429),
    (CALL | {"estimated_cost": "2", "reserve": True}, 429),
    (CALL | {"model": "gpt-4o-2024-08-06", "max_output_tokens": 1_000_000_000, "estimated_input_tokens": 0}, 429),
    (CALL | {"model": "a model of nobody's"} | TOKENS, 200),
    (CALL | {"user": "", "cost_center": "", "environment": "", "key": "", "service_tier": "", "region": ""}, 200),
    (CALL | {"feature": "Zusammenfassung für Gäste"}, 200),
    (json.dumps(CALL | {"feature": "für"}, ensure_ascii=False).encode(), 200),
    (json.dumps(CALL | {"feature": 'a "quoted" \\ name'}).encode(), 200),
    (b" \n" + json.dumps(WHOLE, indent=2).encode() + b"\n", 200),
    (TEXT.replace(b"1000", b"-0"), 200),
])  # fmt: skip
def test_a_check_is_answered_as_django_answers_it_and_without_it(acme, token, body, status):
    doors = Doors()
    doors.ask(make_environ(token, CALL))  # from here on the key is known
    assert doors.handed_on == 1
    assert compare(doors, token, body)[0].startswith(str(status))
    assert doors.handed_on == 1


@pytest.mark.parametrize(("body", "code"), [
    (b"", "body_empty"),
    (b"  ", "body_empty"),
    (b"{", "quota_invalid"),
    (b"[]", "quota_invalid"),
    (b'"gpt-4o"', "quota_invalid"),
    (b"\x1f\x8b...", "body_malformed"),
    (b'{"provider": "a", "provider": "b", "model": "m"}', "quota_invalid"),
    (b'{"provider": "a", "model": "m", "reserve": true, "reserve": false}', "quota_invalid"),
    (b'{"provider": "a", "model": "m", "feature": "\\u0000"}', "quota_invalid"),
    (b'{"provider": "a", "model": "m", "feature": "\\ud800"}', "quota_invalid"),
    (b'{"provider": "a", "model": "m", "feature": "\xff"}', "quota_invalid"),
    (b'{"provider": "a", "model": "m", "feature": "\x01"}', "quota_invalid"),
    (b'{"provider": "a", "model": "m", "hold_seconds": 1.0}', "quota_invalid"),
    (b'{"provider": "a", "model": "m", "hold_seconds": NaN}', "quota_invalid"),
    (b'{"provider": "a", "model": "m"} {}', "quota_invalid"),
    (TEXT.replace(b"1000", b"01000"), "quota_invalid"),
    (TEXT.decode().encode("utf-16"), None),  # which JSON is allowed to be, by Python's reading of it
    (b"\xef\xbb\xbf" + TEXT, None),
    (CALL | {"feature": None}, "quota_invalid"),
    (CALL | {"reserve": 1, "max_output_tokens": True}, "quota_invalid"),
    (CALL | {"max_output_tokens": 10**12 + 1, "estimated_input_tokens": 10**30}, "quota_invalid"),
    (CALL | {"hold_seconds": 3601, "request_id": "x" * 129}, "quota_invalid"),
    (CALL | {"request_id": ""}, "quota_invalid"),
    (CALL | {"model": ""}, "quota_invalid"),
    (CALL | {"tokens": 1}, "quota_invalid"),
    (CALL | {"estimated_cost": "1e-3"}, None),
    (CALL | {"estimated_cost": "NaN"}, "quota_invalid"),
    (CALL | {"feature": "x" * 70_000}, "quota_invalid"),
])  # fmt: skip
def test_a_body_that_is_no_plain_check_gets_django_s_answer(acme, token, body, code):
    doors = Doors()
    doors.ask(make_environ(token, CALL))
    status, document = compare(doors, token, body)
    assert document.get("code") == code and status.startswith("200") == (code is None)


@pytest.mark.parametrize(("changes", "status", "handed_on"), [
    ({"HTTP_ACCEPT": "text/html"}, 200, False),
    ({"HTTP_HOST": "localhost"}, 200, False),
    ({"HTTP_HOST": "[::1]:8000"}, 200, False),
    ({"HTTP_HOST": "example.com"}, 400, True),
    ({"HTTP_HOST": "127.0.0.1:80:80"}, 400, True),
    ({"HTTP_HOST": None}, 200, True),
    ({"REQUEST_METHOD": "GET"}, 405, True),
    ({"REQUEST_METHOD": "OPTIONS"}, 200, True),
    ({"QUERY_STRING": "dry=1"}, 422, True),
    ({"PATH_INFO": "/v1/quota/check/"}, 404, True),
    ({"CONTENT_TYPE": "text/plain"}, 415, True),
    ({"CONTENT_TYPE": None}, 415, True),
    ({"CONTENT_TYPE": "application/json; charset=utf-8"}, 200, True),
    ({"CONTENT_LENGTH": "many"}, 400, True),
    ({"CONTENT_LENGTH": "-5"}, 400, True),
    ({"CONTENT_LENGTH": "9999"}, 400, True),
    ({"CONTENT_LENGTH": "99999999"}, 413, True),
    ({"CONTENT_LENGTH": None}, 400, True),
    ({"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}, 200, True),
    ({"HTTP_CONTENT_ENCODING": "gzip"}, 400, True),
    ({"HTTP_CONTENT_ENCODING": "br"}, 415, True),
    ({"HTTP_CONTENT_ENCODING": "identity"}, 200, True),
    ({"wsgi.url_scheme": "https"}, 200, True),
    ({"HTTP_AUTHORIZATION": None}, 401, True),
    ({"HTTP_AUTHORIZATION": "Basic YTpi"}, 401, True),
    ({"HTTP_AUTHORIZATION": "Bearer tl_nobody"}, 401, True),
    ({"HTTP_X_TENANT": "globex"}, 403, True),
])  # fmt: skip
def test_a_request_that_is_no_plain_one_gets_django_s_answer(acme, token, changes, status, handed_on):
    doors = Doors()
    doors.ask(make_environ(token, CALL))
    assert compare(doors, token, CALL, **changes)[0].startswith(str(status))
    assert doors.handed_on == 1 + handed_on


def test_a_packed_check_gets_django_s_answer(acme, token):
    doors = Doors()
    doors.ask(make_environ(token, CALL))
    assert compare(doors, token, gzip.compress(TEXT), HTTP_CONTENT_ENCODING="gzip")[0] == "200 OK"


def test_a_request_without_an_id_of_use_gets_a_new_one(acme, token):
    doors = Doors()
    answers = [doors.ask(make_environ(token, CALL, HTTP_X_REQUEST_ID=sent)) for sent in (None, "a space", "x" * 65)]
    assert doors.handed_on == 1
    assert [len(headers["X-Request-Id"]) for _, headers, _ in answers] == [32, 32, 32]
    assert len({headers["X-Request-Id"] for _, headers, _ in answers}) == 3


def test_a_key_without_the_scope_gets_django_s_answer(acme):
    doors, other = Doors(), make_key(acme, "ingest")
    doors.ask(make_environ(other, CALL))
    assert compare(doors, other, CALL)[1]["code"] == "scope_missing"
    assert doors.handed_on == 2


def test_an_operator_s_key_may_name_a_tenant(acme):
    doors, token = Doors(), make_key(get_tenant("operator"), "quota")
    doors.ask(make_environ(token, CALL))
    assert compare(doors, token, CALL, HTTP_X_TENANT=acme.slug)[1]["budget"]["name"] == "all"


def test_a_key_is_asked_for_anew_beside_the_checks(acme, token, monkeypatch):
    asked, find_api_key = [], keys.find_api_key
    monkeypatch.setattr(keys, "find_api_key", lambda token: asked.append(current_thread().name) or find_api_key(token))
    monkeypatch.setattr(quota_door, "BRIEFLY_SECONDS", 2)
    doors = Doors()
    for pause in (0, 0.5, 0.6, 0.5, 0.7):
        time.sleep(pause)
        assert doors.ask(make_environ(token, CALL))[0] == "200 OK"
    assert doors.handed_on == 1
    assert (asked[0], set(asked[1:])) == ("MainThread", {"quota-keys_0"})


def test_a_revoked_key_is_refused_when_its_moment_is_over(acme, token, monkeypatch):
    doors = Doors()
    doors.ask(make_environ(token, CALL))
    revoke_api_key(tenant_id=acme.id, key_id=token.split("_")[1], now=datetime.now(UTC))
    assert doors.ask(make_environ(token, CALL))[0] == "200 OK"
    monkeypatch.setattr(quota_door, "BRIEFLY_SECONDS", 0)
    monkeypatch.setattr(keys, "_remembered", {})
    assert compare(doors, token, CALL)[1]["code"] == "key_invalid"


def test_a_key_s_limit_holds_at_the_door(acme, token):
    set_limits(tenant_id=acme.id, key_id=token.split("_")[1], changes={"requests": 1})
    doors = Doors()
    assert [doors.ask(make_environ(token, CALL))[0] for _ in range(10)] == ["200 OK"] * 10
    status, document = compare(doors, token, CALL)
    assert (status, document["code"], doors.handed_on) == ("429 Too Many Requests", "rate_limited", 1)


def test_what_goes_wrong_within_a_check_is_told_as_django_tells_it(acme, token, monkeypatch, caplog):
    doors = Doors()
    doors.ask(make_environ(token, CALL))
    for error, code in ((django.db.OperationalError("away"), "database_away"), (KeyError("ours"), "internal")):

        def fail(*_, error=error, **__):
            raise error

        monkeypatch.setattr(quota_view, "check_quota", fail)
        caplog.clear()
        assert compare(doors, token, CALL)[1]["code"] == code
        assert doors.handed_on == 1
        ours, theirs = (one.getMessage() for one in caplog.records if one.name == "api.problems")
        assert ours == theirs


def test_postgresql_decides_behind_the_door_while_redis_is_away(acme, token, settings):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{probe.getsockname()[1]}/0"
        doors = Doors()
        doors.ask(make_environ(token, CALL))
        status, document = compare(doors, token, CALL | {"estimated_cost": "2"})
    assert (status, document["counters"], doors.handed_on) == ("429 Too Many Requests", "database", 1)


def test_a_redis_that_closed_its_connections_is_asked_again_at_once(acme, token, redis_server):
    doors = Doors()
    doors.ask(make_environ(token, CALL))
    redis.Redis.from_url(redis_server).client_kill_filter(_type="normal", skipme=True)
    assert json.loads(doors.ask(make_environ(token, CALL))[2])["counters"] == "redis"
    redis.Redis.from_url(redis_server).script_flush()
    assert json.loads(doors.ask(make_environ(token, CALL))[2])["counters"] == "redis"


MEMBERS = st.fixed_dictionaries({}, optional={
    "provider": st.sampled_from(["openai", "", "a\"b", "ü"]), "model": st.sampled_from(["m", "", 7, None]),
    "user": st.text(max_size=5) | st.integers() | st.none(), "reserve": st.booleans() | st.integers(0, 1),
    "max_output_tokens": st.integers(-2, 2) | st.floats() | st.integers(10**12 - 1, 10**12 + 1) | st.booleans(),
    "hold_seconds": st.integers(0, 2) | st.integers(3599, 3601), "request_id": st.text(max_size=2),
    "estimated_cost": st.sampled_from(["1", "-1", "1e5", "0.0000000000001", 1]), "other": st.none(),
})  # fmt: skip


@given(MEMBERS, st.booleans(), st.sampled_from([None, 0, 1]), st.integers(0, 60))
def test_the_quick_reading_of_a_check_is_the_close_one(members, is_ascii, indent, doubled):
    """Also where a part of the text stands twice, so that names do."""
    text = json.dumps(members, ensure_ascii=is_ascii, indent=indent)
    for body in (text, text[:-1] + "," + text[1:], text[:doubled] + text[doubled // 2 :]):
        quick = parsing._read_plainly(body.encode("utf-8", "surrogatepass"))
        if quick is not None:
            assert quick == parsing._read_closely(body.encode())
