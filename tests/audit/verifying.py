"""The verifier as a module, and what it says of bundles."""

import importlib.util
import sys
from pathlib import Path

VERIFIER = Path(__file__).parents[2] / "audit" / "verifier" / "verify_tokenledger.py"


def load_verifier(source: str | None = None, name: str = "verify_tokenledger"):
    """The file as a module; source: another text in its place, as a mutant is."""
    spec = importlib.util.spec_from_file_location(name, VERIFIER)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    code = compile(VERIFIER.read_text() if source is None else source, str(VERIFIER), "exec")
    exec(code, module.__dict__)
    return module


verifier = load_verifier()


def find_faults(folder: Path, data: bytes, **options) -> list[str]:
    """What the verifier finds wrong with a bundle."""
    path = folder / "bundle.zip"
    path.write_bytes(data)
    return verifier.verify([str(path)], **options).findings.texts
