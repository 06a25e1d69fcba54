"""Threads for what cannot be interrupted, and going on without them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from typing import Any

import pytest

from genkit.transport.waiting import Abandoned, TooLate, in_thread, within


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


def test_where_there_can_be_no_more_threads_the_caller_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    assert within(5, lambda: 1, ended=never, name="x") == 1
    assert asyncio.run(in_thread(lambda: 1, name="x")) == 1
