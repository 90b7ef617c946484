"""Typst in a process of its own: JSON in, a PDF out. It imports nothing of ours.

Typst keeps what it has set in memory, some 200 kB for each line of a statement: a web process would never give it back.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

SECONDS_MAX = 120
NO_GLYPH = 3  # exit code: a letter that no font has


class LetterMissing(ValueError):
    """A text holds a letter that no font has."""


class SettingFailed(RuntimeError):
    """Typst gave no pages; the text is what it said."""


def set_pages(text: str, *, template: Path, moment: datetime) -> bytes:
    """The PDF/UA-1 of a template and its JSON, dated `moment`. Raises LetterMissing and SettingFailed."""
    order = json.dumps({"template": str(template), "text": text, "moment": moment.timestamp()})
    try:
        done = subprocess.run(
            [sys.executable, "-I", __file__],
            input=order.encode(),
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as fault:
        raise SettingFailed(f"no pages within {SECONDS_MAX} s") from fault
    if done.returncode == NO_GLYPH:
        raise LetterMissing(done.stderr.decode(errors="replace"))
    if done.returncode:
        raise SettingFailed(done.stderr.decode(errors="replace")[-2000:])
    return done.stdout


def main() -> int:
    """What the process does. System fonts are off, so that every machine sets the same pages."""
    import fontpkg
    import typst

    order = json.load(sys.stdin.buffer)
    try:
        pages = typst.compile(
            order["template"],
            font_paths=[str(Path(fontpkg.path("Inter")).parent)],
            ignore_system_fonts=True,
            sys_inputs={"statement": order["text"]},
            timestamp=datetime.fromtimestamp(int(order["moment"]), UTC),
            pdf_standards=["ua-1"],
        )
    except typst.TypstError as fault:
        sys.stderr.write(str(fault))
        return NO_GLYPH if "could not be displayed" in str(fault) else 1
    sys.stdout.buffer.write(pages)
    return 0


if __name__ == "__main__":
    sys.exit(main())
