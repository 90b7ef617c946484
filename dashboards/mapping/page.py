"""What the page of mapping rules shows: the rules in their order, what they would take, and re-allocations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from billing.core.mapping import Term
from billing.core.mapping_terms import describe_terms
from billing.mapping import KeptRule
from billing.mapping_trials import DRAFT_ID, MappingTrial, Share
from billing.reratings import JobInfo, list_jobs
from dashboards.access import Seat
from dashboards.frame import make_link
from dashboards.rates.jobs import STEP_WORDS, STEPS
from ledger.core.entries import PICO
from tenants.selectors import list_api_keys

JOBS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule with its conditions in words; state: holds, ended, later. places: how many rules there are."""

    rule: KeptRule
    words: str
    state: str
    places: int

    @property
    def is_only(self) -> bool:
        return self.places == 1


@dataclass(frozen=True, slots=True)
class TrialLine:
    """What a rule would take, or what of a feature and a key would stay."""

    name: str
    under: str
    share: Share
    is_draft: bool = False


@dataclass(frozen=True, slots=True)
class ShownTrial:
    """A dry run: what each rule takes, and what would stay unallocated."""

    trial: MappingTrial
    taken: Sequence[TrialLine]
    left: Sequence[TrialLine]

    @property
    def is_cut(self) -> bool:
        return self.trial.counted_to != self.trial.end


@dataclass(frozen=True, slots=True)
class ShownJob:
    """A re-allocation, and where it is told."""

    job: JobInfo
    href: str

    @property
    def is_under_way(self) -> bool:
        return self.job.state in ("waiting", "running")

    @property
    def moved(self) -> int:
        return self.job.impact.total.entries

    @property
    def cost(self) -> Decimal:
        return Decimal(self.job.impact.total.after) / PICO

    @property
    def to_do(self) -> int:
        return 0 if self.job.state == "done" else self.job.entries_expected - self.job.entries_read

    @property
    def steps(self) -> list[tuple[str, str]]:
        """What may be done with it: the step and its word."""
        return [(step, STEP_WORDS[step]) for step in STEPS.get(self.job.state, ())]


def list_rows(rules: Sequence[KeptRule], *, keys: Mapping[str, str], today: date) -> list[RuleRow]:
    """The rules in their order; keys: names by id."""
    return [
        RuleRow(
            rule=rule,
            words=describe_terms([_name_keys(term, keys) for term in rule.named]),
            state=_find_state(rule, today),
            places=len(rules),
        )
        for rule in rules
    ]


def _find_state(rule: KeptRule, today: date) -> str:
    if rule.holds_on(today):
        return "holds"
    return "later" if rule.rule.valid_from and rule.rule.valid_from > today else "ended"


def name_keys(seat: Seat) -> dict[str, str]:
    """The tenant's keys, live or not: name by id."""
    return {key.key_id: key.name for key in list_api_keys(seat.tenant.id)}


def _name_keys(term: Term, keys: Mapping[str, str]) -> Term:
    if term.dimension != "key":
        return term
    return Term("key", tuple(keys.get(value, value) for value in term.values))


def show_trial(trial: MappingTrial, rows: Sequence[RuleRow], *, keys: Mapping[str, str]) -> ShownTrial:
    words = {row.rule.id: row.words for row in rows}
    return ShownTrial(
        trial=trial,
        taken=[
            TrialLine(
                words.get(one.rule_id, "the rule of the form"), one.cost_center, one.share, one.rule_id == DRAFT_ID
            )
            for one in trial.rules
        ],
        left=[
            TrialLine(one.feature or "no feature", keys.get(one.api_key_id, one.api_key_id), one.share)
            for one in trial.left
        ],
    )


def list_shown_jobs(seat: Seat) -> list[ShownJob]:
    return [show_job(job, seat) for job in list_jobs(tenant_id=seat.tenant.id, limit=JOBS_SHOWN)]


def show_job(job: JobInfo, seat: Seat) -> ShownJob:
    return ShownJob(job, make_link("reallocation", seat.link_query, job.id))
