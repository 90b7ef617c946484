"""Every address: the machines' door, then the people's."""

from django.urls import include, path

urlpatterns = [
    path("", include("api.urls")),
    path("", include("dashboards.urls")),
]

handler400 = "dashboards.views.failures.answer_bad_request"
handler500 = "dashboards.views.failures.answer_failure"
