import pytest

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
def luna_before_its_cut(fresh_rate_book):
    publish_before()
