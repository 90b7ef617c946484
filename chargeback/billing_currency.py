"""The currency that a tenant is billed in, from a month on; an act of its ledger where it is changed."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db import connection, connections

from billing.selectors.months import CLOSED, list_months
from chargeback.core.exchange import CURRENCIES, LEDGER_CURRENCY
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope, tenant_scope


class CurrencyRefused(ValueError):
    """A currency that nobody can be billed in, in a sentence."""


@dataclass(frozen=True, slots=True)
class BillingCurrency:
    """What a tenant is billed in from `valid_from` on; None: since ever. set_by: as acts name an actor."""

    currency: str = LEDGER_CURRENCY
    valid_from: date | None = None
    set_by: str = ""
    set_at: datetime | None = None


SET_CURRENCY_SQL = """
    INSERT INTO billing_setting (tenant_id, valid_from, currency, set_by, set_at)
    VALUES (%(tenant_id)s, %(month)s, %(currency)s, %(actor)s, %(now)s)"""


def set_billing_currency(currency: str, *, month: date, tenant_id: int, actor: str, now: datetime) -> BillingCurrency:
    """Bill the tenant in `currency` from a month on; the same again is no act. Raises CurrencyRefused."""
    if currency not in CURRENCIES:
        raise CurrencyRefused("is no currency; write its code of ISO 4217, such as EUR")
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        closed = [one.period for one in list_months(tenant_id=tenant_id) if one.state == CLOSED and one.period >= month]
        if closed:
            raise CurrencyRefused(f"would change {max(closed):%Y-%m}, which is closed; take a month after it")
        before = get_billing_currency(tenant_id=tenant_id, month=month)
        if before.currency == currency:
            return before
        values = {"tenant_id": tenant_id, "month": month, "currency": currency, "actor": actor, "now": now}
        cursor.execute(SET_CURRENCY_SQL, values)
        facts = {"currency": currency, "currency_before": before.currency, "valid_from": month.isoformat()}
        book_act(tenant_id=tenant_id, act=Act(name="billing_currency.set", actor=actor, facts=facts), now=now)
        return get_billing_currency(tenant_id=tenant_id, month=month)


GET_CURRENCY_SQL = """
    SELECT currency, valid_from, set_by, set_at FROM billing_setting
    WHERE tenant_id = %(tenant_id)s AND valid_from <= %(month)s
    ORDER BY valid_from DESC, id DESC LIMIT 1"""


def get_billing_currency(*, tenant_id: int, month: date, using: str = "default") -> BillingCurrency:
    """What the tenant is billed in for a month: USD, the ledger's, unless another one was set."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_CURRENCY_SQL, {"tenant_id": tenant_id, "month": month})
        row = cursor.fetchone()
    return BillingCurrency(*row) if row else BillingCurrency()
