"""Bundles with one thing wrong each, and those with nothing wrong: what the verifier is held to.

A case is made by somebody who holds every key and signs everything anew (`insider`), or by somebody who edits the files
of a finished bundle, and its bundle.json with them (`outsider`). `verifier_cases.json` beside this file says what the
verifier must answer to each, word for word; `python -m tests.audit.cases` writes it anew, to be read before it is kept.
"""

import copy
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

from tests.audit.small_bundles import (
    COSTS,
    LUNA,
    PERIOD,
    RECEIPT_SEED,
    SOL,
    TOKENS,
    SigningKey,
    SmallLedger,
    canonical,
    consistency_of,
    hash_list,
    leaf_of,
    make_files,
    make_manifest,
    make_rich_ledger,
    make_row,
    price,
    write_bundle,
    write_header,
    write_row,
    write_zip,
)

ANSWERS = Path(__file__).parent / "verifier_cases.json"
TOLD_MAX = 8
Bundles = dict[str, bytes]
Make = Callable[[], tuple[Bundles, dict[str, str]]]


def insider(change: Callable[[SmallLedger], object], **fields) -> Make:
    """Everything is signed after the change: only arithmetic speaks against it."""

    def make() -> tuple[Bundles, dict[str, str]]:
        ledger = make_rich_ledger(**fields)
        change(ledger)
        return {"a.zip": write_bundle(ledger)}, {}

    return make


def outsider(change: Callable[[dict[str, bytes]], object], *, manifest: Callable[[dict], object] | None = None) -> Make:
    """The files are changed, and the hashes of bundle.json after them."""

    def make() -> tuple[Bundles, dict[str, str]]:
        ledger = make_rich_ledger()
        files = make_files(ledger)
        change(files)
        made = make_manifest(ledger, files)
        if manifest:
            manifest(made)
        return {"a.zip": write_zip(files, made)}, {}

    return make


def row(batch: int, line: int, **fields) -> Callable[[SmallLedger], object]:
    """Other fields of one row; a number that begins with + is added."""

    def change(ledger: SmallLedger) -> None:
        found = ledger.batches[batch][line]
        for name, value in fields.items():
            found[name] = found[name] + int(value) if isinstance(value, str) and value[:1] in ("+", "-") else value

    return change


def document(name: str, change: Callable[[dict], object]) -> Callable[[dict[str, bytes]], object]:
    def edit(files: dict[str, bytes]) -> None:
        told = json.loads(files[name])
        change(told)
        files[name] = canonical(told)

    return edit


def lines(name: str, change: Callable[[list[bytes]], object]) -> Callable[[dict[str, bytes]], object]:
    def edit(files: dict[str, bytes]) -> None:
        found = files[name].split(b"\n")[:-1]
        change(found)
        files[name] = b"".join(line + b"\n" for line in found)

    return edit


def swap(name: str, old: bytes, new: bytes) -> Callable[[dict[str, bytes]], object]:
    def edit(files: dict[str, bytes]) -> None:
        assert old in files[name], (name, old)
        files[name] = files[name].replace(old, new, 1)

    return edit


def cut(name: str) -> Callable[[dict[str, bytes]], object]:
    """The file without its last byte."""

    def edit(files: dict[str, bytes]) -> None:
        files[name] = files[name][:-1]

    return edit


def put(place: int, old: bytes, new: bytes) -> Callable[[list[bytes]], object]:
    """Another text in one line."""

    def change(found: list[bytes]) -> None:
        assert old in found[place], (place, old)
        found[place] = found[place].replace(old, new, 1)

    return change


def statement_line(number: int, **fields) -> Make:
    return outsider(document("statement.json", lambda told: told["lines"][number - 1].update(fields)))


