"""The verifier by itself: what it finds in bundles of another writer, and that none of its comparisons is idle."""

import ast
import json
import os
import random
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.audit import cases
from tests.audit.small_bundles import (
    LUNA,
    SmallLedger,
    consistency_of,
    hash_list,
    make_ledger,
    make_rich_ledger,
    make_row,
    path_of,
    price,
    root_of,
    write_bundle,
)
from tests.audit.verifying import VERIFIER, find_faults, load_verifier, verifier

SEEDS = int(os.environ.get("TOKENLEDGER_BUNDLES", "40"))
ANSWERS = json.loads(cases.ANSWERS.read_text())
CASES = cases.list_cases()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Every case's files, written once."""
    folder = tmp_path_factory.mktemp("cases")
    return {name: cases.prepare(make, folder / str(number)) for number, (name, make) in enumerate(CASES.items())}


def test_every_case_has_its_answer_and_only_good_ones_have_none():
    assert ANSWERS.keys() == CASES.keys()
    for name, answer in ANSWERS.items():
        wrong = [line for line in answer if not line.startswith(("note", "kept"))]
        assert bool(wrong) != name.startswith("good") or name in ("too far apart", "a path between others"), name


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_told_with_its_place(prepared, name):
    assert cases.ask(verifier, prepared[name]) == ANSWERS[name]


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_a_bundle_as_it_should_be_raises_no_alarm(tmp_path, seed):
    assert find_faults(tmp_path, write_bundle(make_ledger(seed))) == []


def test_rows_that_are_read_quickly_and_slowly_come_to_the_same(tmp_path, monkeypatch):
    """Each row of every case that is read by the expression is one that JSON reads with the same result."""
    monkeypatch.setattr(verifier.RowReader, "_match", lambda self, line: None)
    monkeypatch.setattr(verifier, "is_clean", lambda text: False)
    for seed in range(1, 6):
        assert find_faults(tmp_path, write_bundle(make_ledger(seed))) == []
    assert find_faults(tmp_path, write_bundle(make_rich_ledger())) == []


PIECEMEAL = (
    "good: every kind of row", "a row stands twice", "a row is gone", "the last batch is gone", "a row of no batch",
    "a row of no batch in front", "rows of two batches change places", "plain row, input_cost",
)  # fmt: skip


def test_a_file_may_be_read_in_pieces_of_any_size(prepared, monkeypatch):
    for size in (1, 97, 1500):
        monkeypatch.setattr(verifier, "CHUNK_BYTES", size)
        for name in PIECEMEAL:
            assert cases.ask(verifier, prepared[name]) == ANSWERS[name]


def test_only_text_without_escapes_and_in_utf_8_is_read_quickly():
    """An escaped letter is that letter to JSON, and is not canonical."""
    assert verifier.is_clean(b'{"feature":"chat"}') and verifier.is_clean('{"feature":"r\u00e9sum\u00e9"}'.encode())
    assert not verifier.is_clean(b'{"feature":"ch\\u0061t"}')
    assert not verifier.is_clean(b'{"feature":"ch\xe9"}')


def test_an_archive_may_be_packed_anew_without_deflating(prepared):
    folder, (name, *_), _ = prepared["good: every kind of row"]
    with zipfile.ZipFile(folder / name) as deflated, zipfile.ZipFile(folder / f"stored-{name}", "w") as stored:
        for each in deflated.namelist():
            stored.writestr(each, deflated.read(each))
    assert verifier.verify([str(folder / f"stored-{name}")]).findings.texts == []


def test_an_archive_whose_checkpoint_cannot_be_read_is_still_compared_with_another(prepared):
    folder, (name, *_), _ = prepared["good: every kind of row"]
    with zipfile.ZipFile(folder / name) as good, zipfile.ZipFile(folder / "unsigned.zip", "w") as unsigned:
        for each in good.namelist():
            unsigned.writestr(each, b"no note" if each == "checkpoint.txt" else good.read(each))
    texts = verifier.verify([str(folder / name), str(folder / "unsigned.zip")]).findings.texts
    assert [text for text in texts if text.startswith("checkpoint.txt, tree.json: it is no signed checkpoint")]


