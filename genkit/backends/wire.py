"""Backends that speak HTTP: translate purely, send thinly.

A subclass writes pure functions (`encode`, `decode`, a `Decoder`, `failure`) and `sign`, which adds address and
credential. Here is the rest, once for all of them: sending, reading streams, errors, and what a cut or left stream
means.
"""

from __future__ import annotations

import abc
import asyncio
import codecs
import functools
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

from typing_extensions import override

from ..errors import (
    GenkitError,
    StreamClosed,
    StreamInterrupted,
    Transient,
)
from ..events import dump_json, fold, replay
from ..media import Fetcher, by_url, held_places, show_places
from ..transport import Abort, AsyncByteStream, ByteStream, HttpRequest, HttpResponse, Transport
from ..transport.messages import masked, masked_bytes, masked_url
from ..transport.sse import SSEParser
from ..types import CallWarning, Done, Event, FetchPolicy, Health, Media, Plan, Request, Response, Timing
from .base import Backend
from .body import body_bytes, first_words, misshapen, parse_object, shortened
from .probe import health_of
from .signing import asign_in_time, sign_in_time
from .translation import Decoder, Exchange, WireRequest

__all__ = [
    "Decoder",
    "Exchange",
    "WireBackend",
    "WireRequest",
    "body_bytes",
    "first_words",
    "parse_object",
    "shortened",
]

JSON = dict[str, Any]

# What may stand before JSON: white space, and the byte order mark.
_BLANK = b" \t\r\n" + codecs.BOM_UTF8


