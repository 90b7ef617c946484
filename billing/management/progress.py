"""How far a command is: a bar on a terminal, a line every few seconds in a log; on standard error in both."""

import shutil
import sys
import time

from billing.file_loads import Progress

SECONDS_BETWEEN_LINES = 5


class ProgressLine:
    def __init__(self, name: str, *, noun: str = "rows") -> None:
        self._name = name
        self._noun = noun
        self._is_terminal = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        rate = progress.rows / max(now - self._started, 0.001)
        figures = f"{progress.share:4.0%}  {progress.rows:,} {self._noun}  {rate:,.0f}/s"
        if self._is_terminal:
            room = max(shutil.get_terminal_size().columns - len(figures) - len(self._name) - 8, 10)
            done = round(room * progress.share)
            sys.stderr.write(f"\r{self._name} [{'#' * done}{'.' * (room - done)}] {figures}\x1b[K")
            sys.stderr.flush()
        elif now - self._shown >= SECONDS_BETWEEN_LINES:
            self._shown = now
            sys.stderr.write(f"{self._name} {figures}\n")

    def end(self) -> None:
        if self._is_terminal:
            sys.stderr.write("\n")