def find_in_rows(prepared, *rows):
    """What the verifier finds in an archive of one batch of these rows."""
    folder, _, _ = prepared["good: every kind of row"]
    ledger = SmallLedger([list(rows)])
    ledger.place_rows()
    (folder / "rows.zip").write_bytes(write_bundle(ledger))
    return verifier.verify([str(folder / "rows.zip")]).findings.texts


def test_a_prompt_beyond_its_tier_is_found_though_its_products_are_right(prepared):
    base = {name: part for name, part in LUNA.items() if name != "context_tiers"}
    long = price(make_row(input_tokens=300_000), base) | {"rate_version_hash": hash_list(LUNA)}
    assert [text for text in find_in_rows(prepared, long) if "context_tier is not the one reached" in text]
    assert find_in_rows(prepared, price(make_row(input_tokens=300_000), LUNA)) == []


def test_a_row_that_counts_no_call_is_priced_as_it_stands(prepared):
    assert find_in_rows(prepared, price(make_row(calls=0), LUNA)) == []


# --- as a program ---


def run(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-I", str(VERIFIER), *map(str, arguments)], capture_output=True, text=True, cwd=folder
    )


def test_the_exit_code_says_whether_all_agrees(tmp_path):
    (tmp_path / "good.zip").write_bytes(write_bundle(make_rich_ledger()))
    bundles, _ = CASES["plain row, input_cost"]()
    (tmp_path / "bad.zip").write_bytes(bundles["a.zip"])
    (tmp_path / "none.zip").write_bytes(b"PK")
    good, bad, none = (run(f"{name}.zip", folder=tmp_path) for name in ("good", "bad", "none"))
    assert (good.returncode, bad.returncode, none.returncode) == (0, 1, 2)
    assert good.stdout.splitlines()[-1].startswith("All agrees")
    assert "note: no --keys: judged by the receipt key" in good.stdout
    assert "input_cost is not quantity x price" in bad.stdout
    assert none.stderr.startswith("none.zip: it is no whole ZIP archive")


def test_it_imports_nothing_but_the_standard_library():
    names = set()
    for node in ast.walk(ast.parse(VERIFIER.read_text())):
        if isinstance(node, ast.Import):
            names |= {each.name.partition(".")[0] for each in node.names}
        if isinstance(node, ast.ImportFrom):
            names.add(node.module.partition(".")[0])
    assert names - {"__future__"} <= sys.stdlib_module_names


# --- its parts, against what is printed elsewhere ---

# RFC 8032, 7.1: secret key, public key, message, signature.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("public", "message", "signature"), RFC_8032)
def test_signatures_of_rfc_8032_are_right_and_no_bit_of_them_can_change(public, message, signature):
    public, message, signature = map(bytes.fromhex, (public, message, signature))
    assert verifier.is_signed(public, message, signature)
    assert not verifier.is_signed(public, message + b"x", signature)
    for place in range(0, 64, 5):
        wrong = bytearray(signature)
        wrong[place] ^= 1
        assert not verifier.is_signed(public, message, bytes(wrong))


def test_the_base_point_is_the_one_of_rfc_8032_and_not_its_mirror_image():
    """5.1, as decimal numbers. Mirrored everywhere, all signatures would come out the same."""
    assert verifier.BASE[:2] == (
        15112221349535400772501151409588531511454012693041857206046113283949847762202,
        46316835694926478169428394003475163141307993866256225615783033603165251855960,
    )


