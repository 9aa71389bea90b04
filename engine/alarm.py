"""An alarm for work that hangs, on the one thread that works: a hospital's micro-step is ended, the rest of the engine goes on.

The system's timer (`SIGALRM`) makes the interpreter raise `Overdue` in the middle of the work: in a sleep, a loop, a read that
blocks. It never does so anywhere else:

* outside the work, because the handler looks at the stack it has interrupted (no flag that could be stale),
* while something of the engine's or a library's is half changed: in a function marked `whole`, in a context manager's `__enter__`
  or `__exit__`. It tries again a moment later.

Work inside a native call that never returns to the interpreter cannot be ended by itself: then the process ends, by a watch that
needs no interpreter (`faulthandler`), with the stack in its log. A run that dies so is resumed like any other that was killed.
"""

from __future__ import annotations

import faulthandler
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import TypeVar

PATIENCE_S = 1.0
"""After its time is over, a step may still end by itself for so long: that is the usual way of being late."""
AGAIN_S = 0.1
"""Between two attempts, where the first found the work in something whole or a library swallowed it."""
NATIVE_S = 300.0
"""After the alarm, a native call may still return for so long before the process ends."""
LOG = 2
"""The descriptor of the engine's log."""

Item = TypeVar("Item")
Function = TypeVar("Function", bound=Callable[..., object])

_whole: set[CodeType] = set()


class Overdue(BaseException):
    """Raised inside work whose time is over. Not an `Exception`, which libraries catch."""


def whole(function: Function) -> Function:
    """Mark a function that changes what others use: no alarm ends it half-way."""
    _whole.add(function.__code__)
    return function


class Alarm:
    """Steps work with a limit of time."""

    def __init__(self) -> None:
        self._due = math.inf

    def step(self, work: Iterator[Item], seconds: float) -> Item:
        """`next(work)`. Raises Overdue when it takes much longer than `seconds` and signals can interrupt it; inf is no limit."""
        if seconds == math.inf or not _can_interrupt():
            return next(work)
        limit = max(seconds, 0.0) + PATIENCE_S
        if signal.getsignal(signal.SIGALRM) != self._ring:
            signal.signal(signal.SIGALRM, self._ring)  # it stays: a signal that comes late must not end the process
        try:
            self._due = time.monotonic() + limit
            faulthandler.dump_traceback_later(limit + NATIVE_S, exit=True, file=LOG)
            signal.setitimer(signal.ITIMER_REAL, limit, AGAIN_S)
            return next(work)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
            self._due = math.inf

    def _ring(self, signum: int, frame: FrameType | None) -> None:
        """Raise, if what was interrupted is the work itself: Python called from `step`, and nothing that must stay whole."""
        inside = False
        while frame is not None and frame.f_code is not _STEP:
            if frame.f_code in _whole or frame.f_code.co_name in ("__enter__", "__exit__"):
                return
            frame, inside = frame.f_back, True
        if inside and frame is not None and time.monotonic() >= self._due:
            raise Overdue


_STEP = Alarm.step.__code__


def _can_interrupt() -> bool:
    """Signals reach the main thread alone, and Windows has no such timer."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
