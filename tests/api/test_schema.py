import re
from pathlib import Path

from django.contrib.staticfiles import finders

from api import urls
from api.schema import build_schema
from ledger.selectors import ENTRY_COLUMNS
from tests.api.conftest import Machine

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_KEY = {
    "Schema",
    "Docs",
    "Health",
    "Readiness",
    "Metrics",
    "PublicKeys",
    "LogCheckpoint",
    "LogConsistency",
    "AuditVerifier",
}
NOT_IN_THE_SCHEMA = {"/v1/docs"}  # a page


def list_paths():
    return {"/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", pattern.pattern._route): pattern for pattern in urls.urlpatterns}


def list_operations(document):
    return [(path, method, call) for path, calls in document["paths"].items() for method, call in calls.items()]


def test_the_schema_holds_every_path_and_method():
    paths = list_paths()
    document = build_schema()
    assert document["openapi"].startswith("3.1")
    assert set(document["paths"]) == set(paths) - NOT_IN_THE_SCHEMA
    for path, calls in document["paths"].items():
        view = paths[path].callback.cls
        assert set(calls) == {method for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)}


def test_every_reference_of_the_schema_has_its_component():
    text = str(build_schema())
    named = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert named <= set(build_schema()["components"]["schemas"])


def test_every_call_says_what_it_answers_and_which_problems_it_has():
    for path, method, call in list_operations(build_schema()):
        assert call["operationId"] and call["summary"], (path, method)
        assert any(status.startswith("2") for status in call["responses"]), (path, method)
        for status, answer in call["responses"].items():
            if status == "500" or (status[0] == "4"):
                assert set(answer["content"]) == {"application/problem+json"}, (path, status)


def test_every_call_but_the_open_ones_needs_a_key():
    for path, pattern in list_paths().items():
        view = pattern.callback.cls
        if view.__name__ in WITHOUT_KEY:
            assert view.permission_classes == (), path
            continue
        assert hasattr(view, "required_scope"), path
        for method, call in build_schema()["paths"][path].items():
            assert call["security"] == [{"apiKey": []}], (path, method)
            assert {"401", "403"} <= set(call["responses"]), (path, method)


def test_an_entry_in_the_schema_has_the_ledgers_columns():
    entry = build_schema()["components"]["schemas"]["Entry"]
    assert set(entry["properties"]) == {"id", *ENTRY_COLUMNS}
    assert set(entry["required"]) == {"id", *ENTRY_COLUMNS}


def test_the_schema_is_made_without_a_warning(capsys):
    build_schema.__wrapped__()
    assert "Warning" not in capsys.readouterr().err


def test_the_schema_is_served_to_everybody_and_names_no_host(db):
    response = Machine().get("/v1/schema")
    assert response.status_code == 200
    assert response.json() == build_schema()
    assert "servers" not in response.json()


def test_every_path_stands_in_the_documentation():
    text = (ROOT / "docs/api.md").read_text()
    documented = set(re.findall(r"^\| `(?:GET|POST|PUT|DELETE) (/\S*)` \|", text, re.MULTILINE))
    assert documented == set(list_paths())


def test_the_page_to_try_it_on_runs_no_inline_script_and_asks_no_other_host(db):
    response = Machine().get("/v1/docs")
    page = response.content.decode()
    policy = response["Content-Security-Policy"]
    assert "script-src 'self';" in policy and "default-src 'none'" in policy
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses and all(address.startswith(("/static/", "/v1/schema")) for address in addresses)
    for address in addresses:
        if address.startswith("/static/"):
            assert finders.find(address.removeprefix("/static/")), address
