"""The files of a month: what each is for, and where it is taken."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from dashboards.access import Seat
from dashboards.frame import make_link


@dataclass(frozen=True, slots=True)
class Download:
    """One file."""

    label: str
    href: str


@dataclass(frozen=True, slots=True)
class DownloadGroup:
    """Files of one content, in several formats."""

    name: str
    what: str
    files: Sequence[Download]


STATEMENT_FORMATS = {"pdf": "PDF", "xlsx": "XLSX", "csv": "CSV", "jsonl": "JSONL", "parquet": "Parquet"}
FOCUS_FORMATS = {"focus": "CSV", "focus_parquet": "Parquet"}


def list_downloads(seat: Seat, month: date) -> list[DownloadGroup]:
    """Everything there is of a month, by what it is for."""
    query = seat.link_query | {"period": f"{month:%Y-%m}"}
    return [
        DownloadGroup(
            "Evidence archive",
            "All of it to be verified without us: rows, receipts, tree, checkpoint, price lists, keys and the script.",
            [Download("ZIP", make_link("audit_bundle", query))],
        ),
        DownloadGroup(
            "Statement",
            "Each line with its quantity, price and amount, and what they add up to.",
            list_statement_files(seat, month),
        ),
        DownloadGroup(
            "Ledger rows",
            "Every row beneath the statement, with every column and digit.",
            [Download("CSV", make_link("audit_rows", query))],
        ),
        DownloadGroup(
            "Entries with their leaves",
            "Every row byte for byte as it was hashed, and its hash: for a check of your own.",
            [Download("JSONL", make_link("audit_leaves", query))],
        ),
        DownloadGroup(
            "FOCUS 1.2, as charged",
            "For cost tools: what is charged by us, a row for each meter and day; with the columns of 1.4.",
            _list_focus(query, "chargeback"),
        ),
        DownloadGroup(
            "FOCUS 1.2, as owed",
            "The same from the providers’ side: what each of them is owed.",
            _list_focus(query, "provider"),
        ),
    ]


def name_bundle(seat: Seat, month: date) -> str:
    """How a month's archive is called when it is saved."""
    return f"evidence-{seat.tenant.slug}-{month:%Y-%m}.zip"


def list_statement_files(seat: Seat, month: date) -> list[Download]:
    """The statement in each of its formats."""
    query = seat.link_query | {"period": f"{month:%Y-%m}"}
    return [
        Download(label, make_link("audit_statement_file", query | {"format": name}))
        for name, label in STATEMENT_FORMATS.items()
    ]


def _list_focus(query: Mapping[str, str], view: str) -> list[Download]:
    return [
        Download(label, make_link("audit_statement_file", {**query, "format": name, "view": view}))
        for name, label in FOCUS_FORMATS.items()
    ]
