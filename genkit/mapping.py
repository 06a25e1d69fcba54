"""The same call over many prompts: bounded, in order, reading its input no faster than it works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Literal, TypeVar

from .errors import ConfigError, GenkitError

__all__ = ["amap_calls", "map_calls"]

P = TypeVar("P")
OnError = Literal["raise", "return"]


def map_calls(call: Callable[[P], Any], items: Iterable[P], *, concurrency: int, on_error: OnError) -> list[Any]:
    """Call in threads; the first failure stops new calls, and is raised when the running ones are over."""
    _check(concurrency, on_error)
    results: dict[int, Any] = {}
    waiting: dict[Future[Any], int] = {}
    numbered = enumerate(items)
    with ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="genkit-map") as pool:
        more = True
        while more or waiting:
            while more and len(waiting) < concurrency:
                following = next(numbered, None)
                if following is None:
                    more = False
                else:
                    waiting[pool.submit(call, following[1])] = following[0]
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                results[waiting.pop(future)] = _outcome(future, on_error)
    return [results[i] for i in range(len(results))]


def _outcome(future: Future[Any], on_error: OnError) -> Any:
    try:
        return future.result()
    except GenkitError as error:
        if on_error == "raise":
            raise
        return error


async def amap_calls(
    call: Callable[[P], Awaitable[Any]], items: Iterable[P], *, concurrency: int, on_error: OnError
) -> list[Any]:
    """Call in tasks; with on_error="raise", the first failure cancels the others."""
    _check(concurrency, on_error)
    results: dict[int, Any] = {}
    numbered = enumerate(items)
    workers = [asyncio.create_task(_worker(call, numbered, results, on_error)) for _ in range(concurrency)]
    try:
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


def _check(concurrency: int, on_error: str) -> None:
    if concurrency < 1:
        raise ConfigError(f"concurrency={concurrency}: at least one call must be able to run")
    if on_error not in ("raise", "return"):
        raise ConfigError(f"on_error={on_error!r}: must be 'raise' or 'return'")
