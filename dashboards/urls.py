"""The people's addresses."""

from allauth.account.views import LoginView, LogoutView
from django.urls import path
from django.views.decorators.http import require_POST

from dashboards.views.appearance import choose_theme

urlpatterns = [
    path("sign-in", LoginView.as_view(template_name="account/sign_in.html"), name="account_login"),
    path("sign-out", require_POST(LogoutView.as_view()), name="account_logout"),
    path("theme", choose_theme, name="theme"),
]
