"""`set_password EMAIL`: for a person who forgot the password; the new one comes from the environment."""

import os

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.management.commands.create_user import PASSWORD_VARIABLE
from billing.members import reset_password
from tenants.people import PersonRefused

ACTOR = "command set_password"


class Command(BaseCommand):
    help = (
        f"Give a person a new password, read from {PASSWORD_VARIABLE}; every session of the person ends. "
        "Prints the person's id alone on the last line."
    )
    requires_system_checks = ("role",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *, email: str, **options: object) -> None:
        password = os.environ.get(PASSWORD_VARIABLE)
        if not password:
            raise CommandError(f"set {PASSWORD_VARIABLE} to the person's new password (12 characters or more)")
        try:
            user_id = reset_password(email=email, password=password, actor=ACTOR, now=timezone.now())
        except PersonRefused as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(user_id))
