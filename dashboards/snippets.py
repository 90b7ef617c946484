"""Lines that send a first event with a key, ready to be run: what stands in them is tested by running it."""

from dataclasses import dataclass, fields
from datetime import datetime

from django.template.loader import render_to_string


@dataclass(frozen=True, slots=True)
class Snippets:
    """The texts of templates/keys/snippets, each to be run as it stands; curl has one id, so that twice books once."""

    curl: str
    python: str
    opentelemetry_environment: str
    opentelemetry_python: str
    look: str


def write_snippets(*, address: str, token: str, now: datetime) -> Snippets:
    """For the installation at `address` and this key, whole."""
    values = {
        "address": address,
        "key": token,
        "key_id": token.split("_")[1],
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    names = [field.name for field in fields(Snippets)]
    return Snippets(*(render_to_string(f"keys/snippets/{name}.txt", values).strip() + "\n" for name in names))