def _list_row_cases() -> Iterator[tuple[str, Make]]:
    for name in COSTS:
        yield f"plain row, {name}", insider(row(0, 0, **{name: "+1"}))
        yield f"slow row, {name}", insider(row(0, 3, **{name: "+1"}))
    for name in TOKENS:
        is_memo = "good: " if name == "reasoning_tokens" else ""  # inside the output, without a price of its own
        yield f"{is_memo}plain row, {name}", insider(row(0, 2, **{name: "+1"}))
        yield f"slow row, {name}", insider(row(0, 3, **{name: "+1"}))
    for line in range(20):
        yield f"special row {line}, a cost", insider(row(1, line, input_cost="+1", billed_cost="+1", list_cost="+1"))
    for name in ("list_cost", "input_tokens", "output_tokens", "reasoning_tokens", "saved_cost"):
        yield f"row of a contract, {name}", insider(row(1, 19, **{name: "+1"}))
    yield "context tier of a plain row", insider(row(0, 0, context_tier=1))
    yield "context tier of one above", insider(row(0, 1, context_tier=0))
    yield "context tier that the list has not", insider(row(0, 0, context_tier=7))
    yield "context tier after the last", insider(row(0, 0, context_tier=2))
    yield "context tier in parts", insider(row(1, 0, context_tier=0))
    yield "price list of another model", insider(row(0, 2, rate_version_hash=hash_list(SOL)))
    yield "price list that is not there", insider(row(0, 0, rate_version_hash="0" * 64))
    yield "another service tier", insider(row(1, 13, service_tier="batch"))
    yield "another service tier of a plain row", insider(row(0, 0, service_tier="flex"))
    yield "another region", insider(row(1, 14, region="us"))
    for line, time in ((15, "21:59:59"), (16, "06:00:00"), (17, "08:59:59"), (17, "17:00:00")):
        yield f"outside of the hours, {time}", insider(row(1, line, charge_period_start=f"{PERIOD}-05T{time}.000000Z"))
    yield "another tenant's price", insider(lambda ledger: None, slug="globex")
    yield "what has no price", insider(row(1, 4, other_usage={"images": 1}))
    yield "nothing failed, nothing used", insider(row(3, 1, status="ok"))
    yield "failed, and used something", insider(row(3, 1, output_tokens=1))
    yield "failed for another reason", insider(row(3, 1, pricing_reason=""))
    yield "reported nothing", insider(row(1, 10, reported_cost=None))
    yield "reported something else", insider(row(1, 10, reported_cost=5))
    yield "a cached answer that costs", insider(row(3, 0, other_cost="+1", billed_cost="+1"))
    yield "a cached answer that saved more", insider(row(3, 0, saved_cost="+1"))
    yield "an act that costs", insider(row(3, 3, other_cost="+1", billed_cost="+1"))
    yield "half a price", insider(row(3, 2, input_cost=0))
    yield "an unpriced row that is called priced", insider(row(3, 2, pricing_status="priced"))
    yield "a priced row that is called unpriced", insider(row(0, 0, pricing_status="unpriced"))
    yield "billed is not the sum", insider(row(3, 3, billed_cost="+1"))
    yield "good: a row of another month", insider(row(0, 0, billing_period="2026-12-01"))
    yield "another kind of row", insider(row(0, 0, v="tokenledger/entry/2"))
    yield "another currency", insider(row(0, 0, currency="EUR"))


def _list_fee_cases() -> Iterator[tuple[str, Make]]:
    for line in range(7):
        yield f"fee {line}", insider(row(2, line, output_cost="+1", billed_cost="+1"))
    yield "fee for nothing", insider(row(2, 0, tags={}))
    yield "fee out of order", insider(row(2, 0, event_id="[9]"))
    yield "good: fee without a number", insider(row(2, 0, event_id="x"))
    earlier = {"tokenledger.month": "2026-09", "tokenledger.meter": "output", "tokenledger.quantity": "10"}
    yield "good: a later fee of a closed month", insider(row(2, 2, tags=earlier, event_id="[1]"))
    yield "the first fee of a closed month", insider(row(2, 2, tags=earlier, event_id="[0]"))
    yield "a later fee of this month", insider(row(2, 2, event_id="[1]", output_cost="+1", billed_cost="+1"))
    yield "fee of another version", insider(row(2, 1, rate_version_id=8))
    yield "fee for no quantity", insider(row(2, 2, tags={"tokenledger.month": PERIOD, "tokenledger.meter": "output",
                                                       "tokenledger.quantity": "0"}))  # fmt: skip
    yield "fee at the threshold", insider(row(2, 2, tags={"tokenledger.month": PERIOD, "tokenledger.meter": "output",
                                                        "tokenledger.quantity": "10"}))  # fmt: skip


