"""`create_user EMAIL --role ROLE [--tenant SLUG]`: the password comes from the environment."""

import os

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.members import add_member
from tenants.models import OPERATOR_ROLES, TENANT_ROLES
from tenants.people import PersonRefused

ACTOR = "command create_user"
PASSWORD_VARIABLE = "TOKENLEDGER_PASSWORD"


class Command(BaseCommand):
    help = (
        f"Make a person who can sign in; the password is read from {PASSWORD_VARIABLE}. "
        "Prints the person's id alone on the last line."
    )
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--role", required=True, choices=OPERATOR_ROLES + TENANT_ROLES)
        parser.add_argument("--tenant", help="slug; for the roles owner and viewer")
        parser.add_argument("--name", default="")

    def handle(self, *, email: str, role: str, tenant: str | None, name: str, **options: object) -> None:
        password = os.environ.get(PASSWORD_VARIABLE)
        if not password:
            raise CommandError(f"set {PASSWORD_VARIABLE} to the person's password (12 characters or more)")
        try:
            user_id = add_member(
                email=email,
                password=password,
                role=role,
                tenant_slug=tenant,
                name=name,
                actor=ACTOR,
                now=timezone.now(),
            )
        except PersonRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(user_id))
