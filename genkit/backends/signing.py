"""Signing a request within its time limits, and once more where the far end refused the credential.

A credential may have to be fetched, by a function or a service that takes its time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import AuthenticationFailed, GenkitError, Phase, StreamClosed, Timeout
from ..transport import HttpRequest
from ..transport.waiting import Abandoned, TooLate, within
from ..types import Timeouts
from .waiting import rest

if TYPE_CHECKING:
    from .translation import WireRequest
    from .wire import WireBackend

__all__ = ["Tries", "asign_in_time", "sign_in_time"]


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


class Tries:
    """One call's tries: a second one where the credential of the first is refused, and another can be had.

    Attributes:
        wire: What is to be sent, with the time limits that are left.
    """

    def __init__(self, backend: WireBackend, wire: WireRequest) -> None:
        self.wire = wire
        self._backend = backend
        self._asked = wire
        self._began = time.monotonic()
        self._refused: tuple[HttpRequest, GenkitError] | None = None

    def signed(self, http: HttpRequest) -> None:
        """Say how the request was signed; raise the refusal where that is as it was."""
        if self._refused is None:
            return
        before, error = self._refused
        if _who(http) == _who(before):
            raise error

    def failed(self, status: int, headers: Mapping[str, str], body: bytes, http: HttpRequest) -> None:
        """Raise what an error's answer means, unless the request is to be signed and sent once more."""
        error = self._backend.refusal(status, headers, body, http)
        # What may be tried again as it is, is no matter of the credential.
        final = self._refused is not None or error.retryable or not isinstance(error, AuthenticationFailed)
        if final or not self._backend.renews(http, error):
            raise error
        self._refused = replace(http, content=b""), error
        self.wire = replace(self._asked, timeouts=rest(self._asked.timeouts, self._began))


def _who(http: HttpRequest) -> tuple[str | None, ...]:
    """Return what says who asks; a signature differs from second to second, the key that made it does not."""
    said = http.headers.get("authorization", "")
    return said.partition("/")[0] if said.startswith("AWS4-") else said, http.headers.get("x-amz-security-token")


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
        try:
            return rest(self._limits, self._began)
        except Timeout:
            raise self.error() from None

    def error(self) -> Timeout:
        """Return the error for a credential that took too long."""
        return Timeout(
            f"no credential within {self.limit:g} s: the function or service that gives the key or token is slow; "
            f"raise timeout= ({self._phase!r}), or fetch the credential beforehand",
            phase=self._phase,
            backend=self._backend,
        )
