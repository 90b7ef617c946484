"""The Celery application; `schedule.py` is its timetable."""

import os
import warnings

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import beat_init, worker_init

from finops.environment import load_environment
from finops.schedule import TIMETABLE

# In a container root is often the only account; tasks are JSON, which nothing executes.
warnings.filterwarnings("ignore", category=SecurityWarning)

# They load every view, which takes a second, and Celery does not mind what they say.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

load_environment()
app = Celery("finops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = TIMETABLE
app.autodiscover_tasks()


@worker_init.connect
@beat_init.connect
def refuse_strong_role(**options: object) -> None:
    """The one check that matters here; an exception of a signal's Celery would log."""
    from django.core.exceptions import ImproperlyConfigured

    from finops import checks

    try:
        checks.refuse_strong_role()
    except ImproperlyConfigured as error:
        raise SystemExit(str(error)) from None
