"""Sending through a client of `httpx` or `httpx2` that the user made: for company proxies, certificates and hooks.

Such a client keeps its own time. The limits are mapped as well as they can be, with these differences:

- A synchronous client checks the limits "first" and "total" with every chunk, so comments that drip in do not extend
  them; but a server that falls silent in the middle of a stream is noticed after the longer of "first" and "idle".
- Connecting is limited per step (TCP, then TLS), not as a whole.
- A request on a dead kept connection is not repeated by the transport; it fails as `ConnectionFailed`, which is retried
  like any other.
- A body that an event hook has read is taken as the library decoded it, which overlooks a gzip that ends too early.

An asynchronous client is held to the same limits as the engine of our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from ..errors import BadResponse, ConfigError, GenkitError
from . import failures
from .body import Abort, AsyncByteStream, Body, ByteStream
from .deadline import Deadline
from .messages import HttpRequest, HttpResponse, Target, lower_headers, refuse_redirect, target_of, wire_headers

if TYPE_CHECKING:
    from ..types import Timeouts

__all__ = ["AsyncForeignEngine", "ForeignEngine"]


class ForeignEngine:
    """Sends requests through a `Client`."""

    def __init__(self, client: Any, *, max_bytes: int) -> None:
        self._client = client
        self._library = _library(client)
        self._max_bytes = max_bytes

    def send(self, request: HttpRequest, limits: Timeouts) -> HttpResponse:
        """Return the whole answer to `request`."""
        with self.open(request, limits) as stream:
            return HttpResponse(stream.status, stream.headers, stream.read())

    def open(self, request: HttpRequest, limits: Timeouts, *, abort: Abort | None = None) -> ByteStream:  # noqa: ARG002
        """Return the answer to `request` as soon as its head is there; until then a foreign client cannot be ended."""
        exchange = _Exchange(self._library, target_of(request.url), limits)
        wire = exchange.build(self._client, request)
        try:
            response = self._client.send(wire, stream=True, follow_redirects=False)
        except exchange.failures as error:
            raise exchange.failed(error) from error
        try:
            headers = lower_headers(response.headers.multi_items())
            exchange.check(response.status_code, headers)
            wire.extensions["timeout"]["read"] = exchange.longest_read()
            return _Stream(response, headers, exchange=exchange, max_bytes=self._max_bytes)
        except BaseException:
            response.close()
            raise

    def close(self) -> None:
        """Leave the client alone: it is the caller's."""

    def forget(self) -> None:
        """Leave the client alone: it is the caller's."""


class AsyncForeignEngine:
    """Sends requests through an `AsyncClient`."""

    def __init__(self, client: Any, *, max_bytes: int) -> None:
        self._client = client
        self._library = _library(client)
        self._max_bytes = max_bytes

    async def send(self, request: HttpRequest, limits: Timeouts) -> HttpResponse:
        """Return the whole answer to `request`."""
        async with await self.open(request, limits) as stream:
            return HttpResponse(stream.status, stream.headers, await stream.read())

    async def open(self, request: HttpRequest, limits: Timeouts) -> AsyncByteStream:
        """Return the answer to `request` as soon as its head is there."""
        exchange = _Exchange(self._library, target_of(request.url), limits)
        wire = exchange.build(self._client, request)
        try:
            async with asyncio.timeout(exchange.deadline.left()):
                response = await self._client.send(wire, stream=True, follow_redirects=False)
        except exchange.failures as error:
            raise exchange.failed(error) from error
        try:
            headers = lower_headers(response.headers.multi_items())
            exchange.check(response.status_code, headers)
            wire.extensions["timeout"]["read"] = None
            return _AsyncStream(response, headers, exchange=exchange, max_bytes=self._max_bytes)
        except BaseException:
            await response.aclose()
            raise

    async def aclose(self) -> None:
        """Leave the client alone: it is the caller's."""

    def forget(self) -> None:
        """Leave the client alone: it is the caller's."""