def test_a_signature_that_is_written_otherwise_is_none():
    """S + L is the same number to the curve, and another signature (8.4 of RFC 8032); so are points past the field."""
    public, message, signature = (bytes.fromhex(text) for text in RFC_8032[1])
    s = int.from_bytes(signature[32:], "little") + verifier.ORDER
    assert not verifier.is_signed(public, message, signature[:32] + s.to_bytes(32, "little"))
    assert not verifier.is_signed(public, message, signature + b"x")
    assert not verifier.is_signed(public[:-1], message, signature)
    assert not verifier.is_signed(bytes.fromhex("ee" + "ff" * 30 + "7f"), message, signature)
    for text in ("01" + "00" * 30 + "80", "ed" + "ff" * 30 + "7f"):  # x = -0; y = 2^255 - 19, which is 0
        with pytest.raises(ValueError, match="not a point"):
            verifier.read_point(bytes.fromhex(text))


def test_of_many_signatures_the_wrong_ones_are_found():
    keys = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in range(3)]
    signatures = []
    for number in range(70):
        key = keys[number % 3]
        message = b"message %d" % number
        signatures.append(verifier.Signature(key.public_key().public_bytes_raw(), message, key.sign(message)))
    assert verifier.find_false_signatures(signatures) == []
    for place in (0, 33, 69):
        right = signatures[place]
        signatures[place] = verifier.Signature(right.public_key, right.message + b"!", right.signature)
    assert verifier.find_false_signatures(signatures) == [0, 33, 69]
    assert verifier.find_false_signatures([]) == []


def test_paths_lead_to_the_root_of_trees_of_every_small_size():
    leaves = [bytes([number]) * 32 for number in range(20)]
    for size in range(1, 21):
        root = root_of(leaves[:size])
        assert verifier.hash_tree(leaves[:size]) == root
        for index in range(size):
            path = path_of(index, leaves[:size])
            assert verifier.is_included(leaves[index], index, size, path, root)
            assert not verifier.is_included(leaves[index - 1] if size > 1 else b"x", index, size, path, root)
            assert not verifier.is_included(leaves[index], index, size, [*path, root], root)
            assert not verifier.is_included(leaves[index], size, size, path, root)
            assert not verifier.is_included(leaves[index], -1, size, path, root)
        for old in range(1, size + 1):
            path = consistency_of(old, leaves[:size])
            assert verifier.is_consistent(old, size, root_of(leaves[:old]), root, path)
            assert not verifier.is_consistent(old, size, root, root, path) or old == size
            assert not verifier.is_consistent(old, size, root_of(leaves[:old]), root, [*path, root])
            assert not verifier.is_consistent(size + 1, size, root, root, path)
        assert not verifier.is_consistent(0, size, root_of([]), root, [root])


# --- its own comparisons, flipped one by one ---

FLIPPED = {
    ast.Eq: [ast.NotEq], ast.NotEq: [ast.Eq], ast.Lt: [ast.GtE, ast.LtE], ast.GtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.LtE, ast.GtE], ast.LtE: [ast.Gt, ast.Lt], ast.In: [ast.NotIn], ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot], ast.IsNot: [ast.Is],
}  # fmt: skip
MUTANTS_PER_RUN = int(os.environ.get("TOKENLEDGER_MUTANTS", "12"))  # 0: all of them
MUTANT_SECONDS_MAX = 60  # of the processor, several times what all cases take
# Flipped, these find the same: what they choose is only quicker, or only how something is told; or, of a point that
# was multiplied by 8, the one cannot be without the other; or there is no such value (a sign is -1 or 1).
IDLE = json.loads(Path(__file__).with_name("idle_comparisons.json").read_text())


def count_mutants():
    """Of every comparison, `not`, `and` and `or` of the verifier."""
    return sum(1 for _ in _list_flips(ast.parse(VERIFIER.read_text())))


def make_mutant(number):
    """(what was flipped and where, the source, whether that is in the arithmetic of signatures)."""
    source = VERIFIER.read_text()
    tree = ast.parse(source)
    line, words = _flip(tree, number)
    lines = source.splitlines()
    begin, end = (
        next(at for at, text in enumerate(lines, 1) if text.startswith(f"# --- {name}"))
        for name in ("Ed25519", "Merkle trees")
    )
    return f"{lines[line - 1].strip()} → {words}", ast.unparse(tree), begin < line < end


