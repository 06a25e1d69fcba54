"""How many calls run at once, and how fast they start."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from genkit.errors import ConfigError, RateLimited, StreamClosed, Timeout
from genkit.policies import Control, Limit
from genkit.types import Event, Request, Response
from tests.policies.backends import REQUEST, WAYS, Scripted, answer, request

Way = Callable[..., Any]


class Counting(Scripted):
    """Knows how many calls are inside at once."""

    def __init__(self) -> None:
        super().__init__(answer())
        self.inside = 0
        self.most = 0

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1

    def generate(self, request: Request) -> Response[Any]:
        self.enter()
        time.sleep(0.01)
        self.leave()
        return super().generate(request)

    async def agenerate(self, request: Request) -> Response[Any]:
        self.enter()
        await asyncio.sleep(0.01)
        self.leave()
        return answer()

    def stream(self, request: Request) -> Iterator[Event]:
        self.enter()
        try:
            yield from super().stream(request)
        finally:
            self.leave()

    async def astream(self, request: Request) -> AsyncIterator[Event]:
        self.enter()
        try:
            async for event in super().astream(request):
                yield event
        finally:
            self.leave()


def test_threads_are_held_to_the_limit() -> None:
    backend = Counting()
    limit = Limit(backend, concurrency=2)
    threads = [threading.Thread(target=limit.generate, args=(REQUEST,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert backend.most == 2


def test_tasks_are_held_to_the_limit() -> None:
    backend = Counting()
    limit = Limit(backend, concurrency=2)

    async def run() -> None:
        await asyncio.gather(*(limit.agenerate(REQUEST) for _ in range(8)))

    asyncio.run(run())
    assert backend.most == 2


def test_threads_and_two_event_loops_share_one_limit() -> None:
    backend = Counting()
    limit = Limit(backend, concurrency=2)

    async def run() -> None:
        await asyncio.gather(*(limit.agenerate(REQUEST) for _ in range(5)))

    threads = [threading.Thread(target=asyncio.run, args=(run(),)) for _ in range(2)]
    threads += [threading.Thread(target=limit.generate, args=(REQUEST,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert backend.most == 2


@pytest.mark.parametrize("leave_early", [False, True])
def test_a_stream_holds_its_place_until_it_ends_or_is_left(leave_early: bool) -> None:
    limit = Limit(Scripted(answer()), concurrency=1)
    live = limit.open(REQUEST, None)
    with pytest.raises(Timeout):
        limit.generate(request(timeout=0.02))
    if leave_early:
        live.close()
    else:
        assert list(live)
    assert limit.generate(request(timeout=5.0)).text == "hello"


def test_an_async_stream_holds_its_place_until_it_is_left() -> None:
    limit = Limit(Scripted(answer()), concurrency=1)

    async def run() -> str:
        live = await limit.aopen(REQUEST)
        with pytest.raises(Timeout):
            await limit.agenerate(request(timeout=0.02))
        await live.aclose()
        return (await limit.agenerate(request(timeout=5.0))).text

    assert asyncio.run(run()) == "hello"


@pytest.mark.parametrize("way", WAYS)
def test_a_failed_call_gives_its_place_back(way: Way) -> None:
    limit = Limit(Scripted(RateLimited("no"), answer()), concurrency=1)
    with pytest.raises(RateLimited):
        way(limit)
    assert way(limit, request(timeout=5.0)).text == "hello"


def test_a_cancelled_waiter_gives_its_ticket_back() -> None:
    limit = Limit(Scripted(answer()), concurrency=1)

    async def run() -> None:
        live = await limit.aopen(REQUEST)
        waiter = asyncio.create_task(limit.agenerate(REQUEST))
        await asyncio.sleep(0.01)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        await live.aclose()
        await limit.agenerate(request(timeout=1.0))

    asyncio.run(run())


def test_a_stream_closed_while_it_waits_for_its_place_ends_at_once() -> None:
    limit = Limit(Scripted(answer()), concurrency=1)
    running = limit.open(REQUEST, None)
    control = Control()
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            limit.open(REQUEST, control)
        except StreamClosed as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    control.close()
    thread.join(2)
    assert len(caught) == 1
    running.close()
    assert limit.generate(request(timeout=1.0)).text == "hello"


def test_starts_are_spaced_evenly() -> None:
    clock = [100.0]
    limit = Limit(Scripted(answer()), requests_per_minute=60, clock=lambda: clock[0])
    waits = []
    for _ in range(3):
        effect = next(limit.flow(REQUEST))
        waits.append(getattr(effect, "seconds", 0.0))
    assert waits == [0.0, 1.0, 2.0]


def test_a_turn_that_comes_after_the_time_limit_is_refused_at_once() -> None:
    limit = Limit(Scripted(answer()), requests_per_minute=1)
    limit.generate(REQUEST)
    started = time.monotonic()
    with pytest.raises(Timeout, match="requests_per_minute"):
        limit.generate(request(timeout=5.0))
    assert time.monotonic() - started < 1.0


@pytest.mark.parametrize("way", WAYS)
def test_when_the_vendor_says_wait_every_caller_waits(way: Way) -> None:
    limit = Limit(Scripted(RateLimited("slow", retry_after=30.0), answer()), requests_per_minute=60_000)
    with pytest.raises(RateLimited):
        way(limit)
    with pytest.raises(Timeout, match="Retry-After"):
        way(limit, request(timeout=1.0))


@pytest.mark.parametrize(
    "wrong", [{"concurrency": 0}, {"requests_per_minute": 0}, {"requests_per_minute": float("nan")}]
)
def test_a_limit_that_lets_nothing_through_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Limit(Scripted(answer()), **wrong)


def test_a_wait_of_hours_stalls_nobody_else() -> None:
    limit = Limit(Scripted(RateLimited("quota", retry_after=3600.0), answer()), requests_per_minute=60_000)
    with pytest.raises(RateLimited):
        limit.generate(REQUEST)
    assert limit.generate(request(timeout=1.0)).text == "hello"


def test_a_stream_closed_before_it_waits_for_its_place_does_not_wait() -> None:
    limit = Limit(Scripted(answer()), concurrency=1)
    running, control = limit.open(REQUEST, None), Control()
    control.close()
    with pytest.raises(StreamClosed):
        limit.open(REQUEST, control)
    running.close()


def test_an_event_loop_that_was_closed_takes_no_place_with_it() -> None:
    limit = Limit(Scripted(answer()), concurrency=1)
    running = limit.open(REQUEST, None)
    loop = asyncio.new_event_loop()
    waiter = loop.create_task(limit.agenerate(REQUEST))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    running.close()
    assert limit.generate(request(timeout=1.0)).text == "hello"
    waiter._log_destroy_pending = False  # type: ignore[attr-defined]
    waiter.get_coro().close()  # type: ignore[union-attr]
