"""The synchronous engine: httpcore2's connection pool on a network backend of our own.

The backend holds the deadline of the running request for every single read and write (a server that drips bytes does
not extend it), and lets another thread end a read.
"""

from __future__ import annotations

import collections
import contextlib
import selectors
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import httpcore2
from typing_extensions import override

from ..errors import GenkitError
from . import failures
from .body import Abort, Body, ByteStream
from .chunked import RawBody
from .deadline import Deadline
from .messages import Admit, HttpRequest, HttpResponse, Target, lower_headers, refuse_redirect, target_of, wire_headers
from .route import Proxy, Route
from .sockets import WOULD_BLOCK, begins_answer, connect, readable, resolve, wait

if TYPE_CHECKING:
    from ..types import Timeouts

__all__ = ["SyncEngine"]

_IDLE_CONNECTIONS = 100
_IDLE_SECONDS = 60.0
_JOINED_BYTES = 65_536
_EARLY_BYTES = 65_536


class SyncEngine:
    """Sends requests on one thread-safe pool per proxy.

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
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._backend = _Backend()
        # Bodies of streams that were dropped unclosed; see _Stream.__del__.
        self._dropped: collections.deque[httpcore2.Response] = collections.deque()

    def send(self, request: HttpRequest, limits: Timeouts) -> HttpResponse:
        """Return the whole answer to `request`."""
        with self.open(request, limits) as stream:
            return HttpResponse(stream.status, stream.headers, stream.read())

    def open(self, request: HttpRequest, limits: Timeouts, *, abort: Abort | None = None) -> ByteStream:
        """Return the answer to `request` as soon as its head is there."""
        while self._dropped:
            self._dropped.popleft().close()
        target = target_of(request.url)
        headers = wire_headers(request, target)
        proxy = self._route.proxy_for(target)
        secure = target.scheme == "https"
        if proxy is not None and proxy.authorization and not secure:
            headers.append(("proxy-authorization", proxy.authorization))
        wire = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.path),
            headers=headers,
            content=request.content,
        )
        backend = self._backend
        exchange = _Exchange(limits, target=target, proxy=proxy, backend=backend)
        exchange.admit = self._admit if proxy is None else None
        if abort is not None:
            abort.bind(exchange.abort)
        pool = backend.pools.get((proxy, secure)) or self._pool(backend, proxy, secure=secure)
        response = self._exchange(pool, wire, exchange)
        try:
            answer = lower_headers(
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers
            )
            if self._admit is None:
                refuse_redirect(response.status, answer, target)
            failures.refuse_two_lengths(answer, target.where)
            if response.status == 407 and proxy is not None and not secure:
                raise failures.proxy_refused(proxy.where, target.where, "407")
            body = Body(answer, max_bytes=self._max_bytes, where=target.where)
        except BaseException:
            response.close()
            raise
        return _Stream(response.status, answer, response=response, exchange=exchange, body=body, dropped=self._dropped)

    def close(self) -> None:
        """End every stream and connection; the next request opens new ones."""
        with self._lock:
            backend, self._backend = self._backend, _Backend()
            pools = list(backend.pools.values())
        backend.shut_down()
        for pool in pools:
            pool.close()

    def forget(self) -> None:
        """Let go of everything in a forked child; the connections belong to the parent and stay untouched."""
        backend = self._backend
        self._begin()
        backend.abandon()

    def _pool(self, backend: _Backend, proxy: Proxy | None, *, secure: bool) -> httpcore2.ConnectionPool:
        # Made outside the lock: reading certificates takes milliseconds.
        context = self._tls() if secure else None
        with self._lock:
            pool = backend.pools.get((proxy, secure))
            if pool is None:
                way = None
                if proxy is not None:
                    tunnel_headers = (
                        [("Proxy-Authorization", proxy.authorization)] if proxy.authorization and secure else []
                    )
                    way = httpcore2.Proxy(proxy.url, headers=tunnel_headers)
                pool = backend.pools[proxy, secure] = httpcore2.ConnectionPool(
                    ssl_context=context,
                    proxy=way,
                    max_connections=None,
                    max_keepalive_connections=_IDLE_CONNECTIONS,
                    keepalive_expiry=_IDLE_SECONDS,
                    network_backend=backend,
                )
            return pool

    def _exchange(
        self, pool: httpcore2.ConnectionPool, wire: httpcore2.Request, exchange: _Exchange
    ) -> httpcore2.Response:
        """Send, once more on a fresh connection when a kept one turns out to be dead."""
        _running.exchange = exchange
        try:
            while True:
                try:
                    response = pool.handle_request(wire)
                except GenkitError as error:
                    # The pool re-raises with `from None`; the cause is worth keeping.
                    raise error from exchange.cause
                except _FAILURES as error:
                    if exchange.stale:
                        exchange.start_afresh()
                        continue
                    raise exchange.failed(error) from (exchange.cause or error)
                exchange.answered = True
                return response
        finally:
            _running.exchange = None


_FAILURES = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ProxyError)


class _Exchange:
    """One request on its connection: its deadline, and what has happened so far.

    Attributes:
        fresh: Whether kept connections are out of the question.
        reused: Whether it runs on a kept connection.
        received: Whether any byte came back.
        answered: Whether the head of the answer is there.
        ended: Whether the far end closed the connection, or it broke.
        connection: What it runs on.
        cause: The error of the operating system behind one of httpcore2's.
        admit: Refuses addresses, or None.
    """

    __slots__ = (
        *("_aborted", "_backend", "_proxy", "_target", "admit", "answered", "cause", "connection", "deadline", "ended"),
        *("fresh", "received", "reused", "secure"),
    )

    def __init__(self, limits: Timeouts, *, target: Target, proxy: Proxy | None, backend: _Backend) -> None:
        self._target = target
        self._proxy = proxy
        self._backend = backend
        self._aborted = False
        self.admit: Admit | None = None
        self.deadline = Deadline(limits, target.where)
        self.secure = target.scheme == "https"
        self.fresh = False
        self.reused = True
        self.received = False
        self.answered = False
        self.ended = False
        self.cause: BaseException | None = None
        self.connection: _Connection | None = None

    def abort(self) -> None:
        """End the request, from another thread."""
        self._aborted = True
        if self.connection is not None and self.connection.exchange is self:
            self.connection.shut_down()

    @property
    def closed(self) -> bool:
        """Whether it was ended on our side: alone, or with everything that its engine had open."""
        return self._aborted or self._backend.closed

    @property
    def where(self) -> str:
        """The far end, for messages."""
        return self._target.where

    @property
    def stale(self) -> bool:
        """Whether it failed because a kept connection was dead: nothing came back on it."""
        return self.reused and not (self.received or self.fresh or self.closed)

    def start_afresh(self) -> None:
        """Begin again, on a connection of our own making."""
        self.fresh = True
        self.ended, self.cause = False, None
        self.deadline.connecting()

    def failed(self, error: Exception) -> GenkitError:
        """Return our error for one of httpcore2's."""
        reason = self.cause or error
        if self.closed:
            return failures.stream_closed(self.where)
        if isinstance(error, httpcore2.ProxyError) and self._proxy is not None:
            return failures.proxy_refused(self._proxy.where, self.where, str(error))
        if self._proxy is not None and self.secure and (self.connection is None or not self.connection.secure):
            # What failed is the CONNECT, which only the proxy has seen.
            return self.unconnected(reason)
        if isinstance(error, httpcore2.ProtocolError) and not self.ended:
            return failures.malformed(self.where, error)
        if self.answered:
            return failures.cut(self.where, reason)
        return failures.unanswered(self.where, reason, sent=self.deadline.sent)

    def unconnected(self, reason: object) -> GenkitError:
        """Return the error for a connection that could not be made."""
        proxy = self._proxy
        where = self.where if proxy is None else f"the proxy {proxy.where} (to reach {self.where})"
        return failures.not_connected(where, reason)


