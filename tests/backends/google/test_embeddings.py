"""Vectors, by three routes."""

from __future__ import annotations

from typing import Any

import pytest

from genkit.backends.google import Google, embeddings
from genkit.backends.wire import Exchange, WireRequest
from genkit.errors import BadResponse, GenkitError, InvalidRequest
from genkit.types import EmbedRequest, Usage
from tests.backends.google.cases import GEMINI, VERTEX

FIRST = "gemini-embedding-001"
SECOND = "gemini-embedding-2"


def wires(backend: Google, model: str, *texts: str, **fields: Any) -> list[WireRequest]:
    """Return what is sent."""
    return backend._embedding(EmbedRequest(model=model, texts=texts, **fields))


def decode(wire: WireRequest, data: dict[str, Any]) -> Any:
    """Return the embeddings for an answer."""
    return embeddings.decode(wire, data, Exchange(), backend="google")


def test_the_gemini_api_takes_a_batch() -> None:
    (wire,) = wires(GEMINI, FIRST, "a", "b", dimensions=8, input_type="query")
    assert wire.path == "/models/gemini-embedding-001:batchEmbedContents"
    common = {"model": "models/gemini-embedding-001", "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8}
    assert wire.body == {"requests": [{**common, "content": {"parts": [{"text": text}]}} for text in "ab"]}


def test_more_than_a_hundred_texts_are_several_requests() -> None:
    sent = wires(GEMINI, FIRST, *map(str, range(250)))
    assert [len(wire.body["requests"]) for wire in sent] == [100, 100, 50]


def test_vertexs_older_models_predict() -> None:
    (wire,) = wires(VERTEX, "text-embedding-005", "a", "b", dimensions=8, input_type="document")
    assert wire.path.endswith("/models/text-embedding-005:predict")
    instances = [{"content": text, "task_type": "RETRIEVAL_DOCUMENT"} for text in "ab"]
    assert wire.body == {"instances": instances, "parameters": {"outputDimensionality": 8}}


def test_the_first_gemini_model_predicts_one_text_at_a_time() -> None:
    assert [len(wire.body["instances"]) for wire in wires(VERTEX, FIRST, "a", "b")] == [1, 1]


def test_vertexs_newer_models_embed_one_content_each() -> None:
    sent = wires(VERTEX, SECOND, "a", "b", dimensions=8)
    assert [wire.path.partition(":")[2] for wire in sent] == ["embedContent", "embedContent"]
    assert sent[0].body == {
        "content": {"parts": [{"text": "a"}]},
        "embedContentConfig": {"outputDimensionality": 8},
    }


@pytest.mark.parametrize(
    ("kind", "text"), [("query", "task: search result | query: a"), ("document", "title: none | text: a")]
)
@pytest.mark.parametrize("backend", [GEMINI, VERTEX])
def test_newer_models_are_told_the_task_in_the_text_which_is_reported(backend: Google, kind: Any, text: str) -> None:
    (wire,) = wires(backend, SECOND, "a", input_type=kind)
    assert text in str(wire.body)
    assert [(w.kind, w.subject) for w in wire.warnings] == [("changed", "input_type")]


def test_extra_goes_into_the_options_of_each_text() -> None:
    (wire,) = wires(GEMINI, FIRST, "a", extra={"google": {"title": "T"}})
    assert wire.body["requests"][0]["title"] == "T"


@pytest.mark.parametrize("texts", [(), ("a", "")])
def test_nothing_to_embed_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidRequest):
        wires(GEMINI, FIRST, *texts)


def test_settings_are_reported() -> None:
    (wire,) = wires(GEMINI, FIRST, "a", settings={"temperature": 0.5})
    assert [warning.subject for warning in wire.warnings] == ["temperature"]


def test_vectors_come_with_their_tokens() -> None:
    (batch,) = wires(GEMINI, FIRST, "a", "b")
    found = decode(
        batch, {"embeddings": [{"values": [1, 2]}, {"values": [3, 4]}], "usageMetadata": {"promptTokenCount": 9}}
    )
    assert found.vectors == ((1.0, 2.0), (3.0, 4.0))
    assert found.usage == Usage(input=9, output=0)
    assert decode(batch, {"embeddings": [{"values": [1]}, {"values": [3]}]}).usage.input is None


def test_predictions_add_up_their_tokens_and_say_what_was_cut() -> None:
    (wire,) = wires(VERTEX, "text-embedding-005", "a", "b")

    def one(cut: bool) -> dict[str, Any]:
        return {"embeddings": {"values": [1.0], "statistics": {"token_count": 2, "truncated": cut}}}

    found = decode(wire, {"predictions": [one(False), one(True)]})
    assert found.usage.input == 4
    assert [(w.kind, w.subject) for w in found.warnings] == [("note", "texts")]


def test_one_content_has_one_vector() -> None:
    (wire,) = wires(VERTEX, SECOND, "a")
    found = decode(wire, {"embedding": {"values": [1.0]}, "usageMetadata": {"promptTokenCount": 3}})
    assert (found.vectors, found.usage.input) == (((1.0,),), 3)


@pytest.mark.parametrize(
    "data",
    [
        {"embeddings": [{"values": [1.0]}]},
        {"embeddings": [{"values": [1.0]}, {"values": [1.0, 2.0]}]},
        {"embeddings": [{"values": []}, {"values": []}]},
        {"embeddings": [{"values": ["a"]}, {"values": [1.0]}]},
        {"embeddings": [{"values": [1e999]}, {"values": [1.0]}]},
        {"embeddings": None},
        {},
    ],
)
def test_an_answer_of_another_form_is_a_bad_response(data: dict[str, Any]) -> None:
    with pytest.raises(BadResponse):
        decode(wires(GEMINI, FIRST, "a", "b")[0], data)


def test_an_error_in_place_of_vectors_is_raised() -> None:
    with pytest.raises(GenkitError, match="no"):
        decode(wires(GEMINI, FIRST, "a")[0], {"error": {"code": 500, "message": "no"}})


def test_answers_to_several_requests_are_one() -> None:
    sent = wires(VERTEX, SECOND, "a", "b", input_type="query")
    parts = [
        decode(wire, {"embedding": {"values": [at]}, "usageMetadata": {"promptTokenCount": 3}})
        for at, wire in enumerate(sent)
    ]
    joined = embeddings.join(parts)
    assert joined.vectors == ((0.0,), (1.0,))
    assert joined.usage.input == 6
    assert [warning.subject for warning in joined.warnings] == ["input_type", "texts"]