class WireBackend(Backend):
    """Base of the backends behind HTTP.

    Attributes:
        transport: How it sends.
        fetch: What may be fetched for it where it takes no URL; False for nothing. Set by the constructor.
    """

    transport: Transport
    fetch: FetchPolicy | Literal[False] = FetchPolicy()

    @abc.abstractmethod
    def encode(self, request: Request, *, stream: bool) -> WireRequest:
        """Translate a request. Pure; raises `Unsupported` or `InvalidRequest` for what cannot be sent."""

    @abc.abstractmethod
    def decode(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Response[Any]:
        """Translate a whole answer. Pure."""

    @abc.abstractmethod
    def decoder(self, wire: WireRequest) -> Decoder:
        """Return a fresh decoder for one stream."""

    @abc.abstractmethod
    def failure(self, status: int, headers: Mapping[str, str], body: bytes) -> GenkitError:
        """Translate an HTTP error. Pure."""

    @abc.abstractmethod
    def sign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        """Add base URL and credential. May block to refresh a token; what waits for it is held to the time limits."""

    @abc.abstractmethod
    def placeholders(self, wire: WireRequest) -> tuple[str, Mapping[str, str]]:
        """Return URL and headers for `plan`, with names in place of secrets; works without a credential."""

    def request_id(self, headers: Mapping[str, str]) -> str | None:
        """Return the vendor's id of the request, out of the answer's headers (names in lower case)."""
        return headers.get("x-request-id")

    def parser(self) -> Any:
        """Return the framing of this vendor's streams: `feed(bytes)` gives frames for the decoder.

        One with `rest()` says what to feed it at the end of a body, so that what is left in it is a frame.
        """
        return SSEParser()

    def parsed(self, content: bytes, headers: Mapping[str, str], request: HttpRequest | None) -> JSON:
        """Return the JSON object of an answer with status 200; one that is anything else is a `BadResponse`."""
        return parse_object(content, headers, request_id=self.request_id(headers), request=request)

    def may_wait(self) -> bool:
        """Whether `sign` may wait now: for a token to be fetched, or for a function of the user's.

        It runs in a thread then, within the time limits of the call; a backend that says no, where it can, saves that.
        """
        return True

    async def asign(self, wire: WireRequest, content: bytes) -> HttpRequest:
        """Async twin of `sign`; one that may block moves to a thread here."""
        return self.sign(wire, content)

    # ------------------------------------------------------------ media by URL

    def fetches(self, part: Media, model: str) -> bool:  # noqa: ARG002  # for those that do
        """Return whether this backend cannot take the part's URL, and wants the bytes instead. Pure."""
        return False

    def wanted(self, request: Request) -> list[Media]:
        """Return the parts whose URLs `fetches` wants replaced, as far as the policy lets them be."""
        found = by_url(request.messages)
        if not found:
            return found
        return [
            part
            for part in found
            if (self.fetch or (part.url or "")[:5].lower() == "data:") and self.fetches(part, request.model)
        ]

    def fetched(self, request: Request, *, abort: Abort | None = None) -> Request:
        """Return the request with the bytes of its `wanted` media: what comes before each `encode` of a call."""
        wanted = self.wanted(request)
        return self._fetcher.fill(request, wanted, abort=abort) if wanted else request

    async def afetched(self, request: Request) -> Request:
        """Async twin of `fetched`."""
        wanted = self.wanted(request)
        return await self._fetcher.afill(request, wanted) if wanted else request

    @functools.cached_property
    def _fetcher(self) -> Fetcher:
        return Fetcher(self.transport, self.fetch or FetchPolicy())

    @override
    def plan(self, request: Request, *, stream: bool = False) -> Plan:
        wanted = self.wanted(request)
        policy = self.fetch or FetchPolicy()
        request, marks, notes = held_places(request, wanted, policy) if wanted else (request, {}, [])
        wire = self.encode(request, stream=stream)
        body_bytes(wire.body)  # raises for what could not be sent
        url, headers = self.placeholders(wire)
        return Plan(
            backend=self.name,
            api=wire.api,
            url=masked_url(url),
            headers={**headers},
            body=show_places(wire.body, marks) if marks else wire.body,
            warnings=(*wire.warnings, *notes),
        )

    def probe(self) -> WireRequest:
        """Return a request that costs nothing and shows whether the far end takes the credential."""
        return WireRequest(path="", body={}, model="", api="", origin="", method="GET")

    @override
    def health(self, *, online: bool = True) -> Health:
        return health_of(self, online=online)

    # ------------------------------------------------------------ one exchange

    def exchange(self, wire: WireRequest) -> tuple[JSON, Exchange]:
        """Send and return the JSON answer; every call that is not a stream goes through here."""
        started, clock = time.time(), time.perf_counter()
        http: HttpRequest | None = None
        try:
            http, limits = sign_in_time(self, wire, body_bytes(wire.body))
            reply = self.transport.send(http, limits)
            return self._read(reply, http, started, clock)
        except GenkitError as error:
            self.name_error(error, http)
            raise

    async def aexchange(self, wire: WireRequest) -> tuple[JSON, Exchange]:
        """Async twin of `exchange`."""
        started, clock = time.time(), time.perf_counter()
        http: HttpRequest | None = None
        try:
            http, limits = await asign_in_time(self, wire, body_bytes(wire.body))
            reply = await self.transport.asend(http, limits)
            return self._read(reply, http, started, clock)
        except GenkitError as error:
            self.name_error(error, http)
            raise

    def _read(self, reply: HttpResponse, http: HttpRequest, started: float, clock: float) -> tuple[JSON, Exchange]:
        if reply.status >= 400:
            raise self.refusal(reply.status, reply.headers, reply.content, http)
        total = time.perf_counter() - clock
        data = self.parsed(reply.content, reply.headers, http)
        return data, Exchange(reply.headers, Timing(started, total, total), http)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, http: HttpRequest) -> GenkitError:
        """Return `failure` of a body that may quote the request, without the request's secrets."""
        # Here already: once a body is cut, half a key would be left at its end.
        error = self.failure(status, headers, masked_bytes(body, http.secrets()))
        self.name_error(error, http)
        return error

    def name_error(self, error: GenkitError, request: HttpRequest | None) -> None:
        """Give an error that leaves here its backend, and a message without secrets that is no longer than is read."""
        error.backend = error.backend or self.name
        secrets = () if request is None else request.secrets()
        error.code = error.code and masked(error.code, secrets)
        message = shortened(masked(error.message, secrets))
        if message != error.message:
            error.message, error.args = message, (message, *error.args[1:])

    # ------------------------------------------------------------ the four ways to ask

    @override
    def generate(self, request: Request) -> Response[Any]:
        wire = self.encode(self.fetched(request), stream=False)
        data, exchange = self.exchange(wire)
        return self.decoded(wire, data, exchange)

    @override
    async def agenerate(self, request: Request) -> Response[Any]:
        wire = self.encode(await self.afetched(request), stream=False)
        data, exchange = await self.aexchange(wire)
        return self.decoded(wire, data, exchange)

    def decoded(self, wire: WireRequest, data: JSON, exchange: Exchange) -> Response[Any]:
        """Decode, with every failure typed and named."""
        try:
            return self.decode(wire, data, exchange)
        except GenkitError as error:
            self.name_error(error, exchange.request)
            raise
        except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
            wrong = misshapen(error, dump_json(data).encode(), exchange.request)
            wrong.request_id = self.request_id(exchange.headers)
            self.name_error(wrong, exchange.request)
            raise wrong from error

    @override
    def stream(self, request: Request) -> Iterator[Event]:
        return WireStream(self, request if self.wanted(request) else self.encode(request, stream=True))

    @override
    def astream(self, request: Request) -> AsyncIterator[Event]:
        return AsyncWireStream(self, request if self.wanted(request) else self.encode(request, stream=True))

    @override
    def close(self) -> None:
        self.transport.close()
        if "_fetcher" in self.__dict__:
            self._fetcher.close()

    @override
    async def aclose(self) -> None:
        await self.transport.aclose()
        self.transport.close()
        if "_fetcher" in self.__dict__:
            await self._fetcher.aclose()


# ---------------------------------------------------------------- streams


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
        content = body_bytes(self._wire.body)
        http, limits = sign_in_time(self._backend, self._wire, content, ended=lambda: self._over)
        # Without its body, which may be large, for as long as the stream lasts.
        self._request = replace(http, content=b"")
        source = self._bytes = self._backend.transport.open(http, limits, abort=self._abort)
        self._headers = source.headers
        if source.status >= 400:
            raise self._backend.refusal(source.status, source.headers, source.read(), http)
        return source

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
            http, limits = await asign_in_time(self._backend, self._wire, body_bytes(self._wire.body))
            self._request = replace(http, content=b"")
            source = self._bytes = await self._backend.transport.aopen(http, limits)
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
        self._headers = source.headers
        if source.status >= 400:
            raise self._backend.refusal(source.status, source.headers, await source.read(), http)
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
