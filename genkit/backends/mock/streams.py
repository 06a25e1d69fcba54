"""The streams of a mock: one answer piece by piece, with whatever the script lets go wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from ...errors import GenkitError, StreamClosed, StreamInterrupted, Transient
from ...events import fold, replay
from ...types import (
    Done,
    Event,
    Response,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from .script import Step, count, tokens

if TYPE_CHECKING:
    from .call import Call

__all__ = ["AsyncMockStream", "MockStream", "pieces"]

_ARGUMENTS_PIECE = 8


def pieces(response: Response[Any]) -> Iterator[Event]:
    """Yield the events of an answer: a delta for each token of text, and for every few characters of arguments."""
    for event in replay(response):
        match event:
            case TextDelta(index=index, text=text, candidate=candidate):
                for token in tokens(text):
                    yield TextDelta(index, token, candidate)
            case ThinkingDelta(index=index, text=text, candidate=candidate):
                for token in tokens(text):
                    yield ThinkingDelta(index, token, candidate)
            case ToolCallDelta(index=index, arguments=text, candidate=candidate):
                for at in range(0, len(text), _ARGUMENTS_PIECE):
                    yield ToolCallDelta(index, text[at : at + _ARGUMENTS_PIECE], candidate)
            case _:
                yield event


class _Reading:
    """What both streams share: which event comes next, how long to wait for it, and what an error carries."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._step: Step | None = None
        self._events: Iterator[Event] = iter(())
        self._seen: list[Event] = []
        self._over = False

    def partial(self) -> Response[Any]:
        """Return what has arrived so far."""
        call, seen = self._call, self._seen
        if seen and isinstance(seen[-1], Done):
            return seen[-1].response
        so_far = fold(seen)
        usage = Usage(input=call.prompt_tokens, output=sum(map(count, so_far.message.parts)), estimated=True)
        return so_far.model_copy(update={**call.facts(), "usage": usage, "timing": call.clock.timing()})

    def _before(self) -> tuple[float, GenkitError | None]:
        """Return how long the next event is away, and the error that comes instead."""
        if self._step is not None:
            return self._call.clock.pause(self._step.pace)
        self._step = self._call.begin()
        pause, late = self._call.clock.pause(self._step.delay)
        return pause, late

    def _after(self) -> Event:
        """Return the event that is due; raises where the script says so."""
        step, seen = self._step, self._seen
        assert step is not None
        if not seen:
            self._events = pieces(self._call.answer(step))
        if step.fails and len(seen) >= step.after:
            raise step.failure(begun=bool(seen))
        event = next(self._events)
        if isinstance(event, Done):
            if step.fails:
                raise step.failure(begun=bool(seen))
            event = Done(event.response.model_copy(update={"timing": self._call.clock.timing()}))
            self._over = True
        seen.append(event)
        self._call.clock.event()
        return event

    def _failed(self, error: GenkitError) -> GenkitError:
        """Give an error its facts, as a backend on the wire does."""
        self._over = True
        self._call.named(error)
        if not self._seen:
            return error
        partial = self.partial().model_copy(update={"complete": False})
        if isinstance(error, Transient) and isinstance(error, ConnectionError):
            cut = StreamInterrupted(
                f"the stream broke off: {error.message}; what arrived is in .response",
                backend=error.backend,
                request_id=error.request_id,
                sent=True,
                response=partial,
            )
            cut.__cause__ = error
            return cut
        error.response = error.response or partial
        return error


_CLOSED = "the stream was closed while it was being read"


class MockStream(_Reading):
    """A stream of scripted events. `close()` may be called from another thread; a waiting reader then ends at once."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._over or self._closed.is_set():
            raise StopIteration
        try:
            pause, late = self._before()
            if pause and self._closed.wait(pause):
                raise StreamClosed(_CLOSED, sent=True)
            if late:
                raise late
            return self._after()
        except GenkitError as error:
            failed = self._failed(error)
            raise failed from failed.__cause__ or error.__cause__

    def close(self) -> None:
        """End the stream; twice is fine."""
        self._closed.set()


class AsyncMockStream(_Reading):
    """Async twin of `MockStream`. `aclose()` may be called from another task."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._closed = asyncio.Event()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._over or self._closed.is_set():
            raise StopAsyncIteration
        try:
            pause, late = self._before()
            if await self._closes_within(pause):
                raise StreamClosed(_CLOSED, sent=True)
            if late:
                raise late
            return self._after()
        except GenkitError as error:
            failed = self._failed(error)
            raise failed from failed.__cause__ or error.__cause__
        except asyncio.CancelledError:
            self._over = True
            raise

    async def _closes_within(self, pause: float) -> bool:
        if not pause:
            # Other tasks get their turn between two events, as they do while a socket is read.
            await asyncio.sleep(0)
            return self._closed.is_set()
        try:
            async with asyncio.timeout(pause):
                return await self._closed.wait()
        except TimeoutError:
            return False

    async def aclose(self) -> None:
        """End the stream; twice is fine."""
        self._closed.set()
