"""A month's charge, read from the rollups and reckoned by the rules in force; and what a rule would change of it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from billing.drivers import list_drivers
from billing.selectors.direct_costs import sum_month_costs
from chargeback.billing_currency import get_billing_currency
from chargeback.core.allocation import AllocationRule, AllocationTerms
from chargeback.core.charges import ChargeRule, ChargeTerms
from chargeback.core.charging import CenterCharge, Charge, Sums, charge
from chargeback.core.exchange import LEDGER_CURRENCY, Exchange, find_exchange
from chargeback.core.lines import UNALLOCATED, DirectCost, RuleRef
from chargeback.core.rule_fields import RuleRefused
from chargeback.core.rule_terms import Terms
from chargeback.core.shares import to_micro
from chargeback.exchange_rates import find_rate
from chargeback.rules import KeptRule, RuleUnknown, check_rule, find_in_force, list_versions, name_family
from tenants.scope import reading_scope

NEW_RULE = RuleRef(0, 0)
NOTHING = CenterCharge(UNALLOCATED, Sums(), 0, 0, (), ())


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """Everything that decides a month's charge. credits_used: in months before, in pico-USD by the credit's rule.

    currency: what the tenant is billed in. Where no rate of it is known, the exchange is that of USD.
    """

    period: date
    costs: Sequence[DirectCost]
    drivers: Mapping[str, int]
    allocations: Sequence[AllocationRule]
    charges: Sequence[ChargeRule]
    credits_used: Mapping[int, int]
    currency: str
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class MonthCharge:
    """What a month is charged, and by which facts."""

    facts: MonthFacts
    charge: Charge

    @property
    def lacks_rate(self) -> bool:
        """Whether amounts are told in USD for want of a rate of the billing currency."""
        return self.facts.exchange.currency != self.facts.currency

    def get_center(self, name: str) -> CenterCharge | None:
        """What one cost centre is charged; '' is what is unallocated. None where nothing is known of it."""
        return _by_center(self.charge).get(name)


@dataclass(frozen=True, slots=True)
class Difference:
    """One cost centre beside what it is charged now; '' for what is unallocated."""

    cost_center: str
    before: CenterCharge
    after: CenterCharge

    @property
    def change(self) -> int:
        """In pico-USD."""
        return self.after.sums.charged - self.before.sums.charged


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a rule would change of a month."""

    before: MonthCharge
    after: MonthCharge

    @property
    def differences(self) -> list[Difference]:
        """By cost centre, those without a difference too."""
        before, after = _by_center(self.before.charge), _by_center(self.after.charge)
        return [
            Difference(name, before.get(name, NOTHING), after.get(name, NOTHING)) for name in sorted({*before, *after})
        ]


def _by_center(charge: Charge) -> dict[str, CenterCharge]:
    return {center.cost_center: center for center in (charge.unallocated, *charge.centers)}


def charge_month(*, tenant_id: int, period: date, using: str = "default") -> MonthCharge:
    """Charge the month that begins with `period` by what is booked and by the rules that count in it.

    What credits have left is found by charging the months before it too, from the tenant's first credit on.
    """
    return _reckon(read_month(tenant_id=tenant_id, period=period, using=using))


def dry_run(
    terms: Terms, *, tenant_id: int, period: date, rule_id: int | None = None, using: str = "default"
) -> DryRun:
    """What a month would be charged with a rule of these terms: a new one, or in place of the rule `rule_id`.

    Keeps nothing. Raises RuleRefused for what could not be saved, RuleUnknown.
    """
    with reading_scope(tenant_id, using=using):
        versions = list_versions(name_family(terms), tenant_id=tenant_id, using=using)
        of_rule = [rule for rule in versions if rule.rule_id == rule_id]
        if rule_id is not None and not of_rule:
            raise RuleUnknown(f"there is no rule {rule_id}")
        newest = of_rule[-1] if of_rule else None
        problems = check_rule(
            terms, valid_from=period, valid_to=None, tenant_id=tenant_id, versions=versions, before=newest, using=using
        )
        if problems := [problem for problem in problems if problem.code != "month_closed"]:
            raise RuleRefused(problems)
        facts = read_month(tenant_id=tenant_id, period=period, using=using)
    return DryRun(_reckon(facts), _reckon(_put_rule(facts, terms, newest)))


