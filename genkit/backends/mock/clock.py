"""The time limits of one call of a mock, and how long it may still wait."""

from __future__ import annotations

import time

from ...errors import Phase, Timeout
from ...types import Timeouts, Timing

__all__ = ["Clock"]


class Clock:
    """Measures one call.

    Args:
        timeouts: The limits.
        backend: Name for the errors.
        waits: Whether pauses are really waited for. If not, this clock is put forward instead.
    """

    __slots__ = ("_ahead", "_backend", "_began", "_first", "_started", "_timeouts", "_waits")

    def __init__(self, timeouts: Timeouts, *, backend: str, waits: bool) -> None:
        self._timeouts = timeouts
        self._backend = backend
        self._waits = waits
        self._started = time.time()
        self._began = time.monotonic()
        self._ahead = 0.0
        self._first: float | None = None

    def elapsed(self) -> float:
        """Return the seconds since the call began."""
        return time.monotonic() - self._began + self._ahead

    def event(self) -> None:
        """Note that an event came."""
        if self._first is None:
            self._first = self.elapsed()

    def timing(self) -> Timing:
        """Return when the call began and how long it took until now."""
        total = self.elapsed()
        return Timing(self._started, total if self._first is None else self._first, total)

    def pause(self, seconds: float) -> tuple[float, Timeout | None]:
        """Return how long to wait really, and the error to raise after it where a limit comes first."""
        left, phase = self._left()
        wait, late = (seconds, None) if seconds <= left else (max(left, 0.0), self._timeout(phase))
        if self._waits:
            return wait, late
        self._ahead += wait
        return 0.0, late

    def _left(self) -> tuple[float, Phase]:
        """Return the seconds until the next limit, and which it is."""
        limits, elapsed = self._timeouts, self.elapsed()
        left: tuple[float, Phase] = (float("inf"), "total")
        if limits.total is not None:
            left = (limits.total - elapsed, "total")
        if self._first is None and limits.first is not None:
            left = min(left, (limits.first - elapsed, "first"))
        if self._first is not None and limits.idle is not None:
            # The reader's own time is no silence of the far end: idle begins when it asks for the next event.
            left = min(left, (limits.idle, "idle"))
        return left

    def _timeout(self, phase: Phase) -> Timeout:
        what = {"first": "the answer did not begin", "idle": "the next event did not come"}.get(
            phase, "the answer was not whole"
        )
        limit = getattr(self._timeouts, phase)
        return Timeout(f"{what} within {limit:g} s (timeout.{phase})", phase=phase, backend=self._backend, sent=True)
