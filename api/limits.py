"""What a request takes from the buckets of its tenant and its key: itself and its bytes first, its events once read."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, NamedTuple

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from api.auth import Access
from api.buckets import BURST_SECONDS, Bucket, Shortage, Want, get_buckets
from api.problems import Problem
from tenants.limits import RESOURCES, Limits, fill_limit


class Payer(NamedTuple):
    """A tenant, as its buckets know it."""

    tenant_id: int
    slug: str
    limits: Limits


def find_payer(access: Access) -> Payer:
    """The tenant for which a request acts."""
    return Payer(access.tenant_id, access.slug, access.limits)


class DoorLimit(BaseThrottle):
    """Takes the request and the bytes that it announces, before any of them is read. Raises Problem."""

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.auth is not None:
            take_request(request.auth, length=int(request.META.get("CONTENT_LENGTH") or 0))
        return True


def take_request(access: Access, *, length: int) -> None:
    """Take one request of so many bytes. Raises Problem `rate_limited`."""
    wants = [*_want(access, "requests", [(find_payer(access), 1)])]
    if length:
        wants += _want(access, "bytes", [(find_payer(access), length)])
    _take(wants)


LARGE_BODY_BYTES = 50_000
_large_bodies = BoundedSemaphore(2)  # one computes while the other waits for the disk


@contextmanager
def hold_place(body: bytes) -> Iterator[None]:
    """Let few large bodies at a time be worked on in this process; small ones pass.

    A body takes twenty times its length while it is booked: thirty threads with eight megabytes each would take all
    memory there is, and no more would be booked a second. Call it when the body is here, so that a slow client holds
    no place.
    """
    if len(body) < LARGE_BODY_BYTES:
        yield
    else:
        with _large_bodies:
            yield


def take_events(request: Request, *, shares: Sequence[tuple[Payer, int]], body_bytes: int = 0) -> None:
    """Take each tenant's share of a request's events, from all of them or from none. Raises Problem `rate_limited`.

    body_bytes: the length of a body that came in chunks and announced none; otherwise it was taken before.
    """
    access: Access = request.auth
    wants = [*_want(access, "events", [(payer, count) for payer, count in shares if count])]
    if body_bytes and not request.META.get("CONTENT_LENGTH"):
        wants += _want(access, "bytes", [(find_payer(access), body_bytes)])
    _take(wants)


def _want(access: Access, resource: str, shares: Sequence[tuple[Payer, int]]) -> Iterator[Want]:
    """A key without a limit of its own has no bucket: its tenant's runs dry first."""
    place = RESOURCES.index(resource)
    for payer, amount in shares:
        rate = fill_limit(payer.limits, place)
        yield Want(Bucket(str(payer.tenant_id), resource, rate, f"{payer.slug} tenant {resource}"), amount)
    rate = access.key_limits[place]
    if rate and shares:
        bucket = Bucket(f"key-{access.key_id}", resource, rate, f"{access.slug} key {resource}")
        yield Want(bucket, sum(amount for _, amount in shares))


def _take(wants: Sequence[Want]) -> None:
    shortage = get_buckets().take(wants)
    if shortage:
        raise _refuse(shortage)


def _refuse(shortage: Shortage) -> Problem:
    """429 with the fields of draft-ietf-httpapi-ratelimit-headers-10: the quota of a window, and when there is more."""
    bucket = shortage.bucket
    _, holder, resource = bucket.label.split(" ")
    seconds = max(1, math.ceil(shortage.seconds))
    policy = f"{holder}-{resource}"
    return Problem(
        "rate_limited",
        f"The {holder} may have {bucket.per_second:,} {resource} a second, and up to {bucket.burst:,} at once. "
        f"Nothing was booked: send the same again after {seconds} s.",
        headers={
            "Retry-After": str(seconds),
            "RateLimit-Policy": f'"{policy}";q={bucket.burst};w={BURST_SECONDS}',
            "RateLimit": f'"{policy}";r=0;t={seconds}',
        },
        limit={"of": holder, "resource": resource, "per_second": bucket.per_second, "burst": bucket.burst},
        retry_safe=True,
    )


def describe_limits(limits: Limits) -> dict[str, dict[str, int]]:
    """Those that are set, as /v1/me shows them."""
    return {
        resource: {"per_second": rate, "burst": rate * BURST_SECONDS}
        for resource, rate in zip(RESOURCES, limits, strict=True)
        if rate
    }
