"""The asynchronous engine: one aiohttp session per event loop, with timers of our own.

aiohttp's time limits restart with every byte that arrives. Here one timer per call checks the deadline, which bytes do
not move.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import contextvars
import functools
import os
import ssl
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import aiohttp
import yarl
from aiohttp.client_proto import ResponseHandler
from typing_extensions import override

from ..errors import GenkitError
from . import failures
from .body import AsyncByteStream, Body
from .deadline import Deadline
from .messages import Admit, HttpRequest, HttpResponse, Target, lower_headers, refuse_redirect, target_of, wire_headers
from .route import Proxy, Route
from .timer import Timer

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey

    from ..types import Timeouts

__all__ = ["AsyncEngine"]

_Result = TypeVar("_Result")
_IDLE_SECONDS = 60.0
_PIECE = 262_144
# As much as h11, under the synchronous engine, takes for a whole head.
_HEAD_BYTES = 102_400
_NO_LIMITS = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None)
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")

_engines: weakref.WeakSet[AsyncEngine] = weakref.WeakSet()
# What a forked child holds of its parent's loops. Finalising it would write to sockets that the parent still uses.
_parents: list[object] = []
# Weak, because the callbacks of a connection keep a copy of the context it was made in.
_running: contextvars.ContextVar[weakref.ref[_Exchange] | None] = contextvars.ContextVar("running", default=None)
_yarl = functools.lru_cache(maxsize=512)(functools.partial(yarl.URL, encoded=True))


class AsyncEngine:
    """Sends requests on one session per running event loop.

    Args:
        route: Which proxy a host is reached through.
        tls: Gives the TLS context.
        max_bytes: Limit of a decoded body.
        admit: Refuses addresses; see `Transport`.
    """

    def __init__(
        self, route: Route, tls: Callable[[], ssl.SSLContext], *, max_bytes: int, admit: Admit | None = None
    ) -> None:
        self._route = route
        self._tls = tls
        self._max_bytes = max_bytes
        self._admit = admit
        self._pools: dict[asyncio.AbstractEventLoop, _Pool] = {}
        _engines.add(self)
        # Holds the pools and not the engine; runs before the collector would finalise the sessions.
        weakref.finalize(self, _drop, self._pools).atexit = False

    async def send(self, request: HttpRequest, limits: Timeouts) -> HttpResponse:
        """Return the whole answer to `request`."""
        return await _perform(await self._exchange(request, limits), self._whole)

    async def open(self, request: HttpRequest, limits: Timeouts) -> AsyncByteStream:
        """Return the answer to `request` as soon as its head is there."""
        return await _perform(await self._exchange(request, limits), self._streamed)

    async def _exchange(self, request: HttpRequest, limits: Timeouts) -> _Exchange:
        target = target_of(request.url)
        headers = wire_headers(request, target)
        proxy = self._route.proxy_for(target)
        secure = target.scheme == "https"
        if proxy is not None and proxy.authorization and not secure:
            headers.append(("Proxy-Authorization", proxy.authorization))
        pool = self._pools.get(asyncio.get_running_loop()) or await _open_pool(self._pools, self._admit)
        wire = _Wire(request, headers, self._tls() if secure else None, proxy)
        return _Exchange(pool.session, wire, limits, target=target)

    async def _whole(self, exchange: _Exchange, response: aiohttp.ClientResponse) -> HttpResponse:
        headers, body = self._head(exchange, response)
        pieces: list[bytes] = []
        try:
            while raw := await response.content.readany():
                pieces.append(body.feed(raw))
        except GenkitError:
            raise
        except _FAILURES as error:
            raise exchange.failed(error) from error
        body.end()
        return HttpResponse(response.status, headers, pieces[0] if len(pieces) == 1 else b"".join(pieces))

    async def _streamed(self, exchange: _Exchange, response: aiohttp.ClientResponse) -> AsyncByteStream:
        headers, body = self._head(exchange, response)
        return _Stream(response.status, headers, response=response, exchange=exchange, body=body)

    def _head(self, exchange: _Exchange, response: aiohttp.ClientResponse) -> tuple[dict[str, str], Body]:
        headers = lower_headers(response.headers.items())
        if self._admit is None:
            refuse_redirect(response.status, headers, exchange.target)
        exchange.refuse_for_proxy(response.status)
        return headers, Body(headers, max_bytes=self._max_bytes, where=exchange.where)

    async def aclose(self) -> None:
        """End the streams and connections of the running loop."""
        pool = self._pools.get(asyncio.get_running_loop())
        if pool is not None:
            await pool.holder.aclose()

    def forget(self) -> None:
        """Let go of everything in a forked child; the connections belong to the parent and stay untouched."""
        _parents.extend(self._pools.values())
        for pool in self._pools.values():
            pool.session.detach()
        self._pools.clear()

    def close_at_exit(self) -> None:
        """Close the sessions of loops that were neither closed nor run by `asyncio.run`."""
        for loop, pool in list(self._pools.items()):
            if not loop.is_closed() and not loop.is_running():
                loop.run_until_complete(pool.holder.aclose())
        _drop(self._pools)


class _Pool(NamedTuple):
    """The session of one loop, and the generator that holds it."""

    session: aiohttp.ClientSession
    holder: AsyncGenerator[aiohttp.ClientSession, None]


async def _open_pool(pools: dict[asyncio.AbstractEventLoop, _Pool], admit: Admit | None) -> _Pool:
    """Make the pool of the running loop, and drop those of loops that were closed without notice."""
    loop = asyncio.get_running_loop()
    dead = [pools.pop(other) for other in list(pools) if other.is_closed()]
    holder = _hold(pools, loop, admit)
    pool = pools[loop] = _Pool(await anext(holder), holder)
    for old in dead:
        _bury(old.session)
    return pool


async def _hold(
    pools: dict[asyncio.AbstractEventLoop, _Pool], loop: asyncio.AbstractEventLoop, admit: Admit | None
) -> AsyncGenerator[aiohttp.ClientSession, None]:
    """Hold the session of a loop: `asyncio.run` finalises asynchronous generators before it closes the loop."""
    session = aiohttp.ClientSession(
        connector=_Connector(limit=0, keepalive_timeout=_IDLE_SECONDS, admit=admit),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=_NO_LIMITS,
        trust_env=False,
        auto_decompress=False,
        skip_auto_headers=_AUTOMATIC,
        max_line_size=_HEAD_BYTES,
        max_field_size=_HEAD_BYTES,
    )
    # The retry of a dead connection is ours: it must not depend on the method, nor happen twice.
    session._retry_connection = False  # noqa: SLF001  # no public switch
    try:
        yield session
    finally:
        pools.pop(loop, None)
        await session.close()


def _drop(pools: dict[asyncio.AbstractEventLoop, _Pool]) -> None:
    """Let go of the pools of an engine that is gone; asyncio finalises the generators of loops that still run."""
    for loop, pool in list(pools.items()):
        if loop.is_closed():
            _bury(pool.session)
    pools.clear()


def _bury(session: aiohttp.ClientSession) -> None:
    """Close what a loop left open that was closed without notice; asyncio itself would only warn of it."""
    connector = session.connector
    session.detach()
    if not isinstance(connector, _Connector):
        return
    for protocol in list(connector.made):
        transport: Any = protocol.transport
        if transport is None:
            continue
        # Each of the two wants to tell the loop, when its own part is done.
        with contextlib.suppress(RuntimeError):
            transport.abort()
        below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None) or transport
        with contextlib.suppress(RuntimeError, AttributeError):
            below._call_connection_lost(None)  # noqa: SLF001  # the public way needs the loop


_FAILURES = (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError, RuntimeError)


async def _perform(
    exchange: _Exchange, take: Callable[[_Exchange, aiohttp.ClientResponse], Coroutine[Any, Any, _Result]]
) -> _Result:
    """Send, once more on a fresh connection when a kept one turns out to be dead, and take what comes."""
    # The connector starts it: a kept connection needs no connect limit.
    timer = exchange.timer = Timer()
    token = _running.set(weakref.ref(exchange))
    try:
        while True:
            try:
                response = await exchange.request()
            except _FAILURES as error:
                if isinstance(error, GenkitError):
                    raise
                if timer.rang:
                    raise exchange.deadline.error() from error
                if not exchange.stale:
                    raise exchange.failed(error) from error
            else:
                try:
                    return await take(exchange, response)
                except BaseException:
                    response.close()
                    raise
            timer.stop()
            exchange.start_afresh()
    except asyncio.CancelledError:
        if timer.end():
            raise exchange.deadline.error() from None
        raise
    finally:
        timer.end()
        # It refers to the task, and the task to its result, the stream.
        exchange.timer = None
        _running.reset(token)


def _current() -> _Exchange | None:
    """Return the exchange that the running task is sending."""
    reference = _running.get()
    return None if reference is None else reference()


class _Wire(NamedTuple):
    """What is sent, and through what."""

    request: HttpRequest
    headers: list[tuple[str, str]]
    context: ssl.SSLContext | None
    proxy: Proxy | None


class _Exchange:
    """One request on its connection: its deadline, and what has happened so far.

    Attributes:
        target: Where it goes.
        fresh: Whether kept connections are out of the question.
        answered: Whether the head of the answer is there.
        timer: Ends what runs within `_perform`.
    """

    __slots__ = (
        *("__weakref__", "_protocol", "_reached", "_reused", "_session", "_wire"),
        *("answered", "deadline", "fresh", "target", "timer"),
    )

    def __init__(self, session: aiohttp.ClientSession, wire: _Wire, limits: Timeouts, *, target: Target) -> None:
        self._session = session
        self._wire = wire
        self._reused = True
        self._reached = False
        self._protocol: _Protocol | None = None
        self.target = target
        self.deadline = Deadline(limits, target.where)
        self.fresh = False
        self.answered = False
        self.timer: Timer | None = None

    @property
    def direct(self) -> bool:
        """Whether no proxy stands between."""
        return self._wire.proxy is None

    @property
    def where(self) -> str:
        """The far end, for messages."""
        return self.target.where

    @property
    def stale(self) -> bool:
        """Whether it failed because a kept connection was dead: nothing came back on it."""
        protocol = self._protocol
        kept = self._reused and not self.fresh and not self._session.closed
        return kept and protocol is not None and not protocol.received

    async def request(self) -> aiohttp.ClientResponse:
        """Send once, and return the answer when its head is there."""
        request, headers, context, proxy = self._wire
        tunnel_headers = None
        if proxy is not None and proxy.authorization and context is not None:
            # For the proxy alone, with CONNECT; a plain request to it has them among its own.
            tunnel_headers = {"Proxy-Authorization": proxy.authorization}
        response = await self._session.request(
            request.method,
            _yarl(request.url),
            data=_payload(request.content),
            headers=headers,
            allow_redirects=False,
            ssl=True if context is None else context,
            proxy=None if proxy is None else _yarl(proxy.url),
            proxy_headers=tunnel_headers,
        )
        self.answered = True
        return response

    def connecting(self) -> None:
        """Open a connection: the clock of the connect limit begins to matter."""
        self._reused = self._reached = False
        self._start_timer()

    def reached(self) -> None:
        """Say that TCP stands, or through a proxy, in its turn, the tunnel."""
        if self._wire.context is not None and (self._wire.proxy is None or self._reached):
            self.deadline.securing()
        self._reached = True

    def connected(self, protocol: _Protocol) -> None:
        """Begin to send on `protocol`."""
        self._protocol = protocol
        protocol.received = False
        self.deadline.sending()
        self._start_timer()

    def start_afresh(self) -> None:
        """Begin again, on a connection of our own making."""
        self.fresh = True
        self._protocol = None
        self.deadline.connecting()

    def _start_timer(self) -> None:
        if self.timer is not None:
            # Not `left()`, which raises: aiohttp takes a TimeoutError here for its own, and loses the connection.
            self.timer.start(self.deadline.remains())

    def refuse_for_proxy(self, status: int) -> None:
        """Raise `ConfigError` where the answer is that of a proxy which wants a password."""
        proxy = self._wire.proxy
        if status == 407 and proxy is not None and self._wire.context is None:
            raise failures.proxy_refused(proxy.where, self.where, "407")

    def failed(self, error: Exception) -> GenkitError:
        """Return our error for one of aiohttp's."""
        protocol, proxy = self._protocol, self._wire.proxy
        cause = error.__cause__ or error
        if self._session.closed:
            return failures.stream_closed(self.where)
        if isinstance(error, aiohttp.ClientHttpProxyError) and proxy is not None:
            return failures.proxy_refused(proxy.where, self.where, f"{error.status} {error.message}")
        if protocol is None:
            if isinstance(error, ssl.SSLError | ssl.CertificateError | aiohttp.ClientSSLError):
                untrusted = isinstance(cause, ssl.SSLCertVerificationError)
                return failures.tls_failed(self.where, cause, untrusted=untrusted)
            way = self.where if proxy is None else f"the proxy {proxy.where} (to reach {self.where})"
            return failures.not_connected(way, getattr(error, "os_error", None) or error)
        if isinstance(error, aiohttp.ClientResponseError):
            return failures.malformed(self.where, error.message.strip() or str(error))
        if self.answered and not protocol.ended:
            return failures.malformed(self.where, cause)
        if self.answered:
            return failures.cut(self.where, cause)
        return failures.unanswered(self.where, error, sent=self.deadline.sent)


