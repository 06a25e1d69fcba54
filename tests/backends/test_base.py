"""The contract's defaults, and how losses are reported."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from genkit.backends.base import Backend, Losses
from genkit.errors import Timeout, Unsupported
from genkit.events import replay
from genkit.types import (
    Done,
    EmbedRequest,
    Event,
    Features,
    Message,
    Request,
    Response,
    ScoreRequest,
    Settings,
    TextDelta,
)

REQUEST = Request(model="m", messages=(Message.user("hi"),))


class Blocking(Backend):
    """A backend that writes only what must be written."""

    name = "blocking"

    def __init__(self, *, pause: float = 0.0) -> None:
        self.pause = pause
        self.threads: set[int] = set()
        self.closed = 0

    def features(self, model: str) -> Features:
        return Features()

    def generate(self, request: Request) -> Response[Any]:
        self.threads.add(threading.get_ident())
        return Response(message=Message.assistant("a b"), finish="stop")

    def stream(self, request: Request) -> Iterator[Event]:
        try:
            for event in replay(self.generate(request)):
                time.sleep(self.pause)
                yield event
        finally:
            self.closed += 1


def test_the_async_twins_run_in_worker_threads() -> None:
    backend = Blocking()

    async def run() -> tuple[Response[Any], list[Event]]:
        return await backend.agenerate(REQUEST), [event async for event in backend.astream(REQUEST)]

    response, events = asyncio.run(run())
    assert response.text == "a b"
    assert isinstance(events[-1], Done)
    assert threading.get_ident() not in backend.threads
    assert backend.closed == 1


def test_an_async_stream_that_is_left_is_closed() -> None:
    backend = Blocking()

    async def run() -> None:
        stream: Any = backend.astream(REQUEST)
        await anext(stream)
        await stream.aclose()
        assert backend.closed == 1

    asyncio.run(run())


def test_a_cancelled_reader_leaves_no_thread_in_the_stream() -> None:
    backend = Blocking(pause=0.05)

    async def read() -> None:
        stream: Any = backend.astream(REQUEST)
        try:
            async for _ in stream:
                pass
        finally:
            await stream.aclose()

    async def run() -> None:
        task = asyncio.create_task(read())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert backend.closed == 1

    asyncio.run(run())


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend: backend.embed(EmbedRequest(model="m", texts=("a",))),
        lambda backend: backend.score(ScoreRequest(model="m", texts=("a",))),
        lambda backend: backend.count_tokens(REQUEST),
        lambda backend: backend.plan(REQUEST),
        lambda backend: asyncio.run(backend.aembed(EmbedRequest(model="m", texts=("a",)))),
        lambda backend: asyncio.run(backend.ascore(ScoreRequest(model="m", texts=("a",)))),
        lambda backend: asyncio.run(backend.acount_tokens(REQUEST)),
    ],
)
def test_what_a_backend_does_not_have_is_unsupported_by_name(ask: Any) -> None:
    with pytest.raises(Unsupported, match="blocking has no") as caught:
        ask(Blocking())
    assert caught.value.backend == "blocking"


# ------------------------------------------------------------ losses


def losses(**request: Any) -> Losses:
    return Losses(REQUEST.model_copy(update=request), backend="b")


def test_a_dropped_setting_is_a_warning() -> None:
    found = losses()
    kept = found.settings(Settings(seed=1, temperature=0.5), {"temperature"}, where="the chat API")
    assert kept == {"temperature"}
    [warning] = found.warnings
    assert (warning.kind, warning.subject) == ("dropped", "seed")
    assert str(warning) == "seed dropped: the chat API has no such setting (model 'm')"


def test_a_dropped_guarantee_is_an_error_unless_the_caller_says_ignore() -> None:
    settings = Settings(stop=("x",))
    for policy in ("warn", "error"):
        with pytest.raises(Unsupported, match="'stop' cannot be honoured"):
            losses(on_unsupported=policy).settings(settings, set(), where="it")
    ignoring = losses(on_unsupported="ignore")
    assert ignoring.settings(settings, set(), where="it") == set()
    assert ignoring.warnings == []


def test_a_required_setting_is_never_dropped() -> None:
    for policy in ("warn", "error", "ignore"):
        with pytest.raises(Unsupported, match="require"):
            losses(on_unsupported=policy, require=frozenset({"seed"})).settings(Settings(seed=1), set(), where="it")


def test_a_change_is_reported_as_one() -> None:
    found = losses()
    found.lose("max_tokens", "raised to 16, the least it takes", kind="changed")
    assert found.warnings[0].kind == "changed"
    with pytest.raises(Unsupported, match="sent as asked"):
        losses(on_unsupported="error").lose("max_tokens", "raised", kind="changed")


def test_a_setting_that_was_not_given_is_no_loss() -> None:
    found = losses(on_unsupported="error")
    assert found.settings(Settings(seed=None), set(), where="it") == set()


def test_text_deltas_come_from_the_default_stream() -> None:
    assert [event.text for event in Blocking().stream(REQUEST) if isinstance(event, TextDelta)] == ["a b"]


def test_closing_an_async_stream_reaches_a_blocking_source_at_once() -> None:
    class Waking(Blocking):
        """Its stream waits for ever, until somebody closes it."""

        def stream(self, request: Request) -> Any:
            closed = threading.Event()

            class Events:
                def __iter__(self) -> Any:
                    return self

                def __next__(self) -> Event:
                    closed.wait(10)
                    raise StopIteration

                def close(self) -> None:
                    closed.set()

            return Events()

    async def run() -> None:
        stream: Any = Waking().astream(REQUEST)
        reader = asyncio.create_task(anext(stream, None))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(stream.aclose(), 2)
        assert await asyncio.wait_for(reader, 2) is None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(Waking().astream(REQUEST)), 0.05)

    asyncio.run(run())


# ------------------------------------------------------------ too few threads


@contextlib.contextmanager
def no_free_thread(*, seconds: float = 60.0) -> Iterator[None]:
    """Keep the one thread of the running loop busy for the time of the block, or so many seconds."""
    release, busy = threading.Event(), threading.Event()

    def wait() -> None:
        busy.set()
        release.wait(seconds)

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    loop.run_in_executor(None, wait)
    busy.wait()
    try:
        yield
    finally:
        release.set()


class Minding(Blocking):
    """Keeps the total limits it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[float | None] = []

    def generate(self, request: Request) -> Response[Any]:
        self.limits.append(request.settings.timeout.total)
        return super().generate(request)


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend, settings: backend.agenerate(REQUEST.model_copy(update={"settings": settings})),
        lambda backend, settings: anext(backend.astream(REQUEST.model_copy(update={"settings": settings}))),
        lambda backend, settings: backend.aembed(EmbedRequest(model="m", texts=("a",), settings=settings)),
        lambda backend, settings: backend.ascore(ScoreRequest(model="m", texts=("a",), settings=settings)),
        lambda backend, settings: backend.acount_tokens(REQUEST.model_copy(update={"settings": settings})),
    ],
)
def test_a_call_that_finds_no_free_thread_in_time_is_late_and_never_begins(ask: Any) -> None:
    backend = Minding()

    async def run() -> None:
        with no_free_thread():
            start = time.monotonic()
            with pytest.raises(Timeout, match="no worker thread was free") as caught:
                await ask(backend, Settings(timeout=0.05))
            assert time.monotonic() - start < 5
            assert (caught.value.phase, caught.value.backend, caught.value.sent) == ("total", "blocking", False)

    asyncio.run(run())
    assert backend.limits == []


