"""The statement on paper: a tagged PDF/UA-1 of its lines, control totals and proof, set by Typst.

The template is `statement.typ`. What it sets is data, given as JSON: no name of a feature is ever read as markup. The
fonts are those of the requirements and of Typst itself, so that every machine sets the same pages.
"""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlencode

from audit.core.prices import NO_USAGE, REMAINDER, REPORTED
from audit.core.statement import (
    ADJUSTMENT,
    CORRECTION,
    CREDIT,
    FEE,
    SECTIONS,
    UNPRICED,
    USAGE,
    SectionTotal,
    Statement,
    StatementGroup,
    StatementLine,
    link_rows,
)
from audit.formats.jsonl import hash_statement
from audit.formats.typesetting import LetterMissing, set_pages

TEMPLATE = Path(__file__).with_name("statement.typ")
LINES_MAX = 5_000  # some 10 s, and 150 pages
SIMULATED = "Demo data: simulated, after shapes measured on real services."
PART_NAMES = {
    USAGE: "Usage", CORRECTION: "Corrections", FEE: "Fees", CREDIT: "Credits", ADJUSTMENT: "Adjustments",
}  # fmt: skip
METER_NAMES = {NO_USAGE: "no usage", REMAINDER: "rounding", REPORTED: "reported cost"}
# Scripts that the fonts have: what else a name holds is set by its code points.
_SET = ((0x20, 0x7E), (0xA0, 0x24F), (0x370, 0x52F), (0x1E00, 0x1FFF), (0x2010, 0x2027), (0x2030, 0x205E),
        (0x20A0, 0x20BF), (0x2190, 0x21FF), (0x2200, 0x22FF))  # fmt: skip


class TooManyPages(ValueError):
    """More lines than anybody prints; the text says what to take instead."""


def write_pdf(statement: Statement, out: BinaryIO, *, ledger_address: str) -> None:
    """The statement's pages. ledger_address: of the page of rows, to which figures lead. Raises TooManyPages."""
    if len(statement.lines) > LINES_MAX:
        raise TooManyPages(
            f"a PDF is made of at most {LINES_MAX:,} lines, and this statement has {len(statement.lines):,}; "
            "take the XLSX, CSV or Parquet"
        )
    content = _describe(statement, ledger_address=ledger_address)
    out.write(_set(content, statement))


def _set(content: Mapping[str, Any], statement: Statement) -> bytes:
    """The pages; where a font has not all letters of a name, with code points in their place."""
    try:
        return _compile(json.dumps(content), statement)
    except LetterMissing:
        return _compile(json.dumps(_spell_out(content)), statement)


def _compile(text: str, statement: Statement) -> bytes:
    return set_pages(text, template=TEMPLATE, moment=statement.booked_until or statement.start)


def _spell_out(value: Any) -> Any:
    if isinstance(value, str):
        return "".join(letter if _is_set(letter) else f"‹U+{ord(letter):04X}›" for letter in value)
    if isinstance(value, Mapping):
        return {name: _spell_out(each) for name, each in value.items()}
    return [_spell_out(each) for each in value] if isinstance(value, list) else value


def _is_set(letter: str) -> bool:
    return any(first <= ord(letter) <= last for first, last in _SET)


# --- what the template places ---


def _describe(statement: Statement, *, ledger_address: str) -> dict[str, Any]:
    whole, _, cents = f"{abs(statement.charged):,.2f}".partition(".")
    sign = "−" if statement.charged < 0 else ""
    return {
        "title": f"Statement {statement.number}",
        "author": "Tokenledger",
        "number": statement.number,
        "tenant": statement.tenant_slug,
        "tenant_name": statement.tenant_name,
        "month": f"{statement.period:%B %Y}",
        "currency": statement.currency,
        "charged": {"whole": f"{sign}${whole}", "cents": f".{cents}"},
        "is_over": statement.is_over,
        "state": "Month over, not closed" if statement.is_over else "Month under way",
        "footing": f"{statement.number} · {statement.rows:,} ledger rows · {statement.amount:f} {statement.currency}",
        "simulated": SIMULATED if statement.is_simulated else "",
        "parties": _list_parties(statement),
        "nothing": f"Nothing was booked for {statement.period:%B %Y}.",
        "parts": [
            _write_part(total, statement, ledger_address=ledger_address)
            for total in statement.sections
            if total.section != UNPRICED
        ],
        "charge": _write_charge(statement),
        "unpriced": [
            _write_unpriced(group, statement, ledger_address=ledger_address)
            for group in statement.list_groups(UNPRICED)
        ],
        "unpriced_note": "Listed and not charged: no published price says what these cost.",
        "control": _write_control(statement),
        "proof": _list_proof(statement),
        "command": f"python3 verify_tokenledger.py evidence-{statement.tenant_slug}-{statement.period:%Y-%m}.zip",
        "closing": "Not a tax invoice. Each amount is exact in the ledger, shown here rounded once, half-even, and "
        "leads to its rows.",
    }