class _Protocol(ResponseHandler):
    """aiohttp's connection, which also says whether anything came, and whether it ended before its parser failed."""

    received = False
    ended = False

    @override
    def data_received(self, data: bytes) -> None:
        if data:
            self.received = True
        super().data_received(data)

    @override
    def connection_lost(self, exc: BaseException | None) -> None:
        # After a parser's error, which is an exception already, aiohttp closes the connection itself.
        fault, payload = self.exception(), self._payload
        self.ended = fault is None
        super().connection_lost(exc)
        # aiohttp forgets the body whose parser failed, and its reader would wait for ever.
        _fail(payload, fault or exc)

    @override
    def close(self) -> None:
        payload, transport = self._payload, self.transport
        super().close()
        if transport is not None and (transport.get_write_buffer_size() or transport.get_extra_info("ssl_object")):
            # Else it would stay open until the far end has read what is left of the request, perhaps for ever, and a
            # session that closes would wait for it. Under TLS the buffer below cannot be seen, and asyncio waits half a
            # minute for the far end's goodbye; ours has been said by now where there was room for it.
            transport.abort()
        # A session that closes does not tell the readers of its bodies either.
        _fail(payload, None)


def _fail(payload: aiohttp.StreamReader | None, cause: BaseException | None) -> None:
    if payload is not None and not payload.is_eof() and payload.exception() is None:
        payload.set_exception(aiohttp.ClientPayloadError(str(cause or "connection closed")), cause or EOFError())


