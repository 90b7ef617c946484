"""The addresses of the pages that show a report's figures."""

from collections.abc import Mapping
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.urls import reverse

from chargeback.core.reports.periods import ReportPeriod

ALL_ENVIRONMENTS = "all"
UNSUBSCRIBE = signing.Signer(salt="tokenledger.reports.unsubscribe")


class PageLinks:
    """Links that say the tenant, the days, all environments and what the report is about."""

    def __init__(self, *, tenant_slug: str, period: ReportPeriod, scope: Mapping[str, str]) -> None:
        self.tenant = {"tenant": tenant_slug}
        days = {"from": period.first.isoformat(), "to": period.last.isoformat()}
        self.days = {**self.tenant, "environment": ALL_ENVIRONMENTS, **days}
        self.scope = scope

    def make(self, page: str, *arguments: object, **query: str) -> str:
        """A page about the report's days, of the whole tenant."""
        return _write(page, {**self.days, **query}, *arguments)

    def list_entries(self, **filters: str) -> str:
        """The ledger's entries of the report that pass these filters; '' asks for those that say nothing."""
        return _write("ledger", {**self.days, **self.scope, **filters})

    def find(self, page: str, *arguments: object, **query: str) -> str:
        """A page that is about no days."""
        return _write(page, {**self.tenant, **query}, *arguments)

    def show_total(self) -> str:
        """The page of all of it: the Overview, or the Showback of the one part."""
        for dimension, value in self.scope.items():
            return self.make("showback_subject", by=dimension, value=value)
        return self.make("overview")

    def show_table(self, dimension: str) -> str:
        """The page with the table by a dimension."""
        return self.show_total() if self.scope else self.make("showback", by=dimension)

    def show_one(self, dimension: str, value: str) -> str:
        """The page of one feature or user; of a part of a report about a part, its entries."""
        if self.scope:
            return self.list_entries(**{dimension: value})
        return self.make("showback_subject", by=dimension, value=value)


def make_unsubscribe_link(*, tenant_id: int, subscription_id: int) -> str:
    """It ends this subscription for whoever has it, without signing in; it can be neither guessed nor changed."""
    return _write("unsubscribe", {}, UNSUBSCRIBE.sign_object([tenant_id, subscription_id]))


def read_unsubscribe_token(token: str) -> tuple[int, int]:
    """The tenant and the subscription. Raises django.core.signing.BadSignature."""
    tenant_id, subscription_id = UNSUBSCRIBE.unsign_object(token)
    return tenant_id, subscription_id


def _write(page: str, query: Mapping[str, str], *arguments: object) -> str:
    address = f"{settings.PUBLIC_URL}{reverse(page, args=arguments)}"
    return f"{address}?{urlencode(query)}" if query else address
