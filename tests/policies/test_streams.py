"""Streams under policies: closed at every layer, settled exactly once, however they end."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from genkit.backends.mock import Mock
from genkit.errors import GenkitError, ServerError, StreamClosed, StreamInterrupted
from genkit.events import replay
from genkit.policies import Control, Fallback, Limit, Policy, Retry, Target
from genkit.policies.streams import estimate
from genkit.types import Done, Event, Request, Response, TextDelta, Usage
from tests.policies.backends import REQUEST, WAYS, Scripted, Watch, answer, failure


def full_stack(backend: Any) -> tuple[Watch, Watch]:
    """Every policy there is, with a watch outside and one at the backend."""
    inner = Watch(backend)
    retry = Retry(Limit(inner, concurrency=2, requests_per_minute=1e9), first_wait=0.001)
    return Watch(Fallback(Target(retry, None, "a:b"))), inner


@pytest.mark.parametrize("events", range(4))
def test_leaving_a_stream_closes_the_backend_and_settles_once_at_every_layer(events: int) -> None:
    backend = Scripted(answer())
    outer, inner = full_stack(backend)
    live = outer.open(REQUEST, None)
    for _ in range(events):
        next(live)
    live.close()
    live.close()
    assert backend.closed_streams == 1
    assert outer.outcomes == inner.outcomes == (["left"] if events < 4 else ["completed"])


@pytest.mark.parametrize("events", range(4))
def test_leaving_an_async_stream_closes_the_backend_before_aclose_returns(events: int) -> None:
    backend = Scripted(answer())
    outer, inner = full_stack(backend)

    async def run() -> None:
        live = await outer.aopen(REQUEST)
        for _ in range(events):
            await live.__anext__()
        await live.aclose()
        assert backend.closed_streams == 1
        await live.aclose()

    asyncio.run(run())
    assert outer.outcomes == inner.outcomes == ["left"]


def test_a_whole_stream_settles_once_as_completed_with_the_vendors_usage() -> None:
    outer, inner = full_stack(Scripted(answer()))
    assert isinstance(list(outer.open(REQUEST, None))[-1], Done)
    assert outer.outcomes == inner.outcomes == ["completed"]
    assert outer.attempts[0].usage.total == 3
    assert not outer.attempts[0].usage.estimated


def test_a_stream_that_was_left_is_settled_with_an_estimate_marked_so() -> None:
    watch = Watch(Scripted(answer("hello there")))
    live = watch.open(REQUEST, None)
    next(live), next(live)
    live.close()
    usage = watch.attempts[0].usage
    assert usage.estimated
    assert (usage.input, usage.output) == (3, 3)  # 9 and 11 characters, 4 a token, rounded up
    assert live.response is not None
    assert live.response.text == "hello there"
    assert not live.response.complete


def test_a_stream_that_breaks_settles_once_as_failed() -> None:
    outer, inner = full_stack(Scripted(failure(), after=2))
    with pytest.raises(ServerError):
        list(outer.open(REQUEST, None))
    assert outer.outcomes == inner.outcomes == ["failed"]


def test_a_stream_without_done_is_interrupted_and_keeps_what_arrived() -> None:
    class NoDone(Scripted):
        def stream(self, request: Request) -> Iterator[Event]:
            yield from list(super().stream(request))[:-1]

    live = Policy(NoDone(answer("partial"))).open(REQUEST, None)
    with pytest.raises(StreamInterrupted) as caught:
        list(live)
    assert caught.value.response is not None
    assert caught.value.response.text == "partial"


def test_a_failing_settle_does_not_keep_the_others_from_hearing() -> None:
    class Broken(Watch):
        def settle(self, attempt: Any) -> None:
            super().settle(attempt)
            raise GenkitError("the budget is used up")

    broken = Broken(Scripted(answer()))
    outer = Watch(broken)
    with pytest.raises(GenkitError, match="budget"):
        outer.generate(REQUEST)
    assert outer.outcomes == broken.outcomes == ["completed"]


def test_a_cancelled_call_is_settled_as_left() -> None:
    mock = Mock()
    mock.reply("late", delay=30.0)
    watch = Watch(Retry(mock))

    async def run() -> None:
        task = asyncio.create_task(watch.agenerate(REQUEST))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert watch.outcomes == ["left"]
    assert watch.attempts[0].usage.estimated


def test_a_cancelled_stream_is_settled_as_left_and_closed() -> None:
    backend = Scripted(answer())
    watch = Watch(backend)

    async def read() -> None:
        live = await watch.aopen(REQUEST)
        try:
            async for _ in live:
                await asyncio.sleep(30)
        finally:
            await live.aclose()

    async def run() -> None:
        task = asyncio.create_task(read())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert (watch.outcomes, backend.closed_streams) == (["left"], 1)


def test_a_reader_in_another_thread_ends_when_the_stream_is_closed() -> None:
    mock = Mock()
    mock.reply("one two three four", pace=20.0)
    watch = Watch(Retry(mock))
    control = Control()
    caught: list[BaseException] = []

    def read() -> None:
        try:
            list(watch.open(REQUEST, control))
        except StreamClosed as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.05)
    control.close()
    thread.join(2)
    assert not thread.is_alive()
    assert len(caught) == 1
    assert watch.outcomes == ["left"]


def test_a_stream_is_closed_while_a_retry_sleeps() -> None:
    backend = Scripted(failure(retry_after=30.0), answer())
    control = Control()
    caught: list[BaseException] = []

    def read() -> None:
        try:
            Retry(backend).open(REQUEST, control)
        except StreamClosed as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.05)
    control.close()
    thread.join(2)
    assert len(caught) == 1


def test_a_response_made_up_by_a_policy_is_replayed_as_a_stream() -> None:
    class Remembers(Policy):
        def flow(self, request: Any) -> Any:
            return answer("remembered")
            yield

    stack = Retry(Remembers(Scripted(failure())))
    events = list(stack.open(REQUEST, None))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["remembered"]

    async def run() -> Response[Any]:
        live = await stack.aopen(REQUEST)
        async for _ in live:
            pass
        assert live.response is not None
        return live.response

    assert asyncio.run(run()).text == "remembered"


def test_a_policy_is_itself_a_backend_with_plain_streams() -> None:
    stack = Retry(Scripted(answer()))
    assert isinstance(list(stack.stream(REQUEST))[-1], Done)

    async def run() -> list[Event]:
        return [event async for event in stack.astream(REQUEST)]

    assert isinstance(asyncio.run(run())[-1], Done)


def test_nothing_is_left_behind_by_many_streams() -> None:
    stack, _ = full_stack(Scripted(answer()))
    stack.attempts.clear()
    gc.collect()

    def rounds(count: int) -> int:
        for _ in range(count):
            list(stack.open(REQUEST, None))
        stack.attempts.clear()
        gc.collect()
        return len(gc.get_objects())

    before = rounds(20)
    assert rounds(200) - before < 500


def test_a_stream_closed_before_it_opened_is_not_settled() -> None:
    watch = Watch(Scripted(answer()))
    control = Control()
    control.close()
    with pytest.raises(StreamClosed) as caught:
        watch.open(REQUEST, control)
    assert not caught.value.sent
    assert watch.attempts == []


def test_a_broken_stream_of_a_plain_generator_keeps_what_arrived() -> None:
    live = Policy(Scripted(failure(), after=2)).open(REQUEST, None)
    with pytest.raises(ServerError) as caught:
        list(live)
    assert caught.value.response is not None
    assert caught.value.response.text == "hello"
    assert live.response is caught.value.response


def test_a_fallbacks_warning_stays_on_a_partial_response() -> None:
    broken = Scripted(failure(), after=2)
    targets = Target(Scripted(failure()), None, "first:m"), Target(broken, None, "second:m")
    live = Fallback(*targets).open(REQUEST, None)
    with pytest.raises(ServerError) as caught:
        list(live)
    assert caught.value.response is not None
    assert [warning.subject for warning in caught.value.response.warnings] == ["first:m"]


def test_what_the_vendor_counted_stays_in_an_estimate() -> None:
    request = REQUEST
    counted = answer().model_copy(update={"usage": Usage(input=1234, output=None, cache_read=1000)})
    usage = estimate(request, counted)
    assert (usage.input, usage.cache_read, usage.output, usage.estimated) == (1234, 1000, 2, True)


def test_an_async_reader_ends_when_another_task_closes_a_plain_generator() -> None:
    class Slow(Scripted):
        async def astream(self, request: Request) -> Any:
            for event in replay(answer("one two")):
                await asyncio.sleep(0.02)
                yield event

    async def run() -> None:
        live = await Policy(Slow(answer())).aopen(REQUEST)
        reader = asyncio.create_task(collect(live))
        await asyncio.sleep(0.01)
        await live.aclose()
        with pytest.raises(StreamClosed):
            await reader

    async def collect(live: Any) -> None:
        async for _ in live:
            pass

    asyncio.run(run())


def test_leaving_at_the_last_event_still_closes_the_backend() -> None:
    backend = Scripted(answer())
    live = Policy(backend).open(REQUEST, None)
    for event in live:
        if isinstance(event, Done):
            break
    live.close()
    assert backend.closed_streams == 1


class Failing(Watch):
    def settle(self, attempt: Any) -> None:
        raise RuntimeError("disk full")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("after", [0, 2])
def test_an_observer_that_fails_does_not_hide_the_error_of_the_call(way: Any, after: int) -> None:
    with pytest.raises(ServerError) as caught:
        way(Failing(Scripted(failure(), after=after)))
    assert caught.value.__notes__ == ["an observer of the call failed too: RuntimeError: disk full"]