def _put_rule(facts: MonthFacts, terms: Terms, newest: KeptRule | None) -> MonthFacts:
    """The facts with a rule of these terms in place of `newest`."""
    ref = RuleRef(newest.rule_id, newest.version + 1) if newest else NEW_RULE
    if isinstance(terms, AllocationTerms):
        others = [rule for rule in facts.allocations if rule.ref.rule_id != ref.rule_id]
        return replace(facts, allocations=[*others, AllocationRule(ref, terms)])
    kept = [rule for rule in facts.charges if rule.ref.rule_id != ref.rule_id]
    return replace(facts, charges=[*kept, _make_charge(ref, terms, facts.credits_used)])


def _make_charge(ref: RuleRef, terms: ChargeTerms, credits_used: Mapping[int, int]) -> ChargeRule:
    return ChargeRule(ref, terms, max(0, terms.amount - credits_used.get(ref.rule_id, 0)))


def _reckon(facts: MonthFacts) -> MonthCharge:
    made = charge(
        facts.costs,
        allocations=facts.allocations,
        charges=facts.charges,
        drivers=facts.drivers,
        exchange=facts.exchange,
    )
    return MonthCharge(facts, made)


# --- reading ---


def read_month(*, tenant_id: int, period: date, using: str = "default") -> MonthFacts:
    """Everything that decides the month's charge, read once."""
    with reading_scope(tenant_id, using=using):
        allocations = list_versions("allocation", tenant_id=tenant_id, using=using)
        charges = list_versions("charge", tenant_id=tenant_id, using=using)
        used: dict[int, int] = defaultdict(int)
        for month in _list_months(_find_first_credit(charges, period), period):
            earlier = _reckon(_read_facts(month, tenant_id, allocations, charges, used, using))
            for rule_id, amount in earlier.charge.credits_used.items():
                used[rule_id] += amount
        return _read_facts(period, tenant_id, allocations, charges, used, using)


def _find_first_credit(charges: Sequence[KeptRule], period: date) -> date:
    """The month from which on credits are used up; `period` where there are none."""
    credits = (rule for rule in charges if isinstance(rule.terms, ChargeTerms) and rule.terms.kind == "credit")
    return min([period, *(rule.valid_from for rule in credits)])


def _list_months(first: date, end: date) -> Iterator[date]:
    while first < end:
        yield first
        first = find_next_month(first)


def find_next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _read_facts(
    period: date,
    tenant_id: int,
    allocations: Sequence[KeptRule],
    charges: Sequence[KeptRule],
    credits_used: Mapping[int, int],
    using: str,
) -> MonthFacts:
    after = find_next_month(period)
    currency = get_billing_currency(tenant_id=tenant_id, month=period, using=using).currency
    return MonthFacts(
        period=period,
        costs=[DirectCost._make(cost) for cost in sum_month_costs(tenant_id=tenant_id, period=period, using=using)],
        drivers=_sum_drivers(tenant_id, period, after, using),
        allocations=[
            AllocationRule(rule.ref, rule.terms)
            for rule in find_in_force(allocations, period)
            if isinstance(rule.terms, AllocationTerms)
        ],
        charges=[
            _make_charge(rule.ref, rule.terms, credits_used)
            for rule in find_in_force(charges, period)
            if isinstance(rule.terms, ChargeTerms)
        ],
        credits_used=dict(credits_used),
        currency=currency,
        exchange=_find_exchange(currency, after - timedelta(days=1), using),
    )


def _find_exchange(currency: str, last_day: date, using: str) -> Exchange:
    rate = None if currency == LEDGER_CURRENCY else find_rate(currency, last_day=last_day, using=using)
    return find_exchange([rate] if rate else [], currency=currency, last_day=last_day) or Exchange()


def _sum_drivers(tenant_id: int, first: date, after: date, using: str) -> dict[str, int]:
    """Millionths of a unit by a driver's name, of the month's days."""
    sums: dict[str, int] = defaultdict(int)
    for value in list_drivers(tenant_id=tenant_id, first=first, after=after, using=using):
        sums[value.name] += to_micro(value.quantity)
    return dict(sums)
