"""The Celery application; `schedule.py` is its timetable."""

from celery import Celery

from finops.environment import load_environment
from finops.schedule import TIMETABLE

load_environment()
app = Celery("finops")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = TIMETABLE
app.autodiscover_tasks()
