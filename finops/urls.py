"""Every address: the machines' door, then the people's."""

from django.urls import include, path

urlpatterns = [
    path("", include("api.urls")),
    path("", include("dashboards.urls")),
]
