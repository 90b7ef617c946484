"""Whose bill it is, and which model a line is about, from the names that bills use. Pure."""

import re

from audit.core.focus import PROVIDER_NAMES
from billing.core.model_names import canonical_provider

# Beside the names of FOCUS files that we write: companies as their own bills call them.
_COMPANIES = {
    "amazon web services, inc.": "aws", "amazon web services emea sarl": "aws", "aws": "aws",
    "anthropic, pbc": "anthropic", "anthropic pbc": "anthropic", "claude platform": "anthropic",
    "google cloud": "google", "google cloud platform": "google", "google llc": "google",
    "microsoft": "azure", "microsoft azure": "azure", "microsoft corporation": "azure",
    "openai, llc": "openai", "openai opco, llc": "openai", "openai ireland limited": "openai",
}  # fmt: skip
_BY_NAME = {name.casefold(): provider for provider, name in PROVIDER_NAMES.items()} | _COMPANIES

_KINDS = re.compile(
    r"(cached |audio |image |video |text |batch |flex |priority |fine-tuning |training )*"
    r"(input|output|cached input|training|batch|flex|priority|reasoning|requests?|characters|seconds|images?)"
    r"( tokens)?"
)
_MODEL_ID = re.compile(r"[A-Za-z0-9][\w.:@/-]*")


def find_provider(name: str) -> str:
    """The rate book's id of a company or a provider.

    >>> find_provider("Amazon Web Services, Inc."), find_provider("OpenAI"), find_provider("Acme GPU")
    ('aws', 'openai', 'acme gpu')
    """
    known = name.strip().casefold()
    return _BY_NAME.get(known) or canonical_provider(known)


def read_line_item(line_item: str) -> str:
    """The model of an OpenAI line item, '' for what is billed of none.

    >>> read_line_item("gpt-4o-2024-08-06, cached input"), read_line_item("web search tool calls")
    ('gpt-4o-2024-08-06', '')
    """
    model, *kinds = (part.strip() for part in line_item.split(","))
    if not _MODEL_ID.fullmatch(model) or not any(letter.isdigit() or letter in "-." for letter in model):
        return ""
    return model if all(_KINDS.fullmatch(kind.lower()) for kind in kinds) else ""
