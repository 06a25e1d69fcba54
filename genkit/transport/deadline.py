"""The clock of one call: which time limit is running and when it ends. Pure arithmetic; engines do the waiting."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from ..errors import Phase, Timeout

if TYPE_CHECKING:
    from ..types import Timeouts

__all__ = ["Deadline"]

_NO_TLS = (
    "connected, but no TLS within {limit:g} s: check https against http, and the port, or raise the timeout 'connect'"
)

_ADVICE: dict[Phase, str] = {
    "connect": "no connection within {limit:g} s: check address, network and proxy, or raise the timeout 'connect'",
    "first": "no answer within {limit:g} s of sending: the timeout 'first' can be raised for slow models",
    "idle": "no event for {limit:g} s: the timeout 'idle' can be raised for slow models",
    # No number: policies above may have taken waiting and earlier tries off the limit that the caller set.
    "total": "the call was not done within its total time limit: timeout= can be raised",
}


class Deadline:
    """The time limit in force for one call.

    A call goes through the phases connect, first and idle; the total limit runs beside them. Time that a slow
    consumer spends between two reads does not count as idle: the idle clock starts when the next read begins.

    Attributes:
        at: When the limit in force ends, on the clock of `time.monotonic`; infinite when there is none.
        phase: The limit in force.
        sent: Whether the request may have left.
    """

    __slots__ = ("_limits", "_securing", "_total_at", "_waits", "_where", "at", "phase", "sent")

    def __init__(self, limits: Timeouts, where: str) -> None:
        self._limits = limits
        self._where = where
        total = limits.total
        self._total_at = math.inf if total is None else time.monotonic() + total
        self._waits = False
        self.sent = False
        self.at = math.inf
        self.phase: Phase = "connect"
        self.connecting()

    def connecting(self) -> None:
        """Start the connect limit."""
        self._securing = False
        self._enter("connect", self._limits.connect)

    def securing(self) -> None:
        """Say that TCP stands; the connect limit goes on while TLS is agreed on."""
        self._securing = True

    def sending(self) -> None:
        """Start the limit for the first event: the request leaves now."""
        self.sent = True
        self._enter("first", self._limits.first)

    def event(self) -> None:
        """Say that an event was decoded; the idle clock starts with the next read."""
        self._waits = True

    def cap(self, seconds: float) -> None:
        """End the limit in force within `seconds`, whatever it was."""
        if self._waits:
            self._waits = False
            self._enter("idle", self._limits.idle)
        self.at = min(self.at, time.monotonic() + seconds)

    def left(self) -> float | None:
        """Return the seconds left for the read or write that begins now; None when unlimited.

        Raises:
            Timeout: If none are left.
        """
        if self._waits:
            self._waits = False
            self._enter("idle", self._limits.idle)
        if self.at == math.inf:
            return None
        left = self.at - time.monotonic()
        if left <= 0:
            raise self.error()
        return left

    def remains(self) -> float | None:
        """Return the seconds left of the limit in force, 0 when it has ended; None when unlimited."""
        return None if self.at == math.inf else max(0.0, self.at - time.monotonic())

    def over(self) -> bool:
        """Return whether the limit in force has ended."""
        return time.monotonic() >= self.at

    def error(self) -> Timeout:
        """Return the error for the limit in force."""
        limit = getattr(self._limits, self.phase) or 0.0
        advice = _NO_TLS if self._securing and self.phase == "connect" else _ADVICE[self.phase]
        return Timeout(f"{self._where}: {advice.format(limit=limit)}", phase=self.phase, sent=self.sent)

    def _enter(self, phase: Phase, limit: float | None) -> None:
        at = math.inf if limit is None else time.monotonic() + limit
        if self._total_at <= at:
            self.at, self.phase = self._total_at, "total" if self._total_at < math.inf else phase
        else:
            self.at, self.phase = at, phase
