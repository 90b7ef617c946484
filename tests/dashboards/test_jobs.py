"""The operator sees which periodic job came to its end when, and which one is overdue."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.job_runs import record_success
from billing.models import JobRun
from billing.selectors.jobs import list_jobs, name_overdue
from billing.selectors.state import list_task_successes
from finops.celery import keep_success
from finops.schedule import TIMETABLE
from tests.dashboards.pages import get_page, read_tables, sign_in
from tests.factories import make_tenant

pytestmark = pytest.mark.django_db
TWO_SECONDS = {"roll up": {"task": "t.roll_up", "schedule": 2.0}, "prune": {"task": "t.prune", "schedule": 60.0}}


def test_a_job_is_overdue_after_three_periods_and_five_minutes_or_when_it_never_ended():
    JobRun.objects.filter(job__startswith="task ").delete()
    record_success(task="t.roll_up", now=datetime.now(UTC))
    last = max(list_task_successes()["t.roll_up"])

    def judge(seconds):
        return {row.name: row.is_overdue for row in list_jobs(TWO_SECONDS, now=last + timedelta(seconds=seconds))}

    # 3 times 2 s, or 60 s, and 300 s; what never ended is measured from the first end of any.
    assert [judge(305), judge(307), judge(479), judge(481)] == [
        {"prune": False, "roll up": False},
        {"prune": False, "roll up": True},
        {"prune": False, "roll up": True},
        {"prune": True, "roll up": True},
    ]


def test_overdue_jobs_are_named_in_a_line_with_their_ages_the_longest_silent_first_five_at_most():
    JobRun.objects.filter(job__startswith="task ").delete()
    jobs = {name: {"task": f"t.{name}", "schedule": 2.0} for name in "abcdefg"}
    record_success(task="t.a", now=datetime.now(UTC))
    [(_, last)] = list_task_successes().values()
    assert name_overdue(list_jobs(jobs, now=last + timedelta(seconds=305))) == ""
    later = last + timedelta(minutes=12, seconds=5)
    assert name_overdue(list_jobs({name: jobs[name] for name in "ab"}, now=later)) == "b (never), a (12 min ago)"
    assert name_overdue(list_jobs(jobs, now=later)) == ("b (never), c (never), d (never), e (never), f (never), 2 more")


def test_the_page_names_every_job_of_the_timetable_and_what_is_overdue_first():
    for entry in TIMETABLE.values():
        record_success(task=entry["task"], now=datetime.now(UTC))
    page = get_page(sign_in(role="engineer"), "/jobs")
    (table,) = read_tables(page)
    assert len(table) == len(TIMETABLE) + 1
    assert {row[-1] for row in table[1:]} == {"in time"}
    assert f"None of {len(TIMETABLE)} jobs is overdue." in page


def test_before_the_first_success_every_job_is_overdue():
    JobRun.objects.filter(job__startswith="task ").delete()
    page = get_page(sign_in(role="admin"), "/jobs")
    assert "▲ overdue" in page and "See whether beat and a worker run." in page


def test_a_tenants_person_does_not_see_it():
    assert sign_in(make_tenant("acme"), role="owner").get("/jobs").status_code == 404


def test_a_worker_keeps_that_a_task_came_to_its_end_and_not_each_time():
    class Task:
        name = f"t.{datetime.now(UTC).timestamp()}"

    keep_success(Task())
    first = list_task_successes()[Task.name]
    keep_success(Task())
    assert list_task_successes()[Task.name] == first