def _list_correction_cases() -> Iterator[tuple[str, Make]]:
    def take_back_twice(ledger: SmallLedger) -> None:
        ledger.batches.append([copy.deepcopy(ledger.batches[6][0])])
        ledger.place_rows()

    yield "taken back twice", insider(take_back_twice)
    yield "taken back otherwise", insider(row(6, 0, feature="search"))
    yield "taken back with another usage", insider(row(6, 0, other_usage={"images": -1}))
    yield "nothing is taken back", insider(row(6, 0, tags={}))
    elsewhere = {"tokenledger.reverses": "01a0f4c2-0000-7e41-8a58-000000000000.5"}
    yield "what is not there is taken back", insider(row(6, 0, tags=elsewhere))
    sooner = "2026-09-30T23:59:59.999999Z"
    yield "good: a row of a closed month is taken back", insider(row(6, 0, tags=elsewhere, charge_period_start=sooner))
    yield "nothing of a closed month is taken back", insider(row(6, 0, tags={}, charge_period_start=sooner))
    yield "an unpriced row taken back otherwise", insider(row(6, 2, input_tokens="-1"))
    yield "restated otherwise", insider(row(6, 1, input_cost="+1", billed_cost="+1"))
    yield "a reversal's cost", insider(row(6, 0, input_cost="+1", billed_cost="+1"))


def _list_entry_cases() -> Iterator[tuple[str, Make]]:
    edits: dict[str, Callable[[list[bytes]], object]] = {
        "a row is gone": lambda rows: rows.pop(2),
        "the last row is gone": lambda rows: rows.pop(),
        "the last batch is gone": lambda rows: rows.__delitem__(slice(-4, None)),
        "a row stands twice": lambda rows: rows.insert(2, rows[2]),
        "two rows change places": lambda rows: rows.insert(1, rows.pop(2)),
        "rows of two batches change places": lambda rows: rows.insert(0, rows.pop(8)),
        "rows of a batch stand elsewhere": lambda rows: rows.append(rows.pop(0)),
        "a row of no batch": lambda rows: rows.append(write_row(make_row(batch_id="x", tenant_id=2, line=0))),
        "a row of no batch in front": lambda rows: rows.insert(0, write_row(make_row(batch_id="x", tenant_id=2))),
        "a line that is none": lambda rows: rows.insert(3, b"{}"),
        "a line of noise": lambda rows: rows.insert(3, b"\xff\xfe"),
        "a row with a space": put(0, b'":"', b'": "'),
        "a slow row with a space": put(3, b'":"', b'": "'),
        "a row without a member": put(0, b'"status":"ok",', b""),
        "a member twice": put(0, b'"status"', b'"status":"ok","status"'),
        "a number for a text": put(0, b'"line":"0"', b'"line":0'),
        "a number with a sign": put(0, b'"line":"0"', b'"line":"+0"'),
        "a flag for a text": put(0, b'"status":"ok"', b'"status":true'),
        "a text for a flag": put(0, b'"cache_hit":false', b'"cache_hit":"no"'),
        "a list for tags": put(0, b'"tags":{}', b'"tags":[]'),
        "a number among tags": put(0, b'"tags":{}', b'"tags":{"a":1}'),
        "a time without its end": put(0, b'.123456Z"', b'"'),
        "a month that is none": put(0, b'"2026-10-01"', b'"October"'),
        "no number of units": put(3, b'"web_searches":"2"', b'"web_searches":"x"'),
        "a fraction": put(3, b'"web_searches":"2"', b'"web_searches":"1/0"'),
        "corrects a number": put(0, b'"corrects":null', b'"corrects":7'),
        "another tenant's row": put(0, b'"tenant_id":"2"', b'"tenant_id":"3"'),
        "another key's row": put(0, b'"api_key_id":"k1"', b'"api_key_id":"k2"'),
        "another time's row": put(1, b"-06T00:00", b"-06T00:01"),
    }  # fmt: skip
    for name, edit in edits.items():
        yield name, outsider(lines("entries.jsonl", edit))
    yield (
        "no line break at the end",
        outsider(lambda files: files.update({"entries.jsonl": files["entries.jsonl"][:-1]})),
    )


