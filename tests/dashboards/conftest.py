import pytest

from billing.rates import forget_rate_book
from tests.dashboards.luna import publish_before


@pytest.fixture(autouse=True)
def quick_hasher(request, settings):
    """The product's password hash takes a fifth of a second on purpose; only tests of that wait for it."""
    if "slow_hasher" not in request.fixturenames:
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def slow_hasher():
    """The product's own."""


@pytest.fixture
def fresh_rate_book():
    """For tests that publish rates and roll them back: nothing remembered of those before, nor by those after."""
    forget_rate_book()
    yield
    forget_rate_book()


@pytest.fixture
def luna_before_its_cut(fresh_rate_book):
    publish_before()
