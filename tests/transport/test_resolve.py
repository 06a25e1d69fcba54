"""The look-up of names: within the time limits, and at no cost where nothing is looked up."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from genkit import errors
from genkit.transport import Abort, HttpRequest, Transport
from genkit.types import Timeouts
from tests.farend import FarEnd, answer

from .conftest import FAST, Engine


class Resolver:
    """A resolver that knows every host as this machine, and answers for `slow.test` when it is told to.

    Attributes:
        threads: The name of the thread that each look-up ran in.
        asked: Set when `slow.test` is looked up.
        go: Lets that look-up end.
    """

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.asked = threading.Event()
        self.go = threading.Event()
        self._look_up = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        self.threads.append(threading.current_thread().name)
        if host == "slow.test":
            self.asked.set()
            self.go.wait(10)
        return self._look_up("127.0.0.1", port, *arguments, **options)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    # Asked for after the engine, whose event loop waits for its threads when it is closed.
    made = Resolver()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    yield made
    made.go.set()


@pytest.mark.parametrize("phase", ["connect", "total"])
def test_a_name_that_does_not_resolve_in_time_is_a_timeout(engine: Engine, resolver: Resolver, phase: str) -> None:
    began = time.monotonic()
    with pytest.raises(errors.Timeout) as caught:
        engine.send("http://slow.test:1", Timeouts(**{phase: 0.15}))
    assert time.monotonic() - began < 1
    assert (caught.value.phase, caught.value.sent) == (phase, False)
    assert not resolver.go.is_set()


def test_a_name_that_resolves_late_but_in_time_is_reached(engine: Engine, resolver: Resolver) -> None:
    with FarEnd(answer(b"ok")) as far:
        timer = threading.Timer(0.3, resolver.go.set)
        timer.start()
        assert engine.send(f"http://slow.test:{far.port}", FAST).content == b"ok"
        timer.join()


def test_without_limits_a_name_is_waited_for(engine: Engine, resolver: Resolver) -> None:
    with FarEnd(answer(b"ok")) as far:
        timer = threading.Timer(0.3, resolver.go.set)
        timer.start()
        unlimited = Timeouts(connect=None, first=None, idle=None)
        assert engine.send(f"http://slow.test:{far.port}", unlimited).content == b"ok"
        timer.join()


def test_closing_from_another_thread_ends_a_look_up(resolver: Resolver) -> None:
    transport, abort = Transport(), Abort()
    closer = threading.Thread(target=lambda: (resolver.asked.wait(5), abort.close()))
    closer.start()
    began = time.monotonic()
    with pytest.raises(errors.StreamClosed):
        transport.open(HttpRequest("http://slow.test:1", {}), FAST, abort=abort)
    assert time.monotonic() - began < 2
    closer.join()


def test_a_connection_that_is_kept_needs_no_look_up(resolver: Resolver) -> None:
    transport = Transport()
    with FarEnd(answer()) as far:
        for _ in range(5):
            transport.send(HttpRequest(f"http://far.test:{far.port}", {}), FAST)
        transport.close()
    assert resolver.threads == ["genkit-resolver"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_address_is_no_matter_for_a_thread(resolver: Resolver, host: str) -> None:
    transport = Transport()
    with FarEnd(answer()) as far:
        transport.send(HttpRequest(f"http://{host}:{far.port}", {}), FAST)
        transport.close()
    assert resolver.threads == [threading.current_thread().name]


def test_a_name_is_looked_up_where_no_thread_can_be_started(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, thread = Transport(), threading.Thread
    with FarEnd(answer(b"ok")) as far:
        with monkeypatch.context() as patch:
            patch.setattr(threading, "Thread", lambda **facts: _NoThread() if "name" in facts else thread(**facts))
            assert transport.send(HttpRequest(f"http://far.test:{far.port}", {}), FAST).content == b"ok"
        transport.close()


class _NoThread:
    def start(self) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")