def _list_batch_cases() -> Iterator[tuple[str, Make]]:
    def forge(**fields) -> Callable[[list[bytes]], object]:
        """Another header, signed by the right key."""

        def change(batches: list[bytes]) -> None:
            rows = make_rich_ledger().batches[1]
            header = json.loads(write_header(rows, [write_row(one) for one in rows])) | fields
            key = SigningKey(RECEIPT_SEED, "receipt")
            batches[1] = canonical({"leaves": None, "receipt": key.receipt(canonical(header))})

        return change

    def resign(seed: bytes) -> Callable[[list[bytes]], object]:
        def change(batches: list[bytes]) -> None:
            rows = make_rich_ledger().batches[1]
            header = write_header(rows, [write_row(one) for one in rows])
            batches[1] = canonical({"leaves": None, "receipt": SigningKey(seed, "receipt").receipt(header)})

        return change

    def spoil(batches: list[bytes]) -> None:
        told = json.loads(batches[1])
        told["receipt"] = told["receipt"][:-10] + ("A" if told["receipt"][-10] != "A" else "B") + told["receipt"][-9:]
        batches[1] = canonical(told)

    def lose(batches: list[bytes]) -> None:
        rows = make_rich_ledger().batches[1]
        leaf = leaf_of(write_header(rows, [write_row(one) for one in rows]))
        batches[1] = canonical({"leaf": leaf.hex(), "leaves": None, "receipt": None})

    edits: dict[str, Callable[[list[bytes]], object]] = {
        "a batch is gone": lambda batches: batches.pop(1),
        "a batch stands twice": lambda batches: batches.insert(1, batches[1]),
        "two batches change places": lambda batches: batches.insert(0, batches.pop(1)),
        "a header of more rows": forge(entry_count="21", billing_periods={f"{PERIOD}-01": "21"}),
        "a header of a greater cost": forge(billed_cost="1"),
        "a header with something unpriced": forge(unpriced_count="1"),
        "a header of another root": forge(root="0" * 64),
        "a header of another tenant": forge(tenant_id="3"),
        "a header of another version": forge(v="tokenledger/batch/1"),
        "a header whose months are more": forge(billing_periods={f"{PERIOD}-01": "19", "2026-11-01": "1"}),
        "a header of another key's call": forge(api_key_id="k2"),
        "a header of half a cost": forge(billed_cost="0.5"),
        "a header of fewer than none": forge(entry_count="-1", billing_periods={}),
        "a header with more members": forge(w="1"),
        "a receipt by another key": resign(bytes(32)),
        "a signature that is wrong": spoil,
        "a batch that is lost": lose,
        "a line of noise among batches": lambda batches: batches.__setitem__(1, b"noise"),
        "no receipt at all": lambda batches: batches.__setitem__(1, canonical({"leaves": None, "receipt": "a.b.c"})),
    }
    for name, edit in edits.items():
        yield name, outsider(lines("batches.jsonl", edit))
    yield "a leaf of another month's row", outsider(_edit_others(lambda leaves: leaves[0].__setitem__(1, "0" * 64)))
    yield "another month's row in another place", outsider(_edit_others(lambda leaves: leaves[0].__setitem__(0, "0")))
    yield "another month's row twice", outsider(_edit_others(lambda leaves: leaves.append(leaves[0])))
    yield "another month's row is gone", outsider(_edit_others(lambda leaves: leaves.clear()))
    yield "another month's row nowhere", outsider(_edit_others(lambda leaves: leaves[0].__setitem__(0, "-1")))


def _edit_others(change: Callable[[list], object]) -> Callable[[dict[str, bytes]], object]:
    def edit(batches: list[bytes]) -> None:
        told = json.loads(batches[3])
        change(told["leaves"])
        batches[3] = canonical(told)

    return lines("batches.jsonl", edit)


