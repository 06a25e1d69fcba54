"""`MockLLM`: an LLM with its script at hand."""

from __future__ import annotations

import asyncio
import time

import pytest

from genkit import LLM
from genkit.errors import ConfigError, RateLimited, StreamInterrupted
from genkit.testing import Mock, MockLLM, tool_call


def test_it_answers_what_was_scripted_and_keeps_the_requests():
    llm = MockLLM()
    llm.reply("hi", tool_call("weather", city="Oslo"))
    assert llm.generate("q").text == "hi"
    assert llm.generate("and?").tool_calls[0].arguments == {"city": "Oslo"}
    assert [call.messages[-1].text for call in llm.calls] == ["q", "and?"]


def test_a_copy_answers_from_the_same_script_into_the_same_record():
    llm = MockLLM()
    llm.reply("one", "two")
    copy = llm.with_(temperature=0.5)
    assert isinstance(copy, MockLLM)
    assert copy.generate("a").text == "one"
    assert copy.with_(retries=0).generate("b").text == "two"
    assert [call.settings.temperature for call in llm.calls] == [0.5, 0.5]


def test_a_copy_with_another_model_is_no_mock_any_more():
    copy = MockLLM().with_("openai:gpt-5-mini")
    with pytest.raises(ConfigError, match="no mock any more"):
        copy.reply("hi")


def test_the_mock_may_stand_behind_an_llm_of_the_code_under_test():
    llm = MockLLM()
    llm.reply("hi")
    assert LLM(backend=llm.mock).generate("q").text == "hi"


def test_a_mock_of_ones_own_may_stand_behind_it():
    mock = Mock(waits=False)
    llm = MockLLM(backend=mock)
    llm.reply("late", delay=60)
    assert llm.generate("q").timing.total >= 60


def test_failures_are_retried_as_a_users_are(mock_llm):
    mock_llm.fail(RateLimited("slow down", retry_after=30), times=2)
    mock_llm.reply("hi")
    assert mock_llm.generate("q").text == "hi"
    assert len(mock_llm.calls) == 3


def test_limits_do_not_wait_either(mock_llm):
    llm = mock_llm.with_(requests_per_minute=1)
    mock_llm.fail(RateLimited("slow down", retry_after=30))
    mock_llm.reply("hi", "there")
    started = time.monotonic()
    assert [llm.generate("q").text, llm.generate("q").text] == ["hi", "there"]
    assert time.monotonic() - started < 1


def test_more_failures_than_retries_are_raised(mock_llm):
    mock_llm.fail(RateLimited("slow down"), times=3)
    with pytest.raises(RateLimited):
        mock_llm.generate("q")


def test_a_cut_stream_keeps_what_arrived(mock_llm):
    mock_llm.cut(after=3, reply="one two three")
    pieces = []
    with pytest.raises(StreamInterrupted) as caught, mock_llm.stream("q") as stream:
        pieces.extend(piece for piece in stream.text)
    assert caught.value.response.text == "one two"


def test_async_streams_are_scripted_alike(mock_llm):
    mock_llm.reply("one two")

    async def work():
        async with mock_llm.astream("q") as stream:
            return [piece async for piece in stream.text]

    assert asyncio.run(work()) == ["one", " two"]


def test_reply_always_answers_every_call(mock_llm):
    mock_llm.reply_always(lambda request: request.messages[-1].text[::-1])
    assert [response.text for response in mock_llm.map(["ab", "cd"])] == ["ba", "dc"]
