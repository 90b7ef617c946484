"""Every snippet of README.md and docs/ that says `run` is run, in the order of its page, against a live server.

The convention is stated in docs/testing.md: the word after the language says what is done with a block.

    ```sh run, ```python run      run it; it must end without an error
    ```text output                what the block before it printed; … stands for anything
    ```text file=NAME             a file beside the snippets; any language
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.conftest import ROOT
from tests.factories import make_key, make_tenant, publish_test_rates

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^```(?P<language>\w+) (?P<role>run|output|file=[\w.-]+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
SECONDS_MAX = 60
INTERPRETERS = {"sh": ["sh", "-eu", "-c"], "python": [sys.executable, "-c"]}


@dataclass(frozen=True, slots=True)
class Block:
    """One marked block of a page; `line` is where it begins."""

    line: int
    language: str
    role: str
    text: str


def read_blocks(page):
    text = page.read_text()
    return [
        Block(text.count("\n", 0, found.start()) + 1, found["language"], found["role"], found["text"])
        for found in BLOCK.finditer(text)
    ]


MARKED_PAGES = [page for page in PAGES if read_blocks(page)]


@pytest.fixture
def folder(tmp_path):
    """Where a page's snippets run: what a reader has in a checkout, and the files that the page writes."""
    (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / ".venv" / "bin" / "python").chmod(0o755)
    return tmp_path


@pytest.fixture
def reader_environment(committed_db, live_server_url):
    """What a reader is told to set: the address, a key, the tenant. The prices are those of the tests."""
    publish_test_rates()
    acme = make_tenant("acme")
    key = make_key(acme, "ingest,backfill,read")
    names = {"TOKENLEDGER_URL": live_server_url, "TOKENLEDGER_KEY": key, "TENANT": acme.slug}
    return {**os.environ, "PYTHONPATH": "", **names}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", MARKED_PAGES, ids=[page.stem for page in MARKED_PAGES])
def test_the_snippets_of_a_page_do_what_the_page_says(page, folder, reader_environment):
    if any(block.language == "sh" for block in read_blocks(page)) and not shutil.which("curl"):
        pytest.skip("the page's snippets call curl, which is not installed")
    printed = ""
    for block in read_blocks(page):
        where = f"{page.name}, line {block.line}"
        if block.role.startswith("file="):
            (folder / block.role.removeprefix("file=")).write_text(block.text)
        elif block.role == "output":
            assert matches(block.text, printed), f"{where} promises\n{block.text}\nand this was printed\n{printed}"
        else:
            printed = run_block(block, folder, reader_environment, where)


def run_block(block, folder, environment, where):
    """What a block prints on standard output."""
    done = subprocess.run(
        [*INTERPRETERS[block.language], block.text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    assert done.returncode == 0, f"{where} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def matches(promised, printed):
    """Whether this was printed: space at the ends aside, and with … for anything."""
    pattern = ".*?".join(re.escape(part) for part in promised.strip().split("…"))
    return bool(re.fullmatch(pattern, printed.strip(), re.DOTALL))


def test_an_ellipsis_stands_for_anything_and_nothing_else_does():
    assert matches('{"accepted": 1, "batch_id": "…"}\n', '{"accepted": 1, "batch_id": "019a"}')
    assert not matches('{"accepted": 1}', '{"accepted": 2}')
    assert not matches("1.0", "1x0")


def test_every_marked_block_is_of_a_kind_that_is_known():
    """A typing error in a mark would quietly leave a snippet out."""
    first_lines = {
        f"{page.name}: {line}"
        for page in PAGES
        for line in page.read_text().splitlines()
        if re.match(r"```\w+ \S", line) and not re.fullmatch(r"```\w+ (run|output|file=[\w.-]+)", line)
    }
    assert first_lines == set()
    unknown = [
        block
        for page in PAGES
        for block in read_blocks(page)
        if block.role == "run" and block.language not in INTERPRETERS
    ]
    assert unknown == []
