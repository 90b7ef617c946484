"""What an address of Explore asks: days, filters, groups, and how the answer is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import urlencode

from django.http import QueryDict

from billing.selectors import CostQuery
from dashboards.core.buckets import DAY, GRANULARITIES, HOUR, HOURS_SHOWN_DAYS
from dashboards.core.periods import Period
from dashboards.dimensions import WORDS
from dashboards.explore.measures import MEASURES, Measure
from dashboards.frame import ALL_ENVIRONMENTS, check_texts, read_environment, read_page_period
from ledger.matches import CONTAINS, IS, NOT, OPERATORS, STARTS
from ledger.selectors import find_user_refs
from tenants.selectors import TenantInfo

OPERATOR_WORDS = {IS: "is", NOT: "is not", CONTAINS: "contains", STARTS: "starts with"}
WHOLE_NAMES = ("user", "key")  # of which no part can be looked for
BARS, LINES, SHARE = CHARTS = ("bars", "lines", "share")
GROUPS_MAX = 2
VALUES_MAX = 50  # as many as the API takes of one parameter
GROUP_PARAMETER = "by"


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one tenant's cost. filters: by the parameter's name, `feature` or `feature.not`.

    user_refs: what the filters about users mean in the ledger. problem: what of the address was not understood.
    """

    tenant: TenantInfo
    period: Period
    environment: str
    filters: Mapping[str, tuple[str, ...]]
    groups: tuple[str, ...]
    granularity: str
    measure: Measure
    chart: str
    user_refs: Mapping[str, tuple[str, ...]]
    problem: str

    def make_query(self, period: Period, *, granularity: str = "total", groups: tuple[str, ...] = ()) -> CostQuery:
        """The question to the rollups about a period."""
        start, end = period.get_bounds(self.tenant.timezone)
        environment = {"environment": (self.environment,)} if self.environment else {}
        return CostQuery(
            self.tenant.id, start, end, granularity, self.tenant.timezone, groups,
            {**environment, **self.filters, **self.user_refs},
        )  # fmt: skip

    def narrow(self, values: Mapping[str, Sequence[str]]) -> "Question":
        """The same about fewer: of a dimension only these values, which it has anyway. Users are references."""
        users = {"user": tuple(values["user"])} if "user" in values else {}
        others = {name: tuple(some) for name, some in values.items() if name != "user"}
        return replace(self, filters={**self.filters, **others}, user_refs={**self.user_refs, **users})

    @property
    def environment_query(self) -> dict[str, str]:
        return {"environment": self.environment or ALL_ENVIRONMENTS}

    def list_parameters(self) -> list[tuple[str, str]]:
        """The filters as parameters, one by one."""
        return [(name, value) for name, values in self.filters.items() for value in values]

    def make_api_query(self) -> str:
        """The parameters with which `GET /v1/costs` answers the same."""
        environment = [("environment", self.environment)] if self.environment else []
        return urlencode(
            [
                ("from", self.period.first.isoformat()),
                ("to", self.period.after.isoformat()),
                ("granularity", HOUR if self.granularity == HOUR else DAY),
                ("timezone", self.tenant.timezone),
                *(("group_by", name) for name in self.groups),
                *environment,
                *self.list_parameters(),
                ("compare", "previous"),
            ]
        )


def read_question(query: QueryDict, *, tenant: TenantInfo, today: date) -> Question:
    """The question of an address; what cannot be is left out and told. Raises BadRequest for what no text can be."""
    check_texts(query)
    period, problem = read_page_period(query, today=today)
    groups = tuple(dict.fromkeys(name for name in query.getlist(GROUP_PARAMETER) if name in WORDS))[:GROUPS_MAX]
    filters = {
        name: tuple(dict.fromkeys(query.getlist(name)))[:VALUES_MAX] for name in list_filter_names() if name in query
    }
    granularity = _choose(query, "granularity", GRANULARITIES, default=DAY)
    if granularity == HOUR and period.days > HOURS_SHOWN_DAYS:
        granularity, problem = DAY, problem or f"Hours are shown for {HOURS_SHOWN_DAYS} days at most; days are shown."
    measure = MEASURES[_choose(query, "measure", tuple(MEASURES), default="cost")]
    chart = _choose(query, "chart", CHARTS, default=BARS)
    return Question(
        tenant=tenant,
        period=period,
        environment=read_environment(query),
        filters=filters,
        groups=groups,
        granularity=granularity,
        measure=measure,
        chart=chart if measure.adds_up else LINES,
        user_refs={
            name: tuple(find_user_refs(tenant_id=tenant.id, users=filters[name]))
            for name in ("user", "user.not")
            if name in filters
        },
        problem=problem,
    )


def list_filter_names() -> list[str]:
    """Every parameter that is a filter."""
    return [name if operator == IS else f"{name}.{operator}" for name in WORDS for operator in list_operators(name)]


def list_operators(dimension: str) -> tuple[str, ...]:
    return (IS, NOT) if dimension in WHOLE_NAMES else (IS, *OPERATORS)


def _choose(query: QueryDict, name: str, known: Sequence[str], *, default: str) -> str:
    value = query.get(name, "")
    return value if value in known else default
