"""Streams of events off the wire: from bytes to events, and what a cut, left or broken stream means."""

from __future__ import annotations

import asyncio
import codecs
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import GenkitError, StreamClosed, StreamInterrupted, Transient
from ..events import fold, replay
from ..transport import Abort, AsyncByteStream, ByteStream, HttpRequest
from ..types import CallWarning, Done, Event, Request, Response, Timing
from .body import body_bytes, misshapen
from .signing import Tries, asign_in_time, sign_in_time
from .translation import Decoder, Exchange, WireRequest

if TYPE_CHECKING:
    from .wire import WireBackend

__all__ = ["AsyncWireStream", "WireStream"]

JSON = dict[str, Any]

# What may stand before JSON: white space, and the byte order mark.
_BLANK = b" \t\r\n" + codecs.BOM_UTF8


class _Reading:
    """What the sync and the async stream share: from bytes to events, and what an end means.

    Args:
        backend: Whose stream it is.
        asked: What is sent; or a request whose media are to be fetched first, when the stream is read.
    """

    _wire: WireRequest
    _decoder: Decoder

    def __init__(self, backend: WireBackend, asked: WireRequest | Request) -> None:
        self._backend = backend
        self._unfetched = asked if isinstance(asked, Request) else None
        if not isinstance(asked, Request):
            self._begin(asked)
        self._parser = backend.parser()
        self._ready: deque[Event] = deque()
        self._over = False
        self._sniffed = False
        self._failure: GenkitError | None = None
        self._broke: GenkitError | None = None
        self._started = time.time()
        self._clock = time.perf_counter()
        self._first: float | None = None
        self._headers: Mapping[str, str] = {}
        self._request: HttpRequest | None = None

    def _begin(self, wire: WireRequest) -> None:
        self._wire = wire
        self._decoder = self._backend.decoder(wire)
        self._unfetched = None

    def partial(self) -> Response[Any]:
        """Return what has arrived so far."""
        if self._unfetched is not None:
            return fold(())
        total = time.perf_counter() - self._clock
        return self._decoder.response(Exchange(self._headers, Timing(self._started, self._first, total)))

    def _feed(self, chunk: bytes) -> bool:
        """Decode a chunk into `_ready`; return whether there was a frame in it."""
        frames = self._parser.feed(chunk)
        decoder, ready = self._decoder, self._ready
        frame: Any = None
        try:
            for frame in frames:
                ready.extend(decoder.feed(frame))
                if decoder.finished:
                    break
        except GenkitError as error:
            self._failure = error
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            self._failure = misshapen(error, getattr(frame, "data", b""), self._request)
            self._failure.__cause__ = error
        if self._failure is None and not decoder.finished:
            self._failure = getattr(self._parser, "failure", None)
        if ready and self._first is None:
            self._first = time.perf_counter() - self._clock
        # What came before a broken frame is handed out first; the next read raises.
        if self._failure is not None and not ready:
            raise self._failure
        return bool(frames)

    def _next(self) -> Event:
        """Return the event that was read for, unless somebody closed the stream meanwhile."""
        try:
            return self._ready.popleft()
        except IndexError:
            raise self._was_closed() from None

    def _was_closed(self) -> StreamClosed:
        return StreamClosed("the stream was closed while it was being read", backend=self._backend.name, sent=True)

    def _check(self) -> None:
        """Raise the failure that waited for the events before it to be read."""
        if self._failure is not None:
            raise self._failure

    def _finish(self) -> None:
        """Queue what ends the stream, or raise when it ended without its terminator."""
        rest = getattr(self._parser, "rest", None)
        if rest is not None and not self._decoder.complete:
            self._feed(rest())
        if not self._decoder.complete:
            where = "" if self._first is None else "; what arrived is in .response"
            raise StreamInterrupted(f"the stream ended without its terminator{where}", sent=True)
        self._ready.extend(self._decoder.end())
        response = self.partial()
        if self._broke is not None:
            why = f"the answer was whole when its stream broke off: {self._broke.message}"
            note = CallWarning(kind="note", subject="stream", message=why)
            response = response.model_copy(update={"warnings": (*response.warnings, note)})
        self._ready.append(Done(response))
        self._over = True

    def _outlive(self, error: GenkitError) -> None:
        """Pass over what broke the stream of an answer that is whole; raise anything else."""
        if self._over or not isinstance(error, Transient) or not getattr(self._decoder, "settled", False):
            raise error
        self._broke = error

    def _whole(self, content: bytes) -> None:
        """Turn a plain JSON answer, where a stream was asked for, into the same events."""
        data = self._backend.parsed(content, self._headers, self._request)
        total = time.perf_counter() - self._clock
        exchange = Exchange(self._headers, Timing(self._started, total, total), self._request)
        response = self._backend.decoded(self._wire, data, exchange)
        self._ready.extend(replay(response))
        self._over = True

    def _failed(self, error: GenkitError) -> GenkitError:
        """Give an error its facts: backend, and the part of the answer that arrived."""
        self._over = True
        self._backend.name_error(error, self._request)
        error.request_id = error.request_id or self._backend.request_id(self._headers)
        if self._first is None:
            return error
        partial = self.partial().model_copy(update={"complete": False})
        if isinstance(error, Transient) and isinstance(error, ConnectionError):
            cut = StreamInterrupted(
                f"the stream broke off: {error.message}; what arrived is in .response",
                backend=error.backend,
                request_id=partial.request_id,
                sent=True,
                response=partial,
            )
            cut.__cause__ = error
            return cut
        error.response = error.response or partial
        return error

    def _is_whole(self, chunk: bytes) -> bool:
        """Tell by the first byte whether an answer is JSON or a page in place of a stream; content types lie."""
        if self._sniffed:
            return False
        start = chunk.lstrip(_BLANK)[:1]
        self._sniffed = bool(start)
        return self._sniffed and start in b"{[<"


