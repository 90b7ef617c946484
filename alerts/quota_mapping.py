"""The cost centre that a call's event will have, for a check that names none: by the tenant's mapping rules.

A check asks no database for it: the rules are read aside, and known RENEWED_SECONDS to STALE_SECONDS_MAX later. A check
names no tags, so rules that ask for tags match none of them.
"""

import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from time import monotonic

import django.db
from django.db import close_old_connections

from alerts.core.quota import Call
from billing.core.mapping import MappingBook
from billing.mapping import read_mapping_book
from billing.rates.book import read_version
from ledger.selectors import name_users
from tenants.scope import tenant_scope

logger = logging.getLogger(__name__)

RENEWED_SECONDS = 0.5
STALE_SECONDS_MAX = 10.0  # rules that are older decide nothing while PostgreSQL can be asked


@dataclass(frozen=True, slots=True)
class _Rules:
    """A tenant's rules as they were at `moment`, by this process's clock. people: reference by the id that is sent."""

    moment: float
    version: int
    book: MappingBook
    people: Mapping[str, str]


_NO_RULES = _Rules(0.0, 0, MappingBook(), {})
_known: dict[int, _Rules] = {}  # by tenant
_asked_for: set[int] = set()  # tenants whose rules are about to be read anew


def map_call(call: Call, *, tenant_id: int, now: datetime) -> Call:
    """The call as it will be charged; as it is where no rule matches."""
    rules = _recall(tenant_id)
    if not rules.book:
        return call
    user_ref = rules.people.get(call.user, "")
    rule = rules.book.find(time=now, key=call.key, feature=call.feature, user_ref=user_ref, tags={})
    return replace(call, cost_center=rule.cost_center) if rule else call


def _recall(tenant_id: int) -> _Rules:
    rules = _known.get(tenant_id)
    age = monotonic() - rules.moment if rules else STALE_SECONDS_MAX
    if age >= STALE_SECONDS_MAX:
        try:
            return _renew(tenant_id)
        except django.db.OperationalError as error:
            logger.warning("the mapping rules of tenant %d were not read: %s", tenant_id, error)
    elif age > RENEWED_SECONDS and tenant_id not in _asked_for:
        _asked_for.add(tenant_id)
        _get_pool().submit(_renew_aside, tenant_id)
    return rules or _NO_RULES


@cache
def _get_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="quota-mapping")


def _renew_aside(tenant_id: int) -> None:
    try:
        _renew(tenant_id)
    except django.db.Error as error:  # whoever finds them too old meets it again
        logger.warning("the mapping rules of tenant %d were not read: %s", tenant_id, error)
    finally:
        _asked_for.discard(tenant_id)


def _renew(tenant_id: int) -> _Rules:
    """Read what changed. The version first: rules that are newer than it says are read once more, never too seldom."""
    close_old_connections()
    moment, known = monotonic(), _known.get(tenant_id)
    version = read_version()
    if known is not None and known.version == version:
        rules = replace(known, moment=moment)
    else:
        with tenant_scope(tenant_id):
            book = read_mapping_book(tenant_id=tenant_id)
            refs = sorted(book.user_refs)
            names = name_users(tenant_id=tenant_id, user_refs=refs) if refs else {}
        rules = _Rules(moment, version, book, {external_id: ref for ref, external_id in names.items()})
    _known[tenant_id] = rules
    return rules
