"""Streams that are dropped without being closed: settled as left, their place given back, their connection closed."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from genkit import LLM
from genkit.backends.mock import Mock
from genkit.policies import Limit, Policy, dropped
from tests.farend import Call, FarEnd
from tests.policies.backends import REQUEST, Scripted, Watch, answer

EVENTS = {"content-type": "text/event-stream"}
PIECE = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'


def until(true: Callable[[], Any]) -> None:
    """Wait for what another thread does; fail when it does not."""
    for _ in range(500):
        gc.collect()
        if true():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen")


def limited(backend: Any) -> tuple[Limit, Watch]:
    watch = Watch(backend)
    return Limit(watch, concurrency=1), watch


def read_one_and_drop(stack: Policy) -> None:
    next(stack.open(REQUEST, None))


async def aread_one_and_drop(stack: Policy) -> None:
    await (await stack.aopen(REQUEST)).__anext__()


def test_a_dropped_stream_is_settled_once_as_left_and_its_backend_closed() -> None:
    backend = Scripted(answer())
    stack, watch = limited(backend)
    read_one_and_drop(stack)
    until(lambda: watch.outcomes == ["left"] and backend.closed_streams)
    assert watch.attempts[0].usage.estimated
    assert stack.generate(REQUEST).text == "hello"
    assert (watch.outcomes, backend.closed_streams) == (["left", "completed"], 1)


def test_a_stream_that_is_read_to_its_end_or_closed_is_not_settled_again_when_it_is_collected() -> None:
    stack, watch = limited(Scripted(answer()))
    list(stack.open(REQUEST, None))
    live = stack.open(REQUEST, None)
    live.close()
    del live
    read_one_and_drop(stack)
    until(lambda: len(watch.outcomes) > 2)
    assert watch.outcomes == ["completed", "left", "left"]


def test_a_caller_who_waits_already_gets_the_place_of_a_dropped_stream() -> None:
    stack, _ = limited(Scripted(answer()))
    held = [stack.open(REQUEST, None)]
    texts: list[str] = []
    thread = threading.Thread(target=lambda: texts.append(stack.generate(REQUEST).text))
    thread.start()
    time.sleep(0.05)
    held.clear()
    thread.join(5)
    assert texts == ["hello"]


def test_a_dropped_async_stream_is_settled_and_closed_while_its_loop_goes_on() -> None:
    backend = Scripted(answer())
    stack, watch = limited(backend)

    async def run() -> str:
        await aread_one_and_drop(stack)
        for _ in range(500):
            gc.collect()
            await asyncio.sleep(0.01)
            if watch.outcomes and backend.closed_streams:
                break
        return (await asyncio.wait_for(stack.agenerate(REQUEST), 5)).text

    assert asyncio.run(run()) == "hello"
    assert (watch.outcomes, backend.closed_streams) == (["left", "completed"], 1)


def test_an_async_stream_that_outlives_its_loop_is_settled_when_it_is_dropped() -> None:
    mock = Mock()
    stack, watch = limited(mock)
    held = [asyncio.run(stack.aopen(REQUEST))]
    held.clear()
    until(lambda: watch.outcomes == ["left"])
    assert stack.generate(REQUEST).text == "four five"


@pytest.mark.parametrize("streaming", [True, False])
def test_a_task_that_is_dropped_with_its_loop_gives_its_place_back(streaming: bool) -> None:
    mock = Mock()
    mock.reply("late", delay=60.0)
    mock.reply("next")
    stack, watch = limited(mock)

    def run() -> None:
        loop = asyncio.new_event_loop()
        coroutine = stack.aopen(REQUEST) if streaming else stack.agenerate(REQUEST)
        task = loop.create_task(coroutine)
        loop.run_until_complete(asyncio.sleep(0.02))
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is what happens here, on purpose
        loop.close()

    run()
    until(lambda: watch.outcomes == ["left"])
    assert stack.generate(REQUEST).text == "next"


class Locking(Watch):
    """Takes a lock when it settles, as a budget does."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.lock = threading.Lock()

    def settle(self, attempt: Any) -> None:
        with self.lock:
            super().settle(attempt)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_finaliser_inside_the_lock_that_its_work_needs_does_not_block(kind: str) -> None:
    locking = Locking(Scripted(answer()))
    stack = Limit(locking, concurrency=1)
    assert stack._gate is not None

    def run() -> None:
        assert stack._gate is not None
        held: list[Any] = [stack.open(REQUEST, None) if kind == "sync" else asyncio.run(stack.aopen(REQUEST))]
        with locking.lock, stack._gate._lock:
            held.clear()
            gc.collect()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    until(lambda: locking.outcomes == ["left"] and stack._gate is not None and stack._gate._free == 1)


