"""What an address of Showback asks: by which dimension, of which days and environment, and maybe of one subject."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import urlencode

from django.http import QueryDict

from billing.selectors import CostQuery
from dashboards.core.periods import Period, find_previous_period
from dashboards.dimensions import WORDS
from dashboards.frame import ALL_ENVIRONMENTS, check_texts, make_link, read_environment, read_page_period
from ledger.selectors import find_user_refs
from tenants.selectors import TenantInfo

DIMENSIONS = {name: WORDS[name] for name in ("cost_center", "feature", "user", "model")}
MEASURED = ("feature", "model")  # by which the spread of calls is kept, and their users


@dataclass(frozen=True, slots=True)
class Question:
    """by: of DIMENSIONS. problem: what of the address was not understood."""

    tenant: TenantInfo
    period: Period
    environment: str
    by: str
    link_query: Mapping[str, str]
    problem: str

    @property
    def previous(self) -> Period:
        return find_previous_period(self.period)

    @property
    def word(self) -> str:
        return DIMENSIONS[self.by]

    @property
    def environment_filter(self) -> dict[str, tuple[str, ...]]:
        return {"environment": (self.environment,)} if self.environment else {}

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        return self.period.get_bounds(self.tenant.timezone)

    def ask(
        self,
        period: Period,
        *,
        granularity: str = "total",
        groups: tuple[str, ...] = (),
        filters: Mapping[str, tuple[str, ...]] | None = None,
        everywhere: bool = False,
    ) -> CostQuery:
        """The question to the rollups; everywhere: in all environments."""
        start, end = period.get_bounds(self.tenant.timezone)
        place = {} if everywhere else self.environment_filter
        zone = self.tenant.timezone
        return CostQuery(self.tenant.id, start, end, granularity, zone, groups, {**place, **(filters or {})})

    def link(self, page: str, query: Mapping[str, str] | None = None, *, day: date | None = None) -> str:
        """Another page about the same days, or one of them, and the same environment."""
        days = {"from": day.isoformat(), "to": day.isoformat()} if day else self.period.get_dates()
        place = {"environment": self.environment or ALL_ENVIRONMENTS}
        return make_link(page, {**self.link_query, **place, **days, **(query or {})})

    def make_api_query(self, **more: str) -> str:
        """The parameters with which `GET /v1/costs` answers the same, by day."""
        place = {"environment": self.environment} if self.environment else {}
        return urlencode(
            {
                "from": self.period.first.isoformat(),
                "to": self.period.after.isoformat(),
                "granularity": "day",
                "timezone": self.tenant.timezone,
                **place,
                **more,
                "compare": "previous",
            }
        )


def read_question(query: QueryDict, *, tenant: TenantInfo, link_query: Mapping[str, str], today: date) -> Question:
    """The question of an address. Raises BadRequest for what no text can be."""
    check_texts(query)
    period, problem = read_page_period(query, today=today)
    by = query.get("by", "")
    return Question(
        tenant, period, read_environment(query), by if by in DIMENSIONS else "cost_center", link_query, problem
    )


def list_values(question: Question, value: str) -> tuple[str, ...]:
    """What a subject's name means in the ledger: itself, and of a user the references."""
    if question.by != "user":
        return (value,)
    return tuple(find_user_refs(tenant_id=question.tenant.id, users=[value]))
