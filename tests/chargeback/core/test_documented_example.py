"""The example of docs/chargeback.md, reckoned again from its own tables and rules."""

import json
import re
from decimal import Decimal

from chargeback.core.allocation import AllocationRule
from chargeback.core.charges import ChargeRule
from chargeback.core.charging import charge
from chargeback.core.lines import DirectCost, RuleRef
from chargeback.core.rule_terms import read_allocation, read_charge
from chargeback.core.shares import to_money, to_pico
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "chargeback.md").read_text()


def read_table(heading):
    table = PAGE.partition(f"{heading}\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_example_comes_out_as_it_is_told():
    costs = [
        DirectCost("" if name == "(unallocated)" else name, "chat", "openai", "gpt-4o", to_pico(Decimal(amount)), 10)
        for name, amount in read_table("| cost centre | direct cost |")
    ]
    rules = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    charges = [read_charge(rule) for rule in rules if "kind" in rule]
    result = charge(
        costs,
        allocations=[
            AllocationRule(RuleRef(number, 1), read_allocation(rule))
            for number, rule in enumerate(rules)
            if "kind" not in rule
        ],
        charges=[ChargeRule(RuleRef(number, 1), terms, terms.amount) for number, terms in enumerate(charges)],
    )
    told = read_table("| cost centre | direct | shared | markup, discount | fees, least charge | credit | charged |")
    found = [("all", result.sums), *((center.cost_center, center.sums) for center in result.centers)]
    assert sorted(told) == sorted(
        [name, *(f"{to_money(amount):.2f}" for amount in (
            sums.direct, sums.allocated_in + sums.allocated_out, sums.markup + sums.discount, sums.fee + sums.minimum,
            sums.credit, sums.charged,
        ))]
        for name, sums in found
    )  # fmt: skip
    proof = result.conservation
    assert [to_money(amount) for amount in (proof.charged, proof.unallocated, proof.cost, proof.difference)] == [
        Decimal("1200.75"), 0, 1150, 0,
    ]  # fmt: skip
    assert "Charged 1,200.75 and unallocated 0.00 are the cost 1,150.00" in PAGE
