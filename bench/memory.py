"""What a web process holds on to: its resident memory from the 100,000th event to the 1,000,000th.

The product's own web command, batches of 1,000 over HTTP, hundreds of priced models; every event has an id, a user, a
session and a tag of its own, so that whatever is remembered by what a client may choose shows. Rows are counted
afterwards. Alone: `python -m bench.memory`.
"""

import sys
from typing import Any

from bench.events import EventMaker
from bench.ingest import check_rows
from bench.setting import Setting, describe_database, describe_machine, post_batches, run_setting

FIRST, LAST = 100_000, 1_000_000
BATCH_SIZE = 1_000
CONNECTIONS = 8
SAMPLES = 18  # between the first event and the last one
GROWTH_MB_MAX = 20
MEGABYTE = 1_000_000


class ProcessReplaced(AssertionError):
    """A web process ended while it was watched, or did next to nothing: its memory says nothing."""


def run() -> list[dict[str, Any]]:
    """The growth of the process that grew most, in MB, beside the 20 that it may; `runs` holds each process's."""
    with run_setting() as setting:
        growths = measure_growth(setting, first=FIRST, last=LAST)
        print("\n".join(describe_database(setting)), file=sys.stderr)
    return [
        {
            "name": f"memory of a web process, event {FIRST:,} to {LAST:,}",
            "value": round(max(growths), 1),
            "unit": "MB",
            "yardstick": GROWTH_MB_MAX,
            "ratio": round(max(growths) / GROWTH_MB_MAX, 3),
            "runs": [round(growth, 1) for growth in growths],
        }
    ]


def measure_growth(
    setting: Setting, *, first: int, last: int, samples: int = SAMPLES, batch_size: int = BATCH_SIZE
) -> list[float]:
    """By how many MB each web process grew at most after the `first` event, until the `last`.

    Raises RowsMissing and ProcessReplaced.
    """
    maker = EventMaker(setting.models, seed=1, has_own_people=True)
    processes = setting.installation.list_children("web")
    accepted = _post(setting, maker, first, batch_size)
    base = [process.memory_info().rss for process in processes]
    work = [process.cpu_times().user for process in processes]
    peaks = list(base)
    part = (last - first) // samples
    for _ in range(samples):
        accepted += _post(setting, maker, part, batch_size)
        peaks = [max(peak, process.memory_info().rss) for peak, process in zip(peaks, processes, strict=True)]
        print(f"{accepted:>9,} events, resident MB {[round(peak / MEGABYTE, 1) for peak in peaks]}", file=sys.stderr)
    check_rows(setting.count_entries(), acknowledged=accepted, sent=last)
    work = [process.cpu_times().user - before for process, before in zip(processes, work, strict=True)]
    if setting.installation.list_children("web") != processes or min(work) < sum(work) / len(work) / 4:
        raise ProcessReplaced(f"user seconds of each process: {work}")
    return [(peak - before) / MEGABYTE for peak, before in zip(peaks, base, strict=True)]


def _post(setting: Setting, maker: EventMaker, count: int, batch_size: int) -> int:
    """How many of `count` new events were accepted. New connections each time: the processes share those."""
    batches = [maker.make_batch(batch_size) for _ in range(count // batch_size)]
    return post_batches(setting, batches, connections=CONNECTIONS)


if __name__ == "__main__":
    print("\n".join(describe_machine()))
    [result] = run()
    print(f"{result['name']}: {result['value']} {result['unit']} of {result['yardstick']}; runs {result['runs']}")
