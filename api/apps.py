"""The machines' door as a Django app: it brings the documentation page's files, and no table."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "api"
