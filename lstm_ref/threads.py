"""How many threads the kernels share their work among, and how a call shares it.

The number changes how long a call takes and nothing else: results are the same to the last bit,
because each number in them is computed by one thread, in one order, wherever the cuts are. Nothing
is started before a call has enough to do for two.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

VARIABLE = "LSTM_REF_THREADS"

LEAST_WORK = 20e6
"""Additions and multiplications that a thread is woken for: about 0.1 ms of them. Waking one and
hearing back from it takes about 0.05 ms."""


class _Team:
    """The number that was set, and the threads that help; one instance, private to this module."""

    def __init__(self) -> None:
        self.threads: int | None = None
        self.forget_helpers()

    def forget_helpers(self) -> None:
        """Begin without threads: those of a parent process do not exist in its child."""
        self.helpers: ThreadPoolExecutor | None = None
        self.size = 0
        self.lock = threading.Lock()

    def at_least(self, count: int) -> "ThreadPoolExecutor":
        """So many helpers, started when they are first called upon."""
        from concurrent.futures import ThreadPoolExecutor

        with self.lock:
            if self.helpers is None or self.size < count:
                if self.helpers is not None:
                    self.helpers.shutdown(wait=False)  # they finish what they have begun
                self.helpers, self.size = ThreadPoolExecutor(count, "lstm_ref"), count
            return self.helpers


_team = _Team()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_team.forget_helpers)


def set_threads(count: int | None) -> None:
    """Let a call use so many threads, the caller's own among them; None for the usual number.

    Results do not depend on it, to the last bit. With 1, nothing but the caller's thread is used.

    Raises:
        ValueError: not a positive whole number.
    """
    _team.threads = None if count is None else checked(count, "set_threads", repr(count))


def threads() -> int:
    """How many threads a call may use, the caller's own among them.

    That which was set; else that of the environment variable ``LSTM_REF_THREADS``; else as many as
    the process has processors. A call uses fewer, or one, when there is not enough to do for each.

    Raises:
        ValueError: the environment variable is not a positive whole number.
    """
    if _team.threads is not None:
        return _team.threads
    text = os.environ.get(VARIABLE, "")
    if not text:
        return processors()
    return checked(int(text) if text.isdecimal() else None, VARIABLE, repr(text))


def checked(count: Any, name: str, what_came: str) -> int:
    """The number of threads, when it is one."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise ValueError(f"{name} got {what_came}: a whole number of threads from 1 on is needed")
    return int(count)


@cache
def processors() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shares(rows: int, unit: int, work: float) -> list[tuple[int, int]]:
    """Cut rows into blocks, (first, one after the last), for as many threads as are worth it.

    Args:
        rows: how many there are.
        unit: blocks begin at multiples of it.
        work: additions and multiplications for all of them.
    """
    units = -(-rows // unit)
    count = min(units, int(work / LEAST_WORK))
    if count > 1:
        count = min(count, threads())
    if count < 2:
        return [(0, rows)]
    cuts = [min(units * n // count * unit, rows) for n in range(count + 1)]
    return list(pairwise(cuts))


def run(pieces: Sequence[Callable[[], None]]) -> None:
    """Call all of these, at once as far as threads are free; returns when all are done.

    The caller does its part, and that of helpers which are busy elsewhere, so that nobody waits for
    a piece that no one has begun.
    """
    if len(pieces) == 1:
        return pieces[0]()
    left = deque(pieces)

    def take_turns() -> None:
        while True:
            try:
                piece = left.popleft()
            except IndexError:
                return
            piece()

    helping = _call_helpers(take_turns, len(pieces) - 1)
    try:
        take_turns()
    finally:
        begun = [helper for helper in helping if not helper.cancel()]
    for helper in begun:
        helper.result()
    return None


def _call_helpers(task: Callable[[], None], count: int) -> "list[Future[None]]":
    """Hand the task to so many helpers; to fewer where no more can be started."""
    helping: list[Future[None]] = []
    try:
        helpers = _team.at_least(count)
        for _ in range(count):
            helping.append(helpers.submit(task))  # noqa: PERF401  (those before an error count)
    except RuntimeError:  # the interpreter is shutting down, or the system gives no more threads
        pass
    return helping
