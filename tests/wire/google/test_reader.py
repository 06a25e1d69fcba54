"""The parts of the runner that are Google's, on small inputs: a runner that cannot find fault proves nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from genkit import errors
from genkit.types import CallWarning

from .. import cassettes
from ..cassettes import Interface
from ..reader import Choice
from .names import plain_bytes, protocol_names
from .reader import finish_words, read, tokens
from .recordings import GoogleRecordings
from .replies import unlike_answer, unlike_client
from .schemas import bare, json_schema

PLAIN = {"content-type": "application/json"}
STREAM = {"content-type": "text/event-stream"}
GOOGLE = GoogleRecordings()

JSON = dict[str, Any]


def answer(*parts: JSON, **more: Any) -> JSON:
    return {"candidates": [{"content": {"role": "model", "parts": [*parts]}, "finishReason": "STOP", **more}]}


def chunk(*parts: JSON, **more: Any) -> bytes:
    body = {"candidates": [{"content": {"role": "model", "parts": [*parts]}, **more}]}
    return b"data: " + json.dumps(body).encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1beta/models/m:generateContent", Interface("generateContent", model="m")),
        ("POST", "/v1/models/m:streamGenerateContent?alt=sse", Interface("generateContent", model="m", streams=True)),
        (
            "POST",
            "/v1beta1/projects/p/locations/l/publishers/google/models/m:predict",
            Interface("embeddings", model="m"),
        ),
        ("POST", "/v1beta/models/m:countTokens", Interface("count_tokens", model="m")),
        ("GET", "/v1beta/models?pageSize=1", Interface("list of models", other=True)),
        ("POST", "/upload/v1beta/fileSearchStores/x:upload", Interface("file search stores", other=True)),
    ],
)
def test_a_path_tells_the_interface(method: str, path: str, expected: Interface) -> None:
    assert GOOGLE.interface(method, path, {}) == expected


def test_thoughts_calls_and_texts_are_told_apart() -> None:
    parts = ({"text": "hm", "thought": True}, {"text": "a"}, {"functionCall": {"name": "f"}}, {"executableCode": {}})
    (choice,) = read("generateContent", 200, PLAIN, json.dumps(answer(*parts)).encode()).choices
    assert (choice.thinking, choice.text, choice.items) == (["hm"], "a", ["executableCode"])
    assert [(call.id, call.name, call.arguments) for call in choice.calls] == [(None, "f", "{}")]


def test_a_stream_is_whole_once_it_says_why_it_ended() -> None:
    begun = read("generateContent", 200, STREAM, chunk({"text": "a"}))
    ended = read("generateContent", 200, STREAM, chunk({"text": "a"}) + chunk({"text": "b"}, finishReason="STOP"))
    assert (begun.whole, begun.choices[0].text) == (False, "a")
    assert (ended.whole, ended.choices[0].text, ended.terminated) == (True, "ab", False)


def test_an_error_inside_a_stream_is_read() -> None:
    content = chunk({"text": "a"}) + b'data: {"error": {"code": 503, "status": "UNAVAILABLE"}}\n\n'
    reading = read("generateContent", 200, STREAM, content)
    assert (reading.error, reading.choices[0].text) == ({"code": 503, "status": "UNAVAILABLE"}, "a")


def test_counts_are_taken_apart_and_add_up() -> None:
    usage = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 7,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 60,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 70}, {"modality": "IMAGE", "tokenCount": 30}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 40}, {"modality": "IMAGE", "tokenCount": 20}],
    }
    counts = tokens(usage)
    assert (counts["input"], counts["input_image"], counts["cache_read"]) == (35, 10, 60)
    assert (counts["output"], counts["reasoning"], counts["total"]) == (20, 7, 132)


def test_counts_that_vanish_later_in_a_stream_are_kept() -> None:
    first = b'data: {"usageMetadata": {"promptTokenCount": 9, "cachedContentTokenCount": 4}}\n\n'
    last = b'data: {"usageMetadata": {"promptTokenCount": 8}}\n\n'
    assert read("generateContent", 200, STREAM, first + last).usage == {
        "promptTokenCount": 8,
        "cachedContentTokenCount": 4,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"embeddings": [{"values": [1, 2]}]},
        {"embedding": {"values": [1, 2]}},
        {"predictions": [{"embeddings": {"values": [1, 2], "statistics": {"token_count": 3}}}]},
    ],
)
def test_vectors_are_read_from_all_three_forms(body: JSON) -> None:
    assert read("embeddings", 200, PLAIN, json.dumps(body).encode()).vectors == [[1.0, 2.0]]


def test_a_citation_names_its_sources() -> None:
    chunks = [{"web": {"uri": "a"}}, {"web": {"uri": "b"}}]
    support = {"segment": {"endIndex": 1}, "groundingChunkIndices": [1]}
    body = answer({"text": "x"}, groundingMetadata={"groundingChunks": chunks, "groundingSupports": [support]})
    (choice,) = read("generateContent", 200, PLAIN, json.dumps(body).encode()).choices
    assert choice.citations == [{**support, "groundingChunks": [chunks[1]]}]


def test_calls_end_with_stop_and_unknown_words_are_other() -> None:
    body = answer({"functionCall": {"name": "f", "args": {}}})
    (choice,) = read("generateContent", 200, PLAIN, json.dumps(body).encode()).choices
    assert finish_words(choice) == {"tool_calls"}
    assert finish_words(Choice(finish="TIRED")) == {"other"}


def test_a_wrong_key_is_told_by_its_reason() -> None:
    invalid = {"status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}
    assert GOOGLE.failure(400, invalid) == (errors.AuthenticationFailed, "INVALID_ARGUMENT")
    assert GOOGLE.failure(400, {"status": "INVALID_ARGUMENT"})[0] is errors.InvalidRequest


def test_names_of_the_protocol_have_one_spelling_and_the_users_stay() -> None:
    sent = {"function_call": {"args": {"a_b": 1}}, "thought_signature": "a-b_"}
    assert plain_bytes(protocol_names(sent)) == {"functionCall": {"args": {"a_b": 1}}, "thoughtSignature": "a+b/"}


def test_a_schema_of_openapi_becomes_a_json_schema() -> None:
    given = {"type": "OBJECT", "property_ordering": ["type"], "properties": {"type": {"any_of": [{"type": "STRING"}]}}}
    assert json_schema(given) == {"type": "object", "properties": {"type": {"anyOf": [{"type": "string"}]}}}


def test_titles_of_schemas_go_and_properties_of_that_name_stay() -> None:
    given = {"title": "T", "properties": {"title": {"type": "string", "default": "x"}}, "oneOf": [{"title": "U"}]}
    assert bare(given) == {"properties": {"title": {"type": "string", "default": "x"}}, "oneOf": [{}]}


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        ({"generationConfig": {"temperature": 1}}, {}),
        ({"generationConfig": {"responseModalities": ["IMAGE"]}}, {}),
        ({"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}, {}),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, {}),
        ({"safetySettings": [{"category": "A"}]}, {}),
        ({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}, {"contents": []}),
        (
            {"contents": [{"role": "model", "parts": [{"text": "a", "thoughtSignature": "x"}]}]},
            {"contents": [{"role": "model", "parts": [{"text": "a"}]}]},
        ),
        (
            {"contents": [{"role": "model", "parts": [{"text": "a"}, {"text": "b"}]}]},
            {"contents": [{"role": "model", "parts": [{"text": "a"}]}]},
        ),
        (
            {"contents": [{"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"a": 1}}}]}]},
            {
                "contents": [
                    {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "2"}}}]}
                ]
            },
        ),
        (
            {"contents": [{"role": "user", "parts": [{"text": ""}]}, {"role": "model", "parts": []}]},
            {"contents": [{"role": "model", "parts": []}]},
        ),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"properties": {"a": {}}}}]}]},
            {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
        ),
        ({"requests": [{"taskType": "CLUSTERING"}]}, {"requests": [{}]}),
    ],
)
def test_a_difference_that_is_not_accepted_is_left(recorded: JSON, sent: JSON) -> None:
    assert GOOGLE.compare(recorded, sent)[1]


def test_a_difference_is_accepted_with_its_reason_where_a_warning_names_it() -> None:
    warning = CallWarning(kind="dropped", subject="top_k", message="not taken")
    reasons, left = GOOGLE.compare({"generationConfig": {"topK": 1, "topP": 1}}, {"generationConfig": {}}, [warning])
    assert reasons == ["reported by a warning: dropped top_k"]
    assert left == ["body.generationConfig.topP: recorded 1, not sent"]


def reading_of(*parts: JSON) -> Any:
    return read("generateContent", 200, PLAIN, json.dumps(answer(*parts)).encode())


def test_where_a_text_was_cut_does_not_matter_and_its_signature_does() -> None:
    reading = reading_of({"text": "a"}, {"text": "b"}, {"text": "", "thoughtSignature": "s"})
    assert not unlike_answer(reading, [{"role": "model", "parts": [{"text": "ab", "thoughtSignature": "s"}]}])
    assert unlike_answer(reading, [{"role": "model", "parts": [{"text": "ab"}]}])


def test_an_id_that_the_vendor_did_not_give_may_not_go_back() -> None:
    reading = reading_of({"functionCall": {"name": "f", "args": {}}})
    assert not unlike_answer(reading, [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}])
    assert unlike_answer(
        reading, [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}, "id": "x"}}]}]
    )


def test_a_signature_that_the_client_sent_must_be_sent() -> None:
    signed = {"parts": [{"functionCall": {"name": "f"}, "thoughtSignature": "s"}]}
    assert not unlike_client([signed], [signed])
    assert unlike_client([signed], [{"parts": [{"functionCall": {"name": "f"}}]}])


def interaction(content: Any, *, path: str) -> cassettes.Interaction:
    return cassettes.Interaction(
        cassette="made up",
        number=0,
        backend="google",
        api="generateContent",
        other=False,
        path=path,
        model="m",
        streams=":stream" in path,
        asked={},
        status=200,
        headers=PLAIN,
        content=json.dumps(content).encode(),
    )


def test_an_array_is_served_as_the_stream_that_genkit_asks_for() -> None:
    made = GOOGLE.recorded(interaction([{"a": 1}, {"b": "ä"}], path="/v1/models/m:streamGenerateContent"))
    assert made.content.decode() == 'data: {"a": 1}\r\n\r\ndata: {"b": "ä"}\r\n\r\n'
    assert made.is_stream
    assert GOOGLE.route(made) == "/v1/models/m:streamGenerateContent?alt=sse"


def test_numbers_of_enumerations_are_served_as_words() -> None:
    made = GOOGLE.recorded(
        interaction({"finishReason": 2, "x": 2}, path="/v1/models/m:g?%24alt=json%3Benum-encoding%3Dint")
    )
    assert json.loads(made.content) == {"finishReason": "MAX_TOKENS", "x": 2}
