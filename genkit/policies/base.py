"""What a policy is: a generator of effects, and the drivers that carry them out.

`flow` yields `Call`, `Sleep` or `Wait` and is sent what came of it (an exception is thrown in). Four drivers, sync and
async, plain and streaming, do the rest: they are the only place where policies meet I/O.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol, TypeAlias

from typing_extensions import override

from ..backends.base import AnyRequest, Backend
from ..backends.waiting import remaining, within
from ..errors import StreamClosed
from ..events import replay
from ..types import (
    CallWarning,
    Embeddings,
    EmbedRequest,
    Event,
    Features,
    Health,
    Plan,
    Request,
    Response,
    Score,
    ScoreRequest,
)
from .dropped import later
from .streams import AsyncLive, Attempt, Control, Live, Observer, beside, failed_attempt, settle_all

__all__ = ["Attempt", "Call", "Effect", "Flow", "Policy", "Sleep", "Wait", "remaining", "within"]


@dataclass(frozen=True, slots=True)
class Call:
    """Ask `backend`; the outcome is a response, or an opened stream whose first event has arrived."""

    backend: Backend
    request: AnyRequest


@dataclass(frozen=True, slots=True)
class Sleep:
    """Let time pass."""

    seconds: float


class Ticket(Protocol):
    """A place in a queue, for threads and tasks alike."""

    def wait(self, timeout: float | None) -> bool: ...
    async def await_(self, timeout: float | None) -> bool: ...  # noqa: ASYNC109
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until a ticket comes up, at most `timeout` seconds; the outcome says whether it did."""

    ticket: Ticket
    timeout: float | None = None


Effect: TypeAlias = Call | Sleep | Wait
# Any is whatever Call produced. A flow passes it on; only a Response may be made up (a cache hit); a stream replays it.
Flow: TypeAlias = Generator[Effect, Any, Any]


@dataclass(frozen=True, slots=True)
class _Run:
    """One call on its way through the policies: what to do at the end, who hears of it, who may stop it."""

    do: Callable[[Backend, Any], Any]
    streaming: bool = False
    observers: tuple[Observer, ...] = ()
    control: Control | None = None


class Policy(Backend):
    """Base of all policies: override `flow`, or `settle`, or both."""

    name: ClassVar[str] = "policy"  # type: ignore[misc]  # a constant here

    def __init__(self, inner: Backend) -> None:
        self.inner = inner

    def flow(self, request: AnyRequest) -> Flow:
        """Say what to do for `request`; the default passes it on."""
        return (yield Call(self.inner, request))

    def settle(self, attempt: Attempt) -> None:
        """Hear of each attempt below that reached the wire, exactly once, when it is over."""

    @override
    def features(self, model: str) -> Features:
        return self.inner.features(model)

    @override
    def plan(self, request: Request, *, stream: bool = False) -> Plan:
        return self.inner.plan(request, stream=stream)

    @override
    def check(self, request: Request) -> tuple[CallWarning, ...]:
        return self.inner.check(request)

    @override
    def health(self, *, online: bool = True, model: str | None = None) -> Health:
        return self.inner.health(online=online, model=model)

    @override
    def close(self) -> None:
        self.inner.close()

    @override
    async def aclose(self) -> None:
        await self.inner.aclose()

    # ------------------------------------------------------------ the ways to ask

    @override
    def generate(self, request: Request) -> Response[Any]:
        answer: Response[Any] = self._drive(_Run(_GENERATE), request)
        return answer

    @override
    async def agenerate(self, request: Request) -> Response[Any]:
        answer: Response[Any] = await self._adrive(_Run(_AGENERATE), request)
        return answer

    @override
    def stream(self, request: Request) -> Iterator[Event]:
        return self.open(request, None)

    @override
    def astream(self, request: Request) -> AsyncIterator[Event]:
        return self._astream(request)

    async def _astream(self, request: Request) -> AsyncIterator[Event]:
        live = await self.aopen(request)
        try:
            async for event in live:
                yield event
        finally:
            await live.aclose()

    @override
    def embed(self, request: EmbedRequest) -> Embeddings:
        answer: Embeddings = self._drive(_Run(lambda backend, asked: backend.embed(asked)), request)
        return answer

    @override
    async def aembed(self, request: EmbedRequest) -> Embeddings:
        answer: Embeddings = await self._adrive(_Run(lambda backend, asked: backend.aembed(asked)), request)
        return answer

    @override
    def score(self, request: ScoreRequest) -> tuple[Score, ...]:
        scores: tuple[Score, ...] = self._drive(_Run(lambda backend, asked: backend.score(asked)), request)
        return scores

    @override
    async def ascore(self, request: ScoreRequest) -> tuple[Score, ...]:
        scores: tuple[Score, ...] = await self._adrive(_Run(lambda backend, asked: backend.ascore(asked)), request)
        return scores

    @override
    def count_tokens(self, request: Request) -> int:
        count: int = self._drive(_Run(lambda backend, asked: backend.count_tokens(asked)), request)
        return count

    @override
    async def acount_tokens(self, request: Request) -> int:
        count: int = await self._adrive(_Run(lambda backend, asked: backend.acount_tokens(asked)), request)
        return count

    def open(self, request: Request, control: Control | None) -> Live:
        """Open a stream and wait for its first event; `control` may end that from another thread."""
        live: Live = self._drive(_Run(_STREAM, streaming=True, control=control), request)
        return live

    async def aopen(self, request: Request) -> AsyncLive:
        """Async twin of `open`; cancelling the task ends it."""
        live: AsyncLive = await self._adrive(_Run(_ASTREAM, streaming=True), request)
        return live

    # ------------------------------------------------------------ drivers

    def _within(self, run: _Run) -> _Run:
        if type(self).settle is Policy.settle:
            return run
        return replace(run, observers=(*run.observers, self.settle))

    def _drive(self, run: _Run, request: AnyRequest) -> Any:
        """Carry out the flow with blocking I/O."""
        run = self._within(run)
        flow = self.flow(request)
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = _perform(run, effect)
                except BaseException as error:  # noqa: BLE001  # the flow decides, and cleans up
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as stop:
            if run.streaming and isinstance(stop.value, Response):
                live = Live(replay(stop.value), "", request, ())
                if run.control is not None:
                    run.control.watch(live)
                return live
            return stop.value

    async def _adrive(self, run: _Run, request: AnyRequest) -> Any:
        """Carry out the flow with awaits."""
        run = self._within(run)
        flow = self.flow(request)
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = await _aperform(run, effect)
                except BaseException as error:  # noqa: BLE001  # the flow decides, and cleans up
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as stop:
            if run.streaming and isinstance(stop.value, Response):
                return AsyncLive(_areplay(stop.value), "", request, ())
            return stop.value