def test_the_wait_for_a_thread_is_taken_off_the_total_limit() -> None:
    backend = Minding()
    request = REQUEST.model_copy(update={"settings": Settings(timeout=30)})

    async def run() -> None:
        with no_free_thread(seconds=0.2):
            await backend.agenerate(request)
        with no_free_thread(seconds=0.2):
            assert [event async for event in backend.astream(request)]

    asyncio.run(run())
    assert len(backend.limits) == 2
    assert all(limit is not None and 10 < limit < 29.85 for limit in backend.limits)


def test_a_call_that_was_cancelled_in_the_queue_never_begins() -> None:
    backend = Minding()
    request = REQUEST.model_copy(update={"settings": Settings(timeout=30)})

    async def run() -> None:
        with no_free_thread(), pytest.raises(TimeoutError):
            await asyncio.wait_for(backend.agenerate(request), 0.05)

    asyncio.run(run())
    assert backend.limits == []


def test_an_async_stream_is_closed_though_no_thread_is_free() -> None:
    backend = Blocking()

    async def run() -> None:
        stream: Any = backend.astream(REQUEST)
        await anext(stream)
        with no_free_thread():
            await asyncio.wait_for(stream.aclose(), 5)
            assert backend.closed == 1

    asyncio.run(run())


def test_an_async_stream_that_is_left_while_it_is_opened_is_closed() -> None:
    opening, closed = threading.Event(), threading.Event()

    class Slow(Blocking):
        def stream(self, request: Request) -> Any:
            opening.set()
            time.sleep(0.1)

            class Events:
                def __next__(self) -> Event:
                    return TextDelta(0, "a")

                def close(self) -> None:
                    closed.set()

            return Events()

    async def run() -> None:
        stream: Any = Slow().astream(REQUEST)
        reader = asyncio.create_task(anext(stream, None))
        await asyncio.to_thread(opening.wait, 5)
        await stream.aclose()
        assert closed.is_set()
        await reader

    asyncio.run(run())