def _list_parties(statement: Statement) -> list[dict[str, str]]:
    last = statement.end.replace(day=1) - (statement.end - statement.start) / 10**9
    share = statement.priced_share
    facts = {
        "Statement": statement.number,
        "Charge period, UTC": f"{statement.start.day} – {last.day} {statement.period:%b %Y}",
        "Booked until": f"{statement.booked_until:%-d %b %Y %H:%M} UTC" if statement.booked_until else "nothing booked",
        "Priced": "no calls" if share is None else f"{_write_percent(share)} % of {statement.calls:,} calls",
    }
    return [{"name": name, "value": value} for name, value in facts.items()]


def _write_percent(share: Decimal) -> str:
    """Never 100 where something is missing."""
    return "100" if share == 1 else f"{min(share * 100, Decimal('99.99')):.2f}"


def _write_part(total: SectionTotal, statement: Statement, *, ledger_address: str) -> dict[str, Any]:
    return {
        "name": PART_NAMES[total.section],
        "caption": f"{PART_NAMES[total.section]}, {statement.period:%B %Y}, UTC: quantity × price; each figure is its "
        "exact amount, rounded once, to the cent",
        "rows": f"{total.rows:,}",
        "amount": _write_amount(total.shown),
        "groups": [
            _write_group(group, statement, ledger_address=ledger_address)
            for group in statement.list_groups(total.section)
        ],
    }


def _write_group(group: StatementGroup, statement: Statement, *, ledger_address: str) -> dict[str, Any]:
    lines = list(_list_shown(group.lines, statement, ledger_address=ledger_address))
    filters = link_rows(statement.period, group=group)
    return {
        "feature": _name_feature(group),
        "model": _name_model(group),
        "lines": lines,
        "count": "1 line" if len(lines) == 1 else f"{len(lines)} lines",
        "rows": f"{group.rows:,}",
        "amount": _write_amount(group.shown),
        "address": _write_address(ledger_address, filters, statement),
    }


def _name_feature(group: StatementGroup) -> str:
    """A fee is a model's, whatever feature used it."""
    return group.feature or ("No feature" if group.section in (USAGE, CORRECTION, UNPRICED) else group.model)


def _name_model(group: StatementGroup) -> str:
    return f"{group.provider} {group.model}".strip() if group.feature or group.section != FEE else group.provider


def _list_shown(
    lines: Iterable[StatementLine], statement: Statement, *, ledger_address: str
) -> Iterable[dict[str, str]]:
    """Each line; what a cache of responses answered as one, for none of it costs anything."""
    cached = []
    for line in lines:
        if line.cache_hit and not line.amount:
            cached.append(line)
            continue
        yield {
            "meter": METER_NAMES.get(line.meter, line.meter),
            "note": line.note,
            "quantity": "" if line.meter == REMAINDER else _write_quantity(line.quantity),
            "price": "" if line.price is None else _write_price(line.price),
            "per": "" if line.price is None else _write_per(line.per),
            "rows": f"{line.rows:,}",
            "amount": _write_amount(line.shown),
            "address": _write_address(ledger_address, link_rows(statement.period, line=line), statement),
        }
    if cached:
        yield {
            "meter": "cached answers",
            "note": "from a cache of responses, free",
            "quantity": _write_quantity(sum((line.quantity for line in cached), Decimal(0))),
            "price": "0.00",
            "per": "",
            "rows": f"{max(line.rows for line in cached):,}",
            "amount": "0.00",
            "address": "",
        }


