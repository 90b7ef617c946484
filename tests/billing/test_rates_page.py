"""docs/rates.md says what there is: its example is a file that can be imported, its reasons are those that we book."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from billing import explanations
from billing.core import pricing, rates
from billing.core.pricing import price_event
from billing.core.rate_documents import METER_BY_USAGE, read_rates_file
from billing.core.rates import RateBook
from billing.core.usage import Usage, UsageEvent
from tests.billing.core.rate_books import number_documents

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rates.md").read_text(encoding="utf-8")
AUGUST = datetime(2026, 8, 8, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def example():
    return read_rates_file(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])


@pytest.mark.parametrize(
    ("provider", "model", "tenant_id", "usage", "cost"),
    [
        # 200 × 0.2 + 1,000 × 0.02 + 300 × 1.2 = 420 millionths, and one search at 10 a thousand
        ("openai", "gpt-5.6-luna", 1, Usage(200, 1_000, 0, 0, 300, 0, {"web_searches": 1}), 10_420_000_000),
        ("openai", "gpt-5.6-luna", 1, Usage(272_001), 108_800_400_000),  # × 0.4
        ("openai", "gpt-5.6-luna", 7, Usage(1_000_000), 160_000_000_000),  # acme's own price
        ("acme-gpu", "llama-4-instruct", 1, Usage(other={"gpu_seconds": 10}), 6_500_000_000),  # 0.0055 + 0.001
        ("azure", "our-gpt4-deployment", 1, Usage(1), None),  # an alias of a model that the example does not price
    ],
)
def test_the_example_prices_what_the_page_says(example, provider, model, tenant_id, usage, cost):
    published = number_documents(example.rates, tenants={"acme": 7})
    book = RateBook(version=1, rates=published, aliases=example.aliases)
    event = UsageEvent("1", "docs", AUGUST, provider, model, usage)
    assert price_event(event, rate_book=book, tenant_id=tenant_id).billed_cost == cost


def test_every_reason_is_on_the_page_and_has_its_sentence():
    reasons = {
        *explanations._REASONS,
        *(value for name, value in vars(pricing).items() if name.isupper() and isinstance(value, str)),
        *(value for name, value in vars(rates).items() if name.isupper() and isinstance(value, str)),
    }
    listed = set(re.findall(r"^\| `([a-z_]+)[:`]", PAGE, re.MULTILINE))
    assert reasons <= listed
    assert reasons == set(explanations._REASONS)


def test_every_token_meter_is_on_the_page():
    missing = [
        meter for usage, meter in METER_BY_USAGE.items() if usage.endswith("_tokens") and f"`{meter}`" not in PAGE
    ]
    assert missing == []


def test_the_page_links_to_decisions_that_exist():
    folder = Path(__file__).resolve().parents[2] / "docs"
    links = re.findall(r"\]\((decisions/[^)]+)\)", PAGE)
    assert len(links) == 8
    assert all((folder / link).exists() for link in links)
