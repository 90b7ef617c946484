"""Bundles made in a test, by a writer of a few hundred lines that shares nothing with the product's.

It follows docs/proof.md alone: rows by `json`, trees by the recursion of RFC 6962 as it is printed there, signatures by
`cryptography`. Prices are a literal table of integers; whoever wants the engine's prices brings the rows.
"""

import base64
import copy
import hashlib
import hmac
import io
import json
import random
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PICO = 10**12
PERIOD = "2026-10"
INSTALLATION = "0123456789ab"
RECEIPT_SEED, SEAL_SEED = bytes(range(32)), bytes(range(32, 64))
SALT = bytes(range(64, 96))

LUNA = {
    "provider": "openai", "model": "luna", "match": "exact", "currency": "USD", "service_tier": "standard",
    "region": "", "source": {"name": "price page"},
    "meters": {
        "input": {"price": "0.2", "per": 1000000},
        "cache_read": {"price": "0.02", "per": 1000000},
        "cache_write": {"price": "0.25", "per": 1000000},
        "output": {"price": "1.2", "per": 1000000},
    },
    "context_tiers": [
        {"input_tokens": 272000, "compare": ">", "scope": "request",
         "meters": {"input": {"price": "0.4", "per": 1000000}, "output": {"price": "1.8", "per": 1000000}}}
    ],
}  # fmt: skip
SOL = {
    "provider": "openai", "model": "sol", "match": "exact", "currency": "USD", "service_tier": "standard",
    "region": "", "source": {"name": "contract"},
    "meters": {
        "input": {"price": "0.16", "list_price": "0.2", "per": 1000000},
        "output": {"price": "0.96", "list_price": "1.2", "per": 1000000},
        "reasoning": {"price": "2", "per": 1000000},
        "web_search": {"price": "10", "per": 1000},
        "request": {"price": "0.001", "per": 1},
    },
}  # fmt: skip
MILLION = 1000000


def write_list(model: str, meters: dict, **fields) -> dict:
    """A price list of one model; meters: price for a million, or a meter's object."""
    return {
        "provider": "mill", "model": model, "match": "exact", "currency": "USD", "service_tier": "standard",
        "region": "", "source": {"name": "a contract"},
        "meters": {
            name: each if isinstance(each, dict) else {"price": each, "per": MILLION} for name, each in meters.items()
        },
    } | fields  # fmt: skip


def _step(compare: str, scope: str, price: str) -> dict:
    meters = {"input": {"price": price, "per": MILLION}}
    return {"input_tokens": 1000, "compare": compare, "scope": scope, "meters": meters}


MARGINAL = write_list("marginal", {"input": "1", "output": "4"}, context_tiers=[_step(">", "marginal", "2")])
REACHED = write_list("reached", {"input": "1", "output": "4"}, context_tiers=[_step(">=", "request", "2")])
EAR = write_list("ear", {"audio_second": {"price": "0.04", "per": 3600, "minimum_per_call": 10}})
GPU = write_list("gpu", {"gpu_second": {"price": "1", "per": 3600}, "request": {"price": "0.001", "per": 1}})
VOICE = write_list("voice", {"input": "1", "audio_input": "8", "audio_cache_read": "2", "cache_read": "0.5"})
ROUTER = write_list("router", {}, price_from="reported_cost")
FLEX = write_list("flex", {"input": "1", "output": "1"}, service_tier="flex")
EU = write_list("eu", {"input": "1", "output": "1"}, region="eu")
NIGHT = write_list("night", {"input": "1", "output": "1"}, time_window="22:00-06:00")
DAYTIME = write_list("daytime", {"input": "1", "output": "1"}, time_window="09:00-17:00")
AGREED = write_list("agreed", {"input": "1", "output": "1"}, tenant="acme")
CLUSTER = write_list("cluster", {"input": "1"}, tenant="acme", daily_fee="240")

CONTRACT = write_list(
    "contract",
    {
        "input": {"price": "0.8", "list_price": "1", "per": MILLION},
        "output": {"price": "3", "list_price": "4", "per": MILLION},
        "reasoning": {"price": "5", "list_price": "6", "per": MILLION},
    },
)


def _tiered(scope: str, **tier) -> dict:
    steps = [{"above": 10, "scope": scope, **tier}]
    return write_list(f"ladder-{scope}", {"output": {"price": "10", "per": 1, "quantity_tiers": steps}})