class _Running(threading.local):
    """The exchange that this thread is sending: the pool offers no way to hand it to a connection."""

    exchange: _Exchange | None = None


_running = _Running()


class _Stream(ByteStream):
    """A body on one of the pool's connections."""

    def __init__(
        self,
        status: int,
        headers: Mapping[str, str],
        *,
        response: httpcore2.Response,
        exchange: _Exchange,
        body: Body,
        dropped: collections.deque[httpcore2.Response],
    ) -> None:
        super().__init__(status, headers, deadline=exchange.deadline, body=body)
        self._response = response
        self._exchange = exchange
        self._dropped = dropped
        self._raw = RawBody(response, chunked="transfer-encoding" in headers)
        self._guard = threading.Lock()
        self._connection: _Connection | None = response.extensions["network_stream"]

    def __del__(self) -> None:
        if self._ended is None and self._connection is not None:
            # The collector may run inside the pool's lock, so only the socket is closed here; the pool hears of it
            # with the next request.
            self._connection.close()
            self._dropped.append(self._response)

    @override
    def _read(self) -> bytes | None:
        try:
            chunk = self._raw.read()
        except _FAILURES as error:
            raise self._exchange.failed(error) from (self._exchange.cause or error)
        if chunk is None and self._exchange.closed:
            raise failures.stream_closed(self._exchange.where)
        return chunk

    @override
    def _interrupt(self) -> None:
        with self._guard:
            if self._connection is not None:
                self._connection.shut_down()

    @override
    def _release(self, *, reuse: bool) -> None:
        with self._guard:
            # From here on the connection may serve another request, and is not ours to shut down.
            connection, self._connection = self._connection, None
        if connection is not None and connection.half_sent:
            # The server answered before it had the whole request: it would take the next one for the rest of it.
            connection.close()
        self._response.close()


