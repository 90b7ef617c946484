"""The Celery application; `schedule.py` is its timetable."""

import warnings

from celery import Celery
from celery.platforms import SecurityWarning

from finops.environment import load_environment
from finops.schedule import TIMETABLE

# In a container root is often the only account; tasks are JSON, which nothing executes.
warnings.filterwarnings("ignore", category=SecurityWarning)

load_environment()
app = Celery("finops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = TIMETABLE
app.autodiscover_tasks()
