"""One way onto the wire: HTTP for backends, synchronous and asynchronous, with one behaviour.

`Transport` sends an `HttpRequest` and gives an `HttpResponse` or a stream of bytes; `sse` and `eventstream` cut such
streams into events. What an answer means is the backend's business: any status but a redirect is returned.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .body import Abort, AsyncByteStream, ByteStream
from .messages import Admit, HttpRequest, HttpResponse, target_of
from .route import Route

if TYPE_CHECKING:
    import ssl

    from ..types import Timeouts
    from .aio import AsyncEngine
    from .foreign import AsyncForeignEngine, ForeignEngine
    from .sync import SyncEngine

__all__ = ["MAX_BYTES", "Abort", "Admit", "AsyncByteStream", "ByteStream", "HttpRequest", "HttpResponse", "Transport"]

MAX_BYTES = 256 * 1024 * 1024

_transports: weakref.WeakSet[Transport] = weakref.WeakSet()


class Transport:
    """Sends HTTP requests: `send` and `open` from threads, `asend` and `aopen` from tasks of any event loop.

    Making one does no I/O and loads no HTTP library. It may be shared by threads, event loops and a forked child
    (which opens connections of its own), need not be closed, and may be used again after it was.

    Args:
        proxy: `http://user:password@host:port` for every host. Without it HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and
            NO_PROXY decide.
        ca: Certificates to trust: a PEM file, a directory, or an `ssl.SSLContext` to use as it is.
        trust_env: Whether the proxy variables, SSL_CERT_FILE and SSL_CERT_DIR are heeded.
        max_bytes: Limit of one decoded body.
        http_client: A client of `httpx` or `httpx2` to send through; `Client` serves `send` and `open`, `AsyncClient`
            serves `asend` and `aopen`. Its proxies, certificates, hooks and headers apply. See `foreign` for what
            the time limits lose by it.
        admit: Called with a host and the addresses that were found for it, of which one will be connected to; what it
            raises ends the request. Redirects are then answers like any other. Not asked where a proxy connects.

    Raises:
        ConfigError: If an argument cannot be used.
    """

    def __init__(
        self,
        *,
        proxy: str | None = None,
        ca: str | os.PathLike[str] | ssl.SSLContext | None = None,
        trust_env: bool = True,
        max_bytes: int = MAX_BYTES,
        http_client: object | None = None,
        admit: Admit | None = None,
    ) -> None:
        if http_client is not None and (proxy is not None or ca is not None):
            raise ConfigError("proxy= and ca= have no effect with http_client=: set them on that client")
        self._ca = ca
        self._trust_env = trust_env
        self._max_bytes = max_bytes
        self._client = http_client
        self._proxy = proxy
        self._admit = admit
        self._client_kind = _kind(http_client)
        self._route = Route(proxy=proxy, trust_env=trust_env)
        self._lock = threading.Lock()
        self._sync: SyncEngine | ForeignEngine | None = None
        self._async: AsyncEngine | AsyncForeignEngine | None = None
        _transports.add(self)

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        """Send `request` and return the whole answer, whatever its status.

        Raises:
            ConnectionFailed: If no connection could be made or it broke; `sent` says whether the request may have left.
            Timeout: If a time limit ended; `phase` says which.
            BadResponse: If the answer is a redirect, too large, not decodable, or not HTTP.
            ConfigError: If the request or the settings cannot be used.
        """
        return (self._sync or self._sync_engine()).send(request, timeouts)

    def open(self, request: HttpRequest, timeouts: Timeouts, *, abort: Abort | None = None) -> ByteStream:
        """Send `request` and return its answer as a stream, as soon as the head is there.

        Args:
            request: What to send.
            timeouts: Its time limits.
            abort: Lets another thread end it until then. Has no effect with `http_client`.

        Raises:
            GenkitError: As `send` does; reading the stream raises the same errors.
        """
        return (self._sync or self._sync_engine()).open(request, timeouts, abort=abort)

    async def asend(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        """Do what `send` does, in the running event loop."""
        return await (self._async or self._async_engine()).send(request, timeouts)

    async def aopen(self, request: HttpRequest, timeouts: Timeouts) -> AsyncByteStream:
        """Do what `open` does, in the running event loop."""
        return await (self._async or self._async_engine()).open(request, timeouts)

    def guarded(self, admit: Admit, *, max_bytes: int) -> Transport:
        """Return a transport for other hosts, with the same proxies and certificates and without `http_client`."""
        return Transport(proxy=self._proxy, ca=self._ca, trust_env=self._trust_env, max_bytes=max_bytes, admit=admit)

    def client_options(self) -> dict[str, Any]:
        """Return proxy and certificates as keywords for a client of httpx, which a vendor's SDK brings along.

        Raises:
            ConfigError: If there is an `http_client`, which the SDK cannot be given.
        """
        if self._client is not None:
            raise ConfigError(
                "this goes through the vendor's SDK and not through http_client=: use an LLM without it, with proxy= "
                "and ca= where they are needed"
            )
        return {"proxy": self._proxy, "verify": self._tls(), "trust_env": self._trust_env}

    def proxy_of(self, url: str) -> str | None:
        """Return host and port of the proxy that leads to `url`, or None for a straight way."""
        proxy = self._route.proxy_for(target_of(url))
        return None if proxy is None else proxy.where

    def close(self) -> None:
        """End the streams of threads, and close their connections; those of event loops are for `aclose`.

        A client given as `http_client` is left open: it belongs to the caller.
        """
        if self._sync is not None:
            self._sync.close()

    async def aclose(self) -> None:
        """End the streams and connections of the running event loop, and those of threads."""
        self.close()
        if self._async is not None:
            await self._async.aclose()

    @functools.cached_property
    def _tls_context(self) -> ssl.SSLContext:
        context: ssl.SSLContext = import_module(f"{__name__}.tls").make_context(self._ca, trust_env=self._trust_env)
        return context

    def _tls(self) -> ssl.SSLContext:
        with self._lock:
            return self._tls_context

    def _sync_engine(self) -> SyncEngine | ForeignEngine:
        engine: SyncEngine | ForeignEngine
        if self._client is None:
            engine = _load("sync").SyncEngine(self._route, self._tls, max_bytes=self._max_bytes, admit=self._admit)
        elif self._client_kind == "Client":
            engine = _load("foreign").ForeignEngine(self._client, max_bytes=self._max_bytes)
        else:
            raise ConfigError("http_client= is an AsyncClient, which serves asynchronous calls only: pass a Client")
        with self._lock:
            self._sync = self._sync or engine
            return self._sync

    def _async_engine(self) -> AsyncEngine | AsyncForeignEngine:
        engine: AsyncEngine | AsyncForeignEngine
        if self._client is None:
            engine = _load("aio").AsyncEngine(self._route, self._tls, max_bytes=self._max_bytes, admit=self._admit)
        elif self._client_kind == "AsyncClient":
            engine = _load("foreign").AsyncForeignEngine(self._client, max_bytes=self._max_bytes)
        else:
            raise ConfigError("http_client= is a Client, which serves synchronous calls only: pass an AsyncClient")
        with self._lock:
            self._async = self._async or engine
            return self._async

    def forget(self) -> None:
        """Let go of the parent process's connections and locks, in a forked child."""
        self._lock = threading.Lock()
        for engine in (self._sync, self._async):
            if engine is not None:
                engine.forget()


def _kind(client: object | None) -> str | None:
    """Return "Client" or "AsyncClient" for a client of httpx or httpx2, None for no client."""
    if client is None:
        return None
    for kind in type(client).__mro__:
        if kind.__module__.partition(".")[0] in ("httpx", "httpx2") and kind.__name__ in ("Client", "AsyncClient"):
            return kind.__name__
    raise ConfigError(
        f"http_client= is {type(client).__module__}.{type(client).__qualname__}: "
        "pass a Client or AsyncClient of httpx or httpx2"
    )


def _load(name: str) -> Any:
    """Import one of the engines; with it comes the HTTP library it stands on."""
    return import_module(f"{__name__}.{name}")


def _after_fork() -> None:
    for transport in list(_transports):
        transport.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