GRADUATED = _tiered("graduated", price="8")
VOLUME = _tiered("volume", price="8", flat="1")
PACKAGE = _tiered("package", price="5", size=4, flat="2")
SPECIAL = (
    MARGINAL, REACHED, EAR, GPU, VOICE, ROUTER, FLEX, EU, NIGHT, DAYTIME, AGREED, CLUSTER, CONTRACT, GRADUATED,
    VOLUME, PACKAGE,
)  # fmt: skip
METERS = {
    "input_tokens": "input", "cache_read_tokens": "cache_read", "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h", "output_tokens": "output", "reasoning_tokens": "reasoning",
    "web_searches": "web_search", "requests": "request", "gpu_seconds": "gpu_second",
}  # fmt: skip
COLUMNS = {
    "input_tokens": "input_cost", "cache_read_tokens": "cache_read_cost", "cache_write_tokens": "cache_write_cost",
    "cache_write_1h_tokens": "cache_write_cost", "output_tokens": "output_cost", "reasoning_tokens": "output_cost",
}  # fmt: skip
TOKENS = tuple(COLUMNS)
COSTS = (
    "input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost",
    "saved_cost",
)  # fmt: skip
TEXTS = (
    "content_digest", "cost_center", "customer_tier", "feature", "finish_reason", "parent_span_id", "pricing_reason",
    "prompt_hash", "region", "requested_model", "response_id", "session_id", "span_id", "trace_id", "user_ref",
)  # fmt: skip


def canonical(value) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def hash_list(content) -> str:
    return hashlib.sha256(canonical(content)).hexdigest()


