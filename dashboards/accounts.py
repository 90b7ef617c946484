"""Signing in and out: e-mail and password, nobody signs up, five wrong passwords close the door for a while."""

from allauth.account.adapter import DefaultAccountAdapter
from axes.helpers import get_cool_off
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tenants.models import User


class AccountAdapter(DefaultAccountAdapter):
    """People are made by `manage.py create_user`, never by a form."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "email_password_mismatch": "That e-mail and password do not belong together.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def respond_user_inactive(self, request: HttpRequest, user: User) -> HttpResponse:
        """Reached with the right password only, so it tells a stranger nothing."""
        return render(request, "account/inactive.html", status=403)


def read_login_name(request: HttpRequest, credentials: dict[str, str] | None) -> str:
    """The address under which failures are counted: one, however it is capitalised or padded."""
    given = credentials or {}
    name = given.get("email") or given.get("login") or given.get("username") or request.POST.get("login", "")
    return name.strip().lower()[:254]


def answer_lockout(
    request: HttpRequest,
    original_response: HttpResponse | None = None,
    credentials: dict[str, str] | None = None,
) -> HttpResponse:
    """The page for a closed door: the same for an address that nobody has."""
    minutes = round(get_cool_off(request).total_seconds() / 60)
    response = render(request, "account/locked.html", {"minutes": minutes}, status=429)
    response.headers["Retry-After"] = str(minutes * 60)
    return response
