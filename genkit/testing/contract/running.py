"""Async twins, threads and event loops; failures, time limits, closing and leaks."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import asyncio
import gc
import time
import types
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ...backends.base import Backend
from ...errors import GenkitError, StreamClosed, Timeout
from ...types import TextDelta, Timeouts
from .asking import SOON, Way, alone, check_grammar, close, collect, in_every_way, respond, response_of, within
from .base import Asks

__all__ = ["Concurrency", "Limits"]


class Concurrency(Asks):
    """Async twins, threads, event loops."""

    def test_agenerate_gives_what_generate_gives(self, backend: Backend) -> None:
        twin = respond(backend, self.ask(), "agenerate")
        assert self.comparable(twin) == self.comparable(backend.generate(self.ask()))

    def test_astream_gives_what_stream_gives(self, backend: Backend) -> None:
        async def work() -> list[Any]:
            return await collect(backend.astream(self.ask(self.long_prompt)))

        events = asyncio.run(alone(backend, work()))
        check_grammar(events)
        twin = response_of(backend.stream(self.ask(self.long_prompt)))
        assert self.comparable(response_of(events)) == self.comparable(twin)
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == twin.text

    def test_one_backend_serves_event_loops_one_after_another(self, backend: Backend) -> None:
        async def work() -> str:
            response = await backend.agenerate(self.ask())
            return response.text + response_of(await collect(backend.astream(self.ask()))).text

        # Nothing is closed in between: connections of a loop that is gone must not come back.
        assert len({asyncio.run(work()) for _ in range(3)}) == 1

    def test_the_sync_calls_work_inside_a_running_event_loop(self, backend: Backend) -> None:
        async def work() -> tuple[str, str]:
            return backend.generate(self.ask()).text, response_of(backend.stream(self.ask())).text

        generated, streamed = asyncio.run(work())
        assert generated == streamed

    def test_concurrent_threads_get_their_own_answers(self, backend: Backend) -> None:
        requests = [self.ask(f"{self.prompt} {i}") for i in range(8)]
        sequential = [self.comparable(backend.generate(request)) for request in requests]
        with ThreadPoolExecutor(8) as pool:
            together = [self.comparable(answer) for answer in pool.map(backend.generate, requests)]
            streams = list(pool.map(lambda request: response_of(backend.stream(request)), requests))
        assert together == sequential
        assert [self.comparable(answer) for answer in streams] == sequential

    def test_concurrent_tasks_get_their_own_answers(self, backend: Backend) -> None:
        requests = [self.ask(f"{self.prompt} {i}") for i in range(8)]
        sequential = [self.comparable(backend.generate(request)) for request in requests]

        async def work() -> list[object]:
            answers = await asyncio.gather(*(backend.agenerate(request) for request in requests))
            streams = await asyncio.gather(*(collect(backend.astream(request)) for request in requests))
            return [self.comparable(answer) for answer in [*answers, *map(response_of, streams)]]

        assert asyncio.run(alone(backend, work())) == sequential * 2

    def test_an_async_stream_may_be_left_and_the_next_call_works(self, backend: Backend) -> None:
        async def work() -> str:
            stream: Any = backend.astream(self.ask(self.long_prompt))
            await anext(stream)
            await stream.aclose()
            await stream.aclose()
            assert [event async for event in stream] == []
            return (await backend.agenerate(self.ask())).text

        assert asyncio.run(alone(backend, work()))

    def test_a_cancelled_task_ends_at_once_and_the_next_call_works(self, backend: Backend) -> None:
        request = self.stalled(backend)

        async def work() -> str:
            begun = asyncio.Event()

            async def read() -> None:
                async for _ in backend.astream(request):
                    begun.set()

            reader = asyncio.create_task(read())
            await asyncio.wait_for(begun.wait(), SOON)
            reader.cancel()
            done, _ = await asyncio.wait([reader], timeout=SOON)
            assert done, "a cancelled task ends"
            assert reader.cancelled()
            return (await backend.agenerate(self.ask())).text

        assert asyncio.run(alone(backend, work()))

    def test_aclose_ends_a_reader_that_waits_in_another_task(self, backend: Backend) -> None:
        request = self.stalled(backend)

        async def work() -> BaseException | None:
            begun, stream = asyncio.Event(), self._async_stream(backend, request)

            async def read() -> None:
                async for _ in stream:
                    begun.set()

            reader = asyncio.create_task(read())
            await asyncio.wait_for(begun.wait(), SOON)
            await asyncio.sleep(0.05)
            await stream.aclose()
            done, _ = await asyncio.wait([reader], timeout=SOON)
            assert done, "a reader ends when its stream is closed"
            return reader.exception()

        assert isinstance(asyncio.run(alone(backend, work())), StreamClosed | None)

    def _async_stream(self, backend: Backend, request: Any) -> Any:
        stream = backend.astream(request)
        if isinstance(stream, types.AsyncGeneratorType):
            pytest.skip("a plain async generator cannot be closed while it runs")
        return stream


class Limits(Asks):
    """Failures, time limits, closing, leaks."""

    @in_every_way
    def test_a_request_without_messages_is_refused(self, backend: Backend, way: Way) -> None:
        with pytest.raises(GenkitError) as caught:
            respond(backend, self.ask(messages=[]), way)
        assert caught.value.backend, "an error names its backend"
        assert not caught.value.retryable

    @in_every_way
    def test_an_unknown_model_is_a_typed_error(self, backend: Backend, way: Way) -> None:
        name = self.unknown_model()
        if name is None:
            pytest.skip("this far end answers to every model's name")
        with pytest.raises(GenkitError) as caught:
            respond(backend, self.ask().model_copy(update={"model": name}), way)
        assert caught.value.backend, "an error names its backend"
        assert not caught.value.retryable

    @in_every_way
    @pytest.mark.parametrize("phase", ["total", "first"])
    def test_a_time_limit_ends_in_a_timeout(self, backend: Backend, way: Way, phase: str) -> None:
        if "timeout" not in self.features(backend).settings:
            pytest.skip("features declare no timeout")
        # No answer takes less than a nanosecond.
        limit = Timeouts(**{phase: 1e-9})
        with pytest.raises(Timeout) as caught:
            respond(backend, self.ask(settings={"timeout": limit}), way)
        assert caught.value.phase == phase
        assert backend.generate(self.ask()).text

    def test_a_stream_that_stalls_ends_in_an_idle_timeout(self, backend: Backend) -> None:
        request = within(self.stalled(backend), Timeouts(idle=0.1))
        started = time.monotonic()
        with pytest.raises(Timeout) as caught:
            list(backend.stream(request))
        assert caught.value.phase == "idle"
        assert caught.value.response is not None, "what had arrived is on the error"
        assert not caught.value.response.complete
        assert time.monotonic() - started < SOON

    def test_an_async_stream_that_stalls_ends_in_an_idle_timeout(self, backend: Backend) -> None:
        request = within(self.stalled(backend), Timeouts(idle=0.1))
        started = time.monotonic()
        with pytest.raises(Timeout) as caught:
            respond(backend, request, "astream")
        assert caught.value.phase == "idle"
        assert caught.value.response is not None, "what had arrived is on the error"
        assert time.monotonic() - started < SOON

    def test_closing_twice_is_fine_and_a_later_call_works_again(self, backend: Backend) -> None:
        backend.generate(self.ask())
        backend.close()
        backend.close()
        assert backend.generate(self.ask()).text

    def test_aclosing_twice_is_fine_and_a_later_call_works_again(self, backend: Backend) -> None:
        async def work() -> str:
            await backend.agenerate(self.ask())
            await backend.aclose()
            await backend.aclose()
            return (await backend.agenerate(self.ask())).text

        assert asyncio.run(alone(backend, work()))

    def test_nothing_is_left_open(self, backend: Backend) -> None:
        async def work() -> None:
            await backend.agenerate(self.ask())
            stream: Any = backend.astream(self.ask())
            await anext(stream)
            await stream.aclose()

        gc.collect()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            backend.generate(self.ask())
            stream = backend.stream(self.ask())
            next(stream)
            close(stream)
            backend.stream(self.ask())
            asyncio.run(work())
            backend.close()
            del stream
            gc.collect()
        assert [str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning)] == []
