"""The people's addresses."""

from allauth.account.views import LoginView, LogoutView
from django.urls import path, register_converter
from django.views.decorators.http import require_POST

from dashboards.views.appearance import choose_theme
from dashboards.views.entry import show_entry, show_entry_content, show_entry_json
from dashboards.views.ledger import count_newer, export_ledger, find_entry, show_ledger
from dashboards.views.overview import await_first_entry, export_overview
from dashboards.views.rejected import show_rejected
from dashboards.views.tenants import export_tenants, open_home, show_tenants


class EntryIdConverter:
    """An entry's public id, `<batch_id>.<line>`."""

    regex = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.[0-9]{1,10}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(EntryIdConverter, "entry_id")

urlpatterns = [
    path("", open_home, name="overview"),
    path("overview.csv", export_overview, name="overview_csv"),
    path("first-entry", await_first_entry, name="first_entry"),
    path("tenants", show_tenants, name="tenants"),
    path("tenants.csv", export_tenants, name="tenants_csv"),
    path("ledger", show_ledger, name="ledger"),
    path("ledger.csv", export_ledger, name="ledger_csv"),
    path("ledger/newer", count_newer, name="ledger_newer"),
    path("ledger/<entry_id:entry_id>", show_entry, name="entry"),
    path("ledger/<entry_id:entry_id>.json", show_entry_json, name="entry_json"),
    path("ledger/<entry_id:entry_id>/content", show_entry_content, name="entry_content"),
    path("find", find_entry, name="find"),
    path("rejected", show_rejected, name="rejected"),
    path("sign-in", LoginView.as_view(template_name="account/sign_in.html"), name="account_login"),
    path("sign-out", require_POST(LogoutView.as_view()), name="account_logout"),
    path("theme", choose_theme, name="theme"),
]