class _Backend(httpcore2.NetworkBackend):
    """Opens connections, and knows those that are open.

    Attributes:
        pools: What runs on it, per proxy and for TLS or not.
        closed: Whether everything on it was ended; it opens no more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self.pools: dict[tuple[Proxy | None, bool], httpcore2.ConnectionPool] = {}
        self.closed = False

    @override
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[tuple[Any, ...]] | None = None,
    ) -> httpcore2.NetworkStream:
        exchange = _running.exchange
        assert exchange is not None
        exchange.reused = False
        deadline = exchange.deadline
        try:
            addresses = resolve(host, port, deadline.left(), ended=lambda: exchange.closed)
        except (OSError, UnicodeError) as error:
            exchange.cause = error
            if exchange.closed:
                raise failures.stream_closed(exchange.where) from error
            deadline.left()
            raise exchange.unconnected(f"the name does not resolve ({error})") from error
        if exchange.admit is not None:
            exchange.admit(host, [str(address[0]) for *_, address in addresses])
        reason: OSError | None = None
        for i, (family, kind, protocol, _, address) in enumerate(addresses):
            left = deadline.left()
            # A dead first address (IPv6 without a route) leaves time for the next.
            share = None if left is None else left / (len(addresses) - i)
            try:
                connection = self.keep(_Connection(socket.socket(family, kind, protocol), exchange, self))
                connection.connect(address, share)
            except OSError as error:
                reason = error
                if exchange.closed:
                    break
            else:
                return connection
        exchange.cause = reason
        if exchange.closed:
            raise failures.stream_closed(exchange.where) from reason
        deadline.left()
        raise exchange.unconnected(reason) from reason

    def keep(self, connection: _Connection) -> _Connection:
        """Remember a connection as long as it lives, and return it."""
        with self._lock:
            self._connections.add(connection)
        return connection

    def shut_down(self) -> None:
        """End every connection and what runs on it."""
        # A connection that is kept too late to be found here sees this itself before it waits.
        self.closed = True
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.shut_down()

    def abandon(self) -> None:
        """Close this process's handles and leave the connections to the parent process."""
        self.closed = True
        for connection in list(self._connections):
            connection.abandon()


