"""Cost centres of the demo for the codes that its calls name, and rules for some of the calls that name none.

They come after the calls: what is booked by then stays unallocated, so that there is something to try them on.
"""

from datetime import datetime

from billing.core.mapping import Term
from billing.core.mapping_terms import CostCenterTerms, RuleTerms
from billing.cost_centers import create_cost_center, list_cost_centers
from billing.mapping import add_rule, list_rules
from tenants.selectors import TenantInfo

ACTOR = "the demo"
# By tenant: code, name, owner, account of the general ledger, and the code that it stands below.
CENTERS = {
    "acme": (
        ("operations", "Operations", "Tomasz Lewandowski", "6400", ""),
        ("retail", "Retail", "Amara Okafor", "6410", "operations"),
        ("logistics", "Logistics", "Jonas Lindqvist", "6411", "operations"),
        ("engineering", "Engineering", "Priya Raman", "6420", ""),
        ("strategy", "Strategy", "Hélène Marchand", "6430", ""),
        ("finance", "Finance", "Diego Fuentes", "6440", ""),
    ),
    "globex": (
        ("legal", "Legal", "Ingrid Solheim", "7110", ""),
        ("service", "Customer service", "Kwame Mensah", "7120", ""),
        ("sales", "Sales", "Yuki Tanaka", "7130", ""),
    ),
    "northlight": (
        ("audience", "Audience", "Rosa Delgado", "5210", ""),
        ("newsroom", "Newsroom", "Callum Fraser", "5220", ""),
    ),
    "veltra": (
        ("customs", "Customs", "Anneke de Vries", "6610", ""),
        ("dispatch", "Dispatch", "Milan Horvat", "6620", ""),
    ),
    "pebble": (("learning", "Learning", "Aoife Byrne", "4100", ""),),
}
RULES = {"acme": (("Support Chat", "retail"), ("research", "strategy"))}  # by feature


def seed_cost_centers(*, tenant: TenantInfo, now: datetime) -> None:
    """Make a demo tenant's cost centres and rules; those that there are already are left."""
    own = {"tenant_id": tenant.id, "actor": ACTOR, "now": now}
    made = {center.code: center.id for center in list_cost_centers(tenant_id=tenant.id)}
    for code, name, owner, gl_account, parent in CENTERS.get(tenant.slug, ()):
        if code not in made:
            terms = CostCenterTerms(
                code=code, name=name, owner=owner, gl_account=gl_account, parent_id=made[parent] if parent else None
            )
            made[code] = create_cost_center(terms, **own)[0].id
    if not list_rules(tenant_id=tenant.id):
        for feature, code in RULES.get(tenant.slug, ()):
            add_rule(RuleTerms(terms=(Term("feature", (feature,)),), cost_center=code), **own)
