"""What users hold while an answer streams."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import Any

import pytest

from genkit import LLM, Thinking
from genkit.backends.mock import Mock
from genkit.errors import ConfigError, ServerError, StreamClosed
from genkit.policies import Control, Policy
from genkit.streams import AsyncStream, Stream
from genkit.types import Done
from tests.policies.backends import REQUEST


def mocked() -> tuple[LLM, Mock]:
    mock = Mock()
    return LLM(backend=mock, retries=0), mock


def test_text_comes_in_pieces_and_the_response_afterwards() -> None:
    llm, _ = mocked()
    with llm.stream("a b c") as stream:
        pieces = list(stream.text)
    assert len(pieces) > 1
    assert "".join(pieces) == stream.response.text == "a b c"
    assert stream.response.complete


def test_thinking_and_events_are_there_too() -> None:
    llm, mock = mocked()
    mock.reply([Thinking(text="hm hm"), "yes"], [Thinking(text="hm hm"), "yes"])
    with llm.stream("?") as stream:
        assert "".join(stream.thinking) == "hm hm"
    with llm.stream("?") as stream:
        events = list(stream.events)
    assert isinstance(events[-1], Done)
    assert [event.kind for event in events].count("block_end") == 2


def test_the_response_is_not_there_before_the_end() -> None:
    llm, _ = mocked()
    with llm.stream("a b c") as stream:
        next(stream.text)
        with pytest.raises(ConfigError, match="not over"):
            _ = stream.response


def test_a_stream_that_was_left_has_the_partial_response() -> None:
    llm, _ = mocked()
    with llm.stream("one two three four") as stream:
        first = next(stream.text)
    assert stream.response.text == first
    assert not stream.response.complete
    assert stream.response.usage.estimated


def test_nothing_is_sent_before_the_stream_is_entered() -> None:
    llm, mock = mocked()
    stream = llm.stream("hi")
    assert mock.calls == ()
    with stream:
        assert len(mock.calls) == 1


def test_reading_without_entering_is_a_resource_warning() -> None:
    llm, _ = mocked()
    stream = llm.stream("hi")
    with pytest.warns(ResourceWarning, match="entered by 'with'"):
        assert "".join(stream.text) == "hi"


@pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning")
def test_a_stream_that_is_never_entered_is_a_resource_warning() -> None:
    llm, _ = mocked()

    def forget() -> None:
        llm.stream("hi")
        gc.collect()

    with pytest.warns(ResourceWarning, match="entered by 'with'"):
        forget()


def test_a_stream_that_breaks_keeps_what_had_arrived() -> None:
    llm, mock = mocked()
    mock.fail(ServerError("broke", sent=True), after=2, reply="one two three")
    with llm.stream("hi") as stream, pytest.raises(ServerError):
        list(stream.text)
    assert stream.response.text.startswith("one")
    assert not stream.response.complete


def test_another_thread_may_close_it_and_the_reader_ends_at_once() -> None:
    llm, mock = mocked()
    mock.reply("one two three", pace=30.0)
    caught: list[Any] = []
    stream = llm.stream("hi")

    def read() -> None:
        try:
            with stream:
                list(stream.text)
        except StreamClosed as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.05)
    stream.close()
    thread.join(2)
    assert len(caught) == 1
    assert not thread.is_alive()


def test_the_async_stream_is_the_same() -> None:
    llm, _ = mocked()

    async def run() -> None:
        stream = llm.astream("a b c")
        with pytest.raises(ConfigError, match="async with"):
            _ = stream.text
        async with stream:
            with pytest.raises(ConfigError, match="not over"):
                _ = stream.response
            pieces = [piece async for piece in stream.text]
        assert "".join(pieces) == stream.response.text == "a b c"
        async with llm.astream("one two three") as left:
            async for _ in left.events:
                break
        assert not left.response.complete

    asyncio.run(run())


def test_another_task_may_close_the_async_stream() -> None:
    llm, mock = mocked()
    mock.reply("one two three", pace=30.0)

    async def run() -> None:
        async with llm.astream("hi") as stream:

            async def read() -> None:
                async for _ in stream.text:
                    pass

            reader = asyncio.create_task(read())
            await asyncio.sleep(0.05)
            await stream.aclose()
            with pytest.raises(StreamClosed):
                await asyncio.wait_for(reader, 2)

    asyncio.run(run())


def test_only_the_first_of_several_answers_is_in_text() -> None:
    llm, _ = mocked()
    with llm.stream("a b", n=3) as stream:
        assert "".join(stream.text) == "a b"
    assert len(stream.response.alternatives) == 2


def test_an_async_stream_closed_while_it_opens_ends_its_reader() -> None:
    llm, mock = mocked()
    mock.reply("late", delay=30.0)

    async def run() -> None:
        stream = llm.astream("hi")

        async def read() -> None:
            async with stream:
                pass

        reader = asyncio.create_task(read())
        await asyncio.sleep(0.05)
        await stream.aclose()
        with pytest.raises(StreamClosed):
            await asyncio.wait_for(reader, 2)

    asyncio.run(run())


class Unsettled(Policy):
    def settle(self, attempt: Any) -> None:
        raise RuntimeError("disk full")


def test_closing_that_fails_does_not_hide_the_error_inside_the_block() -> None:
    policy = Unsettled(Mock())

    def read() -> None:
        with Stream(lambda control: policy.open(REQUEST, control), Control()) as stream:
            next(stream.text)
            raise KeyError("mine")

    async def aread() -> None:
        async with AsyncStream(lambda: policy.aopen(REQUEST)) as stream:
            await anext(stream.text)
            raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        read()
    with pytest.raises(KeyError) as acaught:
        asyncio.run(aread())
    note = "closing the stream failed too: RuntimeError: disk full"
    assert caught.value.__notes__ == acaught.value.__notes__ == [note]
