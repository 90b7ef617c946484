"""The machines' door as a Django app: it brings the documentation page's files, and no table."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "api"

    def ready(self) -> None:
        """Tell the schema generator how a key is sent; it finds such descriptions by their being imported."""
        from api import schema  # noqa: F401