class _Connector(aiohttp.TCPConnector):
    """aiohttp's pool, which tells the exchange what it got.

    Attributes:
        made: The connections there are, in use or not.
    """

    def __init__(self, *, limit: int, keepalive_timeout: float, admit: Admit | None) -> None:
        super().__init__(limit=limit, keepalive_timeout=keepalive_timeout)
        self._admit = admit
        self._process = os.getpid()
        self.made: weakref.WeakSet[_Protocol] = weakref.WeakSet()
        self._factory = self._make_protocol  # type: ignore[assignment]  # a subclass of its own

    @override
    def __del__(self, *_: Any) -> None:
        if self._process == os.getpid() and not self._loop.is_closed():
            super().__del__()

    def _make_protocol(self) -> _Protocol:
        # asyncio asks for one when TCP stands, before it begins with TLS.
        if (exchange := _current()) is not None:
            exchange.reached()
        protocol = _Protocol(loop=self._loop)
        self.made.add(protocol)
        return protocol

    @override
    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        connection = await super().connect(req, traces, timeout)
        exchange = _current()
        if exchange is not None:
            assert isinstance(connection.protocol, _Protocol)
            try:
                self._admit_peer(connection, exchange)
            except BaseException:
                connection.close()
                raise
            exchange.connected(connection.protocol)
        return connection

    def _admit_peer(self, connection: Any, exchange: _Exchange) -> None:
        """Check who is at the other end before anything is sent, should an aiohttp to come resolve names elsewhere."""
        if self._admit is not None and exchange.direct:
            peer = connection.transport.get_extra_info("peername")
            self._admit(exchange.target.host, [str(peer[0])])

    @override
    async def _get(self, key: ConnectionKey, traces: Any) -> Any:
        exchange = _current()
        return None if exchange is not None and exchange.fresh else await super()._get(key, traces)

    @override
    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
        # The one place that all addresses pass, those written as numbers in the URL and those cached included.
        found = await super()._resolve_host(host, port, traces=traces)
        exchange = _current()
        if self._admit is not None and (exchange is None or exchange.direct):
            self._admit(host, [entry["host"] for entry in found])
        return found

    @override
    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        if (exchange := _current()) is not None:
            exchange.connecting()
        return await super()._create_connection(req, traces, timeout)


