"""Answers of Chat Completions that are none, and streams that end before their end."""

from __future__ import annotations

from typing import Any

import pytest

from genkit.backends.openai import OpenAI, chat
from genkit.backends.wire import Exchange
from genkit.errors import BadResponse
from tests.backends.openai.chat_cases import DONE, WIRE, chunk, frame, request, streamed, whole

ANSWER = chunk({"content": "a"}), chunk({}, finish="stop")


def decoder_after(*pieces: bytes, terminated: bool = False) -> chat.Decoder:
    decoder = chat.Decoder(WIRE, backend="openai", terminated=terminated)
    for piece in pieces:
        decoder.feed(frame(piece))
    return decoder


def decoded(data: dict[str, Any]) -> Any:
    return chat.decode(WIRE, data, Exchange({"x-request-id": "req_1"}), backend="openai")


# ---------------------------------------------------------------- whole answers


@pytest.mark.parametrize(
    "choice",
    [{}, {"message": None, "finish_reason": "stop"}, {"message": {}}, {"text": "old", "finish_reason": "stop"}],
)
def test_a_choice_without_a_message_is_a_bad_response(choice: dict[str, Any]) -> None:
    with pytest.raises(BadResponse, match="without a message") as caught:
        decoded({"choices": [choice]})
    assert caught.value.request_id == "req_1"


@pytest.mark.parametrize("message", [{}, {"message": {}}, {"message": None}])
def test_a_filtered_answer_of_azure_may_have_no_message(message: dict[str, Any]) -> None:
    assert decoded({"choices": [{**message, "finish_reason": "content_filter"}]}).finish == "refused"


def test_a_tool_call_without_a_name_is_a_bad_response() -> None:
    with pytest.raises(BadResponse, match="without a name"):
        decoded(whole({"message": {"content": None, "tool_calls": [{}]}, "finish_reason": "tool_calls"}))


def test_two_answers_of_one_number_are_a_bad_response() -> None:
    one, two = ({"index": 0, "message": {"content": text}, "finish_reason": "stop"} for text in "ab")
    with pytest.raises(BadResponse, match="one number"):
        decoded({"choices": [one, two]})


# ---------------------------------------------------------------- streams


def test_a_terminator_after_an_empty_choice_is_a_bad_response() -> None:
    with pytest.raises(BadResponse, match="empty"):
        decoder_after(b'data: {"choices": [{}]}\n\n', DONE)


def test_a_stream_with_a_nameless_tool_call_is_a_bad_response() -> None:
    with pytest.raises(BadResponse, match="without a name"):
        streamed(chunk({"tool_calls": [{"index": 0}]}), chunk({}, finish="tool_calls"), DONE)


def test_a_reason_to_finish_is_not_enough_where_a_terminator_always_comes() -> None:
    decoder = decoder_after(*ANSWER, terminated=True)
    assert not decoder.complete
    decoder.feed(frame(DONE))
    assert decoder.complete


@pytest.mark.parametrize(
    ("options", "terminated"),
    [
        ({"name": "openai"}, True),
        ({"name": "azure", "base_url": "https://me.openai.azure.com"}, True),
        ({"name": "azure", "base_url": "https://me.openai.azure.com/openai/deployments/d?api-version=1"}, True),
        ({"name": "openai", "base_url": "http://localhost:8000/v1"}, False),
        ({"name": "groq"}, False),
    ],
)
def test_openai_and_azure_are_known_to_terminate_every_stream(options: dict[str, Any], terminated: bool) -> None:
    backend = OpenAI(**options, api_key="sk-test", api="chat")
    decoder = backend.decoder(backend.encode(request("Hi"), stream=True))
    for piece in ANSWER:
        decoder.feed(frame(piece))
    assert decoder.complete is not terminated


def test_a_stream_without_terminator_and_usage_says_so() -> None:
    _, response = streamed(*ANSWER)
    assert response.complete
    assert [(warning.kind, warning.subject) for warning in response.warnings] == [("note", "usage")]


def test_a_stream_without_terminator_but_with_usage_lacks_nothing() -> None:
    _, response = streamed(*ANSWER, chunk(usage={"prompt_tokens": 1, "completion_tokens": 1}))
    assert response.warnings == ()


def test_a_terminated_stream_without_usage_says_nothing() -> None:
    assert streamed(*ANSWER, DONE)[1].warnings == ()