def _list_flips(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for place, operator in enumerate(node.ops):
                for other in FLIPPED[type(operator)]:
                    yield node, place, other
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node, 0, None
        elif isinstance(node, ast.BoolOp):
            yield node, 0, ast.And if isinstance(node.op, ast.Or) else ast.Or


def _flip(tree, number):
    """Flip the comparison of this number; its line, and what stands there now."""
    for at, (node, place, other) in enumerate(_list_flips(tree)):
        if at == number:
            if isinstance(node, ast.Compare):
                node.ops[place] = other()
            elif isinstance(node, ast.BoolOp):
                node.op = other()
            else:
                node.operand = ast.UnaryOp(op=ast.Not(), operand=node.operand)
            return node.lineno, ast.unparse(node)
    raise IndexError(number)


_sums = {}


def _recall_sum(terms):
    """`add_multiples`, each sum made once for all mutants: it is most of what a case takes."""
    key = tuple(terms)
    if key not in _sums:
        _sums[key] = _add_multiples(terms)
    return _sums[key]


_add_multiples = verifier.add_multiples


class TakesForever(BaseException):
    """Past whatever the verifier itself catches."""


def _stop(*_):
    raise TakesForever


def is_noticed(source, prepared, name, *, is_on_curve):
    """Whether any of the tests above would be red, or one of them never end."""
    signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, MUTANT_SECONDS_MAX)
    try:
        mutant = load_verifier(source, f"mutant_{name}")
        if not is_on_curve:
            mutant.add_multiples = _recall_sum
        for case in prepared:
            if cases.ask(mutant, prepared[case]) != ANSWERS[case]:
                return True
        check_parts(mutant, prepared)
    except (Exception, SystemExit, pytest.fail.Exception, TakesForever):  # the middle ones are no Exception
        return True
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        sys.modules.pop(f"mutant_{name}", None)
    return False


def test_money_is_told_with_its_sign_and_no_digit_too_many():
    told = {0: "0", 1: "0.000000000001", -1_500_000_000_000: "-1.5", 100_000_000_000_000: "100"}
    assert {pico: verifier.write_money(pico) for pico in told} == told


def check_parts(module, prepared):
    """The tests of its parts, for another module in its place."""
    global verifier
    kept, verifier = verifier, module
    try:
        for vector in RFC_8032:
            test_signatures_of_rfc_8032_are_right_and_no_bit_of_them_can_change(*vector)
        test_the_base_point_is_the_one_of_rfc_8032_and_not_its_mirror_image()
        test_a_signature_that_is_written_otherwise_is_none()
        test_of_many_signatures_the_wrong_ones_are_found()
        test_paths_lead_to_the_root_of_trees_of_every_small_size()
        with pytest.MonkeyPatch.context() as patch:
            test_a_file_may_be_read_in_pieces_of_any_size(prepared, patch)
        test_only_text_without_escapes_and_in_utf_8_is_read_quickly()
        test_a_prompt_beyond_its_tier_is_found_though_its_products_are_right(prepared)
        test_a_row_that_counts_no_call_is_priced_as_it_stands(prepared)
        test_an_archive_whose_checkpoint_cannot_be_read_is_still_compared_with_another(prepared)
        test_an_archive_may_be_packed_anew_without_deflating(prepared)
        test_money_is_told_with_its_sign_and_no_digit_too_many()
    finally:
        verifier = kept


@pytest.mark.timeout(1800)
def test_no_comparison_of_the_verifier_is_idle(prepared):
    """Each is flipped in turn, and some test goes red. A few of them in each run, all with TOKENLEDGER_MUTANTS=0."""
    numbers = range(count_mutants())
    if MUTANTS_PER_RUN:
        numbers = random.Random(20261123).sample(numbers, MUTANTS_PER_RUN)
    unnoticed = []
    for number in numbers:
        what, source, is_on_curve = make_mutant(number)
        if what not in IDLE and not is_noticed(source, prepared, number, is_on_curve=is_on_curve):
            unnoticed.append(what)
    assert unnoticed == []