class _Exchange:
    """One request through a foreign client: its limits, and its failures in our words."""

    def __init__(self, library: Any, target: Target, limits: Timeouts) -> None:
        self.target = target
        self.deadline = Deadline(limits, target.where)
        self.answered = False
        self.failures: tuple[type[Exception], ...] = (
            *(library.HTTPError, library.StreamError, library.InvalidURL),
            *(TimeoutError, RuntimeError),
        )
        self._library = library
        self._limits = limits

    def build(self, client: Any, request: HttpRequest) -> Any:
        """Return the client's own request object, and start the clock."""
        limits, target = self._limits, self.target
        self.deadline.sending()
        left = self.deadline.left()
        wire = client.build_request(
            request.method,
            request.url,
            headers=wire_headers(request, target),
            content=request.content or None,
            timeout=self._library.Timeout(connect=limits.connect, read=left, write=left, pool=left),
        )
        if wire.url.raw_path != target.path.encode("ascii"):
            # The library has re-encoded the path, which breaks signatures.
            wire.extensions["target"] = target.path.encode("ascii")
        return wire

    def check(self, status: int, headers: Mapping[str, str]) -> None:
        """Raise for the head of an answer that is none."""
        refuse_redirect(status, headers, self.target)
        failures.refuse_two_lengths(headers, self.target.where)

    def longest_read(self) -> float | None:
        """Return the limit of one read of the body; the library does not let it change on the way."""
        first, idle = self._limits.first, self._limits.idle
        longest = None if first is None or idle is None else max(first, idle)
        left, total = self.deadline.left(), self._limits.total
        if total is None or left is None:
            return longest
        return total if longest is None else min(longest, total)

    def failed(self, error: Exception) -> GenkitError:
        """Return our error for one of the library's."""
        library, where = self._library, self.target.where
        if isinstance(error, GenkitError):
            return error
        match error:
            case library.ConnectTimeout():
                self.deadline.sent = False
                self.deadline.connecting()
                return self.deadline.error()
            case TimeoutError() | library.TimeoutException():
                return self.deadline.error()
            case library.ProxyError():
                return failures.proxy_refused("of http_client=", where, str(error))
            case library.ConnectError():
                if (reason := _tls_error(error)) is not None:
                    untrusted = isinstance(reason, ssl.SSLCertVerificationError)
                    source = " (certificates are those of http_client=)"
                    return failures.tls_failed(where, reason, untrusted=untrusted, source=source)
                return failures.not_connected(where, error)
            case library.DecodingError():
                return BadResponse(f"the body of {where} does not decode: {error}", sent=True)
            case library.InvalidURL() | library.UnsupportedProtocol() | library.LocalProtocolError():
                return ConfigError(f"http_client= refuses the request to {where}: {error}")
            case library.StreamError():
                return failures.stream_closed(where)
            case library.RemoteProtocolError() if not _ended(error):
                return failures.malformed(where, error)
            case library.HTTPError():
                return failures.cut(where, error) if self.answered else failures.unanswered(where, error, sent=True)
        return ConfigError(f"http_client= cannot send to {where}: {error}")


class _Stream(ByteStream):
    """A body read through a `Client`."""

    def __init__(self, response: Any, headers: Mapping[str, str], *, exchange: _Exchange, max_bytes: int) -> None:
        read = response.is_stream_consumed
        body = Body({} if read else headers, max_bytes=max_bytes, where=exchange.target.where)
        super().__init__(response.status_code, headers, deadline=exchange.deadline, body=body)
        exchange.answered = True
        self._exchange = exchange
        self._response = response
        self._chunks: Iterator[bytes] = response.iter_bytes() if read else response.iter_raw()

    @override
    def _read(self) -> bytes | None:
        try:
            return next(self._chunks, None)
        except self._exchange.failures as error:
            raise self._exchange.failed(error) from error

    @override
    def _interrupt(self) -> None:
        stream = self._response.extensions.get("network_stream")
        sock = stream.get_extra_info("socket") if stream is not None else None
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    @override
    def _release(self, *, reuse: bool) -> None:
        self._response.close()


class _AsyncStream(AsyncByteStream):
    """A body read through an `AsyncClient`."""

    def __init__(self, response: Any, headers: Mapping[str, str], *, exchange: _Exchange, max_bytes: int) -> None:
        read = response.is_stream_consumed
        body = Body({} if read else headers, max_bytes=max_bytes, where=exchange.target.where)
        super().__init__(response.status_code, headers, deadline=exchange.deadline, body=body)
        exchange.answered = True
        self._exchange = exchange
        self._response = response
        self._chunks: AsyncIterator[bytes] = response.aiter_bytes() if read else response.aiter_raw()
        self._reader: asyncio.Task[Any] | None = None
        self._letting_go: asyncio.Task[None] | None = None

    @override
    async def aclose(self) -> None:
        self.close()
        if self._letting_go is not None:
            await self._letting_go

    @override
    async def _read(self) -> bytes | None:
        self._reader = asyncio.current_task()
        try:
            async with asyncio.timeout(self._deadline.left()):
                return await anext(self._chunks, None)
        except self._exchange.failures as error:
            raise self._exchange.failed(error) from error
        except asyncio.CancelledError:
            if self._ended is not None and self._reader is not None:
                # The cancellation is our own, made by `close` to wake this reader.
                self._reader.uncancel()
            raise
        finally:
            self._reader = None

    @override
    def _release(self, *, reuse: bool) -> None:
        if self._reader is not None:
            self._reader.cancel()
        self._letting_go = asyncio.ensure_future(self._response.aclose())


def _library(client: Any) -> Any:
    """Return the module httpx or httpx2 that the client's class, or its base, belongs to."""
    names = (kind.__module__.partition(".")[0] for kind in type(client).__mro__)
    return sys.modules[next(name for name in names if name in ("httpx", "httpx2"))]


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def _ended(error: Exception) -> bool:
    """Return whether the far end closed the connection; the library tells it from garbage in its message alone."""
    return any(sign in str(error) for sign in ("peer closed connection", "Server disconnected"))
