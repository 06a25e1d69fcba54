"""A time limit on a stretch of a task, as `asyncio.timeout` is, at a third of its cost."""

from __future__ import annotations

import asyncio

__all__ = ["Timer"]


class Timer:
    """Cancels the running task when the time is over.

    Attributes:
        rang: Whether it has cancelled the task.
    """

    __slots__ = ("_cancelling", "_handle", "_task", "rang")

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._handle: asyncio.TimerHandle | None = None
        self.rang = False

    def start(self, seconds: float | None) -> None:
        """Ring after `seconds`, and not when it was to ring before; None is never."""
        self.stop()
        if seconds is not None and not self.rang:
            self._handle = asyncio.get_running_loop().call_later(seconds, self._ring)

    def stop(self) -> None:
        """Do not ring any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def end(self) -> bool:
        """Stop, take the cancellation back, and return whether there was one and nobody else asked for it too."""
        self.stop()
        if not self.rang:
            return False
        self.rang = False
        return self._task.uncancel() <= self._cancelling

    def _ring(self) -> None:
        self._handle = None
        self.rang = True
        self._task.cancel()
