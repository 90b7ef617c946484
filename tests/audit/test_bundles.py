"""The evidence archive of a month as it was booked: what is in it, and what the verifier says of it."""

from datetime import UTC, datetime

import pytest

from audit.bundles import stream_bundle
from audit.sealed_months import find_sealed_month
from tests.audit.months import OCTOBER, book_october
from tests.audit.verifying import find_faults
from tests.factories import make_tenant, name_maker
from tests.ledger.sealing import seal

pytestmark = pytest.mark.usefixtures("committed_db", "fresh_rate_book")


def read_bundle(tenant, period=OCTOBER):
    month = find_sealed_month(tenant=tenant, period=period, now=datetime.now(UTC))
    return b"".join(stream_bundle(month))


def test_a_month_of_every_kind_of_row_is_verified_to_the_last_digit(tmp_path):
    acme = make_tenant("acme")
    book_october(acme, provider=name_maker(acme))
    seal(at_once=True)
    assert find_faults(tmp_path, read_bundle(acme)) == []
