"""Small backends that do what a test tells them, and record what happened to them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from typing_extensions import override

from genkit.backends import Backend
from genkit.errors import ServerError
from genkit.events import replay
from genkit.policies import Attempt, Policy
from genkit.types import Event, Features, Message, Request, Response, Settings, Usage

REQUEST = Request(model="m", messages=(Message.user("four five"),))


def request(**settings: Any) -> Request:
    return REQUEST.model_copy(update={"settings": Settings(**settings)})


def answer(text: str = "hello") -> Response[Any]:
    return Response(message=Message.assistant(text), finish="stop", usage=Usage(input=1, output=2), model="m")


class Scripted(Backend):
    """Gives one outcome per call: a response, or an error to raise; in streams an error may come after some events."""

    name = "scripted"

    def __init__(self, *outcomes: Response[Any] | BaseException, after: int = 0) -> None:
        self.outcomes = list(outcomes)
        self.after = after
        self.requests: list[Any] = []
        self.closed_streams = 0
        self.lock = threading.Lock()

    def _next(self, asked: Any) -> Response[Any] | BaseException:
        with self.lock:
            self.requests.append(asked)
            return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]

    @override
    def features(self, model: str) -> Features:
        return Features()

    @override
    def generate(self, request: Request) -> Response[Any]:
        outcome = self._next(request)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @override
    async def agenerate(self, request: Request) -> Response[Any]:
        return self.generate(request)

    @override
    def stream(self, request: Request) -> Iterator[Event]:
        outcome = self._next(request)
        try:
            if isinstance(outcome, BaseException):
                yield from list(replay(answer()))[: self.after]
                raise outcome
            yield from replay(outcome)
        finally:
            self.closed_streams += 1

    @override
    async def astream(self, request: Request) -> AsyncIterator[Event]:
        outcome = self._next(request)
        try:
            if isinstance(outcome, BaseException):
                for event in list(replay(answer()))[: self.after]:
                    yield event
                raise outcome
            for event in replay(outcome):
                yield event
        finally:
            self.closed_streams += 1


class Watch(Policy):
    """Records each settled attempt."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.attempts: list[Attempt] = []

    @override
    def settle(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    @property
    def outcomes(self) -> list[str]:
        return [attempt.outcome for attempt in self.attempts]


def failure(**facts: Any) -> ServerError:
    return ServerError("it failed", status=500, sent=True, **facts)


# The four ways to ask, as one shape: ask(backend) -> final response, or raises.


def ask(backend: Policy, asked: Request = REQUEST) -> Response[Any]:
    return backend.generate(asked)


def ask_async(backend: Policy, asked: Request = REQUEST) -> Response[Any]:
    return asyncio.run(backend.agenerate(asked))


def ask_stream(backend: Policy, asked: Request = REQUEST) -> Response[Any]:
    live = backend.open(asked, None)
    try:
        for _ in live:
            pass
    finally:
        live.close()
    assert live.response is not None
    return live.response


def ask_async_stream(backend: Policy, asked: Request = REQUEST) -> Response[Any]:
    async def run() -> Response[Any]:
        live = await backend.aopen(asked)
        try:
            async for _ in live:
                pass
        finally:
            await live.aclose()
        assert live.response is not None
        return live.response

    return asyncio.run(run())


WAYS: list[Callable[..., Response[Any]]] = [ask, ask_async, ask_stream, ask_async_stream]
STREAMS: list[Callable[..., Response[Any]]] = [ask_stream, ask_async_stream]