_GENERATE: Callable[[Backend, Any], Any] = lambda backend, asked: backend.generate(asked)  # noqa: E731
_AGENERATE: Callable[[Backend, Any], Any] = lambda backend, asked: backend.agenerate(asked)  # noqa: E731
_STREAM: Callable[[Backend, Any], Any] = lambda backend, asked: backend.stream(asked)  # noqa: E731
_ASTREAM: Callable[[Backend, Any], Any] = lambda backend, asked: backend.astream(asked)  # noqa: E731


def _perform(run: _Run, effect: Effect) -> Any:
    match effect:
        case Call(Policy() as policy, request):
            return policy._drive(run, request)  # noqa: SLF001  # a policy drives the policies below
        case Call(backend, request):
            return _open(run, backend, request) if run.streaming else _attempt(run, backend, request)
        case Sleep(seconds):
            if run.control is None:
                time.sleep(seconds)
            elif run.control.closed.wait(seconds):
                raise StreamClosed("the stream was closed while waiting to be opened")
            return None
        case Wait(ticket, timeout):
            if run.control is None:
                return ticket.wait(timeout)
            run.control.watch(ticket)
            came_up = ticket.wait(timeout)
            if run.control.closed.is_set():
                raise StreamClosed("the stream was closed while waiting to be opened")
            return came_up


def _attempt(run: _Run, backend: Backend, request: AnyRequest) -> Any:
    try:
        result = run.do(backend, request)
    except BaseException as error:
        _settle_failure(run, backend, request, error)
        raise
    if run.observers:
        settle_all(run.observers, _completed(backend, request, result))
    return result


def _open(run: _Run, backend: Backend, request: AnyRequest) -> Live:
    live = Live(run.do(backend, request), backend.name, request, run.observers)
    if run.control is not None:
        run.control.watch(live)
    live.prime()
    return live


async def _aperform(run: _Run, effect: Effect) -> Any:
    match effect:
        case Call(Policy() as policy, request):
            return await policy._adrive(run, request)  # noqa: SLF001  # a policy drives the policies below
        case Call(backend, request):
            return await (_aopen(run, backend, request) if run.streaming else _aattempt(run, backend, request))
        case Sleep(seconds):
            await asyncio.sleep(seconds)
            return None
        case Wait(ticket, timeout):
            return await ticket.await_(timeout)


async def _aattempt(run: _Run, backend: Backend, request: AnyRequest) -> Any:
    work: Awaitable[Any] = run.do(backend, request)
    try:
        result = await work
    except GeneratorExit as error:
        # The task was dropped with its event loop: this runs in a finaliser.
        later(partial(_settle_failure, run, backend, request, error))
        raise
    except BaseException as error:
        _settle_failure(run, backend, request, error)
        raise
    if run.observers:
        settle_all(run.observers, _completed(backend, request, result))
    return result


async def _aopen(run: _Run, backend: Backend, request: AnyRequest) -> AsyncLive:
    live = AsyncLive(run.do(backend, request), backend.name, request, run.observers)
    await live.prime()
    return live


def _settle_failure(run: _Run, backend: Backend, request: AnyRequest, error: BaseException) -> None:
    if run.observers and (attempt := failed_attempt(backend.name, request, error)) is not None:
        with beside(error):
            settle_all(run.observers, attempt)


def _completed(backend: Backend, request: AnyRequest, result: Any) -> Attempt:
    usage = getattr(result, "usage", None)
    return (
        Attempt(backend.name, request, "completed", result)
        if usage is None
        else Attempt(backend.name, request, "completed", result, usage=usage)
    )


async def _areplay(response: Response[Any]) -> AsyncIterator[Event]:
    for event in replay(response):
        yield event
