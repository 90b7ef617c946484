"""Plain cost lines as `POST /v1/events?format=cost_lines` takes them: one verdict a line, as for events."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from api.parameters import TEXT_SCHEMA, Parameter, read_choice, read_text, read_timezone, read_whole
from api.parsing.bodies import JSON, NDJSON, check_event_count, cut_body
from api.problems import Problem
from billing.core.cost_lines import SOURCE_LENGTH_MAX, CostLineOptions, CostLineRefused, read_cost_line
from billing.core.wire_checks import ItemProblem, ItemRefused, load_strictly
from billing.core.wire_events import ParsedItem, refuse_item, tell_window

LINE_NUMBER_MAX = 10**11
FORMAT = Parameter(
    "format",
    read_choice("events", "cost_lines"),
    "`cost_lines`: the body holds plain cost lines in place of events; `docs/logs.md` says what is made of them.",
    {"type": "string", "enum": ["events", "cost_lines"]},
    default="events",
)
OF_COST_LINES = (
    Parameter("source", read_text, "Of cost lines: the log's name, in the ids of its lines.", TEXT_SCHEMA),
    Parameter(
        "first_line",
        read_whole(1, LINE_NUMBER_MAX),
        "Of cost lines: the number that the body's first line has in the log; 1 unless said.",
        {"type": "integer", "minimum": 1, "maximum": LINE_NUMBER_MAX},
    ),
    Parameter("timezone", read_timezone, "Of cost lines: the zone of times that name none, such as Europe/Zagreb."),
    Parameter("provider", read_text, "Of cost lines: through whom the models were called.", TEXT_SCHEMA),
    Parameter("feature", read_text, "Of cost lines: charged to it, where a line names none.", TEXT_SCHEMA),
    Parameter("environment", read_text, "Of cost lines: `production` unless said.", TEXT_SCHEMA),
    Parameter("ignore", read_text, "Of cost lines: a further field that is left out.", TEXT_SCHEMA, is_repeatable=True),
)


def read_cost_line_options(values: Mapping[str, Any]) -> CostLineOptions | None:
    """What the query says of a log; None where the body holds events. Raises Problem `query_invalid`."""
    given = [parameter.name for parameter in OF_COST_LINES if values[parameter.name] not in (None, ())]
    if values["format"] == "events":
        faults = [{"field": name, "detail": "This goes with format=cost_lines."} for name in given]
    else:
        faults = list(_find_faults(values))
    if faults:
        raise Problem("query_invalid", "; ".join(f"{f['field']}: {f['detail']}" for f in faults), problems=faults)
    if values["format"] == "events":
        return None
    return CostLineOptions(
        source=values["source"],
        zone=ZoneInfo(values["timezone"]) if values["timezone"] else None,
        provider=values["provider"] or "",
        feature=values["feature"] or "",
        environment=values["environment"] or "production",
        ignored=frozenset(values["ignore"]),
    )


def _find_faults(values: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    if not values["source"]:
        yield {"field": "source", "detail": "This is required: the log's name, which stands in the ids of its lines."}
    for name in ("source", "provider", "feature", "environment"):
        if len(values[name] or "") > SOURCE_LENGTH_MAX:
            yield {"field": name, "detail": f"At most {SOURCE_LENGTH_MAX} characters are taken."}


def parse_cost_lines(
    body: bytes, *, content_type: str, options: CostLineOptions, first_line: int, now: datetime, may_backfill: bool
) -> list[ParsedItem]:
    """Every line of a body, in order, each with its verdict. Raises Problem when nothing could be read."""
    numbered = _number_lines(body, content_type=content_type)
    check_event_count(len(numbered))
    return [
        _parse_line(index, first_line + place, raw, options, now, may_backfill)
        for index, (place, raw) in enumerate(numbered)
    ]


def _number_lines(body: bytes, *, content_type: str) -> list[tuple[int, bytes]]:
    """The text of each line with its place from 0; a blank line has a place, as it has in a file."""
    if content_type == NDJSON:
        return [(place, raw) for place, raw in enumerate(body.split(b"\n")) if raw.strip()]
    if content_type != JSON:
        raise Problem("content_type_unknown", f"Cost lines are sent as {JSON} or {NDJSON}.")
    return list(enumerate(cut_body(body, content_type=content_type)))


def _parse_line(
    index: int, number: int, raw: bytes, options: CostLineOptions, now: datetime, may_backfill: bool
) -> ParsedItem:
    event_id = f"{options.source}:{number}"
    try:
        event = read_cost_line(load_strictly(raw), number=number, options=options)
    except ItemRefused as refused:
        return refuse_item(index, event_id, raw, refused.problems)
    except CostLineRefused as refused:
        return refuse_item(index, event_id, raw, tuple(ItemProblem(*problem) for problem in refused.problems))
    if detail := tell_window(event.time, now=now, may_backfill=may_backfill):
        return refuse_item(index, event.event_id, raw, (ItemProblem("timestamp", "time_out_of_window", detail),))
    return ParsedItem(index, event.event_id, event, "")