class WireStream(_Reading):
    """A stream of events off the wire. `close()` may be called from another thread; the reader then ends at once."""

    _bytes: ByteStream | None = None

    def __init__(self, backend: WireBackend, asked: WireRequest | Request) -> None:
        super().__init__(backend, asked)
        self._abort = Abort()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            return self._ready.popleft()
        except IndexError:  # also when another thread closed the stream just now
            pass
        if self._over:
            self.close()
            raise StopIteration
        try:
            self._pull()
        except GenkitError as error:
            failed = self._failed(error)
            self.close()
            raise failed from failed.__cause__ or error.__cause__
        return self._next()

    def _pull(self) -> None:
        """Read until there is an event."""
        self._check()
        source = self._bytes or self._open()
        while not self._ready:
            if self._over:
                return
            try:
                chunk = next(source, None)
            except GenkitError as error:
                self._outlive(error)
                chunk = None
            if chunk is None:
                self._finish()
            elif self._is_whole(chunk):
                self._whole(chunk.lstrip(_BLANK) + source.read())
            else:
                if self._feed(chunk):
                    source.event(getattr(self._decoder, "grace_s", None))
                if self._decoder.finished:
                    source.finish()
                    self._finish()

    def _open(self) -> ByteStream:
        if self._unfetched is not None:
            request = self._backend.fetched(self._unfetched, abort=self._abort)
            self._begin(self._backend.encode(request, stream=True))
        tries, content = Tries(self._backend, self._wire), body_bytes(self._wire.body)
        while True:
            http, limits = sign_in_time(self._backend, tries.wire, content, ended=lambda: self._over)
            tries.signed(http)
            # Without its body, which may be large, for as long as the stream lasts.
            self._request = replace(http, content=b"")
            source = self._bytes = self._backend.transport.open(http, limits, abort=self._abort)
            self._headers = source.headers
            if source.status < 400:
                return source
            tries.failed(source.status, source.headers, source.read(), http)
            self._bytes = None

    def close(self) -> None:
        """End the stream and its connection; twice is fine."""
        self._over = True
        self._ready.clear()
        if self._bytes is None:
            self._abort.close()
        if self._bytes is not None:
            self._bytes.close()


class AsyncWireStream(_Reading):
    """Async twin of `WireStream`. `aclose()` may be called from another task; the reader then ends at once."""

    _bytes: AsyncByteStream | None = None
    _opener: asyncio.Task[Any] | None = None
    _aborted = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        try:
            return self._ready.popleft()
        except IndexError:  # also when another thread closed the stream just now
            pass
        if self._over:
            await self.aclose()
            raise StopAsyncIteration
        try:
            await self._pull()
        except GenkitError as error:
            failed = self._failed(error)
            await self.aclose()
            raise failed from failed.__cause__ or error.__cause__
        except asyncio.CancelledError:
            await self.aclose()
            raise
        return self._next()

    async def _pull(self) -> None:
        """Read until there is an event."""
        self._check()
        source = self._bytes or await self._open()
        while not self._ready:
            if self._over:
                return
            try:
                chunk = await source.__anext__()
            except StopAsyncIteration:
                self._finish()
                return
            except GenkitError as error:
                self._outlive(error)
                self._finish()
                return
            if self._is_whole(chunk):
                self._whole(chunk.lstrip(_BLANK) + await source.read())
                return
            if self._feed(chunk):
                source.event(getattr(self._decoder, "grace_s", None))
            if self._decoder.finished:
                await source.afinish()
                self._finish()

    async def _open(self) -> AsyncByteStream:
        self._opener = asyncio.current_task()
        try:
            if self._unfetched is not None:
                request = await self._backend.afetched(self._unfetched)
                self._begin(self._backend.encode(request, stream=True))
            tries, content = Tries(self._backend, self._wire), body_bytes(self._wire.body)
            while True:
                http, limits = await asign_in_time(self._backend, tries.wire, content)
                tries.signed(http)
                self._request = replace(http, content=b"")
                source = self._bytes = await self._backend.transport.aopen(http, limits)
                self._headers = source.headers
                if source.status < 400 or self._over:
                    break
                tries.failed(source.status, source.headers, await source.read(), http)
                self._bytes = None
        except asyncio.CancelledError:
            if not self._aborted or self._opener is None:
                raise
            self._opener.uncancel()
            raise self._was_closed() from None
        finally:
            self._opener = None
        if self._over:
            await source.aclose()
            raise self._was_closed()
        return source

    async def aclose(self) -> None:
        """End the stream and its connection; twice is fine."""
        self._over = True
        self._ready.clear()
        if self._opener is not None and self._opener is not asyncio.current_task():
            self._aborted = True
            self._opener.cancel()
        if self._bytes is not None:
            await self._bytes.aclose()
