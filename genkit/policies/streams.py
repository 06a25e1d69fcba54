"""Streams under way: one thin layer between a backend's events and the reader, however many policies there are.

It settles the attempt exactly once, whichever way the stream ends: whole, broken, or left.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

from typing_extensions import override

from ..backends.base import AnyRequest
from ..errors import GenkitError, StreamClosed, StreamInterrupted
from ..events import fold
from ..types import CallWarning, Done, Event, Request, Response, Text, Usage
from .dropped import later

__all__ = ["AsyncLive", "Attempt", "Control", "Live", "Observer", "beside", "settle_all"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that reached a backend, after it ended.

    Attributes:
        outcome: "completed"; "failed" with `error`; or "left", when the caller went away before the end.
        result: The response (or embeddings, scores), as far as there is one.
        usage: What it is known to have used; an estimate, marked so, when it ended before the vendor counted.
    """

    backend: str
    request: AnyRequest
    outcome: Literal["completed", "failed", "left"]
    result: Any = None
    error: BaseException | None = None
    usage: Usage = field(default_factory=Usage)


Observer: TypeAlias = Callable[[Attempt], None]


def settle_all(observers: tuple[Observer, ...], attempt: Attempt) -> None:
    """Tell every observer, innermost first; a failing one does not keep the others from hearing."""
    failed: BaseException | None = None
    for observe in reversed(observers):
        try:
            observe(attempt)
        except BaseException as error:  # noqa: BLE001  # re-raised below
            failed = failed or error
    if failed is not None:
        raise failed


@contextlib.contextmanager
def beside(error: BaseException) -> Iterator[None]:
    """Keep what an observer raises from taking the place of the `error` it was told of; it becomes a note there."""
    try:
        yield
    except Exception as trouble:  # noqa: BLE001  # an observer may fail as it likes
        error.add_note(f"an observer of the call failed too: {type(trouble).__name__}: {trouble}")


def failed_attempt(backend: str, request: AnyRequest, error: BaseException) -> Attempt | None:
    """Return how an attempt ended that raised; None when it never reached the wire."""
    if isinstance(error, GenkitError):
        if not error.sent:
            return None
        if isinstance(error, StreamClosed):
            return Attempt(backend, request, "left", error=error, usage=estimate(request, error.response))
        return Attempt(backend, request, "failed", error.response, error, estimate(request, error.response))
    outcome: Literal["failed", "left"] = "failed" if isinstance(error, Exception) else "left"
    return Attempt(backend, request, outcome, error=error, usage=estimate(request, None))


