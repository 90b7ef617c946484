"""Where an installation keeps what it generated: `$TOKENLEDGER_HOME/environment`, KEY=value lines, mode 0600."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# The names that `load_environment` set: what nobody chose for this process.
LOADED: set[str] = set()


def home() -> Path:
    """The folder of this installation's data, keys and generated secrets."""
    return Path(os.environ.get("TOKENLEDGER_HOME") or ROOT / ".tokenledger").resolve()


def environment_file() -> Path:
    return home() / "environment"


def read_environment() -> dict[str, str]:
    """What the environment file sets; nothing before the first start."""
    try:
        lines = environment_file().read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name.strip(): value for name, separator, value in pairs if separator}


def load_environment() -> None:
    """Set the variables of the environment file that are not set already; a missing file sets none."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "finops.settings")
    for name, value in read_environment().items():
        if name not in os.environ:
            os.environ[name] = value
            LOADED.add(name)


def write_environment(values: dict[str, str]) -> None:
    """Replace the environment file by `values`, readable by its owner alone."""
    path = environment_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    draft.replace(path)
