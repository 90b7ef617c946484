"""The Celery application; `schedule.py` is its timetable."""

import warnings

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import beat_init, worker_init

from finops.environment import load_environment
from finops.schedule import TIMETABLE

# In a container root is often the only account; tasks are JSON, which nothing executes.
warnings.filterwarnings("ignore", category=SecurityWarning)

load_environment()
app = Celery("finops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = TIMETABLE
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def refuse_strong_role(**options: object) -> None:
    """Celery runs the system checks and does not mind what they say; an exception of a signal's it would log."""
    from django.core.exceptions import ImproperlyConfigured

    from finops import checks

    try:
        checks.refuse_strong_role()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from None
