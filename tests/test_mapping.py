"""Many prompts at once: bounded, in order, and what a failure does."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from genkit.errors import ConfigError, GenkitError, ServerError
from genkit.mapping import amap_calls, map_calls


class Work:
    """Knows how many calls run at once; fails on 'bad'; takes longer for earlier items."""

    def __init__(self) -> None:
        self.running = self.most = self.calls = 0
        self.lock = threading.Lock()

    def __call__(self, item: Any) -> Any:
        with self.lock:
            self.calls += 1
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            time.sleep(0.002 * (5 - item) if isinstance(item, int) and item < 5 else 0.001)
            if item == "bad":
                raise ServerError("no")
            return item
        finally:
            with self.lock:
                self.running -= 1

    async def later(self, item: Any) -> Any:
        self.calls += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0.002 * (5 - item) if isinstance(item, int) and item < 5 else 0.001)
            if item == "bad":
                raise ServerError("no")
            return item
        finally:
            self.running -= 1


def run(work: Work, items: Any, *, concurrency: int = 3, on_error: Any = "raise", twin: str) -> list[Any]:
    if twin == "sync":
        return map_calls(work, items, concurrency=concurrency, on_error=on_error)
    return asyncio.run(amap_calls(work.later, items, concurrency=concurrency, on_error=on_error))


TWINS = pytest.mark.parametrize("twin", ["sync", "async"])


@TWINS
def test_answers_come_in_the_order_of_the_prompts(twin: str) -> None:
    assert run(Work(), range(10), twin=twin) == list(range(10))


@TWINS
def test_no_more_than_so_many_run_at_once(twin: str) -> None:
    work = Work()
    run(work, range(20), twin=twin)
    assert work.most == 3


@TWINS
def test_the_input_is_read_only_as_fast_as_it_is_worked_on(twin: str) -> None:
    work = Work()
    ahead: list[int] = []

    def prompts() -> Iterator[int]:
        for i in range(20):
            ahead.append(i - work.calls)
            yield i

    run(work, prompts(), twin=twin)
    assert max(ahead) <= 3


@TWINS
def test_the_first_failure_is_raised_and_ends_the_work(twin: str) -> None:
    work = Work()
    with pytest.raises(ServerError):
        run(work, ["bad", *range(100)], twin=twin)
    assert work.calls < 20
    assert work.running == 0


@TWINS
def test_failures_may_stand_in_their_places_instead(twin: str) -> None:
    first, second, third = run(Work(), [1, "bad", 3], on_error="return", twin=twin)
    assert (first, third) == (1, 3)
    assert isinstance(second, GenkitError)


@TWINS
def test_no_prompts_give_no_answers(twin: str) -> None:
    assert run(Work(), [], twin=twin) == []


@TWINS
@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"on_error": "ignore"}])
def test_what_cannot_be_is_refused(twin: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        run(Work(), [1], twin=twin, **wrong)


def test_there_are_no_more_tasks_than_prompts() -> None:
    async def count(_: Any) -> int:
        return len(asyncio.all_tasks())

    [tasks] = asyncio.run(amap_calls(count, ["a"], concurrency=100_000, on_error="raise"))
    assert tasks == 2


def test_prompts_that_fail_to_come_end_the_tasks_under_way() -> None:
    def broken() -> Any:
        yield 1
        raise KeyError("no more")

    work = Work()
    with pytest.raises(KeyError):
        run(work, broken(), twin="async")
    assert work.running == 0
