"""The WSGI application that granian serves."""

from django.core.wsgi import get_wsgi_application

from finops.environment import load_environment

load_environment()
application = get_wsgi_application()

from finops.checks import refuse_strong_role  # noqa: E402 - needs the settings

refuse_strong_role()
