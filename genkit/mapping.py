"""The same call over many prompts: bounded, in order, reading its input no faster than it works."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import chain
from queue import SimpleQueue
from typing import Any, Literal, TypeVar

from .errors import ConfigError, GenkitError

__all__ = ["amap_calls", "map_calls"]

P = TypeVar("P")
OnError = Literal["raise", "return"]


def map_calls(call: Callable[[P], Any], items: Iterable[P], *, concurrency: int, on_error: OnError) -> list[Any]:
    """Call in threads; the first failure stops new calls, and is raised when the running ones are over.

    The threads are daemons: an interrupted program ends at once, and does not wait for the calls under way.
    """
    _check(items, concurrency, on_error)
    results: dict[int, Any] = {}
    todo: SimpleQueue[tuple[int, P] | None] = SimpleQueue()
    done: SimpleQueue[tuple[int, Any, BaseException | None]] = SimpleQueue()
    threads: list[threading.Thread] = []
    failure: BaseException | None = None
    running = 0
    numbered = enumerate(items)
    try:
        while failure is None and (following := next(numbered, None)) is not None:
            todo.put(following)
            running += 1
            if len(threads) < concurrency:
                threads.append(threading.Thread(target=_work, args=(call, todo, done), daemon=True))
                threads[-1].start()
            if running == concurrency:
                failure = _collect(done, results, on_error)
                running -= 1
        while running:
            ended = _collect(done, results, on_error)
            failure = failure or ended
            running -= 1
    finally:
        for _ in threads:
            todo.put(None)
    if failure is not None:
        raise failure
    return [results[i] for i in range(len(results))]


def _work(call: Callable[[P], Any], todo: SimpleQueue[tuple[int, P] | None], done: SimpleQueue[Any]) -> None:
    while (item := todo.get()) is not None:
        number, prompt = item
        try:
            done.put((number, call(prompt), None))
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            done.put((number, None, error))


def _collect(
    done: SimpleQueue[tuple[int, Any, BaseException | None]], results: dict[int, Any], on_error: OnError
) -> BaseException | None:
    """Take in one outcome; return it if it is a failure that ends the work."""
    number, result, error = done.get()
    if error is not None and not (on_error == "return" and isinstance(error, GenkitError)):
        return error
    results[number] = result if error is None else error
    return None


async def amap_calls(
    call: Callable[[P], Awaitable[Any]], items: Iterable[P], *, concurrency: int, on_error: OnError
) -> list[Any]:
    """Call in tasks; with on_error="raise", the first failure cancels the others."""
    _check(items, concurrency, on_error)
    results: dict[int, Any] = {}
    numbered = enumerate(items)
    workers: list[asyncio.Task[None]] = []
    try:
        # Each begins with an item of its own, so that there are no more of them than items.
        while len(workers) < concurrency and (first := next(numbered, None)) is not None:
            work = _worker(call, chain((first,), numbered), results, on_error)
            workers.append(asyncio.create_task(work))
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [results[i] for i in range(len(results))]


async def _worker(
    call: Callable[[P], Awaitable[Any]], numbered: Iterator[tuple[int, P]], results: dict[int, Any], on_error: OnError
) -> None:
    for i, item in numbered:
        try:
            results[i] = await call(item)
        except GenkitError as error:
            if on_error == "raise":
                raise
            results[i] = error


def _check(items: object, concurrency: object, on_error: str) -> None:
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise ConfigError(f"prompts must be an iterable of prompts, not one {type(items).__name__}")
    if not isinstance(concurrency, int) or isinstance(concurrency, bool) or concurrency < 1:
        raise ConfigError(f"concurrency={concurrency!r:.80}: must be a whole number from 1")
    if on_error not in ("raise", "return"):
        raise ConfigError(f"on_error={on_error!r:.80}: must be 'raise' or 'return'")
