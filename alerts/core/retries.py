"""When a message that did not arrive is tried again, and when it is given up. Pure."""

from datetime import timedelta

# About a day in all, as Standard Webhooks asks for: a receiver that is down overnight misses nothing.
DELAYS = (
    timedelta(seconds=10), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(hours=1),
    timedelta(hours=3), timedelta(hours=6), timedelta(hours=13),
)  # fmt: skip


def find_delay(attempts: int, *, retry_after: timedelta | None = None) -> timedelta | None:
    """How long to wait after so many attempts that failed, 1 for the first; None: no further one.

    retry_after: what the receiver asked for; it is kept where it asks for longer, up to the longest delay of ours.
    """
    if attempts > len(DELAYS):
        return None
    own = DELAYS[attempts - 1]
    return own if retry_after is None else max(own, min(retry_after, DELAYS[-1]))
