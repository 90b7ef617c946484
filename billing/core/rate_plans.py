"""What publishing rates changes: which versions begin, end earlier, go on later or give way. Pure.

The versions under one set of conditions form a line of time without overlap. A document is laid over it; whatever
the line already charges by equal terms stays as it is, so publishing the same document twice changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from billing.core.price_lists import ALWAYS
from billing.core.rate_documents import RateDocument, canonical_json


@dataclass(frozen=True, slots=True)
class Version:
    """A published version; `end` is ALWAYS where none is set."""

    rate_version_id: int
    start: datetime
    end: datetime
    content: Mapping[str, Any]

    @property
    def terms(self) -> str:
        return canonical_json({name: value for name, value in self.content.items() if name != "source"})


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the line that one version or one document holds."""

    start: datetime
    end: datetime
    holder: Version | RateDocument


@dataclass(slots=True)
class Plan:
    """What to write for one set of conditions. `history_kept` says that the past differs and was left alone."""

    begins: list[Piece] = field(default_factory=list)  # by a document, or a version that goes on after one
    ends: list[tuple[Version, datetime]] = field(default_factory=list)
    gives_way: list[Version] = field(default_factory=list)
    history_kept: bool = False

    @property
    def is_empty(self) -> bool:
        return not (self.begins or self.ends or self.gives_way)


def plan_versions(
    versions: Sequence[Version], documents: Sequence[RateDocument], *, frozen_before: datetime | None = None
) -> Plan:
    """Lay `documents` over `versions`, all of one set of conditions.

    A document ends where the next version begins. With `frozen_before` (an import) the documents are the whole line
    as it should be: they replace later versions too, but no price of a moment before it.
    """
    plan = Plan()
    line = [Piece(version.start, version.end, version) for version in versions]
    for document in sorted(documents, key=lambda document: document.effective_from):
        line = _lay_over(line, document, frozen_before, plan)
    _compare(versions, _join(line), plan)
    return plan


def _lay_over(line: list[Piece], document: RateDocument, frozen_before: datetime | None, plan: Plan) -> list[Piece]:
    start, end = document.effective_from, document.effective_to or ALWAYS
    if frozen_before is None:
        end = min([end, *(piece.start for piece in line if piece.start > start)])
    free = [(start, end)]
    kept: list[Piece] = []
    for piece in line:
        stays = piece.holder.terms == document.terms
        kept_until = piece.end if stays else frozen_before
        for low, high, inside in _cut(piece, start, end, kept_until):
            if inside and not stays and kept_until is not None and low < kept_until:
                plan.history_kept = True
            if not inside or (kept_until is not None and low < kept_until):
                kept.append(Piece(low, high, piece.holder))
                free = [rest for span in free for rest in _subtract(span, low, high)]
    return sorted([*kept, *(Piece(low, high, document) for low, high in free)], key=lambda piece: piece.start)


def _cut(
    piece: Piece, start: datetime, end: datetime, middle: datetime | None
) -> list[tuple[datetime, datetime, bool]]:
    """The stretches of `piece` before, inside and after [start, end), also cut at `middle`."""
    points = sorted({piece.start, piece.end, *(p for p in (start, end, middle) if p and piece.start < p < piece.end)})
    return [(low, high, start <= low < end) for low, high in zip(points, points[1:], strict=False)]


def _subtract(span: tuple[datetime, datetime], low: datetime, high: datetime) -> list[tuple[datetime, datetime]]:
    start, end = span
    rest = [(start, min(end, low)), (max(start, high), end)]
    return [(first, last) for first, last in rest if first < last]


def _join(line: Sequence[Piece]) -> list[Piece]:
    """Neighbours of one holder as one piece."""
    joined: list[Piece] = []
    for piece in line:
        if joined and joined[-1].holder is piece.holder and joined[-1].end == piece.start:
            joined[-1] = Piece(joined[-1].start, piece.end, piece.holder)
        else:
            joined.append(piece)
    return joined


def _compare(versions: Sequence[Version], line: Sequence[Piece], plan: Plan) -> None:
    """A version keeps its row where it keeps its start; every other piece is a new row."""
    kept = {
        piece.holder.rate_version_id: piece
        for piece in line
        if isinstance(piece.holder, Version) and piece.start == piece.holder.start
    }
    plan.begins = [piece for piece in line if piece not in kept.values()]
    for version in versions:
        piece = kept.get(version.rate_version_id)
        if piece is None:
            plan.gives_way.append(version)
        elif piece.end != version.end:
            plan.ends.append((version, piece.end))
