"""The parts of the runner that are OpenAI's, on small inputs: a runner that cannot find fault proves nothing."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from genkit.types import CallWarning

from ..cassettes import Interface
from ..reader import Choice
from .reader import finish_words, read, tokens
from .recordings import OpenAIRecordings

PLAIN = {"content-type": "application/json"}
OPENAI = OpenAIRecordings()
STREAM = {"content-type": "text/event-stream; charset=utf-8"}


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/chat/completions", Interface("chat")),
        ("POST", "/openai/deployments/d/embeddings?api-version=1", Interface("embeddings", model="d")),
        ("POST", "/openai/v1/responses", Interface("responses")),
        ("GET", "/v1/responses/resp_1?stream=false", Interface("responses: retrieve a stored answer", other=True)),
        ("POST", "/v1/completions", Interface("legacy completions", other=True)),
        ("POST", "/v1/unheard/of", Interface("POST /unheard/of", other=True)),
    ],
)
def test_a_path_tells_the_interface(method: str, path: str, expected: Interface) -> None:
    assert OPENAI.interface(method, path, {}) == expected


def test_interleaved_calls_are_put_together_by_index() -> None:
    deltas: list[dict[str, Any]] = [
        {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "b", "function": {"name": "g", "arguments": "{"}},
        {"index": 0, "function": {"arguments": "{}"}},
        {"index": 1, "function": {"arguments": "}"}},
    ]
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": [delta]}}]} for delta in deltas]
    content = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode()
    calls = read("chat", 200, STREAM, content).choices[0].calls
    assert [(call.id, call.name, call.arguments) for call in calls] == [("a", "f", "{}"), ("b", "g", "{}")]


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({"reasoning_content": "a"}, ["a"]),
        ({"reasoning": "a"}, ["a"]),
        ({"reasoning_content": "a", "reasoning": "a"}, ["a"]),
        ({"reasoning_content": "a", "reasoning": "b"}, ["a", "b"]),
    ],
)
def test_reasoning_is_read_under_both_names_of_chat(fields: dict[str, str], thinking: list[str]) -> None:
    whole = json.dumps({"choices": [{"index": 0, "message": fields, "finish_reason": "stop"}]}).encode()
    assert read("chat", 200, PLAIN, whole).choices[0].thinking == thinking
    delta = json.dumps({"choices": [{"index": 0, "delta": fields}]})
    twice = f"data: {delta}\n\ndata: {delta}\n\n".encode()
    assert read("chat", 200, STREAM, twice).choices[0].thinking == [text * 2 for text in thinking]


def test_reasoning_of_responses_is_read_beside_its_summary() -> None:
    content, summary = [{"text": "a"}], [{"text": "b"}]
    for item, thinking in (
        ({"content": content, "summary": summary}, ["a", "b"]),
        ({"content": content, "summary": content}, ["a"]),
        ({"summary": summary}, ["b"]),
    ):
        body = json.dumps({"status": "completed", "output": [{"type": "reasoning", **item}]}).encode()
        assert read("responses", 200, PLAIN, body).choices[0].thinking == thinking


def test_a_stream_without_its_terminator_is_not_whole() -> None:
    begun = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    ended = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    assert not read("chat", 200, STREAM, begun).whole
    assert not read("chat", 200, STREAM, begun + ended).whole
    assert read("chat", 200, STREAM, begun + b"data: [DONE]\n\n").terminated


def test_counts_are_taken_apart_and_add_up() -> None:
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    counts = tokens(usage)
    assert (counts["input"], counts["cache_read"], counts["output"], counts["reasoning"]) == (30, 60, 30, 20)
    assert counts["total"] == 150


def test_vectors_are_read_packed_and_in_numbers_and_by_index() -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.5, -1)).decode()
    rows = [{"index": 1, "embedding": [1, 2]}, {"index": 0, "embedding": packed}]
    reading = read("embeddings", 200, PLAIN, json.dumps({"data": rows}).encode())
    assert reading.vectors == [[0.5, -1.0], [1.0, 2.0]]


def test_unknown_finish_words_are_other() -> None:
    assert finish_words("chat", Choice(finish="tired")) == {"other"}
    assert finish_words("responses", Choice(finish="incomplete/max_output_tokens")) == {"length"}


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        ({"temperature": 1}, {}),
        ({"temperature": 1}, {"temperature": 0.5}),
        ({"strict": True}, {}),
        ({"n": 2}, {}),
        ({"stream": True}, {}),
        ({"stop": ["a", "b"]}, {"stop": ["a"]}),
        ({"max_tokens": 5}, {"max_completion_tokens": 6}),
        ({"messages": [{"role": "user", "content": "a"}]}, {"messages": [{"role": "system", "content": "a"}]}),
        ({"messages": [{"role": "user", "content": "a"}]}, {"messages": [{"role": "user", "content": ""}]}),
        ({"messages": [{"role": "user", "content": "a"}]}, {"messages": []}),
        ({"input": [{"arguments": '{"a":1}'}]}, {"input": [{"arguments": '{"a":2}'}]}),
        ({"input": "a"}, {"input": [{"role": "user", "content": "b"}]}),
        ({"input": [{"type": "reasoning", "id": "rs"}]}, {"input": []}),
    ],
)
def test_a_difference_that_is_not_accepted_is_left(recorded: dict[str, Any], sent: dict[str, Any]) -> None:
    assert OPENAI.compare(recorded, sent)[1]


def test_a_difference_is_accepted_with_its_reason_where_a_warning_names_it() -> None:
    warning = CallWarning(kind="dropped", subject="temperature", message="not taken")
    reasons, left = OPENAI.compare({"temperature": 1, "top_p": 1}, {}, [warning])
    assert reasons == ["reported by a warning: dropped temperature"]
    assert left == ["body.top_p: recorded 1, not sent"]