def _write_address(address: str, filters: Iterable[tuple[str, str]], statement: Statement) -> str:
    if not address:
        return ""
    return f"{address}?{urlencode([('tenant', statement.tenant_slug), ('environment', 'all'), *filters])}"


def _write_amount(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount:,.2f}".replace("-", "−")


def _write_quantity(quantity: Decimal) -> str:
    text = f"{quantity:,f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _write_price(price: Decimal) -> str:
    """At least two decimals, and every one that it has."""
    text = f"{price.normalize():f}"
    decimals = len(text.partition(".")[2])
    return f"{price:.2f}" if decimals < 2 else text


def _write_per(per: int) -> str:
    if per == 1:
        return "each"
    return {10**6: "per million", 10**3: "per thousand"}.get(per, f"per {per:,}")


def _write_charge(statement: Statement) -> dict[str, Any]:
    rows = [
        [
            PART_NAMES[total.section],
            f"{total.lines:,} {'line' if total.lines == 1 else 'lines'}, exact {_write_exact(total.amount)}",
            _write_signed(total.shown),
        ]
        for total in statement.sections
        if total.section != UNPRICED
    ]
    shown = sum((total.shown for total in statement.sections if total.section != UNPRICED), Decimal(0))
    if statement.charged != shown:
        rows.append(
            ["Rounding", "each figure is rounded once, the total too", _write_signed(statement.charged - shown)]
        )
    if statement.unpriced_calls:
        rows.append(["Without a price", f"{statement.unpriced_calls:,} calls, listed below", "not charged"])
    name = f"Charged to {statement.tenant_name}"
    return {"rows": rows, "last": [name, f"exact {_write_exact(statement.amount)}", _write_amount(statement.charged)]}


def _write_exact(amount: Decimal) -> str:
    return f"{amount:,f}".replace("-", "−")


def _write_signed(amount: Decimal) -> str:
    return f"{amount:+,.2f}".replace("-", "−") if amount else "0.00"


def _write_unpriced(group: StatementGroup, statement: Statement, *, ledger_address: str) -> dict[str, str]:
    used = ", ".join(
        f"{_write_quantity(line.quantity)} {METER_NAMES.get(line.meter, line.meter)}" for line in group.lines
    )
    return {
        "feature": _name_feature(group),
        "model": _name_model(group),
        "used": used if any(line.quantity for line in group.lines) else "priced since, see Corrections",
        "rows": f"{group.rows:,}",
        "address": _write_address(ledger_address, link_rows(statement.period, group=group), statement),
    }


def _write_control(statement: Statement) -> dict[str, Any]:
    controls = statement.list_controls()
    charged = next(control for control in controls if control.name == "Charged")
    rows = [
        [
            control.name,
            "" if control.count is None else f"{control.count:,}",
            "" if control.amount is None else _write_exact(control.amount),
        ]
        for control in controls
        if control is not charged
    ]
    return {"rows": rows, "last": [charged.name, "", _write_amount(charged.amount)]}


def _list_proof(statement: Statement) -> list[dict[str, Any]]:
    digest = hash_statement(statement)
    facts = [("SHA-256 of the JSONL file", " ".join(digest[place : place + 8] for place in range(0, 64, 8)), True)]
    if statement.checkpoint:
        seal = statement.checkpoint
        words = f"{seal.origin}, size {seal.size:,}, signed {seal.signed_at:%-d %b %Y %H:%M:%S} UTC by {seal.key_id}"
        facts += [("Checkpoint", words, False), ("Root", seal.root, True)]
    else:
        facts.append(("Checkpoint", "none yet: not every row of the month is sealed", False))
    facts.append(
        ("Ledger rows", f"{statement.rows:,}, and {statement.acts:,} administrative acts without a cost", False)
    )
    return [{"name": name, "value": value, "is_code": is_code} for name, value, is_code in facts]


assert set(PART_NAMES) | {UNPRICED} == set(SECTIONS)