class _Connection(httpcore2.NetworkStream):
    """A socket whose reads and writes keep to the deadline of the request that runs on it.

    Attributes:
        exchange: That request.
        secure: Whether it speaks TLS.
        half_sent: Whether an answer came before the whole request was sent, so that no other can follow it.
    """

    def __init__(self, sock: socket.socket, exchange: _Exchange, backend: _Backend, *, secure: bool = False) -> None:
        self.exchange = exchange
        self.secure = secure
        self.half_sent = False
        self._socket = sock
        self._backend = backend
        self._unsent: list[bytes] = []
        self._early = bytearray()
        # Reentrant: the collector may run within it and close the same connection; see _Stream.__del__.
        self._guard = threading.RLock()
        self._busy = False
        self._doomed = False
        # Closes the socket before the interpreter would warn of it, at exit as well.
        self._close = weakref.finalize(self, sock.close)
        exchange.connection = self

    def connect(self, address: Any, limit: float | None) -> None:
        """Connect within `limit` seconds.

        Raises:
            OSError: If that fails or is ended from another thread; the socket is closed then.
        """
        try:
            self._enter()
            try:
                connect(self._socket, address, limit, ended=lambda: self.exchange.closed)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            finally:
                self._leave()
        except BaseException:
            self.close()
            raise

    @override
    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        exchange = self.exchange
        try:
            self._enter()
            try:
                if self._unsent:
                    self._flush()
                if self._early:
                    data = bytes(self._early)
                    self._early.clear()
                else:
                    self._socket.settimeout(exchange.deadline.left())
                    data = self._socket.recv(max_bytes)
            finally:
                self._leave()
        except TimeoutError as error:
            raise (error if isinstance(error, GenkitError) else exchange.deadline.error()) from None
        except OSError as error:
            exchange.cause, exchange.ended = error, True
            raise httpcore2.ReadError(str(error)) from error
        if not data:
            exchange.ended = True
        elif not exchange.received:
            exchange.received = True
            # h11 would wait for the end of a head, which a server of another kind never sends.
            if not b"HTTP/".startswith(data[:5]):
                raise httpcore2.RemoteProtocolError(f"it answers with {data[:20]!r}")
        return data

    @override
    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if _running.exchange is not None:
            self.exchange = _running.exchange
            self.exchange.connection = self
        # Head and body come one by one; together they are one packet. The read that always follows sends them.
        if buffer:
            self._unsent.append(buffer)

    def _flush(self) -> None:
        deadline = self.exchange.deadline
        # What goes to a proxy before TLS is the CONNECT request, not ours.
        if self.secure or not self.exchange.secure:
            deadline.sending()
        pieces, self._unsent = self._unsent, []
        if sum(map(len, pieces)) <= _JOINED_BYTES:
            pieces = [b"".join(pieces)]
        self._socket.settimeout(0)
        try:
            for piece in pieces:
                rest = memoryview(piece)
                while rest:
                    try:
                        rest = rest[self._socket.send(rest) :]
                    except WOULD_BLOCK:
                        if self._answered_early(deadline.left()):
                            self.half_sent = True
                            return
        except TimeoutError:
            raise
        except OSError as error:
            # A server may answer (413, 401) and close without reading on: the answer is still to be read.
            self.exchange.cause = error
            self.half_sent = True

    def _answered_early(self, left: float | None) -> bool:
        """Wait until something can be sent or read, and return whether an answer or the end came before that."""
        events = wait(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE, left)
        if self.exchange.closed:
            raise ConnectionAbortedError("closed on our side")
        if not events & selectors.EVENT_READ:
            return False
        try:
            # Under TLS what is to be read may also be the layer's own, as a session ticket; then this would block.
            data = self._socket.recv(_EARLY_BYTES)
        except WOULD_BLOCK:
            return False
        self._early += data
        return not data or begins_answer(self._early)

    @override
    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        exchange = self.exchange
        exchange.deadline.securing()
        made = self
        try:
            sock = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname, do_handshake_on_connect=False)
            made = self._backend.keep(_Connection(sock, exchange, self._backend, secure=True))
            made.shake_hands(sock)
        except BaseException as error:
            made.close()
            if not isinstance(error, OSError | ValueError):
                raise
            if exchange.closed:
                raise failures.stream_closed(exchange.where) from error
            if isinstance(error, TimeoutError):
                raise (error if isinstance(error, GenkitError) else exchange.deadline.error()) from None
            exchange.cause = error
            untrusted = isinstance(error, ssl.SSLCertVerificationError)
            raise failures.tls_failed(exchange.where, error, untrusted=untrusted) from error
        return made

    def shake_hands(self, sock: ssl.SSLSocket) -> None:
        """Begin to speak TLS, within the deadline."""
        self._enter()
        try:
            sock.settimeout(self.exchange.deadline.left())
            sock.do_handshake()
        finally:
            self._leave()

    def _enter(self) -> None:
        """Begin to use the socket: until `_leave` no other thread closes it."""
        with self._guard:
            if self.exchange.closed:
                raise ConnectionAbortedError("closed on our side")
            self._busy = True

    def _leave(self) -> None:
        with self._guard:
            self._busy = False
            if self._doomed:
                self._close()

    @override
    def close(self) -> None:
        with self._guard:
            if self._busy:
                # A file descriptor closed under a reader may be another's by the time it reads.
                self._doomed = True
                self.shut_down()
            else:
                self._close()

    def shut_down(self) -> None:
        """End a read or write that any thread is in."""
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown, which would pull the TLS layer from under the reader.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Close the handle of a forked child; without the lock, which a thread of the parent may have held."""
        self._close()

    @override
    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            # The pool closes idle connections that have something to read: it can only be their end. Where one was
            # found dead, all its idle neighbours are taken for dead.
            exchange = _running.exchange
            return self.half_sent or (exchange is not None and exchange.fresh) or readable(self._socket)
        if info == "ssl_object":
            return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        if info == "socket":
            return self._socket
        return None