def _list_proof_cases() -> Iterator[tuple[str, Make]]:
    def rewrite(key: SigningKey, origin: str, size: int, root: bytes, name: str = "checkpoint.txt"):
        return lambda files: files.update({name: key.note(origin, size, root).encode()})

    ledger = make_rich_ledger()
    seal_key, log = ledger.seal_key, "tokenledger/0123456789ab/log"
    for name, change in {
        "left": lambda told: told["left"].__setitem__(0, "0" * 64),
        "right": lambda told: told["right"].__setitem__(0, "0" * 64),
        "left is longer": lambda told: told["left"].append("0" * 64),
        "right is shorter": lambda told: told["right"].pop(),
        "size": lambda told: told.update(size="13"),
        "first": lambda told: told.update(first="4"),
        "end": lambda told: told.update(end="4"),
        "no hash": lambda told: told["left"].__setitem__(0, "zz"),
    }.items():
        yield f"tree: {name}", outsider(document("tree.json", change))
    yield "checkpoint of another root", outsider(rewrite(seal_key, ledger.origin, 12, bytes(32)))
    yield "checkpoint of another size", outsider(rewrite(seal_key, ledger.origin, 13, bytes(32)))
    yield "checkpoint of another tree", outsider(rewrite(seal_key, log, 12, bytes(32)))
    yield "checkpoint by the receipt key", outsider(rewrite(ledger.receipt_key, ledger.origin, 12, bytes(32)))
    yield "checkpoint with a short root", outsider(rewrite(seal_key, ledger.origin, 12, bytes(31)))
    yield "checkpoint with another text", outsider(swap("checkpoint.txt", b"\n12\n", b"\n11\n"))
    yield "checkpoint without a signature", outsider(lambda files: files.update({"checkpoint.txt": b"a\n1\nb\n\n"}))
    yield "checkpoint of four lines", outsider(swap("checkpoint.txt", b"\n12\n", b"\n12\nmore\n"))
    yield "checkpoint with a hyphen", outsider(swap("checkpoint.txt", "\u2014".encode(), b"-"))
    yield (
        "checkpoint without its end",
        outsider(lambda files: files.update({"checkpoint.txt": files["checkpoint.txt"][:-1]})),
    )
    yield (
        "checkpoint by another name",
        outsider(swap("checkpoint.txt", "\u2014 token".encode(), "\u2014 Token".encode())),
    )
    for name, change in {
        "index": lambda told: told.update(index="0"),
        "index too large": lambda told: told.update(index="3"),
        "path": lambda told: told["path"].__setitem__(0, "0" * 64),
        "longer path": lambda told: told["path"].append("0" * 64),
        "shorter path": lambda told: told["path"].pop(),
        "salt": lambda told: told.update(salt="00"),
        "leaf": lambda told: told.update(leaf=told["leaf"].replace('"size":"12"', '"size":"13"')),
        "no leaf": lambda told: told.update(leaf="x"),
    }.items():
        yield f"log: {name}", outsider(document("log.json", change))
    yield "log head of another log", outsider(rewrite(seal_key, ledger.origin, 3, bytes(32), "log-head.txt"))
    yield "log head by another key", outsider(rewrite(ledger.receipt_key, log, 3, bytes(32), "log-head.txt"))


def _list_statement_cases() -> Iterator[tuple[str, Make]]:
    for name, value in (
        ("line", "7"), ("quantity", "1"), ("price", "9"), ("list_price", "9"), ("per", "1"), ("billed_cost", "1"),
        ("list_cost", "1"), ("contracted_cost", "1"), ("effective_cost", "1"), ("billed_cost_shown", "1"),
        ("feature", "x"), ("section", "fee"), ("model", "x"), ("provider", "x"), ("usage", "images"),
        ("rate_version_hash", hash_list(SOL)), ("rate_version_hash", "x"), ("charge_month", "2026-09-01"),
        ("cache_hit", "true"), ("meter", "output"),
    ):  # fmt: skip
        yield f"statement line, {name} {value[:4]}", statement_line(1, **{name: value})
    for name in (
        "lines", "ledger_rows", "acts", "calls", "unpriced_calls", "list_cost", "contracted_cost", "effective_cost",
        "billed_cost", "saved_cost", "lines_shown", "charged",
    ):  # fmt: skip
        yield (
            f"statement total, {name}",
            outsider(document("statement.json", lambda told, name=name: told["totals"].update({name: "5"}))),
        )
    for name, value in (("v", "x"), ("tenant", "x"), ("period", "2026-09"), ("lines", None), ("totals", {})):
        yield (
            f"statement, {name}",
            outsider(document("statement.json", lambda told, n=name, v=value: told.update({n: v}))),
        )
    yield (
        "statement of another checkpoint",
        outsider(document("statement.json", lambda told: told.update(checkpoint={"root": "0" * 64}))),
    )
    yield "statement line is gone", outsider(document("statement.json", lambda told: told["lines"].pop()))
    yield "statement line with too many decimals", statement_line(1, billed_cost="0.0000000000001")

    def move(told: dict) -> None:
        """A cost goes from a line to a remainder."""
        line = next(line for line in told["lines"] if line["price"])
        rest = dict(line, price=None, list_price=None, quantity="0", usage="remainder", meter="remainder")
        line["quantity"] = "0"
        for name in ("billed_cost", "list_cost", "contracted_cost", "effective_cost", "billed_cost_shown"):
            line[name] = "0"
        told["lines"].append(rest | {"line": str(len(told["lines"]) + 1)})

    yield "statement with a large remainder", outsider(document("statement.json", move))
    for word, amount in (("good: ", "0.000000000005"), ("", "0.000000000006")):
        yield (
            f"{word}statement with a remainder of {amount}",
            outsider(document("statement.json", lambda told, amount=amount: _add_remainder(told, amount))),
        )


