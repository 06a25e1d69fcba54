"""Threads for what cannot be interrupted, and going on without them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from typing import Any

import pytest

from genkit.errors import ConnectionFailed
from genkit.transport import waiting
from genkit.transport.waiting import MOST_THREADS, Abandoned, Shared, TooLate, in_thread, within


def never() -> bool:
    return False


def test_the_result_comes_out_of_the_thread() -> None:
    assert within(5, lambda: threading.current_thread().name, ended=never, name="of-mine") == "of-mine"
    assert asyncio.run(in_thread(lambda: threading.current_thread().name, name="of-mine")) == "of-mine"


def test_so_does_an_exception() -> None:
    with pytest.raises(ZeroDivisionError):
        within(None, lambda: 1 / 0, ended=never, name="x")
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(lambda: 1 / 0, name="x"))


def test_what_takes_too_long_is_left_behind() -> None:
    go = threading.Event()
    began = time.monotonic()
    with pytest.raises(TooLate):
        within(0.05, lambda: go.wait(10), ended=never, name="x")
    assert time.monotonic() - began < 1
    go.set()


def test_a_timeout_of_the_work_itself_is_not_taken_for_ours() -> None:
    def work() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own") as caught:
        within(5, work, ended=never, name="x")
    assert not isinstance(caught.value, TooLate)


def test_a_wait_that_somebody_ends_is_over_soon() -> None:
    go = threading.Event()
    asked = threading.Event()

    def work() -> None:
        asked.set()
        go.wait(10)

    began = time.monotonic()
    with pytest.raises(Abandoned):
        within(None, work, ended=asked.is_set, name="x")
    assert time.monotonic() - began < 1
    go.set()


def test_a_cancelled_task_leaves_its_thread_behind_and_its_loop_does_not_wait() -> None:
    go = threading.Event()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await in_thread(lambda: go.wait(10), name="x")

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 1
    go.set()


def test_the_work_sees_the_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("here")
    assert within(5, variable.get, ended=never, name="x") == "here"

    async def main() -> str:
        return await in_thread(variable.get, name="x")

    assert asyncio.run(main()) == "here"


def full(_: Any) -> None:
    raise RuntimeError("can't start new thread")


def test_where_there_can_be_no_more_threads_a_blocking_caller_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", full)
    assert within(5, lambda: 1, ended=never, name="x") == 1
    assert Shared(lambda: 1, name="x").wait() == 1


def test_where_there_can_be_no_more_threads_a_task_waits_for_one_and_then_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "_STARTING_S", 0.05)
    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(ConnectionFailed, match="no thread"):
        asyncio.run(in_thread(lambda: 1, name="x"))
    with pytest.raises(ConnectionFailed, match="no thread"):
        asyncio.run(Shared(lambda: 1, name="x").awaited())


def test_there_are_never_more_threads_than_so_many_and_none_is_left() -> None:
    go, most = threading.Event(), 0

    def work() -> None:
        nonlocal most
        most = max(most, threads("of-mine"))
        go.wait(10)

    async def main() -> None:
        tasks = [asyncio.create_task(in_thread(work, name="of-mine")) for _ in range(MOST_THREADS + 40)]
        await asyncio.sleep(0.05)
        assert threads("of-mine") <= MOST_THREADS
        go.set()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert 0 < most <= MOST_THREADS
    gone("of-mine")


def test_work_that_nobody_waits_for_any_more_is_not_begun() -> None:
    go, begun = threading.Event(), []

    async def main() -> None:
        busy = [asyncio.create_task(in_thread(lambda: go.wait(10), name="of-mine")) for _ in range(MOST_THREADS)]
        late = asyncio.create_task(in_thread(lambda: begun.append(1), name="of-mine"))
        await asyncio.sleep(0.05)
        late.cancel()
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*busy)

    asyncio.run(main())
    gone("of-mine")
    assert begun == []


class TestShared:
    def test_all_who_come_while_it_is_under_way_get_its_result(self) -> None:
        go, done = threading.Event(), []

        def work() -> int:
            go.wait(10)
            done.append(1)
            return len(done)

        shared = Shared(work, name="x")

        async def main() -> list[int]:
            tasks = [asyncio.create_task(shared.awaited()) for _ in range(100)]
            await asyncio.sleep(0)
            go.set()
            return await asyncio.gather(*tasks)

        assert set(asyncio.run(main())) == {1}
        assert shared.wait() == 2

    def test_who_stops_waiting_leaves_it_to_the_others(self) -> None:
        go, done = threading.Event(), []

        def work() -> None:
            go.wait(10)
            done.append(1)

        shared = Shared(work, name="x")

        async def main() -> None:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(shared.awaited(), 0.02)
            waiter = asyncio.create_task(shared.awaited())
            await asyncio.sleep(0)
            go.set()
            await waiter

        asyncio.run(main())
        assert done == [1]

    def test_threads_of_calls_that_were_given_up_do_not_wait_for_it(self) -> None:
        go = threading.Event()
        shared = Shared(lambda: go.wait(10), name="shared")
        for _ in range(3):
            with pytest.raises(TooLate):
                within(0.02, shared.wait, ended=never, name="of-mine")
        gone("of-mine")
        assert threads("shared") == 1
        go.set()

    def test_a_failure_is_everybodys(self) -> None:
        shared = Shared(lambda: 1 / 0, name="x")
        with pytest.raises(ZeroDivisionError):
            shared.wait()
        with pytest.raises(ZeroDivisionError):
            asyncio.run(shared.awaited())

    def test_what_hangs_is_begun_anew_after_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        go, begun = threading.Event(), []

        def work() -> None:
            begun.append(1)
            if len(begun) == 1:
                go.wait(10)

        shared = Shared(work, name="x")
        first = shared.begin()
        monkeypatch.setattr(waiting, "HUNG_S", 0.0)
        shared.wait()
        assert len(begun) == 2
        go.set()
        assert first is not None
        first.result(5)


def threads(name: str) -> int:
    return sum(thread.name == name for thread in threading.enumerate())


def gone(name: str) -> None:
    """Wait until no thread of a name is left."""
    until = time.monotonic() + 5
    while threads(name):
        assert time.monotonic() < until
        time.sleep(0.01)