def leaf_of(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def root_of(leaves) -> bytes:
    """RFC 6962, 2.1, as it is written: split at the largest power of two smaller than n."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + root_of(leaves[:k]) + root_of(leaves[k:])).digest()


def path_of(index, leaves) -> list[bytes]:
    """RFC 9162, 2.1.3.1, as it is written."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if index < k:
        return [*path_of(index, leaves[:k]), root_of(leaves[k:])]
    return [*path_of(index - k, leaves[k:]), root_of(leaves[:k])]


def consistency_of(m, leaves, *, is_whole=True) -> list[bytes]:
    """RFC 9162, 2.1.4.1, as it is written."""
    if m == len(leaves):
        return [] if is_whole else [root_of(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*consistency_of(m, leaves[:k], is_whole=is_whole), root_of(leaves[k:])]
    return [*consistency_of(m - k, leaves[k:], is_whole=False), root_of(leaves[:k])]


def subtrees_of(start, end, leaves) -> list[bytes]:
    """The complete subtrees over [start, end), left to right: as large as their place and the range allow."""
    found = []
    while start < end:
        size = 1
        while start % (size * 2) == 0 and start + size * 2 <= end:
            size *= 2
        found.append(root_of(leaves[start : start + size]))
        start += size
    return found


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class SigningKey:
    """A key pair, and what it signs."""

    def __init__(self, seed: bytes, purpose: str) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.private.public_key().public_bytes_raw()
        self.key_id = hashlib.sha256(self.public).hexdigest()[:16]
        self.purpose = purpose

    def receipt(self, header: bytes) -> str:
        protected = b64url(canonical({"alg": "EdDSA", "kid": self.key_id}))
        signed = f"{protected}.{b64url(header)}"
        return f"{signed}.{b64url(self.private.sign(signed.encode()))}"

    def note(self, origin: str, size: int, root: bytes) -> str:
        text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        number = hashlib.sha256(origin.encode() + b"\n\x01" + self.public).digest()[:4]
        return f"{text}\n\u2014 {origin} {base64.b64encode(number + self.private.sign(text.encode())).decode()}\n"

    def announce(self, previous: "SigningKey | None" = None) -> dict[str, str]:
        statement = canonical({
            "announced_at": "2026-09-01T00:00:00.000000Z", "installation": INSTALLATION, "key_id": self.key_id,
            "previous": previous.key_id if previous else "", "public_key": self.public.hex(), "purpose": self.purpose,
            "v": "tokenledger/key/1",
        })  # fmt: skip
        signers = [self, *([previous] if previous else [])]
        signatures = {each.key_id: b64url(each.private.sign(statement)) for each in signers}
        return {
            "announced_at": "2026-09-01T00:00:00.000000Z",
            "announcement": canonical({"signatures": signatures, "statement": statement.decode()}).decode(),
            "key_id": self.key_id,
            "public_key": self.public.hex(),
            "purpose": self.purpose,
        }


def make_row(**fields) -> dict:
    """A row of 1,200 tokens in and 300 out, priced by LUNA, in the wire's own types; `fields` state what differs."""
    row = {
        **dict.fromkeys(TEXTS, ""), **dict.fromkeys(TOKENS, 0), **dict.fromkeys(COSTS, 0),
        "api_key_id": "k1", "batch_id": "", "billing_period": f"{PERIOD}-01", "cache_hit": False, "calls": 1,
        "charge_period_start": f"{PERIOD}-05T10:00:00.123456Z", "context_tier": 0, "corrects": None,
        "currency": "USD", "environment": "production", "event_id": "e", "event_source": "checkout", "kind": "usage",
        "latency_ms": 812, "line": 0, "model": "luna", "operation": "chat", "other_usage": {},
        "pricing_status": "priced", "provider": "openai", "rate_version_hash": hash_list(LUNA),
        "rate_version_id": 7, "recorded_at": "", "reported_cost": None, "service_tier": "standard", "status": "ok",
        "tags": {}, "tenant_id": 2, "v": "tokenledger/entry/1", "input_tokens": 1200, "output_tokens": 300,
    }  # fmt: skip
    return row | fields


def write_row(row: dict) -> bytes:
    """Its canonical bytes."""
    told = {
        name: str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
        for name, value in row.items()
    }
    told["other_usage"] = {name: str(value) for name, value in row["other_usage"].items()}
    return canonical(told)


def price(row: dict, content: dict) -> dict:
    """The same with its costs by a list without parts, minimums and reasons: each product of its own, rounded."""
    meters = dict(content["meters"])
    tier = 0
    prompt = sum(row[name] for name in TOKENS[:4])
    for number, step in enumerate(content.get("context_tiers", []), 1):
        if prompt > step["input_tokens"] or (prompt == step["input_tokens"] and step["compare"] == ">="):
            meters |= step["meters"]
            tier = number
    used = {name: row[name] for name in TOKENS} | row["other_usage"]
    if "reasoning" in meters:
        used["output_tokens"] -= used["reasoning_tokens"]
    else:
        used.pop("reasoning_tokens")
    if "request" in meters:
        used["requests"] = 1
    costs, listed, saved = dict.fromkeys(COSTS, 0), 0, 0
    for name, quantity in used.items():
        if quantity:
            meter = meters[METERS[name]]
            each = Fraction(meter["price"]) * PICO / meter["per"]
            costs[COLUMNS.get(name, "other_cost")] += round(quantity * each)
            listed += round(quantity * Fraction(meter.get("list_price", meter["price"])) * PICO / meter["per"])
            if name.startswith("cache_"):
                saved += round(quantity * (Fraction(meters["input"]["price"]) * PICO / meters["input"]["per"] - each))
    costs |= {"billed_cost": sum(costs.values()), "list_cost": listed, "saved_cost": saved}
    return row | costs | {"rate_version_hash": hash_list(content), "context_tier": tier}


def reverse(row: dict, *, by_id: str, **fields) -> dict:
    """A row that takes another back."""
    negated = {name: -row[name] for name in ("calls", *TOKENS, *COSTS) if row[name] is not None}
    other = {name: -quantity for name, quantity in row["other_usage"].items()}
    tags = {"tokenledger.reverses": by_id, "tokenledger.reason": "a wrong price"}
    return row | negated | {"other_usage": other, "kind": "correction", "corrects": by_id, "tags": tags} | fields


@dataclass
class SmallLedger:
    """A tenant's batches in the order of the tree, and everything else that a bundle is made of, to be tampered with.

    batches: lists of rows. before, after: how many batches of other months stand around them.
    """

    batches: list
    rates: list = field(default_factory=lambda: [LUNA, SOL])
    number: int = 2
    slug: str = "acme"
    before: int = 3
    after: int = 2
    receipt_key: SigningKey = field(default_factory=lambda: SigningKey(RECEIPT_SEED, "receipt"))
    seal_key: SigningKey = field(default_factory=lambda: SigningKey(SEAL_SEED, "seal"))
    first_batch: int = 0  # where `batches` stand among the tenant's

    @property
    def origin(self) -> str:
        return f"tokenledger/{INSTALLATION}/{self.number}"

    def place_rows(self) -> None:
        """Give every row its batch, line and time."""
        for number, rows in enumerate(self.batches):
            for line, row in enumerate(rows):
                row |= {
                    "batch_id": name_batch(number), "line": line, "tenant_id": self.number,
                    "recorded_at": f"{PERIOD}-06T{number // 60 % 24:02}:{number % 60:02}:00.000000Z",
                }  # fmt: skip


def name_batch(number: int) -> str:
    return f"01a0f4c2-c48c-7e41-8a58-{number:012x}"


def write_header(rows: list, lines: list[bytes]) -> bytes:
    periods: dict[str, int] = {}
    for row in rows:
        periods[row["billing_period"]] = periods.get(row["billing_period"], 0) + 1
    return canonical({
        "api_key_id": rows[0]["api_key_id"], "batch_id": rows[0]["batch_id"],
        "billed_cost": str(sum(row["billed_cost"] or 0 for row in rows)),
        "billing_periods": {period: str(count) for period, count in sorted(periods.items())},
        "entry_count": str(len(rows)), "kind": "usage", "recorded_at": rows[0]["recorded_at"],
        "root": root_of([leaf_of(line) for line in lines]).hex(), "tenant_id": str(rows[0]["tenant_id"]),
        "unpriced_count": str(sum(row["billed_cost"] is None for row in rows)), "v": "tokenledger/batch/2",
    })  # fmt: skip


def make_files(ledger: SmallLedger) -> dict[str, bytes]:
    """Every file of the bundle but bundle.json, by its name."""
    receipts, texts, lines_of_batch = [], [], []
    for rows in ledger.batches:
        lines = [write_row(row) for row in rows]
        header = write_header(rows, lines)
        receipts.append(ledger.receipt_key.receipt(header))
        texts.append(header)
        lines_of_batch.append(lines)
    others = [leaf_of(b"another month %d" % number) for number in range(ledger.before + ledger.after)]
    leaves = [*others[: ledger.before], *map(leaf_of, texts), *others[ledger.before :]]
    size, first, end = len(leaves), ledger.before, ledger.before + len(texts)
    batches, entries = [], []
    for rows, lines, receipt in zip(ledger.batches, lines_of_batch, receipts, strict=True):
        of_month = [row["billing_period"] == f"{PERIOD}-01" for row in rows]
        entries += [line for line, is_own in zip(lines, of_month, strict=True) if is_own]
        elsewhere = [
            [str(row["line"]), leaf_of(line).hex()]
            for row, line, is_own in zip(rows, lines, of_month, strict=True)
            if not is_own
        ]
        has_both = elsewhere and any(of_month)
        batches.append(canonical({"leaves": elsewhere if has_both else None, "receipt": receipt}))
    root = root_of(leaves)
    log_leaf = canonical({
        "origin": hmac.new(SALT, ledger.origin.encode(), "sha256").hexdigest(), "root": root.hex(),
        "signed_at": "2026-11-01T00:00:00.000000Z", "size": str(size), "v": "tokenledger/checkpoint/1",
    })  # fmt: skip
    log_leaves = [leaf_of(b"somebody else"), leaf_of(log_leaf), leaf_of(b"a third")]
    rows = [row for rows in ledger.batches for row in rows if row["billing_period"] == f"{PERIOD}-01"]
    return {
        "batches.jsonl": b"".join(line + b"\n" for line in batches),
        "entries.jsonl": b"".join(line + b"\n" for line in entries),
        "tree.json": canonical({
            "end": str(end), "first": str(first), "left": [h.hex() for h in subtrees_of(0, first, leaves)],
            "right": [h.hex() for h in subtrees_of(end, size, leaves)], "size": str(size),
        }),
        "checkpoint.txt": ledger.seal_key.note(ledger.origin, size, root).encode(),
        "log.json": canonical({
            "index": "1", "leaf": log_leaf.decode(), "path": [h.hex() for h in path_of(1, log_leaves)],
            "salt": SALT.hex(),
        }),
        "log-head.txt": ledger.seal_key.note(f"tokenledger/{INSTALLATION}/log", 3, root_of(log_leaves)).encode(),
        **{f"rates/{hash_list(content)}.json": canonical(content) for content in ledger.rates},
        "statement.json": canonical(make_statement(rows, {hash_list(each): each for each in ledger.rates}, ledger)),
        "keys.json": canonical({
            "keys": [ledger.receipt_key.announce(), ledger.seal_key.announce()], "v": "tokenledger/keys/1",
        }),
        "verify_tokenledger.py": b"# the verifier stands here\n",
        "README.txt": b"read me\n",
    }  # fmt: skip


def write_amount(pico: int) -> str:
    """12 decimals, none of them left out."""
    sign, pico = "-" if pico < 0 else "", abs(pico)
    return f"{sign}{pico // PICO}.{pico % PICO:012}"


def make_statement(rows: list, rates: dict, ledger: SmallLedger) -> dict:
    """A line for each meter of a feature and model at one price; whatever is left of the rows is a remainder."""
    lines: dict[tuple, dict] = {}
    rest: dict[tuple, list[int]] = {}
    calls = [row for row in rows if row["kind"] != "admin_act"]
    for row in calls:
        sign = -1 if row["calls"] < 0 else 1
        month = row["charge_period_start"][:7]
        section = "usage" if month == row["billing_period"][:7] else "correction"
        section = {"rating": "correction", "correction": "correction", "fee": "fee"}.get(row["kind"], section)
        section = "unpriced" if row["billed_cost"] is None else section
        product = (section, row["feature"], row["provider"], row["model"])
        left = rest.setdefault(product, [0, 0, 0])
        left[0] += row["billed_cost"] or 0
        left[1] += row["list_cost"] or 0
        left[2] += 1
        content = rates.get(row["rate_version_hash"])
        if row["kind"] == "fee":
            continue
        if content in SPECIAL:
            _tell_special(row, content, product, month, lines, left)
            continue
        meters = dict(content["meters"]) if content else {}
        for step in (content or {}).get("context_tiers", [])[: row["context_tier"]]:
            meters |= step["meters"]
        used = {name: row[name] for name in TOKENS} | row["other_usage"]
        if "reasoning" in meters:
            used["output_tokens"] -= used["reasoning_tokens"]
        else:
            used.pop("reasoning_tokens")
        if "request" in meters:
            used["requests"] = sign
        for name, quantity in used.items():
            if not quantity:
                continue
            meter = meters.get(METERS.get(name, name))
            key = (*product, name, row["rate_version_hash"], row["context_tier"], row["cache_hit"], month)
            line = lines.setdefault(key, {"quantity": Fraction(0), "meter": meter, "rows": 0})
            line["quantity"] += Fraction(quantity)
            line["rows"] += 1
    told = []
    for (*product, name, rate_hash, tier, hit, month), line in sorted(lines.items(), key=repr):
        meter, quantity = line["meter"], line["quantity"]
        amounts = line.get("amounts")
        if meter:
            prices = [
                0 if hit else Fraction(meter[n]) for n in ("price", "list_price" if "list_price" in meter else "price")
            ]
            amounts = [round(quantity * each * PICO / meter["per"]) for each in prices]
            rest[tuple(product)][0] -= amounts[0]
            rest[tuple(product)][1] -= amounts[1]
            prices = ["0" if hit else meter["price"], "0" if hit else meter.get("list_price", meter["price"])]
        told.append(
            _make_line(
                product,
                name,
                quantity,
                amounts,
                prices if meter else None,
                meter,
                rate_hash,
                tier,
                hit,
                month,
                line["rows"],
            )
        )
    for product, (billed, listed, count) in sorted(rest.items()):
        if billed or listed:
            what = "remainder" if product[0] != "fee" else "fee"
            told.append(
                _make_line(product, what, Fraction(0), [billed, listed], None, None, "", 0, False, PERIOD, count)
            )
    for number, line in enumerate(told, 1):
        line["line"] = str(number)
    billed = sum(row["billed_cost"] or 0 for row in calls)
    total = write_amount(billed)
    return {
        "checkpoint": None, "currency": "USD", "lines": told, "period": PERIOD,
        "statement": f"{ledger.slug.upper()}-{PERIOD}", "tenant": ledger.slug,
        "totals": {
            "lines": str(len(told)), "ledger_rows": str(len(calls)), "acts": str(len(rows) - len(calls)),
            "calls": str(sum(row["calls"] for row in calls)),
            "unpriced_calls": str(sum(row["calls"] for row in calls if row["billed_cost"] is None)),
            "billed_cost": total, "contracted_cost": total, "effective_cost": total,
            "list_cost": write_amount(sum(row["list_cost"] or 0 for row in calls)),
            "saved_cost": write_amount(sum(row["saved_cost"] or 0 for row in calls)),
            "charged": write_cents(billed),
            "lines_shown": str(sum(Decimal(line["billed_cost_shown"] or 0) for line in told)),
        },
        "v": "tokenledger/statement/1",
    }  # fmt: skip


def write_cents(pico: int) -> str:
    """Rounded half-even."""
    return str(Decimal(round(Fraction(pico, PICO // 100))) / 100)


def _tell_special(row, content, product, month, lines, left) -> None:
    """Lines without a price, of what was charged; the first of them has all of the row's cost."""
    used = {name: row[name] for name in TOKENS[:5]} | row["other_usage"]
    if "reasoning" in content["meters"]:
        used["output_tokens"] -= row["reasoning_tokens"]
        used["reasoning_tokens"] = row["reasoning_tokens"]
    if "request" in content["meters"] and row["status"] == "ok":
        used["requests"] = 1
    if "audio_seconds" in used:
        used["audio_seconds"] = max(used["audio_seconds"], 10)
    if content is ROUTER:
        used = {"reported_cost": 1}
    amounts = [row["billed_cost"], row["list_cost"]]
    for name, quantity in used.items():
        if quantity:
            key = (*product, name, row["rate_version_hash"], row["context_tier"], row["cache_hit"], month)
            line = lines.setdefault(key, {"quantity": Fraction(0), "meter": None, "rows": 0, "amounts": [0, 0]})
            line["quantity"] += Fraction(quantity)
            line["rows"] += 1
            line["amounts"] = [a + b for a, b in zip(line["amounts"], amounts, strict=True)]
            left[0] -= amounts[0]
            left[1] -= amounts[1]
            amounts = [0, 0]


def _make_line(product, usage, quantity, amounts, prices, meter, rate_hash, tier, hit, month, rows) -> dict:
    section, feature, provider, model = product
    text = str(quantity) if quantity.denominator == 1 else str(Decimal(quantity.numerator) / quantity.denominator)
    billed, listed = map(write_amount, amounts) if amounts else (None, None)
    return {
        "section": section, "feature": feature, "provider": provider, "model": model, "usage": usage,
        "meter": METERS.get(usage, usage), "quantity": text,
        "price": prices[0] if prices else None, "list_price": prices[1] if prices else None,
        "per": str(meter["per"] if meter else 1),
        "billed_cost": billed, "contracted_cost": billed, "effective_cost": billed, "list_cost": listed,
        "billed_cost_shown": write_cents(amounts[0]) if amounts else None,
        "ledger_rows": str(rows), "rate_version_hash": rate_hash, "context_tier": str(tier),
        "cache_hit": "true" if hit else "false", "charge_month": f"{month}-01",
    }  # fmt: skip


def make_manifest(ledger: SmallLedger, files: dict[str, bytes]) -> dict:
    rows = [row for rows in ledger.batches for row in rows if row["billing_period"] == f"{PERIOD}-01"]
    lines = files["entries.jsonl"].split(b"\n")[:-1]
    billed = sum(row["billed_cost"] or 0 for row in rows)
    return {
        "counts": {
            "batches": str(len(ledger.batches)), "entries": str(len(rows)), "rates": str(len(ledger.rates)),
        },
        "end": str(ledger.before + len(ledger.batches)), "first": str(ledger.before),
        "files": {
            name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items()) if name != "entries.jsonl"
        },
        "leaves": hashlib.sha256(b"".join(map(leaf_of, lines))).hexdigest(),
        "origin": ledger.origin, "period": PERIOD,
        "tenant": {"name": ledger.slug.capitalize(), "number": str(ledger.number), "slug": ledger.slug},
        "totals": {
            "billed_cost": {"USD": str(billed)} if rows else {},
            "unpriced": str(sum(row["billed_cost"] is None for row in rows)),
        },
        "v": "tokenledger/bundle/1",
    }  # fmt: skip


def write_zip(files: dict[str, bytes], manifest: dict | None) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        if manifest is not None:
            archive.writestr(zipfile.ZipInfo("bundle.json"), canonical(manifest), zipfile.ZIP_DEFLATED)
    return target.getvalue()


def write_bundle(ledger: SmallLedger) -> bytes:
    """The whole archive of a ledger whose rows are placed."""
    files = make_files(ledger)
    return write_zip(files, make_manifest(ledger, files))


def make_ledger(seed: int = 1, *, batches: int = 6, rows: int = 5, **fields) -> SmallLedger:
    """A ledger of every kind of row, the same for the same seed."""
    lot = random.Random(seed)
    made: list[list[dict]] = []
    for number in range(batches):
        kept = [_draw_row(lot, number) for _ in range(lot.randrange(1, rows + 1))]
        made.append(kept)
    ledger = SmallLedger(made, before=lot.randrange(0, 6), after=lot.randrange(0, 6), **fields)
    ledger.place_rows()
    taken = copy.deepcopy(next(row for rows in made for row in rows if row["kind"] == "usage" and row["billed_cost"]))
    own_id = f"{taken['batch_id']}.{taken['line']}"
    named = {"kind": "correction", "corrects": own_id, "tags": {"tokenledger.reverses": own_id}}
    has_cache = taken["cache_read_tokens"] or taken["cache_write_tokens"]
    restated = taken | named if has_cache else price(taken | named, SOL)
    made.append([reverse(taken, by_id=own_id), restated])
    ledger.place_rows()
    return ledger


def cost(content: dict, model: str, tier: int = 0, **costs) -> dict:
    """The fields of a row by a list, with its costs as they are stated; billed and list are their sum unless stated."""
    total = sum(amount for name, amount in costs.items() if name in COSTS[:5])
    return {
        "model": model, "provider": "mill", "rate_version_hash": hash_list(content), "context_tier": tier,
        "billed_cost": total, "list_cost": total, "input_tokens": 0, "output_tokens": 0,
    } | costs  # fmt: skip


def _make_fee(content: dict, pico: int, number: int, **tags) -> dict:
    name = ["month", "7", PERIOD, "mill", content["model"], "output", number]
    quantity = {f"tokenledger.{name}": text for name, text in tags.items()}
    column = "other_cost" if "day" in tags else "output_cost"
    return make_row(
        **cost(content, content["model"], list_cost=pico if "day" in tags else 0, **{column: pico}), kind="fee",
        calls=0, event_id=json.dumps(name), tags=quantity, operation="day" if "day" in tags else "month",
    )  # fmt: skip


def make_rich_ledger(**fields) -> SmallLedger:
    """A ledger of every rule that a price may have. Costs are in 10^-12 USD, worked by hand."""
    plain = [
        # 272,000 is not above the threshold: 272,000 x 0.2 a million; one more is: 272,001 x 0.4.
        price(make_row(input_tokens=272_000, feature="search"), LUNA),
        price(make_row(input_tokens=265_001, cache_read_tokens=7_000, feature="search"), LUNA),
        price(make_row(cache_write_tokens=500, cache_read_tokens=40, reasoning_tokens=20), LUNA),
        price(make_row(model="sol", reasoning_tokens=120, other_usage={"web_searches": 2}), SOL),
        price(make_row(charge_period_start="2026-09-30T23:59:59.999999Z", feature="größer"), LUNA),
    ]
    special = [
        # 1,000 x 1 + 500 x 2 a million, and 10 x 4.
        make_row(**cost(MARGINAL, "marginal", 1, input_cost=2_000_000_000, output_cost=40_000_000,
                        input_tokens=1500, output_tokens=10)),
        make_row(**cost(MARGINAL, "marginal", 0, input_cost=1_000_000_000, input_tokens=1000)),
        make_row(**cost(REACHED, "reached", 1, input_cost=2_000_000_000, input_tokens=1000)),
        make_row(**cost(REACHED, "reached", 0, input_cost=999_000_000, input_tokens=999)),
        # At least 10 seconds: 10 x 0.04 / 3600 = 0.000111111111111.
        make_row(**cost(EAR, "ear", other_cost=111_111_111), other_usage={"audio_seconds": Decimal("3.7")}),
        make_row(**cost(EAR, "ear", other_cost=133_333_333), other_usage={"audio_seconds": Decimal("12.0")}),
        # 1.1 / 3600 = 0.000305555555556, and a request; one that says its own number of them; one that failed.
        make_row(**cost(GPU, "gpu", other_cost=1_305_555_556), other_usage={"gpu_seconds": Decimal("1.1")}),
        make_row(**cost(GPU, "gpu", other_cost=0), status="error"),
        make_row(**cost(GPU, "gpu", other_cost=1_000_000_000)),
        # 100 audio tokens at 8, 50 cached ones at 2, which without a cache had cost 8 as well.
        make_row(**cost(VOICE, "voice", other_cost=900_000_000, saved_cost=300_000_000),
                 other_usage={"audio_input_tokens": 100, "audio_cache_read_tokens": 50}),
        make_row(**cost(ROUTER, "router", other_cost=1_230_000_000), reported_cost=1_230_000_000,
                 pricing_status="reported"),
        make_row(**cost(ROUTER, "router"), pricing_status="reported", status="error"),
        make_row(**cost(ROUTER, "router"), pricing_status="reported", cache_hit=True, reported_cost=5),
        make_row(**cost(FLEX, "flex", input_cost=1_000_000, input_tokens=1), service_tier=" Flex"),
        make_row(**cost(EU, "eu", input_cost=1_000_000, input_tokens=1), region="EU "),
        make_row(**cost(NIGHT, "night", input_cost=1_000_000, input_tokens=1),
                 charge_period_start="2026-10-05T22:00:00.000000Z"),
        make_row(**cost(NIGHT, "night", input_cost=1_000_000, input_tokens=1),
                 charge_period_start="2026-10-05T05:59:00.000000Z"),
        make_row(**cost(DAYTIME, "daytime", input_cost=1_000_000, input_tokens=1),
                 charge_period_start="2026-10-05T09:00:00.000000Z"),
        make_row(**cost(AGREED, "agreed", input_cost=1_000_000, input_tokens=1), service_tier="default"),
        # 1,000 x 0.8, and 10 of which 4 are reasoning: 6 x 3 + 4 x 5; at list prices 1,000 and 6 x 4 + 4 x 6.
        make_row(**cost(CONTRACT, "contract", input_cost=800_000_000, output_cost=38_000_000, list_cost=1_048_000_000,
                        input_tokens=1000, output_tokens=10, reasoning_tokens=4)),
    ]  # fmt: skip
    fees = [
        # 12 units: 10 x 10 + 2 x 8 = 116 in tiers, 120 at once: 4 too much. First 11 were counted: 118 of 110: -2.
        _make_fee(GRADUATED, -2 * PICO, 0, month=PERIOD, meter="output", quantity="11"),
        _make_fee(GRADUATED, -2 * PICO, 1, month=PERIOD, meter="output", quantity="12"),
        _make_fee(VOLUME, -23 * PICO, 0, month=PERIOD, meter="output", quantity="12"),  # 12 x 8 + 1 for 120
        _make_fee(PACKAGE, -13 * PICO, 0, month=PERIOD, meter="output", quantity="12"),  # 100 + 5 + 2 for 120
        _make_fee(PACKAGE, 0, 0, month="2026-09", meter="output", quantity="10"),  # no tier was entered
        _make_fee(CLUSTER, 240 * PICO, 0, day="2026-10-02"),
        _make_fee(CLUSTER, 480 * PICO, 0, day="2026-10-03", rates=f"{hash_list(CLUSTER)} {hash_list(CLUSTER)}"),
    ]
    others = [
        # 7 x 0.2 and 300 x 1.2 a million, had it not been answered from a cache.
        price(make_row(input_tokens=7), LUNA)
        | {"cache_hit": True, **dict.fromkeys(COSTS, 0), "saved_cost": 361_400_000},
        make_row(**cost(GPU, "nameless") | {"rate_version_hash": "", "rate_version_id": None}, status="error",
                 pricing_reason="failed_without_usage"),
        make_row(**dict.fromkeys(COSTS), pricing_status="unpriced", pricing_reason="no_rate_for_model",
                 rate_version_hash="", rate_version_id=None, model="unheard-of", other_usage={"images": 2}),
        make_row(**dict.fromkeys(TOKENS, 0), calls=0, kind="admin_act", rate_version_hash="", rate_version_id=None),
        price(make_row(billing_period="2026-11-01"), LUNA),
    ]  # fmt: skip
    taken = price(make_row(feature='said "so"', reported_cost=7), LUNA)
    unpriced = make_row(**dict.fromkeys(COSTS), pricing_status="unpriced", pricing_reason="no_rate_for_model",
                        rate_version_hash="", rate_version_id=None, model="late")  # fmt: skip
    only = [price(make_row(billing_period="2026-11-01"), LUNA)]
    ledger = SmallLedger(
        [plain, special, fees, others, [taken, unpriced], only, []], rates=[LUNA, SOL, *SPECIAL], **fields
    )
    ledger.place_rows()
    first, second = (f"{name_batch(4)}.{line}" for line in (0, 1))
    ledger.batches[6] = [
        reverse(taken, by_id=first, reported_cost=-7),
        price(taken | {"kind": "correction", "corrects": first, "tags": {"tokenledger.reverses": first}}, SOL),
        reverse(unpriced, by_id=second, kind="rating"),
        price(unpriced | {"kind": "rating", "corrects": second, "pricing_status": "priced", "pricing_reason": "",
                          "rate_version_id": 7, "tags": {"tokenledger.reverses": second}}, LUNA),
    ]  # fmt: skip
    ledger.place_rows()
    return ledger


def _draw_row(lot: random.Random, number: int) -> dict:
    feature = lot.choice(["search", "chat", "", 'said "so"', "größer"])
    start = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(
        seconds=lot.randrange(2_000_000), microseconds=lot.randrange(10**6)
    )
    fields = {
        "event_id": f"e-{lot.getrandbits(40):x}", "feature": feature, "trace_id": f"{lot.getrandbits(128):032x}",
        "charge_period_start": start.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "user_ref": f"{lot.getrandbits(48):x}",
        "input_tokens": lot.randrange(5000), "output_tokens": lot.randrange(1, 900),
        "tags": {"plan": "gold"} if lot.random() < 0.3 else {},
    }  # fmt: skip
    kind = lot.random()
    if kind < 0.45:
        fields |= {"cache_read_tokens": lot.choice([0, 0, 7000]), "cache_write_tokens": lot.choice([0, 0, 500])}
        if lot.random() < 0.2:
            fields["input_tokens"] = lot.choice([271_999, 272_000, 272_001, 300_000]) - sum(
                fields[name] for name in ("cache_read_tokens", "cache_write_tokens")
            )
        return price(make_row(**fields), LUNA)
    if kind < 0.75:
        fields |= {"model": "sol", "reasoning_tokens": lot.randrange(fields["output_tokens"] + 1)}
        fields["other_usage"] = {"web_searches": lot.randrange(1, 4)} if lot.random() < 0.5 else {}
        return price(make_row(**fields), SOL)
    if kind < 0.85:
        return make_row(
            **fields, **dict.fromkeys(COSTS), pricing_status="unpriced", pricing_reason="no_rate_for_model",
            rate_version_hash="", rate_version_id=None, model="nameless",
        )  # fmt: skip
    if kind < 0.92:
        fields |= {"billing_period": "2026-11-01"}
        return price(make_row(**fields), LUNA)
    if kind < 0.96:
        fields |= {"charge_period_start": "2026-09-30T23:59:59.999999Z"}
        return price(make_row(**fields), LUNA)
    fields |= dict.fromkeys(TOKENS, 0)
    return make_row(
        **fields, calls=0, kind="admin_act", operation="rate.approved", provider="", model="", rate_version_hash="",
        rate_version_id=None, latency_ms=None,
    )  # fmt: skip
