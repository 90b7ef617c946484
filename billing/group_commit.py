"""Small requests that arrive together are booked together: one commit, one wait for the disk."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Waiting(Generic[Request, Answer]):
    """A request in the queue, and what came of it."""

    request: Request
    woken: Lock
    answer: Answer | None = None
    error: Exception | None = None
    is_done: bool = False


@dataclass
class GroupCommit(Generic[Request, Answer]):
    """A queue in front of a function that handles several requests at once.

    The first thread that finds no leader leads: it takes what waits, handles it, and hands the lead to the next
    that waits. So groups grow by themselves with the load, and a lone request waits for nobody. An error of a
    group is found out one by one, so that it strikes its own request alone; `is_common` says which strike all.
    """

    handle: Callable[[Sequence[Request]], Sequence[Answer]]
    is_common: Callable[[Exception], bool]
    group_size_max: int
    _queue: deque[_Waiting[Request, Answer]] = field(default_factory=deque)
    _lock: Lock = field(default_factory=Lock)
    _is_led: bool = False

    def submit(self, request: Request) -> Answer:
        """Handle `request` with those that wait beside it, and return its answer, or raise its error."""
        waiting: _Waiting[Request, Answer] = _Waiting(request, Lock())
        waiting.woken.acquire()
        with self._lock:
            self._queue.append(waiting)
            leads, self._is_led = not self._is_led, True
        if not leads:
            waiting.woken.acquire()  # until it is done, or until the lead is handed over
        if not waiting.is_done:
            self._lead()
        if waiting.error:
            raise waiting.error
        return waiting.answer  # type: ignore[return-value]

    def _lead(self) -> None:
        """Handle one group, this thread's own request first among it, and hand the lead over."""
        with self._lock:
            group = [self._queue.popleft() for _ in range(min(len(self._queue), self.group_size_max))]
        try:
            self._handle_group(group)
        except BaseException:  # the thread itself is being ended: nobody may take silence for an answer
            for waiting in group:
                if not waiting.is_done:
                    waiting.error, waiting.is_done = RuntimeError("the thread that handled this request ended"), True
            raise
        finally:
            with self._lock:
                if self._queue:
                    self._queue[0].woken.release()
                else:
                    self._is_led = False
            for waiting in group[1:]:
                waiting.woken.release()

    def _handle_group(self, group: Sequence[_Waiting[Request, Answer]]) -> None:
        try:
            answers = self.handle([waiting.request for waiting in group])
        except Exception as error:
            if len(group) > 1 and not self.is_common(error):
                for waiting in group:
                    self._handle_group([waiting])
                return
            for waiting in group:
                waiting.error, waiting.is_done = error, True
        else:
            for waiting, answer in zip(group, answers, strict=True):
                waiting.answer, waiting.is_done = answer, True
