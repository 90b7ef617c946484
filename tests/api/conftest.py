"""The machines' cast: *acme* is ours, *globex* must see nothing, the operator may act for both."""

from datetime import UTC, datetime

import pytest
from django.test import Client

from billing.ingestion import ingest_events
from billing.rates import forget_rate_book
from tenants.selectors import get_tenant
from tests.factories import make_key, make_tenant, publish_test_rates


class Machine:
    """A client that sends one key; every answer is checked to be JSON of the machines' door."""

    def __init__(self, token="", **headers):
        self.client = Client(raise_request_exception=True)
        self.headers = ({"Authorization": f"Bearer {token}"} if token else {}) | headers

    def get(self, path, query=None, **headers):
        return self.client.get(path, query, headers=self.headers | headers)

    def post(self, path, body, content_type="application/json", **headers):
        return self.client.post(path, body, content_type=content_type, headers=self.headers | headers)


@pytest.fixture
def acme(db):
    return make_tenant("acme")


@pytest.fixture
def globex(db):
    return make_tenant("globex")


@pytest.fixture
def machine(acme):
    return Machine(make_key(acme, "ingest,read"))


@pytest.fixture
def stranger(globex):
    return Machine(make_key(globex, "ingest,read"))


@pytest.fixture
def operator(db):
    return Machine(make_key(get_tenant("operator"), "ingest,read"))


@pytest.fixture
def book(db):
    """Books events of `make_event` for a tenant, as one request, and gives the receipt."""
    publish_test_rates()

    def ingest(tenant, *events, key_id="testkey", now=None):
        return ingest_events(
            tenant_id=tenant.id, api_key_id=key_id, events=list(enumerate(events)), now=now or datetime.now(UTC)
        )

    yield ingest
    forget_rate_book()  # the rates are rolled back with the test; the process's copy is not
