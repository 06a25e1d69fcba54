"""The parts of the runner that are Bedrock's, on small inputs: a runner that cannot find fault proves nothing."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from genkit import errors
from genkit.types import CallWarning

from ..cassettes import Interface
from ..reader import Choice, Reading
from .frames import frame, frames, joined
from .reader import finish_words, read, tokens
from .recordings import BedrockRecordings
from .replies import unlike_answer

PLAIN = {"content-type": "application/json"}
STREAM = {"content-type": "application/vnd.amazon.eventstream"}
BEDROCK = BedrockRecordings()

JSON = dict[str, Any]


def event(kind: str, body: JSON) -> bytes:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(body).encode())


def delta(index: int, **body: Any) -> bytes:
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": body, "p": "abc"})


def converse(content: bytes, headers: dict[str, str] = STREAM, status: int = 200) -> Reading:
    return read("converse", status, headers, content, model="m")


STOP = event("messageStop", {"stopReason": "end_turn"})
COUNTED = event("metadata", {"usage": {"inputTokens": 1, "outputTokens": 2}, "metrics": {"latencyMs": 3}, "p": "ab"})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/model/a.b-v1%3A0/converse", Interface("converse", model="a.b-v1:0")),
        ("/model/a.b-v1%253A0/converse-stream", Interface("converse", model="a.b-v1:0", streams=True)),
        ("/model/arn%3Aaws%3Ax%2Fy/converse", Interface("converse", model="arn:aws:x/y")),
        ("/model/m/count-tokens", Interface("count_tokens", model="m")),
        ("/model/amazon.titan-embed-text-v1/invoke", Interface("embeddings", model="amazon.titan-embed-text-v1")),
        ("/model/amazon.titan-text-v1/invoke", Interface("a text model in its own form", other=True)),
        ("/openai/v1/responses", Interface("OpenAI's interface", other=True)),
    ],
)
def test_a_path_tells_the_interface(path: str, expected: Interface) -> None:
    assert BEDROCK.interface("POST", path, {}) == expected


def test_a_frame_is_read_as_it_was_written_whatever_its_headers_are() -> None:
    headers = {"text": "ä", "yes": True, "no": False, "number": -2, "bytes": b"\x00"}
    assert list(frames(joined([(headers, b"{}"), ({}, b"")]))) == [(headers, b"{}"), ({}, b"")]


def test_half_a_frame_is_none() -> None:
    assert len(list(frames(STOP + COUNTED[:-1]))) == 1


@pytest.mark.parametrize("at", [5, -1])
def test_a_wrong_checksum_is_found(at: int) -> None:
    broken = bytearray(STOP)
    broken[at] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        list(frames(bytes(broken)))


def test_blocks_are_put_together_by_index() -> None:
    start = {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}
    pieces = [
        delta(0, text="a"),
        event("contentBlockStart", start),
        delta(1, toolUse={"input": '{"x":'}),
        delta(0, text="b"),
    ]
    reading = converse(b"".join([*pieces, delta(1, toolUse={"input": "1}"}), STOP, COUNTED]))
    assert reading.items == [{"text": "ab"}, {"toolUse": {"toolUseId": "t", "name": "f", "input": {"x": 1}}}]
    (choice,) = reading.choices
    assert (choice.text, [(call.id, call.name, call.arguments) for call in choice.calls]) == (
        "ab",
        [("t", "f", '{"x": 1}')],
    )
    assert reading.rest == {"metrics": {"latencyMs": 3}}


def test_reasoning_is_put_together_with_its_signature_and_its_bytes() -> None:
    first, second = (base64.b64encode(data).decode() for data in (b"a", b"b"))
    pieces = [delta(0, reasoningContent={"text": "h"}), delta(0, reasoningContent={"signature": "s"})]
    pieces += [delta(1, reasoningContent={"redactedContent": data}) for data in (first, second)]
    reading = converse(b"".join([*pieces, STOP, COUNTED]))
    redacted = base64.b64encode(b"ab").decode()
    assert [block["reasoningContent"] for block in reading.items] == [
        {"reasoningText": {"text": "h", "signature": "s"}},
        {"redactedContent": redacted},
    ]


def test_a_stream_is_over_with_its_reason_and_its_counts_in_any_order() -> None:
    assert (converse(delta(0, text="a")).whole, converse(delta(0, text="a")).terminated) == (False, False)
    assert (converse(STOP).whole, converse(STOP).terminated) == (True, False)
    assert converse(STOP + COUNTED).terminated
    assert converse(COUNTED + STOP).terminated


def test_an_exception_frame_is_an_error() -> None:
    headers = {":message-type": "exception", ":exception-type": "throttlingException"}
    reading = converse(delta(0, text="a") + frame(headers, b'{"message": "slow down"}'))
    assert (reading.error, reading.choices[0].text) == ({"message": "slow down", "code": "throttlingException"}, "a")


def test_a_call_of_the_vendors_own_tool_is_no_call() -> None:
    own = {"toolUse": {"toolUseId": "t", "name": "f", "input": {}, "type": "server_tool_use"}}
    usage = {"inputTokens": 1, "outputTokens": 1}
    body = {"output": {"message": {"content": [own]}}, "stopReason": "end_turn", "usage": usage}
    (choice,) = converse(json.dumps(body).encode(), PLAIN).choices
    assert (choice.calls, choice.items) == ([], ["server_tool_use"])


def test_the_kind_of_an_error_is_its_first_word() -> None:
    headers = {**PLAIN, "x-amzn-errortype": "ValidationException:http://internal/", "x-amzn-requestid": "r"}
    reading = converse(b'{"message": "no"}', headers, 400)
    assert (reading.error, reading.request_id) == ({"message": "no", "code": "ValidationException"}, "r")
    assert BEDROCK.failure(400, {"message": "The provided model identifier is invalid."})[0] is errors.NotFound
    assert BEDROCK.failure(400, {"message": "no"})[0] is errors.InvalidRequest


def test_counts_do_not_overlap_as_they_come() -> None:
    usage = {"inputTokens": 3, "outputTokens": 4, "cacheReadInputTokens": 10, "cacheWriteInputTokens": 20}
    counts = tokens(usage)
    assert (counts["input"], counts["total_input"], counts["output"], counts["total"]) == (3, 33, 4, 37)


@pytest.mark.parametrize(
    "body",
    [
        {"embedding": [1, 2], "inputTextTokenCount": 3},
        {"embeddings": [[1, 2]]},
        {"embeddings": {"float": [[1, 2]]}},
        {"embeddings": [{"embedding": [1, 2], "embeddingType": "TEXT"}]},
    ],
)
def test_vectors_are_read_from_all_forms(body: JSON) -> None:
    headers = {**PLAIN, "x-amzn-bedrock-input-token-count": "3"}
    reading = read("embeddings", 200, headers, json.dumps(body).encode(), model="m")
    assert (reading.vectors, reading.usage, reading.model) == ([[1.0, 2.0]], {"inputTokens": 3}, "m")


def test_unknown_finish_words_are_other() -> None:
    assert finish_words(Choice(finish="tired")) == {"other"}
    assert finish_words(Choice(finish="guardrail_intervened")) == {"refused"}


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        ({"system": [{"text": "a"}]}, {}),
        ({"inferenceConfig": {"temperature": 1}}, {}),
        ({"inferenceConfig": {"temperature": 1}}, {"inferenceConfig": {"temperature": 0.5}}),
        ({"guardrailConfig": {"trace": "enabled"}}, {}),
        ({"toolConfig": {"tools": [], "toolChoice": {"any": {}}}}, {"toolConfig": {"tools": []}}),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, {"messages": []}),
        (
            {"messages": [{"role": "user", "content": [{"text": "a"}, {"cachePoint": {"type": "default"}}]}]},
            {"messages": [{"role": "user", "content": [{"text": "a"}]}]},
        ),
        (
            {"messages": [{"content": [{"toolResult": {"toolUseId": "t", "status": "error"}}]}]},
            {"messages": [{"content": [{"toolResult": {"toolUseId": "t"}}]}]},
        ),
        ({"messages": [{"content": [{"json": {"a": 1}}]}]}, {"messages": [{"content": [{"text": '{"a": 2}'}]}]}),
    ],
)
def test_a_difference_that_is_not_accepted_is_left(recorded: JSON, sent: JSON) -> None:
    assert BEDROCK.compare(recorded, sent)[1]


def test_a_difference_is_accepted_with_its_reason_where_a_warning_names_it() -> None:
    warning = CallWarning(kind="dropped", subject="top_p", message="not taken")
    reasons, left = BEDROCK.compare(
        {"inferenceConfig": {"topP": 1, "maxTokens": 1}}, {"inferenceConfig": {}}, [warning]
    )
    assert reasons == ["reported by a warning: dropped top_p"]
    assert left == ["body.inferenceConfig.maxTokens: recorded 1, not sent"]


def test_signed_reasoning_must_go_back_and_unsigned_need_not() -> None:
    said = {"text": "a"}
    signed = {"reasoningContent": {"reasoningText": {"text": "h", "signature": "s"}}}
    unsigned = {"reasoningContent": {"reasoningText": {"text": "h"}}}
    turn = [{"role": "assistant", "content": [said]}]
    assert unlike_answer(Reading(items=[signed, said]), turn)
    assert not unlike_answer(Reading(items=[unsigned, said]), turn)


def test_the_same_frames_with_more_headers_are_the_same_stream() -> None:
    content = delta(0, text="a") + STOP + COUNTED
    for other in BEDROCK.variants(content):
        assert other != content
        assert converse(other) == converse(content)
