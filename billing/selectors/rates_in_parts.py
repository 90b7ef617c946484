"""Price lists whose costs are not a month's quantities times prices: parts of a call, or a least quantity of each."""

import json
from collections.abc import Mapping
from typing import Any

from django.db import connections

LIST_RATES_IN_PARTS_SQL = """
    SELECT id, document FROM rate_version
    WHERE state IN ('published', 'superseded')
      AND (document @? '$.meters.*.minimum_per_call ? (@ > 0)'
           OR document @? '$.context_tiers[*].meters.*.minimum_per_call ? (@ > 0)'
           OR document @? '$.context_tiers[*] ? (@.scope == "marginal")')"""


def list_rates_in_parts(*, using: str = "default") -> dict[int, Mapping[str, Any]]:
    """The contents of every such version that was published, by id."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_RATES_IN_PARTS_SQL)
        return {version_id: json.loads(document) for version_id, document in cursor.fetchall()}
