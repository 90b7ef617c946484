"""What bills as JSON have in common: pages of buckets, numbers with every digit, pages that are missing. Pure."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from chargeback.core.bills.charges import BillNote, BillProblem, BillRefused
from chargeback.core.bills.tables import decode

DEPTH_MAX = 50


def read_pages(content: bytes) -> list[Any]:
    """One page, or a list of several: objects with `data`. Raises BillRefused."""
    try:
        document = json.loads(decode(content), parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise BillRefused([BillProblem(error.lineno, "", f"is no JSON ({error.msg}); send the answer whole")]) from None
    except (RecursionError, ValueError, ArithmeticError):
        raise BillRefused([BillProblem(0, "", "is no JSON of a bill; send the API's answer as it came")]) from None
    pages = document if isinstance(document, list) else [document]
    problems = [
        BillProblem(0, f"page {number}", "has no list `data`; send the API's answer as it came")
        for number, page in enumerate(pages, start=1)
        if not (isinstance(page, Mapping) and isinstance(page.get("data"), list))
    ]
    problems = problems or [problem for page in pages for problem in _check_buckets(page)]
    if problems:
        raise BillRefused(problems)
    return pages


def _check_buckets(page: Mapping[str, Any]) -> Iterator[BillProblem]:
    for number, bucket in enumerate(page["data"], start=1):
        results = bucket.get("results") if isinstance(bucket, Mapping) else None
        if not isinstance(results, list) or not all(isinstance(result, Mapping) for result in results):
            yield BillProblem(0, f"data {number}", "is no bucket with a list `results` of objects")
        elif not all(isinstance(result.get("amount"), Mapping | str | Decimal | None) for result in results):
            yield BillProblem(0, f"data {number}", "has a result whose `amount` is no amount")


def list_buckets(page: Mapping[str, Any]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The buckets of a page, numbered from 1."""
    yield from enumerate(page["data"], start=1)


def write_cell(value: object) -> str:
    """A value as a field of a table: every digit of a number, '' for null."""
    if value is None:
        return ""
    return str(value)


def tell_pages(pages: list[Any]) -> list[BillNote]:
    """That the API had more to say than the file holds."""
    if pages and pages[-1].get("has_more") is True:
        return [BillNote("more_pages", (), "the answer says that more pages follow: days may be missing at its end")]
    return []


def _refuse_constant(name: str) -> Decimal:
    raise ValueError(name)
