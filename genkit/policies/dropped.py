"""What is left to do when a stream is dropped without being closed.

A finaliser may run anywhere: in any thread, between any two lines, and so inside a lock that its own work would wait
for. It does nothing itself but hand that work to a thread, which is made for it and ends with it. There may be a few of
them, so that a piece of work that blocks does not keep the others waiting.
"""

from __future__ import annotations

import _thread
import atexit
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

__all__ = ["later"]

_LAST_WAIT_S = 2.0
_THREADS = 8

_pending: deque[Callable[[], object]] = deque()
# One for each thread; not a semaphore, which takes a lock of its own that a finaliser may stand in.
_busy = [threading.Lock() for _ in range(_THREADS)]


def later(work: Callable[[], object]) -> None:
    """Do `work` soon, in another thread. Never blocks and never raises, so that a finaliser may call it."""
    _pending.append(work)
    # Whoever holds a lock looks at the queue once more after letting it go, so nothing is left lying there.
    for lock in _busy:
        if lock.acquire(blocking=False):
            try:
                # Not Thread.start, which waits for the thread to run.
                _thread.start_new_thread(_work, (lock,))
            except RuntimeError:  # no thread can be had now: the next one dropped, or the program's end, tries again
                lock.release()
            return


def _work(lock: threading.Lock) -> None:
    while True:
        try:
            _drain()
        finally:
            lock.release()
        if not (_pending and lock.acquire(blocking=False)):
            return


def _drain() -> None:
    while True:
        try:
            work = _pending.popleft()
        except IndexError:  # another thread was faster
            return
        try:
            work()
        except BaseException:  # noqa: BLE001  # nobody is there to catch it; shown as any thread's failure is
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), None)))
        # What it holds must not live until the next one comes.
        del work


def _finish() -> None:
    """Do what is still to be done when the program ends, and wait a moment for what others do."""
    _drain()
    until = time.monotonic() + _LAST_WAIT_S
    for lock in _busy:
        if lock.acquire(timeout=max(0.0, until - time.monotonic())):
            lock.release()


def _after_fork() -> None:
    # Threads of the parent may hold them, and do the parent's work.
    _busy[:] = [threading.Lock() for _ in range(_THREADS)]
    _pending.clear()


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
