"""What a tenant has decided of its entries before they are booked: read once for each version of the rate book."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date
from threading import Lock

from django.db import connection

from billing.core.mapping import MappingBook
from billing.mapping import read_mapping_book

TENANTS_REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class TenantRules:
    """closed: the first days of the months in which nothing is charged any more.

    mapping: the rules that give a cost centre to calls that name none; None where there are none.
    """

    closed: frozenset[date] = frozenset()
    mapping: MappingBook | None = None

    def find_open_month(self, month: date) -> date:
        """The first month from `month` on, a first day itself, that is not closed."""
        while month in self.closed:
            month = date(month.year + month.month // 12, month.month % 12 + 1, 1)
        return month


_remembered: OrderedDict[int, tuple[int, TenantRules]] = OrderedDict()  # by tenant: the version they are of
_remembering = Lock()


def load_tenant_rules(tenant_id: int, *, version: int) -> TenantRules:
    """The rules by which this transaction books for the tenant; call it inside the tenant's scope.

    version: the rate book's, held until the commit (`hold_rate_book`): who changes a rule raises it in the same
    transaction (`raise_version`), so what is remembered of this version is what stands. Who changes one must not
    load the tenant's rules in between.
    """
    known = _remembered.get(tenant_id)
    if known is not None and known[0] == version:
        return known[1]
    rules = _read_rules(tenant_id)
    with _remembering:
        _remembered[tenant_id] = (version, rules)
        _remembered.move_to_end(tenant_id)
        while len(_remembered) > TENANTS_REMEMBERED_MAX:
            _remembered.popitem(last=False)
    return rules


LIST_CLOSED_MONTHS_SQL = """
    SELECT period FROM billing_period WHERE tenant_id = %(tenant_id)s AND state = 'closed'"""


def _read_rules(tenant_id: int) -> TenantRules:
    with connection.cursor() as cursor:
        cursor.execute(LIST_CLOSED_MONTHS_SQL, {"tenant_id": tenant_id})
        closed = frozenset(period for (period,) in cursor.fetchall())
    return TenantRules(closed=closed, mapping=read_mapping_book(tenant_id=tenant_id) or None)
