"""One process that starts the others, shows what they say, restarts who falls, and stops them in order.

Single-threaded on purpose: the kernel ties a child's life to the thread that started it.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from finops.unprivileged import start_as

TICK_SECONDS = 0.2
RESTART_SECONDS_MIN = 1.0
RESTART_SECONDS_MAX = 30.0
STEADY_SECONDS = 60.0
STOP_SECONDS_MAX = 30.0
NAME_WIDTH = 10

COLOURS = {"web": 36, "worker": 33, "beat": 35, "setup": 32, "demo": 32, "PostgreSQL": 34, "Redis": 31}


class StepFailed(RuntimeError):
    """A step of the set-up ended badly; the text is what it said last."""


class Interrupted(Exception):
    """Somebody wants everything to stop."""


class Console:
    """Lines with the time and the name of who says them, coloured on a terminal."""

    def __init__(self, stream=None) -> None:
        self.stream = stream or sys.stdout
        self.is_coloured = self.stream.isatty() and not os.environ.get("NO_COLOR")

    def say(self, name: str, line: str) -> None:
        prefix = f"{time.strftime('%H:%M:%S')} {name:<{NAME_WIDTH}} |"
        if self.is_coloured:
            prefix = f"\x1b[{COLOURS.get(name, 37)}m{prefix}\x1b[0m"
        self.print(f"{prefix} {line}")

    def print(self, line: str = "") -> None:
        self.stream.write(f"{line}\n")
        self.stream.flush()


@dataclass(slots=True)
class Part:
    """A process that shall always run."""

    name: str
    start: Callable[[], subprocess.Popen]
    process: subprocess.Popen | None = None
    started_at: float = 0.0
    start_again_at: float = 0.0
    pause_seconds: float = RESTART_SECONDS_MIN


@dataclass(slots=True)
class Supervisor:
    """Runs steps and parts; SIGINT, SIGTERM and SIGHUP end it, a second one ends it at once."""

    console: Console
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    unfinished: dict[int, bytes] = field(default_factory=dict)
    signals: int = 0

    def listen_to_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._count_signal)

    def _count_signal(self, number: int, frame: object) -> None:
        self.signals += 1

    def start_child(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen:
        """Start `command` in a session of its own, and show its lines under `name`."""
        process = start_as(
            None,
            command,
            last_signal=signal.SIGTERM,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=os.getcwd(),  # noqa: PTH109
        )
        self.selector.register(process.stdout, selectors.EVENT_READ, name)
        return process

    def run_step(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, keep_from: str | None = None
    ) -> list[str]:
        """Run one command to its end; raises StepFailed with its last line, or Interrupted.

        keep_from: from the line that begins so, lines are returned and not shown.
        """
        process = self.start_child(name, command, environment)
        said: list[str] = []
        kept: list[str] = []
        is_over = False
        while not is_over:
            has_ended = process.poll() is not None
            lines = [line for _, line in self._read_lines(wait=not has_ended)]
            is_over = has_ended and not lines
            for line in lines:
                if kept or (keep_from and line.startswith(keep_from)):
                    kept.append(line)
                else:
                    said.append(line)
                    self.console.say(name, line)
            if self.signals:
                _end_group(process, signal.SIGTERM, seconds=STOP_SECONDS_MAX)
                raise Interrupted
        if process.returncode != 0:
            raise StepFailed(said[-1] if said else f"{name} ended with {process.returncode}")
        return kept

    def keep(self, parts: Sequence[Part], *, on_tick: Callable[[], None]) -> None:
        """Start `parts`, and start again whichever ends, until a signal comes."""
        while not self.signals:
            for part in parts:
                self._look_after(part)
            self.show_output()
            on_tick()

    def _look_after(self, part: Part) -> None:
        now = time.monotonic()
        if part.process is not None:
            if part.process.poll() is None:
                return
            self._bury(part, now)
        if now >= part.start_again_at:
            try:
                part.process = part.start()
                part.started_at = now
            except (OSError, RuntimeError) as error:
                self.console.say(part.name, str(error))
                self._postpone(part, now)

    def _bury(self, part: Part, now: float) -> None:
        code = part.process.returncode
        # Its own children may live on, and hold its port.
        _signal_group(part.process, signal.SIGKILL)
        part.process = None
        if now - part.started_at > STEADY_SECONDS:
            part.pause_seconds = RESTART_SECONDS_MIN
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        self.console.say(part.name, f"{how}; starting it again in {part.pause_seconds:.0f} s")
        self._postpone(part, now)

    def _postpone(self, part: Part, now: float) -> None:
        part.start_again_at = now + part.pause_seconds
        part.pause_seconds = min(2 * part.pause_seconds, RESTART_SECONDS_MAX)

    def stop(self, parts: Sequence[Part]) -> None:
        """Ask all `parts` to end, and show what they say; kill who takes too long, or all at a second signal."""
        running = [part for part in parts if part.process is not None and part.process.poll() is None]
        for part in running:
            part.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS_MAX
        signals = self.signals
        while any(part.process.poll() is None for part in running):
            self.show_output()
            if time.monotonic() > deadline or self.signals > signals:
                break
        for part in running:
            _signal_group(part.process, signal.SIGKILL)
            part.process.wait()
            part.process = None
        self.show_output(wait=False)

    def show_output(self, *, wait: bool = True) -> None:
        """Show the lines that the children have written."""
        for name, line in self._read_lines(wait=wait):
            self.console.say(name, line)

    def _read_lines(self, *, wait: bool) -> list[tuple[str, str]]:
        """Who wrote what since the last call, without empty lines."""
        found = []
        for key, _ in self.selector.select(TICK_SECONDS if wait else 0):
            data = os.read(key.fd, 65536)
            *lines, rest = (self.unfinished.pop(key.fd, b"") + data).split(b"\n")
            if data:
                self.unfinished[key.fd] = rest
            else:
                self.selector.unregister(key.fileobj)
                key.fileobj.close()
                lines.append(rest)
            texts = (line.decode(errors="replace").rstrip() for line in lines)
            found += [(key.data, text) for text in texts if text]
        return found


def _end_group(process: subprocess.Popen, number: signal.Signals, *, seconds: float) -> None:
    process.send_signal(number)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
