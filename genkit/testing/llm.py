"""An `LLM` that answers from a script."""

from __future__ import annotations

from typing import Unpack

from ..backends.mock import Mock, Reply
from ..errors import ConfigError, GenkitError
from ..llm import LLM, Options
from ..types import Request

__all__ = ["MockLLM"]


class MockLLM(LLM):
    """An `LLM` over a `Mock` of its own, with the script at hand.

    Whatever `with_` makes of it answers from the same script, and is recorded in the same `calls`.

    Args:
        model: The model's name in requests.
        options: As for `LLM`.

    Example:
        >>> llm = MockLLM()
        >>> llm.reply("Hello")
        >>> llm.generate("Say hello").text
        'Hello'
        >>> llm.calls[0].messages[-1].text
        'Say hello'
    """

    __slots__ = ()

    def __init__(self, model: str | None = None, **options: Unpack[Options]) -> None:
        options.setdefault("backend", Mock())
        super().__init__(model or "mock", **options)

    @property
    def mock(self) -> Mock:
        """The backend; it can also be given to other `LLM`s: `LLM(backend=mock_llm.mock)`."""
        backend = self._core.connection.backend
        if not isinstance(backend, Mock):
            raise ConfigError(f"{self.model} is no mock any more: it was made with another model or backend")
        return backend

    def reply(self, *replies: Reply, delay: float = 0.0, pace: float = 0.0) -> None:
        """Answer the next calls, one reply each: see `Mock.reply`."""
        self.mock.reply(*replies, delay=delay, pace=pace)

    def reply_always(self, reply: Reply, *, delay: float = 0.0, pace: float = 0.0) -> None:
        """Answer every call for which nothing else is scripted: see `Mock.reply_always`."""
        self.mock.reply_always(reply, delay=delay, pace=pace)

    def fail(
        self, error: GenkitError, *, times: int = 1, after: int = 0, reply: Reply | None = None, delay: float = 0.0
    ) -> None:
        """Let the next calls fail: see `Mock.fail`."""
        self.mock.fail(error, times=times, after=after, reply=reply, delay=delay)

    def cut(self, *, after: int = 2, times: int = 1, reply: Reply | None = None, delay: float = 0.0) -> None:
        """Let the connection of the next calls break: see `Mock.cut`."""
        self.mock.cut(after=after, times=times, reply=reply, delay=delay)

    @property
    def calls(self) -> tuple[Request, ...]:
        """Every request for an answer so far, in order; each try counts."""
        return self.mock.calls