def test_many_dropped_streams_are_all_settled() -> None:
    watch = Watch(Scripted(answer()))
    threads = [threading.Thread(target=lambda: [read_one_and_drop(watch) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(watch.outcomes) == 400)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_observer_that_fails_there_is_shown_and_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("threading.excepthook", lambda arguments: shown.append(str(arguments.exc_value)))
    done = threading.Event()

    def fail() -> None:
        raise RuntimeError("no")

    dropped.later(fail)
    dropped.later(done.set)
    assert done.wait(5)
    assert shown == ["no"]


def test_what_no_thread_could_be_had_for_is_done_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*arguments: Any) -> None:
        raise RuntimeError("can't start new thread")

    done: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr("_thread.start_new_thread", none)
        dropped.later(lambda: done.append(1))
    dropped.later(lambda: done.append(2))
    until(lambda: done == [1, 2])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_leaves_a_stream_to_its_parent() -> None:
    watch = Watch(Scripted(answer()))
    held = [watch.open(REQUEST, None)]
    child = os.fork()
    if not child:
        held.clear()
        gc.collect()
        time.sleep(0.1)
        os._exit(len(watch.outcomes))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert watch.outcomes == []


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_connection_of_a_dropped_stream_is_closed_and_the_next_call_goes_through(kind: str) -> None:
    def script(call: Call) -> None:
        if b'"stream":true' not in call.request.body:
            call.answer(b'{"choices":[{"index":0,"message":{"content":"next"},"finish_reason":"stop"}]}')
            return
        call.head(200, EVENTS)
        call.chunk(PIECE)
        call.hold()

    with FarEnd(script) as far:
        llm = LLM("openai:m", base_url=far.url, api_key="k", api="chat", retries=0, concurrency=1)

        async def adrop() -> None:
            stream = llm.astream("hi")
            await stream.__aenter__()
            async for _ in stream.text:
                break

        async def run() -> str:
            await adrop()
            gc.collect()
            assert await asyncio.to_thread(far.hung_up.wait, 5)
            return (await asyncio.wait_for(llm.agenerate("hi"), 5)).text

        def drop() -> None:
            for _ in llm.stream("hi").text:
                break

        if kind == "async":
            assert asyncio.run(run()) == "next"
        else:
            with pytest.warns(ResourceWarning):
                drop()
            gc.collect()
            assert far.hung_up.wait(5)
            assert llm.generate("hi", timeout=5).text == "next"
        llm.close()


def test_the_end_of_the_program_does_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*arguments: Any) -> None:
        raise RuntimeError("can't start new thread")

    done: list[int] = []
    monkeypatch.setattr("_thread.start_new_thread", none)
    dropped.later(lambda: done.append(1))
    dropped._finish()
    assert done == [1]


def test_a_piece_of_work_that_blocks_does_not_keep_others_waiting() -> None:
    gate, done = threading.Event(), threading.Event()
    try:
        dropped.later(lambda: gate.wait(30))
        dropped.later(done.set)
        assert done.wait(5)
    finally:
        gate.set()


def test_whatever_blocks_when_the_program_ends_the_rest_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropped, "_LAST_WAIT_S", 0.1)
    gate, done = threading.Event(), threading.Event()
    try:
        for _ in range(50):
            dropped.later(lambda: gate.wait(30))
        until(lambda: all(lock.locked() for lock in dropped._busy))
        dropped._pending.clear()
        dropped.later(done.set)
        assert not done.is_set()
        dropped._finish()
        assert done.is_set()
    finally:
        gate.set()
