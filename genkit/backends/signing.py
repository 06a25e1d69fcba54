"""Signing a request within its time limits: a credential may have to be fetched, by a function that takes its time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import GenkitError, Phase, StreamClosed, Timeout
from ..transport import HttpRequest
from ..transport.waiting import Abandoned, TooLate, within
from ..types import Timeouts

if TYPE_CHECKING:
    from .translation import WireRequest
    from .wire import WireBackend

__all__ = ["asign_in_time", "sign_in_time"]


def _never() -> bool:
    return False


def sign_in_time(
    backend: WireBackend, wire: WireRequest, content: bytes, *, ended: Callable[[], bool] = _never
) -> tuple[HttpRequest, Timeouts]:
    """Return the signed request, and its time limits without the time that this took.

    Args:
        backend: Whose `sign` is called; in a thread where it may wait, since nothing can interrupt it.
        wire: The request.
        content: Its body.
        ended: Whether another thread has ended the call.

    Raises:
        Timeout: If the limit "first" or "total" ends; "first" begins again when the request is sent.
        StreamClosed: If the call was ended.
    """
    if not backend.may_wait():
        return backend.sign(wire, content), wire.timeouts
    clock = _Clock(wire.timeouts, backend.name)
    if clock.limit is None:
        return backend.sign(wire, content), wire.timeouts
    try:
        http = within(clock.limit, lambda: backend.sign(wire, content), ended=ended, name="genkit-credential")
    except TooLate:
        raise clock.error() from None
    except Abandoned:
        raise StreamClosed("the stream was closed while it was being opened", backend=backend.name) from None
    return http, clock.left()


async def asign_in_time(backend: WireBackend, wire: WireRequest, content: bytes) -> tuple[HttpRequest, Timeouts]:
    """Async twin of `sign_in_time`."""
    if not backend.may_wait():
        return await backend.asign(wire, content), wire.timeouts
    clock = _Clock(wire.timeouts, backend.name)
    timer = asyncio.timeout(clock.limit)
    try:
        async with timer:
            http = await backend.asign(wire, content)
    except TimeoutError as error:
        if isinstance(error, GenkitError) or not timer.expired():
            raise
        raise clock.error() from None
    return http, clock.left()


class _Clock:
    """The time that a credential may take, and what it leaves for the rest of the call.

    Attributes:
        limit: In seconds, None for no limit.
    """

    def __init__(self, limits: Timeouts, backend: str) -> None:
        self._limits = limits
        self._backend = backend
        self._began = time.monotonic()
        first, total = limits.first, limits.total
        self._phase: Phase = "total" if total is not None and (first is None or total <= first) else "first"
        self.limit = total if self._phase == "total" else first

    def left(self) -> Timeouts:
        """Return the limits for what comes next.

        Raises:
            Timeout: If there is no time left.
        """
        total = self._limits.total
        if total is None:
            return self._limits
        left = total - (time.monotonic() - self._began)
        if left <= 0:
            raise self.error()
        return self._limits.model_copy(update={"total": left})

    def error(self) -> Timeout:
        """Return the error for a credential that took too long."""
        return Timeout(
            f"no credential within {self.limit:g} s: the function or service that gives the key or token is slow; "
            f"raise timeout= ({self._phase!r}), or fetch the credential beforehand",
            phase=self._phase,
            backend=self._backend,
        )
