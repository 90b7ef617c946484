"""Which scheduled job ran when: a slot is taken once, however many beats run."""

from datetime import UTC, datetime, timedelta

from django.db import connection

HEARTBEAT_JOB = "heartbeat"
HEARTBEAT_SLOT = datetime(1970, 1, 1, tzinfo=UTC)
TASK_PREFIX = "task "
TURN_PREFIX = "turn "
LEASE = timedelta(hours=6)  # an unfinished run that is older died

# A slot is ours when nobody took it, or when he who took it never finished.
CLAIM_SLOT_SQL = """
    INSERT INTO job_run AS taken (job, slot, started_at, result) VALUES (%(job)s, %(slot)s, %(now)s, '')
    ON CONFLICT (job, slot) DO UPDATE SET started_at = excluded.started_at
    WHERE taken.finished_at IS NULL AND taken.started_at <= %(now)s::timestamptz - %(lease)s::interval
    RETURNING 1"""
FINISH_SLOT_SQL = """
    INSERT INTO job_run AS taken (job, slot, started_at, finished_at, result)
    VALUES (%(job)s, %(slot)s, %(now)s, clock_timestamp(), %(result)s)
    ON CONFLICT (job, slot) DO UPDATE SET finished_at = excluded.finished_at, result = excluded.result"""


def claim_slot(*, job: str, slot: datetime, now: datetime, lease: timedelta = LEASE) -> bool:
    """Take a slot of a job; false when it was taken before. A run that died gives its slot back after `lease`."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM_SLOT_SQL, {"job": job, "slot": slot, "now": now, "lease": lease})
        return cursor.rowcount == 1


def find_daily_slot(now: datetime, *, hour: int, minute: int) -> datetime:
    """The latest beginning of a daily slot, in the zone of `now`: so a missed day's slot is still found, once."""
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


FIND_LAST_SLOT_SQL = "SELECT max(slot) FROM job_run WHERE job = %(job)s AND finished_at IS NOT NULL"


def find_last_slot(*, job: str) -> datetime | None:
    """The latest slot whose run came to its end; None before the first."""
    with connection.cursor() as cursor:
        cursor.execute(FIND_LAST_SLOT_SQL, {"job": job})
        return cursor.fetchone()[0]


def record_run(*, job: str, slot: datetime, result: str) -> None:
    """Keep a run as finished, with its result, whether or not its slot was claimed."""
    with connection.cursor() as cursor:
        cursor.execute(FINISH_SLOT_SQL, {"job": job, "slot": slot, "now": slot, "result": result})


FORGET_SLOTS_SQL = "DELETE FROM job_run WHERE job = %(job)s AND slot < %(before)s"


def forget_slots(*, job: str, before: datetime) -> None:
    """Drop what nobody asks for of a job that runs often."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET_SLOTS_SQL, {"job": job, "before": before})


def record_success(*, task: str, now: datetime) -> None:
    """Keep that a periodic task came to its end: one row a task, overwritten but for when it first did."""
    values = {"job": f"{TASK_PREFIX}{task}", "slot": HEARTBEAT_SLOT, "now": now, "result": "done"}
    with connection.cursor() as cursor:
        cursor.execute(FINISH_SLOT_SQL, values)


# By the database's clock alone: those who take turns may be of several machines.
TAKE_TURN_SQL = """
    INSERT INTO job_run AS held (job, slot, started_at, result)
    VALUES (%(job)s, %(slot)s, clock_timestamp(), %(holder)s)
    ON CONFLICT (job, slot) DO UPDATE
    SET started_at = excluded.started_at, finished_at = NULL, result = excluded.result
    WHERE held.finished_at IS NOT NULL OR held.result = excluded.result
       OR held.started_at <= clock_timestamp() - %(lease)s::interval"""
END_TURN_SQL = """
    UPDATE job_run SET finished_at = clock_timestamp()
    WHERE job = %(job)s AND slot = %(slot)s AND result = %(holder)s AND finished_at IS NULL"""


def take_turn(*, job: str, holder: str, lease: timedelta) -> bool:
    """Be the only one who does a job, for `lease` from now; false while another is. Whoever is takes it anew to stay.

    A row, and no lock of a session: no connection is held meanwhile, and each statement may use another one.
    """
    values = {"job": f"{TURN_PREFIX}{job}", "slot": HEARTBEAT_SLOT, "holder": holder, "lease": lease}
    with connection.cursor() as cursor:
        cursor.execute(TAKE_TURN_SQL, values)
        return cursor.rowcount == 1


def end_turn(*, job: str, holder: str) -> None:
    """Let the next one begin at once; nothing happens where the turn is another's by now."""
    with connection.cursor() as cursor:
        cursor.execute(END_TURN_SQL, {"job": f"{TURN_PREFIX}{job}", "slot": HEARTBEAT_SLOT, "holder": holder})


def beat_heart(*, now: datetime) -> None:
    """Show that beat and a worker live: one row, overwritten each time."""
    record_run(job=HEARTBEAT_JOB, slot=HEARTBEAT_SLOT, result=now.isoformat())
