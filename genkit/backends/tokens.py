"""Tokens that expire: each is used until it ends, and replaced in the background before that.

Who needs a token while there is none waits for one fetch, which all share and each may stop waiting for. Whose tokens
they are is the business of a subclass: how one is fetched, and what its failure is called.
"""

from __future__ import annotations

import abc
import asyncio
import copy
import functools
import time
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from ..errors import GenkitError
from ..transport.waiting import HUNG_S, Shared

__all__ = ["Tokens"]

_Token = TypeVar("_Token")


class Tokens(abc.ABC, Generic[_Token]):
    """One identity's tokens.

    Attributes:
        early: Seconds before its end from which on a token is replaced.
        pause: Seconds between two attempts to replace a token that is still good.
    """

    early = 300.0
    pause = 30.0

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # A pair, replaced as a whole, so that threads need no lock.
        self._kept: tuple[_Token, float] | None = None
        self._refused: tuple[_Token, ...] = ()
        self._next = float("-inf")
        self._shared: Shared[_Token] = Shared(self._fetched, name="genkit-credential")
        self._tasks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[_Token]] = WeakKeyDictionary()

    @abc.abstractmethod
    def fetch(self) -> tuple[_Token, float]:
        """Return a new token and when it ends (Unix time); may block. Any exception is given to `failed`."""

    async def afetch(self) -> tuple[_Token, float]:
        """Async twin of `fetch`, for identities whose `awaits` is true."""
        raise NotImplementedError

    @property
    def awaits(self) -> bool:
        """Whether the identity is asynchronous; one that is not is asked in a thread."""
        return False

    @abc.abstractmethod
    def failed(self, error: Exception) -> GenkitError:
        """Return what to raise where no token could be fetched and the old one is over."""

    def held(self) -> tuple[_Token, float] | None:
        """Return the token that the identity itself has now, and when it ends; without waiting."""
        return None

    def ready(self) -> _Token | None:
        """Return the token at hand while it is good, without waiting; begin to replace it where it ends soon."""
        now = self._clock()
        kept = self._kept
        if kept is None or kept[1] - now <= self.early:
            # Somebody else may have replaced it where it came from.
            held = self.held()
            if held is not None and not self.refused(held[0]) and (kept is None or held[1] > kept[1]):
                kept = self._kept = held
        if kept is None or kept[1] <= now:
            return None
        if kept[1] - now <= self.early and now >= self._next:
            self._next = now + self.pause
            self._replace()
        return kept[0]

    def get(self) -> _Token:
        """Return a token, fetching one where there is none; may block.

        Raises:
            GenkitError: If there is none.
        """
        ready = self.ready()
        if ready is not None:
            return ready
        try:
            return self._shared.wait()
        except GenkitError as error:
            raise _own(error) from error.__cause__

    async def aget(self) -> _Token:
        """Async twin of `get`."""
        ready = self.ready()
        if ready is not None:
            return ready
        try:
            return await (asyncio.shield(self._task()) if self.awaits else self._shared.awaited())
        except GenkitError as error:
            raise _own(error) from error.__cause__

    def drop(self, token: _Token) -> bool:
        """Give up a token that the far end refused; return whether it was one of these, so that another may do."""
        kept = self._kept
        if kept is not None and kept[0] == token:
            self._refused = (*self._refused[-3:], token)
            self._kept = None
            return True
        return self.refused(token)

    def forget(self) -> None:
        """Give up the token at hand, whatever it is."""
        if self._kept is not None:
            self.drop(self._kept[0])

    def refused(self, token: _Token) -> bool:
        """Return whether the far end refused a token."""
        return token in self._refused

    def _replace(self) -> None:
        """Begin to fetch the next token; nobody waits for it."""
        if not self.awaits:
            self._shared.begin()
            return
        try:
            self._task()
        except RuntimeError:  # no event loop: the next call from one does it
            self._next = float("-inf")

    def _task(self) -> asyncio.Task[_Token]:
        """Return the fetch of the running event loop, beginning it where none is under way."""
        loop = asyncio.get_running_loop()
        task = self._tasks.get(loop)
        if task is None or task.done():
            task = self._tasks[loop] = loop.create_task(self._afetched())
            task.add_done_callback(functools.partial(self._done, loop))
        return task

    def _done(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[_Token]) -> None:
        # The entry would keep the loop alive; of a failure that all have stopped waiting for, Python would complain.
        self._tasks.pop(loop, None)
        if not task.cancelled():
            task.exception()

    def _fetched(self) -> _Token:
        try:
            found = self.fetch()
        except GenkitError:
            raise
        except Exception as error:  # a foreign credential; kept as the cause
            raise self.failed(error) from error
        self._kept = found
        return found[0]

    async def _afetched(self) -> _Token:
        try:
            async with asyncio.timeout(HUNG_S):
                found = await self.afetch()
        except GenkitError:
            raise
        except Exception as error:  # a foreign credential; kept as the cause
            raise self.failed(error) from error
        self._kept = found
        return found[0]


def _own(error: GenkitError) -> GenkitError:
    """Return a copy for one of several callers: each adds to it what it knows."""
    return copy.copy(error)
