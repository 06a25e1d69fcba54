"""Several requests of one call at the same time, where a vendor takes only so much in each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

__all__ = ["AT_ONCE", "together"]

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")

AT_ONCE = 8
"""Enough that waiting is not the longest part, and few enough that nobody takes them for an attack."""


async def together(
    work: Callable[[_Item], Awaitable[_Done]], items: Sequence[_Item], *, at_once: int = AT_ONCE
) -> list[_Done]:
    """Return what the work gives for each item, in the order of the items.

    The first failure is raised after all that is under way was cancelled, and so is a cancellation; what has not begun
    then never does.

    Args:
        work: Is awaited once for each item.
        items: At least one.
        at_once: How many may be under way.
    """
    if len(items) == 1:
        return [await work(items[0])]
    found: dict[int, _Done] = {}
    waiting = iter(enumerate(items))

    async def take() -> None:
        for at, item in waiting:
            found[at] = await work(item)

    tasks = [asyncio.create_task(take()) for _ in range(min(at_once, len(items)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [found[at] for at in range(len(items))]
