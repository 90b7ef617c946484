#!/usr/bin/env python3
"""Checks a Tokenledger evidence archive (a "bundle") without Tokenledger: no network, no database, no other package.

    python3 verify_tokenledger.py BUNDLE.zip [OTHER.zip ...] [--keys keys.json] [--receipts FILE] [--consistency FILE]

    --keys         the public keys as you saved them one day from /.well-known/tokenledger-keys. Without it the bundle
                   is judged by the keys inside it: compare the fingerprints that are printed with those you know.
    --receipts     receipts that you kept, a line each: the receipt itself, or the JSON answer that it came in.
    --consistency  an answer of /v1/audit/consistency, where two bundles are too far apart to prove each other.

Exit code 0: all is right; 1: something is wrong, and what and where is printed; 2: a file cannot be read.

What is checked, and what each step rests on (`docs/proof.md` of Tokenledger states every format):

    rows         every line of entries.jsonl is in its one canonical form
      -> prices    its costs, recomputed from its quantities and the price list that it names, are what it says
      -> batch     the rows' hashes give the Merkle root in their batch's header; count, sums and months agree with it
    receipts     each header was signed, when it was booked, by a key of the web servers
    tree         the headers' hashes, with those of everything before and after, give the root of the checkpoint,
      -> log       which the sealer signed with a key of its own, and which is in the log of all checkpoints
    statement    each line and each total, added up anew from the rows
    bundles      of several: the same keys, and the later tree begins with the earlier one

What no archive can show is whether an event was true when it was reported, and which price list *should* have been
chosen for a model: only that the one that was used says what was charged.

Needs Python 3.9. This file is part of Tokenledger, and may be copied, read and changed freely.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import io
import json
import re
import struct
import sys
import time
import zipfile
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import compress, repeat
from operator import add, lt, mul, sub

BUNDLE_VERSION = "tokenledger/bundle/1"
BATCH_VERSION = "tokenledger/batch/2"
ROW_VERSION = "tokenledger/entry/1"
CHECKPOINT_VERSION = "tokenledger/checkpoint/1"
KEY_VERSION = "tokenledger/key/1"
STATEMENT_VERSION = "tokenledger/statement/1"
PICO = 10**12  # amounts are whole numbers of 10^-12 units of currency

FINDINGS_MAX = 100
CHUNK_BYTES = 1 << 17
SIGNATURES_AT_ONCE = 1024


class Unreadable(Exception):
    """A file that is none of what it should be: there is nothing to check."""


# --- What is found -------------------------------------------------------------------------------------------------


@dataclass
class Findings:
    """Everything that is wrong, in plain words and with its place; of more than FINDINGS_MAX only the number."""

    texts: list = field(default_factory=list)
    count: int = 0

    def add(self, place, what, *, expected=None, found=None):
        """place: the file, and its line, batch or entry. expected: what it should be; found: what it is."""
        self.count += 1
        if len(self.texts) < FINDINGS_MAX:
            told = "" if expected is None else f" expected {_shorten(expected)}, found {_shorten(found)}"
            self.texts.append(f"{place}: {what}{told}")

    def expect(self, place, what, expected, found):
        """Add what is found where it is not what is expected."""
        if expected != found:
            self.add(place, what, expected=expected, found=found)


def _shorten(value):
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else repr(text)
    return text if len(text) <= 100 else f"{text[:100]}..."


# --- JSON and base64, strictly ------------------------------------------------------------------------------------


def read_json(data):
    """JSON of which every reader reads the same: no name twice in an object, no fractions. Raises ValueError."""
    text = data.decode() if isinstance(data, bytes) else data
    return json.loads(text, object_pairs_hook=_refuse_twice, parse_float=_refuse, parse_constant=_refuse)


def _refuse_twice(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return members


def _refuse(text):
    raise ValueError(f"{text} is no whole number")


def write_canonical(value):
    """Bytes of the one form that a value has: RFC 8785, for objects of texts."""
    return json.dumps(_sort_names(value), ensure_ascii=False, separators=(",", ":")).encode()


def _sort_names(value):
    if isinstance(value, dict):
        return {name: _sort_names(value[name]) for name in sorted(value, key=lambda name: name.encode("utf-16-be"))}
    return value


def decode_base64(text, *, is_url=False):
    """Base64, or base64url without padding, as there is but one way to write the bytes. Raises ValueError."""
    if is_url:
        data = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        again = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    else:
        data = base64.b64decode(text.encode(), validate=True)
        again = base64.b64encode(data).decode()
    if again != text:
        raise ValueError("another way of writing the same base64")
    return data


def read_hash(text):
    """32 bytes, written in lower case hexadecimal. Raises ValueError."""
    if not isinstance(text, str) or not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError(f"{_shorten(text)} is no SHA-256")
    return bytes.fromhex(text)


def is_whole(text):
    """Whether this is a whole number as the ledger writes one."""
    return isinstance(text, str) and re.fullmatch("0|-?[1-9][0-9]*", text) is not None


def split_whole(text):
    """A whole number >= 0 of a file. Raises ValueError."""
    if not is_whole(text) or text[0] == "-":
        raise ValueError(f"{_shorten(text)} is no count")
    return int(text)


# --- Ed25519 (RFC 8032), many signatures at once -------------------------------------------------------------------
#
# Nothing here is secret, so nothing need take the same time for every input. A point is (X, Y, Z, T) with x = X/Z,
# y = Y/Z, xy = T/Z on the curve -x^2 + y^2 = 1 + d x^2 y^2.

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
CURVE_D = -121665 * pow(121666, FIELD - 2, FIELD) % FIELD
ROOT_OF_MINUS_ONE = pow(2, (FIELD - 1) // 4, FIELD)
NEUTRAL = (0, 1, 1, 0)


def add_points(one, other):
    x1, y1, z1, t1 = one
    x2, y2, z2, t2 = other
    a = (y1 - x1) * (y2 - x2) % FIELD
    b = (y1 + x1) * (y2 + x2) % FIELD
    c = 2 * CURVE_D * t1 * t2 % FIELD
    d = 2 * z1 * z2 % FIELD
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % FIELD, g * h % FIELD, f * g % FIELD, e * h % FIELD


def read_point(data):
    """The point that 32 bytes stand for (5.1.3). Raises ValueError for bytes that are none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if len(data) != 32 or y >= FIELD:
        raise ValueError("not a point")
    u, v = y * y - 1, CURVE_D * y * y + 1
    x = u * v**3 * pow(u * v**7 % FIELD, (FIELD - 5) // 8, FIELD) % FIELD
    if (v * x * x - u) % FIELD:
        x = x * ROOT_OF_MINUS_ONE % FIELD
        if (v * x * x - u) % FIELD:
            raise ValueError("not a point")
    if x == 0 and sign:
        raise ValueError("not a point")
    if x % 2 != sign:
        x = FIELD - x
    return x, y, 1, x * y % FIELD


BASE = read_point((4 * pow(5, FIELD - 2, FIELD) % FIELD).to_bytes(32, "little"))


def add_multiples(terms):
    """The sum of number x point over (number, point), some bits of all numbers at a time (Pippenger's buckets)."""
    width = min(max(len(terms).bit_length() - 3, 1), 8)  # the more there are, the more bits at a time pay
    bits = max(number.bit_length() for number, _ in terms)
    total = NEUTRAL
    for shift in reversed(range(0, bits, width)):
        for _ in range(width):
            total = add_points(total, total)
        buckets = {}
        for number, point in terms:
            digit = (number >> shift) & ((1 << width) - 1)
            if digit:
                buckets[digit] = add_points(buckets[digit], point) if digit in buckets else point
        above = NEUTRAL  # the sum of all buckets from the highest down to this one
        for digit in range(max(buckets, default=0), 0, -1):
            if digit in buckets:
                above = add_points(above, buckets[digit])
            total = add_points(total, above)
    return total


@dataclass(frozen=True)
class Signature:
    """A signature to be checked: the public key and the signature as bytes, and the message that it is of."""

    public_key: bytes
    message: bytes
    signature: bytes


def find_false_signatures(signatures):
    """The places of those that their key did not make. Halves what is wrong together until it is found."""
    if not signatures:
        return []
    if are_signed(signatures):
        return []
    if len(signatures) == 1:
        return [0]
    middle = len(signatures) // 2
    after = find_false_signatures(signatures[middle:])
    return find_false_signatures(signatures[:middle]) + [middle + place for place in after]


def is_signed(public_key, message, signature):
    return are_signed([Signature(public_key, message, signature)])


def are_signed(signatures):
    """Whether every signature is right: 8 S B = 8 R + 8 k A (5.1.7), of all of them at once.

    Each equation is multiplied by a number of 128 bits that depends on all signatures, so that nobody can make two
    wrong ones which make up for each other.
    """
    seed = hashlib.sha512()
    for each in signatures:
        seed.update(hashlib.sha512(each.public_key + each.signature + each.message).digest())
    terms, of_base, of_keys = [], 0, defaultdict(int)
    for place, each in enumerate(signatures):
        r, s = each.signature[:32], int.from_bytes(each.signature[32:], "little")
        if len(each.signature) != 64 or s >= ORDER:
            return False
        try:
            point = read_point(r)
        except ValueError:
            return False
        k = int.from_bytes(hashlib.sha512(r + each.public_key + each.message).digest(), "little")
        factor = int.from_bytes(hashlib.sha512(seed.digest() + place.to_bytes(8, "big")).digest()[:16], "big") | 1
        terms.append((factor, point))
        of_base += factor * s
        of_keys[each.public_key] += factor * k
    try:
        terms += [(of_key % ORDER, read_point(key)) for key, of_key in of_keys.items()]
    except ValueError:
        return False
    terms.append((-of_base % ORDER, BASE))
    x, y, z, _ = add_multiples([(8 * number, point) for number, point in terms])
    return x == 0 and y == z


# --- Merkle trees (RFC 6962, RFC 9162) -----------------------------------------------------------------------------

LEAF = hashlib.sha256(b"\x00")
NODE = hashlib.sha256(b"\x01")


def hash_leaf(data):
    digest = LEAF.copy()  # copying one that has begun is quicker than beginning
    digest.update(data)
    return digest.digest()


def hash_node(left, right):
    digest = NODE.copy()
    digest.update(left + right)
    return digest.digest()


def hash_tree(leaves):
    """The root over leaf hashes: neighbours in pairs, level by level, an odd last one carried up."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = leaves
    while len(level) > 1:
        above = list(map(hash_node, level[::2], level[1::2]))
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def split_range(start, end):
    """The fewest complete subtrees over the leaves [start, end), left to right, as (level, place on its level)."""
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        yield level, start >> level
        start += 1 << level


def join_subtrees(subtrees):
    """The root over complete subtrees that lie side by side from the first leaf on: ((level, place), hash) each."""
    stack = []
    for (level, place), node in subtrees:
        while stack and place % 2 and stack[-1][0] == (level, place - 1):
            level, place, node = level + 1, place // 2, hash_node(stack.pop()[1], node)
        stack.append(((level, place), node))
    if not stack:
        return hashlib.sha256(b"").digest()
    root = stack.pop()[1]
    while stack:
        root = hash_node(stack.pop()[1], root)
    return root


def is_included(leaf, index, size, path, root):
    """Whether the path leads from the leaf at this place to the root of a tree of this size (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last = leaf, size - 1
    for sibling in path:
        if last == 0:
            return False
        if index % 2 or index == last:
            node = hash_node(sibling, node)
            while index % 2 == 0 and index:
                index, last = index // 2, last // 2
        else:
            node = hash_node(node, sibling)
        index, last = index // 2, last // 2
    return last == 0 and node == root


def is_consistent(old_size, new_size, old_root, new_root, path):
    """Whether the path proves that the new tree begins with the old one (RFC 9162, 2.1.4.2)."""
    if old_size == new_size:
        return not path and old_root == new_root
    if not 0 < old_size < new_size:
        return False
    path = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not path:
        return False
    place, last = old_size - 1, new_size - 1
    while place % 2:
        place, last = place // 2, last // 2
    old_node = new_node = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if place % 2 or place == last:
            old_node, new_node = hash_node(sibling, old_node), hash_node(sibling, new_node)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            new_node = hash_node(new_node, sibling)
        place, last = place // 2, last // 2
    return last == 0 and old_node == old_root and new_node == new_root


# --- Checkpoints: signed notes (c2sp.org/signed-note, c2sp.org/tlog-checkpoint) ------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """The first `size` leaves of the tree called `origin` have this root; `key` is the public key that says so."""

    origin: str
    size: int
    root: bytes
    key: bytes = b""


def read_checkpoint(note, public_keys):
    """The checkpoint of a note that one of these keys signed. Raises ValueError with what is wrong with it."""
    text, separator, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    if not separator or len(lines) != 3 or not signatures.endswith("\n"):
        raise ValueError("it is no signed checkpoint: three lines, an empty one, and signatures")
    origin, size, root = lines
    checkpoint = Checkpoint(origin, split_whole(size), decode_base64(root))
    if len(checkpoint.root) != 32:
        raise ValueError("its root has not 32 bytes")
    numbers = {number_key(origin, key): key for key in public_keys}
    for line in signatures[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "\u2014" or not encoded:
            raise ValueError(f"{_shorten(line)} is no line of a signature")
        data = decode_base64(encoded)
        key = numbers.get(data[:4]) if name == origin else None
        if key is not None:
            if not is_signed(key, f"{text}\n".encode(), data[4:]):
                raise ValueError("its signature is wrong: it was not signed as it stands")
            return Checkpoint(origin, checkpoint.size, checkpoint.root, key)
    raise ValueError("none of the known keys signed it")


def number_key(name, public_key):
    """The four bytes by which a signature says whose it is."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public_key).digest()[:4]


# --- Prices (docs/rates.md) ----------------------------------------------------------------------------------------

TOKENS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens",
)  # fmt: skip
COSTS = (
    "input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost",
    "saved_cost",
)  # fmt: skip
COST_OF_USAGE = {
    "input_tokens": "input_cost",
    "cache_read_tokens": "cache_read_cost",
    "cache_write_tokens": "cache_write_cost",
    "cache_write_1h_tokens": "cache_write_cost",
    "output_tokens": "output_cost",
    "reasoning_tokens": "output_cost",
}
# Usage and meter have the same name, but for these.
METER_OF_USAGE = {
    "input_tokens": "input", "cache_read_tokens": "cache_read", "cache_write_tokens": "cache_write",
    "cache_write_1h_tokens": "cache_write_1h", "output_tokens": "output", "reasoning_tokens": "reasoning",
    "audio_input_tokens": "audio_input", "image_input_tokens": "image_input", "video_input_tokens": "video_input",
    "audio_cache_read_tokens": "audio_cache_read", "image_cache_read_tokens": "image_cache_read",
    "video_cache_read_tokens": "video_cache_read", "audio_output_tokens": "audio_output",
    "image_output_tokens": "image_output", "video_output_tokens": "video_output", "images": "image",
    "searches": "search", "web_searches": "web_search", "social_searches": "social_search",
    "storage_searches": "storage_search", "rerank_searches": "rerank_search", "code_executions": "code_execution",
    "characters": "character", "input_characters": "input_character", "messages": "message", "pages": "page",
    "annotated_pages": "annotated_page", "pixels": "pixel", "seconds": "second", "audio_seconds": "audio_second",
    "audio_input_seconds": "audio_input_second", "audio_output_seconds": "audio_output_second",
    "video_seconds": "video_second", "gpu_seconds": "gpu_second", "storage_gb_hours": "gb_hour",
    "gb_hours": "gb_hour", "requests": "request",
}  # fmt: skip
# What was read from or written to a cache would have cost this meter's price without one.
METER_WITHOUT_CACHE = {
    "cache_read_tokens": "input", "cache_write_tokens": "input", "cache_write_1h_tokens": "input",
    "audio_cache_read_tokens": "audio_input", "image_cache_read_tokens": "image_input",
    "video_cache_read_tokens": "video_input",
}  # fmt: skip
MODALITIES = (
    "audio_input_tokens", "image_input_tokens", "video_input_tokens", "audio_cache_read_tokens",
    "image_cache_read_tokens", "video_cache_read_tokens",
)  # fmt: skip
STANDARD_TIERS = ("", "standard", "default", "on_demand", "on-demand", "standard_only")
NO_LIMIT = 1 << 80
NO_PRICE = -(1 << 200)


class Mispriced(Exception):
    """Why a row cannot have been priced as it says."""


class PriceList:
    """One rate version: a model's prices under one set of conditions. Prices are exact, in 10^-12 units for one."""

    def __init__(self, content):
        self.content = content
        tiers = content.get("context_tiers", [])
        self.by_report = content.get("price_from") == "reported_cost"
        self.in_parts = any(tier["scope"] == "marginal" for tier in tiers)
        self.meters = [dict(content.get("meters", {}))]  # of each context tier, from the base prices up
        for tier in tiers:
            self.meters.append({**self.meters[-1], **tier["meters"]})
        # The number of input tokens above which a tier begins.
        self.above = [0] + [tier["input_tokens"] for tier in tiers]
        self.above_or_at = [False] + [tier["compare"] == ">=" for tier in tiers]

    def reach_tier(self, prompt):
        """The highest context tier that a prompt of this length reaches; 0: the base prices."""
        reached = 0
        for tier in range(1, len(self.above)):
            if prompt > self.above[tier] or (self.above_or_at[tier] and prompt == self.above[tier]):
                reached = tier
        return reached

    def read_plain(self, tier):
        """What makes five products of a call in this context tier: the shortest and the longest prompt, six prices and
        six list prices in the order of TOKENS; None where more is to it. A price that is missing is NO_PRICE, by which
        nothing that was used comes out right.
        """
        if self.by_report or self.in_parts or tier >= len(self.meters) or "request" in self.meters[tier]:
            return None
        meters = [self.meters[tier].get(METER_OF_USAGE[usage]) for usage in TOKENS]
        if any(meter and meter.get("minimum_per_call") for meter in meters):
            return None
        if "reasoning" not in self.meters[tier]:
            meters[-1] = meters[-2]  # it stands inside the output, and costs what that costs
        exact = [
            [find_price(meter, name) if meter else NO_PRICE for meter in meters] for name in ("price", "list_price")
        ]
        if any(price.denominator != 1 for prices in exact for price in prices):
            return None
        least = self.above[tier] + (not self.above_or_at[tier]) if tier else 0
        most = self.above[tier + 1] - self.above_or_at[tier + 1] if tier + 1 < len(self.above) else NO_LIMIT
        for prices in exact:
            prices[-1] -= prices[-2]
        return (least, most, *([int(price) for price in prices] for prices in exact))

    def explain_refusal(self, row, *, tenant):
        """Why this list cannot price such a call; '' where it can. Its name and its dates are not looked at."""
        content = self.content
        tier = row["service_tier"].strip().lower()
        if ("standard" if tier in STANDARD_TIERS else tier) != content.get("service_tier", "standard"):
            return f"the price list is for the service tier {content.get('service_tier')}, the call had {tier}"
        if content.get("region", "") not in ("", row["region"].strip().lower()):
            return f"the price list is for the region {content.get('region')}, the call was in {row['region']}"
        if content.get("tenant", tenant) != tenant:
            return f"the price list was agreed with {content.get('tenant')}"
        if "time_window" in content and not is_in_window(content["time_window"], row["charge_period_start"][11:16]):
            return f"the price list is for {content['time_window']} UTC"
        return ""


def is_in_window(window, time):
    """Whether a time of the day, HH:MM, is within HH:MM-HH:MM, which may pass midnight."""
    start, _, end = window.partition("-")
    return start <= time < end if start < end else time >= start or time < end


def find_price(meter, name):
    """The price of one unit; a meter without a list price lists what it costs."""
    return Fraction(meter.get(name, meter["price"])) * PICO / meter["per"]


def price_row(row, rates):
    """The row's eight costs and context tier as they should be, and what was charged: quantities by usage.

    row: of a call, quantities as they were used (a reversal's are turned round before). The costs are 10^-12 units.
    Raises Mispriced.
    """
    rate = rates.get(row["rate_version_hash"])
    if rate is None:
        return _price_without_list(row)
    if rate.by_report:
        return _take_report(row)
    tier = 0 if rate.in_parts else rate.reach_tier(count_prompt(row))
    meters = rate.meters[tier]
    costs, charged, uncached = dict.fromkeys(COSTS, 0), {}, 0
    for usage, used in list_charged(row, meters):
        name = METER_OF_USAGE.get(usage, usage)
        if name not in meters:
            raise Mispriced(f"the price list has no price for {usage}, so the row should be unpriced")
        quantity = max(used, meters[name].get("minimum_per_call", 0))
        parts = split_by_tier(quantity, name, rate) if rate.in_parts else [(tier, quantity, meters[name])]
        tier = max(tier, parts[-1][0])
        cost = round(sum(part * find_price(meter, "price") for _, part, meter in parts))
        costs[COST_OF_USAGE.get(usage, "other_cost")] += cost
        costs["list_cost"] += round(sum(part * find_price(meter, "list_price") for _, part, meter in parts))
        full = meters.get(METER_WITHOUT_CACHE.get(usage))
        uncached += cost if full is None else round(quantity * find_price(full, "price"))
        charged[usage] = used if row["cache_hit"] else quantity
    costs["billed_cost"] = sum(costs[name] for name in COSTS[:5])
    costs["saved_cost"] = uncached - costs["billed_cost"]
    if row["cache_hit"]:  # answered from a cache of responses: nobody was paid
        costs = {**dict.fromkeys(COSTS, 0), "saved_cost": uncached}
    return costs, tier, charged


def count_prompt(row):
    """All input tokens, cached ones and every modality."""
    return sum(row[name] for name in TOKENS[:4]) + int(sum(row["other_usage"].get(name, 0) for name in MODALITIES))


def list_charged(row, meters):
    """(usage, quantity) of what is charged: reasoning apart where it has a price, the call where it has one."""
    reasoning = row["reasoning_tokens"] if "reasoning" in meters else 0
    used = {name: row[name] for name in TOKENS[:4]}
    used["output_tokens"] = row["output_tokens"] - reasoning
    used["reasoning_tokens"] = reasoning
    used.update(row["other_usage"])
    if "request" in meters and "requests" not in used and not has_failed_unused(row):
        used["requests"] = 1
    return [(usage, quantity) for usage, quantity in used.items() if quantity]


def has_failed_unused(row):
    """A call that failed and used nothing."""
    used = [*(row[name] for name in TOKENS), *row["other_usage"].values()]
    return row["status"] == "error" and not any(used)


def split_by_tier(quantity, name, rate):
    """(tier, units, meter): the units above each threshold at the tier's price, those below at theirs."""
    ends = [*rate.above[1:], quantity]
    return [
        (tier, min(quantity, end) - start, rate.meters[tier][name])
        for tier, (start, end) in enumerate(zip(rate.above, ends))
        if quantity > start
    ]


def _take_report(row):
    """The provider's own figure is the price, all of it."""
    reported = row["reported_cost"] or 0
    if row["cache_hit"]:
        reported = 0
    elif row["reported_cost"] is None and not has_failed_unused(row):
        raise Mispriced("the price is what the provider reports, and it reported none")
    costs = {**dict.fromkeys(COSTS, 0), "other_cost": reported, "billed_cost": reported, "list_cost": reported}
    return costs, 0, {}


def _price_without_list(row):
    if row["pricing_reason"] != "failed_without_usage" or not has_failed_unused(row):
        raise Mispriced("it has a price and names no price list that is in rates/")
    return dict.fromkeys(COSTS, 0), 0, {}


# --- What a month's quantity makes of a price: fees ----------------------------------------------------------------


def find_due(meter, quantity):
    """What a month's quantity costs by a meter's quantity tiers, less what its calls were booked at."""
    tiers = meter["quantity_tiers"]
    entered = [tier for tier in tiers if quantity > Fraction(str(tier["above"]))]
    per_unit = Fraction(meter["price"]) / meter["per"]
    if not entered:
        cost = quantity * per_unit
    elif tiers[0]["scope"] == "volume":
        cost = _cost_units(quantity, entered[-1], meter)
    else:
        starts = [Fraction(str(tier["above"])) for tier in entered]
        cost = starts[0] * per_unit
        for tier, start, end in zip(entered, starts, [*starts[1:], quantity]):
            cost += _cost_units(end - start, tier, meter)
    return round(cost * PICO) - round(quantity * per_unit * PICO)


def _cost_units(units, tier, meter):
    """Units at a tier's price, of packages each one that was begun, and what it costs to enter the tier."""
    price, flat = Fraction(tier["price"]), Fraction(tier.get("flat", "0"))
    if "size" in tier:
        return -(-units // tier["size"]) * price + flat
    return units * price / meter["per"] + flat


# --- Rows: the canonical form (docs/proof.md) ----------------------------------------------------------------------

WHOLE, MAYBE_WHOLE, TEXT, MAYBE_TEXT, TEXTS, FLAG, TIME, DATE = (
    "whole", "whole or null", "text", "text or null", "texts", "flag", "time", "date",
)  # fmt: skip
MEMBERS = {
    "api_key_id": TEXT, "batch_id": TEXT, "billed_cost": MAYBE_WHOLE, "billing_period": DATE, "cache_hit": FLAG,
    "cache_read_cost": MAYBE_WHOLE, "cache_read_tokens": WHOLE, "cache_write_1h_tokens": WHOLE,
    "cache_write_cost": MAYBE_WHOLE, "cache_write_tokens": WHOLE, "calls": WHOLE, "charge_period_start": TIME,
    "content_digest": TEXT, "context_tier": WHOLE, "corrects": MAYBE_TEXT, "cost_center": TEXT, "currency": TEXT,
    "customer_tier": TEXT, "environment": TEXT, "event_id": TEXT, "event_source": TEXT, "feature": TEXT,
    "finish_reason": TEXT, "input_cost": MAYBE_WHOLE, "input_tokens": WHOLE, "kind": TEXT, "latency_ms": MAYBE_WHOLE,
    "line": WHOLE, "list_cost": MAYBE_WHOLE, "model": TEXT, "operation": TEXT, "other_cost": MAYBE_WHOLE,
    "other_usage": TEXTS, "output_cost": MAYBE_WHOLE, "output_tokens": WHOLE, "parent_span_id": TEXT,
    "pricing_reason": TEXT, "pricing_status": TEXT, "prompt_hash": TEXT, "provider": TEXT, "rate_version_hash": TEXT,
    "rate_version_id": MAYBE_WHOLE, "reasoning_tokens": WHOLE, "recorded_at": TIME, "region": TEXT,
    "reported_cost": MAYBE_WHOLE, "requested_model": TEXT, "response_id": TEXT, "saved_cost": MAYBE_WHOLE,
    "service_tier": TEXT, "session_id": TEXT, "span_id": TEXT, "status": TEXT, "tags": TEXTS, "tenant_id": WHOLE,
    "trace_id": TEXT, "user_ref": TEXT, "v": TEXT,
}  # fmt: skip
FORM = {
    WHOLE: is_whole,
    MAYBE_WHOLE: lambda value: value is None or is_whole(value),
    TEXT: lambda value: isinstance(value, str),
    MAYBE_TEXT: lambda value: value is None or isinstance(value, str),
    TEXTS: lambda value: isinstance(value, dict) and all(isinstance(text, str) for text in value.values()),
    FLAG: lambda value: isinstance(value, bool),
    TIME: lambda value: (
        isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value) is not None
    ),
    DATE: lambda value: isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None,
}
COUNTED = ("calls", "context_tier", "line", "reported_cost", *TOKENS, *COSTS)


class NotCanonical(Exception):
    """A line that is not a row in its one form."""


def read_row(line):
    """A line of entries.jsonl: its members, numbers as int, other_usage as fractions. Raises NotCanonical."""
    try:
        row = read_json(line)
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"it is no JSON: {error}") from None
    if not isinstance(row, dict) or row.keys() != MEMBERS.keys():
        raise NotCanonical("it has not the members of a row")
    for name, form in MEMBERS.items():
        if not FORM[form](row[name]):
            raise NotCanonical(f"{name} is no {form}")
    if write_canonical(row) != line:
        raise NotCanonical("it is not written in the canonical way")
    if row["v"] != ROW_VERSION:
        raise NotCanonical(f"v is {row['v']}, and not {ROW_VERSION}")
    for name in COUNTED:
        row[name] = None if row[name] is None else int(row[name])
    try:
        row["other_usage"] = {usage: Fraction(text) for usage, text in row["other_usage"].items()}
    except (ValueError, ZeroDivisionError):
        raise NotCanonical("other_usage holds what is no number") from None
    return row


# Most rows are plain calls. One expression reads them where they stand, several times as fast as JSON is read: it
# matches nothing but the canonical form of such a row, and what it does not match is read slowly. What stands side by
# side and is compared as a whole anyway is captured as one: `place` is api_key_id and batch_id, `rated` is provider and
# rate_version_hash, with what stands between them.
PLAIN_COSTS = (
    "input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "billed_cost", "list_cost", "saved_cost",
)  # fmt: skip
PLAIN_COUNTS = (*TOKENS, "line")
PLAIN_PLACE = ("place", "recorded_at")
PLAIN_KEY = ("rated", "context_tier", "service_tier", "feature", "model", "charge_period_start")
PLAIN_TEXTS = r'\{(?:"[^"]*":"[^"]*"(?:,"[^"]*":"[^"]*")*)?\}'
try:
    RUN = re.compile('[^"]*+').pattern  # no way back into a text once it is read: quicker, from Python 3.11 on
except re.error:
    RUN = '[^"]*'


def compile_plain(*, period, tenant_id):
    """The expression of a plain row of this tenant and month; its groups are named after members."""
    captured = {*PLAIN_KEY, *PLAIN_COUNTS, *PLAIN_COSTS, *PLAIN_PLACE}
    form = {
        "api_key_id": '"(?P<place>[^"]*"', "batch_id": '"[^"]*)"', "billing_period": f'"{period}-01"',
        "cache_hit": "false", "calls": '"1"',
        "charge_period_start": r'"(?P<charge_period_start>\d{4}-\d\d)-[0-9T:.Z]{19}"',
        "corrects": "null", "currency": '"USD"', "kind": '"usage"', "latency_ms": '(?:"[0-9]+"|null)',
        "other_cost": '"0"', "other_usage": r"\{\}", "pricing_reason": '""', "pricing_status": '"priced"',
        "provider": '"(?P<rated>[^"]*"', "rate_version_hash": '"[^"]*)"', "reported_cost": '(?:"[0-9]+"|null)',
        "tags": PLAIN_TEXTS, "tenant_id": f'"{tenant_id}"', "v": f'"{ROW_VERSION}"',
    }  # fmt: skip
    parts = [
        f'"{name}":' + form.get(name, f'"(?P<{name}>[^"]*)"' if name in captured else '"[^"]*"') for name in MEMBERS
    ]
    text = "^\\{" + ",".join(parts) + "\\}$"
    return re.compile(text.replace('[^"]*', RUN).encode(), re.MULTILINE)


def join_place(api_key_id, batch_id):
    """What `place` captures of a row of this batch."""
    return f'{api_key_id}","batch_id":"{batch_id}'.encode()


def inflate(path, archive, name):
    """A file of the archive in pieces: what zipfile gives, which copies all that it has not unpacked yet for each
    piece. Raises BadZipFile, zlib.error and EOFError.
    """
    archive.open(name).close()  # looks at the file's own header
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_DEFLATED:
        with archive.open(name) as file:
            yield from iter(lambda: file.read(CHUNK_BYTES), b"")
        return
    with open(path, "rb") as file:
        file.seek(info.header_offset + 26)
        name_length, extra_length = struct.unpack("<HH", file.read(4))
        file.seek(name_length + extra_length, io.SEEK_CUR)
        stream, crc = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while not stream.eof:
            packed = file.read(max(CHUNK_BYTES >> 2, 1))
            if not packed:
                raise EOFError
            piece = stream.decompress(packed)
            crc = zlib.crc32(piece, crc)
            yield piece
    if crc != info.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {name!r}")


class RowReader:
    """The lines of entries.jsonl, one batch's after the other, never more than a batch and a few in memory."""

    def __init__(self, pieces, *, period, tenant_id, list_accounts):
        self.pattern = compile_plain(period=period, tenant_id=tenant_id)
        self.number = 0  # of the lines that were taken
        self._pieces = pieces
        self._rest = b""
        self._lines, self._leaves, self._at = [], [], 0
        # Of each line what the expression captured: texts, numbers, and the account; of one that is not plain, none.
        self._columns = {name: [] for name in (*PLAIN_PLACE, *PLAIN_COUNTS, *PLAIN_COSTS, "account")}
        self._list_accounts = list_accounts
        self._not_plain = (b"",) * self.pattern.groups

    def take(self, header, expected):
        """The next lines as far as they are of this batch, their leaves, and what was captured of them, by column."""
        while len(self._lines) - self._at <= expected and self._read_chunk():
            pass
        batch_id, count = header["batch_id"], expected
        place = join_place(header["api_key_id"], batch_id)
        is_run = self._columns["place"][self._at : self._at + count].count(place) == count
        if not is_run or (self._at + count < len(self._lines) and self._name_batch(self._at + count) == batch_id):
            count = self._count_run(batch_id)
        start, self._at = self._at, self._at + count
        self.number += count
        columns = {name: column[start : self._at] for name, column in self._columns.items()}
        return self._lines[start : self._at], self._leaves[start : self._at], columns

    def peek_batch(self):
        """The batch that the next line says it is of; None at the end, '' of a line that cannot be read."""
        while self._at >= len(self._lines):
            if not self._read_chunk():
                return None
        return self._name_batch(self._at)

    def skip(self):
        """Take one line, whatever it is: its leaf."""
        self._at += 1
        self.number += 1
        return self._leaves[self._at - 1]

    def _count_run(self, batch_id):
        count = 0
        while self._at + count < len(self._lines) or self._read_chunk():
            if self._name_batch(self._at + count) != batch_id:
                break
            count += 1
        return count

    def _name_batch(self, at):
        place = self._columns["place"][at]
        if place:
            return place.rpartition(b'"')[2].decode()
        try:
            return str(json.loads(self._lines[at])["batch_id"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return ""

    def _read_chunk(self):
        """Read on, by a line at least. False at the end."""
        text = self._rest
        while b"\n" not in text:
            piece = next(self._pieces, None)
            if piece is None:
                break
            text += piece
        end = text.rfind(b"\n") + 1 or len(text)
        text, self._rest = text[:end], text[end:]
        if not text:
            return False
        lines = text.split(b"\n")
        if not lines[-1]:
            lines.pop()
        rows = self.pattern.findall(text)
        columns = self._read_plain(rows) if len(rows) == len(lines) and is_clean(text) else None
        if columns is None:
            columns = self._read_some(lines)
        del self._lines[: self._at], self._leaves[: self._at]
        self._lines += lines
        self._leaves += map(hash_leaf, lines)
        for name, column in self._columns.items():
            del column[: self._at]
            column += columns[name]
        self._at = 0
        return True

    def _read_plain(self, rows):
        """The columns of what was captured; None where what should be a number is none."""
        columns = dict(zip(self.pattern.groupindex, zip(*rows)))
        columns["account"] = self._list_accounts(columns)
        columns.update((name, read_counts(columns[name])) for name in PLAIN_COUNTS)
        return None if None in columns.values() else columns

    def _read_some(self, lines):
        """The same of lines some of which are not plain."""
        rows = list(map(self._match, lines))
        places = [place for place, row in enumerate(rows) if row]
        read = (places and self._read_plain([rows[place] for place in places])) or {}
        columns = {name: [None] * len(lines) for name in self._columns}
        for name, column in columns.items():
            for place, item in zip(places, read.get(name, ())):
                column[place] = item
        return columns

    def _match(self, line):
        """What the expression captures of one line; None where it is to be read slowly."""
        match = self.pattern.fullmatch(line) if is_clean(line) else None
        return match.groups() if match else None


def is_clean(text):
    """Whether quotes in it are quotes: nothing is escaped, and it is UTF-8."""
    try:
        return b"\\" not in text and (text.isascii() or bool(text.decode()))
    except UnicodeDecodeError:
        return False


# --- What the rows add up to ---------------------------------------------------------------------------------------


@dataclass
class Tally:
    """Of a feature and model, in one section of the statement: rows, and their costs in 10^-12 units."""

    rows: int = 0
    billed: int = 0
    listed: int = 0


@dataclass
class Totals:
    """All rows of the month, added up as a statement does it. Acts of people are in `entries` and `acts` alone.

    billed: by currency. tallies: by (section, feature, provider, model); quantities: by these and (usage, price list,
    month of use).
    """

    entries: int = 0
    acts: int = 0
    calls: int = 0
    unpriced: int = 0
    unpriced_calls: int = 0
    billed: dict = field(default_factory=lambda: defaultdict(int))
    listed: int = 0
    saved: int = 0
    tallies: dict = field(default_factory=lambda: defaultdict(Tally))
    quantities: dict = field(default_factory=lambda: defaultdict(Fraction))

    def add_rows(self, product, *, rows, calls, billed, listed, saved, currency="USD"):
        """product: (section, feature, provider, model)."""
        self.entries += rows
        self.calls += calls
        self.billed[currency] += billed
        self.listed += listed
        self.saved += saved
        tally = self.tallies[product]
        tally.rows += rows
        tally.billed += billed
        tally.listed += listed

    def add_row(self, row, charged):
        """charged: quantities by usage; of a row without a price, all that it used."""
        if row["kind"] == "admin_act":
            self.entries += 1
            self.acts += 1
            return
        month = row["charge_period_start"][:7]
        product = (name_section(row, month), row["feature"], row["provider"], row["model"])
        billed, listed, saved = (row[name] or 0 for name in ("billed_cost", "list_cost", "saved_cost"))
        self.add_rows(
            product, rows=1, calls=row["calls"], billed=billed, listed=listed, saved=saved, currency=row["currency"]
        )
        if row["billed_cost"] is None:
            self.unpriced += 1
            self.unpriced_calls += row["calls"]
        for usage, quantity in charged.items():
            self.quantities[(*product, usage, row["rate_version_hash"], month)] += quantity

    def add_account(self, account, *, period):
        """Add plain rows: their sums times their prices."""
        rate_hash, feature, provider, model, month = account.key
        product = ("usage" if month == period else "correction", feature, provider, model)
        billed, listed, saved = account.multiply()
        self.add_rows(product, rows=account.rows, calls=account.rows, billed=billed, listed=listed, saved=saved)
        for usage, quantity in account.list_charged():
            self.quantities[(*product, usage, rate_hash, month)] += quantity


SECTIONS = {"rating": "correction", "correction": "correction", "fee": "fee", "credit": "credit"}


def name_section(row, month):
    """Where a row stands in a statement: what was used in another month than it is charged in is a correction."""
    if row["pricing_status"] == "unpriced":
        return "unpriced"
    if row["kind"] == "usage":
        return "usage" if month == row["billing_period"][:7] else "correction"
    return SECTIONS.get(row["kind"], "adjustment")


class Account:
    """Plain rows that are alike in PLAIN_KEY: their prices, and what they used together, in the order of TOKENS.

    key: rate_version_hash, feature, provider, model and month. prices: the last of them is what reasoning costs more
    than output, inside which it stands. list_prices: None where they are the prices.
    """

    __slots__ = ("has_own_reasoning", "key", "least", "list_prices", "most", "prices", "rows", "used")

    def __init__(self, key, plain, *, has_own_reasoning):
        self.key = key
        self.least, self.most, self.prices, list_prices = plain
        self.list_prices = list_prices if list_prices != self.prices else None
        self.has_own_reasoning = has_own_reasoning
        self.used = [0] * len(TOKENS)
        self.rows = 0

    def multiply(self):
        """What its rows cost, what they list, and what caches saved."""
        billed = sum(map(mul, self.used, self.prices))
        listed = sum(map(mul, self.used, self.list_prices or self.prices))
        cached = self.used[1:4]
        saved = sum(cached) * self.prices[0] - sum(map(mul, cached, self.prices[1:4]))
        return billed, listed, saved

    def list_charged(self):
        *used, reasoning = self.used
        if self.has_own_reasoning:
            used[-1] -= reasoning
            used.append(reasoning)
        return zip(TOKENS, used)


# Columns: a list for each, one item a row. Most columns are all zeros in most batches, and then there is nothing to do.


def multiply_columns(quantities, prices):
    return list(map(mul, quantities, prices)) if any(quantities) else quantities


def add_columns(one, other):
    return list(map(add, one, other)) if any(other) else one


def subtract_columns(one, other):
    return list(map(sub, one, other)) if any(other) else one


def keep_rows(columns, flags):
    """Of each column the rows that are flagged."""
    return {name: list(compress(column, flags)) for name, column in columns.items()}


def write_numbers(numbers):
    """As rows have them, one after the other. To write what is expected is quicker than to read what is said."""
    return b"%d " * len(numbers) % tuple(numbers)


def join_numbers(texts):
    """What rows say, in the form of `write_numbers`: as many blanks as texts, so none can stand for two."""
    return b" ".join([*texts, b""])


def recompute(accounts, columns):
    """The columns of PLAIN_COSTS as they should be, and the length of each row's prompt."""
    fresh, read, write, write_1h, output, reasoning = (columns[name] for name in TOKENS)
    prices = [account.prices for account in accounts]
    columns_of_prices = map(repeat, prices[0]) if prices.count(prices[0]) == len(prices) else zip(*prices)
    of_fresh, of_read, of_write, of_write_1h, of_output, of_reasoning = columns_of_prices
    input_cost, read_cost = multiply_columns(fresh, of_fresh), multiply_columns(read, of_read)
    write_cost = add_columns(multiply_columns(write, of_write), multiply_columns(write_1h, of_write_1h))
    output_cost = add_columns(multiply_columns(output, of_output), multiply_columns(reasoning, of_reasoning))
    of_caches = add_columns(read_cost, write_cost)
    cost = add_columns(add_columns(input_cost, output_cost), of_caches)
    cached = add_columns(add_columns(read, write), write_1h)
    saved = subtract_columns(multiply_columns(cached, of_fresh), of_caches)
    listed = cost
    if any(account.list_prices for account in set(accounts)):
        used = zip(*(columns[name] for name in TOKENS))
        listed = [sum(map(mul, each, account.list_prices or account.prices)) for account, each in zip(accounts, used)]
    return [input_cost, read_cost, write_cost, output_cost, cost, listed, saved], add_columns(fresh, cached)


# --- Rows against their prices and their batch ---------------------------------------------------------------------


class RowChecker:
    """Checks a month's rows, batch by batch, and adds them up.

    fees: rows of fees, which are checked together. taken_back: by entry id, what a reversal says of it.
    """

    def __init__(self, rates, *, period, tenant, findings):
        self.totals = Totals()
        self.fees = []
        self.taken_back = {}
        self._rates, self._period, self._tenant, self._findings = rates, period, tenant, findings
        self._accounts = {}

    def finish(self):
        """The totals, with plain rows among them."""
        for account in filter(None, self._accounts.values()):
            self.totals.add_account(account, period=self._period)
        self._accounts = {}
        return self.totals

    def check_batch(self, header, lines, columns, *, first_line):
        """Check a batch's rows. Their `line` members, what they cost together, and how many have no price."""
        numbers, unpriced = [None] * len(lines), 0
        rows, billed = self._check_plain(header, {**columns, "at": range(len(lines))})
        if len(rows["at"]) == len(lines):
            return rows["line"], billed, unpriced
        for place, number in zip(rows["at"], rows["line"]):
            numbers[place] = number
        for place, number in enumerate(numbers):
            if number is None:
                numbers[place], cost = self._check_slowly(header, lines[place], first_line + place)
                billed += cost or 0
                unpriced += cost is None
        return numbers, billed, unpriced

    def _check_plain(self, header, columns):
        """Add up the rows that a list of five products prices and that come out right; most batches have no others.
        The columns of these alone, and what they cost together.
        """
        place, time = join_place(header["api_key_id"], header["batch_id"]), header["recorded_at"].encode()
        if {*columns["place"], *columns["recorded_at"]} != {place, time}:
            flags = [each == (place, time) for each in zip(columns["place"], columns["recorded_at"])]
            columns = keep_rows(columns, flags)
        if None in columns["account"]:
            columns = keep_rows(columns, columns["account"])
        if not columns["at"]:
            return columns, 0
        costs, prompts = recompute(columns["account"], columns)
        within = [account.least <= prompt <= account.most for account, prompt in zip(columns["account"], prompts)]
        said = [columns[name] for name in PLAIN_COSTS]
        if list(map(join_numbers, said)) != list(map(write_numbers, costs)) or not all(within):
            rows = zip(within, zip(*said), zip(*costs))
            flags = [is_within and join_numbers(one) == write_numbers(other) for is_within, one, other in rows]
            columns, costs = keep_rows(columns, flags), [list(compress(column, flags)) for column in costs]
        for place, name in enumerate(TOKENS):
            if any(columns[name]):
                for account, count in zip(columns["account"], columns[name]):
                    account.used[place] += count
        for account, rows in Counter(columns["account"]).items():
            account.rows += rows
        return columns, sum(costs[PLAIN_COSTS.index("billed_cost")])

    def list_accounts(self, columns):
        """The account of each row; None where it has none."""
        keys = list(zip(*(columns[name] for name in PLAIN_KEY)))
        accounts = list(map(self._accounts.get, keys))
        if None in accounts:
            for key in set(keys):
                if self._accounts.get(key) is None:
                    self._accounts[key] = self._open_account(*(text.decode() for text in key))
            accounts = list(map(self._accounts.get, keys))
        return accounts

    def _open_account(self, rated, context_tier, service_tier, feature, model, month):
        provider, *_, rate_hash = rated.split('"')
        rate = self._rates.get(rate_hash)
        plain = rate.read_plain(int(context_tier)) if rate and is_whole(context_tier) else None
        like = {"service_tier": service_tier, "region": ""}
        if plain is None or "time_window" in rate.content or rate.explain_refusal(like, tenant=self._tenant):
            return None
        has_own_reasoning = "reasoning" in rate.meters[int(context_tier)]
        return Account((rate_hash, feature, provider, model, month), plain, has_own_reasoning=has_own_reasoning)

    def _check_slowly(self, header, line, number):
        """Check any row, and say what is wrong with it. Its `line` member (-1: unknown), and its cost."""
        try:
            row = read_row(line)
        except NotCanonical as error:
            self._findings.add(f"entries.jsonl line {number}, batch {header['batch_id']}", f"not a row: {error}")
            return -1, 0
        place = f"entries.jsonl line {number}, entry {row['batch_id']}.{row['line']}"
        for name in ("tenant_id", "batch_id", "api_key_id", "recorded_at"):
            self._findings.expect(place, f"{name} is not its batch's:", header[name], row[name])
        self._findings.expect(place, "it is charged in another month:", f"{self._period}-01", row["billing_period"])
        charged = {}
        try:
            charged = self._check_costs(row, place)
        except Mispriced as error:
            self._findings.add(place, str(error))
        self.totals.add_row(row, charged)
        return row["line"], row["billed_cost"]

    def _check_costs(self, row, place):
        """What was charged, by usage. Raises Mispriced."""
        costs = [row[name] for name in COSTS]
        is_unpriced = row["pricing_status"] == "unpriced"
        if is_unpriced != (row["billed_cost"] is None) or costs.count(None) not in (0, len(COSTS)):
            raise Mispriced("it has a part of a price: all costs are null exactly where pricing_status is unpriced")
        if is_unpriced:
            self._take_back(row)
            return {usage: row[usage] for usage in TOKENS[:5]} | row["other_usage"] if row["kind"] in CALLS else {}
        self._findings.expect(
            place, "billed_cost is not the sum of the five costs:", sum(costs[:5]), row["billed_cost"]
        )
        if row["kind"] == "admin_act":
            self._findings.expect(place, "an act of a person costs something:", [0] * 8, costs)
        elif row["kind"] == "fee":
            self.fees.append((place, row))
        elif row["kind"] in CALLS:
            return self._check_call(row, place)
        return {}

    def _check_call(self, row, place):
        """Recompute a call, a restatement, or, turned round, what a reversal takes back."""
        self._take_back(row)
        sign = -1 if row["calls"] < 0 else 1
        call = turn_round(row) if sign < 0 else row
        rate = self._rates.get(row["rate_version_hash"])
        refusal = rate.explain_refusal(call, tenant=self._tenant) if rate else ""
        if refusal:
            raise Mispriced(refusal)
        costs, tier, charged = price_row(call, self._rates)
        for name in COSTS:
            self._findings.expect(place, f"{name} is not quantity x price:", sign * costs[name], row[name])
        self._findings.expect(place, "context_tier is not the one reached:", tier, row["context_tier"])
        return {usage: sign * quantity for usage, quantity in charged.items()}

    def _take_back(self, row):
        """Remember what a reversal says of the entry that it takes back: the entry may stand anywhere."""
        if row["calls"] >= 0 or row["kind"] == "usage":
            return
        entry_id = row["tags"].get("tokenledger.reverses", "")
        own_id = f"{row['batch_id']}.{row['line']}"
        if entry_id in self.taken_back:
            self._findings.add(f"entry {own_id}", f"it takes back {entry_id}, which was taken back before")
        is_earlier = bool(entry_id) and row["charge_period_start"][:7] < self._period
        self.taken_back[entry_id] = (own_id, digest_facts(turn_round(row)), is_earlier)


CALLS = ("usage", "rating", "correction")
FACTS = (
    "provider", "model", "feature", "environment", "cost_center", "user_ref", "event_id", "charge_period_start",
    "billing_period", "currency", "pricing_status", "rate_version_hash", "reported_cost", "calls", *TOKENS, *COSTS
)  # fmt: skip


def turn_round(row):
    """The row with every quantity and amount negated."""
    turned = {name: -row[name] for name in ("calls", "reported_cost", *TOKENS, *COSTS) if row[name] is not None}
    return {**row, **turned, "other_usage": {usage: -quantity for usage, quantity in row["other_usage"].items()}}


def digest_facts(row):
    """16 bytes that are equal for rows which are alike in what a reversal must take back."""
    facts = [str(row[name]) for name in FACTS] + [
        f"{usage} {row['other_usage'][usage]}" for usage in sorted(row["other_usage"])
    ]
    return hashlib.sha256("\0".join(facts).encode()).digest()[:16]


def read_counts(column):
    """Texts of digits as numbers; None where one is another text."""
    if column.count(b"0") == len(column):
        return [0] * len(column)
    try:
        return list(map(int, column)) if b"".join(column).isdigit() else None
    except ValueError:
        return None


# --- Fees: what a month's quantity makes of a price, and what is owed by the day -----------------------------------


def check_fees(fees, rates, period, findings):
    """Fees are booked as differences: those for one thing add up to what is due for it.

    Of a month's tiers the last fee says for which quantity; of a day, which lists were in force. Answers for how many
    things of earlier months the first fees are not here: those months were closed after them.
    """
    groups, elsewhere = defaultdict(list), 0
    for place, row in fees:
        tags = row["tags"]
        name = ("tokenledger.day",) if "tokenledger.day" in tags else ("tokenledger.month", "tokenledger.meter")
        version = row["rate_version_id"] if len(name) == 2 else ""
        about = tuple(tags.get(each, "") for each in name)
        groups[(row["provider"], row["model"], version, *about)].append((place, row))
    for (_, _, _, *about), group in groups.items():
        group.sort(key=lambda fee: _count_fee(fee[1]))
        place, last = group[-1]
        if about[0][:7] < period and _count_fee(group[0][1]) > 0:
            elsewhere += 1
            continue
        try:
            due = find_due_of(last, rates)
        except (KeyError, ValueError, TypeError, ZeroDivisionError, StopIteration):
            findings.add(place, "a fee that says not what for: its tags and its price list do not tell what is due")
            continue
        booked = sum(row["billed_cost"] for _, row in group)
        findings.expect(place, f"{len(group)} fees for this do not add up to what is due:", due, booked)
    return elsewhere


def _count_fee(row):
    """How many fees were booked for the same before: the last member of its event_id."""
    try:
        return int(json.loads(row["event_id"])[-1])
    except (ValueError, TypeError, IndexError, KeyError):
        return -1


def find_due_of(fee, rates):
    """What is due for what a fee is for, after it. Raises KeyError and others where the fee does not say."""
    tags = fee["tags"]
    if "tokenledger.day" in tags:
        hashes = tags.get("tokenledger.rates", fee["rate_version_hash"]).split()
        return sum(int(Fraction(rates[each].content["daily_fee"]) * PICO) for each in hashes)
    meter = rates[fee["rate_version_hash"]].content["meters"][tags["tokenledger.meter"]]
    return find_due(meter, Fraction(tags["tokenledger.quantity"]))


# --- The statement -------------------------------------------------------------------------------------------------

NOT_MULTIPLIED = ("reported_cost", "no_usage", "remainder")  # lines that are no quantity of a meter


def check_statement(statement, totals, rates, findings):
    """Every line against its own price and against the rows, and every total."""
    lines = statement["lines"]
    tallies = defaultdict(Tally)
    quantities = defaultdict(Fraction)
    for number, line in enumerate(lines, 1):
        place = f"statement.json line {number} ({line['section']}, {line['feature']}, {line['model']}, {line['meter']})"
        findings.expect(place, "its number is not its place:", str(number), line["line"])
        _check_line(line, place, rates, findings)
        product = (line["section"], line["feature"], line["provider"], line["model"])
        tally = tallies[product]
        tally.billed += read_pico(line["billed_cost"])
        tally.listed += read_pico(line["list_cost"])
        if line["section"] in ("usage", "correction", "unpriced") and line["usage"] not in NOT_MULTIPLIED:
            key = (*product, line["usage"], line["rate_version_hash"], line["charge_month"][:7])
            quantities[key] += Fraction(line["quantity"])
    for product in sorted(totals.tallies.keys() | tallies.keys()):
        place = f"statement.json, lines of {', '.join(text or 'none' for text in product)}"
        rows, told = totals.tallies[product], tallies[product]
        findings.expect(place, "the lines do not add up to the rows:", rows.billed, told.billed)
        findings.expect(place, "at list prices they do not:", rows.listed, told.listed)
    for key in sorted(totals.quantities.keys() | quantities.keys()):
        place = f"statement.json, lines of {', '.join(text or 'none' for text in key)}"
        findings.expect(place, "the quantities do not add up to the rows':", totals.quantities[key], quantities[key])
    _check_totals(statement["totals"], lines, totals, findings)


def _check_line(line, place, rates, findings):
    """A line's costs are its quantity times its prices, which are those of the list that it names."""
    billed, listed = read_pico(line["billed_cost"]), read_pico(line["list_cost"])
    for name in ("contracted_cost", "effective_cost"):
        findings.expect(place, f"{name} is not billed_cost:", line["billed_cost"], line[name])
    findings.expect(
        place, "billed_cost_shown is not rounded:", round_to_cent(billed), read_pico(line["billed_cost_shown"])
    )
    if line["price"] is None:
        if line["usage"] == "remainder":
            most = int(line["ledger_rows"]) * 10  # ten meters a row, each rounded by half of the last digit at most
            if 2 * max(abs(billed), abs(listed)) > most:
                findings.add(place, "a remainder of more than rounding can leave")
        return
    for name, price, cost in (("billed_cost", "price", billed), ("list_cost", "list_price", listed)):
        exact = Fraction(line["quantity"]) * Fraction(line[price]) / int(line["per"])
        findings.expect(place, f"{name} is not quantity x {price}:", round(exact * PICO), cost)
    told = (Fraction(line["price"]), Fraction(line["list_price"]), int(line["per"]))
    rate = rates.get(line["rate_version_hash"])
    known = _list_prices(rate, line["meter"]) if rate else []
    if line["cache_hit"] == "true":
        known = [(0, 0, per) for _, _, per in known]
    if told not in known:
        findings.add(place, f"its price is not in the price list {line['rate_version_hash'][:16]} that it names")


def _list_prices(rate, meter):
    """Every (price, list price, per) that a list has for a meter, or for a day."""
    if meter == "days":
        fee = Fraction(rate.content.get("daily_fee", 0))
        return [(fee, fee, 1)]
    found = [meters[meter] for meters in rate.meters if meter in meters]
    return [(Fraction(each["price"]), Fraction(each.get("list_price", each["price"])), each["per"]) for each in found]


def _check_totals(told, lines, totals, findings):
    billed = totals.billed["USD"]
    expected = {
        "lines": len(lines),
        "ledger_rows": totals.entries - totals.acts,
        "acts": totals.acts,
        "calls": totals.calls,
        "unpriced_calls": totals.unpriced_calls,
        "list_cost": totals.listed,
        "contracted_cost": billed,
        "effective_cost": billed,
        "billed_cost": billed,
        "saved_cost": totals.saved,
        "lines_shown": sum(read_pico(line["billed_cost_shown"]) for line in lines),
        "charged": round_to_cent(billed),
    }
    for name, value in expected.items():
        found = int(told[name]) if name in COUNTS else read_pico(told[name])
        findings.expect("statement.json, totals", f"{name} is not what the rows add up to:", value, found)


COUNTS = ("lines", "ledger_rows", "acts", "calls", "unpriced_calls")


def round_to_cent(pico):
    """Whole cents, half-even, in 10^-12 units."""
    return round(Fraction(pico, PICO // 100)) * (PICO // 100)


def read_pico(text):
    """Money with at most 12 decimals as a whole number of 10^-12 units; null counts nothing."""
    amount = Fraction(text or 0) * PICO
    if amount.denominator != 1:
        raise ValueError(f"{text} has more than 12 decimals")
    return amount.numerator


# --- Keys ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """A public key, and what it is for: "receipt" or "seal"."""

    key_id: str
    purpose: str
    public_key: bytes
    announcement: str


def read_keys(document):
    """The keys of keys.json, or of a JSON Web Key Set from /.well-known/tokenledger-keys. Raises ValueError."""
    keys = []
    for key in document["keys"]:
        public_key = bytes.fromhex(key["public_key"]) if "public_key" in key else decode_base64(key["x"], is_url=True)
        if len(public_key) != 32:
            raise ValueError("a key has not 32 bytes")
        keys.append(Key(name_key(public_key), key.get("purpose", ""), public_key, key.get("announcement", "")))
    return keys


def name_key(public_key):
    return hashlib.sha256(public_key).hexdigest()[:16]


def trust_keys(keys, pinned, findings):
    """Of a bundle's keys those to judge by: the ones you have, and each that one of these announced.

    Where you have none, the first of each purpose is taken as it stands.
    """
    trusted = {}
    for purpose in ("receipt", "seal"):
        known = {key.key_id: key for key in keys if key.purpose == purpose and key.public_key in pinned}
        for key in keys:
            if key.purpose != purpose or key.key_id in known:
                continue
            fault = find_announcement_fault(key, known, is_first=not known and not pinned)
            if fault:
                findings.add(f"keys.json, {purpose} key {key.key_id}", fault)
            else:
                known[key.key_id] = key
        if not known:
            findings.add("keys.json", f"there is no {purpose} key that is known")
        trusted.update(known)
    return trusted


def find_announcement_fault(key, known, *, is_first):
    """Why a key is not to be believed; '' where it and the one before it have signed its announcement."""
    try:
        announcement = read_json(key.announcement)
        said = read_json(announcement["statement"])
        signers = {key.key_id: key.public_key}
        if not is_first:
            if said["previous"] not in known:
                return f"it follows key {said['previous'] or 'none'}, which is not known: it may be anybody's"
            signers[said["previous"]] = known[said["previous"]].public_key
        stated = (said["v"], said["key_id"], said["purpose"], said["public_key"])
        if stated != (KEY_VERSION, key.key_id, key.purpose, key.public_key.hex()):
            return "its announcement is of another key"
        for signer, public_key in signers.items():
            signature = decode_base64(announcement["signatures"][signer], is_url=True)
            if not is_signed(public_key, announcement["statement"].encode(), signature):
                return f"key {signer} has not signed its announcement"
    except (ValueError, KeyError, TypeError):
        return "its announcement cannot be read"
    return ""


# --- A bundle ------------------------------------------------------------------------------------------------------

LARGE_FILES = ("batches.jsonl", "entries.jsonl")
HEADER = (
    "api_key_id", "batch_id", "billed_cost", "billing_periods", "entry_count", "kind", "recorded_at", "root",
    "tenant_id", "unpriced_count", "v"
)  # fmt: skip


class Bundle:
    """One archive, checked as it is read; what other bundles and kept receipts are compared with stays."""

    def __init__(self, path, *, pinned, findings):
        self.name = path
        self.findings = findings
        self.leaves = []  # of the tenant's tree, from `first` on
        self.batches = {}  # the place of each batch in the tree, by its id
        self.checkpoint = None
        self.left, self.right = [], []
        self.log_head = None
        self.seconds = 0.0  # that signatures took
        self.entries = self.signatures = 0
        self.notes = []
        try:
            with zipfile.ZipFile(path) as archive:
                self._check(archive, pinned)
        except (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
            raise Unreadable(f"{path}: it is no whole ZIP archive: {error}") from None

    def _check(self, archive, pinned):
        self._read_manifest(archive)
        self._check_files(archive)
        keys = read_keys(self._read(archive, "keys.json"))
        self.keys = trust_keys(keys, pinned, self.findings)
        self._check_receipts(archive)
        rates = self._read_rates(archive)
        totals = self._check_rows(archive, rates)
        self._check_tree(archive)
        self._check_log(archive)
        self._check_totals(totals, rates)
        self._check_statement(self._read(archive, "statement.json"), totals, rates)

    def _read(self, archive, name):
        try:
            data = archive.read(name)
            return read_json(data) if name.endswith(".json") else data.decode()
        except (KeyError, ValueError, RecursionError) as error:
            raise Unreadable(f"{self.name}: {name} is not there or cannot be read: {error}") from None

    def _read_manifest(self, archive):
        manifest = self._read(archive, "bundle.json")
        try:
            if manifest["v"] != BUNDLE_VERSION:
                raise Unreadable(f"{self.name}: it is {manifest['v']}, and this file checks {BUNDLE_VERSION}")
            self.manifest = manifest
            self.origin, self.period, self.tenant = manifest["origin"], manifest["period"], manifest["tenant"]
            self.first, self.end = split_whole(manifest["first"]), split_whole(manifest["end"])
            self.files = dict(manifest["files"])
            self.installation, number = re.fullmatch("tokenledger/([0-9a-f]+)/([0-9]+)", self.origin).groups()
            self.findings.expect("bundle.json", "the origin is not the tenant's:", self.tenant["number"], number)
            self.slug = self.tenant["slug"]
            if not re.fullmatch(r"\d{4}-\d\d", self.period):
                raise ValueError(f"{self.period} is no month")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Unreadable(f"{self.name}: bundle.json cannot be read: {error!r}") from None

    def _check_files(self, archive):
        """Every file is named in bundle.json with its SHA-256, and once. entries.jsonl is named by its rows' hashes."""
        names = archive.namelist()
        for name in LARGE_FILES:
            if name not in names:
                raise Unreadable(f"{self.name}: {name} is not there")
        for name in sorted(set(names)):
            if names.count(name) > 1:
                self.findings.add(name, "it stands more than once in the archive")
        for name in sorted({*names, *self.files, "entries.jsonl"} - {"bundle.json"}):
            if name not in names:
                self.findings.add(name, "it is named in bundle.json and missing in the archive")
            elif name != "entries.jsonl":
                with archive.open(name) as file:
                    digest = hash_file(file)
                self.findings.expect(name, "its SHA-256 is not that of bundle.json:", self.files.get(name), digest)

    def _read_rates(self, archive):
        """Price lists by their hash, which is the file's name: the rows name it, and so are bound to the prices."""
        rates = {}
        for name in archive.namelist():
            if not name.startswith("rates/"):
                continue
            data = archive.read(name)
            rate_hash = hashlib.sha256(data).hexdigest()
            if name != f"rates/{rate_hash}.json":
                self.findings.add(
                    name,
                    "the price list is not the one of this name: its SHA-256 is",
                    expected=name[6:-5],
                    found=rate_hash,
                )
                continue
            try:
                rates[rate_hash] = PriceList(read_json(data))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                self.findings.add(name, f"the price list cannot be read: {error!r}")
        return rates

    # --- receipts: what was booked, batch by batch ---

    def _check_receipts(self, archive):
        """Every header against the key that signed it; its hash is a leaf of the tenant's tree."""
        with archive.open("batches.jsonl") as file:
            signatures = []
            for number, batch in self._list_batches(file):
                self.leaves.append(batch.leaf)
                if batch.header is None:
                    self.findings.add(
                        f"batches.jsonl line {number}", f"batch {self.first + number - 1} of the tree: {batch.fault}"
                    )
                    continue
                place = f"batches.jsonl line {number}, batch {batch.header['batch_id']}"
                if batch.header["batch_id"] in self.batches:
                    self.findings.add(place, "the batch stands in the tree twice")
                self.batches[batch.header["batch_id"]] = number
                self.findings.expect(place, "it is another tenant's:", self.tenant["number"], batch.header["tenant_id"])
                key = self.keys.get(batch.key_id)
                if key is None or key.purpose != "receipt":
                    self.findings.add(
                        place, f"its receipt is signed by key {batch.key_id}, which is none that is known"
                    )
                    continue
                signatures.append((place, Signature(key.public_key, batch.signed, batch.signature)))
                if len(signatures) == SIGNATURES_AT_ONCE:
                    self._check_signatures(signatures)
                    signatures = []
            self._check_signatures(signatures)
        self.findings.expect(
            "batches.jsonl", "it has not the batches that bundle.json names:",
            self.end - self.first, len(self.leaves))  # fmt: skip

    def _list_batches(self, file):
        for number, line in enumerate(io.BufferedReader(file, CHUNK_BYTES), 1):
            yield number, read_batch(line.rstrip(b"\n"))

    def _check_signatures(self, placed):
        started = time.perf_counter()
        for at in find_false_signatures([signature for _, signature in placed]):
            self.findings.add(placed[at][0], "its receipt's signature is wrong: the header is not as it was signed")
        self.signatures += len(placed)
        self.seconds += time.perf_counter() - started

    # --- rows ---

    def _check_rows(self, archive, rates):
        """Every row, and every batch's header against its rows."""
        leaves_digest = hashlib.sha256()
        with archive.open("batches.jsonl") as batches:
            checker = RowChecker(rates, period=self.period, tenant=self.slug, findings=self.findings)
            pieces = inflate(self.name, archive, "entries.jsonl")
            reader = RowReader(
                pieces, period=self.period, tenant_id=self.tenant["number"], list_accounts=checker.list_accounts
            )
            for number, batch in self._list_batches(batches):
                if batch.header is not None:
                    self._skip_strays(reader, leaves_digest, number)
                    self._check_batch(batch, reader, checker, leaves_digest, number)
            self._skip_strays(reader, leaves_digest, len(self.leaves) + 1)
        self.entries = reader.number
        self.findings.expect(
            "entries.jsonl", "its rows are not those that bundle.json names:",
            self.manifest["leaves"], leaves_digest.hexdigest())  # fmt: skip
        if elsewhere := check_fees(checker.fees, rates, self.period, self.findings):
            self.notes.append(
                f"{self.name}: fees for {elsewhere:,} things of earlier months: the first stand in their archives"
            )
        self._check_taken_back(archive, checker.taken_back)
        return checker.finish()

    def _skip_strays(self, reader, leaves_digest, number):
        """Pass over rows whose turn it is not, up to the batch on line `number`."""
        while True:
            batch_id = reader.peek_batch()
            if batch_id is None or self.batches.get(batch_id, 0) >= number:
                return
            leaves_digest.update(reader.skip())
            known = "a batch that is over" if batch_id in self.batches else "no batch of the tree"
            self.findings.add(
                f"entries.jsonl line {reader.number}", f"a row of {known}: {batch_id or 'it cannot be read'}"
            )

    def _check_batch(self, batch, reader, checker, leaves_digest, number):
        header = batch.header
        place = f"batches.jsonl line {number}, batch {header['batch_id']}"
        expected = int(header["billing_periods"].get(f"{self.period}-01", "0"))
        first_line = reader.number + 1
        lines, leaves, columns = reader.take(header, expected)
        if not lines and not expected:
            return
        self.findings.expect(place, f"rows of {self.period}: its receipt says", expected, len(lines))
        numbers, billed, unpriced = checker.check_batch(header, lines, columns, first_line=first_line)
        leaves_digest.update(b"".join(leaves))
        if batch.others:
            numbers, leaves = zip(*sorted([*zip(numbers, leaves), *batch.others]))
        if not all(map(lt, numbers, numbers[1:])):
            self.findings.add(place, "its rows are not in the order of their lines, or one stands twice")
        self.findings.expect(place, "rows in all: its receipt says", int(header["entry_count"]), len(leaves))
        if hash_tree(leaves).hex() != header["root"]:
            span = f"entries.jsonl lines {first_line} to {reader.number}"
            self.findings.add(
                place, f"its rows ({span}) are not those that were booked: their hashes do not give the root"
            )
        if not batch.others:
            for name, found in (("billed_cost", billed), ("unpriced_count", unpriced)):
                self.findings.expect(place, f"{name} of its rows: its receipt says", int(header[name]), found)

    def _check_taken_back(self, archive, taken_back):
        """A second look at the rows, where some take others back: what was taken back is what was booked."""
        if not taken_back:
            return
        batch_ids = {entry_id.partition(".")[0].encode() for entry_id in taken_back}
        with archive.open("entries.jsonl") as entries:
            for number, line in enumerate(io.BufferedReader(entries, CHUNK_BYTES), 1):
                if line.split(b'"', 8)[7:8] and line.split(b'"', 8)[7] in batch_ids:
                    try:
                        row = read_row(line.rstrip(b"\n"))
                    except NotCanonical:
                        continue
                    own_id, facts, _ = taken_back.pop(f"{row['batch_id']}.{row['line']}", ("", None, False))
                    if own_id and facts != digest_facts(row):
                        self.findings.add(
                            f"entry {own_id}", f"it takes back something else than entries.jsonl line {number}"
                        )
        elsewhere = 0
        for entry_id, (own_id, _, is_earlier) in taken_back.items():
            if is_earlier:
                elsewhere += 1
                continue
            self.findings.add(f"entry {own_id}", f"it takes back {entry_id or 'nothing'}, which is not in this month")
        if elsewhere:
            self.notes.append(
                f"{self.name}: {elsewhere:,} rows take back rows of earlier months, which stand in their archives"
            )

    # --- tree, checkpoint, log ---

    def _check_tree(self, archive):
        tree = self._read(archive, "tree.json")
        try:
            size = split_whole(tree["size"])
            self.left = list(zip(split_range(0, self.first), map(read_hash, tree["left"])))
            self.right = list(zip(split_range(self.end, size), map(read_hash, tree["right"])))
            whole = [len(list(split_range(0, self.first))), len(list(split_range(self.end, size)))]
            self.findings.expect(
                "tree.json", "hashes left and right of the month:", whole, [len(tree["left"]), len(tree["right"])]
            )
            self.findings.expect(
                "tree.json", "first and end:", [str(self.first), str(self.end)], [tree["first"], tree["end"]]
            )
            keys = [key.public_key for key in self.keys.values() if key.purpose == "seal"]
            checkpoint = read_checkpoint(self._read(archive, "checkpoint.txt"), keys)
        except (ValueError, KeyError, TypeError) as error:
            self.findings.add("checkpoint.txt, tree.json", str(error))
            return
        self.checkpoint = checkpoint
        self.findings.expect("checkpoint.txt", "it is of another tree:", self.origin, checkpoint.origin)
        self.findings.expect("checkpoint.txt", "its size is not that of tree.json:", size, checkpoint.size)
        root = self.find_root(size)
        if root != checkpoint.root:
            self.findings.add(
                "batches.jsonl, tree.json", "the batches are not those of the checkpoint: the root of the tree is",
                expected=checkpoint.root.hex(), found=root and root.hex()
            )  # fmt: skip

    def find_root(self, size):
        """The root of the first `size` batches, of what the bundle holds; None where that is not enough."""
        subtrees = [
            *self.left,
            *(((0, self.first + place), leaf) for place, leaf in enumerate(self.leaves)),
            *self.right,
        ]
        within = [((level, place), node) for (level, place), node in subtrees if (place + 1) << level <= size]
        if sum(1 << level for (level, _), _ in within) != size:
            return None
        return join_subtrees(within)

    def _check_log(self, archive):
        """The checkpoint is a leaf of the log of all tenants' checkpoints, under a name that nobody else can read."""
        if self.checkpoint is None:
            return
        log = self._read(archive, "log.json")
        try:
            keys = [key.public_key for key in self.keys.values() if key.purpose == "seal"]
            head = read_checkpoint(self._read(archive, "log-head.txt"), keys)
            leaf = read_json(log["leaf"])
            hidden = hmac.new(bytes.fromhex(log["salt"]), self.origin.encode(), hashlib.sha256).hexdigest()
            told = [leaf["v"], leaf["origin"], leaf["size"], leaf["root"]]
            index, path = split_whole(log["index"]), list(map(read_hash, log["path"]))
        except (ValueError, KeyError, TypeError) as error:
            self.findings.add("log.json, log-head.txt", str(error))
            return
        self.log_head = head
        own = [CHECKPOINT_VERSION, hidden, str(self.checkpoint.size), self.checkpoint.root.hex()]
        self.findings.expect("log.json", "the leaf is of another checkpoint:", own, told)
        self.findings.expect(
            "log-head.txt", "it is of another log:", f"tokenledger/{self.installation}/log", head.origin
        )
        if not is_included(hash_leaf(log["leaf"].encode()), index, head.size, path, head.root):
            self.findings.add("log.json", "the checkpoint is not in the log: the path does not lead to its head")

    # --- totals ---

    def _check_statement(self, statement, totals, rates):
        try:
            told = [statement["v"], statement["tenant"], statement["period"]]
            self.findings.expect(
                "statement.json", "it is of another month:", [STATEMENT_VERSION, self.slug, self.period], told
            )
            if statement["checkpoint"] and self.checkpoint:
                root = statement["checkpoint"]["root"]
                self.findings.expect("statement.json", "it names another checkpoint:", self.checkpoint.root.hex(), root)
            check_statement(statement, totals, rates, self.findings)
        except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            self.findings.add("statement.json", f"it cannot be read: {error!r}")

    def _check_totals(self, totals, rates):
        told = self.manifest
        billed = {currency: str(amount) for currency, amount in totals.billed.items()}
        for name, expected, found in (
            ("entries", totals.entries, told["counts"]["entries"]),
            ("batches", len(self.leaves), told["counts"]["batches"]),
            ("rates", len(rates), told["counts"]["rates"]),
            ("unpriced", totals.unpriced, told["totals"]["unpriced"]),
        ):
            self.findings.expect("bundle.json", f"{name} are not what is in the archive:", str(expected), found)
        self.findings.expect(
            "bundle.json", "billed_cost is not the sum of the rows:", billed, told["totals"]["billed_cost"]
        )


@dataclass
class Batch:
    """A line of batches.jsonl. header: None where there is none, and `fault` says why; others: (line, leaf) of rows
    that are charged in other months.
    """

    leaf: bytes
    header: dict | None = None
    others: list = field(default_factory=list)
    key_id: str = ""
    signed: bytes = b""
    signature: bytes = b""
    fault: str = ""


def read_batch(line):
    """A batch as its line states it; what is wrong with it is its `fault`."""
    leaf = b"\0" * 32
    try:
        said = read_json(line)
        if said["receipt"] is None:
            return Batch(read_hash(said["leaf"]), fault="it is gone: neither its receipt nor its rows are there")
        others = [(split_whole(place), read_hash(other)) for place, other in said["leaves"] or []]
        header, payload, key_id, signed, signature = read_receipt(said["receipt"])
        return Batch(hash_leaf(payload), header, others, key_id, signed, signature)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return Batch(leaf, fault=f"its line cannot be read: {error}")


def read_receipt(text):
    """A receipt (a JWS in compact form, RFC 7515, RFC 8037): header, its bytes, the key's id, what is signed, and the
    signature. Raises ValueError and others.
    """
    protected, payload, signature = text.split(".")
    stated = read_json(decode_base64(protected, is_url=True))
    if stated["alg"] != "EdDSA":
        raise ValueError(f"its receipt is signed with {stated['alg']}")
    data = decode_base64(payload, is_url=True)
    header = read_json(data)
    if tuple(header) != HEADER or write_canonical(header) != data or header["v"] != BATCH_VERSION:
        raise ValueError(f"its receipt signs no header of {BATCH_VERSION}")
    counts = [
        split_whole(count)
        for count in (header["entry_count"], header["unpriced_count"], *header["billing_periods"].values())
    ]
    if not is_whole(header["billed_cost"]) or sum(counts[2:]) != counts[0]:
        raise ValueError("its header's months hold another number of rows than the batch")
    signed = text.rpartition(".")[0].encode()
    return header, data, stated["kid"], signed, decode_base64(signature, is_url=True)


def hash_file(file):
    digest = hashlib.sha256()
    for chunk in iter(lambda: file.read(CHUNK_BYTES), b""):
        digest.update(chunk)
    return digest.hexdigest()


# --- Bundles of different days, receipts that were kept ------------------------------------------------------------


def compare_bundles(old, new, proofs, findings):
    """Whether the newer bundle's tree begins with the older one's. Returns what could not be proved, or ''.

    proofs: paths between two sizes, by (from, to), as /v1/audit/consistency gives them.
    """
    pair = f"{old.name} and {new.name}"
    if old.origin != new.origin:
        findings.add(pair, "they are of different tenants or installations:", expected=old.origin, found=new.origin)
        return ""
    for key_id in sorted(old.keys.keys() - new.keys.keys()):
        findings.add(pair, f"key {key_id} of the older bundle is gone in the newer one")
    start, end = max(old.first, new.first), min(old.end, new.end)
    for place in range(start, end):
        if old.leaves[place - old.first] != new.leaves[place - new.first]:
            findings.add(pair, f"batch {place} of the tree is another one in each: the history was rewritten")
    if old.checkpoint is None or new.checkpoint is None:
        return ""
    sizes = old.checkpoint.size, new.checkpoint.size
    root = new.find_root(sizes[0])
    if root is not None:
        is_prefix = root == old.checkpoint.root
    elif sizes in proofs:
        is_prefix = is_consistent(*sizes, old.checkpoint.root, new.checkpoint.root, proofs[sizes])
    else:
        return f"{pair} are too far apart to prove each other: ask /v1/audit/consistency?from={sizes[0]}&to={sizes[1]}"
    if not is_prefix:
        findings.add(pair, "the newer tree does not begin with the older one: the history was rewritten")
    return ""


def check_kept_receipts(lines, bundles, findings):
    """Whether each batch of which you kept a receipt is in the bundle of each of its months. Returns how many are."""
    found = 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        place = f"receipts line {number}"
        try:
            text = read_json(text)["receipt"] if text.startswith("{") else text
            header, payload, key_id, signed, signature = read_receipt(text)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            findings.add(place, f"it is no receipt: {error}")
            continue
        place = f"{place}, batch {header['batch_id']}"
        for bundle in bundles:
            if header["tenant_id"] != bundle.tenant["number"]:
                continue
            if f"{bundle.period}-01" not in header["billing_periods"] and header["batch_id"] not in bundle.batches:
                continue
            key = bundle.keys.get(key_id)
            if key is None or not is_signed(key.public_key, signed, signature):
                findings.add(place, "its signature is by no key of the bundle: it is no receipt of this installation")
            elif header["batch_id"] not in bundle.batches:
                findings.add(place, f"you kept a receipt of this batch, and it is not in {bundle.name}")
            elif bundle.leaves[bundle.batches[header["batch_id"]] - 1] != hash_leaf(payload):
                findings.add(place, f"the receipt that you kept says something else than the one in {bundle.name}")
            else:
                found += 1
    return found


# --- The command ---------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """What was checked, in lines of text; what was found; what could not be proved."""

    lines: list
    findings: Findings
    notes: list


def verify(paths, *, keys=None, receipts=None, consistency=()):
    """Check bundles, and whatever is to be compared with them. Raises Unreadable."""
    findings, lines, notes = Findings(), [], []
    pinned = {key.public_key for key in _load(keys, read_keys)} if keys else set()
    bundles = []
    for path in paths:
        started = time.perf_counter()
        before = findings.count
        bundle = Bundle(path, pinned=pinned, findings=findings)
        bundles.append(bundle)
        notes += bundle.notes
        lines += describe_bundle(bundle, time.perf_counter() - started, findings.count - before)
    if not pinned:
        own = {key.key_id: key for bundle in bundles for key in bundle.keys.values()}
        notes += [
            f"no --keys: judged by the {key.purpose} key {key_id} of the bundle itself" for key_id, key in own.items()
        ]
    proofs = dict(_load(path, read_consistency) for path in consistency)
    in_order = sorted(bundles, key=lambda bundle: bundle.checkpoint.size if bundle.checkpoint else 0)
    for old, new in zip(in_order, in_order[1:]):
        notes += filter(None, [compare_bundles(old, new, proofs, findings)])
    if receipts:
        count = check_kept_receipts(_read_text(receipts).splitlines(), bundles, findings)
        lines.append(f"  kept receipts  {count:,} found where they belong")
    return Report(lines, findings, notes)


def describe_bundle(bundle, seconds, wrong):
    lists = bundle.manifest["counts"]["rates"]
    billed = ", ".join(
        f"{write_money(int(amount))} {currency}"
        for currency, amount in sorted(bundle.manifest["totals"]["billed_cost"].items())
    )
    of_rows = max(seconds - bundle.seconds, 1e-9)
    head = bundle.checkpoint
    return [
        f"{bundle.name}: {bundle.tenant['name']}, {bundle.period}, {bundle.origin}",
        f"  rows           {bundle.entries:,} in {len(bundle.leaves):,} batches; {lists} price lists; {billed}",
        f"  checkpoint     {head.size:,} batches, root {head.root.hex()[:16]}" if head else "  checkpoint     none",
        f"  time           {of_rows:.1f} s ({bundle.entries / of_rows:,.0f} rows a second),"
        f" {bundle.seconds:.1f} s for {bundle.signatures:,} signatures",
        f"  result         {'all agrees' if not wrong else f'{wrong} problems'}",
    ]


def write_money(pico):
    """10^-12 units as a decimal number."""
    whole, rest = divmod(abs(pico), PICO)
    return f"{'-' if pico < 0 else ''}{whole}.{rest:012d}".rstrip("0").rstrip(".")


def read_consistency(document):
    """((from, to), path) of an answer of /v1/audit/consistency. Raises ValueError and others."""
    sizes = int(document["from"]), int(document["to"])
    return sizes, list(map(read_hash, document["path"]))


def _load(path, read):
    try:
        return read(read_json(_read_text(path)))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{path}: it cannot be read: {error!r}") from None


def _read_text(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path}: it cannot be read: {error}") from None


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description="Checks Tokenledger evidence archives, without network and without Tokenledger.",
        epilog="Exit code 0: all is right; 1: something is wrong; 2: a file cannot be read.",
    )
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE.zip")
    parser.add_argument("--keys", metavar="FILE", help="public keys that you saved one day")
    parser.add_argument("--receipts", metavar="FILE", help="receipts that you kept, one a line")
    parser.add_argument("--consistency", metavar="FILE", action="append", default=[], help="a path between two trees")
    options = parser.parse_args(arguments)
    try:
        report = verify(options.bundles, keys=options.keys, receipts=options.receipts, consistency=options.consistency)
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(report.lines))
    for note in report.notes:
        print(f"note: {note}")
    for text in report.findings.texts:
        print(f"WRONG: {text}")
    if report.findings.count:
        print(
            f"{report.findings.count:,} problems"
            + (", of which the first are shown" if report.findings.count > FINDINGS_MAX else "")
        )
        return 1
    print("All agrees: nothing was added, changed or dropped since it was booked; every amount follows from its price.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
