"""What a rate, or a mapping rule, changes of what was booked: counted before, and booked afterwards.

A job is a row: how far it came stands there, written in the transaction that did it. So it may be killed, paused or
taken over by another worker at any moment, and what it had booked it does not book again. Read first: `jobs.py`
(`work_job`), then `pages.py`.
"""

from billing.reratings.jobs import (
    JobRefused,
    JobUnknown,
    cancel_job,
    pause_job,
    resume_job,
    start_preview,
    start_projection,
    start_reallocation,
    start_rerating,
    work_job,
    work_jobs,
)
from billing.reratings.preview import Preview, preview_rate
from billing.reratings.selectors import JobInfo, get_job, list_jobs

__all__ = [
    "JobInfo",
    "JobRefused",
    "JobUnknown",
    "Preview",
    "cancel_job",
    "get_job",
    "list_jobs",
    "pause_job",
    "preview_rate",
    "resume_job",
    "start_preview",
    "start_projection",
    "start_reallocation",
    "start_rerating",
    "work_job",
    "work_jobs",
]