def _add_remainder(told: dict, amount: str) -> None:
    """Of one row, and its opposite of another: 10 meters, each rounded by half of the last digit, may leave 5."""
    for sign in ("", "-"):
        told["lines"].append({
            **told["lines"][0], "line": str(len(told["lines"]) + 1), "usage": "remainder", "meter": "remainder",
            "price": None, "list_price": None, "quantity": "0", "ledger_rows": "1", "billed_cost": sign + amount,
            "list_cost": sign + amount, "contracted_cost": sign + amount, "effective_cost": sign + amount,
            "billed_cost_shown": "0",
        })  # fmt: skip
    told["totals"]["lines"] = str(len(told["lines"]))


def _list_key_cases() -> Iterator[tuple[str, Make]]:
    older, newer = SigningKey(bytes(range(100, 132)), "receipt"), SigningKey(RECEIPT_SEED, "receipt")
    stranger, sealer = SigningKey(bytes(32), "receipt"), SigningKey(bytes(range(32, 64)), "seal")
    spoilt = newer.announce()["announcement"].replace("2026-09", "2026-08")
    for name, announcements in {
        "good: a key that another announced": [older.announce(), newer.announce(older)],
        "a key that nobody announced": [older.announce(), newer.announce()],
        "a key announced by one that nobody knows": [older.announce(), newer.announce(stranger)],
        "a key of another purpose": [SigningKey(RECEIPT_SEED, "seal").announce()],
        "no key": [],
        "an announcement of another key": [newer.announce() | {"announcement": older.announce()["announcement"]}],
        "an announcement that is none": [newer.announce() | {"announcement": "x"}],
        "an announcement that nobody signed": [newer.announce() | {"announcement": spoilt}],
        "an announcement that the one before did not sign": [
            older.announce(), newer.announce() | {"announcement": _drop_signature(newer.announce(older), older)}],
    }.items():  # fmt: skip
        yield (
            name,
            outsider(document("keys.json", lambda told, a=announcements: told.update(keys=[*a, told["keys"][-1]]))),
        )
    for name, keys in {
        "good: keys that are known": [newer, sealer],
        "keys that are not known": [older],
        "one key that is known": [newer],
    }.items():
        document_ = canonical({"keys": [key.announce() for key in keys]})
        yield name, lambda d=document_: ({"a.zip": write_bundle(make_rich_ledger())}, {"keys": d.decode()})
    web = {"keys": [{"kty": "OKP", "x": _b64url(key.public), "announcement": None} for key in (newer, sealer)]}
    yield "good: keys as the web gives them", lambda: (
        {"a.zip": write_bundle(make_rich_ledger())}, {"keys": canonical(web).decode()}
    )  # fmt: skip
    yield "keys that are none", lambda: ({"a.zip": write_bundle(make_rich_ledger())}, {"keys": "[]"})
    short = canonical({"keys": [{"public_key": "00"}]}).decode()
    yield "keys that are too short", lambda: ({"a.zip": write_bundle(make_rich_ledger())}, {"keys": short})


def _drop_signature(told: dict, key: SigningKey) -> str:
    announcement = json.loads(told["announcement"])
    signature = next(text for key_id, text in announcement["signatures"].items() if key_id != key.key_id)
    announcement["signatures"][key.key_id] = signature
    return canonical(announcement).decode()


