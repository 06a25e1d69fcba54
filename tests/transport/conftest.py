"""The engines behind one synchronous face, so that a fact is stated once and tested on each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from genkit.transport import HttpRequest, HttpResponse, Transport
from genkit.types import Timeouts

FAST = Timeouts(connect=5, first=5, idle=5)


class Stream:
    """A stream of either engine, read without `await`."""

    def __init__(self, engine: Engine, inner: Any) -> None:
        self.engine = engine
        self.inner = inner
        self.status: int = inner.status
        self.headers = inner.headers

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self.engine.asynchronous:
            return next(self.inner)
        chunk = self.engine.run(anext(self.inner, None))
        if chunk is None:
            raise StopIteration
        return chunk

    def read(self) -> bytes:
        return self.engine.run(self.inner.read()) if self.engine.asynchronous else self.inner.read()

    def event(self, within: float | None = None) -> None:
        self.inner.event(within)

    def finish(self) -> None:
        if self.engine.asynchronous:
            self.engine.run(self.inner.afinish())
        else:
            self.inner.finish()

    def close(self) -> None:
        if self.engine.asynchronous:
            self.engine.run(self.inner.aclose())
        else:
            self.inner.close()


class Engine:
    """A transport, driven by threads or by an event loop."""

    def __init__(self, *, asynchronous: bool) -> None:
        self.asynchronous = asynchronous
        self.transports: list[Transport] = []
        self.runner = asyncio.Runner() if asynchronous else None
        self.transport = Transport()

    def use(self, **settings: Any) -> None:
        self.transports.append(self.transport)
        self.transport = Transport(**settings)

    def run(self, coroutine: Any) -> Any:
        assert self.runner is not None

        async def main() -> Any:
            return await coroutine

        return self.runner.run(main())

    def send(self, url: str, timeouts: Timeouts = FAST, **facts: Any) -> HttpResponse:
        request = HttpRequest(url, facts.pop("headers", {}), **facts)
        if self.asynchronous:
            return self.run(self.transport.asend(request, timeouts))
        return self.transport.send(request, timeouts)

    def open(self, url: str, timeouts: Timeouts = FAST, **facts: Any) -> Stream:
        request = HttpRequest(url, facts.pop("headers", {}), **facts)
        if self.asynchronous:
            return Stream(self, self.run(self.transport.aopen(request, timeouts)))
        return Stream(self, self.transport.open(request, timeouts))

    def turn(self) -> None:
        """Let the event loop do what is due."""
        if self.asynchronous:
            self.run(asyncio.sleep(0))

    def end(self) -> None:
        for transport in [*self.transports, self.transport]:
            transport.close()
        if self.runner is not None:
            self.runner.close()


@pytest.fixture(params=["sync", "async"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Engine(asynchronous=request.param == "async")
    yield made
    made.end()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
