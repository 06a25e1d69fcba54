"""The ways past the cases, for what is usual, end where the way through all cases ends."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genkit.backends.openai import answers, chat, counts, messages, models
from genkit.backends.services import SERVICES
from genkit.backends.wire import Exchange
from genkit.errors import GenkitError
from genkit.transport.sse import ServerSentEvent
from genkit.types import Image, Message, Response, Text, Thinking, Timing
from tests.backends.openai.chat_cases import ORIGIN, WIRE, chunk, frame, request, streamed, whole

EXCHANGE = Exchange({"x-request-id": "req_1"}, Timing(1.0, 2.0, 2.0))

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("\ud83d\ude00")), max_size=6)
NOTHING = st.sampled_from((None, "", [], 0, False))
COUNTS = st.one_of(st.integers(-1, 9), st.none(), st.just("7"))
DETAILS = st.none() | st.dictionaries(
    st.sampled_from((*counts._RARE_INPUT, "cached_tokens", "reasoning_tokens")), COUNTS, max_size=3
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens"), COUNTS),
        **dict.fromkeys(("prompt_tokens_details", "completion_tokens_details"), DETAILS),
    },
)
MESSAGES = st.fixed_dictionaries(
    {"content": TEXTS | st.none() | st.just([{"type": "text", "text": "Hi"}])},
    optional={
        "role": st.just("assistant"),
        "refusal": NOTHING | TEXTS,
        "annotations": NOTHING | st.just([{"type": "url_citation"}]),
        "tool_calls": NOTHING | st.just([{"id": "c", "function": {"name": "f", "arguments": "{}"}}]),
        "function_call": NOTHING | st.just({"name": "f", "arguments": "{}"}),
        "reasoning": NOTHING | TEXTS,
        "reasoning_details": NOTHING | st.just([{"type": "reasoning.text", "text": "Hm"}]),
        "audio": NOTHING | st.just({"id": "a", "data": "", "transcript": "Hi"}),
        "mood": NOTHING | TEXTS,
    },
)
CHOICES = st.fixed_dictionaries(
    {"message": MESSAGES},
    optional={
        "index": st.sampled_from((0, 1, None, 0.0, "0", False)),
        "finish_reason": st.sampled_from(("stop", "length", "tool_calls", "", "odd", 3, None)),
        "logprobs": NOTHING | st.just({"content": [{"token": "a", "logprob": -1.0}]}),
        "usage": st.none() | USAGES,
        "stop_reason": st.none() | TEXTS,
    },
)
ANSWERS = st.fixed_dictionaries(
    {
        "choices": st.lists(CHOICES, min_size=1, max_size=1)
        | st.lists(CHOICES, max_size=2)
        | st.sampled_from((None, {}))
    },
    optional={
        "id": st.sampled_from(("chatcmpl-1", "", 7, None)),
        "model": st.sampled_from(("gpt-4o-2024", "", 7, None)),
        "object": st.sampled_from(("chat.completion", "error", None)),
        "created": st.integers() | st.none(),
        "service_tier": st.none() | TEXTS,
        "usage": st.none() | USAGES | st.just([]),
        "error": st.none() | st.just({"message": "no"}),
        "metadata": st.none() | st.just({"a": 1}),
    },
)


def outcome(decode: Callable[[], Any]) -> Any:
    """Return what comes of it, with the same ids made each time; of an error its type and facts."""
    try:
        with patch.object(answers.uuid, "uuid4", return_value=uuid.UUID(int=1)):
            return decode()
    except GenkitError as error:
        return type(error), str(error), error.request_id
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        return type(error)


def decoded(data: dict[str, Any]) -> Response[Any]:
    return chat.decode(WIRE, data, EXCHANGE, backend="openai")


def as_sent(data: Any) -> Any:
    """Return it as it comes off the wire, where halves of characters that stand together are one."""
    return json.loads(json.dumps(data))


@given(ANSWERS)
def test_a_whole_answer_is_the_same_past_the_cases_and_through_them(data: dict[str, Any]) -> None:
    data = as_sent(data)
    short = outcome(lambda: decoded(data))
    with patch.object(answers, "_plain", return_value=None):
        assert outcome(lambda: decoded(data)) == short


@pytest.mark.parametrize("extra", [{}, {"refusal": None, "annotations": []}, {"tool_calls": None, "reasoning": ""}])
def test_an_answer_of_text_alone_goes_past_the_cases(extra: dict[str, Any]) -> None:
    data = whole({"message": {"role": "assistant", "content": "Hi", **extra}}, usage={"prompt_tokens": 1})
    with patch.object(answers, "Decoder", side_effect=AssertionError):
        assert decoded(data).text == "Hi"


@given(USAGES)
def test_usual_counts_are_the_same_past_the_cases_and_through_them(given_counts: dict[str, Any]) -> None:
    short = counts.usage(given_counts)
    with patch.object(counts, "_counts_any", return_value=True):
        assert counts.usage(given_counts) == short


TURNS = st.builds(
    Message,
    role=st.sampled_from(("system", "user", "assistant", "tool")),
    parts=st.lists(
        st.builds(Text, text=TEXTS, refusal=st.booleans(), cache=st.sampled_from((False, True, "1h")))
        | st.just(Image(url="https://example.com/a.png"))
        | st.just(Thinking(text="Hm", origin="elsewhere")),
        max_size=2,
    ).map(tuple)
    | st.tuples(st.builds(Text, text=TEXTS)),
    name=st.none() | st.sampled_from(("", "Ada")),
)


@given(
    st.lists(TURNS, min_size=1, max_size=4),
    st.sampled_from(("gpt-4o", "gpt-5.6", "o3", "o1-mini", "llama")),
    st.sampled_from(("openai", "groq", "mistral", "azure")),
)
def test_messages_are_the_same_past_the_cases_and_through_them(turns: list[Message], model: str, service: str) -> None:
    asked = request(*turns, model=model)

    def sent() -> Any:
        return chat.encode(asked, SERVICES[service], origin=ORIGIN, stream=False)

    short = outcome(sent)
    with patch.object(messages, "_plain", return_value=None):
        assert outcome(sent) == short


def test_a_conversation_of_text_goes_past_the_cases() -> None:
    asked = request(Message.system("Be brief."), "Hi", Message.assistant("Hello"), "Bye")
    with patch.object(messages, "_Conversation", side_effect=AssertionError):
        sent = chat.encode(asked, SERVICES["openai"], origin=ORIGIN, stream=False).body["messages"]
    assert [turn["role"] for turn in sent] == [models.family("gpt-4o").role, "user", "assistant", "user"]


DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": TEXTS | st.none() | st.just([{"type": "text", "text": "Hi"}]),
        "refusal": NOTHING | TEXTS,
        "reasoning_content": TEXTS,
        "tool_calls": st.none() | st.just([{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]),
    },
)
PLAIN_DELTAS = st.fixed_dictionaries({"content": TEXTS})
FRAMES = st.fixed_dictionaries(
    {
        "choices": st.sampled_from((None, []))
        | st.lists(
            st.fixed_dictionaries(
                {"delta": PLAIN_DELTAS | DELTAS, "index": st.sampled_from((0, 0, 0, 1, None))},
                optional={
                    "finish_reason": st.sampled_from((None, None, "stop", "")),
                    "logprobs": NOTHING,
                    "usage": st.none() | USAGES,
                },
            ),
            min_size=1,
            max_size=2,
        ),
    },
    optional={"usage": st.none() | USAGES, "service_tier": st.just("default"), "mood": st.just("fine")},
)


@given(st.lists(PLAIN_DELTAS.map(lambda delta: {"choices": [{"index": 0, "delta": delta}]}) | FRAMES, max_size=8))
def test_a_stream_is_the_same_past_the_cases_and_through_them(frames: list[dict[str, Any]]) -> None:
    short, long = (chat.Decoder(WIRE, backend="openai") for _ in range(2))
    for data in frames:
        packed = {"id": "chatcmpl-1", "model": "gpt-4o-2024", **data}
        fed = outcome(lambda packed=packed: [*short.feed(ServerSentEvent(json.dumps(packed).encode()))])
        assert outcome(lambda packed=packed: [*long.take(as_sent(packed), None)]) == fed
        if not isinstance(fed, list):
            return
    assert [*short.end()] == [*long.end()]
    assert short.response(EXCHANGE) == long.response(EXCHANGE)


def test_a_piece_of_text_goes_past_the_cases() -> None:
    decoder = chat.Decoder(WIRE, backend="openai")
    decoder.feed(frame(chunk({"role": "assistant", "content": "a"})))
    with patch.object(decoder, "take", side_effect=AssertionError):
        (delta,) = decoder.feed(frame(chunk({"content": "b"})))
    assert delta.text == "b"


def test_a_chunk_with_no_choices_at_all_between_pieces_of_text_is_passed_over() -> None:
    _, response = streamed(
        chunk({"content": "a"}), chunk({"content": "b"}), chunk(None, choices=None), chunk({"content": "c"})
    )
    assert response.text == "abc"
