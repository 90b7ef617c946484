from django.apps import AppConfig


class DashboardsConfig(AppConfig):
    """The people's door: pages behind sign-in. No models."""

    name = "dashboards"
