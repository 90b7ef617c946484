"""The Celery application; `schedule.py` is its timetable."""

import logging
import os
import time
import warnings

from celery import Celery, Task
from celery.platforms import SecurityWarning
from celery.signals import beat_init, task_success, worker_init
from kombu.transport.redis import Channel

from finops.environment import load_environment
from finops.schedule import TIMETABLE

# In a container root is often the only account; tasks are JSON, which nothing executes.
warnings.filterwarnings("ignore", category=SecurityWarning)

# They load every view, which takes a second, and Celery does not mind what they say.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

# When Redis goes away, tasks under way are not put back by hand: that ends the worker (kombu 5.7). Whatever they do is
# knocked at again by beat.
Channel.do_restore = False

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


@worker_init.connect
def announce_receipt_key(**options: object) -> None:
    """Workers book fees, corrections and acts: they sign receipts. The sealer signs none."""
    from django.conf import settings

    from finops.keys import announce_own_key

    if "sealer" not in settings.DATABASES:
        announce_own_key()


# A task that runs each two seconds need not say so each time; of each process, by the process's own clock.
SUCCESS_KEPT_EVERY = 10.0
_kept_at: dict[str, float] = {}


@task_success.connect
def keep_success(sender: Task, **options: object) -> None:
    """For the page of jobs, and `doctor`: a job that stops saying so has stopped."""
    from django.utils import timezone

    from billing.job_runs import record_success

    now = time.monotonic()
    if now - _kept_at.get(sender.name, -SUCCESS_KEPT_EVERY) < SUCCESS_KEPT_EVERY:
        return
    try:
        record_success(task=sender.name, now=timezone.now())
        _kept_at[sender.name] = now
    except Exception:
        logging.getLogger(__name__).exception("that %s came to its end could not be kept", sender.name)
