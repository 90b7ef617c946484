import pytest
from django.db import connection, transaction

from tenants.scope import reading_scope, tenant_scope
from tests.factories import make_key, make_tenant

pytestmark = pytest.mark.usefixtures("committed_db")


def visible_tenants():
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant_id FROM api_key")
        return {tenant_id for (tenant_id,) in cursor.fetchall()}


@pytest.fixture
def tenants():
    acme, globex = make_tenant("acme"), make_tenant("globex")
    make_key(acme)
    make_key(globex)
    return acme, globex


def test_outside_of_any_scope_nothing_is_visible(tenants):
    assert visible_tenants() == set()
    with tenant_scope(tenants[0].id):
        pass
    assert visible_tenants() == set()


def test_a_scope_shows_its_tenant_alone(tenants):
    acme, globex = tenants
    with tenant_scope(acme.id):
        assert visible_tenants() == {acme.id}
    with tenant_scope(globex.id):
        assert visible_tenants() == {globex.id}


def test_after_an_inner_scope_the_outer_tenant_is_set_again(tenants):
    acme, globex = tenants
    with tenant_scope(acme.id):
        with tenant_scope(globex.id):
            assert visible_tenants() == {globex.id}
        assert visible_tenants() == {acme.id}
    with transaction.atomic():
        with tenant_scope(globex.id):
            assert visible_tenants() == {globex.id}
        assert visible_tenants() == set()


def test_an_error_in_an_inner_scope_leaves_the_outer_tenant_set(tenants):
    acme, globex = tenants
    with tenant_scope(acme.id):
        with pytest.raises(ZeroDivisionError), tenant_scope(globex.id):
            raise ZeroDivisionError
        assert visible_tenants() == {acme.id}


def test_a_reader_in_a_scope_of_the_same_tenant_asks_nothing_more(tenants, django_assert_num_queries):
    acme, globex = tenants
    with reading_scope(acme.id), django_assert_num_queries(1), reading_scope(acme.id):
        assert visible_tenants() == {acme.id}
    assert visible_tenants() == set()
    with tenant_scope(acme.id):
        with reading_scope(globex.id), reading_scope(globex.id):
            assert visible_tenants() == {globex.id}
        with pytest.raises(ZeroDivisionError), reading_scope(globex.id):
            raise ZeroDivisionError
        with django_assert_num_queries(1), reading_scope(acme.id):
            assert visible_tenants() == {acme.id}


def test_a_row_of_another_tenant_cannot_be_written(tenants):
    from django.db import ProgrammingError

    acme, globex = tenants
    with pytest.raises(ProgrammingError, match="row-level security"), tenant_scope(acme.id):
        connection.cursor().execute(
            "INSERT INTO person (tenant_id, user_ref, external_id, created_at) VALUES (%s, 'u', 'x', now())",
            [globex.id],
        )
