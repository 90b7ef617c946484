"""What people said of anomalies, used: what was real or planned is not what is usual, and what was wrong is."""

import json
from collections.abc import Mapping
from datetime import datetime

from django.db import connections

from alerts.core.findings import read_course
from billing.selectors.watched import Owner

Judgements = Mapping[Owner, set[datetime]]

LIST_JUDGED_SQL = """
    SELECT tenant_id, scope, facts
    FROM alert
    WHERE rule = %(rule)s AND feedback IN ('real', 'planned') AND changed_at >= %(since)s"""


def list_judged_times(*, rule: str, since: datetime) -> dict[Owner, set[datetime]]:
    """The hours or days of anomalies that were real or planned, by whose they were: none of them is usual."""
    times: dict[Owner, set[datetime]] = {}
    with connections["reader"].cursor() as cursor:
        cursor.execute(LIST_JUDGED_SQL, {"rule": rule, "since": since})
        for tenant_id, scope, facts in cursor.fetchall():
            dimension, value = next(iter(json.loads(scope).items()), ("", ""))
            whens = read_course(json.loads(facts)).whens
            times.setdefault(Owner(tenant_id, dimension, value), set()).update(whens)
    return times
