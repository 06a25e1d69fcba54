"""What is left to do when a stream is dropped without being closed.

A finaliser may run anywhere: in any thread, between any two lines, and so inside a lock that its own work would wait
for. It does nothing itself but hand that work to a thread, which is made for it and ends with it.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
from collections import deque
from collections.abc import Callable

__all__ = ["later"]

_LAST_WAIT_S = 2.0

_pending: deque[Callable[[], object]] = deque()
_busy = threading.Lock()


def later(work: Callable[[], object]) -> None:
    """Do `work` soon, in another thread. Never blocks and never raises, so that a finaliser may call it."""
    _pending.append(work)
    # Whoever holds the lock looks at the queue once more after letting it go, so nothing is left lying there.
    if _busy.acquire(blocking=False):
        try:
            # Not Thread.start, which waits for the thread to run.
            _thread.start_new_thread(_work, ())
        except RuntimeError:  # no thread can be had now: the next one dropped, or the end of the program, tries again
            _busy.release()


def _work() -> None:
    while True:
        try:
            _drain()
        finally:
            _busy.release()
        if not (_pending and _busy.acquire(blocking=False)):
            return


def _drain() -> None:
    while _pending:
        work = _pending.popleft()
        try:
            work()
        except BaseException:  # noqa: BLE001  # nobody is there to catch it; shown as any thread's failure is
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), None)))
        # What it holds must not live until the next one comes.
        del work


def _finish() -> None:
    """Do what is still to be done when the program ends."""
    if _busy.acquire(timeout=_LAST_WAIT_S):
        try:
            _drain()
        finally:
            _busy.release()


def _after_fork() -> None:
    global _busy  # noqa: PLW0603  # a thread of the parent may hold it, and does the parent's work
    _busy = threading.Lock()
    _pending.clear()


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
