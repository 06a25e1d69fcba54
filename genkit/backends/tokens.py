"""Tokens that expire: kept until shortly before, fetched by one caller at a time, off the event loop.

Whose tokens they are is the business of a subclass: how one is fetched, and what its failure is called.
"""

from __future__ import annotations

import abc
import asyncio
import threading
import time
from collections.abc import Callable
from weakref import WeakKeyDictionary

from ..errors import GenkitError
from ..transport.waiting import in_thread

__all__ = ["Tokens"]


class Tokens(abc.ABC):
    """One identity's tokens.

    Attributes:
        early: Seconds before its end from which on a token is replaced.
    """

    early = 300.0

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()
        self._token = ""
        self._expires = 0.0

    @abc.abstractmethod
    def fetch(self) -> tuple[str, float]:
        """Return a new token and when it ends (Unix time); may block. Any exception is given to `refused`."""

    async def afetch(self) -> tuple[str, float]:
        """Async twin of `fetch`, for identities whose `awaits` is true."""
        raise NotImplementedError

    @property
    def awaits(self) -> bool:
        """Whether the identity is asynchronous; one that is not is asked in a worker thread."""
        return False

    @abc.abstractmethod
    def refused(self, error: Exception) -> GenkitError:
        """Return what to raise where no token could be fetched and the old one is over."""

    def ready(self) -> str | None:
        """Return the token at hand if it will last, without waiting."""
        return self._token if self._token and self._clock() < self._expires - self.early else None

    def get(self) -> str:
        """Return a token, fetching one where needed; may block.

        Raises:
            GenkitError: If there is none.
        """
        with self._lock:
            ready = self.ready()
            if ready is not None:
                return ready
            try:
                self._token, self._expires = self.fetch()
            except GenkitError:
                raise
            except Exception as error:  # noqa: BLE001  # a foreign credential; kept as the cause
                return self._old(error)
            return self._token

    async def aget(self) -> str:
        """Async twin of `get`."""
        ready = self.ready()
        if ready is not None:
            return ready
        if not self.awaits:
            return await in_thread(self.get, name="genkit-credential")
        async with self._loops.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            ready = self.ready()
            if ready is not None:
                return ready
            try:
                self._token, self._expires = await self.afetch()
            except GenkitError:
                raise
            except Exception as error:  # noqa: BLE001  # a foreign credential; kept as the cause
                return self._old(error)
            return self._token

    def _old(self, error: Exception) -> str:
        """Return the old token while it is good; a renewal that fails early does no harm."""
        if self._token and self._clock() < self._expires:
            return self._token
        raise self.refused(error) from error
