"""Making the people who sign in, and their passwords."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from tenants.models import OPERATOR_ROLES, TENANT_ROLES, Tenant, User


class PersonRefused(ValueError):
    """An address, role, tenant or password that cannot be; the text names which and the cure."""


def create_user(*, email: str, password: str, role: str, tenant_slug: str | None = None, name: str = "") -> int:
    """Make a person who can sign in, and return the id. Raises PersonRefused.

    An operator's role (admin, finance, engineer) goes without a tenant; a tenant's role (owner, viewer) with one.
    """
    if role not in OPERATOR_ROLES + TENANT_ROLES:
        raise PersonRefused(f"role {role!r} must be one of {', '.join(OPERATOR_ROLES + TENANT_ROLES)}")
    if role in TENANT_ROLES and not tenant_slug:
        raise PersonRefused(f"role {role!r} belongs to a tenant; name it")
    if role in OPERATOR_ROLES and tenant_slug:
        raise PersonRefused(f"role {role!r} is the operator's and belongs to no tenant; leave the tenant out")
    tenant = Tenant.objects.filter(slug=tenant_slug, is_operator=False).first() if tenant_slug else None
    if tenant_slug and tenant is None:
        raise PersonRefused(f"there is no tenant {tenant_slug!r}")
    person = User(email=email.strip().lower(), role=role, tenant=tenant, name=name)
    try:
        validate_email(person.email)
        validate_password(password, person)
    except ValidationError as error:
        raise PersonRefused(" ".join(error.messages)) from error
    person.set_password(password)
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError as error:
        raise PersonRefused(f"a person with the address {person.email} exists already") from error
    return person.pk


def set_password(*, email: str, password: str) -> int:
    """Give a person a new password, and return the id; sessions opened with the old one end. Raises PersonRefused."""
    person = User.objects.filter(email=email.strip().lower()).first()
    if person is None:
        raise PersonRefused(f"there is no person with the address {email.strip().lower()}")
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise PersonRefused(" ".join(error.messages)) from error
    person.set_password(password)
    person.save(update_fields=["password"])
    return person.pk
