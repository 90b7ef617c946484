from django.apps import AppConfig


class FinopsConfig(AppConfig):
    name = "finops"

    def ready(self) -> None:
        """Let Django know of our system checks."""
        from finops import checks  # noqa: F401