def estimate(request: AnyRequest, response: Response[Any] | None) -> Usage:
    """Return the usage of an answer that was cut short: the vendor's count if it arrived, else 4 characters a token."""
    known = response.usage if response is not None else Usage()
    if known.total is not None:
        return known
    if not isinstance(request, Request):
        return Usage(estimated=True)
    asked = sum(len(part.text) for message in request.messages for part in message.parts if isinstance(part, Text))
    got = len(response.text) if response is not None else 0
    thought = len(response.thinking) if response is not None else 0
    guesses = {"input": -(-asked // 4), "output": -(-got // 4), "reasoning": -(-thought // 4)}
    if response is not None and known.reasoning == 0 and thought:
        known = replace(known, reasoning=None)
    filled: dict[str, Any] = {name: guess for name, guess in guesses.items() if getattr(known, name) is None}
    return replace(known, **filled, estimated=True)


class Closable(Protocol):
    """What can be ended from another thread."""

    def close(self) -> None: ...


class Control:
    """Lets another thread end a call that is still opening its stream, or waiting to."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._current: Closable | None = None

    def watch(self, current: Closable) -> None:
        """Make `current` what `close` closes."""
        self._current = current
        if self.closed.is_set():
            current.close()

    def close(self) -> None:
        """End what is running now, and whatever would come after."""
        self.closed.set()
        if self._current is not None:
            self._current.close()


class _Ending:
    """What the sync and the async stream share: how an attempt ends, told once."""

    _ended = True  # until there is something to end

    def __init__(self, source: Any, backend: str, request: AnyRequest, observers: tuple[Observer, ...]) -> None:
        self._source = source
        self._backend = backend
        self._request = request
        self._observers = observers
        self._after: list[Callable[[], None]] = []
        self._notes: list[CallWarning] = []
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._ended = False
        self._seen: list[Event] | None = None if hasattr(source, "partial") else []
        self._first: Event | None = None
        self._closed = False
        self._begun = False
        self.response: Response[Any] | None = None

    def __del__(self) -> None:
        # A forked child leaves the stream to its parent.
        if not self._ended and self._process == os.getpid():
            later(self._abandon)

    def _abandon(self) -> None:
        """Leave a stream that nobody reads any more; runs in a thread of its own."""
        raise NotImplementedError

    def note(self, warning: CallWarning) -> None:
        """Add a warning to the response that will end the stream."""
        self._notes.append(warning)

    def on_end(self, action: Callable[[], None]) -> None:
        """Call `action` once when the stream is over, however it ends; at once if it is already."""
        with self._lock:
            if not self._ended:
                self._after.append(action)
                return
        action()

    def _partial(self) -> Response[Any]:
        if self.response is not None:
            return self.response
        return self._cut(self._source.partial() if self._seen is None else fold(self._seen))

    def _cut(self, partial: Response[Any]) -> Response[Any]:
        """Mark a response as cut short, with what is known here beside it."""
        usage = estimate(self._request, partial)
        warnings = (*partial.warnings, *self._notes)
        return partial.model_copy(update={"complete": False, "usage": usage, "warnings": warnings})

    def _done(self, event: Done) -> Done:
        if self._notes:
            warnings = (*event.response.warnings, *self._notes)
            event = Done(event.response.model_copy(update={"warnings": warnings}))
        self.response = event.response
        self._end(Attempt(self._backend, self._request, "completed", event.response, usage=event.response.usage))
        return event

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, GenkitError) and error.response is not None:
            error.response = self.response = self._cut(error.response)
        else:
            self.response = self._partial()
            if isinstance(error, GenkitError) and self.response.message.parts:
                error.response = self.response
        with beside(error):
            self._end(failed_attempt(self._backend, self._request, error))

    def _leave(self) -> None:
        self.response = partial = self._partial()
        attempt = Attempt(self._backend, self._request, "left", partial, usage=partial.usage)
        self._end(attempt if self._begun else None)

    def _end(self, attempt: Attempt | None) -> None:
        with self._lock:
            if self._ended:
                return
            self._ended = True
            after, self._after = self._after, []
        try:
            if attempt is not None:
                settle_all(self._observers, attempt)
        finally:
            for action in after:
                action()

    @property
    def _whole(self) -> bool:
        return self.response is not None and self.response.complete

    def _without_done(self) -> GenkitError:
        if self._closed:
            message = "the stream was closed while it was being read"
            return StreamClosed(message, backend=self._backend, sent=self._begun)
        return StreamInterrupted(
            "the stream ended without its Done event; what arrived is in .response",
            backend=self._backend,
            sent=True,
            response=self._partial(),
        )


class Live(_Ending):
    """The events of one running stream. `close()` may be called from another thread."""

    def prime(self) -> None:
        """Wait for the first event, so that early failures happen where they can still be repeated."""
        self._first = next(self)

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if self._first is not None:
            event, self._first = self._first, None
            return event
        if self._closed and not self._whole:
            raise self._without_done()
        self._begun = True
        try:
            event = next(self._source)
        except StopIteration:
            if self._ended and (self._whole or not self._closed):
                raise
            error = self._without_done()
            self._fail(error)
            raise error from None
        except BaseException as error:
            self._fail(error)
            raise
        if self._closed:
            self.close()
            raise self._without_done()
        if self._seen is not None:
            self._seen.append(event)
        return self._done(event) if type(event) is Done else event

    def close(self) -> None:
        """Leave the stream; twice is fine."""
        self._first = None
        self._closed = True
        close = getattr(self._source, "close", None)
        if close is not None:
            try:
                close()
            except ValueError:
                # A plain generator that another thread is running; the reader ends at its next event.
                return
        if not self._ended:
            self._leave()

    @override
    def _abandon(self) -> None:
        self.close()


# The loop itself holds its tasks weakly.
_closing: set[asyncio.Future[None]] = set()


class AsyncLive(_Ending):
    """Async twin of `Live`."""

    def __init__(self, source: Any, backend: str, request: AnyRequest, observers: tuple[Observer, ...]) -> None:
        super().__init__(source, backend, request, observers)
        self._loop = asyncio.get_running_loop()

    async def prime(self) -> None:
        """Wait for the first event."""
        self._first = await self.__anext__()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._first is not None:
            event, self._first = self._first, None
            return event
        if self._closed and not self._whole:
            raise self._without_done()
        self._begun = True
        try:
            event = await self._source.__anext__()
        except StopAsyncIteration:
            if self._ended and (self._whole or not self._closed):
                raise
            error = self._without_done()
            self._fail(error)
            raise error from None
        except GeneratorExit:
            # The task was dropped with its event loop: this runs in a finaliser.
            later(self._abandon)
            raise
        except BaseException as error:
            self._fail(error)
            if isinstance(error, asyncio.CancelledError):
                await self._close_source()
            raise
        if self._closed:
            await self._close_source()
            raise self._without_done()
        if self._seen is not None:
            self._seen.append(event)
        return self._done(event) if type(event) is Done else event

    async def aclose(self) -> None:
        """Leave the stream; twice is fine."""
        self._first = None
        self._closed = True
        try:
            await self._close_source()
        finally:
            if not self._ended:
                self._leave()

    @override
    def _abandon(self) -> None:
        try:
            self._leave()
        finally:
            # A loop that is closed has closed what ran on it.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._close_soon)

    def _close_soon(self) -> None:
        task = asyncio.ensure_future(self._close_source())
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    async def _close_source(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is None:
            return
        try:
            await close()
        except RuntimeError as error:
            # A plain async generator that another task is running; that task ends it.
            if "already running" not in str(error):
                raise
