"""Tenants, their people and their keys."""

from datetime import UTC, datetime, timedelta

from billing.keys import end_api_key, make_api_key, rotate_api_key
from billing.members import add_member, reset_password
from billing.rollups import change_reporting_timezone
from billing.tenants import change_fiscal_month, change_limits, open_tenant
from ledger.people import erase_person, refer_to_people
from tenants.keys import make_key_id
from tenants.people import create_user
from tenants.scope import tenant_scope
from tests.architecture.deeds.scenario import ME, NOW, PASSWORD, scenario


@scenario(open_tenant, "tenant.created")
def _(world):
    return lambda: open_tenant(slug="acme-new", timezone="Europe/Berlin", actor=ME, now=NOW)


@scenario(change_fiscal_month, "tenant.changed")
def _(world):
    return lambda: change_fiscal_month(tenant=world.acme, month=4, actor=ME, now=NOW)


@scenario(change_reporting_timezone, "tenant.changed")
def _(world):
    return lambda: change_reporting_timezone(**world.own, timezone="Europe/Berlin")


@scenario(change_limits, "limits.changed")
def _(world):
    return lambda: change_limits(**world.own, key_id=world.key_id, changes={"events": 5})


@scenario(add_member, "member.added")
def _(world):
    return lambda: add_member(
        email="mia@acme.example", password=PASSWORD, role="owner", tenant_slug=world.acme.slug, actor=ME, now=NOW
    )


@scenario(reset_password, "member.password_set")
def _(world):
    create_user(email="mia@acme.example", password=PASSWORD, role="owner", tenant_slug=world.acme.slug)
    return lambda: reset_password(email="mia@acme.example", password=f"{PASSWORD} too", actor=ME, now=NOW)


@scenario(erase_person, "person.erased")
def _(world):
    with tenant_scope(world.id):
        refer_to_people(tenant_id=world.id, external_ids=["mia@acme.example"], now=NOW)

    def perform():
        with tenant_scope(world.id):
            erase_person(**world.own, external_id="mia@acme.example")

    return perform


@scenario(make_api_key, "key.made")
def _(world):
    return lambda: make_api_key(**world.own, key_id=make_key_id(), name="new", scopes=("read",))


@scenario(rotate_api_key, "key.rotated")
def _(world):
    return lambda: rotate_api_key(
        **world.own, key_id=world.key_id, new_key_id=make_key_id(), overlap=timedelta(hours=1)
    )


@scenario(end_api_key, "key.revoked")
def _(world):
    own = world.own | {"now": datetime.now(UTC)}
    return lambda: end_api_key(**own, key_id=world.key_id)