class _Stream(AsyncByteStream):
    """A body on one of the session's connections, with one timer."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        *,
        response: aiohttp.ClientResponse,
        exchange: _Exchange,
        body: Body,
    ) -> None:
        super().__init__(status, headers, deadline=exchange.deadline, body=body)
        self._response = response
        self._content = response.content
        self._exchange = exchange
        self._loop = asyncio.get_running_loop()
        self._process = os.getpid()
        self._waiting = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def __del__(self) -> None:
        # The collector may run in any thread; a forked child leaves the connection to its parent.
        if self._ended is None and self._process == os.getpid() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._response.close)

    @override
    async def _read(self) -> bytes | None:
        content = self._content
        deadline = self._deadline
        left = deadline.left()
        if left is not None and (self._timer is None or self._timer_at > deadline.at):
            self._arm(left)
        if content.exception() is not None and (rest := _buffered(content)):
            return rest
        self._waiting = True
        try:
            return await content.readany() or None
        except GenkitError:
            raise
        except _FAILURES as error:
            raise self._exchange.failed(error) from error
        finally:
            self._waiting = False

    @override
    def _release(self, *, reuse: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if reuse:
            self._response.release()
            return
        if not self._content.is_eof():
            self._content.set_exception(failures.stream_closed(self._exchange.where))
        self._response.close()

    def _arm(self, left: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._deadline.at
        reference: weakref.ref[_Stream] = weakref.ref(self)
        self._timer = self._loop.call_later(left, _tick, reference)

    def expire(self) -> None:
        """Fail the read in progress if its time is over; look again later if not."""
        self._timer = None
        # A reader that is busy elsewhere arms the timer when it comes back.
        if self._waiting:
            if self._deadline.over():
                self._content.set_exception(self._deadline.error())
            elif (left := self._deadline.left()) is not None:
                self._arm(left)


def _tick(reference: weakref.ref[_Stream]) -> None:
    if (stream := reference()) is not None:
        stream.expire()


def _buffered(content: aiohttp.StreamReader) -> bytes:
    """Return what arrived before the connection failed; aiohttp's own reads would only raise."""
    return content._read_nowait(-1)  # noqa: SLF001  # the public reads raise


def _payload(content: bytes) -> bytes | AsyncIterator[bytes] | None:
    # aiohttp warns of larger bodies, which would hold up the loop in one write.
    if len(content) > _PIECE:
        return _pieces(content)
    return content or None


async def _pieces(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PIECE):
        yield content[start : start + _PIECE]


def _close_at_exit() -> None:
    for engine in list(_engines):
        engine.close_at_exit()


atexit.register(_close_at_exit)
