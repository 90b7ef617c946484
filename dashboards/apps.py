from django.apps import AppConfig


class DashboardsConfig(AppConfig):
    """The people's door: pages behind sign-in, and the views of them that people named."""

    name = "dashboards"
