"""What users hold while an answer streams: `with llm.stream(...) as s`.

The context manager is what closes the connection, so that a stream that is left stops costing money. Nothing is sent
before it is entered.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .errors import ConfigError, StreamClosed
from .types import Event, Response, TextDelta, ThinkingDelta

if TYPE_CHECKING:
    from .policies import AsyncLive, Control, Live

__all__ = ["AsyncStream", "Stream"]

_UNENTERED = (
    "a stream must be entered by 'with', as in 'with llm.stream(...) as s', so that it is closed when it is left"
)
_CLOSED = "the stream was closed while it was being opened"
_CLOSING = "closing the stream failed too: {}: {}"
_UNFINISHED = (
    "the stream is not over, so it has no response yet: read it to its end, or leave the 'with' block; "
    "a stream that was left has the partial response"
)


class Stream:
    """One answer as it arrives: `text` for the pieces of text, `events` for everything; afterwards `response`."""

    def __init__(self, open_: Callable[[Control], Live], control: Control) -> None:
        self._open = open_
        self._control = control
        self._live: Live | None = None
        self._entered = False

    def __enter__(self) -> Self:
        self._entered = True
        if self._live is None:
            self._live = self._open(self._control)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception as trouble:
            if error is None:
                raise
            error.add_note(_CLOSING.format(type(trouble).__name__, trouble))

    @property
    def events(self) -> Iterator[Event]:
        """All events, typed, `Done` last."""
        return self._running()

    @property
    def text(self) -> Iterator[str]:
        """The pieces of text of the (first) answer."""
        return (event.text for event in self._running() if type(event) is TextDelta and not event.candidate)

    @property
    def thinking(self) -> Iterator[str]:
        """The pieces of the model's reasoning, as far as it is shown."""
        return (event.text for event in self._running() if type(event) is ThinkingDelta and not event.candidate)

    def __iter__(self) -> Iterator[Event]:
        return self._running()

    @property
    def response(self) -> Response[Any]:
        """The whole response, once the stream is over; of a stream that was left or broke, what had arrived."""
        if self._live is None or self._live.response is None:
            raise ConfigError(_UNFINISHED)
        return self._live.response

    def close(self) -> None:
        """Leave the stream and close its connection. Any thread may call it; a reader then gets `StreamClosed`."""
        self._control.close()

    def _running(self) -> Live:
        if not self._entered:
            warnings.warn(_UNENTERED, ResourceWarning, stacklevel=3)
        if self._live is None:
            self.__enter__()
        assert self._live is not None
        return self._live

    def __del__(self) -> None:
        if not self._entered:
            warnings.warn(_UNENTERED, ResourceWarning, stacklevel=2, source=self)


class AsyncStream:
    """Async twin of `Stream`: `async with llm.astream(...) as s`, `async for piece in s.text`."""

    def __init__(self, open_: Callable[[], Awaitable[AsyncLive]]) -> None:
        self._open = open_
        self._live: AsyncLive | None = None
        self._entered = False
        self._closed = False
        self._opener: Any = None

    async def __aenter__(self) -> Self:
        self._entered = True
        if self._closed:
            raise StreamClosed(_CLOSED)
        if self._live is None:
            asyncio: Any = import_module("asyncio")
            self._opener = asyncio.current_task()
            try:
                self._live = await self._open()
            except asyncio.CancelledError:
                if not self._closed:
                    raise
                self._opener.uncancel()
                raise StreamClosed(_CLOSED, sent=True) from None
            finally:
                self._opener = None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.aclose()
        except Exception as trouble:
            if error is None:
                raise
            error.add_note(_CLOSING.format(type(trouble).__name__, trouble))

    @property
    def events(self) -> AsyncIterator[Event]:
        """All events, typed, `Done` last."""
        return self._running()

    @property
    def text(self) -> AsyncIterator[str]:
        """The pieces of text of the (first) answer."""
        return (event.text async for event in self._running() if type(event) is TextDelta and not event.candidate)

    @property
    def thinking(self) -> AsyncIterator[str]:
        """The pieces of the model's reasoning, as far as it is shown."""
        return (event.text async for event in self._running() if type(event) is ThinkingDelta and not event.candidate)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._running()

    @property
    def response(self) -> Response[Any]:
        """The whole response, once the stream is over; of a stream that was left or broke, what had arrived."""
        if self._live is None or self._live.response is None:
            raise ConfigError(_UNFINISHED)
        return self._live.response

    async def aclose(self) -> None:
        """Leave the stream and close its connection; another task's reader then gets `StreamClosed`."""
        self._closed = True
        if self._live is not None:
            await self._live.aclose()
        elif self._opener is not None:
            self._opener.cancel()

    def _running(self) -> AsyncLive:
        if self._live is None:
            raise ConfigError(_UNENTERED.replace("'with", "'async with").replace("llm.stream", "llm.astream"))
        return self._live

    def __del__(self) -> None:
        if not self._entered:
            warnings.warn(_UNENTERED.replace("'with", "'async with"), ResourceWarning, stacklevel=2, source=self)
