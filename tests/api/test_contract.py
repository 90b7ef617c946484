"""Requests made from the schema, right ones and wrong ones: no answer of 5xx, and each as the schema says.

CONTRACT_EXAMPLES scales the number of requests for each call, as in
`CONTRACT_EXAMPLES=2000 pytest --timeout 0 tests/api/test_contract.py`.
"""

import json
import os

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from hypothesis import HealthCheck, settings
from schemathesis import openapi
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from content.contents import change_retention
from tests.factories import make_key, make_tenant

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "12"))
ALL_SCOPES = "ingest,backfill,read,audit,quota,admin"

load_all_checks()


@schemathesis.serializer("application/x-ndjson", "text/csv")
def send_lines(context, value):
    """Whatever was made for a text of lines, sent as it is."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode()


schema = openapi.from_wsgi("/v1/schema", WSGIHandler())


@pytest.fixture(scope="module")
def headers(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        acme = make_tenant("acme")
        change_retention(tenant_id=acme.id, days=30)  # else each prompt would be answered alike
        yield {"Authorization": f"Bearer {make_key(acme, ALL_SCOPES)}"}


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_call_answers_what_the_schema_says(case, headers):
    case.call_and_validate(headers=headers, excluded_checks=[negative_data_rejection, positive_data_acceptance])