def _b64url(data: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _list_manifest_cases() -> Iterator[tuple[str, Make]]:
    def nothing(files: dict[str, bytes]) -> None:
        pass

    for name, change in {
        "entries": lambda told: told["counts"].update(entries="1"),
        "batches": lambda told: told["counts"].update(batches="1"),
        "rates": lambda told: told["counts"].update(rates="1"),
        "unpriced": lambda told: told["totals"].update(unpriced="9"),
        "billed_cost": lambda told: told["totals"].update(billed_cost={"USD": "1"}),
        "leaves": lambda told: told.update(leaves="0" * 64),
        "first": lambda told: told.update(first="4"),
        "end": lambda told: told.update(end="20"),
        "period": lambda told: told.update(period="2026-11"),
        "no month": lambda told: told.update(period="October"),
        "tenant": lambda told: told["tenant"].update(number="3"),
        "origin": lambda told: told.update(origin="tokenledger/0123456789ac/2"),
        "no origin": lambda told: told.update(origin="x"),
        "version": lambda told: told.update(v="tokenledger/bundle/2"),
        "a file's hash": lambda told: told["files"].update({"README.txt": "0" * 64}),
        "a file that is not there": lambda told: told["files"].update(more="0" * 64),
        "a file that is not named": lambda told: told["files"].pop("README.txt"),
        "a negative place": lambda told: told.update(first="-1"),
    }.items():
        yield f"bundle.json: {name}", outsider(nothing, manifest=change)
    yield "entries.jsonl is gone", _drop_entries
    yield "a price list is another", outsider(swap(f"rates/{hash_list(LUNA)}.json", b'"0.2"', b'"0.1"'))
    yield "a price list is none", outsider(lambda files: files.update({_hash_file(b"[]"): b"[]"}))
    yield "a price list with fractions", outsider(lambda files: files.update({_hash_file(b'{"a":0.5}'): b'{"a":0.5}'}))
    for name in ("checkpoint.txt", "keys.json", "statement.json", "log.json"):
        yield f"{name} is gone", outsider(lambda files, name=name: files.pop(name) and None)
    yield "keys.json is no JSON", outsider(lambda files: files.update({"keys.json": b"{"}))
    yield "no ZIP", lambda: ({"a.zip": b"PK"}, {})
    yield "half a ZIP", lambda: ({"a.zip": write_bundle(make_rich_ledger())[:5000]}, {})


def _drop_entries() -> tuple[Bundles, dict[str, str]]:
    ledger = make_rich_ledger()
    files = make_files(ledger)
    manifest = make_manifest(ledger, files)
    del files["entries.jsonl"]
    return {"a.zip": write_zip(files, manifest)}, {}


def _hash_file(data: bytes) -> str:
    import hashlib

    return f"rates/{hashlib.sha256(data).hexdigest()}.json"


def _list_pairs() -> Iterator[tuple[str, Make]]:
    def pair(old: SmallLedger, new: SmallLedger, **options: str) -> Make:
        return lambda: ({"b.zip": write_bundle(new), "a.zip": write_bundle(old)}, options)

    def make(batches: int, after: int, **fields) -> SmallLedger:
        """One after another of the tree's batches, of one row each."""
        ledger = SmallLedger(
            [[price(make_row(input_tokens=number), LUNA)] for number in range(batches)], rates=[LUNA], before=0,
            after=after, **fields,
        )  # fmt: skip
        ledger.place_rows()
        return ledger

    def rewrite(ledger: SmallLedger) -> SmallLedger:
        ledger.batches[1][0] = price(make_row(input_tokens=99), LUNA)
        ledger.place_rows()
        return ledger

    yield "good: a tree that grew", pair(make(3, 0), make(5, 0))
    yield "good: the same twice", pair(make(3, 0), make(3, 0))
    yield "a tree that was rewritten", pair(make(3, 0), rewrite(make(5, 0)))
    yield "a tree of the same size that is another", pair(make(3, 0), rewrite(make(3, 0)))
    yield "another tenant", pair(make(3, 0), make(3, 0, number=3, slug="globex"))
    yield "another key", pair(make(3, 0), make(5, 0, seal_key=SigningKey(bytes(32), "seal")))
    far = make(3, 2), make(3, 4)
    yield "too far apart", pair(*far)
    leaves = [leaf_of(write_header(rows, [write_row(one) for one in rows])) for rows in far[1].batches]
    leaves += [leaf_of(b"another month %d" % number) for number in range(4)]
    path = [node.hex() for node in consistency_of(5, leaves)]
    for name, told in {
        "good: a path between them": {"from": 5, "to": 7, "path": path},
        "a path that is wrong": {"from": 5, "to": 7, "path": [*path[:-1], "0" * 64]},
        "a path that is too long": {"from": 5, "to": 7, "path": [*path, "0" * 64]},
        "an empty path": {"from": 5, "to": 7, "path": []},
        "a path between others": {"from": 4, "to": 7, "path": path},
        "a path that is none": {"from": 5},
    }.items():
        yield name, pair(*far, consistency=canonical(told).decode())


def _list_receipts() -> Iterator[tuple[str, Make]]:
    def keep(kept: str, bundle: SmallLedger | None = None) -> Make:
        return lambda: ({"a.zip": write_bundle(bundle or make_rich_ledger())}, {"receipts": kept})

    def sign(rows: list, key: SigningKey | None = None, **fields) -> str:
        header = json.loads(write_header(rows, [write_row(one) for one in rows])) | fields
        return (key or ledger.receipt_key).receipt(canonical(header))

    ledger = make_rich_ledger()
    good = [sign(rows) for rows in ledger.batches]
    answer = json.dumps({"accepted": 1, "receipt": good[1]})
    stranger = [make_row(batch_id="01a0f4c2-0000-7e41-8a58-000000000000", line=0, recorded_at="x", tenant_id=2)]
    yield "good: receipts that were kept", keep("\n".join([*good, "", answer]))
    yield "a batch that is missing", keep(sign(stranger))
    yield "good: a batch of another month", keep(sign([stranger[0] | {"billing_period": "2026-11-01"}]))
    yield "good: a batch of another tenant", keep(sign([stranger[0] | {"tenant_id": 9}]))
    yield "a receipt that says something else", keep(sign(ledger.batches[1], kind="fee"))
    yield "a receipt by a stranger", keep(sign(ledger.batches[1], SigningKey(bytes(32), "receipt")))
    yield "a receipt that is spoilt", keep(good[1][:-4] + "AAAA")
    yield "no receipt", keep("a.b.c")
    yield "no answer", keep("{")


def list_cases() -> dict[str, Make]:
    cases = {
        "good: every kind of row": insider(lambda ledger: None),
        "good: alone in its tree": insider(lambda ledger: None, before=0, after=0),
        "good: far into its tree": insider(lambda ledger: None, before=21, after=13),
    }
    parts = (
        _list_row_cases, _list_fee_cases, _list_correction_cases, _list_entry_cases, _list_batch_cases,
        _list_proof_cases, _list_statement_cases, _list_key_cases, _list_manifest_cases, _list_pairs, _list_receipts,
    )  # fmt: skip
    for part in parts:
        for name, make in part():
            assert name not in cases, name
            cases[name] = make
    return cases


Prepared = tuple[Path, list[str], dict[str, object]]


def prepare(make: Make, folder: Path) -> Prepared:
    """Write a case's files; the folder, the bundles' names and the verifier's options."""
    bundles, options = make()
    folder.mkdir()
    for name, data in bundles.items():
        (folder / name).write_bytes(data)
    for name, text in options.items():
        (folder / name).write_text(text)
    given: dict[str, object] = {name: [name] if name == "consistency" else name for name in options}
    return folder, list(bundles), given


def ask(verifier, case: Prepared) -> list[str]:
    """What the verifier answers, in lines; what cannot be read is an answer too."""
    folder, bundles, options = case
    with chdir(folder):
        try:
            report = verifier.verify(bundles, **options)
        except verifier.Unreadable as error:
            return [f"unreadable: {str(error)[:60]}"]
    notes = [f"note: {note}" for note in report.notes if "no --keys" not in note]
    kept = [line.strip() for line in report.lines if "kept" in line]
    texts = report.findings.texts
    told = texts if len(texts) <= TOLD_MAX else [*texts[:TOLD_MAX], f"{len(texts)} in all"]
    return [*told, *notes, *kept]


def main() -> None:
    from tests.audit.verifying import verifier

    with tempfile.TemporaryDirectory() as folder:
        answers = {
            name: ask(verifier, prepare(make, Path(folder, str(number))))
            for number, (name, make) in enumerate(list_cases().items())
        }
    ANSWERS.write_text(json.dumps(answers, indent=1, ensure_ascii=False) + os.linesep)


if __name__ == "__main__":
    main()
